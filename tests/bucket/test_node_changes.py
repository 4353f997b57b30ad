"""Whether a node or somebody by hand changed a bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.bucket.node_changes import files_changed_by_nodes
from simpleindex.bucket.store_errors import MissingObject
from simpleindex.core.names import ProjectName
from simpleindex.directory.live.listing_changes import FileChanges
from tests.fixtures.bucket import ACME, BUCKET
from tests.fixtures.deferreds import result
from tests.fixtures.distributions import sdist_bytes, sdist_name, wheel_bytes, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.fixtures.bucket import BucketNode

WHEEL, SDIST = wheel_name(), sdist_name()


def test_changes_of_nodes(new_node: Callable[..., BucketNode]) -> None:
    """What a node uploads, overwrites, deletes and undeletes; a copy by another program keeps the metadata, and is none."""
    one, two = new_node("one").begin(), new_node("two").begin()

    def seen(*, vanished: tuple[str, ...] = (), appeared: tuple[str, ...] = ()) -> set[tuple[bool, str]]:
        two.list_again()
        return {*files_changed_by_nodes(two.bucket, ACME, FileChanges(vanished, (), appeared))}

    result(one.upload(wheel_bytes(), WHEEL))
    one.put(f"acme/{SDIST}", sdist_bytes())
    one.put("acme-1.1-py3-none-any.whl", wheel_bytes("acme", "1.1"))
    here = (WHEEL, SDIST, "acme-1.1-py3-none-any.whl")
    assert seen(appeared=here) == {(False, WHEEL)}
    result(one.upload(sdist_bytes("acme", "1.0", "Summary: another"), SDIST, overwrite=True))
    assert seen(appeared=here) == {(False, WHEEL), (False, SDIST)}
    one.client.copy_object(Bucket=BUCKET, Key=f"py/Acme/{WHEEL}", CopySource=f"{BUCKET}/py/acme/{WHEEL}")
    one.client.delete_object(Bucket=BUCKET, Key=f"py/acme/{WHEEL}")
    assert seen(vanished=("other.whl",), appeared=(WHEEL,)) == set()
    one.list_again()
    result(one.publishing.delete(ACME, WHEEL, by="alice"))
    assert seen(vanished=(WHEEL,)) == {(True, WHEEL)}
    result(one.publishing.undelete(ACME, WHEEL, by="alice"))
    assert seen(appeared=(WHEEL,)) == {(False, WHEEL)}


def test_an_object_that_went(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its going is another change."""
    node.put(f"acme/{WHEEL}", wheel_bytes())
    node.begin()

    def gone(_: str) -> None:
        raise MissingObject

    monkeypatch.setattr(node.store, "state", gone)
    assert files_changed_by_nodes(node.bucket, ProjectName("acme"), FileChanges((), (WHEEL,), ())) == set()
