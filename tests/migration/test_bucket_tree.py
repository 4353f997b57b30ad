"""The bucket of pypicloud, read in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from simpleindex.config.bucket_location import parse_location
from simpleindex.core.errors import RefusedStart
from simpleindex.core.names import ProjectName
from simpleindex.migration.bucket_tree import BucketTree, SourceBucket
from simpleindex.migration.errors import InvalidImportSource, NotImported
from tests.fixtures.distributions import sdist_bytes, wheel_bytes, wheel_name
from tests.fixtures.imports import ACME, sha256

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCATION = parse_location("s3://packages/cloud")
KEY = f"cloud/6ae2/acme/{wheel_name()}"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of the bucket, which is in memory."""
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with mock_aws():
        made = boto3.client("s3", region_name="us-east-1")
        made.create_bucket(Bucket="packages")
        yield made


def put(client: Any, key: str, data: bytes, **metadata: str) -> None:
    client.put_object(Bucket="packages", Key=key, Body=data, Metadata=metadata)


def tree() -> BucketTree:
    return BucketTree(SourceBucket(LOCATION), str(LOCATION))


def test_files_are_of_the_projects_that_they_name(client: Any) -> None:
    """With what pypicloud has noted, and what lies beside them."""
    put(client, KEY, wheel_bytes(), hash_sha256="ab" * 32)
    put(client, f"{KEY}.asc", b"signed")
    put(client, f"{KEY}.provenance", b"x" * 2_000_000)
    put(client, "cloud/other/other-1.0.tar.gz", sdist_bytes("other"), hash_sha256="AB")
    put(client, "cloud/.trash/acme/acme-0.1.tar.gz", b"")
    put(client, "elsewhere/acme/acme-3.0.tar.gz", b"")
    found = tree()
    assert found.projects() == ["acme", "other"]
    (file,) = found.project(ACME).files
    assert (file.filename, file.size, file.sha256) == (wheel_name(), len(wheel_bytes()), "ab" * 32)
    assert found.beside(ACME, file) == {".asc": b"signed"}
    content = found.open(ACME, file)
    assert content.modified_ns is not None
    assert (content.read(), content.read()) == (wheel_bytes(), b"")
    content.close()
    (other,) = found.project(ProjectName("other")).files
    assert other.sha256 is None
    assert found.sha256(ProjectName("other"), other) == sha256(sdist_bytes("other"))


def test_an_object_that_changed_or_is_gone(client: Any) -> None:
    """Nothing of it is imported, and nothing else fails."""
    put(client, KEY, wheel_bytes())
    put(client, f"{KEY}.asc", b"signed")
    found = tree()
    (file,) = found.project(ACME).files
    put(client, KEY, b"other")
    with pytest.raises(NotImported, match="it changed while it was read; import again"):
        found.open(ACME, file)
    client.delete_object(Bucket="packages", Key=KEY)
    client.delete_object(Bucket="packages", Key=f"{KEY}.asc")
    with pytest.raises(NotImported, match="it cannot be read: there is no such object"):
        found.open(ACME, file)
    assert found.project(ACME).files[0].sha256 is None
    assert found.beside(ACME, file) == {}


def test_a_bucket_that_cannot_be_used(client: Any) -> None:
    """One sentence, whether it is missing or out of order."""
    with pytest.raises(RefusedStart, match="there is no bucket 'nothing'"):
        SourceBucket(parse_location("s3://nothing"))
    assert client

    def busy(*_: object, **__: object) -> None:
        raise OSError(5, "the store is busy")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simpleindex.bucket.object_store.ObjectStore.list", busy)
        with pytest.raises(
            InvalidImportSource, match=r"s3://packages/cloud/? cannot be listed: the store is busy\."
        ):
            SourceBucket(LOCATION)
