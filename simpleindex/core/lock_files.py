"""What is to be had by a file of requirements or a lock file: names with versions, as far as they matter to a cache."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from packaging.markers import UndefinedComparison
from packaging.requirements import InvalidRequirement

from simpleindex.core import bounds
from simpleindex.core.errors import InvalidLockFile, InvalidProjectName
from simpleindex.core.names import parse_project_name
from simpleindex.core.toml_text import load_toml
from simpleindex.core.version_texts import parse_requirement, parse_specifiers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.specifiers import SpecifierSet

    from simpleindex.core.names import ProjectName

_HASH: Final = re.compile(r"(?:--hash[= ])?sha256:([0-9a-f]{64})")
_OPTION: Final = re.compile(r"\s--(?:hash|config-settings|global-option)[= ]\S+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One project of which something is wanted.

    Attributes:
        name: The project.
        versions: Which of its versions: the newest of them.
        sha256s: The digests that its files may have; empty for any.
    """

    name: ProjectName
    versions: SpecifierSet
    sha256s: frozenset[str] = frozenset()


def parse_lock_file(content: bytes, environment: Mapping[str, str]) -> tuple[Wanted, ...]:
    """Read a ``requirements.txt``, a ``uv.lock`` or a ``pylock.toml`` (PEP 751); which it is is told by what is in it.

    Args:
        content: The file.
        environment: The values of markers (PEP 508), for lines that are not for every machine.

    Raises:
        InvalidLockFile: It is none of these.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidLockFile("is not UTF-8 text") from None
    try:
        table = load_toml(text)
    except ValueError:
        return _requirements(text, environment)
    try:
        if "lock-version" in table:
            return _packages(table.get("packages", []))
        if "package" in table:
            return _packages(table["package"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidLockFile(f"is no lock file ({type(error).__name__}: {error})") from None
    except InvalidProjectName as error:
        raise InvalidLockFile(f"has a project that is none: {error}") from None
    if not text.strip() or not table:
        return ()
    raise InvalidLockFile("is TOML, and neither a uv.lock nor a pylock.toml")


def _packages(packages: list[dict[str, Any]]) -> tuple[Wanted, ...]:
    """Uv's and PEP 751's lists are alike: names, versions, wheels and an sdist, each with its hash."""
    wanted = []
    for package in packages:
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        if not files or "version" not in package:
            continue  # what comes from a directory or a repository of sources
        digests = {digest for file in files if (digest := _digest(file))}
        versions = parse_specifiers(f"=={package['version']}")
        wanted.append(Wanted(parse_project_name(package["name"]), versions, frozenset(digests)))
    return tuple(wanted)


def _digest(file: dict[str, Any]) -> str | None:
    if isinstance(file.get("hashes"), dict):
        sha256 = file["hashes"].get("sha256")
        return sha256 if isinstance(sha256, str) else None
    matched = _HASH.fullmatch(file.get("hash", ""))
    return matched[1] if matched else None


def _requirements(text: str, environment: Mapping[str, str]) -> tuple[Wanted, ...]:
    wanted = []
    for number, written in enumerate(text.replace("\\\n", " ").splitlines(), 1):
        if excess := bounds.LOCK_LINE.excess(len(written)):
            raise InvalidLockFile(f"cannot be read on line {number}: {excess}")
        line = re.sub(r"(^|\s)#.*", "", written).strip()
        if not line or line.startswith("-"):
            continue  # options: of pip's, and other files
        digests = frozenset(_HASH.findall(line))
        try:
            requirement = parse_requirement(_OPTION.sub("", f"{line} ").strip())
            name = parse_project_name(requirement.name)
        except (InvalidRequirement, InvalidProjectName):
            raise InvalidLockFile(f"has no requirement on line {number}: {line[:60]!r}") from None
        try:
            is_meant = requirement.marker is None or requirement.marker.evaluate(dict(environment))
        except UndefinedComparison:
            raise InvalidLockFile(
                f"has a condition on line {number} that compares nothing: {line[:60]!r}"
            ) from None
        if requirement.url or not is_meant:
            continue
        wanted.append(Wanted(name, requirement.specifier, digests))
    return tuple(wanted)
