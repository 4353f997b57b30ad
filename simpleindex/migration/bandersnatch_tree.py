"""The tree that bandersnatch mirrors an index into: simple pages, and the files that they link to. Blocking."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from simpleindex.core.errors import InvalidProjectName
from simpleindex.core.model import Project, Withheld
from simpleindex.core.names import parse_project_name
from simpleindex.migration.errors import InvalidImportSource, NotImported
from simpleindex.migration.file_source import FileSource
from simpleindex.migration.people import NOBODY
from simpleindex.upstreams.errors import InvalidUpstreamPage
from simpleindex.upstreams.pages.project_parser import parse_project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.migration.local_files import SourceDirectory
    from simpleindex.migration.people import ImportedPeople

_JSON_PAGE: Final = "index.v1_json"
_HTML_PAGES: Final = ("index.html", "index.v1_html")
_JSON: Final = "application/vnd.pypi.simple.v1+json"
_HTML: Final = "text/html"
_LARGEST_PAGE: Final = 64_000_000
"""Bytes; the largest on the public index have some 20 MB."""

# Only the path of a link counts: bandersnatch writes links that are relative, or begin with its option root_uri.
_BASE: Final = "http://mirror.invalid/simple/project/"
_PACKAGES: Final = "/packages/"


def is_bandersnatch_tree(root: str) -> bool:
    """Return whether a directory is a mirror's, or its ``web`` directory."""
    return any(
        os.path.isdir(os.path.join(root, web, "simple"))
        and os.path.isdir(os.path.join(root, web, "packages"))
        for web in ("web", "")
    )


class BandersnatchTree(FileSource["SourceDirectory"]):
    """A mirror's directory; projects lie in ``simple/NAME``, or with the option ``hash-index`` in ``simple/N/NAME``.

    Args:
        directory: The directory, or its ``web``.

    Raises:
        InvalidImportSource: There are no pages in it.
    """

    def __init__(self, directory: SourceDirectory) -> None:
        super().__init__(directory)
        self.label = directory.root
        self._web = "web/" if os.path.isdir(os.path.join(directory.root, "web", "simple")) else ""
        try:
            self._pages = dict(self._find(f"{self._web}simple"))
        except OSError as error:
            raise InvalidImportSource(f"{error.filename} cannot be read: {error.strerror}.") from None

    def _find(self, place: str, depth: int = 2) -> list[tuple[ProjectName, str]]:
        """Return the directories of projects."""
        found: list[tuple[ProjectName, str]] = []
        with os.scandir(os.path.join(self._directory.root, place)) as entries:
            below = sorted(entry.name for entry in entries if entry.is_dir())
        for name in below:
            path = f"{place}/{name}"
            if self._has_page(path):
                try:
                    found.append((parse_project_name(name), path))
                except InvalidProjectName:
                    continue
            elif depth > 1:
                found += self._find(path, depth - 1)
        return found

    def _has_page(self, path: str) -> bool:
        return any(
            os.path.isfile(os.path.join(self._directory.root, path, page))
            for page in (_JSON_PAGE, *_HTML_PAGES)
        )

    def projects(self) -> Sequence[ProjectName]:
        """Return the names of the projects."""
        return sorted(self._pages)

    def project(self, name: ProjectName) -> Project:
        """Return a project, by its page in JSON if there is one; the reasons of yanks are in HTML only."""
        json, html = self._page(name, (_JSON_PAGE,), _JSON), self._page(name, _HTML_PAGES, _HTML)
        page = json or html
        if page is None:
            raise NotImported("its page cannot be read")
        reasons = {} if html is None else {file.filename: file.yanked for file in html.files}
        paths: dict[str, str] = {}
        files: list[File] = []
        withheld = [*page.withheld]
        for file in page.files:
            paths[file.filename] = path = self._path(file.url or "")
            try:
                size = self._directory.size(path)
            except NotImported as error:
                withheld.append(Withheld(file.filename, error.reason, "file"))
                continue
            yanked = file.yanked
            if yanked is not None:
                yanked = reasons.get(file.filename) or yanked
            files.append(
                replace(file, size=file.size if file.size is not None else size, yanked=yanked, url=None)
            )
        self._paths[name] = paths
        return replace(page, files=files, withheld=tuple(withheld))

    def _page(self, name: ProjectName, pages: Sequence[str], content_type: str) -> Project | None:
        """Parse the first of some pages that is there; None if there is none."""
        for page in pages:
            try:
                body = self._directory.text(f"{self._pages[name]}/{page}", _LARGEST_PAGE)
                return parse_project(content_type, body, _BASE, name)
            except NotImported:
                continue
            except InvalidUpstreamPage as error:
                raise NotImported(str(error)) from None
        return None

    def _path(self, url: str) -> str:
        """Return where a file lies that is linked."""
        _, _, place = unquote(urlsplit(url).path).partition(_PACKAGES)
        return f"{self._web}packages/{place}"

    def people(self) -> ImportedPeople:
        """Return nobody: a mirror has no users."""
        return NOBODY
