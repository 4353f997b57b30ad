"""Where a bucket's packages are: ``s3://bucket/prefix``. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from simpleindex.core.errors import InvalidSetting

SCHEME: Final = "s3://"

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html; stores of others allow upper case and "_".
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")


@dataclass(frozen=True, slots=True)
class BucketLocation:
    """A bucket, and the beginning of the keys in it that are served.

    Attributes:
        prefix: Empty, or with a slash at its end.
    """

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}".rstrip("/")


def parse_location(text: str) -> BucketLocation:
    """Read ``s3://bucket/prefix``.

    Raises:
        InvalidSetting: It is none.
    """
    bucket, _, prefix = text.removeprefix(SCHEME).partition("/")
    parts = [part for part in prefix.split("/") if part]
    if not text.startswith(SCHEME) or not _BUCKET.fullmatch(bucket) or {".", ".."} & {*parts}:
        raise InvalidSetting("is not a bucket such as 's3://packages' or 's3://company/python'")
    return BucketLocation(bucket, "".join(f"{part}/" for part in parts))
