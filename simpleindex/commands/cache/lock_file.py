"""Requirements of a lock file: names with versions and digests, as far as they matter to a cache.

The formats are those of uv (``uv.lock``), pip and others (``pylock.toml``, PEP 751), poetry, pdm and pipenv, and files of
requirements. The content decides which it is, for people give files other names.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement

from simpleindex.commands.cache.requirements import (
    ProjectRequirement,
    Requirements,
    SkippedLine,
    parse_requirements,
)
from simpleindex.core.errors import InvalidProjectName, SimpleIndexError
from simpleindex.core.names import parse_project_name
from simpleindex.core.parsing.text_files import InvalidText, decode_requirements
from simpleindex.core.parsing.toml import load_toml
from simpleindex.core.parsing.version_texts import parse_requirement, parse_specifiers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_HASH: Final = re.compile(r"sha256:([0-9a-fA-F]{64})")

_ELSEWHERE: Final = (
    "vcs",
    "directory",
    "archive",
    "git",
    "hg",
    "svn",
    "path",
    "file",
    "url",
    "editable",
    "virtual",
)
"""Keys of entries that come from a repository, a directory or a URL (PEP 751; pdm's lock file; uv's ``source``)."""

_OF_INDEXES: Final = frozenset({"legacy", "pypi", "registry"})
"""Types of poetry's sources that are indexes."""

_SETS: Final = re.compile(r"\b(extras?|dependency_groups)\b")


def parse_lock_file(
    content: bytes, environment: Mapping[str, str], variables: Mapping[str, str] | None = None
) -> Requirements:
    """Read a lock file or a file of requirements.

    Args:
        content: The file.
        environment: The values of markers (PEP 508), for what is not for every machine.
        variables: The environment's, for ``${NAME}`` in a file of requirements.

    Raises:
        InvalidLockFile: It is none of these.
    """
    try:
        text = decode_requirements(content)
    except InvalidText as error:
        raise InvalidLockFile(error.reason) from None
    try:
        if text.lstrip().startswith("{"):
            return _from_json(text, environment)
        table = load_toml(text.replace("\r\n", "\n"))
    except (ValueError, RecursionError):
        if _looks_like_toml(text):
            raise InvalidLockFile(_toml_mistake(text)) from None
        return parse_requirements(text, environment, variables or {})
    return _from_toml(table, environment)


def _from_toml(table: Mapping[str, Any], environment: Mapping[str, str]) -> Requirements:
    if not table:
        return Requirements()
    try:
        if "lock-version" in table:
            return _packages(table.get("packages", []), environment)
        if "package" in table:
            return _packages(_with_their_files(table), environment)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidLockFile(f"is no lock file ({type(error).__name__}: {error})") from None
    except InvalidProjectName as error:
        raise InvalidLockFile(f"has an invalid project name: {error}") from None
    raise InvalidLockFile(
        "is TOML, but no lock file of uv, pip, poetry or pdm; give the lock file that was made from it"
    )


def _with_their_files(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the packages of uv, poetry or pdm, with the files that older poetry and pdm list apart from them."""
    apart = table.get("metadata", {}).get("files", {})
    if not apart:
        return list(table["package"])
    packages = []
    for package in table["package"]:
        files = apart.get(package["name"], apart.get(f"{package['name']} {package.get('version')}", []))
        packages.append({"files": files, **package})
    return packages


def _packages(packages: Iterable[Mapping[str, Any]], environment: Mapping[str, str]) -> Requirements:
    projects: dict[ProjectRequirement, None] = {}
    skipped = []
    for number, package in enumerate(packages, 1):
        name = parse_project_name(package["name"])
        if not _is_for(package, environment):
            continue
        files = [*package.get("wheels", []), *package.get("files", [])]
        files += [package["sdist"]] if "sdist" in package else []
        if reason := _elsewhere(package):
            skipped.append(SkippedLine(f"package {number}", f"{name} {reason}"))
        elif "version" not in package:
            skipped.append(SkippedLine(f"package {number}", f"{name} has no version"))
        else:
            digests = frozenset(digest for file in files if (digest := _digest(file)))
            projects[ProjectRequirement(name, parse_specifiers(f"=={package['version']}"), digests)] = None
    return Requirements(tuple(projects), tuple(skipped))


def _elsewhere(package: Mapping[str, Any]) -> str | None:
    """Return why an entry is no project of an index, as the end of a sentence; None if it is one."""
    source = package.get("source", {})
    if isinstance(source, dict) and "type" in source:
        kind = source["type"]
        return None if kind in _OF_INDEXES else f"comes from {kind}, and from no index"
    for table in (package, source if isinstance(source, dict) else {}):
        kind = next((key for key in _ELSEWHERE if key in table), None)
        if kind is not None:
            return f"comes from {kind}, and from no index"
    return None


def _is_for(package: Mapping[str, Any], environment: Mapping[str, str]) -> bool:
    """Return whether an entry is for such a machine; in doubt it is."""
    text = package.get("marker", package.get("markers"))
    if not isinstance(text, str) or _SETS.search(text):
        return True
    try:
        marker = parse_requirement(f"package; {text}").marker
        return marker is None or marker.evaluate(dict(environment))
    except (InvalidRequirement, UndefinedComparison, UndefinedEnvironmentName):
        return True


def _digest(file: Mapping[str, Any]) -> str | None:
    if isinstance(file.get("hashes"), dict):
        sha256 = file["hashes"].get("sha256")
        return sha256.lower() if isinstance(sha256, str) else None
    matched = _HASH.fullmatch(file.get("hash", ""))
    return matched[1].lower() if matched else None


def _from_json(text: str, environment: Mapping[str, str]) -> Requirements:
    """Read pipenv's ``Pipfile.lock``."""
    try:
        table = json.loads(text)
        packages = []
        for group, entries in table.items():
            if group == "_meta":
                continue
            for name, entry in entries.items():
                version = {"version": entry["version"].removeprefix("==")} if "version" in entry else {}
                files = [{"hash": each} for each in entry.get("hashes", [])]
                packages.append({**entry, "name": name, "files": files} | version)
        return _packages(packages, environment)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError, InvalidProjectName) as error:
        raise InvalidLockFile(f"is JSON, and no Pipfile.lock ({type(error).__name__}: {error})") from None


def _looks_like_toml(text: str) -> bool:
    """Return whether a text that is no TOML looks like some: a line of it is a table's name."""
    return re.search(r"^[ \t]*\[{1,2}[\w.\"'-]+\]{1,2}[ \t\r]*$", text, re.MULTILINE) is not None


def _toml_mistake(text: str) -> str:
    try:
        load_toml(text.replace("\r\n", "\n"))
    except ValueError as error:
        return f"is not valid TOML: {error}"
    return "is not valid TOML"


class InvalidLockFile(SimpleIndexError):
    """A file of requirements, or a lock file, that cannot be understood.

    Attributes:
        reason: What is wrong, as a sentence without its subject.
    """

    template = "The file {reason}"
    reason: str
