"""Whether the bucket of ``--path`` can be read, and written as several writers need it. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simpleindex.diagnosis.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class BucketFacts:
    """What came of the requests to a store.

    Attributes:
        location: The bucket, as ``s3://bucket/prefix``.
        failure: Why it cannot be listed, as a sentence; None if it can.
        broken_promise: What the store does that no writer can bear, as the end of "the store ..."; None if there is nothing.
    """

    location: str
    failure: str | None = None
    broken_promise: str | None = None


def judge_bucket(bucket: BucketFacts, *, takes_uploads: bool) -> Iterator[Finding]:
    """Yield what is wrong with a bucket.

    Args:
        bucket: The bucket.
        takes_uploads: Whether users can log in, and so upload.
    """
    if bucket.failure is not None:
        sentence = f"The bucket {bucket.location} cannot be read: {bucket.failure}"
        yield Finding(Severity.ERROR, sentence, f"aws s3 ls {shlex.quote(bucket.location)}/")
    elif bucket.broken_promise is not None:
        severity = Severity.ERROR if takes_uploads else Severity.HINT
        yield Finding(
            severity, f"Nothing can be uploaded: the store of {bucket.location} {bucket.broken_promise}."
        )
