"""Checks of an upload that need no archive opened: its form, file name, size and digests (docs/protocol.md, "The upload form").

The form is PyPI's; there is no standard for it, so the clients decide what it holds. Fields that clients may leave out or add
are optional or ignored here. An upload is refused where it would make the index wrong, or its files unusable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from packaging.specifiers import InvalidSpecifier
from packaging.version import InvalidVersion, Version

from simpleindex.core.distribution_identity import normalized_filename
from simpleindex.core.errors import InvalidFilename, InvalidProjectName
from simpleindex.core.names import (
    PROVENANCE_SUFFIX,
    SDIST_SUFFIXES,
    WHEEL_SUFFIX,
    DistributionName,
    Kind,
    ProjectName,
    distribution_suffix,
    parse_distribution_name,
    parse_project_name,
)
from simpleindex.core.parsing.version_texts import parse_specifiers, parse_version
from simpleindex.core.text import shown
from simpleindex.publishing.errors import RefusedUpload
from simpleindex.publishing.upload.form import StatedDigests, invalid, judge_protocol, stated_digests

if TYPE_CHECKING:
    from simpleindex.access.identity import UploadRules
    from simpleindex.archives.errors import BrokenArchive
    from simpleindex.core.metadata import CoreMetadata
    from simpleindex.publishing.upload.form import FileDigests, UploadForm

# Characters: the limit of file systems, less the longest suffix of a file beside it.
_LONGEST_FILENAME: Final = 255 - len(PROVENANCE_SUFFIX)

_FILETYPES: Final = {"sdist": Kind.SDIST, "bdist_wheel": Kind.WHEEL}
_DESCRIBING: Final = ("filetype", "metadata_version", "name", "version")

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Upload:
    """A form that passed the checks, and what remains to be compared with the file.

    Attributes:
        name: The parsed file name, with which the form agrees.
        digests: The stated digests, for :func:`judge_digests`.
        requires_python: The field of the form, for :func:`judge_metadata`; None if it is missing.
        comment: Free text of the uploader.
        attestations: The JSON text of the field (PEP 740), not checked yet.
    """

    name: DistributionName
    digests: StatedDigests = field(default_factory=StatedDigests)
    requires_python: str | None = None
    comment: str | None = None
    attestations: str | None = None


def judge_form(form: UploadForm, rules: UploadRules) -> Upload:
    """Check everything that can be checked without the file, in PyPI's order.

    Without fields about the distribution, as in an upload by curl, the file name decides.

    Raises:
        RefusedUpload: With 400; 410 for the actions of former protocols.
    """
    judge_protocol(form)
    stated = None
    if any(form.value(key) is not None for key in _DESCRIBING):
        stated = _stated(form)
    digests = stated_digests(form)
    name = _name(form, stated, rules)
    if not rules.local_versions and Version(name.version).local is not None:
        raise RefusedUpload(
            400,
            f"The version {shown(name.version)} has a local part (what follows the +), "
            "and this index takes no local versions; use a version without one.",
        )
    return Upload(
        name=name,
        digests=digests,
        requires_python=form.value("requires_python"),
        comment=form.value("comment"),
        attestations=form.value("attestations"),
    )


def stated_project(form: UploadForm) -> ProjectName | None:
    """Return the project that an incomplete form is about; :func:`judge_form` checks it once more.

    Returns:
        None before a project name or a file name has arrived.

    Raises:
        RefusedUpload: With 400; the name is not valid.
    """
    if (stated := form.value("name")) is not None:
        return _project(stated)
    if not form.filename:
        return None
    _judge_filename(form.filename)
    _judge_suffix(form.filename, None)
    return _parsed(form.filename, None).project


def judge_size(project: ProjectName, size: int, others: int, rules: UploadRules) -> None:
    """Check a file's size, perhaps from the request's header, before the body is read.

    Args:
        project: The project.
        size: Bytes of the file.
        others: Bytes of the project's other files, without one that this file replaces.
        rules: The rules for this project.

    Raises:
        RefusedUpload: With 413; it is too large, or the project becomes so.
    """
    if rules.max_file_size and size > rules.max_file_size:
        raise RefusedUpload(
            413,
            f"File too large. The limit for project {shown(project)} is {_size_text(rules.max_file_size)} for one file; "
            "ask the index's administrator for more.",
        )
    if rules.max_project_size and others + size > rules.max_project_size:
        raise RefusedUpload(
            413,
            f"Project size too large. The limit for all files of project {shown(project)} is "
            f"{_size_text(rules.max_project_size)}; delete files, or ask the index's administrator for more.",
        )


def judge_digests(upload: Upload, digests: FileDigests) -> None:
    """Compare the digests in the form with those of the file (docs/protocol.md, "Checks of an upload").

    Args:
        upload: What :func:`judge_form` returned.
        digests: Those of the file as it arrived.

    Raises:
        RefusedUpload: With 400; the file is empty, or a digest differs.
    """
    if not digests.size:
        raise RefusedUpload(400, f"The file {shown(upload.name.filename)} is empty; build it again.")
    stated = upload.digests
    pairs = (
        ("sha256", stated.sha256, digests.sha256),
        ("blake2_256", stated.blake2_256, digests.blake2_256),
        ("md5", stated.md5, digests.md5),
    )
    for algorithm, stated_digest, digest in pairs:
        if stated_digest is not None and stated_digest != digest:
            raise RefusedUpload(
                400,
                "The digest supplied does not match a digest calculated from the uploaded file: "
                f"{algorithm} of the {digests.size} bytes that arrived is {digest}. Send the file again.",
            )


def judge_metadata(upload: Upload, metadata: CoreMetadata | None) -> None:
    """Compare the form with the metadata in the archive, which are the ones that are served.

    Name and version of both were compared with the file name before.

    Raises:
        RefusedUpload: With 400.
    """
    if metadata is None or metadata.requires_python is None or upload.requires_python is None:
        return
    try:
        differ = parse_specifiers(metadata.requires_python) != parse_specifiers(upload.requires_python)
    except InvalidSpecifier:
        differ = True
    if differ:
        raise RefusedUpload(
            400,
            f"The form says Requires-Python {shown(upload.requires_python)} and the metadata in "
            f"{shown(upload.name.filename)} say {shown(metadata.requires_python)}; upload with the tool that built it.",
        )


def refused_archive(name: DistributionName, error: BrokenArchive) -> RefusedUpload:
    """Return the refusal of an archive that is not valid."""
    reason = error.reason.rstrip(".")
    return RefusedUpload(400, f"Invalid distribution file. {shown(name.filename)}: {reason}. Build it again.")


def _stated(form: UploadForm) -> tuple[ProjectName, Version, Kind]:
    """Return project, version and kind from the form (docs/protocol.md, "The upload form")."""
    values = {}
    for key in _DESCRIBING:
        value = form.value(key)
        if value is None:
            raise RefusedUpload(
                400, f"The field {key} is missing; send it, or no field at all to have the file name decide."
            )
        values[key] = value
    kind = _FILETYPES.get(values["filetype"])
    if kind is None:
        raise invalid(
            "Filetype", values["filetype"], "Use sdist or bdist_wheel; this index serves no others."
        )
    pyversion = form.value("pyversion")
    if kind is Kind.WHEEL and pyversion is None:
        raise RefusedUpload(
            400, "The field pyversion is missing; a wheel's is its Python tag, for example py3."
        )
    if kind is Kind.SDIST and pyversion not in {None, "source"}:
        raise invalid("Pyversion", pyversion or "", "Use source, or leave it out, for an sdist.")
    return _project(values["name"]), _version(values["version"]), kind


def _project(text: str) -> ProjectName:
    try:
        return parse_project_name(text)
    except InvalidProjectName:
        raise invalid(
            "Name",
            text,
            "Use ASCII letters, digits, and . - _ between them (packaging.python.org has the rule).",
        ) from None


def _version(text: str) -> Version:
    try:
        return parse_version(text)
    except InvalidVersion:
        pass
    raise invalid("Version", text, "Use a version that PEP 440 allows, for example 1.0.2.")


def _name(
    form: UploadForm, stated: tuple[ProjectName, Version, Kind] | None, rules: UploadRules
) -> DistributionName:
    """Check the name and the type of the part that holds the file (docs/protocol.md, "Checks of an upload")."""
    filename = form.filename
    if not filename:
        raise RefusedUpload(
            400, "Upload payload does not have a file. Send it as the part content, with its file name."
        )
    _judge_filename(filename)
    if (form.content_type or "").strip().lower().startswith("image/"):
        raise RefusedUpload(400, "Invalid distribution file. Its part says that it is an image.")
    _judge_suffix(filename, stated[2] if stated else None)
    name = _parsed(filename, stated[0] if stated else None)
    if stated and Version(name.version) != stated[1]:
        raise RefusedUpload(
            400,
            f"Invalid file name {shown(filename)}: it is version {name.version}, and the upload says "
            f"{shown(str(stated[1]))}. Build it again instead of renaming it.",
        )
    if rules.normalized_names:
        _judge_spelling(name)
    return name


def _parsed(filename: str, project: ProjectName | None) -> DistributionName:
    try:
        return parse_distribution_name(filename, project)
    except InvalidFilename as error:
        raise RefusedUpload(
            400, f"Invalid file name {shown(filename)}: {error.reason}; build it again, and do not rename it."
        ) from None


def _judge_filename(filename: str) -> None:
    if _CONTROL.search(filename):
        raise RefusedUpload(
            400, "Cannot upload a file with control characters in its name; rename it as it was built."
        )
    if "/" in filename or "\\" in filename:
        raise RefusedUpload(400, "Cannot upload a file with / or \\ in its name; send the bare file name.")
    if len(filename) > _LONGEST_FILENAME:
        raise RefusedUpload(
            400,
            f"Cannot upload a file with a name of more than {_LONGEST_FILENAME} characters; shorten its version.",
        )


def _judge_suffix(filename: str, kind: Kind | None) -> None:
    suffix = distribution_suffix(filename)
    fitting = {None: (WHEEL_SUFFIX, *SDIST_SUFFIXES), Kind.WHEEL: (WHEEL_SUFFIX,), Kind.SDIST: SDIST_SUFFIXES}
    if suffix not in fitting[kind]:
        advice = {
            None: "a wheel ends in .whl, an sdist in .tar.gz",
            Kind.WHEEL: "a wheel ends in .whl",
            Kind.SDIST: "an sdist ends in .tar.gz",
        }
        raise RefusedUpload(400, f"Invalid file extension: {shown(filename)} does not fit; {advice[kind]}.")


def _judge_spelling(name: DistributionName) -> None:
    normalized = normalized_filename(name)
    if name.filename != normalized:
        kind, rule = (
            ("wheel", "the binary distribution format") if name.kind is Kind.WHEEL else ("sdist", "PEP 625")
        )
        raise RefusedUpload(
            400,
            f"Invalid file name {shown(name.filename)}: this {kind} should be called {shown(normalized)} ({rule}); "
            "build it with a current build backend.",
        )


def _size_text(size: int) -> str:
    return f"{size // _MIB} MiB" if size >= _MIB and not size % _MIB else f"{size} bytes"
