"""Read an upstream's list of projects: their names, and the URLs of pages that are not where installers look for them.

Indexes link each project as ``NAME/`` below their own URL (PEP 503). Listings of plain web servers have directories in the
projects' own spelling, so that the normalized name leads nowhere; static sites have ``NAME/index.html``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urljoin, urlsplit

from simpleindex.core.errors import InvalidProjectName
from simpleindex.core.names import distribution_suffix, parse_project_name
from simpleindex.upstreams.errors import InvalidUpstreamPage
from simpleindex.upstreams.pages.entries import LONGEST_FILENAME
from simpleindex.upstreams.pages.page_formats import base_of, is_json, read_html_page, read_json_page
from simpleindex.upstreams.pages.urls import absolute_url, origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.core.names import ProjectName
    from simpleindex.upstreams.pages.html import Anchor, Page

_INDEX_FILES: Final = frozenset({"index.html", "index.htm", "index.php", "default.html", "default.htm"})
_PAGES: Final = (".html", ".htm")
_OTHER_FILES: Final = (
    *(".txt", ".md", ".rst", ".json", ".xml", ".css", ".js", ".ico", ".png", ".svg", ".gif", ".jpg", ".pdf"),
    *(
        ".asc",
        ".sig",
        ".metadata",
        ".provenance",
        ".sha256",
        ".md5",
        ".gz",
        ".bz2",
        ".xz",
        ".egg",
        ".exe",
        ".msi",
    ),
    *(
        ".rpm",
        ".deb",
        ".pem",
        ".crt",
        ".key",
        ".py",
        ".sh",
        ".toml",
        ".cfg",
        ".ini",
        ".log",
        ".php",
        ".config",
    ),
    *(
        ".conf",
        ".yml",
        ".yaml",
        ".csv",
        ".db",
        ".sqlite",
        ".sqlite3",
        ".bak",
        ".old",
        ".tmp",
        ".part",
        ".lock",
    ),
)
"""Suffixes of files beside the projects' directories, in lower case; a link without a slash to one is no project."""


@dataclass(frozen=True, slots=True)
class UpstreamRoot:
    """An upstream's list of projects.

    Attributes:
        names: Normalized and sorted.
        places: Absolute URLs of project pages that are not at ``NAME/`` below the index. All of them are below it.
    """

    names: tuple[ProjectName, ...] = ()
    places: Mapping[ProjectName, str] = field(default_factory=dict)


def parse_root(content_type: str, body: bytes, url: str) -> UpstreamRoot:
    """Parse the list of projects.

    Args:
        content_type: The header.
        body: The page, decoded.
        url: Its final URL, after redirects.

    Raises:
        InvalidUpstreamPage: It is no list of projects.
    """
    if is_json(content_type):
        projects = read_json_page(body).get("projects")
        if not isinstance(projects, list):
            raise InvalidUpstreamPage("is JSON, but has no list of projects")
        stated = (_project_name(each.get("name")) for each in projects if isinstance(each, dict))
        return UpstreamRoot(tuple(sorted({name for name in stated if name is not None})))
    return _html_root(read_html_page(content_type, body), url)


def _html_root(page: Page, url: str) -> UpstreamRoot:
    base = base_of(page, url)
    if not page.anchors and not page.says_index:
        raise InvalidUpstreamPage("is HTML, but has no links and does not say that it is an index")
    here = _Here.of(base)
    names: set[ProjectName] = set()
    places: dict[ProjectName, str] = {}
    usual: set[ProjectName] = set()
    for anchor in page.anchors:
        target = absolute_url(base, anchor.href.partition("#")[0])
        link = None if target is None else _project_link(anchor, target, here)
        if link is None:
            continue
        name, place = link
        names.add(name)
        if place is None:
            usual.add(name)
        else:
            places.setdefault(name, place)
    if origin(base) != origin(url):
        # Pages on another host are not believed.
        places.clear()
    return UpstreamRoot(
        tuple(sorted(names)), {name: place for name, place in places.items() if name not in usual}
    )


@dataclass(frozen=True, slots=True)
class _Here:
    """What a page's links are relative to.

    Attributes:
        path: Of the page.
        directory: The path up to its last slash.
        last: The name of that directory.
        url: Of the directory, with the host.
    """

    path: str
    directory: str
    last: str
    url: str

    @classmethod
    def of(cls, base: str) -> _Here:
        path = urlsplit(base).path
        directory = path.rpartition("/")[0] + "/"
        return cls(path, directory, directory.rstrip("/").rpartition("/")[2], urljoin(base, directory))


def _project_link(anchor: Anchor, target: str, here: _Here) -> tuple[ProjectName, str | None] | None:
    """Read a link as one to a project's page.

    Returns:
        The project, and where its page is if not where installers look for it; None if it is no such link.
    """
    path = urlsplit(target).path
    # Directory listings link to their parents, and to themselves in other orders.
    if here.directory.startswith(path) or path == here.path:
        return None
    parent, _, last = path.rstrip("/").rpartition("/")
    is_directory = path.endswith("/")
    is_index_file = not is_directory and last.lower() in _INDEX_FILES
    if is_index_file:
        parent, _, last = parent.rpartition("/")
    is_beside = f"{parent}/" == here.directory
    is_below = is_beside and target.startswith(here.url)
    # Other links lead elsewhere. A proxy may have changed what is before the last directory's name.
    if not is_beside and parent.rpartition("/")[2] != here.last:
        return None
    if not here.last and not is_below:
        return None
    text = unquote(last, errors="replace")
    if not is_directory and not is_index_file:
        if text.lower().endswith(_PAGES):
            text = text.rpartition(".")[0]
        elif text.lower().endswith(_OTHER_FILES) or distribution_suffix(text):
            return None
    name = _project_name(text) or _project_name(anchor.text.strip().rstrip("/"))
    if name is None:
        return None
    is_usual = text == name and not is_index_file and (is_directory or last == name)
    return name, None if is_usual or not is_below else target


def _project_name(text: object) -> ProjectName | None:
    if not isinstance(text, str) or len(text) > LONGEST_FILENAME:
        return None
    try:
        return parse_project_name(text)
    except InvalidProjectName:
        return None
