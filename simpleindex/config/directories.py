"""Directories of options: where state and cache lie if no option says so, and what is refused as the directory of packages."""

from __future__ import annotations

import os
import pwd
import stat
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from simpleindex.config.values import to_path
from simpleindex.core.errors import RefusedStart

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from simpleindex.config.bucket_location import BucketLocation
    from simpleindex.config.layers import Layers

# systemd.exec(5) "StateDirectory="; XDG Base Directory Specification 0.8.
_DEFAULT_DIRECTORIES: Final = {
    "state": ("STATE_DIRECTORY", "XDG_STATE_HOME", ".local/state"),
    "cache": ("CACHE_DIRECTORY", "XDG_CACHE_HOME", ".cache"),
}


def directory_of_bucket(cache: Path, bucket: BucketLocation) -> Path:
    """Return the local directory of a bucket; several servers may share a cache."""
    return cache / f"bucket-{blake2b(str(bucket).encode(), digest_size=6).hexdigest()}"


def state_or_cache(name: str, layers: Layers, environment: Mapping[str, str], directory: Path) -> Path:
    """Return the directory of ``--state`` or ``--cache``: given, else that of systemd, of the XDG variable, or below home.

    Raises:
        RefusedStart: There is no home directory.
    """
    path = layers.located(name, to_path, None)
    if path is not None:
        return path
    systemd, xdg, below_home = _DEFAULT_DIRECTORIES[name]
    # A unit with several directories gets them all, separated by colons.
    if from_systemd := environment.get(systemd, "").partition(":")[0]:
        return directory / from_systemd
    # "If an implementation encounters a relative path [...] it should consider the path invalid and ignore it."
    if os.path.isabs(from_xdg := environment.get(xdg, "")):
        return directory / from_xdg / "simpleindex"
    if layers.home is None:
        raise RefusedStart(
            f"--{name}: there is no home directory to keep it in; give one, as in --{name} DIR"
        )
    return directory / layers.home / below_home / "simpleindex"


def home_of(environment: Mapping[str, str]) -> str | None:
    """Return the home directory of the user; None without one."""
    if home := environment.get("HOME"):
        return home
    try:
        return pwd.getpwuid(os.getuid()).pw_dir or None
    except KeyError:
        return None


def place_of(path: Path) -> tuple[int, int] | str:
    """Return what two paths to one place have in common, also where it does not exist yet."""
    try:
        status = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return status.st_dev, status.st_ino


def refuse_unusable_root(path: Path, where: str) -> None:
    """Refuse a path that is no directory.

    Raises:
        RefusedStart: It is none.
    """
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise RefusedStart(f"{where}: {str(path)!r} does not exist; name the directory of packages") from None
    except OSError as error:
        raise RefusedStart(f"{where}: {str(path)!r} cannot be looked at: {error.strerror}") from None
    if not stat.S_ISDIR(mode):
        raise RefusedStart(f"{where}: {str(path)!r} is not a directory; name the directory of packages")


def absolute_path(path: str | Path) -> str:
    """Return an absolute path without ``..`` and doubled slashes, which a manifest of a backup may not have.

    Links are resolved where there is a ``..``: it leads from where the link before it leads.
    """
    text = os.fspath(path)
    if ".." in text.split("/"):
        text = os.path.realpath(text)
    return f"/{os.path.normpath(text).lstrip('/')}"
