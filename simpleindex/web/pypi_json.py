"""PyPI's JSON API: `/pypi/<project>/json` and `/pypi/<project>/<version>/json`, for bots, auditors and mirrors."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from simpleindex.archives.errors import BrokenArchive
from simpleindex.core.caches import SizedCache
from simpleindex.core.errors import NotHere, SimpleIndexError
from simpleindex.core.selection import find_version, latest_release
from simpleindex.core.text import shown
from simpleindex.core.views import MAIN_VIEW
from simpleindex.web.conditional import not_modified
from simpleindex.web.http.response import Response
from simpleindex.web.metadata_reader import in_order_of_metadata
from simpleindex.web.pages.negotiation import Encoding, choose_encoding
from simpleindex.web.pages.pypi_document import PypiDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from simpleindex.core.files import File
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Source
    from simpleindex.policy.osv import Advisory
    from simpleindex.system.threads import Threads
    from simpleindex.web.http.response import RequestInfo
    from simpleindex.web.listings import Listings
    from simpleindex.web.metadata_reader import MetadataReader
    from simpleindex.web.routing.routes import PypiJsonRoute

_KEPT: Final = 16 * 1024 * 1024
"""Bytes of documents that are kept; one of a project with a hundred files has some 80 KiB, compressed a tenth."""

_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?")
"""A Host header that can stand in a URL (RFC 9110 section 7.2)."""

LAST_SERIAL: Final = "X-PyPI-Last-Serial"
"""The header by which bandersnatch sees that a document is not older than the list of projects."""


@dataclass(frozen=True, slots=True)
class PypiFacts:
    """What documents state beyond listings and metadata.

    Attributes:
        serial_of: Returns the serial of a project that lies in a directory; None for all others.
        cached_files: Returns which files of upstreams are in the cache, and which not.
        advisories_about: Returns the advisories about a version.
    """

    serial_of: Callable[[ProjectName], int | None] = lambda _: None
    advisories_about: Callable[[ProjectName, str], tuple[Advisory, ...]] = lambda *_: ()
    cached_files: Callable[[ProjectName, Sequence[File]], Mapping[str, bool]] = lambda *_: {}


@dataclass(frozen=True, slots=True)
class _Rendered:
    """A document as it is sent; it is current as long as it is made from this very project, and from equal facts."""

    document: PypiDocument
    body: bytes
    etag: str

    def is_current(self, project: Project, serial: int, advisories: tuple[Advisory, ...]) -> bool:
        made_from = self.document
        return (
            made_from.project is project and made_from.serial == serial and made_from.advisories == advisories
        )


class PypiJson:
    """Answers for both URLs.

    Args:
        metadata: Reads the metadata of files.
        listings: The simple pages, which know the URL of the index.
        encodings: Content encodings that can be made, with their compressors, best first.
        threads: Threads in which documents are written, because long descriptions are compressed with them.
        facts: What else they state.
    """

    def __init__(
        self,
        metadata: MetadataReader,
        listings: Listings,
        encodings: dict[Encoding, Callable[[bytes], bytes]],
        threads: Threads,
        facts: PypiFacts,
    ) -> None:
        self._metadata = metadata
        self._listings = listings
        self._encodings = encodings
        self._threads = threads
        self._facts = facts
        self._kept: SizedCache[tuple[object, ...], _Rendered] = SizedCache(_KEPT, lambda each: len(each.body))

    async def answer(self, route: PypiJsonRoute, request: RequestInfo, source: Source) -> Response:
        """Return the document of a project or of one of its releases.

        Args:
            route: The project, and the version.
            request: The request.
            source: The part of the view that the reader may read.

        Raises:
            NotHere: There is no such project, or no such release.
            SimpleIndexError: As the source raises.
        """
        project = await source.project(route.name)
        version = _version_of(route, project)
        encoding = choose_encoding(request.header("accept-encoding"), (*self._encodings, Encoding.IDENTITY))
        serial = self._serial(project)
        base_url = self._base_url(route.view, request)
        advisories = self._facts.advisories_about(project.name, version)
        key = (route, base_url, encoding)
        rendered = self._kept.get(key)
        if rendered is None or not rendered.is_current(project, serial, advisories):
            metadata, is_final = await self._metadata_of(source, project, version)
            document = PypiDocument(
                project, version, metadata, serial, base_url, route.version is None, advisories
            )
            rendered = await self._threads.run(self._render, document, encoding)
            if is_final:
                self._kept.put(key, rendered)
        return _response(rendered, encoding, request)

    async def _metadata_of(self, source: Source, project: Project, version: str) -> tuple[bytes | None, bool]:
        """Return the metadata of a release, and whether a later request would find the same.

        No file is fetched from an upstream for them.
        """
        files = [file for file in project.files if file.version == version]
        cached = self._facts.cached_files(project.name, files)
        is_final = True
        for file in in_order_of_metadata(files):
            if file.metadata is None and not cached.get(file.filename, True):
                is_final = False
                continue
            try:
                data = await self._metadata.read(source, project.name, file)
            except (SimpleIndexError, BrokenArchive):
                is_final = False
                continue
            if data is not None:
                return data, True
        return None, is_final

    def _render(self, document: PypiDocument, encoding: Encoding) -> _Rendered:
        body = document.write()
        tag = hashlib.sha256(body).hexdigest()[:32]
        if encoding is not Encoding.IDENTITY:
            body = self._encodings[encoding](body)
            tag = f"{tag}-{encoding.value}"
        return _Rendered(replace(document, metadata=None), body, f'"{tag}"')

    def _serial(self, project: Project) -> int:
        """Return a number that rises with uploads; of what lies in a directory with every change of it."""
        uploads = [file.uploaded_ns // 1000 for file in project.files if file.uploaded_ns is not None]
        return max(self._facts.serial_of(project.name) or 0, *uploads, 1)

    def _base_url(self, view: str, request: RequestInfo) -> str:
        """Return the URL of a view: the one that is configured, or else by the host that the client has requested."""
        base = self._listings.files_url
        if base is None:
            base = self._listings.base_url or "http://localhost/"
            host = request.header("host") or ""
            if _HOST.fullmatch(host):
                base = f"{urlsplit(base).scheme}://{host}/"
        return base if view == MAIN_VIEW else f"{base}{view}/"


def _version_of(route: PypiJsonRoute, project: Project) -> str:
    if route.version is None:
        version, text = latest_release(project.files), f"release of {project.name}"
    else:
        version = find_version(project.versions, route.version)
        text = f"version {shown(route.version)} of the project {project.name}"
    if version is None:
        raise NotHere(text)
    return version


def _response(rendered: _Rendered, encoding: Encoding, request: RequestInfo) -> Response:
    headers: tuple[tuple[str, str], ...] = (
        ("ETag", rendered.etag),
        ("Cache-Control", "no-store" if rendered.document.project.stale else "no-cache"),
        ("Vary", "Accept-Encoding"),
        (LAST_SERIAL, str(rendered.document.serial)),
    )
    if not_modified(request.header("if-none-match"), None, rendered.etag, None):
        return Response(304, headers)
    if encoding is not Encoding.IDENTITY:
        headers = (*headers, ("Content-Encoding", encoding.value))
    return Response(
        200,
        (*headers, ("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff")),
        rendered.body,
    )
