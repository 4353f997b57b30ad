"""``/-/diff/<project>/<version>/<version>``: what changed between two versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from packaging.version import Version

from simpleindex.archives.errors import BrokenArchive
from simpleindex.core import bounds
from simpleindex.core.errors import InvalidProjectName, NotHere
from simpleindex.core.names import parse_project_name
from simpleindex.core.selection import find_version
from simpleindex.web.people.project.release_comparison import (
    MemberComparison,
    are_for_the_same,
    compare_fields,
    compare_members,
    compare_requirements,
    fields_of,
    is_metadata,
    pair_of,
    versionless_path,
)
from simpleindex.web.people.renderer import PageContent

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from simpleindex.archives.contents import MemberList
    from simpleindex.archives.member_text import MemberText
    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.web.http.response import Response
    from simpleindex.web.people.page_request import PageRequest
    from simpleindex.web.people.project.project_page import PageServices

MOST_DIFFERENCES: Final = 50
"""Files whose text is compared on one page; the others are named."""


@dataclass(frozen=True)
class ReleaseDifference:
    """What differs between two distributions of a project.

    Attributes:
        members: The files that were added, removed and changed.
        changes: What was added to the metadata and what was removed from them, by the heading.
        is_same_kind: Whether both are for the same Pythons and platforms.
        texts: Unified differences by path, of files that are text and not too large.
        is_complete: Whether all files of both were compared.
    """

    older: File
    newer: File
    members: MemberComparison
    changes: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
    is_same_kind: bool
    texts: Mapping[str, str]
    is_complete: bool


class DifferencePage:
    """Answers ``/-/diff/``."""

    def __init__(self, services: PageServices) -> None:
        self._services = services

    async def answer(self, request: PageRequest) -> Response:
        """Return the differences; of two versions in the other order too.

        Raises:
            NotHere: There is no such project, or the reader may not read it.
            SimpleIndexError: As the source raises.
        """
        name, texts = _subject(request)
        project = await request.source.project(name)
        versions = [
            version for text in texts if (version := find_version(project.versions, text)) is not None
        ]
        if len(versions) < len(texts):
            return await self._not_offered(request, name, texts)
        older, newer = sorted(versions, key=Version)
        pair = pair_of(project.files, older, newer)
        difference, problem = None, None
        if older == newer:
            problem = "It is the same version."
        elif pair is None:
            problem = "There is no wheel and no sdist in both versions that could be compared."
        else:
            try:
                difference = await self._compare(request, name, *pair)
            except BrokenArchive as error:
                problem = f"They cannot be compared: {error}."

        def values() -> Mapping[str, Any]:
            return {
                "name": name,
                "older": older,
                "newer": newer,
                "difference": difference,
                "problem": problem,
            }

        return await self._services.renderer.answer(
            request, PageContent("difference.html", values, *_key_and_sources(pair, difference))
        )

    async def _not_offered(self, request: PageRequest, name: ProjectName, texts: tuple[str, str]) -> Response:
        """Return the way to the versions, whose pages say why one of them is not offered."""
        values = {
            **dict(zip(("older", "newer"), texts, strict=True)),
            "name": name,
            "difference": None,
            "problem": "Only versions that are offered can be compared.",
        }
        content = PageContent("difference.html", lambda: values, status=404, is_kept_by_clients=False)
        return await self._services.renderer.answer(request, content)

    async def _compare(
        self, request: PageRequest, name: ProjectName, older: File, newer: File
    ) -> ReleaseDifference:
        reader, source = self._services.reader, request.source
        before, after = await reader.members(source, name, older), await reader.members(source, name, newer)
        compared, paths_before, paths_after = await self._services.threads.run(
            _compare_lists, (older, before), (newer, after)
        )
        texts = await reader.texts(source, name, older, tuple(paths_before.values()))
        former = {
            paths_after[path]: found.text
            for path, member in paths_before.items()
            if path in paths_after and (found := texts.get(member)) is not None
        }
        differences = await reader.differences(source, name, newer, former) if former else {}
        plain = {member: path for path, member in paths_after.items()}
        changes = await self._changes(request, name, newer, texts, paths_after)
        return ReleaseDifference(
            older,
            newer,
            compared,
            changes,
            are_for_the_same(older, newer),
            {plain[member]: text for member, text in differences.items() if text},
            before.is_complete and after.is_complete,
        )

    async def _changes(
        self,
        request: PageRequest,
        name: ProjectName,
        newer: File,
        former: Mapping[str, MemberText | None],
        paths: Mapping[str, str],
    ) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
        members = tuple(member for path, member in paths.items() if is_metadata(path))
        texts = await self._services.reader.texts(request.source, name, newer, members) if members else {}
        before = next(
            (each.text for path, each in former.items() if each is not None and is_metadata(path)), ""
        )
        after = next((each.text for each in texts.values() if each is not None), "")
        return await self._services.threads.run(_compare_metadata, before, after)


def _compare_lists(
    older: tuple[File, MemberList], newer: tuple[File, MemberList]
) -> tuple[MemberComparison, dict[str, str], dict[str, str]]:
    """Compare members, and choose those of each whose text is compared, by plain path; takes 50 ms for the longest lists."""
    compared = compare_members((older[0], older[1].members), (newer[0], newer[1].members))
    # RECORD repeats every other change as a digest.
    changed = (path for path in compared.changed if not path.endswith(".dist-info/RECORD"))
    chosen = (*_metadata_paths(*older), *changed)
    return compared, _paths(*older, chosen), _paths(*newer, chosen)


def _compare_metadata(before: str, after: str) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    former, present = fields_of(before), fields_of(after)
    return {
        "Dependencies": compare_requirements(
            former.get("requires-dist", ()), present.get("requires-dist", ())
        ),
        "Metadata": compare_fields(former, present),
    }


def _key_and_sources(
    pair: tuple[File, File] | None, difference: ReleaseDifference | None
) -> tuple[Hashable, tuple[object, ...]]:
    """Return by what a page is kept: two distributions with digests have one difference, which takes a second to be rendered."""
    if pair is None or difference is None or any(file.sha256 is None for file in pair):
        return None, ()
    names, digests = ([file.filename for file in pair], [file.sha256 for file in pair])
    return ("diff", *names), (*digests,)


def _metadata_paths(file: File, listed: MemberList) -> Iterable[str]:
    return (versionless_path(each.path, file) for each in listed.members if is_metadata(each.path))


def _paths(file: File, listed: MemberList, chosen: Sequence[str]) -> dict[str, str]:
    """Return the members of chosen plain paths that are small enough to be compared, metadata first."""
    members = {versionless_path(each.path, file): each for each in listed.members}
    small = [
        path
        for path in dict.fromkeys(chosen)
        if path in members and not bounds.MEMBER_TEXT.excess(members[path].size)
    ]
    return {path: members[path].path for path in small[:MOST_DIFFERENCES]}


def _subject(request: PageRequest) -> tuple[ProjectName, tuple[str, str]]:
    segments = getattr(request.route, "name", "").split("/")
    if len(segments) != 4:
        raise NotHere("page")
    try:
        return parse_project_name(segments[1]), (segments[2], segments[3])
    except InvalidProjectName:
        raise NotHere("page") from None
