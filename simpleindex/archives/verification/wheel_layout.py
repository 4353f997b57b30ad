"""The layout of a wheel: where its files are installed, those below ``NAME-VERSION.data`` too (PyPUG "binary-distribution-format")."""

from __future__ import annotations

from typing import Final

from simpleindex.archives.entry_points import judge_script_name
from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.paths import plain_path, shown_path

_DATA: Final = b".data"
_SCHEMES: Final = frozenset({"data", "headers", "platlib", "purelib", "scripts"})
"""The keys of sysconfig's paths that pip and uv know."""


class WheelLayout:
    """Judges the paths of a wheel's members, one after the other."""

    def __init__(self) -> None:
        self._data: bytes | None = None

    def judge(self, path: bytes) -> None:
        """Judge a member.

        Raises:
            BrokenArchive: It would be installed nowhere, or in one place by pip and in another by uv.
        """
        top, slash, _ = path.removeprefix(b"./").partition(b"/")
        if not top.endswith(_DATA):
            return
        if self._data not in {None, top}:
            raise BrokenArchive("it has several .data directories")
        self._data = top
        parts = plain_path(path).split("/")
        is_directory = path.endswith(b"/")
        if (
            not slash
            or (len(parts) > 1 and parts[1] not in _SCHEMES)
            or (not is_directory and len(parts) < 3)
        ):
            raise BrokenArchive(
                f"its {shown_path(path)} is for no known place: a .data directory has {', '.join(sorted(_SCHEMES))}"
            )
        if parts[1:2] == ["scripts"] and len(parts) > 2:
            if is_directory or len(parts) > 3:
                raise BrokenArchive(f"its {shown_path(path)} is a directory among scripts, or in one")
            judge_script_name(parts[2])

    def finish(self, dist_info: str) -> None:
        """Judge the name of the ``.data`` directory, once all members are known.

        Raises:
            BrokenArchive: It is not that of the same distribution, in the same spelling.
        """
        wanted = dist_info.removesuffix(".dist-info") + ".data"
        if self._data not in {None, wanted.encode()}:
            raise BrokenArchive(
                f"its directory {shown_path(self._data or b'')} should be called {wanted}, as its .dist-info directory is"
            )
