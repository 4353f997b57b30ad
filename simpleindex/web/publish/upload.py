"""Uploads over HTTP: PyPI's form, and the bare file of ``curl -T`` (docs/protocol.md, "The upload form").

The judgements are those of :mod:`simpleindex.publishing.upload.acceptance`; here a body becomes an upload, and its outcome a response.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from simpleindex.publishing.upload.acceptance import Uploader
from simpleindex.publishing.upload.incoming_upload import file_missing
from simpleindex.web.http.response import Response
from simpleindex.web.publish.sinks import MOST_TEXT, FileSink, FormSink, boundary_of
from simpleindex.web.publish.writers import note_subject

if TYPE_CHECKING:
    from simpleindex.publishing.upload.acceptance import AcceptedUpload, UploadAcceptance
    from simpleindex.system.threads import Threads
    from simpleindex.web.http.response import RequestInfo
    from simpleindex.web.publish.writers import Writers


class Uploads:
    """Takes uploads.

    Args:
        writers: Identifies uploaders.
        acceptance: Judges and publishes uploads.
        threads: Call blocking functions.
    """

    def __init__(self, writers: Writers, acceptance: UploadAcceptance, threads: Threads) -> None:
        self._writers = writers
        self._acceptance = acceptance
        self._threads = threads

    async def judge(
        self, request: RequestInfo, length: int | None, filename: str | None
    ) -> FormSink | FileSink:
        """Judge a request's head, and return what takes its body.

        Args:
            request: The request.
            length: Bytes of its body; None if that is not stated.
            filename: From its URL, where the body is the file; None for a form.

        Raises:
            SimpleIndexError: It is refused.
        """
        uploader = await self._uploader(request)
        if filename is None:
            most = self._acceptance.judge_length((length or 0) - MOST_TEXT)
            boundary = boundary_of(request.header("content-type"))
        else:
            most = self._acceptance.judge_length(length or 0)
        await self._threads.run(self._acceptance.require_room, length or 0)
        open_draft = partial(self._acceptance.open_draft, uploader)
        if filename is None:
            return FormSink(boundary, open_draft, most)
        sink = FileSink(filename, open_draft, most)
        # The URL states the project, so its name is reserved before the body comes.
        self._acceptance.reserve_name(uploader, sink.upload)
        return sink

    async def answer(self, request: RequestInfo) -> Response:
        """Accept an upload once all of it has arrived, and return the answer.

        Raises:
            SimpleIndexError: It is refused.
        """
        if request.body is None:
            await self._uploader(request)
            raise file_missing()
        sink = await request.body.sink()
        assert isinstance(sink, FormSink | FileSink)  # from judge
        try:
            upload = sink.finish()
            # Identified again: a token may have been revoked while the body came.
            uploader = await self._uploader(request)
            return _response(await self._acceptance.accept(uploader, upload))
        finally:
            await self._threads.run(sink.close)

    async def _uploader(self, request: RequestInfo) -> Uploader:
        return Uploader(
            await self._writers.identify(request), request.address, partial(note_subject, request)
        )


def _response(accepted: AcceptedUpload) -> Response:
    text = "".join(f"{line}\n" for line in accepted.lines)
    headers = (("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store"))
    return Response(200, headers, text.encode(), is_private=True)
