"""A layer between the writing modules and the file system: it counts every call that changes something, and fails one.

Run as a program it carries out one scenario and prints what it counted, for comparison with what the kernel saw.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from simpleindex.core.model import Status
from simpleindex.core.names import PROJECT_FILE, ProjectName
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.publishing.project_file_writer import ProjectFileWriter
from simpleindex.publishing.staging import STAGING
from simpleindex.publishing.writer import Writer
from tests.builders import put, sdist_bytes, sdist_name, wheel_bytes, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHANGING: Final = (
    *("mkdir", "rmdir", "link", "rename", "unlink"),
    *("write", "pwrite", "fsync", "fdatasync", "fchmod", "fchown", "utime"),
)
"""Functions of ``os`` that change the file system; ``open`` is another where it makes a file."""

KILLED: Final = 77
"""Exit status of a process that ended at its point."""


class Faults:
    """Which call fails, and how.

    Args:
        at: The number of the call, from 1; None for none.
        error: The error number that it fails with; None to end the process there.
        for_ever: Whether every later call fails too.
        half: Whether a write does half of its work first.
        far: Whether the staging directory is on another file system than everything else.
    """

    def __init__(
        self,
        at: int | None = None,
        error: int | None = None,
        *,
        for_ever: bool = False,
        half: bool = False,
        far: bool = False,
    ) -> None:
        self.calls: list[str] = []
        self._at = at
        self._error = error
        self._for_ever = for_ever
        self._half = half
        self._far = far

    @contextmanager
    def between(self) -> Iterator[Faults]:
        """Stand between until the end of the block."""
        real = {name: getattr(os, name) for name in (*CHANGING, "open")}
        for name, function in real.items():
            setattr(os, name, self._wrapped(name, function))
        try:
            yield self
        finally:
            for name, function in real.items():
                setattr(os, name, function)

    def _wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if name == "open" and not arguments[1] & os.O_CREAT:
                return function(*arguments, **options)
            self.calls.append(name)
            count = len(self.calls)
            if self._at is not None and (count == self._at or (self._for_ever and count > self._at)):
                if self._half and name == "pwrite":
                    function(arguments[0], arguments[1][: len(arguments[1]) // 2], arguments[2])
                if self._error is None:
                    os._exit(KILLED)
                raise OSError(self._error, os.strerror(self._error))
            if (
                self._far
                and name in {"link", "rename"}
                and _is_staged(arguments[0]) != _is_staged(arguments[1])
            ):
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            return function(*arguments, **options)

        return call


def _is_staged(path: str) -> bool:
    return os.path.basename(os.path.dirname(path)) == STAGING


# -- scenarios ------------------------------------------------------------------------------------------------------

ACME: Final = ProjectName("acme")
WHEEL: Final = wheel_name()
NOW: Final = 1_800_000_000.0

OLD_BYTES: Final = wheel_bytes()
NEW_BYTES: Final = wheel_bytes(metadata=b"Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n\nmore")


def writer(root: Path) -> Writer:
    """One whose clock stands still."""
    return Writer(PackageDirectory(str(root)), lambda: NOW)


def upload(root: Path, data: bytes, filename: str = WHEEL, *, overwrite: bool = False) -> None:
    """All of one upload."""
    with writer(root).begin() as draft:
        draft.write(data[:100])
        draft.write(data[100:])
        draft.finish()
        writer(root).commit(draft, ACME, filename, overwrite=overwrite)


def _with_neighbour(root: Path) -> None:
    put(root / "acme" / sdist_name(), sdist_bytes())


def _with_everything(root: Path, directory: str = "acme") -> None:
    _with_neighbour(root)
    for suffix, data in (("", OLD_BYTES), (".asc", b"signature"), (".provenance", b'{"version": 1}')):
        put(root / directory / (WHEEL + suffix), data)


def _in_two_places(root: Path) -> None:
    _with_everything(root)
    for suffix, data in (("", NEW_BYTES), (".sig", b"another")):
        put(root / (WHEEL + suffix), data)


def _loose(root: Path) -> None:
    put(root / WHEEL, OLD_BYTES)
    put(root / (WHEEL + ".asc"), b"signature")


def _deleted(root: Path) -> None:
    _with_everything(root)
    writer(root).deletions.delete(ACME, [WHEEL], who="alice")


def _deleted_before(root: Path) -> None:
    _deleted(root)
    _with_everything(root)


def _with_file(root: Path, text: bytes = b'# why\n[yanked]\n"1.0" = "x"\n') -> None:
    _with_everything(root)
    put(root / "acme" / PROJECT_FILE, text)


def _delete(root: Path) -> None:
    writer(root).deletions.delete(ACME, [WHEEL], who="alice")


def _yank(root: Path) -> None:
    ProjectFileWriter(PackageDirectory(str(root))).yank(ACME, WHEEL, "broken")


SCENARIOS: Final[dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]]] = {
    "upload, new project": (lambda root: None, lambda root: upload(root, OLD_BYTES)),
    "upload": (_with_neighbour, lambda root: upload(root, OLD_BYTES)),
    "upload of what is there": (_with_everything, lambda root: upload(root, OLD_BYTES)),
    "overwrite": (
        lambda root: put(root / "acme" / WHEEL, OLD_BYTES),
        lambda root: upload(root, NEW_BYTES, overwrite=True),
    ),
    "delete": (_with_everything, _delete),
    "delete from two places": (_in_two_places, _delete),
    "delete from the root": (_loose, _delete),
    "delete again": (_deleted_before, _delete),
    "restore": (_deleted, lambda root: writer(root).deletions.restore(ACME, WHEEL, who="bob")),
    "yank": (_with_neighbour, _yank),
    "yank, loose file": (_loose, _yank),
    "yank, comments": (_with_file, _yank),
    "unyank": (
        lambda root: _with_file(root, b'[yanked]\n"1.0" = "x"\n'),
        lambda root: ProjectFileWriter(PackageDirectory(str(root))).unyank(ACME, "1.0"),
    ),
    "quarantine": (
        _with_everything,
        lambda root: ProjectFileWriter(PackageDirectory(str(root))).set_status(
            ACME, Status.QUARANTINED, "malware"
        ),
    ),
}
"""What lies there, and what is done, by name."""


def main() -> None:
    """Carry out a scenario between two marks that a trace shows; print the calls that were counted."""
    name, root = sys.argv[1], Path(sys.argv[2])
    prepare, act = SCENARIOS[name]
    (root / "rehearsal").mkdir()
    (root / "real").mkdir()
    for part in ("rehearsal", "real"):
        # The first time everything is imported that is imported late.
        prepare(root / part)
        os.path.lexists(f"/begin-{part}")
        with Faults().between() as faults:
            act(root / part)
        os.path.lexists(f"/end-{part}")
    print(json.dumps(Counter(faults.calls)))


if __name__ == "__main__":
    main()
