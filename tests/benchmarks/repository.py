"""Make repositories of real, tiny wheels, and two large ones."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.fixtures.distributions import metadata_text, wheel_bytes, wheel_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK: Final = 1024 * 1024

_HEADERS: Final = (
    "Summary: One of very many",
    "Requires-Python: >=3.9",
    "License-Expression: MIT",
    *(f"Classifier: Programming Language :: Python :: 3.{minor}" for minor in range(9, 15)),
    "Requires-Dist: packaging>=24",
    "Requires-Dist: attrs; python_version < '3.12'",
)


@dataclass(frozen=True)
class Repository:
    """Projects with as many releases each, one wheel a release.

    Attributes:
        path: The directory to serve.
        projects: How many.
        files_each: Releases of each.
        large: Bytes of the payload of the one wheel of each project; 0 for tiny wheels.
    """

    path: Path
    projects: int
    files_each: int
    large: int = 0

    @property
    def files(self) -> int:
        """How many there are in all."""
        return self.projects * self.files_each

    def names(self) -> Iterator[str]:
        """The projects."""
        return (f"project{number:06}" for number in range(self.projects))

    def filename(self, name: str, release: int = 0) -> str:
        """A wheel of a project."""
        return wheel_name(name, f"1.{release}.0")

    def make(self) -> Repository:
        """Write what is missing; of a finished one the projects that were removed since."""
        done = self.path.with_name(f"{self.path.name}.done")
        present = set(os.listdir(self.path)) if done.exists() else set()
        for name in self.names():
            if name in present:
                continue
            directory = self.path / name
            directory.mkdir(parents=True, exist_ok=True)
            for release in range(self.files_each):
                path = directory / self.filename(name, release)
                if self.large:
                    _write_large(path, name, self.large)
                else:
                    path.write_bytes(wheel_bytes(name, f"1.{release}.0", *_HEADERS))
        done.touch()
        return self


def repository(parent: Path, projects: int, files_each: int) -> Repository:
    """A repository of tiny wheels."""
    return Repository(parent / f"{projects}x{files_each}", projects, files_each).make()


def large_file(parent: Path, size: int) -> Repository:
    """A repository of one large wheel; its payload cannot be compressed."""
    return Repository(parent / f"large-{size}", 1, 1, size).make()


def _write_large(path: Path, name: str, size: int) -> None:
    info = f"{name}-1.0.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        with archive.open("payload.bin", "w", force_zip64=True) as payload:
            for start in range(0, size, _CHUNK):
                payload.write(os.urandom(min(_CHUNK, size - start)))
        archive.writestr(f"{info}/METADATA", metadata_text(name, "1.0.0", *_HEADERS))
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{info}/RECORD", "")
