"""Read another index server over HTTP: any simple index, or a devpi server by its own JSON. Blocking."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from simpleindex.core.errors import NotHere
from simpleindex.core.text import http_date
from simpleindex.migration.devpi_pages import (
    WITHOUT_PROJECTS,
    parse_config,
    parse_devpi_users,
    parse_projects,
    parse_releases,
    people_of_index,
)
from simpleindex.migration.errors import InvalidImportSource, NotImported, SourceLost
from simpleindex.migration.interface import FileContent, ImportSource
from simpleindex.migration.people import NOBODY
from simpleindex.upstreams.errors import UpstreamFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from simpleindex.core.files import File
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.migration.people import ImportedPeople
    from simpleindex.upstreams.interface import Stream, Upstream, Validators

    Request = Callable[[], Coroutine[Any, Any, Any]]
    Run = Callable[[Request], Any]

_TRIES: Final = 5
"""How often a request is made to a server that asks to wait."""

_MOST_LOST: Final = 4
"""Requests in a row that fail in the end: as many as are made at the same time."""

_LONGEST_WAIT: Final = 120
"""Seconds of one wait."""

_RESUMES: Final = 3
"""How often the rest of a file is requested after the connection broke off."""

_PIECE: Final = 1 << 20
"""Bytes."""

_SECOND: Final = 1_000_000_000


class PatientRunner:
    """Runs requests, and makes them again where the server asks to wait.

    Args:
        run: Calls an async function where connections live, and waits for what it returns.
        pause: Waits for some seconds.
    """

    def __init__(self, run: Run, pause: Callable[[float], object]) -> None:
        self._run = run
        self._pause = pause
        self._lost = 0

    def __call__(self, request: Request) -> Any:
        """Make a request.

        Raises:
            UpstreamFailed: It failed.
            NotHere: The server does not have it.
            SourceLost: It failed, as those before it.
        """
        tries = _TRIES
        while True:
            tries -= 1
            try:
                answer = self.once(request)
            except UpstreamFailed as error:
                if error.retry_after is None or error.retry_after > _LONGEST_WAIT:
                    raise
                if not tries:
                    raise self._given_up(error) from None
                self._pause(error.retry_after)
            else:
                self._lost = 0
                return answer

    def _given_up(self, error: UpstreamFailed) -> UpstreamFailed | SourceLost:
        """Return the error for a request that is not made again."""
        self._lost += 1
        return error if self._lost < _MOST_LOST else SourceLost(error.reason.rstrip("."))

    def once(self, request: Request) -> Any:
        """Make a request that cannot be made again, or need not; errors as for a call."""
        return self._run(request)


class SimpleIndexSource(ImportSource):
    """A simple index (PEP 503, PEP 691)."""

    is_local = False

    def __init__(self, upstream: Upstream, run: PatientRunner, label: str) -> None:
        self.label = label
        self._upstream = upstream
        self._run = run

    def projects(self) -> Sequence[ProjectName]:
        """Return the names in its list of projects."""
        try:
            names: Sequence[ProjectName] = self._run.once(self._upstream.projects)
        except UpstreamFailed as error:
            raise unreadable(self.label, error) from None
        return names

    def project(self, name: ProjectName) -> Project:
        """Return a project, as its page lists it."""
        listing = self._request(partial(self._upstream.project, name, None))
        project: Project = listing.project
        return project

    def open(self, name: ProjectName, file: File) -> HttpContent:
        """Begin to fetch a file."""
        del name
        return HttpContent(self._upstream, self._run, file)

    def sha256(self, name: ProjectName, file: File) -> None:
        """Return nothing: the file would have to be fetched."""
        del name, file

    def beside(self, name: ProjectName, file: File) -> Mapping[str, bytes]:
        """Return nothing: listings do not state what lies beside a file, only that something does."""
        del name, file
        return {}

    def people(self) -> ImportedPeople:
        """Return nobody: no index tells."""
        return NOBODY

    def _request(self, request: Request) -> Any:
        return _made(self._run, request)


class HttpContent(FileContent):
    """A file that is being fetched; where the connection breaks off, the rest is requested.

    Raises:
        NotImported: It cannot be fetched.
    """

    descriptor = None

    def __init__(self, upstream: Upstream, run: PatientRunner, file: File) -> None:
        self._upstream = upstream
        self._run = run
        self._file = file
        self._offset = 0
        self._resumes = _RESUMES
        self._has_ended = False
        self._failure: UpstreamFailed | None = None
        self._stream = self._open(None)
        seconds = http_date(self._stream.validators.last_modified)
        self.modified_ns = seconds * _SECOND if seconds and seconds > 0 else None

    def _open(self, validators: Validators | None) -> Stream:
        url, size = self._file.url or "", self._file.size
        stream: Stream = _made(
            self._run, partial(self._upstream.open, url, self._offset, validators, size=size)
        )
        return stream

    def read(self) -> bytes:
        """Return the next bytes."""
        while True:
            try:
                data: bytes = b"" if self._has_ended else _made(self._run.once, self._read_ahead)
            except NotImported:
                if not self._offset or not self._resumes:
                    raise
                self._resume()
            else:
                self._offset += len(data)
                return data

    async def _read_ahead(self) -> bytes:
        """Return what comes next, in large pieces: each call from another thread takes as long as a small file."""
        pieces: list[bytes] = []
        size = 0
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        while size < _PIECE:
            try:
                data = await self._stream.read()
            except UpstreamFailed as error:
                if not pieces:
                    raise
                self._failure = error
                break
            if not data:
                self._has_ended = True
                break
            pieces.append(data)
            size += len(data)
        return b"".join(pieces)

    def _resume(self) -> None:
        """Request the rest."""
        self._resumes -= 1
        self.close()
        self._stream = self._open(self._stream.validators)
        if self._stream.offset != self._offset:
            raise NotImported(
                "the connection broke off, and the other server gives no parts of files; run it again"
            )

    def close(self) -> None:
        """Close the connection."""
        self._run.once(self._closed)

    async def _closed(self) -> None:
        self._stream.close()


class DevpiSource(SimpleIndexSource):
    """An index of a devpi server, without the projects of its bases.

    Args:
        upstream: Requests files.
        run: Runs the requests.
        label: The index's URL, with a slash at its end.
        page: Requests the JSON at a URL.
    """

    def __init__(
        self,
        upstream: Upstream,
        run: PatientRunner,
        label: str,
        page: Callable[[str], Coroutine[Any, Any, bytes]],
    ) -> None:
        super().__init__(upstream, run, label)
        self._page = page
        self._config = parse_config(self._read(f"{label}{WITHOUT_PROJECTS}"))
        if self._config.get("type") == "mirror":
            raise InvalidImportSource(
                f"{label} is a mirror of another index. Make that index an upstream instead (simpleindex docs upstreams)."
            )

    def projects(self) -> Sequence[ProjectName]:
        """Return the names of its own projects."""
        return parse_projects(self._read(self.label))

    def project(self, name: ProjectName) -> Project:
        """Return a project."""
        body = self._request(partial(self._page, f"{self.label}{name}?ignore_bases"))
        return parse_releases(body, name, self.label)

    def people(self) -> ImportedPeople:
        """Return the rights on the index, and the users; the server tells no hashes of passwords."""
        *server, user, index = self.label.rstrip("/").split("/")
        return people_of_index(
            f"{user}/{index}", self._config, parse_devpi_users(self._read(f"{'/'.join(server)}/"))
        )

    def _read(self, url: str) -> bytes:
        try:
            body: bytes = self._run.once(partial(self._page, url))
        except UpstreamFailed as error:
            raise unreadable(self.label, error) from None
        return body


def _made(run: Run, request: Request) -> Any:
    """Make a request.

    Raises:
        NotImported: It failed.
    """
    try:
        return run(request)
    except NotHere:
        raise NotImported("the other server does not have it, although it lists it") from None
    except UpstreamFailed as error:
        raise NotImported(_in_words_of_import(error.reason)) from None


def _in_words_of_import(reason: str) -> str:
    """Return a reason of an upstream without its end, with the option in place of the key of a sources file."""
    return reason.rstrip(".").replace("is not in its `hosts`", "is not named by --hosts")


def unreadable(label: str, error: UpstreamFailed) -> InvalidImportSource:
    """Return the error for a server that does not list its projects."""
    reason, advice = _in_words_of_import(error.reason), ""
    if "credentials" in reason:
        advice = " Name a file that holds user:password with --login-file."
    elif "TLS" in reason:
        advice = " Name its CA with --cert FILE."
    return InvalidImportSource(f"{label} cannot be read: {reason}.{advice}")
