"""Packed files are the files that were packed."""

from __future__ import annotations

import pickle
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.files import File, Sidecar
from simpleindex.core.model import Project, restored_files, stored_files
from simpleindex.core.names import Kind, ProjectName
from simpleindex.core.packed import PackedFiles
from simpleindex.core.serialization import deserialize, serialize

texts = st.text(st.characters(exclude_categories=()), max_size=40)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
files = st.builds(
    File,
    texts,
    texts,
    st.sampled_from(Kind),
    st.none() | st.integers(0, 2**63),
    st.none() | digests,
    st.none() | st.integers(-(2**80), 2**80),
    st.none() | texts,
    st.none() | st.builds(Sidecar, digests, st.integers(0, 2**24)),
    st.none() | texts,
    st.sampled_from([(), (".asc",), (".asc", ".sig")]),
    st.booleans(),
    st.none() | st.tuples(texts, texts),
    st.none() | texts,
    st.none() | texts,
    st.sampled_from([None, "first-seen"]),
    st.sampled_from(["local", "pypi"]),
)
several = st.lists(files, max_size=5)


@given(several)
def test_what_was_packed_comes_out(some: list[File]) -> None:
    """In its order, with the length, the size and the text of the same tuple."""
    packed = PackedFiles(some)
    assert tuple(packed) == tuple(some)
    assert (len(packed), packed.size) == (len(some), sum(file.size or 0 for file in some))
    assert repr(packed) == repr(tuple(some))
    assert [packed[index] for index in range(len(some))] == some
    assert packed[1:] == tuple(some[1:])


@given(several, texts)
def test_a_file_is_found_by_its_name(some: list[File], other: str) -> None:
    """The first of that name, without unpacking the others."""
    project = Project(ProjectName("acme"), some)
    for name in (other, *(file.filename for file in some)):
        assert project.file(name) == next((file for file in some if file.filename == name), None)


@given(several)
def test_files_are_stored_as_plain_values(some: list[File]) -> None:
    """From which a project has the same files again."""
    project = Project(ProjectName("acme"), some)
    stored = stored_files(project.files)
    assert restored_files(stored) == project.files == tuple(some)
    assert stored == stored_files(some) == deserialize(serialize(tuple(stored)))
    assert (project.size, project.memory) == (stored.size, len(stored.data))


def test_a_project_packs_its_files_once() -> None:
    """Whatever is replaced beside them, for else a change of its status would cost as much as a new list."""
    project = Project(ProjectName("acme"), [File("acme-1.0.zip", "1.0", Kind.SDIST, 1, None, None)])
    assert type(project.files) is PackedFiles
    assert replace(project, stale=True).files is project.files


@given(several, several)
def test_equality_is_that_of_the_files(one: list[File], other: list[File]) -> None:
    """By which a project that looks the same as before keeps its pages."""
    assert (PackedFiles(one) == PackedFiles(other)) == (one == other)
    copies = pickle.loads(pickle.dumps(one))
    assert PackedFiles(copies) == PackedFiles(one) == tuple(one)
    assert hash(PackedFiles(copies)) == hash(PackedFiles(one)) == hash(tuple(one))
