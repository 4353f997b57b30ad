"""The plan of a copy: parse the release, choose its files, and write the note about each."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from packaging.version import InvalidVersion, Version

from simpleindex.core.distribution_identity import same_distribution
from simpleindex.core.errors import InvalidProjectName
from simpleindex.core.model import Status
from simpleindex.core.names import parse_distribution_name, parse_project_name
from simpleindex.core.parsing.version_texts import parse_version
from simpleindex.core.selection import version_of
from simpleindex.core.text import shown
from simpleindex.publishing.errors import NotCopied

if TYPE_CHECKING:
    from collections.abc import Collection

    from simpleindex.core.files import File
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName

_MOST_NAMED: Final = 10
"""Versions that a sentence names."""


def parse_release(text: str) -> tuple[ProjectName, str]:
    """Parse ``NAME==VERSION``.

    Returns:
        The project, and the version; file names may spell it otherwise (PEP 440: 1.0 and 1.0.0 are one release).

    Raises:
        NotCopied: It is not a release.
    """
    name, _, version = text.partition("==")
    try:
        return parse_project_name(name.strip()), str(parse_version(version))
    except (InvalidProjectName, InvalidVersion):
        raise NotCopied(f"{shown(text)} is not a release; write NAME==VERSION") from None


def select_files(project: Project, source: str, version: str, only: Collection[str] = ()) -> tuple[File, ...]:
    """Return the files to copy.

    Args:
        project: The project, as the source offers it.
        source: The source's name.
        version: The version, in any spelling.
        only: Names of files; all of the release if it is empty.

    Raises:
        NotCopied: There is no such release, or the source does not offer all of its files.
    """
    name, release = project.name, Version(version)
    if project.status is Status.QUARANTINED:
        raise NotCopied(f"{source} has quarantined {name}, and offers no file of it")
    for item in project.withheld:
        if item.filename in only or (not only and version_of(name, item.filename) == release):
            raise NotCopied(f"{source} withholds a file of it: {item.reason}")
    files = tuple(file for file in project.files if Version(file.version) == release)
    if not files:
        versions = project.versions[-_MOST_NAMED:]
        has = f"; it has {', '.join(versions)}" if versions else ""
        raise NotCopied(f"{source} has no {name} {version}{has}")
    for filename in only:
        if filename not in {file.filename for file in files}:
            names = ", ".join(file.filename for file in files)
            raise NotCopied(f"{source} has no {shown(filename)} of {name} {version}, which has {names}")
    chosen = tuple(file for file in files if not only or file.filename in only)
    _refuse_two_spellings(name, source, [file.filename for file in chosen])
    return chosen


def _refuse_two_spellings(name: ProjectName, source: str, filenames: list[str]) -> None:
    """Refuse a release that has one distribution under two names: a directory takes it once."""
    for filename in filenames:
        others = same_distribution(
            parse_distribution_name(filename, name), filenames, formats_may_differ=True
        )
        if others:
            raise NotCopied(
                f"{source} has {filename} and {others[0]}, which are two names of one distribution; choose one with --file"
            )


def copy_note(filename: str, sha256: str, *, source: str, url: str | None, who: str, now: float) -> bytes:
    """Return a line about a copied file, for the note in its directory (JSON Lines).

    Args:
        filename: The file.
        sha256: Its digest.
        source: The source from which it was copied.
        url: The URL from which the source has it; None if there is none.
        who: The user.
        now: Seconds since 1970.
    """
    note = {
        "filename": filename,
        "sha256": sha256,
        "from": source,
        "url": url,
        "who": who,
        "time": datetime.fromtimestamp(int(now), UTC).isoformat(),
    }
    return json.dumps({key: value for key, value in note.items() if value is not None}).encode() + b"\n"


def noted_urls(note: bytes) -> dict[tuple[str, str], str]:
    """Return the URLs of copied files by name and digest from a note; invalid lines are skipped."""
    urls = {}
    for line in note.decode(errors="replace").split("\n"):
        try:
            entry = json.loads(line)
            urls[entry["filename"], entry["sha256"]] = entry["url"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return {key: url for key, url in urls.items() if all(isinstance(text, str) for text in (*key, url))}
