"""Request the store of a bucket: list it, and try what writers need in a scratch prefix. Blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.bucket.object_store import ObjectStore
from simpleindex.bucket.probe import broken_promise
from simpleindex.diagnosis.bucket import BucketFacts

if TYPE_CHECKING:
    from simpleindex.config.bucket_location import BucketLocation


def probe_bucket(location: BucketLocation) -> BucketFacts:
    """Return what the store answers.

    Raises:
        ModuleNotFoundError: The extra ``s3`` is not installed.
    """
    try:
        store = ObjectStore(location)
        next(iter(store.list()), None)
        return BucketFacts(str(location), broken_promise=broken_promise(store))
    except OSError as error:
        return BucketFacts(str(location), f"{error.strerror or error}.")
