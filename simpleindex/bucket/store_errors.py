"""Errors of a store: its own, and those of boto3 as errors of the system, which every caller expects of a place with files."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MISSING: Final = frozenset({"404", "NoSuchKey", "NotFound"})
REFUSED: Final = frozenset(
    {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AllAccessDisabled"}
)


class ConditionFailed(Exception):
    """Another writer was first: an object exists already, or is no longer the one that was read."""


class MissingObject(FileNotFoundError):
    """There is no object of that key."""


@contextmanager
def as_os_errors(key: str) -> Iterator[None]:
    """Raise errors of boto3 as :func:`os_error` returns them."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise os_error(error, key) from None


def os_error(error: ClientError | BotoCoreError, key: str) -> Exception:
    """Return an error of boto3 as one of the system, or as what a condition or an absence comes to."""
    if not isinstance(error, ClientError):
        # Not its text: an endpoint's URL may be signed.
        return OSError(errno.ETIMEDOUT, f"the store cannot be reached ({type(error).__name__})", key)
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status in (409, 412):
        return ConditionFailed(key)
    if code in _MISSING or status == 404:
        return MissingObject(errno.ENOENT, "there is no such object", key)
    if code in REFUSED or status == 403:
        return OSError(errno.EACCES, f"the store refuses it ({code})", key)
    return OSError(errno.ETIMEDOUT, f"the store is busy or out of order ({code or status})", key)
