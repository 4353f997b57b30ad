"""Errors of a store: its own, and those of boto3 as errors of the system, which every caller expects of a place with files."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    DriverError: TypeAlias = ClientError | BotoCoreError | ResponseParserError

DRIVER_ERRORS: Final = (ClientError, BotoCoreError, ResponseParserError)
"""What boto3 raises about a store."""

_MISSING: Final = frozenset({"404", "NoSuchKey", "NotFound"})
_REFUSED: Final = frozenset(
    {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AllAccessDisabled"}
)
_OTHER_REGION: Final = frozenset(
    {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"}
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
    except DRIVER_ERRORS as error:
        raise os_error(error, key) from None


def os_error(error: DriverError, key: str) -> Exception:
    """Return an error of boto3 as an OSError, as ConditionFailed, or as MissingObject."""
    if not isinstance(error, ClientError):
        # Not its text: an endpoint's URL may be signed.
        return OSError(errno.EHOSTDOWN, f"the store cannot be reached ({type(error).__name__})", key)
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status in (409, 412):
        return ConditionFailed(key)
    if code in _MISSING or status == 404:
        return MissingObject(errno.ENOENT, "there is no such object", key)
    if code in _REFUSED or status == 403:
        return OSError(errno.EACCES, f"the store refuses it ({code})", key)
    return OSError(errno.EHOSTDOWN, f"the store is busy or out of order ({code or status})", key)


def start_refusal(error: DriverError, bucket: str, endpoint: str, region: str | None) -> str | None:
    """Return why a server cannot start with this error, and what to do; None for one that may pass."""
    if isinstance(error, NoCredentialsError):
        return "there are no credentials for it; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
    if isinstance(error, ResponseParserError):
        return f"{endpoint} does not answer as an S3-compatible store does; see AWS_ENDPOINT_URL."
    if not isinstance(error, ClientError):
        return f"the store at {endpoint} cannot be reached ({type(error).__name__}); see AWS_ENDPOINT_URL and the network."
    code = error.response.get("Error", {}).get("Code", "")
    if code == "NoSuchBucket":
        return f"there is no bucket {bucket!r} at {endpoint}."
    if code == "RequestTimeTooSkewed":
        return "the store refuses this machine's time; set its clock, as with timedatectl set-ntp true."
    if code in _OTHER_REGION:
        return f"the store at {endpoint} expects another region than {region}; set AWS_REGION."
    if code in _REFUSED:
        return f"the store refuses these credentials ({code}); they must be allowed to list the bucket and to read its objects."
    if code in _MISSING:
        return f"{endpoint} does not answer as an S3-compatible store does; see AWS_ENDPOINT_URL."
    return None


def require_etag(wanted: str | None, now: str | None, key: str) -> None:
    """Refuse an object that is not the one of a condition, which a proxy may have passed over.

    Raises:
        ConditionFailed: It is another one.
    """
    if wanted is not None and (now or "").strip('"') != wanted.strip('"'):
        raise ConditionFailed(key)
