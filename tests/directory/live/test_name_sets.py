"""Sets of names over the catalogue's, and tables of snapshots over a catalogue: as plain sets and dicts, whatever is done to them."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.names import ProjectName
from simpleindex.directory.live.snapshot_table import DAMAGED, SnapshotTable
from simpleindex.directory.scan.catalogue import CatalogueFile
from simpleindex.directory.scan.name_sets import NameSet, RemainingNames, SortedNames
from simpleindex.directory.scan.resting import packed_at_rest
from simpleindex.directory.scan.snapshot import NO_SNAPSHOT, ProjectSnapshot
from tests.fixtures.snapshots import snapshot_at_rest

if TYPE_CHECKING:
    from pathlib import Path

# Names that begin alike, and more than one group of them.
NAMES = [ProjectName(name) for name in ("a", "a-b", "a-b-c", "ab", "abc", "b", "b1", "b10", "b2", "c")]
MANY = [ProjectName(f"p{number}") for number in range(150)]

some_names = st.sets(st.sampled_from([*NAMES, *MANY]))


@given(some_names, some_names)
def test_each_name_has_the_number_of_its_place(names: set[ProjectName], others: set[ProjectName]) -> None:
    """And one that is not there, also a part of one or two together, has none."""
    in_order = sorted(names)
    found = SortedNames.of(in_order)
    assert [*found] == in_order
    assert len(found) == len(names)
    assert [found.number(name) for name in in_order] == [*range(len(names))]
    absent = (others - names) | {"", "-", "a-", "\na", "a\nab", "zz"}
    assert {found.number(name) for name in absent} == {-1}
    flags = bytes(name in others for name in in_order)
    assert [*found.selected(flags)] == sorted(names & others)


@given(some_names, some_names, some_names)
def test_sets(catalogued: set[ProjectName], first: set[ProjectName], second: set[ProjectName]) -> None:
    """Members, order and differences, over the same names, over others, and over none."""
    base = SortedNames.of(sorted(catalogued))
    one, other = NameSet.of(base, first), NameSet.of(base, second)
    elsewhere = NameSet.of(SortedNames.of(sorted(second)), second)
    plain = NameSet(others=second)
    assert (set(one), [*one.in_order()], len(one)) == (first, sorted(first), len(first))
    assert [name in one for name in (*NAMES, *MANY)] == [name in first for name in (*NAMES, *MANY)]
    for same in (other, elsewhere, plain):
        assert set(same) == second
        assert one.difference(same) == first - second
        assert same.difference(one) == second - first


@given(some_names, some_names, st.sets(st.sampled_from(NAMES)), st.lists(st.sampled_from([*NAMES, *MANY])))
def test_names_are_taken_out(
    catalogued: set[ProjectName], names: set[ProjectName], more: set[ProjectName], taken: list[ProjectName]
) -> None:
    """One after the other, in order, and the set that they came from keeps them."""
    whole = NameSet.of(SortedNames.of(sorted(catalogued)), names - more)
    remaining = RemainingNames(whole, more)
    in_turn = remaining.in_order()
    for name in taken:
        remaining.discard(name)
    assert set(remaining) == (names | more).difference(taken)
    assert len(remaining) == len({*remaining})
    assert [name for name in in_turn if name in remaining] == sorted(remaining)
    assert set(whole) == names - more


def test_a_name_on_its_way_to_the_others_is_there_once() -> None:
    """Another thread may look while it is in both places."""
    others: dict[ProjectName, int] = {}
    names = NameSet(SortedNames.of(NAMES), others.keys())
    names.add_numbers([0, 2])
    others[NAMES[2]] = 1
    assert [*names] == [NAMES[0], NAMES[2]]
    names.remove_number_of(NAMES[2])
    assert [*names] == [NAMES[0], NAMES[2]]
    names.remove_number_of(NAMES[2])
    assert (names.numbers, NAMES[2] in names, names.number(NAMES[2])) == (1, True, -1)


changes = st.one_of(
    st.tuples(st.just("at rest"), st.sampled_from(NAMES)),
    st.tuples(st.just("in flux"), st.sampled_from(NAMES)),
    st.tuples(st.just("remove"), st.sampled_from(NAMES)),
    st.tuples(st.just("request"), st.sampled_from(NAMES)),
    st.tuples(st.just("recall"), st.sampled_from(NAMES)),
)


def _catalogue_file(cache: str, names: list[ProjectName]) -> CatalogueFile:
    file = CatalogueFile.of(cache, "/packages", "local")
    packed = ((name, packed_at_rest(snapshot_at_rest(name))) for name in names)
    file.write(((name, data) for name, data in packed if data), now_ns=1)
    return file


@given(st.lists(changes, max_size=30))
def test_a_table_is_as_a_dict(steps: list[tuple[str, ProjectName]]) -> None:
    """Whatever comes, goes, changes and is requested, of what the catalogue has and of what it has not."""
    with tempfile.TemporaryDirectory() as cache:
        catalogue = _catalogue_file(cache, NAMES[2:8]).open()
        assert catalogue is not None
        table = SnapshotTable(catalogue)
        model: dict[ProjectName, ProjectSnapshot] = {}
        for step, (what, name) in enumerate(steps, 1):
            if what == "recall":
                stored = catalogue.project(name)
                assert (stored is not None) == (name in NAMES[2:8])
                if stored is not None and not table.has_stored(stored):
                    assert name not in model
                    table.add_stored([stored])
                    model[name] = snapshot_at_rest(name)
            elif what == "remove":
                table.remove(name)
                model.pop(name, None)
            elif what == "request":
                assert table.get(name, None) == model.get(name)
            else:
                model[name] = replace(snapshot_at_rest(name, step), young=what == "in flux")
                table[name] = model[name]
            _compare(table, model)
        assert dict(table.items()) == model
        catalogue.close()


def _compare(table: SnapshotTable, model: dict[ProjectName, ProjectSnapshot]) -> None:
    at_rest = sorted(name for name in model if not model[name].young)
    assert sorted(table) == sorted(table.listed()) == sorted(model)
    assert [name for name in NAMES if name in table] == sorted(model)
    assert [name for name, _ in table.at_rest_in_order()] == at_rest
    assert sorted(name for name, *_ in table.directories_at_rest()) == at_rest
    assert (len(table), table.projects, table.files) == (len(model), len(model), 2 * len(model))
    assert {name: table.peek(name) for name in model} == model


def test_what_is_damaged_is_never_taken_for_absent() -> None:
    """Each project whose packed snapshot, or the place of it, is damaged is to be read again."""
    for part in range(8):
        with tempfile.TemporaryDirectory() as cache:
            file = _catalogue_file(cache, NAMES)
            catalogue = file.open()
            assert catalogue is not None
            damaged: list[ProjectName] = []
            table = SnapshotTable(catalogue, damaged.append)
            table.add_stored([*catalogue.projects()])
            with open(file.path, "r+b") as raw:
                whole = raw.read()
                raw.seek(part * len(whole) // 8 % len(whole))
                raw.write(bytes(len(whole) // 8))
            for name in NAMES:
                snapshot = table.get(name, NO_SNAPSHOT)
                assert snapshot in (snapshot_at_rest(name), DAMAGED)
                assert (snapshot == DAMAGED) == (name in damaged)
            assert sorted(table) == NAMES
            catalogue.close()


@pytest.mark.parametrize("is_requested", [False, True])
def test_what_is_damaged_is_counted_once(is_requested: bool, tmp_path: Path) -> None:
    """Whatever of the catalogue is damaged: a project and its page too. What is read again replaces it in the counts."""
    names = [ProjectName(f"p{number:03}") for number in range(300)]
    for part in range(8):
        file = _catalogue_file(str(tmp_path), names)
        catalogue = file.open()
        assert catalogue is not None
        table = SnapshotTable(catalogue)
        table.add_stored([*catalogue.projects()])
        counted = (table.projects, table.files, table.size)
        with open(file.path, "r+b") as raw:
            whole = raw.read()
            raw.seek(part * len(whole) // 8)
            raw.write(bytes(len(whole) // 4))
        catalogue.clear_caches()
        for name in names[::2]:
            if is_requested:
                table.get(name, NO_SNAPSHOT)
            table[name] = snapshot_at_rest(name)
        assert (table.projects, table.files, table.size) == counted
        for name in names:
            table.remove(name)
        assert (table.projects, table.files, table.size) == (0, 0, 0)
        catalogue.close()
