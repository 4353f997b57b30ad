"""Which files of a project are meant by a version or a file name, and which release is its latest."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from packaging.version import InvalidVersion, Version

from simpleindex.core.errors import InvalidFilename, NotHere
from simpleindex.core.files import File
from simpleindex.core.names import distribution_suffix, parse_distribution_name
from simpleindex.core.parsing.version_texts import parse_version
from simpleindex.core.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName


class Subject(NamedTuple):
    """What a change was about, for the audit.

    Attributes:
        filename: One file.
        version: All files of a version.
        digest: The file's sha256, in lower-case hex.
    """

    filename: str | None = None
    version: str | None = None
    digest: str | None = None


def subject_of(key: str) -> Subject:
    """Return what a key names: a file, or a version."""
    return Subject(filename=key) if distribution_suffix(key) else Subject(version=key)


def select(name: ProjectName, key: str, filenames: Iterable[str]) -> tuple[str, ...]:
    """Return the files that are meant, sorted.

    Args:
        name: The project.
        key: A file name, or a version in any of its forms (PEP 440: 1.0 and 1.0.0 are one release).
        filenames: All of its files; names that do not parse are only found as themselves.

    Raises:
        NotHere: None is meant.
    """
    if distribution_suffix(key):
        if key in filenames:
            return (key,)
        raise NotHere(f"file {shown(key)} of the project {name}")
    try:
        version = parse_version(key)
    except InvalidVersion:
        raise NotHere(f"version or file {shown(key)} of the project {name}") from None
    found = sorted(filename for filename in filenames if _version(name, filename) == version)
    if not found:
        raise NotHere(f"version {shown(key)} of the project {name}")
    return tuple(found)


def find_version(versions: Iterable[str], text: str) -> str | None:
    """Return the version that a text means, however it is spelled ("1" for "1.0"); None if there is none.

    Args:
        versions: Versions in PEP 440's normal form.
        text: Anything.
    """
    try:
        version = parse_version(text)
    except InvalidVersion:
        return None
    return next((each for each in versions if Version(each) == version), None)


def latest_release(files: Iterable[File]) -> str | None:
    """Return the version that people want: the newest that is neither yanked nor a pre-release, if there is one."""
    files = tuple(files)
    releases = {file.version: file for file in files if file.yanked is None} or {
        file.version: file for file in files
    }
    versions = {version: Version(version) for version in releases}
    final = [text for text, version in versions.items() if not version.is_prerelease]
    return max(final or versions, key=versions.__getitem__, default=None)


def yanked_releases(files: Iterable[File]) -> dict[str, str]:
    """Return the versions of which every file is yanked, with the first reason that is stated."""
    reasons: dict[str, list[str | None]] = {}
    for file in files:
        reasons.setdefault(file.version, []).append(file.yanked)
    return {
        version: next((reason for reason in each if reason), "")
        for version, each in reasons.items()
        if None not in each
    }


def default_file(files: Iterable[File]) -> File | None:
    """Return the distribution that represents a project: a wheel with metadata of its latest release, or else its first file."""
    files = tuple(files)
    version = latest_release(files)
    release = [file for file in files if file.version == version]
    return next((file for file in release if file.metadata is not None), release[0] if release else None)


def _version(name: ProjectName, filename: str) -> Version | None:
    try:
        return Version(parse_distribution_name(filename, name).version)
    except InvalidFilename:
        return None


def metadata_digest(file: File) -> str:
    """Return what tells the metadata of a file from those of every other: their digest, or that of the file."""
    return file.metadata.sha256 if file.metadata is not None else file.sha256 or ""
