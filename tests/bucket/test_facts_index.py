"""Facts about objects in the bucket itself: a fresh node requests no object, and nothing that is wrong there is believed."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.bucket import facts_index
from simpleindex.bucket.facts_index import DIRECTORY, FactsIndex
from simpleindex.bucket.store_errors import ConditionFailed
from tests.fixtures.bucket import ACME
from tests.fixtures.deferreds import result
from tests.fixtures.distributions import sdist_bytes, sdist_name, wheel_bytes, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fixtures.bucket import BucketNode
    from tests.fixtures.log import CapturedLog

WHEEL, SDIST = wheel_name(), sdist_name()


@pytest.fixture(autouse=True)
def _small_indexes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One file is reason enough to write."""
    monkeypatch.setattr(facts_index, "_LEAST_NEW", 1)


def indexed(node: BucketNode, *, may_write: bool = True) -> BucketNode:
    """Return a node that shares facts in the bucket."""
    node.digests._shared = FactsIndex(node.bucket, lambda: may_write)
    return node


def parts(node: BucketNode) -> dict[str, bytes]:
    """The objects of the index."""
    return {each.key: node.store.read(each.key)[0] for each in node.store.list(f"{DIRECTORY}/")}


def without_requests(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> BucketNode:
    """A node that can request neither the metadata of an object nor an object."""

    def away(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(node.store, "state", away)
    monkeypatch.setattr(node.store, "download", away)
    return node


def test_a_fresh_node(
    new_node: Callable[..., BucketNode], monkeypatch: pytest.MonkeyPatch, log: CapturedLog
) -> None:
    """It takes the facts of every object from the index, also of uploads and of files of other programs; what is gone is left out."""
    one = indexed(new_node("one"))
    one.put(f"acme/{SDIST}", sdist_bytes())
    one.put("loose-1.0-py3-none-any.whl", wheel_bytes("loose"))
    gone = wheel_name("acme", "0.9")
    one.put(f"acme/{gone}", wheel_bytes("acme", "0.9"))
    one.begin()
    result(one.upload(wheel_bytes(), WHEEL))
    one.store.delete(f"acme/{gone}")
    one.list_again()
    one.digests.end_start()
    result(one.upload(wheel_bytes("acme", "1.1"), wheel_name("acme", "1.1")))
    two = without_requests(indexed(new_node("two")), monkeypatch).begin()
    assert two.files().keys() == {SDIST, WHEEL, wheel_name("acme", "1.1")}
    assert two.files() == one.files()
    assert two.names() == ["acme", "loose"]
    assert len(parts(one)) >= 2
    before = parts(one)
    two.digests._shared = FactsIndex(two.bucket, lambda: True)
    two.digests._shared.save()
    assert parts(one) == before
    assert not any(
        gone in row for content in before.values() for row in map(str, facts_index._rows_in(content))
    )
    assert not any("cannot" in line for line in log.lines)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no zlib",
        zlib.compress(b"["),
        zlib.compress(b"[]")[:-2],
        zlib.compress(b"[1]"),
        zlib.compress(b"[" * 100_000),
        zlib.compress(json.dumps([[f"acme/{WHEEL}", "another state", "[]"]]).encode()),
        zlib.compress(b" " * 9_000),
    ],
)
def test_an_index_that_is_damaged(
    content: bytes, new_node: Callable[..., BucketNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The objects are read, and it is written again."""
    monkeypatch.setattr(facts_index, "_MOST_BYTES", 1_000)
    node = indexed(new_node("one"))
    node.put(f"acme/{WHEEL}", wheel_bytes())
    node.put(f"{DIRECTORY}/{facts_index._part_of(f'acme/{WHEEL}'):x}", content)
    node.begin()
    assert node.files().keys() == {WHEEL}
    assert without_requests(indexed(new_node("two")), monkeypatch).begin().files() == node.files()


def test_an_index_that_is_too_large(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is neither read nor written."""
    indexed(node)
    part = f"{DIRECTORY}/{facts_index._part_of(f'acme/{WHEEL}'):x}"
    node.put(f"acme/{WHEEL}", wheel_bytes())
    node.put(part, b"12345")
    monkeypatch.setattr(facts_index, "_MOST_BYTES", 4)
    node.begin()
    assert node.files().keys() == {WHEEL}
    assert parts(node) == {part: b"12345"}


def test_an_index_that_changes_meanwhile(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    node.put(f"acme/{WHEEL}", wheel_bytes())
    node.put(f"{DIRECTORY}/0", b"")
    result(node.live.list_again())

    def changed(*_: Any) -> Any:
        raise ConditionFailed

    monkeypatch.setattr(node.store, "read", changed)
    assert FactsIndex(node.bucket, lambda: True).all() == {}


def test_a_bucket_that_takes_no_changes(node: BucketNode) -> None:
    """Nothing is written into it."""
    node.put(f"acme/{WHEEL}", wheel_bytes())
    indexed(node, may_write=False).begin()
    assert parts(node) == {}


def test_an_index_that_cannot_be_written(
    node: BucketNode, monkeypatch: pytest.MonkeyPatch, log: CapturedLog
) -> None:
    """One line says so; the node serves on."""

    def away(*_: Any) -> None:
        raise TimeoutError(110, "the store cannot be reached")

    monkeypatch.setattr(node.store, "put_text", away)
    node.put(f"acme/{WHEEL}", wheel_bytes())
    indexed(node).begin()
    assert node.files(ACME).keys() == {WHEEL}
    assert [line for line in log.lines if "Facts of 1 object cannot be written" in line]


def test_few_new_facts(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """They wait until there are more."""
    monkeypatch.setattr(facts_index, "_LEAST_NEW", 2)
    indexed(node).begin()
    result(node.upload(wheel_bytes(), WHEEL))
    assert parts(node) == {}
    result(node.upload(sdist_bytes(), SDIST))
    assert len(parts(node)) == 1
