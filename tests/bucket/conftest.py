"""A bucket in memory, and nodes that serve it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore import session
from moto import mock_aws

from tests.fixtures.bucket import BUCKET, BucketNode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True, scope="session")
def _descriptions_are_read_once() -> Iterator[None]:
    """Let all sessions of boto3 share what they read from its files, which takes longer than most tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "create_loader", cache(session.create_loader))
        yield


@pytest.fixture
def new_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., BucketNode]]:
    """Makes nodes of one bucket, by name."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    nodes: list[BucketNode] = []

    def make(name: str = "node", **further: Any) -> BucketNode:
        nodes.append(BucketNode(tmp_path / name, **further))
        return nodes[-1]

    with mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=BUCKET)
        yield make
        for node in nodes:
            node.digests.close()


@pytest.fixture
def node(new_node: Callable[[str], BucketNode]) -> BucketNode:
    """One node; it has not listed yet."""
    return new_node("node")
