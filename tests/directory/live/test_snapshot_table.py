"""The table of snapshots: what is packed comes out as it was, is one object while it is requested, and is counted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.model import Project, Status, Withheld
from simpleindex.core.names import ProjectName
from simpleindex.directory.live import snapshot_table
from simpleindex.directory.live.snapshot_table import SnapshotTable
from simpleindex.directory.project_file import ProjectFile
from simpleindex.directory.scan.resting import packed_at_rest, unpacked_snapshot
from simpleindex.directory.scan.snapshot import NO_SNAPSHOT, ProjectSnapshot
from tests.fixtures.snapshots import snapshot_at_rest
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from collections.abc import Iterator

ACME, OTHER, THIRD = map(ProjectName, ("acme", "other", "third"))


def _in_flux(name: ProjectName = OTHER) -> ProjectSnapshot:
    return replace(snapshot_at_rest(name), young=True)


def test_a_packed_snapshot_comes_out_as_it_was() -> None:
    """All of it, with the number of the change that made it."""
    before = snapshot_at_rest(ACME)
    data = packed_at_rest(before)
    assert data is not None
    after = unpacked_snapshot(ACME, data)
    assert (after.project, after.stamps, after.has_traces) == (before.project, before.stamps, True)
    assert after.known.unpacked() == before.known.unpacked()
    assert after.chosen == before.chosen
    assert after.project is not None


def _not_at_rest() -> Iterator[ProjectSnapshot]:
    whole = snapshot_at_rest(ACME)
    assert whole.project is not None
    yield ProjectSnapshot()
    yield replace(whole, young=True)
    yield replace(whole, pending=True)
    yield replace(whole, unverified=True)
    yield replace(whole, partial=True)
    yield replace(whole, doubtful=True)
    yield replace(whole, trouble="It cannot be read.")
    yield replace(whole, has_traces=False)
    yield replace(whole, stamps={})
    yield replace(whole, project_file=ProjectFile(Status.ARCHIVED))
    yield replace(whole, project=replace(whole.project, status=Status.ARCHIVED))
    yield replace(whole, project=replace(whole.project, status_reason="It moved."))
    yield replace(whole, project=replace(whole.project, withheld=(Withheld("a", "b", "name"),)))


@for_each("snapshot", tuple(_not_at_rest()))
def test_what_is_more_than_files_is_not_packed(snapshot: ProjectSnapshot) -> None:
    """It is kept as it is."""
    assert packed_at_rest(snapshot) is None
    table = SnapshotTable()
    table[ACME] = snapshot
    assert table[ACME] is snapshot
    assert table.in_flux() == [(ACME, snapshot)]
    assert not table.at_rest


def test_what_is_requested_twice_is_one_object() -> None:
    """Else each request would render a page anew."""
    table = SnapshotTable()
    table[ACME] = snapshot_at_rest(ACME)
    assert ACME not in table.unpacked
    first = table[ACME]
    assert table.get(ACME, NO_SNAPSHOT) is first
    assert table.peek(ACME) is not first
    changed = replace(first, project=Project(ACME, tuple(first.project.files)[:1]) if first.project else None)
    table[ACME] = changed
    assert table[ACME] is changed


def test_only_so_many_are_kept_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest unpacked go first; what is not at rest stays."""
    monkeypatch.setattr(snapshot_table, "_MOST_UNPACKED", 8)
    table = SnapshotTable()
    table[OTHER] = _in_flux()
    names = [ProjectName(f"p{number}") for number in range(9)]
    for name in names:
        table[name] = snapshot_at_rest(name)
    kept = [table[name] for name in names]
    assert len(table.unpacked) == 9
    assert table[names[1]] is kept[1]
    assert table[names[0]] is not kept[0]
    assert table[OTHER].young


def test_counts_follow_every_change() -> None:
    """Of projects, files and bytes, whichever way a project goes."""
    table = SnapshotTable()

    def counts() -> tuple[int, int, int]:
        return table.projects, table.files, table.size

    whole = snapshot_at_rest(ACME)
    table[ACME] = whole
    assert counts() == (1, 2, 3_001)
    table[OTHER] = _in_flux()
    table[THIRD] = ProjectSnapshot(trouble="It cannot be read.")
    assert counts() == (2, 4, 6_002)
    table[ACME] = replace(whole, young=True)
    table[OTHER] = snapshot_at_rest(OTHER)
    assert counts() == (2, 4, 6_002)
    for name in (ACME, OTHER, THIRD, ProjectName("nobody")):
        table.remove(name)
    assert counts() == (0, 0, 0)
    assert len(table) == 0


def test_names_and_members() -> None:
    """Each once, packed or not."""
    table = SnapshotTable()
    table[ACME] = snapshot_at_rest(ACME)
    table[OTHER] = _in_flux()
    table[THIRD] = ProjectSnapshot()
    assert table[ACME].project is not None
    assert sorted(table) == [ACME, OTHER, THIRD]
    assert len(table) == 3
    assert ACME in table
    assert OTHER in table
    assert "nobody" not in table
    assert sorted(table.listed()) == [ACME, OTHER]
    assert dict(table.items()).keys() == {ACME, OTHER, THIRD}
    assert [(name, raw) for name, raw, _ in table.directories_at_rest()] == [(ACME, "acme")]
    with pytest.raises(KeyError):
        table[ProjectName("nobody")]


def test_what_goes_while_others_read_is_left_out() -> None:
    """A thread goes through the table while the reactor changes it."""
    table = SnapshotTable()
    table[ACME] = snapshot_at_rest(ACME)
    table[OTHER] = snapshot_at_rest(OTHER)
    reading = table.items()
    assert next(reading)[0] == ACME
    table.remove(OTHER)
    assert list(reading) == []
