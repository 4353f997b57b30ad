"""The page of a project, and of one of its versions: its facts are found with every request, and rendered when one has changed."""

from __future__ import annotations

import time
from bisect import bisect_left
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final

from simpleindex.archives.description import RenderedDescription
from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.examination.process import UnexpectedError
from simpleindex.core.caches import SizedCache
from simpleindex.core.errors import SimpleIndexError, Unavailable
from simpleindex.core.names import ProjectName
from simpleindex.core.selection import find_version, latest_release, metadata_digest
from simpleindex.web.metadata_reader import MetadataReader, in_order_of_metadata
from simpleindex.web.people.kept_facts import KeptFacts
from simpleindex.web.people.project.page_facts import Description, PageFacts, template_values
from simpleindex.web.people.renderer import PageContent
from simpleindex.web.release_metadata import NO_METADATA, parse_release_metadata
from simpleindex.web.routing.routes import ReleaseRoute

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence

    from simpleindex.access.identity import Identity
    from simpleindex.archives.distribution_reader import DistributionReader
    from simpleindex.core.files import File
    from simpleindex.core.model import Project, ProjectList
    from simpleindex.core.source import Source
    from simpleindex.records.audit.audited_uploads import UploadNote
    from simpleindex.search.search import Search
    from simpleindex.search.visibility import Dependent
    from simpleindex.system.threads import Threads
    from simpleindex.web.http.response import Response
    from simpleindex.web.people.index_address import IndexAddress
    from simpleindex.web.people.page_request import PageRequest
    from simpleindex.web.people.project.download_plot import DailyCounts
    from simpleindex.web.people.renderer import PageRenderer
    from simpleindex.web.release_metadata import ReleaseMetadata

MOST_DEPENDENTS: Final = 100

_MOST_CHOICES: Final = 100
"""Projects whose version is remembered: to find the latest of 500 takes longer than all else of a page that is kept."""

_KEPT: Final = 16 * 1024 * 1024
"""Characters of descriptions that are kept rendered, with the metadata around them; one has some 20 KiB, and a hostile one four million."""

_MOST_LISTS: Final = 500
"""Lists of dependents that are kept."""

NO_UPLOADS: Final[Mapping[str, UploadNote]] = {}
"""Where the reader may not know who uploaded the files; one object, which is seen to be the same without a comparison."""

NONE_CACHED: Final[Mapping[str, bool]] = {}
"""Where no file comes from an upstream; the same."""


async def _no_uploads(_request: PageRequest, _name: ProjectName) -> Mapping[str, UploadNote]:
    return NO_UPLOADS


async def _no_downloads(_reader: Identity, _name: ProjectName) -> DailyCounts | None:
    return None


@dataclass(frozen=True)
class PageServices:
    """What project pages are made with.

    Attributes:
        renderer: Renders templates.
        reader: Reads what is inside distributions.
        threads: Threads for parsing metadata.
        address: Returns the address of a view, for commands.
        fronts_upstreams: Tells whether a view has projects that are not on its list.
        may_have: Tells whether it can have a certain one, as far as is known without a request to an upstream.
        search: Finds dependents; None where there is no search.
        seconds: A clock that is never set back.
        uploads: Returns who uploaded the files of a project, as far as the reader may know.
        cached_files: Returns which files of upstreams are in the cache, and which not.
        downloads: Returns how often a project was downloaded; None where the reader may not know.
    """

    renderer: PageRenderer
    reader: DistributionReader
    threads: Threads
    address: Callable[[PageRequest], IndexAddress]
    fronts_upstreams: Callable[[str], bool] = lambda _: False
    may_have: Callable[[PageRequest, ProjectName], bool] = lambda *_: False
    search: Search | None = None
    seconds: Callable[[], float] = time.monotonic
    uploads: Callable[[PageRequest, ProjectName], Awaitable[Mapping[str, UploadNote]]] = _no_uploads
    cached_files: Callable[[ProjectName, Sequence[File]], Mapping[str, bool]] = lambda *_: NONE_CACHED
    downloads: Callable[[Identity, ProjectName], Awaitable[DailyCounts | None]] = _no_downloads


@dataclass(frozen=True, slots=True)
class _Choice:
    """The version of a project that a page is about, with its files.

    Attributes:
        described: The files in the order in which their metadata are tried.
    """

    project: Project
    version: str
    files: tuple[File, ...]
    described: tuple[File, ...]


class ProjectPage:
    """Answers ``/<project>/`` and ``/<project>/<version>/`` for people."""

    def __init__(self, services: PageServices) -> None:
        self._services = services
        self._metadata = MetadataReader(services.reader)
        self._descriptions: SizedCache[tuple[ProjectName, str], Description]
        self._descriptions = SizedCache(_KEPT, lambda kept: kept.size)
        self._choices: SizedCache[Hashable, _Choice] = SizedCache(_MOST_CHOICES, lambda _: 1)
        self._found_dependents: KeptFacts[tuple[Dependent, ...]] = KeptFacts(_MOST_LISTS, services.seconds)

    async def answer(self, request: PageRequest) -> Response:
        """Return the page.

        Raises:
            NotHere: There is no such project, or the reader may not read it.
            SimpleIndexError: As the source raises.
        """
        name = request.route.name
        assert name is not None, "the front page has a class of its own"
        project = await request.source.project(ProjectName(name))
        choice = self._chosen(request, project)
        version, files = choice.version, choice.files
        description = await self._description(request.source, choice)
        listed = await request.source.projects()
        dependents = await self._dependents(request, project, listed)
        address = self._services.address(request)
        present = self._present(request, description, listed)
        uploads = await self._services.uploads(request, project.name)
        cached = self._services.cached_files(project.name, files)
        downloads = await self._services.downloads(request.reader, project.name)
        requested = request.route.version if isinstance(request.route, ReleaseRoute) else None
        missing = requested if requested and not version else ""

        def values() -> Mapping[str, Any]:
            facts = PageFacts(
                *(project, version, description, dependents, present, uploads, cached, downloads),
                marks_absent=self._services.fronts_upstreams(request.view),
                is_of_project=requested is None,
                missing=missing,
            )
            return template_values(facts, address)

        sources = (project, description, dependents, present, uploads, cached, downloads, address)
        content = (
            PageContent("project.html", values, status=404, is_kept_by_clients=False)
            if missing
            else PageContent("project.html", values, (project.name, version, requested is None), sources)
        )
        return await self._services.renderer.answer(request, content)

    def _chosen(self, request: PageRequest, project: Project) -> _Choice:
        """Return the version that the page is about; an empty one if none of that number is offered."""
        text = request.route.version if isinstance(request.route, ReleaseRoute) else None
        key = (request.view, project.name, text)
        kept = self._choices.get(key)
        if kept is None or kept.project is not project:
            version = (
                latest_release(project.files) if text is None else find_version(project.versions, text)
            ) or ""
            files = tuple(file for file in project.files if file.version == version)
            kept = _Choice(project, version, files, tuple(in_order_of_metadata(files)))
            self._choices.put(key, kept)
        return kept

    def _present(
        self, request: PageRequest, description: Description, listed: ProjectList
    ) -> Mapping[ProjectName, bool]:
        """Return the required projects, and whether the reader finds each in this index, or can expect it behind it."""
        required, names, may_have = description.required, listed.names, self._services.may_have
        absent = {name for name in required if not _is_among(names, name) and not may_have(request, name)}
        return {name: name not in absent for name in required} if absent else required

    async def _dependents(
        self, request: PageRequest, project: Project, listed: ProjectList
    ) -> tuple[Dependent, ...]:
        search = self._services.search
        if search is None or not search.is_available:
            return ()
        return await self._found_dependents.get(
            request,
            listed,
            project.name,
            lambda: search.dependents(request.source, project.name, MOST_DEPENDENTS),
        )

    async def _description(self, source: Source, choice: _Choice) -> Description:
        """Return the metadata of a release, from the first of its files that can tell; nothing if none can."""
        for file in choice.described:
            # Not by digest alone: an upstream that states the digest of another project's file must not have its text shown.
            key = choice.project.name, metadata_digest(file)
            if key[1] and (kept := self._descriptions.get(key)) is not None:
                return kept
            try:
                data = await self._metadata.read(source, choice.project.name, file)
            except (SimpleIndexError, BrokenArchive):
                continue
            if data is not None:
                metadata = await self._services.threads.run(parse_release_metadata, data)
                described, is_final = await self._describe(metadata, len(data))
                if key[1] and is_final:
                    self._descriptions.put(key, described)
                return described
        return _NOTHING

    async def _describe(self, metadata: ReleaseMetadata, size: int) -> tuple[Description, bool]:
        """Render a description; returns it, and whether it would be the same another time."""
        if not metadata.description:
            return Description(metadata, None, size), True
        html, has_images, is_final = f"<pre>{escape(metadata.description)}</pre>", False, True
        try:
            html, has_images = await self._services.reader.description(
                metadata.description, metadata.description_type
            )
        except (BrokenArchive, UnexpectedError):
            pass  # Rendering it takes too long: it is shown as it is written.
        except Unavailable:
            is_final = False
        return Description(metadata, RenderedDescription(html, has_images), size + len(html)), is_final


def _is_among(names: Sequence[ProjectName], name: ProjectName) -> bool:
    """Tell whether a name is among sorted ones."""
    place = bisect_left(names, name)
    return place < len(names) and names[place] == name


_NOTHING: Final = Description(NO_METADATA, None)
