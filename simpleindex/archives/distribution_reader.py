"""Read what is inside distributions, in examining processes; answers are kept by the file's digest."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from cachetools import LRUCache, TTLCache

from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.examination import protocol
from simpleindex.archives.examination.limits import NotExamined
from simpleindex.core.errors import NotAllowed, Unavailable
from simpleindex.core.source import Elsewhere
from simpleindex.core.text import human_size
from simpleindex.system.bodies import BytesBody, FileBody
from simpleindex.system.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence

    from simpleindex.archives.contents import MemberList
    from simpleindex.archives.examination.protocol import Examiner, Request
    from simpleindex.archives.member_text import MemberText
    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Body, Source
    from simpleindex.system.threads import Threads

Value = TypeVar("Value")

LARGEST_FILE: Final = 256 * 1024 * 1024
"""Bytes; a larger distribution is not looked into: an sdist has to be unpacked to its end, some 100 MB a second."""

_KEPT: Final = 16 * 1024 * 1024
"""Characters of answers that are kept, and of their questions."""

_MOST_BROKEN: Final = 1_000
_BROKEN_SECONDS: Final = 600.0
"""Files that cannot be read, and how long that is remembered: each try may take a processor 20 seconds and more."""

_PIECE: Final = 256 * 1024


@dataclass(frozen=True, eq=False)
class _Question(Generic[Value]):
    """A question about a distribution.

    Attributes:
        file: The distribution, as the source lists it.
        subject: What it is about; it tells the question from others about the file.
        request: Makes the request, of a descriptor and a size.
    """

    file: File
    subject: str | tuple[str, ...]
    request: Callable[[int, int], Request[Value]]

    @cached_property
    def key(self) -> Hashable:
        """What the answer follows from; a file without a digest may be another one the next time."""
        return (self.file.sha256 or object(), self.file.filename, self.subject)


class DistributionReader:
    """Reads members of distributions, each in a process with limits.

    Args:
        examiner: Examines files.
        threads: Threads that wait for it: as many as may be examined for readers at the same time.
        seconds: A clock that is never set back.
    """

    def __init__(
        self, examiner: Examiner, threads: Threads, seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._examiner = examiner
        self._threads = threads
        self._answers: LRUCache[Any, tuple[Any, Any]] = LRUCache(_KEPT, _weight)
        self._broken: TTLCache[Any, str] = TTLCache(_MOST_BROKEN, _BROKEN_SECONDS, seconds)
        self._flights = SingleFlight()

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

        return await self._answer(source, name, _Question(file, "members", request))

    async def texts(
        self, source: Source, name: ProjectName, file: File, paths: Sequence[str]
    ) -> dict[str, MemberText | None]:
        """Return the text of members; see :func:`simpleindex.archives.contents.read_texts`. Errors as for :meth:`members`."""

        def request(descriptor: int, size: int) -> Request[dict[str, MemberText | None]]:
            return protocol.member_texts(descriptor, size, file.filename, paths)

        return await self._answer(source, name, _Question(file, tuple(paths), request))

    async def differences(
        self, source: Source, name: ProjectName, file: File, former: Mapping[str, str]
    ) -> dict[str, str]:
        """Compare members with their text in another release. Errors as for :meth:`members`."""

        def request(descriptor: int, size: int) -> Request[dict[str, str]]:
            return protocol.differences(descriptor, size, file.filename, former)

        # The texts themselves would be kept as long as the answer, which may be empty.
        digest = hashlib.sha256(repr(sorted(former.items())).encode("utf-8", "backslashreplace")).hexdigest()
        return await self._answer(source, name, _Question(file, digest, request))

    async def description(self, text: str, content_type: str) -> tuple[str, bool]:
        """Return a description as HTML that is safe to show, and whether it had images.

        Raises:
            BrokenArchive: Rendering it takes too long, or fails.
            Unavailable: It cannot be rendered now.
        """

        def request(descriptor: int, size: int) -> Request[tuple[str, bool]]:
            return protocol.description(descriptor, size, content_type)

        data = text.encode("utf-8", "replace")
        key = hashlib.sha256(data).digest(), content_type
        rendered: tuple[str, bool] = await self._flights.run(
            key, lambda: self._examine(BytesBody(data, "", None), request, key)
        )
        return rendered

    async def _answer(self, source: Source, name: ProjectName, question: _Question[Value]) -> Value:
        file = question.file
        # Opened also for an answer that is kept: the reader must be allowed to have the file.
        body = await source.file(name, file.filename)
        if isinstance(body, Elsewhere):
            raise NotAllowed(f"{file.filename} is kept by another index, and cannot be looked into here.")
        is_lent = False

        async def look() -> Value:
            nonlocal is_lent
            is_lent = True
            try:
                return await self._look(question, body)
            finally:
                body.close()

        try:
            if (kept := self._answers.get(question.key)) is not None:
                value: Value = kept[1]
                return value
            if (reason := self._broken.get(question.key)) is not None:
                raise BrokenArchive(reason)
            if body.size is None or body.size > LARGEST_FILE:
                raise NotAllowed(
                    f"{file.filename} is larger than {human_size(LARGEST_FILE)}, and is not looked into."
                )
            waiting: Awaitable[Value] = self._flights.run(question.key, look)
        finally:
            if not is_lent:
                body.close()
        return await waiting

    async def _look(self, question: _Question[Value], body: Body) -> Value:
        """Examine a file, and keep what comes of it."""
        is_known = question.file.sha256 is not None
        try:
            value = await self._examine(body, question.request, question.key)
        except BrokenArchive as error:
            if is_known:
                self._broken[question.key] = str(error)
            raise
        if is_known and _weight((question.subject, value)) <= self._answers.maxsize:
            self._answers[question.key] = question.subject, value
        return value

    async def _examine(
        self, body: Body, request: Callable[[int, int], Request[Value]], key: Hashable
    ) -> Value:
        if isinstance(body, FileBody):
            outcome = await self._threads.run(self._ask, body.descriptor, request, key)
        else:
            # A file that is still on its way from an upstream.
            with tempfile.TemporaryFile() as spool:
                await self._copy(body, spool.fileno())
                outcome = await self._threads.run(self._ask, spool.fileno(), request, key)
        if isinstance(outcome, NotExamined):
            raise Unavailable("Files cannot be examined now.", retry_after=10)
        if isinstance(outcome, OSError):
            raise Unavailable("The file cannot be read now.", retry_after=10)
        if isinstance(outcome, Exception):
            raise outcome
        value: Value = outcome
        return value

    def _ask(
        self, descriptor: int, request: Callable[[int, int], Request[Value]], key: Hashable
    ) -> Value | Exception:
        if not self._flights.is_wanted(key):
            # Every reader has left while it waited for a thread.
            return NotExamined("nobody waits for it")
        (outcome,) = self._examiner.examine([request(descriptor, os.fstat(descriptor).st_size)])
        return outcome

    async def _copy(self, body: Body, descriptor: int) -> None:
        assert body.size is not None, "it was compared with the bound"
        for offset in range(0, body.size, _PIECE):
            piece = await body.read(offset, min(_PIECE, body.size - offset))
            await self._threads.run(os.write, descriptor, piece)


def _weight(kept: tuple[Any, Any]) -> int:
    """Return the characters of a question and its answer, roughly."""
    question, answer = kept
    weight = 100 + sum(map(len, question))
    if isinstance(answer, dict):
        return weight + sum(
            len(path) + len(getattr(text, "text", text) or "") for path, text in answer.items()
        )
    return weight + sum(len(member.path) + len(member.target) + 50 for member in answer.members)
