"""The store by boto3: conditions, parts, refusals in one sentence; and whether it keeps its promises."""

from __future__ import annotations

import io
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from botocore.parsers import ResponseParserError

from simpleindex.bucket import object_store
from simpleindex.bucket.direct_requests import DirectRequests
from simpleindex.bucket.object_store import ObjectStore
from simpleindex.bucket.probe import broken_promise
from simpleindex.bucket.store_errors import ConditionFailed, MissingObject
from simpleindex.config.bucket_location import parse_location
from simpleindex.core.errors import RefusedStart
from simpleindex.system.operation_times import OperationTimes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fixtures.bucket import BucketNode


def create(store: ObjectStore, key: str, data: bytes) -> None:
    """Put something new."""
    store.create(key, io.BytesIO(data), len(data), sha256(data).hexdigest(), {"a": "b"})


def test_an_object(node: BucketNode) -> None:
    """New once; replaced only by those who know what is there; read in whole, in part, and only if it is the same."""
    store = node.store
    create(store, "a/x", b"one")
    with pytest.raises(ConditionFailed):
        create(store, "a/x", b"two")
    state, metadata = store.state("a/x")
    assert (state.size, metadata) == (3, {"a": "b"})
    assert [*store.list("a/")] == [state]
    store.replace("a/x", io.BytesIO(b"four"), 4, sha256(b"four").hexdigest(), {}, state.etag)
    with pytest.raises(ConditionFailed):
        store.replace("a/x", io.BytesIO(b"5"), 1, sha256(b"5").hexdigest(), {}, state.etag)
    with pytest.raises(ConditionFailed):
        store.read("a/x", state.etag)
    assert store.read("a/x")[0] == b"four"
    assert store.read("a/x", span=(1, 2))[0] == b"ou"
    store.copy("a/x", "a/y")
    store.delete("a/x")
    store.delete("a/x")
    assert [each.key for each in store.list()] == ["a/y"]
    with pytest.raises(MissingObject):
        store.read("a/x")
    with pytest.raises(MissingObject):
        store.state("a/x")
    assert "a/y" in store.presigned_url("a/y", 60)


def test_requests_are_measured(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """By boto3's names; what the store refuses by a condition is an answer, and no answer is a failure."""
    times = OperationTimes()
    node.store.measure(times)
    create(node.store, "a/x", b"one")
    with pytest.raises(ConditionFailed):
        create(node.store, "a/x", b"two")
    assert (sum(times.durations["PutObject"].counts), times.durations["PutObject"].failures) == (2, 0)

    def fail(*_: object) -> None:
        raise EndpointConnectionError(endpoint_url="http://store")

    monkeypatch.setattr(node.client._endpoint, "make_request", fail)
    monkeypatch.setattr(DirectRequests, "get", lambda *_: None)
    with pytest.raises(OSError, match="cannot be reached"):
        node.store.read("a/x")
    assert times.durations["GetObject"].failures == 1


def test_a_large_object(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """In parts, and new all the same; of one that was not, no part stays."""
    monkeypatch.setattr(object_store, "SINGLE_PUT_BYTES", 4)
    monkeypatch.setattr(object_store, "PART_BYTES", 5 << 20)
    data = b"x" * (6 << 20)
    create(node.store, "a/large", data)
    assert node.store.state("a/large")[0].size == len(data)
    with pytest.raises(ConditionFailed):
        create(node.store, "a/large", data)
    assert node.client.list_multipart_uploads(Bucket="packages").get("Uploads", []) == []


def refused(code: str, status: int = 400) -> ClientError:
    """An answer of a store."""
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "Operation")


class FailingClient:
    """A client whose every request fails."""

    class meta:
        """As boto3 has it."""

        endpoint_url = "https://store.example"
        region_name = "us-east-1"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def fail(**_: object) -> None:
            raise self.error

        return fail


def failing(error: Exception) -> ObjectStore:
    """A store that fails."""
    return ObjectStore(parse_location("s3://packages/py"), FailingClient(error))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NoCredentialsError(), "no credentials for it; set AWS_ACCESS_KEY_ID"),
        (refused("NoSuchBucket", 404), "there is no bucket 'packages' at https://store.example"),
        (refused("RequestTimeTooSkewed", 403), "refuses this machine's time"),
        (refused("AuthorizationHeaderMalformed"), "expects another region than us-east-1; set AWS_REGION"),
        (ResponseParserError("<html>"), "https://store.example does not answer as"),
        (refused("404", 404), "https://store.example does not answer as an S3-compatible store does"),
        (
            EndpointConnectionError(endpoint_url="https://signed"),
            r"https://store.example cannot be reached \(EndpointC",
        ),
        (refused("InvalidAccessKeyId", 403), r"refuses these credentials \(InvalidAccessKeyId\)"),
    ],
)
def test_a_bucket_that_cannot_be_used(error: Exception, sentence: str) -> None:
    """One sentence at the start: what is wrong, and what to do."""
    with pytest.raises(RefusedStart, match=sentence):
        failing(error).require_bucket()


def test_an_endpoint_with_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is shown without."""
    monkeypatch.setattr(FailingClient.meta, "endpoint_url", "https://me:secret@store.example")
    with pytest.raises(RefusedStart, match=r"at \.\.\.@store.example cannot be reached"):
        failing(EndpointConnectionError(endpoint_url="https://signed")).require_bucket()


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("AWS_PROFILE", "nobody", r"\(nobody\) could not be found; see AWS_PROFILE"),
        ("AWS_ENDPOINT_URL", "localhost:9000", "localhost:9000; see"),
        ("AWS_ENDPOINT_URL", "me:secret@localhost:9000", r"py: \.\.\.@localhost:9000; see"),
    ],
)
def test_settings_of_boto3_that_are_not_valid(
    variable: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv(variable, value)
    with pytest.raises(RefusedStart, match=sentence):
        ObjectStore(parse_location("s3://packages/py"))


@pytest.mark.parametrize(
    "error", [refused("SlowDown", 503), EndpointConnectionError(endpoint_url="https://signed")]
)
def test_a_store_that_is_away(error: Exception) -> None:
    """It may be back soon; what the driver says of it may hold a signature."""
    for call in (
        lambda: failing(error).read("x"),
        lambda: failing(error).delete("x"),
    ):
        with pytest.raises(OSError, match=r"cannot be reached|busy or out of order") as caught:
            call()
        assert "signed" not in str(caught.value)
        assert not isinstance(caught.value, FileNotFoundError)


def test_a_store_that_is_busy_at_the_start() -> None:
    """That may pass, so it is no mistake in the settings."""
    with pytest.raises(OSError, match="SlowDown"):
        failing(refused("SlowDown", 503)).require_bucket()


def test_a_store_that_ignores_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes would be taken for those of another place."""
    store = failing(refused("SlowDown", 503))
    monkeypatch.setattr(store._direct, "get", lambda *_: (200, b"all of it", {"ETag": "e"}))
    with pytest.raises(OSError, match="other bytes"):
        store.read("x", span=(4, 2))


def test_a_proxy_that_passes_over_conditions(node: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another object is none of those that are listed; what has no tag is no object."""
    create(node.store, "a/x", b"one")
    answer: Any = (200, b"two", {"ETag": '"2"'})
    monkeypatch.setattr(node.store._direct, "get", lambda *_: answer)
    with pytest.raises(ConditionFailed):
        node.store.read("a/x", '"1"')
    assert node.store.read("a/x", "2")[0] == b"two"
    monkeypatch.setattr(node.store._direct, "get", lambda *_: None)
    found = {"Body": io.BytesIO(b"a page of a proxy")}
    monkeypatch.setattr(node.client, "get_object", lambda **_: found)
    with pytest.raises(OSError, match="something else than an object"):
        node.store.read("a/x")
    with pytest.raises(ConditionFailed):
        node.store.download("a/x", '"1"', io.BytesIO())


def test_a_key_that_is_forbidden() -> None:
    with pytest.raises(PermissionError):
        failing(refused("AccessDenied", 403)).state("x")


def test_a_store_that_keeps_its_promises(node: BucketNode) -> None:
    """And nothing of the probe stays."""
    assert broken_promise(node.store) is None
    assert node.keys_below() == set()


class LyingStore(ObjectStore):
    """One that breaks a promise."""

    lie = ""

    def create(self, key: str, file: Any, size: int, sha256: str, metadata: Any) -> None:
        if self.lie == "create":
            self.overwrite(key, file.read())
        elif self.lie == "read-only":
            raise PermissionError(13, "no", key)
        else:
            super().create(key, file, size, sha256, metadata)

    def put_text(self, key: str, data: bytes, etag: str | None) -> None:
        if self.lie == "update":
            self.overwrite(key, data)
        else:
            super().put_text(key, data, etag)

    def list(self, below: str = "") -> Any:
        return iter(()) if self.lie == "list" else super().list(below)

    def read(self, key: str, etag: str | None = None, span: Any = None) -> Any:
        return (b"other", "") if self.lie == "read" else super().read(key, etag, span)

    def create_in_parts(self, key: str, file: Any) -> None:
        if self.lie != "parts":
            super().create_in_parts(key, file)


@pytest.mark.parametrize(
    ("lie", "promise"),
    [
        ("create", "If-None-Match"),
        ("update", "If-Match"),
        ("list", "does not list"),
        ("read", "other bytes"),
        ("parts", "in parts"),
        ("read-only", "read only"),
    ],
)
def test_a_store_that_lies(lie: str, promise: str, node: BucketNode) -> None:
    """The sentence says which promise it broke."""
    store = LyingStore(node.store.location, node.client)
    store.lie = lie
    sentence = broken_promise(store)
    assert sentence is not None
    assert promise in sentence
