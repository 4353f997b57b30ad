"""Tags of wheels (PEP 425) that a combination of Python and platform takes."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Final

from packaging.tags import compatible_tags, cpython_tags, sys_tags

from simpleindex.core.errors import RefusedStart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.tags import Tag

_LINUX: Final = re.compile(r"(manylinux|musllinux)_([0-9]+)_([0-9]{1,3})_(\w+)")


def supported_tags(pythons: Sequence[str], platforms: Sequence[str]) -> list[list[Tag]]:
    """Return the tags of each combination of Python and platform, the best first; of this Python if none is named.

    Args:
        pythons: Versions, such as 3.12.
        platforms: As wheels name them, such as ``manylinux_2_28_x86_64``.

    Raises:
        RefusedStart: A version is none.
    """
    if not pythons and not platforms:
        return [[*sys_tags()]]
    combinations = []
    for python in pythons or (f"{sys.version_info[0]}.{sys.version_info[1]}",):
        major, _, minor = python.partition(".")
        if not (major.isdecimal() and minor.isdecimal()):
            raise RefusedStart(f"--python-version: {python!r} is no version such as 3.12")
        version = int(major), int(minor)
        for platform in platforms or (None,):
            names = None if platform is None else _with_older(platform)
            tags = [*cpython_tags(version, platforms=names)]
            tags += compatible_tags(version, f"cp{major}{minor}", platforms=names)
            combinations.append(tags)
    return combinations


def _with_older(platform: str) -> list[str]:
    """Return a platform, and those whose wheels run on it too: of manylinux and musllinux the older ones (PEP 600, 656)."""
    matched = _LINUX.fullmatch(platform)
    if matched is None:
        return [platform]
    kind, major, minor, machine = matched[1], int(matched[2]), int(matched[3]), matched[4]
    names = [f"{kind}_{major}_{older}_{machine}" for older in range(minor, -1, -1)]
    if kind == "manylinux" and machine in ("x86_64", "i686"):
        legacy = {17: "2014", 12: "2010", 5: "1"}
        names += [f"manylinux{name}_{machine}" for older, name in legacy.items() if older <= minor]
    elif kind == "manylinux" and minor >= 17:
        names.append(f"manylinux2014_{machine}")
    return names
