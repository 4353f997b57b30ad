"""Listings as JSON: version 1.4 of the simple API (PEP 691; docs/protocol.md).

Pure and deterministic: equal values give equal bytes, so an ETag over them survives a restart. Links are bare file
names, so a page is the same under every prefix.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from simpleindex.core.model import Status
from simpleindex.web.pages.listing_parts import (
    API_VERSION,
    file_digest,
    file_url,
    is_one_piece,
    is_signed,
    pieces,
    project_rows,
    provenance_url,
)
from simpleindex.web.pages.safe_values import upload_time_text, writable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from simpleindex.core.files import File
    from simpleindex.core.model import Project, ProjectList
    from simpleindex.web.pages.listing_parts import Pause


def root_json(projects: ProjectList, pause: Pause = lambda: None) -> Iterator[bytes]:
    """Render the list of projects as JSON (PEP 691), piece by piece.

    Serials are written as PyPI does, in keys that PEP 691 leaves to servers ("_" first); bandersnatch reads them.

    Args:
        projects: What is listed.
        pause: Called between two pieces of a very large page, to let other threads run.
    """
    serials, names = projects.serials, projects.names
    # Not by json.dumps, which lets nothing else run until all of a large list is written.
    meta: dict[str, Any] = {"api-version": API_VERSION}
    if serials is None:
        rows = project_rows(names, lambda name: f',{{"name":"{name}"}}', pause)
    else:
        meta["_last-serial"] = max(
            (max([serials[name] for name in piece]) for piece in pieces(names, pause)), default=0
        )
        rows = project_rows(names, lambda name: f',{{"name":"{name}","_last-serial":{serials[name]}}}', pause)
    yield b"".join([b'{"meta":', _json(meta), b',"projects":[', next(rows, b",")[1:]])
    yield from rows
    yield b"]}"


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
    page: dict[str, Any] = {"meta": {"api-version": API_VERSION}, "name": project.name}
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
    if is_one_piece(project.files):
        page["files"] = _entries(project, project.files, base_url, beside)
        return _json(page)
    # Of many files one call of json.dumps would let nothing else run; in a text the key would have its quotes escaped.
    before, key, after = _json(page).partition(b'"files":[]')
    rows = [
        _json(_entries(project, piece, base_url, beside))[1:-1] for piece in pieces(project.files[:], pause)
    ]
    return b"".join([before, key[:-1], b",".join(rows), key[-1:], after])


def _entries(
    project: Project, files: Sequence[File], base_url: str | None, beside: str
) -> list[dict[str, Any]]:
    return [_file_json(file, beside, provenance_url(project, file, base_url)) for file in files]


def _json(page: dict[str, Any] | list[dict[str, Any]]) -> bytes:
    return json.dumps(page, ensure_ascii=False, separators=(",", ":")).encode()


def _file_json(file: File, beside: str, provenance: str | None) -> dict[str, Any]:
    """Return one file's entry; missing facts are left out, because uv refuses a page with nulls (docs/protocol.md)."""
    # Only one: pip looks at nothing but the first (docs/protocol.md, "JSON pages").
    digest = file_digest(file)
    entry: dict[str, Any] = {
        "filename": file.filename,
        "url": file.url or f"{beside}{file_url(file)}",
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
    if is_signed(file):
        entry["gpg-sig"] = True
    if provenance:
        entry["provenance"] = provenance
    return entry
