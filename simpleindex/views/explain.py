"""Why a project, a version or a file is or is not offered, as values: what ``/-/why/`` and ``simpleindex why`` tell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from packaging.version import InvalidVersion

from simpleindex.core.dates import day_and_time
from simpleindex.core.errors import (
    InvalidFilename,
    NotHere,
    NothingYet,
    NotShown,
    Unavailable,
    UpstreamFailed,
)
from simpleindex.core.model import Project, Status
from simpleindex.core.names import parse_distribution_name
from simpleindex.core.version_texts import parse_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.core.errors import SimpleIndexError
    from simpleindex.core.model import File, Withheld
    from simpleindex.core.names import DistributionName, ProjectName

_MOST_SHOWN: Final = 300
"""Files of each kind; who wants to know of others asks about their version."""

_FOR_THE_OPERATOR: Final = "It cannot be used as it is; the operator finds the reason in the log."


class Answer(Enum):
    """What a client gets of what was asked about."""

    OFFERED = "offered"
    PARTLY = "partly withheld"
    WITHHELD = "withheld"
    EMPTY = "known, without files"
    NOT_HERE = "not here"
    REFUSED = "refused"
    UNAVAILABLE = "cannot be told now"


@dataclass(frozen=True, slots=True)
class SourceNote:
    """What one source says of a project, or why it was not asked.

    Attributes:
        source: Its name.
        sentence: What.
    """

    source: str
    sentence: str


@dataclass(frozen=True, slots=True)
class FileNote:
    """What there is to say of one file.

    Attributes:
        filename: Its name.
        version: PEP 440's normal form; None where the name does not tell.
        source: Who has it.
        is_offered: Whether clients see it.
        sentence: Why not; of an offered file, what makes installers pass it over; else empty.
        rule: Which rule withholds it, else empty.
        visible_from: When it becomes visible by the passing of time alone, seconds since 1970; None if it does not.
    """

    filename: str
    version: str | None
    source: str
    is_offered: bool
    sentence: str = ""
    rule: str = ""
    visible_from: float | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that there is to say.

    Attributes:
        name: The project.
        version: The version that was asked about, in its normal form where it has one; None for all of them.
        view: The view in which it was asked about.
        answer: What clients get.
        summary: The same in a sentence or two.
        words: What the sources say, in the order in which they are asked.
        files: What is withheld, then what is offered, each with the newest first; of the version alone, if one was asked about.
        more: How many more there are.
    """

    name: ProjectName
    version: str | None
    view: str
    answer: Answer
    summary: str
    words: tuple[SourceNote, ...]
    files: tuple[FileNote, ...] = ()
    more: int = 0


def explain(
    name: ProjectName,
    version: str | None,
    view: str,
    words: Sequence[SourceNote],
    outcome: Project | SimpleIndexError,
    *,
    is_operator: bool,
) -> Explanation:
    """Say why something is or is not offered.

    Args:
        name: The project.
        version: Of it; None for all of it.
        view: Where.
        words: What the sources say.
        outcome: What the view answers for the project.
        is_operator: Whether whoever asks may read every reason.
    """
    asked = None if version is None else _normalized(version)
    if not isinstance(outcome, Project):
        return Explanation(name, asked, view, _answer_of(outcome), str(outcome), tuple(words))
    files = (
        *(_withheld(item, name, is_operator=is_operator) for item in outcome.withheld),
        *(_offered(file) for file in outcome.files if asked is None or file.version == asked),
    )
    if outcome.denied is not None:
        return Explanation(name, asked, view, Answer.WITHHELD, outcome.denied, tuple(words))
    if asked is not None:
        files = tuple(file for file in files if file.version == asked)
    answer = _answer(files)
    summary = " ".join(filter(None, (_summary(name, asked, outcome, files, answer), _status(outcome))))
    return Explanation(name, asked, view, answer, summary, tuple(words), *_shortened(files))


def _shortened(files: Sequence[FileNote]) -> tuple[tuple[FileNote, ...], int]:
    """The newest of each kind, newest first, and how many more there are."""
    shown: list[FileNote] = []
    for is_offered in (False, True):
        kind = [file for file in files if file.is_offered is is_offered]
        shown += reversed(kind[-_MOST_SHOWN:])
    return tuple(shown), len(files) - len(shown)


def what_is_there(outcome: Project | SimpleIndexError) -> str:
    """What a source answers for a project, as a sentence without its subject."""
    if isinstance(outcome, NothingYet):
        return f"has no files of it yet, but the name is yours, so no upstream is asked: {outcome.reason}."
    if isinstance(outcome, NotShown):
        return "has it, and this view does not show it."
    if isinstance(outcome, NotHere):
        return "has no such project."
    if not isinstance(outcome, Project):
        return (
            f"cannot tell: {outcome}" if isinstance(outcome, Unavailable | UpstreamFailed) else str(outcome)
        )
    if outcome.denied is not None:
        return outcome.denied
    withheld = f", and withholds {len(outcome.withheld):,}" if outcome.withheld else ""
    stale = " It cannot be asked now: this is what it said before." if outcome.stale else ""
    return f"has it, with {_count(len(outcome.files), 'file')} to offer{withheld}.{stale}"


def _normalized(version: str) -> str:
    try:
        return str(parse_version(version))
    except InvalidVersion:
        return version


def _answer_of(error: SimpleIndexError) -> Answer:
    match error:
        case NotHere():
            return Answer.NOT_HERE
        case Unavailable() | UpstreamFailed():
            return Answer.UNAVAILABLE
    return Answer.REFUSED


def _answer(files: Sequence[FileNote]) -> Answer:
    if not files:
        return Answer.EMPTY
    offered = sum(file.is_offered for file in files)
    if not offered:
        return Answer.WITHHELD
    return Answer.OFFERED if offered == len(files) else Answer.PARTLY


def _summary(
    name: ProjectName, version: str | None, project: Project, files: Sequence[FileNote], answer: Answer
) -> str:
    what = name if version is None else f"{name} {version}"
    offered = sum(file.is_offered for file in files)
    if answer is Answer.OFFERED:
        return f"{what} is offered: {_count(offered, 'file')}."
    if answer is Answer.EMPTY and version is None:
        return f"{name} is a project here, and has no file."
    if answer is Answer.EMPTY:
        newest = next((file.version for file in reversed(project.files)), None)
        hint = f" The newest that is offered is {newest}." if newest else ""
        return f"No source has a file of {what}.{hint}"
    withheld = [file for file in files if not file.is_offered]
    rules = ", ".join(dict.fromkeys(file.rule for file in withheld))
    times = [file.visible_from for file in withheld]
    when = ""
    if all(time is not None for time in times):
        latest, soonest = (pick(time for time in times if time is not None) for pick in (max, min))
        when = (
            f", until {day_and_time(soonest)}"
            if day_and_time(soonest) == day_and_time(latest)
            else (f", the first until {day_and_time(soonest)}, the last until {day_and_time(latest)}")
        )
    many = f"{len(withheld)} of {_count(len(files), 'file')} {'is' if len(withheld) == 1 else 'are'} withheld"
    if answer is Answer.WITHHELD:
        all_of_it = "its only file is" if len(files) == 1 else f"all of its {len(files)} files are"
        return f"{what} is not offered: {all_of_it} withheld ({rules}){when}."
    return f"{what} is offered in part: {many} ({rules}){when}."


def _status(project: Project) -> str:
    if project.status is Status.ACTIVE:
        return ""
    reason = f": {project.status_reason}" if project.status_reason else ""
    return f"The project is {project.status.value}{reason.removesuffix('.')}."


def _withheld(item: Withheld, name: ProjectName, *, is_operator: bool) -> FileNote:
    filename = item.filename
    parsed = _parsed(filename, name)
    version, is_its = (parsed.version, parsed.project == name) if parsed else (None, False)
    sentence = item.reason if item.public or is_operator else _FOR_THE_OPERATOR
    if not (is_its or item.public or is_operator):
        # What lies in the wrong directory may have a name that is not for its readers.
        filename, version = "a file of another name", None
    return FileNote(filename, version, item.source, False, sentence, item.rule, item.visible_from)


def _parsed(filename: str, name: ProjectName) -> DistributionName | None:
    """What a file's name says, on the page of this project."""
    for project in (name, None):
        try:
            return parse_distribution_name(filename, project)
        except InvalidFilename:
            continue
    return None


def _offered(file: File) -> FileNote:
    notes = []
    if file.yanked is not None:
        reason = f": {file.yanked}" if file.yanked else ""
        notes.append(f"It is yanked, so installers take it only where it is pinned{reason}.")
    if file.requires_python:
        notes.append(f"It is for Python {file.requires_python}.")
    return FileNote(file.filename, file.version, file.source, True, " ".join(notes))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
