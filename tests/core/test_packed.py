"""Packed files are the files that were packed."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.files import File, Sidecar
from simpleindex.core.names import Kind
from simpleindex.core.packed import PackedFiles, total_size

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
    assert (len(packed), total_size(packed)) == (len(some), total_size(tuple(some)))
    assert repr(packed) == repr(tuple(some))
    assert [packed[index] for index in range(len(some))] == some
    assert packed[1:] == tuple(some[1:])


@given(several, several)
def test_equality_is_that_of_the_files(one: list[File], other: list[File]) -> None:
    """By which a project that looks the same as before keeps its pages."""
    assert (PackedFiles(one) == PackedFiles(other)) == (one == other)
    copies = pickle.loads(pickle.dumps(one))
    assert PackedFiles(copies) == PackedFiles(one) == tuple(one)
    assert hash(PackedFiles(copies)) == hash(PackedFiles(one)) == hash(tuple(one))
