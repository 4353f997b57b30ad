"""The facts on the page of a version, and the variables of its template (``templates/project.html``) that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from simpleindex.core.model import Status
from simpleindex.core.names import Kind
from simpleindex.core.selection import find_version, latest_release
from simpleindex.web.metadata_reader import in_order_of_metadata
from simpleindex.web.people.index_address import trust_command
from simpleindex.web.people.project.download_plot import download_plot
from simpleindex.web.people.project.licenses import license_links
from simpleindex.web.people.project.releases import Releases
from simpleindex.web.people.project.wheel_tags import tags_of, wheel_table
from simpleindex.web.people.tool_settings import install_commands

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simpleindex.archives.description import RenderedDescription
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.records.audit.audited_uploads import UploadNote
    from simpleindex.search.visibility import Dependent
    from simpleindex.web.people.index_address import IndexAddress
    from simpleindex.web.people.project.download_plot import DailyCounts
    from simpleindex.web.release_metadata import ReleaseMetadata


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

    @cached_property
    def required(self) -> Mapping[ProjectName, bool]:
        """The projects that are required, sorted, as if each were here."""
        required = {each.project for each in self.metadata.requirements if each.project is not None}
        return dict.fromkeys(sorted(required), True)


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
    present: Mapping[ProjectName, bool]
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
