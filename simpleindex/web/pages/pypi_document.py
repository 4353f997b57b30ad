"""A project or a release as PyPI's JSON API describes it (https://docs.pypi.org/api/json/). Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from simpleindex.core.errors import InvalidMetadata, InvalidProjectName
from simpleindex.core.metadata import description_body
from simpleindex.core.names import Kind, parse_project_name
from simpleindex.core.selection import yanked_releases
from simpleindex.web.pages.safe_values import upload_time_text, writable
from simpleindex.web.release_metadata import MetadataFields, is_web_address, read_description
from simpleindex.web.routing.old_urls import PACKAGES

if TYPE_CHECKING:
    from simpleindex.core.files import File
    from simpleindex.core.model import Project
    from simpleindex.policy.osv import Advisory

_UNCOUNTED = -1
"""What PyPI states instead of downloads, which it no longer counts there."""


@dataclass(frozen=True, slots=True)
class PypiDocument:
    """What such a document is made from.

    Attributes:
        project: The project, as the reader is offered it.
        version: The release that ``info`` and ``urls`` are about.
        metadata: METADATA or PKG-INFO of that release; None if they are not there.
        serial: A number that rises with each change of the project.
        base_url: The URL of the index or of the view, with its final slash.
        has_releases: Whether the files of all releases are in it.
        advisories: The advisories about that release.
    """

    project: Project
    version: str
    metadata: bytes | None
    serial: int
    base_url: str
    has_releases: bool
    advisories: tuple[Advisory, ...]

    def write(self) -> bytes:
        """Return the document as JSON."""
        releases: dict[str, list[dict[str, Any]]] = {}
        for file in self.project.files:
            if self.has_releases or file.version == self.version:
                releases.setdefault(file.version, []).append(self._file(file))
        document: dict[str, Any] = {"info": self._info(), "last_serial": self.serial}
        if self.has_releases:
            document["releases"] = releases
        document["urls"] = releases[self.version]
        document["vulnerabilities"] = list(map(_vulnerability, self.advisories))
        return json.dumps(document, separators=(",", ":")).encode() + b"\n"

    def _file(self, file: File) -> dict[str, Any]:
        time = upload_time_text(file)
        digests = dict(each for each in (file.other_hash, ("sha256", file.sha256)) if each and each[1])
        return {
            "comment_text": "",
            "core-metadata": {"sha256": file.metadata.sha256} if file.metadata is not None else False,
            "digests": digests,
            "downloads": _UNCOUNTED,
            "filename": file.filename,
            "has_sig": bool(file.signatures),
            "md5_digest": digests.get("md5"),
            "packagetype": "bdist_wheel" if file.kind is Kind.WHEEL else "sdist",
            "python_version": file.filename.split("-")[-3] if file.kind is Kind.WHEEL else "source",
            "requires_python": file.requires_python,
            "size": file.size,
            "upload_time": None if time is None else time[:19],
            "upload_time_iso_8601": time,
            # bandersnatch takes no other URLs than those below "/packages/"; they lead to where the file is.
            "url": file.url or f"{self.base_url}{PACKAGES}/{self.project.name}/{quote(file.filename)}",
            "yanked": file.yanked is not None,
            "yanked_reason": writable(file.yanked) if file.yanked else None,
        }

    def _info(self) -> dict[str, Any]:
        page = f"{self.base_url}{self.project.name}/"
        yanked = yanked_releases(self.project.files).get(self.version)
        stated = _stated(self.metadata or b"")
        name = stated.pop("name")
        requires_python = next(
            (each.requires_python for each in self.project.files if each.version == self.version), None
        )
        return {
            **stated,
            "bugtrack_url": None,
            "docs_url": None,
            "downloads": {"last_day": _UNCOUNTED, "last_month": _UNCOUNTED, "last_week": _UNCOUNTED},
            "name": name if self._is_spelling(name) else self.project.name,
            "package_url": page,
            "project_url": page,
            "release_url": f"{page}{quote(self.version)}/",
            "requires_python": stated["requires_python"] or requires_python,
            "version": self.version,
            "yanked": yanked is not None,
            "yanked_reason": writable(yanked) if yanked else None,
        }

    def _is_spelling(self, name: str) -> bool:
        try:
            return parse_project_name(name) == self.project.name
        except InvalidProjectName:
            return False


def _vulnerability(advisory: Advisory) -> dict[str, Any]:
    return {
        "aliases": advisory.aliases,
        "details": advisory.summary,
        "fixed_in": list(map(str, sorted(advisory.fixed))),
        "id": advisory.id,
        "link": f"https://osv.dev/vulnerability/{quote(advisory.id)}",
        "source": "osv",
        "summary": advisory.summary,
        "withdrawn": None,
    }


def _stated(metadata: bytes) -> dict[str, Any]:
    """Return the keys of ``info`` that come from core metadata."""
    try:
        fields, body = MetadataFields(metadata), description_body(metadata)
    except InvalidMetadata:
        fields, body = MetadataFields(b""), b""
    return {
        "author": fields.line("author") or None,
        "author_email": fields.line("author-email") or None,
        "classifiers": fields.lines("classifier"),
        "description": read_description(fields, body),
        "description_content_type": fields.line("description-content-type") or None,
        "download_url": fields.line("download-url") or None,
        "dynamic": fields.lines("dynamic") or None,
        "home_page": fields.line("home-page") or None,
        "keywords": fields.line("keywords") or None,
        "license": fields.line("license") or None,
        "license_expression": fields.line("license-expression") or None,
        "license_files": fields.lines("license-file") or None,
        "maintainer": fields.line("maintainer") or None,
        "maintainer_email": fields.line("maintainer-email") or None,
        "name": fields.line("name"),
        "platform": fields.line("platform") or None,
        "project_urls": _project_urls(fields) or None,
        "provides_extra": fields.lines("provides-extra") or None,
        "requires_dist": fields.lines("requires-dist") or None,
        "requires_python": fields.line("requires-python") or None,
        "summary": fields.line("summary") or None,
    }


def _project_urls(fields: MetadataFields) -> dict[str, str]:
    pairs = (value.partition(",") for value in fields.lines("project-url"))
    return {label.strip(): url.strip() for label, _, url in pairs if is_web_address(url.strip())}
