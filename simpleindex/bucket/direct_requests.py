"""Requests that read from a store by parts of boto3, without its machinery for every service: a third of the processor time. Blocking.

Whatever is not a plain answer is left to boto3, which knows about retries, redirects and clocks.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote_plus
from xml.etree.ElementTree import ParseError, fromstring

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, HTTPClientError

from simpleindex.bucket.key_tree import ObjectState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.system.operation_times import OperationTimes

MISSING: Final = 404
CONDITION_FAILED: Final = 412

_PLAIN: Final = frozenset({200, 206, MISSING, CONDITION_FAILED})

_WITH_OBJECT: Final = frozenset({200, 206})

_ELSEWHERE: Final = frozenset({301, 307, 400})
"""Another region or another kind of signature: boto3 finds out which."""

_METADATA: Final = "x-amz-meta-"


@dataclass(frozen=True, slots=True)
class ListedPage:
    """One answer of a listing.

    Attributes:
        objects: In the order of their keys.
        following: What the next page is requested with; None after the last.
    """

    objects: tuple[ObjectState, ...]
    following: str | None


class DirectRequests:
    """Reads from one bucket; every method returns None where boto3 is to do it. Usable from any thread.

    Args:
        client: A client of boto3; its endpoint, connections and hooks are used.
        credentials: Of boto3; None to leave everything to it.
        bucket: The bucket's name.

    Attributes:
        times: Measures the requests, by boto3's names of operations; None to measure nothing.
    """

    def __init__(self, client: Any, credentials: Any, bucket: str) -> None:
        self.times: OperationTimes | None = None
        self._client = client
        self._credentials = credentials
        # The client's own connections, with its proxies and certificates. botocore has no public name for them: where a later
        # version keeps them elsewhere, boto3 makes all requests.
        self._session: Any = getattr(getattr(client, "_endpoint", None), "http_session", None)
        self._url = self._url_of(bucket)

    def _url_of(self, bucket: str) -> str | None:
        """Return the URL of the bucket, however it is addressed; None if its requests are not signed by the usual method."""
        if (
            self._session is None
            or self._credentials is None
            or self._client.meta.config.signature_version != "s3v4"
        ):
            return None
        try:
            url: str = self._client.generate_presigned_url(
                "get_object", Params={"Bucket": bucket, "Key": "x"}
            )
        except BotoCoreError:
            return None
        return url.partition("?")[0].removesuffix("/x")

    def get(self, key: str, headers: Mapping[str, str]) -> tuple[int, bytes, Mapping[str, str]] | None:
        """Return status, bytes and headers of an object, or of its absence."""
        answer = self._send("GetObject", "GET", key, headers=headers)
        if answer is None:
            return None
        if answer.headers.get("Content-Length", length := str(len(answer.content))) != length:
            return None
        if answer.status_code in _WITH_OBJECT and "ETag" not in answer.headers:
            return None  # Not of a store: a proxy before it may answer with a page of its own.
        return answer.status_code, answer.content, answer.headers

    def head(self, key: str) -> tuple[int, ObjectState, Mapping[str, str]] | None:
        """Return status, state and metadata of an object; of one that is missing the status counts."""
        answer = self._send("HeadObject", "HEAD", key)
        if answer is None:
            return None
        if answer.status_code != 200:
            return answer.status_code, ObjectState(key, "", 0, 0), {}
        headers = answer.headers
        try:
            modified = int(parsedate_to_datetime(headers["Last-Modified"]).timestamp()) * 1_000_000_000
            state = ObjectState(key, headers["ETag"], int(headers["Content-Length"]), modified)
        except (KeyError, ValueError):
            return None
        metadata = {
            name.lower().removeprefix(_METADATA): value
            for name, value in headers.items()
            if name.lower().startswith(_METADATA)
        }
        return 200, state, metadata

    def page(self, prefix: str, wanted: Mapping[str, str]) -> ListedPage | None:
        """Return a page of the objects whose keys begin so.

        Args:
            prefix: How the keys begin.
            wanted: ``start-after`` or ``continuation-token``; empty for the first page.
        """
        parameters = {"list-type": "2", "encoding-type": "url", "prefix": prefix, **wanted}
        answer = self._send("ListObjectsV2", "GET", "", parameters=parameters)
        if answer is None or answer.status_code != 200:
            return None
        try:
            return _page_of(answer.content)
        except (ParseError, KeyError, ValueError, TypeError):
            return None

    def _send(
        self,
        operation: str,
        method: str,
        key: str,
        *,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Return a plain answer; None for every other, and without any."""
        bucket = self._url
        if bucket is None:
            return None
        url = f"{bucket}/{quote(key, safe='/~')}"
        request = AWSRequest(method, url, headers=dict(headers or {}), params=dict(parameters or {}))
        begun = time.perf_counter()
        try:
            credentials = self._credentials.get_frozen_credentials()
            S3SigV4Auth(credentials, "s3", self._client.meta.region_name).add_auth(request)
            prepared = request.prepare()
            hooked = self._client.meta.events.emit(f"before-send.s3.{operation}", request=prepared)
            answers = (answer for _, answer in hooked if answer is not None)
            answer = next(answers, None) or self._session.send(prepared)
        except (BotoCoreError, HTTPClientError):
            self._measure(operation, begun, failed=True)
            return None
        self._measure(operation, begun, failed=answer.status_code >= 500)
        if answer.status_code in _ELSEWHERE:
            self._url = None
        return answer if answer.status_code in _PLAIN else None

    def _measure(self, operation: str, begun: float, *, failed: bool) -> None:
        if self.times is not None:
            self.times.add(operation, time.perf_counter() - begun, failed=failed)


def _page_of(xml: bytes) -> ListedPage:
    objects = []
    is_encoded, is_truncated, following = False, False, None
    listing = fromstring(xml)  # noqa: S314  (expat bounds what entities come to; the store is trusted with the packages)
    if _local(listing.tag) != "ListBucketResult":
        raise ValueError("another answer than a listing")
    for element in listing:
        match _local(element.tag):
            case "IsTruncated":
                is_truncated = element.text == "true"
            case "EncodingType":
                is_encoded = element.text == "url"
            case "NextContinuationToken":
                following = element.text
            case "Contents":
                objects.append({_local(each.tag): each.text for each in element})
    if is_truncated and following is None:
        raise ValueError("a part of a listing, and not how to get the rest")
    return ListedPage(tuple(_state(each, is_encoded=is_encoded) for each in objects), following)


def _state(fields: Mapping[str, Any], *, is_encoded: bool) -> ObjectState:
    key = unquote_plus(fields["Key"]) if is_encoded else fields["Key"]
    modified = int(datetime.fromisoformat(fields["LastModified"]).timestamp() * 1000) * 1_000_000
    return ObjectState(key, fields["ETag"], int(fields["Size"]), modified)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]
