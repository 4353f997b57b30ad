"""The facts on the page of a project, and of one of its versions (their layout: ``templates/project.html``)."""

from __future__ import annotations

import time
from bisect import bisect_left
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final

from cachetools import LRUCache
from packaging.utils import canonicalize_name

from simpleindex.archives.description import RenderedDescription
from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.examination.process import UnexpectedError
from simpleindex.core.errors import SimpleIndexError, Unavailable
from simpleindex.core.model import Status
from simpleindex.core.names import Kind, ProjectName
from simpleindex.core.selection import find_version, latest_release
from simpleindex.web.metadata_reader import MetadataReader, in_order_of_metadata
from simpleindex.web.people.index_address import trust_command
from simpleindex.web.people.kept_facts import KeptFacts
from simpleindex.web.people.project.download_plot import download_plot
from simpleindex.web.people.project.licenses import license_links
from simpleindex.web.people.project.releases import Releases
from simpleindex.web.people.project.wheel_tags import tags_of, wheel_table
from simpleindex.web.people.renderer import PageContent
from simpleindex.web.people.tool_settings import install_commands
from simpleindex.web.release_metadata import NO_METADATA, parse_release_metadata
from simpleindex.web.routing.routes import ReleaseRoute

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence

    from simpleindex.access.identity import Identity
    from simpleindex.archives.distribution_reader import DistributionReader
    from simpleindex.core.files import File
    from simpleindex.core.model import Project
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


async def _no_uploads(_request: PageRequest, _name: ProjectName) -> Mapping[str, UploadNote]:
    return {}


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
    cached_files: Callable[[ProjectName, Sequence[File]], Mapping[str, bool]] = lambda *_: {}
    downloads: Callable[[Identity, ProjectName], Awaitable[DailyCounts | None]] = _no_downloads


@dataclass(frozen=True)
class Description:
    """The metadata of a release with its rendered description.

    Attributes:
        rendered: The description; None if there is none.
        size: Characters of both, roughly.
    """

    metadata: ReleaseMetadata
    rendered: RenderedDescription | None
    size: int = 0


@dataclass(frozen=True, slots=True)
class _Choice:
    """The version of a project that a page is about, with its files."""

    project: Project
    version: str
    files: tuple[File, ...]


class ProjectPage:
    """Answers ``/<project>/`` and ``/<project>/<version>/`` for people."""

    def __init__(self, services: PageServices) -> None:
        self._services = services
        self._metadata = MetadataReader(services.reader)
        self._descriptions: LRUCache[str, Description] = LRUCache(_KEPT, lambda kept: kept.size)
        self._choices: LRUCache[Hashable, _Choice] = LRUCache(_MOST_CHOICES)
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
        version, files = self._chosen(request, project)
        description = await self._description(request.source, project, files)
        dependents = await self._dependents(request, project)
        address = self._services.address(request)
        present = await self._present(request, description)
        uploads = await self._services.uploads(request, project.name)
        cached = self._services.cached_files(project.name, files)
        downloads = await self._services.downloads(request.reader, project.name)
        requested = request.route.version if isinstance(request.route, ReleaseRoute) else None
        missing = requested if requested and not version else ""
        facts = PageFacts(
            *(project, version, description, dependents, present, uploads, cached, downloads),
            marks_absent=self._services.fronts_upstreams(request.view),
            is_of_project=requested is None,
            missing=missing,
        )

        def values() -> Mapping[str, Any]:
            return template_values(facts, address)

        sources = (
            project,
            description,
            dependents,
            tuple(present.items()),
            tuple(sorted(uploads.items())),
            tuple(cached.items()),
            downloads,
            address,
        )
        content = (
            PageContent("project.html", values, status=404, is_kept_by_clients=False)
            if missing
            else PageContent("project.html", values, (project.name, version, requested is None), sources)
        )
        return await self._services.renderer.answer(request, content)

    def _chosen(self, request: PageRequest, project: Project) -> tuple[str, tuple[File, ...]]:
        """Return the version that the page is about, with its files; nothing if none of that number is offered."""
        text = request.route.version if isinstance(request.route, ReleaseRoute) else None
        key = (request.view, project.name, text)
        kept = self._choices.get(key)
        if kept is None or kept.project is not project:
            version = (
                latest_release(project.files) if text is None else find_version(project.versions, text)
            ) or ""
            files = tuple(file for file in project.files if file.version == version)
            kept = self._choices[key] = _Choice(project, version, files)
        return kept.version, kept.files

    async def _present(self, request: PageRequest, description: Description) -> dict[str, bool]:
        """Return the required projects, and whether the reader finds each in this index, or can expect it behind it."""
        required = {each.project for each in description.metadata.requirements if each.project is not None}
        names = (await request.source.projects()).names
        return {
            name: names[bisect_left(names, name) :][:1] == (name,) or self._services.may_have(request, name)
            for name in sorted(required)
        }

    async def _dependents(self, request: PageRequest, project: Project) -> tuple[Dependent, ...]:
        search = self._services.search
        if search is None or not search.is_available:
            return ()
        return await self._found_dependents.get(
            request,
            project.name,
            lambda _: search.dependents(request.source, project.name, MOST_DEPENDENTS),
        )

    async def _description(self, source: Source, project: Project, files: Sequence[File]) -> Description:
        """Return the metadata of a release, from the first of its files that can tell; nothing if none can."""
        for file in in_order_of_metadata(files):
            key = file.metadata.sha256 if file.metadata is not None else file.sha256
            if key is not None and (kept := self._descriptions.get(key)) is not None:
                return kept
            try:
                data = await self._metadata.read(source, project.name, file)
            except (SimpleIndexError, BrokenArchive):
                continue
            if data is not None:
                metadata = await self._services.threads.run(parse_release_metadata, data)
                described, is_final = await self._describe(metadata, len(data))
                if key is not None and is_final:
                    self._descriptions[key] = described
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


@dataclass(frozen=True)
class PageFacts:
    """What the page of a version shows.

    Attributes:
        project: The project, as the reader is offered it.
        version: The version; empty if there is none.
        dependents: Projects that require this one.
        present: The required projects, and whether each is in this index, or may be.
        marks_absent: Whether those are marked that are not: where others are expected to be.
        uploads: Who uploaded each file, for readers who may know.
        cached: Which files of upstreams are in the cache, and which not.
        downloads: How often the project was downloaded; None if the reader may not know.
        is_of_project: Whether it is the page of the project, which lists all versions.
        missing: What was requested as a version, if none of that number is offered.
    """

    project: Project
    version: str
    description: Description
    dependents: tuple[Dependent, ...]
    present: Mapping[str, bool]
    uploads: Mapping[str, UploadNote]
    cached: Mapping[str, bool]
    downloads: DailyCounts | None = None
    marks_absent: bool = False
    is_of_project: bool = True
    missing: str = ""


def template_values(facts: PageFacts, address: IndexAddress) -> dict[str, Any]:
    """Return the variables of the template."""
    project, version, metadata = facts.project, facts.version, facts.description.metadata
    files = [file for file in project.files if file.version == version]
    described = in_order_of_metadata(files)[:1]
    releases = Releases(project, None if facts.is_of_project else version)
    newest = latest_release(project.files)
    missing = find_version(releases.versions, facts.missing)
    return {
        "project": project,
        "name": _written_name(metadata, project.name),
        "version": version,
        "release": releases.named(version),
        "releases": releases,
        "newest": newest,
        "newer": releases.withheld_above(newest),
        "missing": facts.missing,
        "missing_release": None if missing is None else releases.named(missing),
        "files": [(file, tags_of(file)) for file in files],
        "table": wheel_table(files),
        "metadata": metadata,
        "description": facts.description.rendered,
        "present": facts.present,
        "marks_absent": facts.marks_absent,
        "uploads": facts.uploads,
        "cached": facts.cached,
        "downloads": None if facts.downloads is None else download_plot(facts.downloads),
        "by_extra": _by_extra(metadata),
        "classifiers": _by_topic(metadata.classifiers),
        "dependents": facts.dependents,
        "licenses": license_links(metadata, described),
        # Of a wheel nothing is open any more; its METADATA only repeat what was in the sdist (PEP 643).
        "may_require_more": metadata.has_dynamic_requirements
        and any(file.kind is Kind.SDIST for file in described),
        "commands": install_commands(
            address,
            project.name,
            version,
            files,
            has_requirements=any(not each.extra for each in metadata.requirements),
        )
        if files
        else (),
        "trust": trust_command(address),
        "is_normal": project.status is Status.ACTIVE,
    }


def _written_name(metadata: ReleaseMetadata, name: ProjectName) -> str:
    """Return the name as its author writes it, if that is the project's."""
    written: str = canonicalize_name(metadata.name)
    return metadata.name if written == name else name


def _by_extra(metadata: ReleaseMetadata) -> dict[str, list[Any]]:
    grouped: dict[str, list[Any]] = {}
    for requirement in metadata.requirements:
        grouped.setdefault(requirement.extra, []).append(requirement)
    return dict(sorted(grouped.items()))


def _by_topic(classifiers: Sequence[str]) -> dict[str, list[str]]:
    """Return classifiers by their first part, which is the same for many."""
    grouped: dict[str, list[str]] = {}
    for classifier in classifiers:
        topic, _, rest = classifier.partition(" :: ")
        grouped.setdefault(topic, []).append(rest)
    return grouped


_NOTHING: Final = Description(NO_METADATA, None)
