"""Strict checks of the metadata of an upload: pip and uv must be able to parse it (PyPUG "core-metadata").

Both read more leniently than the specification in places, and each in others; what passes here is read by both.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement
from packaging.specifiers import InvalidSpecifier
from packaging.version import InvalidVersion, Version

from simpleindex.core import bounds
from simpleindex.core.errors import InvalidMetadata
from simpleindex.core.metadata import header_fields
from simpleindex.core.parsing.version_texts import parse_requirement, parse_specifiers
from simpleindex.core.text import shown

if TYPE_CHECKING:
    from packaging.markers import Marker
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

_LARGEST: Final = 2**64 - 2
"""uv reads the numbers of a version as integers of 64 bits."""

_WILDCARD: Final = re.compile(r"([<>]=?\s*+[0-9][0-9.]*?)\.\*")
"""``>=3.6.*`` is no specifier, but stands in many old packages, and both installers read it as ``>=3.6``."""

_EMPTY_PARENTHESES: Final = re.compile(r"\(\s*+\)")


def judge_installable(data: bytes) -> None:
    """Judge the METADATA of a wheel.

    Raises:
        InvalidMetadata: pip or uv could not read it.
    """
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise InvalidMetadata(
            f"its metadata are not UTF-8: byte {error.start} is {data[error.start]:#04x}"
        ) from None
    judge_dependencies(data)
    _judge_name(data)


def judge_dependencies(data: bytes) -> None:
    """Judge the fields of which installers make their plan; of a wheel, or of an sdist whose metadata are static (PEP 643).

    Raises:
        InvalidMetadata: One of them is not what the specification says.
    """
    count, has_python = 0, False
    for key, raw in header_fields(data):
        match key.lower():
            case b"requires-dist":
                count += 1
                if excess := bounds.REQUIRES_DIST.excess(count):
                    raise InvalidMetadata(excess)
                _judge_requirement(raw.decode("utf-8", "backslashreplace"))
            case b"requires-python" if not has_python:
                has_python = True
                _judge_requires_python(" ".join(raw.decode("utf-8", "backslashreplace").split()))


def _judge_name(data: bytes) -> None:
    """See that the first Name is one line without blanks behind it: both installers would compare those, too."""
    name = next((raw for key, raw in header_fields(data) if key.lower() == b"name"), b"")
    value = name.lstrip(b" \t")
    if value != value.strip() or b"\n" in value or b"\r" in value:
        raise InvalidMetadata(
            "its metadata have blanks or a line end in their Name, at which installers stop"
        )


def _judge_requirement(raw: str) -> None:
    text = raw.strip()
    if "\n" in text or "\r" in text:
        raise InvalidMetadata(
            f"its Requires-Dist {shown(text)} is folded into several lines, at which pip stops"
        )
    try:
        requirement = parse_requirement(text)
    except InvalidRequirement as error:
        reason = str(error).partition("\n")[0]
        raise InvalidMetadata(f"its Requires-Dist {shown(text)} is no requirement: {reason}") from None
    why = _trouble_of(requirement, text)
    if why is not None:
        raise InvalidMetadata(f"its Requires-Dist {shown(text)} {why}")


def _trouble_of(requirement: Requirement, text: str) -> str | None:
    if requirement.url is not None:
        return None if _is_absolute(requirement.url) else "has no absolute URL after its @"
    if _EMPTY_PARENTHESES.search(text.partition(";")[0]):
        return "has empty parentheses, at which uv stops"
    if (why := _unreadable_specifiers(requirement.specifier)) is not None:
        return why
    return None if requirement.marker is None else _trouble_of_marker(requirement.marker, text)


def _trouble_of_marker(marker: Marker, text: str) -> str | None:
    if "===" in text.partition(";")[2]:
        return "compares by === in its marker, at which uv stops"
    try:
        marker.evaluate({"extra": ""})
    except (UndefinedComparison, UndefinedEnvironmentName) as error:
        return f"has a marker that pip cannot evaluate: {str(error).rstrip('.')}"
    return None


def _judge_requires_python(text: str) -> None:
    if not text:
        return
    try:
        specifiers = parse_specifiers(_WILDCARD.sub(r"\1", text))
    except InvalidSpecifier:
        raise InvalidMetadata(
            f"its Requires-Python {shown(text)} is no set of version specifiers, such as '>=3.9'"
        ) from None
    if text.startswith(",") or ",," in text.replace(" ", ""):
        raise InvalidMetadata(f"its Requires-Python {shown(text)} has a comma with nothing before it")
    if (why := _unreadable_specifiers(specifiers)) is not None:
        raise InvalidMetadata(f"its Requires-Python {shown(text)} {why}")


def _unreadable_specifiers(specifiers: SpecifierSet) -> str | None:
    for specifier in specifiers:
        try:
            version = Version(
                specifier.version.removesuffix(".*") if specifier.operator != "===" else specifier.version
            )
        except (InvalidVersion, ValueError):
            return "compares by === with what is no version, at which uv stops"
        if not fits_64_bits(version):
            return "has a number of more than 64 bits, at which uv stops"
    return None


def fits_64_bits(version: Version) -> bool:
    """Whether uv can read a version."""
    numbers = (
        version.epoch,
        *version.release,
        version.post or 0,
        version.dev or 0,
        (version.pre or ("", 0))[1],
    )
    local = (int(part) for part in (version.local or "").split(".") if part.isdecimal())
    return max(*numbers, *local) <= _LARGEST


def _is_absolute(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.scheme) and "://" in url and (parts.port is None or parts.port >= 0)
    except ValueError:
        return False
