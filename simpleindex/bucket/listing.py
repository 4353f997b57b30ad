"""The listing of a bucket: page by page, and several ranges of keys at a time. Blocking."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from simpleindex.bucket.direct_requests import DirectRequests, ListedPage
from simpleindex.bucket.key_tree import ObjectState
from simpleindex.bucket.store_errors import as_os_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

REQUESTS: Final = 4
"""Of one listing at a time."""

_RANGES: Final = ("2", "a", "c", "e", "g", "k", "m", "o", "p", "q", "s", "t", "u")
"""Where ranges of keys begin: names of projects are spread over them evenly."""

_OF_A_LISTING: Final = frozenset({"Name", "KeyCount", "IsTruncated", "Contents"})

_PARAMETERS: Final = {"start-after": "StartAfter", "continuation-token": "ContinuationToken"}


class BucketListing:
    """Lists the objects of a bucket.

    Args:
        client: A client of boto3.
        direct: Requests without it.
        bucket: The bucket's name.
    """

    def __init__(self, client: Any, direct: DirectRequests, bucket: str) -> None:
        self._client = client
        self._direct = direct
        self._bucket = bucket

    def objects(self, prefix: str) -> Iterator[ObjectState]:
        """Yield the objects whose keys begin so, in the order of their keys.

        Raises:
            OSError: The store cannot be used.
        """
        page = self._page(prefix, {})
        yield from page.objects
        if page.following is not None:
            yield from self._rest(prefix, page.objects[-1].key if page.objects else "")

    def _rest(self, prefix: str, last: str) -> Iterator[ObjectState]:
        """Yield the objects behind the last one of the first page."""
        starts = [last, *(start for each in _RANGES if (start := prefix + each) > last)]
        with ThreadPoolExecutor(REQUESTS, "listing") as pool:
            ranges = [
                pool.submit(self._range, prefix, start, end)
                for start, end in zip(starts, [*starts[1:], None], strict=True)
            ]
            for each in ranges:
                yield from each.result()

    def _range(self, prefix: str, start: str, end: str | None) -> list[ObjectState]:
        """Return the objects whose keys are behind the start, up to the end."""
        found: list[ObjectState] = []
        wanted = {"start-after": start}
        while True:
            page = self._page(prefix, wanted)
            objects = [each for each in page.objects if end is None or each.key <= end]
            found += objects
            if page.following is None or len(objects) < len(page.objects):
                return found
            if page.following in wanted.values():
                raise OSError(errno.EIO, "the store lists the same page again and again", prefix)
            wanted = {"continuation-token": page.following}

    def _page(self, prefix: str, wanted: Mapping[str, str]) -> ListedPage:
        page = self._direct.page(prefix, wanted)
        if page is not None:
            return page
        with as_os_errors(f"s3://{self._bucket}/{prefix}"):
            place = {_PARAMETERS[name]: value for name, value in wanted.items()}
            answer = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **place)
        following = answer.get("NextContinuationToken")
        # Taken for a listing, a page of a proxy would be an empty bucket, and a part of one would end the projects behind it.
        if not _OF_A_LISTING & answer.keys() or (answer.get("IsTruncated") and following is None):
            raise OSError(errno.EIO, "the store answered with something else than a whole listing", prefix)
        objects = (
            ObjectState(each["Key"], each["ETag"], each["Size"], nanoseconds(each["LastModified"]))
            for each in answer.get("Contents", ())
        )
        return ListedPage(tuple(objects), following)


def nanoseconds(moment: datetime) -> int:
    """Return a time of the store, which has milliseconds, since 1970."""
    return int(moment.timestamp() * 1000) * 1_000_000
