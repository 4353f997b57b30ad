"""Tags of wheels in words, and a table of Python versions and platforms (PEP 425, 600, 656, 730, 738, 783, 803). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.core.names import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.core.files import File

MANY_WHEELS: Final = 4
"""A release with more wheels than this gets a table."""

LARGEST_TABLE: Final = 2_000
"""Cells. Releases with the most wheels, some 100, have some 200; of hostile ones, 1,000 wheels have a million, or a hundred million."""

_INTERPRETERS: Final = {
    "cp": "CPython",
    "pp": "PyPy",
    "py": "Python",
    "graalpy": "GraalPy",
    "ip": "IronPython",
}
_MACHINES: Final = {
    "amd64": "x86_64",
    "win32": "32-bit",
    "i686": "32-bit",
    "universal2": "all",
    "intel": "Intel",
}
_PLATFORM: Final = re.compile(
    r"(?P<libc>manylinux|musllinux)(?:_(?P<major>\d+)_(?P<minor>\d+)|(?P<year>1|2010|2014))_(?P<machine>\w+)"
    r"|(?P<mac>macosx)_(?P<release>\d+_\d+)_(?P<chip>\w+)|win_(?P<windows>\w+)|(?P<win32>win32)|linux_(?P<linux>\w+)"
    r"|(?P<other>ios|android|pyodide|emscripten)_(?P<since>\d+(?:_\d+){0,2})_(?P<device>[a-z]\w*)"
)
_OTHERS: Final = {"ios": "iOS", "android": "Android", "pyodide": "Pyodide", "emscripten": "Emscripten"}
_GLIBC: Final = {"1": "2.5", "2010": "2.12", "2014": "2.17"}


@dataclass(frozen=True, slots=True)
class WheelTags:
    """The tags of a wheel in words.

    Attributes:
        pythons: Such as ``CPython 3.12``, or ``Python 3``.
        platforms: Such as ``Linux x86_64`` or ``any platform``, without the oldest system.
        details: The oldest systems, such as ``glibc 2.17``; for a line of text.
    """

    pythons: tuple[str, ...]
    platforms: tuple[str, ...]
    details: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of it on one line."""
        older = f" ({', '.join(self.details)})" if self.details else ""
        return f"{', '.join(self.pythons)}; {', '.join(self.platforms)}{older}"


@dataclass(frozen=True, slots=True)
class WheelTable:
    """Which wheels of a release are for which Python and platform.

    Attributes:
        rows: A Python, and for each column the file's name, or an empty text.
    """

    platforms: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def tags_of(file: File) -> WheelTags | None:
    """Return the tags of a wheel in words; None for an sdist."""
    if file.kind is not Kind.WHEEL:
        return None
    parts = file.filename.removesuffix(".whl").split("-")
    if len(parts) < 5:
        return None
    interpreters, abis, platforms = (part.split(".") for part in parts[-3:])
    pythons = dict.fromkeys(_python(interpreter, abis) for interpreter in interpreters)
    described = [_platform(platform) for platform in platforms]
    return WheelTags(
        tuple(pythons),
        tuple(dict.fromkeys(name for name, _ in described)),
        tuple(dict.fromkeys(detail for _, detail in described if detail)),
    )


def wheel_table(files: Iterable[File]) -> WheelTable | None:
    """Return the table of a release with many wheels; None for one with few, and for one that would be too large to be read."""
    wheels = [(file, tags) for file in files if (tags := tags_of(file)) is not None]
    if len(wheels) <= MANY_WHEELS:
        return None
    all_pythons = {python for _, tags in wheels for python in tags.pythons}
    all_platforms = {platform for _, tags in wheels for platform in tags.platforms}
    if len(all_pythons) * len(all_platforms) > LARGEST_TABLE:
        return None
    cells: dict[tuple[str, str], str] = {}
    for file, tags in wheels:
        for python in tags.pythons:
            for platform in tags.platforms:
                cells.setdefault((python, platform), file.filename)
    pythons = sorted(all_pythons, key=_natural, reverse=True)
    platforms = tuple(sorted(all_platforms, key=_natural))
    rows = tuple(
        (python, tuple(cells.get((python, platform), "") for platform in platforms)) for python in pythons
    )
    return WheelTable(platforms, rows)


def _python(interpreter: str, abis: list[str]) -> str:
    match = re.fullmatch(r"([a-z]+)(\d)(\d*)", interpreter)
    if match is None:
        return interpreter
    version = f"{match[2]}.{match[3]}" if match[3] else match[2]
    name = f"{_INTERPRETERS.get(match[1], match[1])} {version}"
    if "abi3" in abis:
        return f"{name} and newer"
    if "abi3t" in abis:
        return f"{name} without GIL and newer"
    return f"{name} without GIL" if any(abi.endswith("t") and abi.startswith("cp") for abi in abis) else name


def _platform(tag: str) -> tuple[str, str]:
    """Return a platform and its oldest system."""
    if tag == "any":
        return "any platform", ""
    match = _PLATFORM.fullmatch(tag)
    if match is None:
        return tag, ""
    if match["libc"]:
        libc = "musl" if match["libc"] == "musllinux" else "glibc"
        oldest = _GLIBC.get(match["year"] or "") or f"{match['major']}.{match['minor']}"
        kind = "Linux" if libc == "glibc" else "Linux (musl)"
        return f"{kind} {_MACHINES.get(match['machine'], match['machine'])}", f"{libc} {oldest}"
    if match["mac"]:
        oldest = match["release"].replace("_", ".").removesuffix(".0")
        return f"macOS {_MACHINES.get(match['chip'], match['chip'])}", f"macOS {oldest}"
    if match["other"]:
        name, since = _OTHERS[match["other"]], match["since"].replace("_", ".")
        return f"{name} {match['device'].replace('_', ' ')}", f"{name} {since}"
    if match["linux"]:
        return f"Linux {_MACHINES.get(match['linux'], match['linux'])}", ""
    machine = match["windows"] or match["win32"]
    return f"Windows {_MACHINES.get(machine, machine)}", ""


def _natural(text: str) -> tuple[object, ...]:
    """Return a sort key by which 3.9 is before 3.10."""
    return tuple(
        (1, int(part), "") if part.isdecimal() else (0, 0, part) for part in re.split(r"(\d+)", text)
    )
