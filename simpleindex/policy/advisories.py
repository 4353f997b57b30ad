"""A directory of security advisories in the OSV format, one in each ``.json`` file, read again when it changes."""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from simpleindex.core.text import printable
from simpleindex.policy.osv import Advisories, InvalidAdvisory, parse_advisory
from simpleindex.system.clocks import SYSTEM_CLOCKS
from simpleindex.system.log import logger
from simpleindex.system.stamp import Stamp, is_young

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.policy.osv import Advisory
    from simpleindex.system.clocks import Clocks

_log: Final = logger(__name__)

_SUFFIX: Final = ".json"
_LARGEST: Final = 16 << 20
"""Bytes of one advisory; the largest of the public ones has half a megabyte."""

_MOST_NAMED: Final = 5
"""Invalid advisories that are logged by name; a directory of other files must not flood the log."""

GRACE: Final = 300.0
"""Seconds for which an advisory that is gone stays in force: an update may remove all files before it writes them again. (Unpacking the 20,000
public ones takes some seconds.)"""


class _AdvisoryFile(NamedTuple):
    """An advisory file.

    Attributes:
        stamp: The state of the file when it was read; None to read it again.
        digest: The digest of its bytes: unpacking an archive every hour changes the state of all files, but the bytes of few.
        advisories: Its last valid content.
        gone_since: When the file was first missing, on the monotonic clock; None while it exists.
    """

    stamp: Stamp | None
    digest: bytes
    advisories: tuple[Advisory, ...]
    gone_since: float | None = None


class AdvisoryDirectory:
    """The advisories in a directory, and in those below it.

    An invalid one is logged once, and its last valid content stays in force. All of them stay in force while the directory
    cannot be read, or has no advisory at all.
    """

    def __init__(
        self,
        path: str,
        clocks: Clocks = SYSTEM_CLOCKS,
    ) -> None:
        self._path = path
        self._clocks = clocks
        self._files: dict[str, _AdvisoryFile] = {}
        self._broken: dict[str, str] = {}
        self._current = Advisories(())
        self._trouble: str | None = None
        self._modified_ns = 0

    def current(self) -> Advisories:
        """Return the advisories of the last look; the same object as long as they are equal."""
        return self._current

    @property
    def modified(self) -> float:
        """When the newest of them was written, seconds since 1970."""
        return self._modified_ns / 1e9

    def open(self) -> None:
        """Read them for the first time; blocking, five seconds for the 20,000 public ones (0.15 s when none has changed).

        Raises:
            OSError: The directory cannot be read.
            InvalidAdvisory: There is no advisory in it.
        """
        self._read()

    def refresh(self) -> None:
        """Read what changed; blocking."""
        try:
            self._read()
        except (OSError, InvalidAdvisory) as error:
            reason = _reason(error)
            if reason != self._trouble:
                self._trouble = reason
                _log.error(
                    "The directory of advisories {path} {reason}: its last valid content stays in force.",
                    path=printable(self._path),
                    reason=reason,
                )

    def _read(self) -> None:
        files: dict[str, _AdvisoryFile] = {}
        broken: dict[str, str] = {}
        newest = 0
        for path, stamp in _files(self._path):
            newest = max(newest, stamp.mtime_ns)
            before = self._files.get(path)
            if before is not None and before.stamp == stamp:
                files[path] = before._replace(gone_since=None)
                if path in self._broken:
                    broken[path] = self._broken[path]
            else:
                files[path] = self._file(path, stamp, before, broken)
        if not files:
            raise InvalidAdvisory(f"has no {_SUFFIX} file in it")
        self._modified_ns = newest
        self._replace({**files, **self._missed(files)})
        self._report(broken)

    def _file(
        self, path: str, stamp: Stamp, before: _AdvisoryFile | None, broken: dict[str, str]
    ) -> _AdvisoryFile:
        # A file that changed within the last two seconds may change again and keep its state (docs/measurements.md, "File times").
        state = None if is_young(stamp, self._clocks.now_ns()) else stamp
        digest, advisories = (b"", ()) if before is None else (before.digest, before.advisories)
        try:
            content = _content(path)
            digest = blake2b(content, digest_size=16).digest()
            if before is not None and before.digest == digest:
                if path in self._broken:
                    broken[path] = self._broken[path]
            else:
                advisories = parse_advisory(content)
        except (OSError, InvalidAdvisory) as error:
            broken[path] = _reason(error)
        return _AdvisoryFile(state, digest, advisories)

    def _missed(self, files: dict[str, _AdvisoryFile]) -> dict[str, _AdvisoryFile]:
        now = self._clocks.seconds()
        missed = {}
        for path, file in self._files.items():
            since = now if file.gone_since is None else file.gone_since
            if path not in files and now < since + GRACE:
                missed[path] = file._replace(stamp=None, gone_since=since)
        return missed

    def _replace(self, files: dict[str, _AdvisoryFile]) -> None:
        advisories, before = (
            [each for _, file in sorted(some.items()) for each in file.advisories]
            for some in (files, self._files)
        )
        is_first, self._files = not self._files, files
        if advisories == before and not is_first:
            return
        self._current = Advisories(advisories)
        again = "" if is_first else " again"
        _log.info(
            "Advisories read{again} from {path}: {count}.",
            again=again,
            path=printable(self._path),
            count=f"{len(self._current):,}",
        )

    def _report(self, broken: dict[str, str]) -> None:
        if self._trouble is not None:
            self._trouble = None
            _log.info("The directory of advisories {path} is valid again.", path=printable(self._path))
        new = [path for path, reason in broken.items() if self._broken.get(path) != reason]
        self._broken = broken
        for path in new[:_MOST_NAMED]:
            _log.error(
                "The advisory {path} is not valid: it {reason}.", path=printable(path), reason=broken[path]
            )
        if len(new) > _MOST_NAMED:
            _log.error(
                "{count} more files in {path} are not valid either.",
                count=f"{len(new) - _MOST_NAMED:,}",
                path=printable(self._path),
            )


def _files(path: str) -> Iterator[tuple[str, Stamp]]:
    directories = [path]
    while directories:
        with os.scandir(directories.pop()) as entries:
            for entry in sorted(entries, key=lambda each: each.name):
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    directories.append(entry.path)
                elif entry.name.endswith(_SUFFIX) and entry.is_file():
                    try:
                        yield entry.path, Stamp.of(entry.stat())
                    except FileNotFoundError:
                        continue


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise InvalidAdvisory(f"has more than {_LARGEST >> 20} MiB")
    return content


def _reason(error: OSError | InvalidAdvisory) -> str:
    return f"cannot be read ({error.strerror or error})" if isinstance(error, OSError) else error.reason
