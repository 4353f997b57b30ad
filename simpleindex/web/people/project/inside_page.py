"""``/-/inside/<project>/<file>[/<member>]``: the files in a distribution, and their text."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from simpleindex.archives.contents import lines_of
from simpleindex.archives.errors import BrokenArchive
from simpleindex.core import bounds
from simpleindex.core.errors import InvalidProjectName, NotHere
from simpleindex.core.names import parse_project_name
from simpleindex.core.text import shown
from simpleindex.web.people.filters import has_address
from simpleindex.web.people.renderer import PageContent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.archives.contents import Member
    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.web.http.response import Response
    from simpleindex.web.people.page_request import PageRequest
    from simpleindex.web.people.project.project_page import PageServices


class InsidePage:
    """Answers ``/-/inside/``."""

    def __init__(self, services: PageServices) -> None:
        self._services = services

    async def answer(self, request: PageRequest) -> Response:
        """Return the list of a distribution's files, or one of them with line numbers.

        Raises:
            NotHere: There is no such project, distribution or file, or the reader may not read it.
            SimpleIndexError: As the source raises.
        """
        name, filename, member = _subject(request)
        project = await request.source.project(name)
        file = project.file(filename)
        if file is None:
            raise NotHere(f"file {shown(filename)} of the project {name}")
        try:
            content = await (
                self._member(request, name, file, member) if member else self._list(request, name, file)
            )
        except BrokenArchive as error:
            values = _values(name, file, problem=str(error))
            content = PageContent("inside.html", lambda: values, is_kept_by_clients=False)
        return await self._services.renderer.answer(request, content)

    async def _list(self, request: PageRequest, name: ProjectName, file: File) -> PageContent:
        listed = await self._services.reader.members(request.source, name, file)
        entry_points = next((each.path for each in listed.members if is_entry_points(each)), None)
        text = None
        if entry_points is not None:
            texts = await self._services.reader.texts(request.source, name, file, (entry_points,))
            found = texts.get(entry_points)
            text = None if found is None else found.text

        def values() -> Mapping[str, Any]:
            members = sorted(listed.members, key=lambda member: member.path)
            times = Counter(member.path for member in members)
            return {
                **_values(name, file),
                "members": [(each, has_address(each.path), times[each.path] > 1) for each in members],
                "is_complete": listed.is_complete,
                "links": sum(bool(member.link) for member in members),
                "size": sum(member.size for member in members),
                "entry_points": text,
            }

        return PageContent("inside.html", values, _key("inside", file), (file.sha256,))

    async def _member(self, request: PageRequest, name: ProjectName, file: File, path: str) -> PageContent:
        texts = await self._services.reader.texts(request.source, name, file, (path,))
        if path not in texts:
            raise NotHere(f"file {shown(path)} in {file.filename}")
        found = texts[path]
        listed = await self._services.reader.members(request.source, name, file)
        sizes = [member.size for member in listed.members if member.path == path]

        def values() -> Mapping[str, Any]:
            return {
                **_values(name, file),
                "path": path,
                "member": found,
                "lines": None if found is None else lines_of(found.text),
                "size": max(sizes, default=0),
                "largest": bounds.MEMBER_TEXT.most,
                "is_repeated": len(sizes) > 1,
            }

        return PageContent("member.html", values, _key("member", file, path), (file.sha256,))


def _key(page: str, file: File, *further: str) -> tuple[str, ...] | None:
    """Return the key of a page that is made from a file alone; without a digest nobody knows that it is still the same."""
    return None if file.sha256 is None else (page, file.filename, *further)


def is_entry_points(member: Member) -> bool:
    """Tell whether a member states the entry points of its wheel (PyPUG "entry-points"), or those that setuptools puts into an sdist."""
    if member.path.endswith(".dist-info/entry_points.txt"):
        return member.path.count("/") == 1
    return member.path.endswith(".egg-info/entry_points.txt") and member.path.count("/") <= 3


def _subject(request: PageRequest) -> tuple[ProjectName, str, str]:
    _, _, rest = getattr(request.route, "name", "").partition("/")
    project, _, rest = rest.partition("/")
    filename, _, member = rest.partition("/")
    try:
        name = parse_project_name(project)
    except InvalidProjectName:
        raise NotHere("page") from None
    if not filename:
        raise NotHere("page")
    return name, filename, member


def _values(name: ProjectName, file: File, problem: str | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "file": file,
        "problem": problem,
        "members": (),
        "is_complete": True,
        "links": 0,
        "size": 0,
        "entry_points": None,
    }
