"""Keys as directories of projects; what differs between two listings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.bucket.key_tree import KeyTree, ObjectState, changed_directories, tree_of
from simpleindex.config.bucket_location import BucketLocation, parse_location
from simpleindex.core.errors import InvalidSetting


def state(key: str, etag: str = '"1"') -> ObjectState:
    """An object."""
    return ObjectState(key, etag, 3, 5)


KEYS = st.sampled_from(["a/x", "a/y", "b/x", "c", "a/d/e", "b/"])
LISTINGS = st.dictionaries(KEYS, st.sampled_from(['"1"', '"2"']))


def tree(listing: dict[str, str]) -> KeyTree:
    """The tree of a listing."""
    return tree_of(state(key, etag) for key, etag in listing.items())


def test_a_tree() -> None:
    """Files in directories, loose ones, and how many lie deeper; a key with a slash at its end makes a directory."""
    made = tree({"a/x": '"1"', "c": '"1"', "a/d/e": '"1"', "b/": '"1"'})
    assert set(made.directories) == {"a", "b"}
    assert set(made.directories["a"]) == {"x"}
    assert made.directories["b"] == {}
    assert set(made.loose) == {"c"}
    assert made.deeper == {"a": 1}
    assert made.file("a/x") == state("a/x")
    assert made.file("c") == state("c")
    assert made.file("a/none") is made.file("none/x") is made.file("none") is None
    assert made.directory_stamp("none") is None


@given(LISTINGS, LISTINGS)
def test_what_differs(before: dict[str, str], now: dict[str, str]) -> None:
    """A directory is named exactly if one of its files came, went or changed; its stamp is another then, and only then."""
    one, two = tree(before), tree(now)
    changed = changed_directories(one, two)
    for raw in {*one.directories, *two.directories}:
        assert (raw in changed) == (one.directories.get(raw) != two.directories.get(raw))
        assert (raw in changed) == (one.directory_stamp(raw) != two.directory_stamp(raw))
    same_names = set(one.directories) == set(two.directories) and set(one.loose) == set(two.loose)
    assert (one.root_stamp == two.root_stamp) == same_names


@given(LISTINGS, LISTINGS)
def test_one_directory_is_taken_over(before: dict[str, str], now: dict[str, str]) -> None:
    """As if all of the later listing had been read, for that directory."""
    one, two = tree(before), tree(now)
    merged = one.with_directory("a", two.directories.get("a", {}), two.deeper.get("a", 0))
    assert merged.directories.get("a", {}) == two.directories.get("a", {})
    assert merged.deeper.get("a") == two.deeper.get("a")
    assert merged.directories.get("b") == one.directories.get("b")
    assert merged.loose == one.loose


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("s3://packages", BucketLocation("packages", "")),
        ("s3://packages/", BucketLocation("packages", "")),
        ("s3://company/a//b/", BucketLocation("company", "a/b/")),
    ],
)
def test_a_location(text: str, location: BucketLocation) -> None:
    assert parse_location(text) == location
    assert parse_location(str(location)) == location


@pytest.mark.parametrize(
    "text", ["s3://", "s3://a", "s3://x y/z", "s3://bucket/../x", "http://x", "s3:///prefix"]
)
def test_no_location(text: str) -> None:
    with pytest.raises(InvalidSetting):
        parse_location(text)
