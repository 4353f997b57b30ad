"""Where projects lie: the plain ones without a value of their own, and what changed between two surveys."""

from __future__ import annotations

from simpleindex.core.names import ProjectName
from simpleindex.directory.layout.directory_listings import RootListing
from simpleindex.directory.live.project_places import Places, ProjectPlaces
from simpleindex.directory.scan.name_sets import NO_NAMES, NameSet, SortedNames
from simpleindex.system.stamp import Stamp
from tests.fixtures.tables import for_each

PLAIN, NAMED, LOOSE, BOTH = map(ProjectName, ("plain", "named", "loose", "both"))


def _survey(**directories: tuple[str, ...]) -> RootListing:
    loose = {LOOSE: ("loose-1.0.tar.gz",), BOTH: ("both-1.0.tar.gz",)}
    named = {ProjectName(name): raw for name, raw in directories.items()}
    return RootListing((1, 2), Stamp(1, 2, 3, 4, 5), named, loose, {})


CATALOGUED = SortedNames.of([NAMED, PLAIN])
FIRST = ProjectPlaces.listed(_survey(plain=("plain",), named=("named", "Named"), both=("both",)), CATALOGUED)


def test_places() -> None:
    """Of plain projects, of others, and of those that are not there."""
    assert FIRST.of(PLAIN) == (("plain",), ())
    assert FIRST.of(NAMED) == (("named", "Named"), ())
    assert FIRST.of(LOOSE) == ((), ("loose-1.0.tar.gz",))
    assert FIRST.of(BOTH) == Places(("both",), ("both-1.0.tar.gz",))
    assert FIRST.of(ProjectName("nobody")) == (("nobody",), ())
    assert set(FIRST) == {PLAIN, NAMED, LOOSE, BOTH}
    assert len(FIRST) == 4
    assert PLAIN in FIRST
    assert LOOSE in FIRST
    assert "nobody" not in FIRST


@for_each("catalogued", (CATALOGUED, NO_NAMES, SortedNames.of([PLAIN])))
def test_changes(catalogued: SortedNames) -> None:
    """What lies elsewhere, and what lies in the root, where it may have been overwritten under its name."""
    same = ProjectPlaces.listed(
        _survey(plain=("plain",), named=("named", "Named"), both=("both",)), catalogued
    )
    assert same.has_names_of(FIRST)
    assert same.changed(FIRST) == {LOOSE, BOTH}
    moved = ProjectPlaces.listed(
        _survey(plain=("Plain",), named=("named",), new=("new",), both=("both",)), catalogued
    )
    assert not moved.has_names_of(FIRST)
    assert moved.changed(FIRST) == {PLAIN, NAMED, "new", LOOSE, BOTH}
    assert moved.missing_in(NameSet(catalogued, {NAMED, LOOSE})) == {PLAIN, "new", BOTH}
