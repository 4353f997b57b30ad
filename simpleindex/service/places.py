"""The service's surroundings: its directories, the mounts, the access log."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from simpleindex.config.options import OPTIONS
from simpleindex.core.errors import InvalidSources, RefusedStart

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from simpleindex.config.settings import Settings
    from simpleindex.web.http.access_log import AccessLog


def excluded_paths(settings: Settings) -> list[str]:
    """Return paths that are never projects (docs/directory.md, "Which files are offered")."""
    paths = [
        getattr(settings, option.field) for option in OPTIONS if option.is_path and option.name != "path"
    ]
    return [str(path) for path in paths if path is not None]


def further_directories(settings: Settings) -> dict[str, Path]:
    """Directories of packages that the sources file names, by their names, as far as it can be read.

    Raises:
        RefusedStart: It cannot be understood.
    """
    if settings.sources is None:
        return {}
    from simpleindex.system.followed_file import read_text_file  # noqa: PLC0415  (only with a sources file)
    from simpleindex.views.sources_file import parse_sources  # noqa: PLC0415  (the same)

    try:
        sources_file = parse_sources(read_text_file(str(settings.sources)))
    except OSError:
        # It may be written later; the server says then what is wrong with it.
        return {}
    except InvalidSources as error:
        raise RefusedStart(f"{settings.sources}: {error}") from None
    where = settings.sources.parent
    return {each.name: Path(os.path.normpath(where / each.path)) for each in sources_file.directories}


def own_directory(path: Path, owner: tuple[int | None, int | None]) -> None:
    """Make a directory for the user that the service will become; what cannot be made is noticed by who needs it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=False)
        if os.getuid() == 0 and owner != (None, None):
            os.chown(path, -1 if owner[0] is None else owner[0], -1 if owner[1] is None else owner[1])
    except OSError:
        return


def refuse_unreadable(settings: Settings, owner: tuple[int | None, int | None]) -> None:
    """Refuse files about people and hooks that the user whom the service becomes could not read again when they change.

    Raises:
        RefusedStart: That user cannot read one of them.
    """
    uid, gid = owner
    if uid is None:
        return
    from simpleindex.tls.certificate_files import why_unreadable  # noqa: PLC0415  (only where root begins)

    for path in (settings.users, settings.access, settings.hooks):
        sentence = None if path is None else why_unreadable(uid, gid, path)
        if sentence:
            raise RefusedStart(sentence)


def mountinfo() -> str:
    """Return the mounts of this process, or an empty text where the system does not list them."""
    try:
        return Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def open_access_log(settings: Settings, clock: IReactorTime) -> AccessLog | None:
    """Open the access log.

    Raises:
        RefusedStart: It cannot be written.
    """
    if settings.access_log is None:
        return None
    from simpleindex.web.http.access_log import AccessLog  # noqa: PLC0415  (only with an access log)

    try:
        return AccessLog(str(settings.access_log), clock, trusted=settings.trusted_proxy)
    except OSError as error:
        raise RefusedStart(
            f"The access log {settings.access_log} cannot be written ({error.strerror}); choose another --access-log."
        ) from None
