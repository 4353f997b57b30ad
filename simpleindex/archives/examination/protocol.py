"""Requests to examining processes, and their answers, which are checked like a stranger's."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from simpleindex.archives.archive_info import ArchiveInfo, MemberSpan
from simpleindex.core import bounds
from simpleindex.core.files import Sidecar
from simpleindex.core.metadata import MAXIMUM_SIZE, CoreMetadata, VerifiedMetadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from simpleindex.access.identity import UploadRules
    from simpleindex.archives.contents import MemberList
    from simpleindex.archives.member_text import MemberText
    from simpleindex.core.names import DistributionName, ProjectName

Value = TypeVar("Value")
Value_co = TypeVar("Value_co", covariant=True)

if TYPE_CHECKING:
    Outcome: TypeAlias = Value | Exception
    """A value, or the error that examining the file came to."""

_LONGEST_TEXT: Final = 2_000
_LONGEST_ANSWER: Final = 64 * 1024
# JSON may write six characters for a byte.
_LONGEST_METADATA: Final = 6 * MAXIMUM_SIZE + _LONGEST_ANSWER
_LONGEST_MEMBERS: Final = 6 * bounds.LISTED_PATHS.most + 100 * bounds.LISTED_MEMBERS.most
_LONGEST_TEXTS: Final = 6 * (bounds.MEMBER_TEXTS.most + bounds.LISTED_PATHS.most)
_LONGEST_DIFFERENCES: Final = 2 * _LONGEST_TEXTS
_LONGEST_HTML: Final = 4 * 1024 * 1024
"""Bytes of an answer; of the longest descriptions on the public index it has one and a half million."""

_LARGEST_NUMBER: Final = 1 << 63
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class BadAnswer(Exception):
    """An answer that no judgement gives."""


@dataclass(frozen=True, slots=True)
class Request(Generic[Value_co]):
    """A file to be examined.

    Attributes:
        kind: A name from :data:`~simpleindex.archives.examination.judgements.JUDGEMENTS`.
        arguments: What else the judgement takes, in terms of JSON.
        descriptor: The file, open for reading; it stays the caller's. It is read from any place.
        size: Bytes that are there to be read; the limits grow with them.
        read: Reads the answer; raises :class:`BadAnswer` where it is none.
        longest_answer: Bytes that it may have.
    """

    kind: str
    arguments: tuple[Any, ...]
    descriptor: int
    size: int
    read: Callable[[Any], Value_co]
    longest_answer: int = _LONGEST_ANSWER


class Examiner(Protocol):
    """Examines files; :class:`~simpleindex.archives.examination.pool.ExaminationPool` does it in processes of their own."""

    def prepare(self) -> None:
        """Be ready for files that will come soon; blocking, though not for long."""
        ...

    def examine(self, requests: Sequence[Request[Value]]) -> list[Outcome[Value]]:
        """Examine files; blocking.

        Returns:
            For each request, in their order, its value or the error: BrokenArchive, InvalidFilename, NotExamined or OSError.
        """
        ...

    def examine_in_turn(self, batches: Iterable[Sequence[Request[Value]]]) -> Iterator[list[Outcome[Value]]]:
        """Examine batches of files, each as :meth:`examine` does; while one is examined, the next is taken."""
        ...


def value_of(outcome: Outcome[Value]) -> Value:
    """Return a value, or raise the error that is in its place."""
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


@dataclass(frozen=True, slots=True)
class MissingSpan:
    """Bytes of a wheel that are needed to find its metadata."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class WheelMetadata:
    """What a wheel's end tells.

    Attributes:
        requires_python: As :class:`~simpleindex.archives.inspect.ArchiveInfo` has it.
    """

    data: bytes
    requires_python: str | None


def distribution(
    descriptor: int, size: int, filename: str, project: ProjectName | None
) -> Request[ArchiveInfo]:
    """Ask whether a distribution is whole, and what it says.

    Args:
        descriptor: Open for reading.
        size: Bytes.
        filename: Its name, which need not be valid.
        project: In whose directory it lies; None if its name alone decides.
    """
    return Request("distribution", (filename, project), descriptor, size, archive_info)


def side_file(descriptor: int, size: int, suffix: str) -> Request[str]:
    """Ask for the sha256, in lower-case hex, of a signature or provenance that can be served."""
    return Request("side file", (suffix,), descriptor, size, _sha256)


def upload(
    descriptor: int, size: int, name: DistributionName, rules: UploadRules
) -> Request[VerifiedMetadata]:
    """Ask whether what was uploaded is beyond doubt.

    Args:
        descriptor: Open for reading.
        size: Bytes.
        name: What its file name says.
        rules: For its project.
    """
    return Request("upload", (name.filename, name.project, asdict(rules)), descriptor, size, _examined)


def wheel_end(
    descriptor: int, filename: str, size: int, parts: Sequence[tuple[int, int]]
) -> Request[WheelMetadata | MissingSpan]:
    """Ask for the metadata of a wheel of which only parts are known.

    Args:
        descriptor: A file with these parts where they belong, open for reading.
        filename: The wheel's name.
        size: Its bytes.
        parts: Offset and length of each known part.
    """
    known = sum(length for _, length in parts)
    return Request(
        "wheel end",
        (filename, size, [*map(list, parts)]),
        descriptor,
        known,
        _wheel_metadata,
        _LONGEST_METADATA,
    )


def members(descriptor: int, size: int, filename: str) -> Request[MemberList]:
    """Request the list of the files in a distribution.

    Args:
        descriptor: Open for reading.
        size: Bytes.
        filename: Its name.
    """
    return Request("members", (filename,), descriptor, size, _member_list, _LONGEST_MEMBERS)


def member_texts(
    descriptor: int, size: int, filename: str, paths: Sequence[str]
) -> Request[dict[str, MemberText | None]]:
    """Request the text of members; see :func:`simpleindex.archives.contents.read_texts`.

    Args:
        descriptor: Open for reading.
        size: Bytes.
        filename: The distribution's name.
        paths: The members' paths.
    """
    return Request("texts", (filename, [*paths]), descriptor, size, _optional_texts, _LONGEST_TEXTS)


def differences(
    descriptor: int, size: int, filename: str, former: Mapping[str, str]
) -> Request[dict[str, str]]:
    """Request a comparison of members with their text in another release.

    Args:
        descriptor: The newer distribution, open for reading.
        size: Bytes.
        filename: Its name.
        former: The former text of each member, by path.
    """
    return Request("differences", (filename, dict(former)), descriptor, size, _texts, _LONGEST_DIFFERENCES)


def description(descriptor: int, size: int, content_type: str) -> Request[tuple[str, bool]]:
    """Request a description as HTML, and whether it had images.

    Args:
        descriptor: The description as UTF-8, open for reading.
        size: Bytes.
        content_type: Its content type.
    """
    return Request("description", (content_type,), descriptor, size, _html, _LONGEST_HTML)


def text(value: object, most: int = _LONGEST_TEXT) -> str:
    """Read a text of moderate length, on one line.

    Raises:
        BadAnswer: It is none.
    """
    if not isinstance(value, str) or len(value) > most or not value.isprintable():
        raise BadAnswer(repr(value)[:100])
    return value


def read_number(value: object) -> int:
    """Read a number that is not negative and fits a file.

    Raises:
        BadAnswer: It is none.
    """
    if type(value) is not int or not 0 <= value < _LARGEST_NUMBER:
        raise BadAnswer(repr(value)[:100])
    return value


def _row(value: object, length: int) -> list[Any]:
    if not isinstance(value, list) or len(value) != length:
        raise BadAnswer(repr(value)[:100])
    return value


def _optional_text(value: object) -> str | None:
    return None if value is None else text(value)


def _sha256(value: object) -> str:
    if not _SHA256.fullmatch(text(value)):
        raise BadAnswer(repr(value)[:100])
    return text(value)


def archive_info(value: object) -> ArchiveInfo:
    """Read the facts about an archive from their JSON.

    Raises:
        BadAnswer: They are none.
    """
    version, sha256, requires_python, sidecar, place = _row(value, 5)
    if (sidecar is None) != (place is None):
        raise BadAnswer("a sidecar without its place, or the other way round")
    return ArchiveInfo(
        text(version),
        _sha256(sha256),
        _optional_text(requires_python),
        None if sidecar is None else Sidecar(_sha256(_row(sidecar, 2)[0]), read_number(sidecar[1])),
        None if place is None else MemberSpan(*map(read_number, _row(place, 3))),
    )


def _examined(value: object) -> VerifiedMetadata:
    metadata, version = _row(value, 2)
    name, stated, requires_python = _row(metadata, 3)
    return VerifiedMetadata(
        CoreMetadata(text(name), text(stated), _optional_text(requires_python)), text(version)
    )


def _wheel_metadata(value: object) -> WheelMetadata | MissingSpan:
    kind, first, second = _row(value, 3)
    if kind == "missing":
        return MissingSpan(read_number(first), read_number(second))
    try:
        if kind == "metadata" and isinstance(first, str) and len(first) <= MAXIMUM_SIZE:
            return WheelMetadata(first.encode("latin-1"), _optional_text(second))
    except UnicodeEncodeError:
        pass
    raise BadAnswer(repr(value)[:100])


def _member_list(value: object) -> MemberList:
    from simpleindex.archives.contents import Member, MemberList  # noqa: PLC0415  (only people look inside)

    rows, is_complete = _row(value, 2)
    if not isinstance(rows, list) or not isinstance(is_complete, bool):
        raise BadAnswer(repr(value)[:100])
    listed = (_row(row, 5) for row in rows)
    return MemberList(
        tuple(
            Member(_any_text(path), read_number(size), text(fingerprint), text(link), _any_text(target))
            for path, size, fingerprint, link, target in listed
        ),
        is_complete,
    )


def _optional_texts(value: object) -> dict[str, MemberText | None]:
    if not isinstance(value, dict):
        raise BadAnswer(repr(value)[:100])
    return {path: None if row is None else _member_text(row) for path, row in value.items()}


def _member_text(value: object) -> MemberText:
    from simpleindex.archives.member_text import MemberText  # noqa: PLC0415  (as above)

    content, *facts = _row(value, 4)
    return MemberText(_any_text(content), *map(text, facts))


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise BadAnswer(repr(value)[:100])
    return {path: _any_text(content) for path, content in value.items()}


def _html(value: object) -> tuple[str, bool]:
    html, has_images = _row(value, 2)
    if not isinstance(has_images, bool):
        raise BadAnswer(repr(value)[:100])
    return _any_text(html), has_images


def _any_text(value: object) -> str:
    """Read a text of any length and lines; what shows it has to escape it."""
    if not isinstance(value, str):
        raise BadAnswer(repr(value)[:100])
    return value
