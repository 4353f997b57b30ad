"""Where projects lie: the plain ones without a value of their own, and what changed between two surveys."""

from __future__ import annotations

from simpleindex.core.names import ProjectName
from simpleindex.directory.layout.directory_listings import RootListing
from simpleindex.directory.live.project_places import Places, ProjectPlaces
from simpleindex.system.stamp import Stamp

PLAIN, NAMED, LOOSE, BOTH = map(ProjectName, ("plain", "named", "loose", "both"))


def _survey(**directories: tuple[str, ...]) -> RootListing:
    loose = {LOOSE: ("loose-1.0.tar.gz",), BOTH: ("both-1.0.tar.gz",)}
    named = {ProjectName(name): raw for name, raw in directories.items()}
    return RootListing((1, 2), Stamp(1, 2, 3, 4, 5), named, loose, {})


FIRST = ProjectPlaces.listed(
    _survey(plain=("plain",), named=("named", "Named"), both=("both",)), ProjectPlaces()
)


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


def test_changes() -> None:
    """What lies elsewhere, and what lies in the root, where it may have been overwritten under its name."""
    same = ProjectPlaces.listed(_survey(plain=("plain",), named=("named", "Named"), both=("both",)), FIRST)
    assert same.has_names_of(FIRST)
    assert same.changed(FIRST) == {LOOSE, BOTH}
    moved = ProjectPlaces.listed(
        _survey(plain=("Plain",), named=("named",), new=("new",), both=("both",)), FIRST
    )
    assert not moved.has_names_of(FIRST)
    assert moved.changed(FIRST) == {PLAIN, NAMED, "new", LOOSE, BOTH}


def test_the_text_of_a_name_is_kept() -> None:
    """Each survey makes the texts anew; the table of snapshots has the first ones."""
    again = str(b"plain", "ascii")
    second = ProjectPlaces.listed(_survey(**{again: (again,)}), FIRST)
    first = next(name for name in FIRST if name == PLAIN)
    assert next(name for name in second if name == PLAIN) is first
