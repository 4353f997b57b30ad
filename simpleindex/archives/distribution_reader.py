"""Read what is inside distributions, in examining processes; answers are kept by the file's digest."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cachetools import LRUCache

from simpleindex.archives.examination import protocol
from simpleindex.archives.examination.limits import NotExamined
from simpleindex.core.errors import NotAllowed, Unavailable
from simpleindex.core.source import Elsewhere
from simpleindex.core.text import human_size
from simpleindex.system.bodies import BytesBody, FileBody

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from simpleindex.archives.contents import MemberList
    from simpleindex.archives.examination.protocol import Examiner, Request
    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Body, Source
    from simpleindex.system.threads import Threads

Value = TypeVar("Value")

LARGEST_FILE: Final = 256 * 1024 * 1024
"""Bytes; a larger distribution is not looked into: an sdist has to be unpacked to its end, some 100 MB a second."""

_KEPT: Final = 16 * 1024 * 1024
"""Characters of answers that are kept."""

_PIECE: Final = 256 * 1024


class DistributionReader:
    """Reads members of distributions, each in a process with limits.

    Args:
        examiner: Examines files.
        threads: Threads that wait for it.
    """

    def __init__(self, examiner: Examiner, threads: Threads) -> None:
        self._examiner = examiner
        self._threads = threads
        self._answers: LRUCache[Any, Any] = LRUCache(_KEPT, _weight)

    async def members(self, source: Source, name: ProjectName, file: File) -> MemberList:
        """Return the list of the files in a distribution.

        Args:
            source: The part of the index that the reader may read.
            name: The project.
            file: The distribution, as the source lists it.

        Raises:
            BrokenArchive: It cannot be read.
            SimpleIndexError: It is not here, or not now, or the reader may not read it.
        """

        def request(descriptor: int, size: int) -> Request[MemberList]:
            return protocol.members(descriptor, size, file.filename)

        return await self._answer(source, name, file, "members", request)

    async def texts(
        self, source: Source, name: ProjectName, file: File, paths: Sequence[str]
    ) -> dict[str, str | None]:
        """Return the text of members; see :func:`simpleindex.archives.contents.read_texts`. Errors as for :meth:`members`."""

        def request(descriptor: int, size: int) -> Request[dict[str, str | None]]:
            return protocol.member_texts(descriptor, size, file.filename, paths)

        return await self._answer(source, name, file, tuple(paths), request)

    async def differences(
        self, source: Source, name: ProjectName, file: File, former: Mapping[str, str]
    ) -> dict[str, str]:
        """Compare members with their text in another release. Errors as for :meth:`members`."""

        def request(descriptor: int, size: int) -> Request[dict[str, str]]:
            return protocol.differences(descriptor, size, file.filename, former)

        return await self._answer(source, name, file, tuple(sorted(former.items())), request)

    async def description(self, text: str, content_type: str) -> tuple[str, bool]:
        """Return a description as HTML that is safe to show, and whether it had images.

        Raises:
            BrokenArchive: Rendering it takes too long, or fails.
            Unavailable: It cannot be rendered now.
        """

        def request(descriptor: int, size: int) -> Request[tuple[str, bool]]:
            return protocol.description(descriptor, size, content_type)

        return await self._examine(BytesBody(text.encode("utf-8", "replace"), "", None), request)

    async def _answer(
        self,
        source: Source,
        name: ProjectName,
        file: File,
        question: object,
        request: Callable[[int, int], Request[Value]],
    ) -> Value:
        key = (file.sha256, file.filename, question)
        # Opened also for an answer that is kept: the reader must be allowed to have the file.
        body = await source.file(name, file.filename)
        if isinstance(body, Elsewhere):
            raise NotAllowed(f"{file.filename} is kept by another index, and cannot be looked into here.")
        try:
            if file.sha256 is not None and (kept := self._answers.get(key)) is not None:
                value: Value = kept
                return value
            if body.size is None or body.size > LARGEST_FILE:
                raise NotAllowed(
                    f"{file.filename} is larger than {human_size(LARGEST_FILE)}, and is not looked into."
                )
            value = await self._examine(body, request)
        finally:
            body.close()
        if file.sha256 is not None and _weight(value) <= self._answers.maxsize:
            self._answers[key] = value
        return value

    async def _examine(self, body: Body, request: Callable[[int, int], Request[Value]]) -> Value:
        if isinstance(body, FileBody):
            outcome = await self._threads.run(self._ask, body.descriptor, request)
        else:
            # A file that is still on its way from an upstream.
            with tempfile.TemporaryFile() as spool:
                await self._copy(body, spool.fileno())
                outcome = await self._threads.run(self._ask, spool.fileno(), request)
        if isinstance(outcome, NotExamined):
            raise Unavailable("Files cannot be examined now.", retry_after=10)
        if isinstance(outcome, OSError):
            raise Unavailable("The file cannot be read now.", retry_after=10)
        if isinstance(outcome, Exception):
            raise outcome
        value: Value = outcome
        return value

    def _ask(self, descriptor: int, request: Callable[[int, int], Request[Value]]) -> Value | Exception:
        (outcome,) = self._examiner.examine([request(descriptor, os.fstat(descriptor).st_size)])
        return outcome

    async def _copy(self, body: Body, descriptor: int) -> None:
        assert body.size is not None, "it was compared with the bound"
        for offset in range(0, body.size, _PIECE):
            piece = await body.read(offset, min(_PIECE, body.size - offset))
            await self._threads.run(os.write, descriptor, piece)


def _weight(answer: Any) -> int:
    """Return the characters of an answer, roughly."""
    if isinstance(answer, dict):
        return 100 + sum(len(path) + len(text or "") for path, text in answer.items())
    return 100 + sum(len(member.path) + 50 for member in answer.members)
