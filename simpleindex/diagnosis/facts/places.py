"""Who the user of the service is, which places it uses, and what lies in them that it cannot use. Blocking."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from simpleindex.core.errors import RefusedStart
from simpleindex.diagnosis.permissions import INTERPRETER, ForeignEntries, ServicePlace, ServiceUser
from simpleindex.tls.certificate_files import groups_of, places, steps_to

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from simpleindex.config.settings import Settings
    from simpleindex.system.path_steps import PathStep


def service_user(settings: Settings, name: str | None) -> ServiceUser:
    """Return the user as whom the service runs.

    Args:
        settings: The user is the owner of their state directory; without one, the user who runs the command.
        name: The user who is named by an option; None if none is.

    Raises:
        RefusedStart: There is no such user.
    """
    if name is not None:
        try:
            return _user(pwd.getpwnam(name).pw_uid)
        except KeyError:
            raise RefusedStart(f"--as: this machine has no user {name!r}") from None
    uid = os.geteuid()
    with suppress(OSError):
        uid = os.stat(settings.state).st_uid
    return _user(uid)


def current_user() -> str:
    """Return the name of the user who runs the command."""
    return _user(os.geteuid()).name


def _user(uid: int) -> ServiceUser:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return ServiceUser(str(uid), uid, str(uid), frozenset())
    try:
        group = grp.getgrgid(entry.pw_gid).gr_name
    except KeyError:
        group = str(entry.pw_gid)
    return ServiceUser(entry.pw_name, uid, group, groups_of(uid, None))


def service_places(settings: Settings, further: Sequence[Path]) -> list[ServicePlace]:
    """Return the places that a service with these settings uses."""
    found = [_place(INTERPRETER, Path(sys.executable))]
    found.append(_place("--state", settings.state, is_written=True, is_secret=True, is_required=False))
    found.append(_place("--cache", settings.cache, is_written=True, is_required=False))
    if settings.bucket is None:
        found.append(_place("--path", settings.path, is_written=settings.has_logins))
    found += [_place("--sources", path) for path in further]
    if settings.https:
        found.append(_place("--certs", settings.certs, is_required=False))
        with suppress(RefusedStart):
            found += [
                _place("--certs", file, is_secret=_has_key(file))
                for certificate in places(settings.certs)
                for file in certificate.files
            ]
    for option in ("config", "sources", "users", "access", "acme-eab-key", "acme-trust"):
        path = getattr(settings, option.replace("-", "_"))
        if path is not None:
            found.append(_place(f"--{option}", path, is_secret=option in ("users", "acme-eab-key")))
    if isinstance(settings.access_log, Path):
        found.append(_place("--access-log", settings.access_log.parent, is_written=True))
    return found


def _place(
    role: str,
    path: Path,
    *,
    is_written: bool = False,
    is_secret: bool = False,
    is_required: bool = True,
) -> ServicePlace:
    steps: tuple[PathStep, ...] = ()
    with suppress(OSError):
        steps = tuple(steps_to(path))
    return ServicePlace(role, str(path), steps, is_written, is_secret, is_required)


def _has_key(path: Path) -> bool:
    try:
        return b"PRIVATE KEY-----" in path.read_bytes()
    except OSError:
        return True


def foreign_entries(path: Path, user: ServiceUser, *, is_written: bool) -> ForeignEntries | None:
    """Return what lies below a directory and cannot be used by the service; None if all can.

    Args:
        path: The directory.
        user: The service's user.
        is_written: Whether the service writes what lies there.
    """
    if user.uid == 0:
        return None
    found = [each for each, status in _entries(path) if not _may_use(status, user, is_written=is_written)]
    return ForeignEntries(str(path), len(found), found[0], is_written) if found else None


def _entries(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    directories = [str(path)]
    while directories:
        try:
            entries = sorted(os.scandir(directories.pop()), key=lambda each: each.name)
        except OSError:
            continue
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    directories.append(entry.path)
                if not entry.is_symlink():
                    yield entry.path, entry.stat(follow_symlinks=False)


def _may_use(status: os.stat_result, user: ServiceUser, *, is_written: bool) -> bool:
    shift = 6 if status.st_uid == user.uid else 3 if status.st_gid in user.groups else 0
    wanted = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(status.st_mode) else 0)
    wanted |= stat.S_IWOTH if is_written else 0
    return (status.st_mode >> shift) & wanted == wanted
