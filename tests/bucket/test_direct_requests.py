"""Requests without boto3's machinery: plain answers are read here, everything else is left to boto3; listings in ranges of keys."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.credentials import Credentials
from botocore.exceptions import EndpointConnectionError, NoCredentialsError

from simpleindex.bucket.direct_requests import DirectRequests, ListedPage
from simpleindex.bucket.key_tree import ObjectState
from simpleindex.bucket.listing import BucketListing
from simpleindex.system.operation_times import OperationTimes
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from collections.abc import Mapping

XML = b"""<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">%s<Contents><Key>py/a%%2Bb</Key>
<LastModified>1970-01-01T00:00:01.500Z</LastModified><ETag>&quot;e&quot;</ETag><Size>3</Size></Contents>
<NextContinuationToken>more</NextContinuationToken></ListBucketResult>"""


class Store:
    """A client of boto3 whose connections answer as a test says; nothing is sent.

    Attributes:
        answers: Status, headers and bytes of the next answer, or an error.
        requests: What was requested.
    """

    def __init__(self, *answers: Any, signature: str = "s3v4") -> None:
        self.answers = [*answers]
        self.requests: list[Any] = []
        self.meta = SimpleNamespace(
            config=SimpleNamespace(signature_version=signature),
            region_name="us-east-1",
            events=SimpleNamespace(emit=lambda *_, **__: []),
        )
        self._endpoint = SimpleNamespace(http_session=self)
        self.url: Any = "https://packages.example/x?signed"

    def generate_presigned_url(self, *_: object, **__: object) -> str:
        if isinstance(self.url, Exception):
            raise self.url
        return str(self.url)

    def send(self, request: Any) -> AWSResponse:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, headers, data = answer
        response = AWSResponse(request.url, status, headers, None)
        response._content = data
        return response


def direct(store: Store, times: OperationTimes | None = None) -> DirectRequests:
    """What is tested."""
    requests = DirectRequests(store, Credentials("key", "secret"), "packages")
    requests.times = times
    return requests


def test_plain_answers() -> None:
    """They are signed, and read as boto3 reads them."""
    head = {
        "Last-Modified": "Thu, 01 Jan 1970 00:00:02 GMT",
        "ETag": "e",
        "Content-Length": "3",
        "X-Amz-Meta-A": "b",
    }
    store = Store(
        (206, {"Content-Length": "3", "ETag": "e"}, b"abc"),
        (404, {}, b""),
        (200, head, b""),
        (200, {}, XML % b"<EncodingType>url</EncodingType>"),
    )
    requests = direct(store)
    answer = requests.get("py/a b", {"Range": "bytes=0-2"})
    assert answer is not None
    assert answer[:2] == (206, b"abc")
    assert store.requests[0].url == "https://packages.example/py/a%20b"
    assert store.requests[0].headers["Authorization"].startswith("AWS4-HMAC-SHA256")
    assert requests.head("x") == (404, ObjectState("x", "", 0, 0), {})
    assert requests.head("x") == (200, ObjectState("x", "e", 3, 2_000_000_000), {"a": "b"})
    expected = ListedPage((ObjectState("py/a+b", '"e"', 3, 1_500_000_000),), "more")
    assert requests.page("py/", {"start-after": "py/"}) == expected
    assert "start-after=py%2F" in store.requests[-1].url


LOST = EndpointConnectionError(endpoint_url="https://store")
BUSY: Any = (503, {}, b"")


@for_each(
    ("method", "arguments", "answer"),
    [
        ("get", ({},), BUSY),
        ("get", ({},), LOST),
        ("get", ({},), (200, {"Content-Length": "9"}, b"cut off")),
        ("get", ({},), (200, {}, b"a page of a proxy")),
        ("head", (), BUSY),
        ("head", (), (200, {}, b"")),
        ("page", ({},), BUSY),
        ("page", ({},), (404, {}, b"")),
        ("page", ({},), (200, {}, b"<html><body>Log in</body></html>")),
        ("page", ({},), (200, {}, b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>")),
        ("page", ({},), (200, {}, b"<ListBucketResult><Contents>")),
        ("page", ({},), (200, {}, b"<ListBucketResult><Contents><Key>x</Key></Contents></ListBucketResult>")),
    ],
)
def test_other_answers(method: str, arguments: tuple[Any, ...], answer: Any) -> None:
    """boto3 makes the request again, and finds out what is wrong."""
    times = OperationTimes()
    assert getattr(direct(Store(answer), times), method)("x", *arguments) is None
    (durations,) = times.durations.values()
    assert durations.failures == (answer in (BUSY, LOST))


def test_keys_that_are_not_encoded() -> None:
    page = direct(Store((200, {}, XML % b""))).page("", {})
    assert page is not None
    assert page.objects[0].key == "py/a%2Bb"


def test_another_region() -> None:
    """Once the store says that a request was meant for another place, boto3 makes all of them."""
    store = Store((301, {}, b""))
    requests = direct(store)
    assert requests.get("x", {}) is None
    assert requests.get("x", {}) is None
    assert len(store.requests) == 1


def test_no_credentials_and_other_signatures() -> None:
    without = Store()
    without.url = NoCredentialsError()
    assert direct(without).head("x") is None
    assert direct(Store(signature="s3")).head("x") is None
    assert DirectRequests(Store(), None, "packages").head("x") is None


def test_a_client_whose_connections_are_elsewhere() -> None:
    """Another version of botocore: boto3 makes all requests."""
    store = Store()
    del store._endpoint
    assert direct(store).head("x") is None


class Pages:
    """Pages of three keys."""

    def __init__(self, keys: list[str]) -> None:
        self.keys = sorted(keys)
        self.count = 0

    def page(self, prefix: str, wanted: Mapping[str, str]) -> ListedPage:
        self.count += 1
        after = wanted.get("start-after") or wanted.get("continuation-token") or ""
        rest = [key for key in self.keys if key > after and key.startswith(prefix)]
        page = tuple(ObjectState(key, "e", 1, 0) for key in rest[:3])
        return ListedPage(page, page[-1].key if len(rest) > 3 else None)


def test_ranges_of_keys() -> None:
    """Every key once, in order, however they are spread."""
    for keys in (
        ["py/b", "py/a"],
        [f"py/{letter}{number}" for letter in ".0_aAbetz" for number in range(7)],
        [f"py/{letter}" for letter in "2acegkmopqstu"],
        [f"py/zope.{number}" for number in range(20)],
    ):
        pages: Any = Pages([*keys, "other/x"])
        listed = [each.key for each in BucketListing(None, pages, "packages").objects("py/")]
        assert listed == sorted(keys)


def test_listing_by_boto3() -> None:
    """Where a request without it has no answer."""
    nothing: Any = SimpleNamespace(page=lambda *_: None)
    requested = []

    def list_objects_v2(**parameters: Any) -> Any:
        requested.append(parameters)
        key = {
            "Key": "a" if len(requested) == 1 else "z",
            "ETag": "e",
            "Size": 1,
            "LastModified": datetime.fromtimestamp(1.5, UTC),
        }
        return {"Contents": [key], **({"NextContinuationToken": "t"} if len(requested) == 1 else {})}

    client = SimpleNamespace(list_objects_v2=list_objects_v2)
    assert [each.key for each in BucketListing(client, nothing, "packages").objects("")].count("z") == 1
    assert requested[0] == {"Bucket": "packages", "Prefix": ""}
    assert {"StartAfter": "a", "Bucket": "packages", "Prefix": ""} in requested


@for_each(
    "answer",
    [
        {"ResponseMetadata": {}},
        {"Contents": [], "IsTruncated": True},
        {"Contents": [], "IsTruncated": True, "NextContinuationToken": "t"},
    ],
)
def test_listings_that_are_none(answer: Any) -> None:
    """A proxy's page, a part without a way to the rest, the same part for ever: none of them is an empty bucket."""
    nothing: Any = SimpleNamespace(page=lambda *_: None)
    client = SimpleNamespace(list_objects_v2=lambda **_: answer)
    with pytest.raises(OSError, match="the store"):
        [*BucketListing(client, nothing, "packages").objects("")]
