"""The objects of a bucket: listed, read, and put under conditions, by boto3. Blocking."""

from __future__ import annotations

import base64
import errno
import time
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from simpleindex.bucket.direct_requests import CONDITION_FAILED, MISSING, DirectRequests
from simpleindex.bucket.key_tree import ObjectState
from simpleindex.bucket.listing import BucketListing, nanoseconds
from simpleindex.bucket.store_errors import (
    DRIVER_ERRORS,
    ConditionFailed,
    MissingObject,
    as_os_errors,
    os_error,
    require_etag,
    start_refusal,
)
from simpleindex.config.layers import without_secrets
from simpleindex.core.errors import RefusedStart
from simpleindex.core.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import BinaryIO

    from simpleindex.config.bucket_location import BucketLocation
    from simpleindex.system.operation_times import OperationTimes

CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 20
"""Of one answer of the store; clients give up after 15 s (pip) or 30 s (uv)."""

TRIES: Final = 3

CONNECTIONS: Final = 32
"""To the store at once; more requests wait for one."""

PART_BYTES: Final = 16 * 1024 * 1024

SINGLE_PUT_BYTES: Final = 64 * 1024 * 1024
"""A larger file is put in parts, so that a connection that breaks costs one part."""


class ObjectStore:
    """The objects below a prefix; usable from any thread.

    Args:
        location: The bucket and prefix.
        client: A client of boto3; None for one with boto3's own credentials, region and endpoint.
        credentials: Of that client, to sign requests here; None to leave every request to it.
    """

    def __init__(self, location: BucketLocation, client: Any = None, credentials: Any = None) -> None:
        self.location = location
        self._bucket, self._prefix = location.bucket, location.prefix
        if client is None:
            client, credentials = _connect(location)
        self._client = client
        self._direct = DirectRequests(client, credentials, self._bucket)
        self._listing = BucketListing(client, self._direct, self._bucket)

    def measure(self, times: OperationTimes) -> None:
        """Measure requests from now on, each with its tries, by boto3's names of operations."""
        self._direct.times = times

        def begin(model: Any, context: dict[str, Any], **_: Any) -> None:
            context["measured"] = model.name, time.perf_counter()

        def end(context: dict[str, Any], http_response: Any = None, **_: Any) -> None:
            operation, begun = context["measured"]
            failed = http_response is None or http_response.status_code >= 500
            times.add(operation, time.perf_counter() - begun, failed=failed)

        events = self._client.meta.events
        events.register("before-call.s3", begin)
        for event in ("after-call.s3", "after-call-error.s3"):
            events.register(event, end)

    def list(self, below: str = "") -> Iterator[ObjectState]:
        """Yield the objects whose keys begin so, below the prefix.

        Raises:
            OSError: The store cannot be used.
        """
        for each in self._listing.objects(self._prefix + below):
            yield ObjectState(each.key[len(self._prefix) :], each.etag, each.size, each.modified_ns)

    def state(self, key: str) -> tuple[ObjectState, Mapping[str, str]]:
        """Return an object's state, and its metadata.

        Raises:
            MissingObject: There is none.
            OSError: The store cannot be used.
        """
        if (answer := self._direct.head(self._prefix + key)) is not None:
            status, state, metadata = answer
            _require(status, key)
            return replace(state, key=key), metadata
        with as_os_errors(self._place(key)):
            found = self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        modified = nanoseconds(found["LastModified"])
        return ObjectState(key, found["ETag"], found["ContentLength"], modified), found.get("Metadata", {})

    def read(
        self, key: str, etag: str | None = None, span: tuple[int, int] | None = None
    ) -> tuple[bytes, str]:
        """Return bytes of an object, and its ETag.

        Args:
            key: Below the prefix.
            etag: What it must be; None for whatever it is.
            span: Offset and length; None for all of it.

        Raises:
            ConditionFailed: It is another object by now.
            MissingObject: There is none.
            OSError: The store cannot be used, or the answer broke off.
        """
        headers = {} if etag is None else {"If-Match": etag}
        if span is not None:
            headers["Range"] = f"bytes={span[0]}-{span[0] + span[1] - 1}"
        answer = self._direct.get(self._prefix + key, headers)
        if answer is None:
            data, now = self._read_by_boto3(key, headers)
        else:
            _require(answer[0], key)
            data, now = answer[1], answer[2]["ETag"]
        require_etag(etag, now, key)
        if span is not None and len(data) != span[1]:
            raise OSError(errno.EIO, "the store answered with other bytes than were requested", key)
        return data, now

    def _read_by_boto3(self, key: str, headers: Mapping[str, str]) -> tuple[bytes, str]:
        conditions = {name.replace("-", ""): value for name, value in headers.items()}
        with as_os_errors(self._place(key)):
            found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key, **conditions)
            with closing(found["Body"]) as body:
                if "ETag" not in found:
                    raise OSError(errno.EIO, "the store answered with something else than an object", key)
                return body.read(), found["ETag"]

    def download(self, key: str, etag: str, file: BinaryIO) -> None:
        """Write all of an object into a file.

        Raises:
            ConditionFailed: It is another object by now.
            MissingObject: There is none.
            OSError: The store cannot be used, or the answer broke off.
        """
        with as_os_errors(self._place(key)):
            found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key, IfMatch=etag)
            with closing(found["Body"]) as body:
                require_etag(etag, found.get("ETag"), key)
                file.writelines(body.iter_chunks(1024 * 1024))
        file.flush()

    def create(self, key: str, file: BinaryIO, size: int, sha256: str, metadata: Mapping[str, str]) -> None:
        """Put an object that does not exist yet; the store decides between two writers.

        Args:
            key: Below the prefix.
            file: Its content, from the beginning.
            size: Bytes.
            sha256: Its digest, which the store checks, in lower-case hex.
            metadata: Of the object.

        Raises:
            ConditionFailed: It exists.
            OSError: The store cannot be used.
        """
        self._put(key, file, size, sha256, metadata, {"IfNoneMatch": "*"})

    def replace(
        self, key: str, file: BinaryIO, size: int, sha256: str, metadata: Mapping[str, str], etag: str
    ) -> None:
        """Put an object in the place of one; arguments as :meth:`create`, and what the former one must be.

        Raises:
            ConditionFailed: It is another object by now.
            OSError: The store cannot be used.
        """
        self._put(key, file, size, sha256, metadata, {"IfMatch": etag})

    def put_text(self, key: str, data: bytes, etag: str | None) -> None:
        """Put a small object, new (None), or in the place of the one with an ETag.

        Raises:
            ConditionFailed: Another writer was first.
            OSError: The store cannot be used.
        """
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        with as_os_errors(self._place(key)):
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=data, **condition)

    def overwrite(self, key: str, data: bytes) -> None:
        """Put a small object, whatever is there.

        Raises:
            OSError: The store cannot be used.
        """
        with as_os_errors(self._place(key)):
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=data)

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the bucket, whatever is there.

        Raises:
            MissingObject: There is none to copy.
            OSError: The store cannot be used.
        """
        with as_os_errors(self._place(source)):
            self._client.copy_object(**self._target(target), CopySource=self._target(source))

    def delete(self, key: str) -> None:
        """Delete an object; one that is not there is no mistake.

        Raises:
            OSError: The store cannot be used.
        """
        with as_os_errors(self._place(key)):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def presigned_url(self, key: str, seconds: int) -> str:
        """Return a URL by which anybody can get an object for some time; no request is made."""
        url: str = self._client.generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": self._prefix + key}, ExpiresIn=seconds
        )
        return url

    def require_bucket(self) -> None:
        """Refuse a bucket that cannot be used at all, in one sentence.

        Raises:
            RefusedStart: It does not exist, cannot be reached, or these credentials may not list it.
            OSError: The store is busy or out of order.
        """
        try:
            self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)
        except DRIVER_ERRORS as error:
            meta, bucket = self._client.meta, self._bucket
            sentence = start_refusal(error, bucket, without_secrets(meta.endpoint_url), meta.region_name)
            if sentence is None:
                raise os_error(error, str(self.location)) from None
            raise RefusedStart(f"{self.location}: {sentence}") from None

    def _put(
        self,
        key: str,
        file: BinaryIO,
        size: int,
        sha256: str,
        metadata: Mapping[str, str],
        condition: Mapping[str, str],
    ) -> None:
        if size > SINGLE_PUT_BYTES:
            self._put_in_parts(key, file, metadata, condition)
            return
        digest = base64.b64encode(bytes.fromhex(sha256)).decode()
        with as_os_errors(self._place(key)):
            self._client.put_object(
                **self._target(key),
                Body=file,
                ContentLength=size,
                ChecksumSHA256=digest,
                Metadata=dict(metadata),
                **condition,
            )

    def create_in_parts(self, key: str, file: BinaryIO) -> None:
        """Put an object that does not exist yet in parts, however small it is.

        Raises:
            ConditionFailed: It exists.
            OSError: The store cannot be used.
        """
        self._put_in_parts(key, file, {}, {"IfNoneMatch": "*"})

    def _put_in_parts(
        self, key: str, file: BinaryIO, metadata: Mapping[str, str], condition: Mapping[str, str]
    ) -> None:
        target = self._target(key)
        with as_os_errors(self._place(key)):
            upload = self._client.create_multipart_upload(**target, Metadata=dict(metadata))["UploadId"]
        try:
            with as_os_errors(self._place(key)):
                parts = self._put_parts(target, upload, file)
                self._client.complete_multipart_upload(
                    **target, UploadId=upload, MultipartUpload={"Parts": parts}, **condition
                )
        except BaseException:
            # What caused it says more than that it cannot be cleaned up either; stores delete old parts by a rule of the bucket.
            with suppress(*DRIVER_ERRORS):
                self._client.abort_multipart_upload(**target, UploadId=upload)
            raise

    def _put_parts(
        self, target: Mapping[str, str], upload: str, file: BinaryIO
    ) -> Sequence[Mapping[str, object]]:
        parts: list[dict[str, object]] = []
        while data := file.read(PART_BYTES):
            number = len(parts) + 1
            put = self._client.upload_part(**target, UploadId=upload, PartNumber=number, Body=data)
            parts.append({"PartNumber": number, "ETag": put["ETag"]})
        return parts

    def _target(self, key: str) -> Mapping[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    def _place(self, key: str) -> str:
        return f"{self.location}/{key}"


def _connect(location: BucketLocation) -> tuple[Any, Any]:
    """Return a client, and its credentials, from where boto3 looks for them."""
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"max_attempts": TRIES, "mode": "standard"},
        max_pool_connections=CONNECTIONS,
        # Not every store knows the trailing checksums that newer clients send with each request.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        session = boto3.session.Session()
        return session.client("s3", config=config), session.get_credentials()
    except (BotoCoreError, ValueError) as error:
        # A profile or an endpoint's URL that are none.
        reason = without_secrets(printable(str(error)).rstrip("."))
        raise RefusedStart(
            f"{location}: {reason}; see AWS_PROFILE, AWS_ENDPOINT_URL and ~/.aws/config."
        ) from None


def _require(status: int, key: str) -> None:
    """Raise the error for an answer without an object."""
    if status == MISSING:
        raise MissingObject(errno.ENOENT, "there is no such object", key)
    if status == CONDITION_FAILED:
        raise ConditionFailed(key)
