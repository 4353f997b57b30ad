"""Listings as HTML: PEP 503 for tools, with version 1.4 of the simple API, and legible for people (docs/protocol.md).

Pure and deterministic, as :mod:`simpleindex.web.pages.simple_json`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.core.model import Status
from simpleindex.core.names import Kind
from simpleindex.core.text import decimal_size, plural
from simpleindex.core.views import MAIN_VIEW
from simpleindex.web.pages.listing_parts import (
    API_VERSION,
    file_digest,
    file_url,
    is_signed,
    project_rows,
    provenance_url,
)
from simpleindex.web.pages.notes import (
    NOTHING_MORE,
    IndexDescription,
    ca_note,
    install_command,
    surroundings,
    why_link,
)
from simpleindex.web.pages.safe_values import escape, upload_time_text
from simpleindex.web.pages.templates import PROJECT_SCRIPT, ROOT_SCRIPT, html_page, read_template

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from simpleindex.core.files import File
    from simpleindex.core.model import Project, ProjectList
    from simpleindex.web.pages.listing_parts import Pause

_PROJECTS: Final = read_template("projects.html")
_NO_PROJECTS: Final = read_template("no_projects.html")
_PROJECT: Final = read_template("project.html")

_LINKS: Final = "\0links\0"
"""Where the links of a list of projects come; no other text of a page has control characters in it."""

_STATUS_MEANING: Final = {
    Status.ARCHIVED: "No new releases are expected.",
    Status.DEPRECATED: "It is obsolete; another project may have taken its place.",
    Status.QUARANTINED: "It is considered unsafe, so none of its files is offered.",
}


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
        pause: Called between two pieces of a very large page, to let other threads run.
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
    yield from project_rows(projects.names, lambda name: f'<a href="{name}/">{name}</a>\n', pause)
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
        base_url: As in :func:`simpleindex.web.pages.simple_json.project_json`.
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
    metas = (("repository-version", API_VERSION), *metas)
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
    signatures = any(map(is_signed, project.files))
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
            anchor = _anchor(file, uploaded, provenance_url(project, file, base_url), signatures)
            size = "" if file.size is None else decimal_size(file.size)
            facts = f"<span>{size}</span><span>{(uploaded or '')[:10]}</span>"
            sections.append(f"<li>\n{anchor}\n{facts}{notes}</li>\n")
        sections.append("</ul>\n</section>\n")
    return "".join(sections)


def _anchor(file: File, uploaded: str | None, provenance: str | None, signatures: bool) -> str:
    """Return the one line that clients read (PEP 503, 592, 658, 714, 740); size and time are for uv, which alone reads them."""
    digest = file_digest(file)
    fragment = "" if digest is None else f"#{digest[0]}={digest[1]}"
    attributes = [f'href="{escape(file_url(file))}{fragment}"']
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
        attributes.append(f'data-gpg-sig="{str(is_signed(file)).lower()}"')
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
