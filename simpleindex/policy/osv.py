"""Parse security advisories about PyPI projects in the Open Source Vulnerability format (OSV schema 1.7)."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from packaging.version import InvalidVersion, Version

from simpleindex.core import bounds
from simpleindex.core.errors import InvalidProjectName, SimpleIndexError
from simpleindex.core.names import parse_project_name
from simpleindex.core.parsing.json_text import load_json
from simpleindex.core.parsing.version_texts import parse_version
from simpleindex.core.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from simpleindex.core.names import ProjectName

_ECOSYSTEM: Final = "PyPI"
_LONGEST_ID: Final = 100
_LONGEST_LINE: Final = 300
_MOST_ALIASES: Final = 20


@dataclass(frozen=True, slots=True)
class Span:
    """One range of versions (OSV "affected[].ranges[]" of type ECOSYSTEM).

    Attributes:
        events: Versions with their events, ascending: ``introduced``, ``fixed``, ``last_affected``. Several at one version
            are in the advisory's order, none twice in a row.
        limit: The version below which the range ends; None for no bound.
    """

    events: tuple[tuple[Version, str], ...]
    limit: Version | None = None

    def has(self, version: Version) -> bool:
        """Tell whether a version lies in the range.

        In the schema's algorithm the last event at or before a version decides.
        """
        if self.limit is not None and version >= self.limit:
            return False
        last = bisect_right(self.events, version, key=_version_of)
        # "last_affected" ends the range behind its version, not at it.
        while last and self.events[last - 1] == (version, "last_affected"):
            last -= 1
        return last > 0 and self.events[last - 1][1] == "introduced"


@dataclass(frozen=True, slots=True)
class Advisory:
    """An advisory about one project.

    Attributes:
        id: The advisory's id, such as ``PYSEC-2026-1``.
        versions: The affected versions beside those ranges.
        aliases: Other ids of it, such as ``CVE-2026-1``.
        summary: What it is about, in one line; may be empty.
        fixed: The versions in which it is fixed.
    """

    id: str
    name: ProjectName
    spans: tuple[Span, ...]
    versions: frozenset[Version] = frozenset()
    aliases: tuple[str, ...] = ()
    summary: str = ""
    fixed: frozenset[Version] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        fixed = (at for span in self.spans for at, event in span.events if event == "fixed")
        object.__setattr__(self, "fixed", frozenset(fixed))

    def has(self, version: Version) -> bool:
        """Tell whether a version is affected.

        An advisory about 1.0 is about every local build of it (1.0+cu118), unless it names one as fixed.
        """
        if version.local is not None and version not in self.fixed and self.has(Version(version.public)):
            return True
        return version in self.versions or any(span.has(version) for span in self.spans)


class Advisories:
    """Advisories by project.

    Args:
        advisories: The advisories, in the order in which messages name them.
    """

    def __init__(self, advisories: Iterable[Advisory]) -> None:
        by_name: dict[ProjectName, list[Advisory]] = {}
        for advisory in advisories:
            by_name.setdefault(advisory.name, []).append(advisory)
        self._by_name: Mapping[ProjectName, list[Advisory]] = by_name

    def __len__(self) -> int:
        return sum(map(len, self._by_name.values()))

    def project_reason(self, name: ProjectName) -> str | None:
        """Return None: a later version that no advisory is about may fix the others."""
        del name
        return None

    def version_reason(self, name: ProjectName, version: str) -> str | None:
        """Name the advisories about a version, as the end of a sentence; None if there is none."""
        ids = [advisory.id for advisory in self.about(name, version)]
        if not ids:
            return None
        more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
        return f"the advisory {', '.join(ids[:3])}{more} is about {version}"

    def about(self, name: ProjectName, version: str) -> tuple[Advisory, ...]:
        """Return the advisories about a version."""
        advisories = self._by_name.get(name)
        if advisories is None:
            return ()
        parsed = Version(version)
        return tuple([advisory for advisory in advisories if advisory.has(parsed)])

    def is_fix(self, name: ProjectName, version: str) -> bool:
        """Tell whether an advisory calls a version fixed, and none is about it."""
        advisories = self._by_name.get(name)
        if advisories is None:
            return False
        parsed = Version(version)
        is_fix = any(parsed in advisory.fixed for advisory in advisories)
        return is_fix and not any(advisory.has(parsed) for advisory in advisories)


def parse_advisory(content: bytes) -> tuple[Advisory, ...]:
    """Parse an advisory file: one advisory for each PyPI project; none if it was withdrawn or is about others.

    Raises:
        InvalidAdvisory: It is not valid.
    """
    try:
        record = load_json(content.decode("utf-8-sig"), bounds.ADVISORY_VALUES)
    except ValueError as error:
        raise InvalidAdvisory(f"is not JSON: {error}") from None
    try:
        identity = record["id"]
        if (
            not isinstance(identity, str)
            or not 0 < len(identity) <= _LONGEST_ID
            or not identity.isprintable()
        ):
            raise InvalidAdvisory("has an invalid 'id'")
        if record.get("withdrawn"):
            return ()
        aliases = tuple([text for text in map(_line, _list(record.get("aliases"))) if text])
        summary = _line(record.get("summary"))
        advisories = [
            replace(_advisory(identity, name, affected), aliases=aliases, summary=summary)
            for affected in record.get("affected") or ()
            if affected.get("package", {}).get("ecosystem") == _ECOSYSTEM
            and (name := _name(affected["package"]["name"])) is not None
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidAdvisory(
            f"is not an advisory in the OSV format ({type(error).__name__}: {error})"
        ) from None
    return tuple(advisories)


def _list(value: object) -> list[object]:
    return value[:_MOST_ALIASES] if isinstance(value, list) else []


def _line(text: object) -> str:
    """Return a text for readers on one line; it decides nothing, so that what is no text is left out."""
    return printable(text[:_LONGEST_LINE]) if isinstance(text, str) else ""


def _name(text: object) -> ProjectName | None:
    """Parse a project name; None for a text that no project can have as its name."""
    if not isinstance(text, str):
        raise TypeError("a name that is not text")
    try:
        return parse_project_name(text)
    except InvalidProjectName:
        return None


def _advisory(identity: str, name: ProjectName, affected: Mapping[str, Any]) -> Advisory:
    ranges = [each for each in affected.get("ranges") or () if each.get("type") in ("ECOSYSTEM", "SEMVER")]
    if excess := bounds.ADVISORY_RANGES.excess(len(ranges)):
        raise InvalidAdvisory(f"cannot be read: {excess}")
    spans = tuple(map(_span, ranges))
    versions = []
    for text in affected.get("versions") or ():
        version = _version(text)
        # PyPI's own records list every version in their ranges; only the others need to be kept.
        if version is not None and not any(span.has(version) for span in spans):
            versions.append(version)
    return Advisory(identity, name, spans, frozenset(versions))


def _span(ranges: Mapping[str, Any]) -> Span:
    events, limits = [], []
    is_endless = False
    for kind, text in _events(ranges):
        if kind == "limit":
            limits += [limit for limit in (_version(text),) if limit is not None]
            is_endless = is_endless or text == "*"
            continue
        version = _ZERO if text == "0" else _version(text)
        if version is not None and kind in ("introduced", "fixed", "last_affected"):
            events.append((version, kind))
        elif kind == "introduced":
            # An unknown beginning: rather all versions than none.
            events.append((_ZERO, kind))
    ordered = tuple(event for event, _ in groupby(sorted(events, key=_version_of)))
    return Span(ordered, None if is_endless else max(limits, default=None))


def _version_of(event: tuple[Version, str]) -> Version:
    return event[0]


def _events(ranges: Mapping[str, Any]) -> Iterable[tuple[str, object]]:
    """Yield the events of a range; the first edition of the schema had its beginning and its end in one event."""
    for event in ranges["events"]:
        if not event:
            raise ValueError("an empty event")
        yield from event.items()


def _version(text: object) -> Version | None:
    """Parse a version; None for one that is not valid in Python, which no release has."""
    try:
        return parse_version(text) if isinstance(text, str) else None
    except InvalidVersion:
        return None


_ZERO: Final = Version("0.dev0")
"""Lower than every version: the meaning of "0" in an advisory."""


class InvalidAdvisory(SimpleIndexError):
    """A security advisory that cannot be understood.

    Attributes:
        reason: What is wrong, as a sentence without its subject.
    """

    template = "The advisory {reason}"
    reason: str
