"""A page with the files of many projects, taken apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.files import File, file_order
from simpleindex.core.model import Project, Withheld
from simpleindex.core.names import ProjectName, parse_distribution_name
from simpleindex.upstreams.pages.flat import FLAT_PAGE_NAME, split
from tests.fixtures.distributions import sdist_name, wheel_name

NAMES = [
    name(project, version)
    for project in ("acme", "a-b", "zoo")
    for version in ("1.0", "2.0")
    for name in (wheel_name, sdist_name)
]
SOME = st.lists(st.sampled_from(NAMES), unique=True)


def page(filenames: list[str], *, stale: bool = False) -> Project:
    """A page with such files."""
    files = []
    for filename in filenames:
        name = parse_distribution_name(filename)
        url = f"https://up.example/{filename}"
        files.append(File(filename, name.version, name.kind, None, None, None, url=url, source="up"))
    return Project(FLAT_PAGE_NAME, tuple(sorted(files, key=file_order)), stale=stale)


@given(SOME, SOME)
def test_nothing_is_lost_and_what_stays_is_the_same(before: list[str], now: list[str]) -> None:
    """Each file is in its own project; a project whose files are as they were is the same object."""
    first = split(page(before), {})
    second = split(page(now), first)
    for filenames, parts in ((before, first), (now, second)):
        assert sorted(file.filename for part in parts.values() for file in part.files) == sorted(filenames)
        assert list(parts) == sorted(parts)
        for name, part in parts.items():
            assert {parse_distribution_name(file.filename).project for file in part.files} == {name}
            assert part.files
            assert list(part.files) == sorted(part.files, key=file_order)
    for name in first.keys() & second.keys():
        assert (first[name] is second[name]) == (first[name].files == second[name].files)


def test_stale() -> None:
    """A page that could not be asked for again makes all its projects old."""
    fresh = split(page(NAMES), {})
    stale = split(page(NAMES, stale=True), fresh)
    assert all(part.stale for part in stale.values())
    assert not any(part.stale for part in fresh.values())


def test_withheld() -> None:
    """A file that is withheld stands with its project, and is one; what is no project's stands nowhere."""
    names = (
        "only-1.0.zip",
        "acme-9.0.zip",
        "junk.zip",
        "acme-9.1",
        "acme-9.2.ZIP",
        "acme",
        "acme-1.0-py3.egg",
    )
    withheld = tuple(Withheld(name, "no.", "url") for name in names)
    parts = split(Project(FLAT_PAGE_NAME, page([wheel_name()]).files, withheld), {})
    assert {name: len(part.withheld) for name, part in parts.items()} == {"acme": 3, "only": 1}
    assert not parts[ProjectName("only")].files
