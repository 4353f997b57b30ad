"""Request files of an upstream: whole, by range (206, Content-Range), or only their modification time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.web.iweb import UNKNOWN_LENGTH

from simpleindex.core.errors import NotHere
from simpleindex.core.text import http_date
from simpleindex.upstreams.errors import FileRefused
from simpleindex.upstreams.http.body import ResponseBody
from simpleindex.upstreams.http.content_codings import decoder_of
from simpleindex.upstreams.http.encoded_files import HEAD, coding_of_file, is_encoded
from simpleindex.upstreams.http.file_streams import Extent, HttpStream
from simpleindex.upstreams.http.headers import parse_content_range
from simpleindex.upstreams.http.requests import COMPLETE, GONE, OutgoingRequest, header, validators_of
from simpleindex.upstreams.pages.urls import absolute_url, basename, quoted_as_pip_does

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime
    from twisted.web.iweb import IResponse

    from simpleindex.upstreams.client_options import ClientOptions
    from simpleindex.upstreams.http.requests import UpstreamRequests
    from simpleindex.upstreams.interface import Validators

_REFUSED: Final = frozenset({403, *GONE})

_EXPIRED: Final = frozenset({400, 401, 403})
"""What object stores answer when the signature in a file's URL has expired."""

_LARGEST_FILE: Final = 1 << 40
"""Bytes; the cache bounds the size of a file."""

_LEAST_RATE: Final = 1024.0
"""Bytes a second that a file must arrive with in the long run, so that a byte every few seconds does not count as progress."""


class FileRequests:
    """Requests files of one upstream."""

    def __init__(self, requests: UpstreamRequests, clock: IReactorTime, options: ClientOptions) -> None:
        self._requests = requests
        self._failed = requests.failed
        self._clock = clock
        self._name = options.name
        self._limits = options.limits

    async def open(
        self, url: str, offset: int = 0, validators: Validators | None = None, *, size: int | None = None
    ) -> HttpStream:
        """Begin to fetch a file or the rest of one."""
        target = absolute_url(url, "")
        if target is None:
            raise self._failed("it lists a file with an invalid URL")
        headers = {b"Accept-Encoding": b"identity"}
        still = _if_range(validators)
        if offset and (still or validators is None):
            headers[b"Range"] = f"bytes={offset}-".encode("ascii")
            if still:
                headers[b"If-Range"] = still.encode("ascii")
        response, headers = await self._request_file(target, headers)
        if response.code in GONE:
            await self._requests.discard(response)
            raise NotHere(f"file {ascii(basename(target))[1:-1][:200]}")
        if response.code in _EXPIRED:
            raise FileRefused(self._name, (await self._requests.refusal(response)).reason)
        if response.code not in COMPLETE and response.code != 206:
            raise await self._requests.refusal(response)
        body = ResponseBody(
            response,
            self._clock,
            idle=self._limits.idle,
            patience=lambda received: self._limits.listing + received / _LEAST_RATE,
        )
        try:
            extent = self._extent(response, offset if b"Range" in headers else 0)
            return await self._stream(target, response, body, extent, size)
        except BaseException:
            body.close()
            raise

    async def modified(self, url: str) -> int | None:
        """Return when a file was modified, from the headers of an answer to HEAD."""
        target = absolute_url(url, "")
        if target is None:
            return None
        headers = {b"Accept-Encoding": b"identity"}
        request = OutgoingRequest(target, headers, method=b"HEAD", seconds=self._limits.idle)
        response, _ = await self._requests.follow(request)
        await self._requests.discard(response)
        if response.code in GONE:
            raise NotHere(f"file {ascii(basename(target))[1:-1][:200]}")
        if response.code in _EXPIRED:
            raise FileRefused(self._name, self._requests.status_error(response).reason)
        if response.code == 429 or (response.code >= 500 and response.code != 501):
            raise self._requests.status_error(response)
        # A server that does not understand HEAD (405, 501) states no time.
        seconds = http_date(validators_of(response).last_modified) if response.code in COMPLETE else None
        return None if seconds is None or seconds <= 0 else seconds * 1_000_000_000

    async def _request_file(
        self, url: str, headers: dict[bytes, bytes]
    ) -> tuple[IResponse, dict[bytes, bytes]]:
        """Request a file with its URL as listed, which is what uv does, and then as pip quotes it.

        Amazon's S3 takes a plus in a path for a blank, so that some files are found only with pip's URL.
        """
        response, _ = await self._requests.follow(OutgoingRequest(url, headers))
        quoted = quoted_as_pip_does(url)
        if response.code in _REFUSED and quoted != url:
            await self._requests.discard(response)
            url = quoted
            response, _ = await self._requests.follow(OutgoingRequest(url, headers))
        is_part = response.code == 206 and b"Range" in headers
        if is_part and coding_of_file(header(response, "content-encoding")) is not None:
            # A part of an encoded file cannot be decoded.
            await self._requests.discard(response)
            headers = {b"Accept-Encoding": headers[b"Accept-Encoding"]}
            response, _ = await self._requests.follow(OutgoingRequest(url, headers))
        return response, headers

    async def _stream(
        self, url: str, response: IResponse, body: ResponseBody, extent: Extent, size: int | None
    ) -> HttpStream:
        """Begin to read a file, and decode it if it was encoded for the transfer."""
        coding = coding_of_file(header(response, "content-encoding"))
        stream = HttpStream(self._requests.fault, body, extent, validators_of(response))
        if coding is None:
            return stream
        head = b""
        while len(head) < HEAD and (data := await stream.read()):
            head += data
        decoder = None
        if is_encoded(coding, url, head, length=extent.length, size=size):
            decoder = decoder_of((coding,), _LARGEST_FILE, "file")
        return HttpStream(
            self._requests.fault, body, extent, validators_of(response), head=head, decoder=decoder
        )

    def _extent(self, response: IResponse, offset: int) -> Extent:
        """Read from the headers which bytes of a file follow."""
        length = None if response.length is UNKNOWN_LENGTH else int(response.length)
        if response.code in COMPLETE:
            return Extent(0, length, length)
        if response.code != 206 or not offset:
            raise self._requests.status_error(response)
        part = parse_content_range(header(response, "content-range"))
        # All of the rest was requested.
        if part is None or part.start != offset or part.size not in {None, part.stop}:
            raise self._failed("it sends another part of a file than was requested")
        if length not in {None, part.stop - offset}:
            raise self._failed("it sends more or less of a file than its headers state")
        return Extent(offset, part.stop - offset, part.size)


def _if_range(validators: Validators | None) -> str | None:
    """Return the value of If-Range: a strong ETag, or else a date (RFC 9110 section 13.1.5)."""
    if validators is None:
        return None
    if validators.etag and not validators.etag.startswith("W/"):
        return validators.etag
    return validators.last_modified
