"""Listings as bytes: version 1.4 of the simple API, as JSON and as HTML (docs/protocol.md).

Pure and deterministic: equal values give equal bytes, so an ETag over them survives a restart. Links are bare file
names, so a page is the same under every prefix.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from simpleindex.core.model import Status
from simpleindex.core.names import PROVENANCE_SUFFIX, Kind
from simpleindex.core.text import decimal_size, plural
from simpleindex.core.views import MAIN_VIEW
from simpleindex.web.pages.notes import (
    NOTHING_MORE,
    IndexDescription,
    ca_note,
    install_command,
    surroundings,
    why_link,
)
from simpleindex.web.pages.safe_values import escape, upload_time_text, writable
from simpleindex.web.pages.templates import PROJECT_SCRIPT, ROOT_SCRIPT, html_page, read_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from simpleindex.core.files import File
    from simpleindex.core.model import Project, ProjectList
    from simpleindex.core.names import ProjectName

    Pause = Callable[[], object]

Item = TypeVar("Item")

# The newest version of the standard (PEP 792). Never 1.2's keys (PEP 708 was rejected), nor 1.5 without PEP 752.
_API_VERSION: Final = "1.4"

_PROJECTS: Final = read_template("projects.html")
_NO_PROJECTS: Final = read_template("no_projects.html")
_PROJECT: Final = read_template("project.html")

_LINKS: Final = "\0links\0"
"""Where the links of a list of projects come; no other text of a page has control characters in it."""

_PIECE: Final = 1_000
"""Projects of a list, or files of a project, that are rendered in one go; a very large page is rendered in a thread."""

_STATUS_MEANING: Final = {
    Status.ARCHIVED: "No new releases are expected.",
    Status.DEPRECATED: "It is obsolete; another project may have taken its place.",
    Status.QUARANTINED: "It is considered unsafe, so none of its files is offered.",
}


def root_json(projects: ProjectList, pause: Pause = lambda: None) -> Iterator[bytes]:
    """Render the list of projects as JSON (PEP 691), piece by piece.

    Serials are written as PyPI does, in keys that PEP 691 leaves to servers ("_" first); bandersnatch reads them.

    Args:
        projects: What is listed.
        pause: Called between two pieces of a very large page, to let other threads run.
    """
    serials, names = projects.serials, projects.names
    # Not by json.dumps, which lets nothing else run until all of a large list is written.
    meta: dict[str, Any] = {"api-version": _API_VERSION}
    if serials is None:
        rows = _rows(names, lambda name: f',{{"name":"{name}"}}', pause)
    else:
        meta["_last-serial"] = max(
            (max([serials[name] for name in piece]) for piece in _pieces(names, pause)), default=0
        )
        rows = _rows(names, lambda name: f',{{"name":"{name}","_last-serial":{serials[name]}}}', pause)
    yield b"".join([b'{"meta":', _json(meta), b',"projects":[', next(rows, b",")[1:]])
    yield from rows
    yield b"]}"


def _rows(names: Sequence[ProjectName], row: Callable[[ProjectName], str], pause: Pause) -> Iterator[bytes]:
    """Yield the rows of a list of projects in pieces; normalized names need no escaping in JSON or HTML."""
    for piece in _pieces(names, pause):
        yield "".join([row(name) for name in piece]).encode()


def _pieces(items: Sequence[Item], pause: Pause) -> Iterator[Sequence[Item]]:
    """Yield the items in pieces, between which other threads run."""
    for start in range(0, len(items), _PIECE):
        if start:
            pause()
        yield items[start : start + _PIECE]


def project_json(
    project: Project, base_url: str | None, files_url: str | None = None, pause: Pause = lambda: None
) -> bytes:
    """Render a project as JSON (PEP 691, 700, 714, 740, 792).

    Args:
        project: What is offered, in the order in which it is listed.
        base_url: The index's URL, ending in a slash, where the protocol wants absolute URLs; None if it is not certain.
        files_url: The same, where the URLs of files have to be absolute too: micropip, which runs in web pages, resolves no
            relative ones (https://github.com/pyodide/micropip/issues/150); None for bare names.
        pause: As in :func:`root_json`.
    """
    beside = "" if files_url is None else f"{files_url}simple/{project.name}/"
    page: dict[str, Any] = {"meta": {"api-version": _API_VERSION}, "name": project.name}
    if project.status is not Status.ACTIVE:
        page["project-status"] = {"status": project.status.value}
        if project.status_reason:
            page["project-status"]["reason"] = writable(project.status_reason)
    page["versions"] = project.versions
    page["files"] = []
    if project.denied is not None:
        page["_denied"] = writable(project.denied)
    if project.withheld:
        # A key with an underscore is the server's own (PEP 691).
        page["_withheld"] = len(project.withheld)
    if len(project.files) <= _PIECE:
        page["files"] = _entries(project, project.files, base_url, beside)
        return _json(page)
    # Of many files one call of json.dumps would let nothing else run; in a text the key would have its quotes escaped.
    before, key, after = _json(page).partition(b'"files":[]')
    rows = [
        _json(_entries(project, piece, base_url, beside))[1:-1] for piece in _pieces(project.files[:], pause)
    ]
    return b"".join([before, key[:-1], b",".join(rows), key[-1:], after])


def _entries(
    project: Project, files: Sequence[File], base_url: str | None, beside: str
) -> list[dict[str, Any]]:
    return [_file_json(file, beside, _provenance_url(project, file, base_url)) for file in files]


def _json(page: dict[str, Any] | list[dict[str, Any]]) -> bytes:
    return json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode()


def _file_json(file: File, beside: str, provenance: str | None) -> dict[str, Any]:
    """Return one file's entry; missing facts are left out, because uv refuses a page with nulls (docs/protocol.md)."""
    # Only one: pip looks at nothing but the first (docs/protocol.md, "JSON pages").
    digest = _digest(file)
    entry: dict[str, Any] = {
        "filename": file.filename,
        "url": file.url or f"{beside}{_url(file)}",
        "hashes": {} if digest is None else {digest[0]: digest[1]},
    }
    if file.size is not None:
        entry["size"] = file.size
    if (uploaded := upload_time_text(file)) is not None:
        entry["upload-time"] = uploaded
        if file.dated_by:
            entry["_upload-time-by"] = file.dated_by
    if file.requires_python:
        entry["requires-python"] = writable(file.requires_python)
    if file.metadata:
        entry["core-metadata"] = {"sha256": file.metadata.sha256}
    if file.yanked is not None:
        # An empty reason would read as "not yanked" (docs/protocol.md, "JSON pages").
        entry["yanked"] = writable(file.yanked) or True
    if _is_signed(file):
        entry["gpg-sig"] = True
    if provenance:
        entry["provenance"] = provenance
    return entry


def _provenance_url(project: Project, file: File, base_url: str | None) -> str | None:
    """Return where the file's provenance is, or None if there is none or no secure URL for it (PEP 740)."""
    if file.provenance_url is not None:
        return file.provenance_url
    if not file.provenance or base_url is None or not base_url.startswith("https://"):
        return None
    # With the prefix, under which alone projects called "simple" or "legacy" can be reached.
    return f"{base_url}simple/{project.name}/{quote(file.filename, safe='')}{PROVENANCE_SUFFIX}"


def root_html(
    projects: ProjectList,
    about: IndexDescription = NOTHING_MORE,
    view: str = MAIN_VIEW,
    pause: Pause = lambda: None,
) -> Iterator[bytes]:
    """Render the list of projects as HTML, piece by piece: PEP 503 for tools, a page with a filter for people.

    Args:
        projects: What is listed.
        about: The index.
        view: In which view.
        pause: As in :func:`root_json`.
    """
    body = (_PROJECTS if projects.names else _NO_PROJECTS).substitute(
        count=plural(len(projects.names), "project"),
        command=install_command("PROJECT", about),
        notes=f"{ca_note(about, '')}{surroundings(about, view)}",
        links=_LINKS,
        script=ROOT_SCRIPT,
    )
    before, _, after = _page("Package index", (), body).partition(_LINKS.encode())
    yield before
    yield from _rows(projects.names, lambda name: f'<a href="{name}/">{name}</a>\n', pause)
    yield after


def project_html(
    project: Project,
    base_url: str | None,
    view: str = MAIN_VIEW,
    about: IndexDescription = NOTHING_MORE,
) -> bytes:
    """Render a project as HTML: PEP 503 for tools, its releases with the newest first for people.

    Args:
        project: What is offered.
        base_url: As in :func:`project_json`.
        view: In which view.
        about: The index.
    """
    metas = []
    if project.status is not Status.ACTIVE:
        metas.append(("project-status", project.status.value))
        if project.status_reason:
            metas.append(("project-status-reason", project.status_reason))
    body = _PROJECT.substitute(
        name=project.name,
        summary=_summary(project, view, about),
        status=_status(project),
        releases=_releases(project, base_url),
        script=PROJECT_SCRIPT,
    )
    return _page(project.name, metas, body)


def _page(title: str, metas: Iterable[tuple[str, str]], body: str) -> bytes:
    """Return a listing; clients read the version of the protocol and a project's status from its head (PEP 629, PEP 792)."""
    metas = (("repository-version", _API_VERSION), *metas)
    lines = "".join(f'<meta name="pypi:{name}" content="{escape(value)}">\n' for name, value in metas)
    return html_page(title, body, metas=lines).encode()


def _summary(project: Project, view: str, about: IndexDescription) -> str:
    """Return the counts and how to install the project, or why there is nothing to install."""
    withheld = ""
    if project.withheld:
        withheld = (
            f"{plural(len(project.withheld), 'file')} withheld: {why_link(project.name, view)} says why"
        )
    if project.files:
        facts = [plural(len(project.versions), "release"), plural(len(project.files), "file"), withheld]
        return f"""<p>{" · ".join(filter(None, facts))}</p>
<pre><code id="install">{install_command(project.name, about)}</code>\
<button id="copy" type="button" hidden>Copy</button></pre>
{ca_note(about, "../")}"""
    if project.status is Status.QUARANTINED:
        return "<p>No files are offered.</p>\n"
    if project.denied is not None:
        return f'<p class="status">No files are offered: <bdi>{escape(project.denied)}</bdi></p>\n'
    if withheld:
        return f"<p>No files are offered: {withheld}.</p>\n"
    return "<p>No files yet.</p>\n"


def _status(project: Project) -> str:
    if project.status is Status.ACTIVE:
        return ""
    value = project.status.value
    reason = escape(project.status_reason or _STATUS_MEANING[project.status])
    return f'<p class="status {value}"><b>{value.title()}:</b> <bdi>{reason}</bdi></p>\n'


def _releases(project: Project, base_url: str | None) -> str:
    """Return the files by release, newest release first, wheels before sdists."""
    # "If used, on every link" (PEP 503, data-gpg-sig).
    signatures = any(map(_is_signed, project.files))
    releases: dict[str, list[File]] = {version: [] for version in reversed(project.versions)}
    for file in project.files:
        releases[file.version].append(file)
    sections = []
    for version, files in releases.items():
        files.sort(key=lambda file: (file.kind is Kind.SDIST, file.filename))
        # What all files of a release share stands once, beside its version.
        python = _shared([file.requires_python for file in files])
        yanked = _shared([file.yanked for file in files])
        sections.append(f"<section>\n<div><h2>{escape(version)}</h2>{_notes(python, yanked)}</div>\n<ul>\n")
        for file in files:
            notes = _notes(
                file.requires_python if file.requires_python != python else None,
                file.yanked if file.yanked != yanked else None,
            )
            uploaded = upload_time_text(file)
            anchor = _anchor(file, uploaded, _provenance_url(project, file, base_url), signatures)
            size = "" if file.size is None else decimal_size(file.size)
            facts = f"<span>{size}</span><span>{(uploaded or '')[:10]}</span>"
            sections.append(f"<li>\n{anchor}\n{facts}{notes}</li>\n")
        sections.append("</ul>\n</section>\n")
    return "".join(sections)


def _anchor(file: File, uploaded: str | None, provenance: str | None, signatures: bool) -> str:
    """Return the one line that clients read (PEP 503, 592, 658, 714, 740); size and time are for uv, which alone reads them."""
    digest = _digest(file)
    fragment = "" if digest is None else f"#{digest[0]}={digest[1]}"
    attributes = [f'href="{escape(_url(file))}{fragment}"']
    if file.requires_python:
        attributes.append(f'data-requires-python="{escape(file.requires_python)}"')
    if file.yanked is not None:
        # Never bare: pip takes an attribute without a value as absent (docs/protocol.md, "HTML pages").
        attributes.append(f'data-yanked="{escape(file.yanked)}"')
    if file.metadata:
        # Never "false": pip takes any value as "there is one" (docs/protocol.md, "HTML pages"). The second name is for clients before 2023.
        metadata = f'metadata="sha256={file.metadata.sha256}"'
        attributes.append(f"data-core-{metadata} data-dist-info-{metadata}")
    if signatures:
        attributes.append(f'data-gpg-sig="{str(_is_signed(file)).lower()}"')
    if provenance:
        attributes.append(f'data-provenance="{escape(provenance)}"')
    if file.size is not None:
        attributes.append(f'data-size="{file.size}"')
    if uploaded is not None:
        attributes.append(f'data-upload-time="{uploaded}"')
    return f"<a {' '.join(attributes)}>{escape(file.filename)}</a>"


def _notes(requires_python: str | None, yanked: str | None) -> str:
    # Spaces, so that a long specifier can wrap.
    python = f"<p>Python {escape(requires_python).replace(',', ', ')}</p>" if requires_python else ""
    if yanked is None:
        return python
    reason = f": <bdi>{escape(yanked)}</bdi>" if yanked else ""
    return f'{python}<p class="yanked">Yanked{reason}</p>'


def _shared(values: list[str | None]) -> str | None:
    return values[0] if len(set(values)) == 1 else None


def _is_signed(file: File) -> bool:
    """Tell whether a file has the protocol's signature, the .asc beside it (PEP 503); a .sig is only relayed."""
    return ".asc" in file.signatures


def _url(file: File) -> str:
    """Return the bare name of a file, which lies beside the page, or where an upstream has it."""
    return file.url or quote(file.filename, safe="")


def _digest(file: File) -> tuple[str, str] | None:
    return file.other_hash if file.sha256 is None else ("sha256", file.sha256)
