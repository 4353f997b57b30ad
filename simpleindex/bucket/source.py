"""The three questions, answered from a bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.archives.archive_info import ArchiveInfo
from simpleindex.archives.inspect import read_sidecar
from simpleindex.bucket.object_body import ObjectBody
from simpleindex.core.errors import NotHere, Unavailable
from simpleindex.core.source import Elsewhere
from simpleindex.directory.source import LocalSource
from simpleindex.system.bodies import FileBody
from simpleindex.system.descriptors import keep_reserve

if TYPE_CHECKING:
    from simpleindex.bucket.file_cache import BucketFileCache
    from simpleindex.bucket.live_bucket import LiveBucket
    from simpleindex.bucket.package_bucket import PackageBucket
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Body
    from simpleindex.directory.scan.scanned_files import ScannedFile
    from simpleindex.system.stamp import Stamp
    from simpleindex.system.threads import Threads


class BucketSource(LocalSource):
    """A source over a bucket.

    Args:
        live: The snapshots.
        bucket: Where the bytes are.
        threads: Call the store.
        redirect_seconds: For how long a URL of the store is good to which clients are redirected; None to send files from here.
        cache: Keeps files on the local disk; None to request each of the store.
    """

    def __init__(
        self,
        live: LiveBucket,
        bucket: PackageBucket,
        threads: Threads,
        *,
        redirect_seconds: int | None = None,
        cache: BucketFileCache | None,
    ) -> None:
        super().__init__(live, bucket, threads.run)
        self._bucket = bucket
        self._threads = threads
        self._redirect_seconds = redirect_seconds
        self._cache = cache

    async def file(self, name: ProjectName, filename: str) -> Body | Elsewhere:  # type: ignore[override]
        """One file, its sidecar, or a signature or provenance beside it."""
        try:
            body = await super().file(name, filename)
        except OSError as error:
            raise _no_answer() from error
        except NotHere as error:
            if self._is_stale():
                raise _no_answer() from error
            raise
        if self._redirect_seconds is None or not isinstance(body, ObjectBody):
            return body
        body.close()
        return Elsewhere(self._bucket.store.presigned_url(body.key, self._redirect_seconds))

    def _absent(self, name: ProjectName) -> NotHere | Unavailable:
        # It may have come since the last listing; an answer of "not here" would be believed, and an upstream requested.
        return _no_answer() if self._is_stale() else super()._absent(name)

    def _is_stale(self) -> bool:
        return self._live.stale is not None

    async def _file_body(self, path: str, stamp: Stamp, filename: str, sha256: str) -> Body:
        self._bucket.listed(path, stamp)
        descriptor = None if self._cache is None else await self._cache.open(path, sha256)
        if descriptor is None:
            return ObjectBody(self._bucket, path, stamp, sha256, self._threads, self._cache)
        cached = FileBody(keep_reserve(descriptor), filename, sha256, self._threads.run)
        cached.modified_ns = stamp.mtime_ns
        cached.is_immutable = True  # Files of the cache are replaced, and never written into.
        return cached

    def _extract(self, path: str, known: ScannedFile) -> bytes:
        assert known.stamp is not None  # of a wheel that is listed
        assert isinstance(known.outcome, ArchiveInfo)
        stamp = known.stamp
        return read_sidecar(
            lambda length, offset: self._bucket.read_span(path, stamp, offset, length), known.outcome
        )


def _no_answer() -> Unavailable:
    return Unavailable("The store of this index does not answer now; try again later.", retry_after=5)
