"""Which files a machine wants of a project."""

from __future__ import annotations

from typing import Any

import pytest
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag

from simpleindex.commands.cache.choose_files import choose_files
from simpleindex.commands.cache.requirements import ProjectRequirement
from simpleindex.core.names import ProjectName
from tests.fixtures.tables import for_each

ANY = Tag("py3", "none", "any")
LINUX = [Tag("cp312", "cp312", "manylinux_2_17_x86_64"), ANY]
WINDOWS = [Tag("cp312", "cp312", "win_amd64"), ANY]

FILES = (
    "acme-1.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "acme-1.0-cp312-cp312-win_amd64.whl",
    "acme-1.0-py3-none-any.whl",
    "acme-1.0.tar.gz",
    "acme-2.0.tar.gz",
    "acme-3.0rc1.tar.gz",
    "acme-4.0.tar.gz",
    "acme-odd",
)
PAGE = {
    "files": [
        {
            "filename": name,
            "url": name,
            "hashes": {"sha256": f"{number}" * 64},
            **({"yanked": True} if "4.0" in name else {}),
        }
        for number, name in enumerate(FILES)
    ]
}


@for_each(
    ("versions", "platforms", "sha256s", "files"),
    [
        ("==1.0", [LINUX], (), [0]),
        ("==1.0", [WINDOWS], (), [1]),
        ("==1.0", [LINUX, WINDOWS], (), [0, 1]),
        ("==1.0", [[ANY]], (), [2]),
        ("==1.0", [[Tag("py2", "none", "any")]], (), [3]),
        ("==1.0", [], (), [0, 1, 2, 3]),
        ("", [LINUX], (), [4]),
        ("<2", [LINUX], (), [0]),
        (">=3.0rc1,<3.1", [LINUX], (), [5]),
        ("==3.0rc1", [LINUX], (), [5]),
        ("==4.0", [LINUX], (), [6]),
        ("==1.0", [LINUX], ("2" * 64, "3" * 64), [2]),
        ("", [LINUX], ("3" * 64,), [3]),
    ],
)
def test_chosen(
    versions: str, platforms: list[list[Tag]], sha256s: tuple[str, ...], files: list[int]
) -> None:
    """The newest version that is wanted, and of it the best wheel for each platform, else the sdist."""
    wanted = ProjectRequirement(ProjectName("acme"), SpecifierSet(versions), frozenset(sha256s))
    choice = choose_files(PAGE, wanted, platforms)
    assert [file["filename"] for file in choice.files] == [FILES[each] for each in files]
    assert choice.missing == ""


@pytest.mark.parametrize(
    ("versions", "sha256s", "sentence"),
    [
        ("==9.0", (), "acme==9.0 is not offered."),
        ("", ("f" * 64,), "acme in any version is not offered with one of the required hashes."),
    ],
)
def test_missing(versions: str, sha256s: tuple[str, ...], sentence: str) -> None:
    """It is said what is missing."""
    wanted = ProjectRequirement(ProjectName("acme"), SpecifierSet(versions), frozenset(sha256s))
    assert choose_files(PAGE, wanted, [LINUX]) == ((), sentence)


def test_nothing_for_a_platform() -> None:
    """Neither a wheel nor an sdist."""
    page: dict[str, Any] = {"files": PAGE["files"][:2]}
    wanted = ProjectRequirement(ProjectName("acme"), SpecifierSet("==1.0"))
    assert choose_files(page, wanted, [[ANY]]) == ((), "acme 1.0 has no file for these platforms.")
