"""Explain why a project, a version or a file is or is not offered, for ``/-/why/`` and ``simpleindex why``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from packaging.version import InvalidVersion

from simpleindex.core.errors import InvalidFilename, NotHere, NothingYet, NotShown, Unavailable
from simpleindex.core.model import MISSING, Project, Status
from simpleindex.core.names import parse_distribution_name
from simpleindex.core.parsing.version_texts import parse_version
from simpleindex.core.text import day_and_time, plural
from simpleindex.upstreams.errors import UpstreamFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.core.errors import SimpleIndexError
    from simpleindex.core.files import File
    from simpleindex.core.model import Withheld
    from simpleindex.core.names import DistributionName, ProjectName

_MOST_SHOWN: Final = 300
"""Files of each kind that are shown; a question about a version shows the others."""

_CAUSES: Final = {
    "name": "its file name",
    "archive": "its content",
    "metadata": "its metadata",
    "duplicate": "a duplicate",
    "status": "the project's status",
    "file": "the file cannot be read",
    "format": "its format",
    "url": "its address",
    "link": "its link",
    MISSING: "missing at the upstream",
}
"""Plain words for reasons that are no rules of the operator."""

_FOR_THE_OPERATOR: Final = "It cannot be used as it is; the operator finds the reason in the log."


class Answer(Enum):
    """What clients get of a project, a version or a file."""

    OFFERED = "offered"
    PARTLY = "partly withheld"
    WITHHELD = "withheld"
    EMPTY = "known, without files"
    NOT_HERE = "not here"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable now"


@dataclass(frozen=True, slots=True)
class SourceNote:
    """The answer of one source for a project, or the reason why it was skipped.

    Attributes:
        sentence: The answer, as a sentence without its subject.
    """

    source: str
    sentence: str


@dataclass(frozen=True, slots=True)
class FileNote:
    """The explanation of one file.

    Attributes:
        version: PEP 440's normal form; None if the file name does not say it.
        source: The source that has the file.
        is_offered: Whether clients see the file.
        sentence: Why it is not offered; for an offered file, why installers may skip it; else empty.
        rule: The rule or the built-in check that withholds it, else empty.
        visible_from: When the file becomes visible without any change, seconds since 1970; None if it does not.
    """

    filename: str
    version: str | None
    source: str
    is_offered: bool
    sentence: str = ""
    rule: str = ""
    visible_from: float | None = None

    @property
    def cause(self) -> str:
        """The rule in plain words: "rule cooldown", "its file name"; empty for an offered file."""
        return cause_of(self.rule)


def cause_of(rule: str) -> str:
    """Name a rule, or the reason behind a built-in check, in plain words."""
    return _CAUSES.get(rule) or (f"rule {rule}" if rule else "")


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of a project or a version.

    Attributes:
        version: The version, in its normal form if it has one; None for all of them.
        answer: What clients get.
        summary: The answer in a sentence or two.
        words: The answers of the sources, in the order of requests.
        files: Files that are not offered, then those that are, each newest first; of the version alone, if there is one.
        more: The number of files that are left out.
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
    """Explain why something is or is not offered.

    Args:
        name: The project.
        version: The version; None for all of them.
        view: The view.
        words: The answers of the sources.
        outcome: The view's answer for the project.
        is_operator: Whether the reader may see every reason.
    """
    release = None if version is None else _normalized(version)
    if not isinstance(outcome, Project):
        return Explanation(name, release, view, _answer_of(outcome), str(outcome), tuple(words))
    files = (
        *(_withheld(item, name, is_operator=is_operator) for item in outcome.withheld),
        *(_offered(file) for file in outcome.files if release is None or file.version == release),
    )
    if outcome.denied is not None:
        return Explanation(name, release, view, Answer.WITHHELD, outcome.denied, tuple(words))
    if release is not None:
        files = tuple(file for file in files if file.version == release)
    answer = _answer(files)
    summary = " ".join(filter(None, (_summary(name, release, outcome, files, answer), _status(outcome))))
    return Explanation(name, release, view, answer, summary, tuple(words), *_shortened(files))


def _shortened(files: Sequence[FileNote]) -> tuple[tuple[FileNote, ...], int]:
    """Return the newest files of each kind, newest first, and how many others there are."""
    shown: list[FileNote] = []
    for is_offered in (False, True):
        kind = [file for file in files if file.is_offered is is_offered]
        shown += reversed(kind[-_MOST_SHOWN:])
    return tuple(shown), len(files) - len(shown)


def what_is_there(outcome: Project | SimpleIndexError) -> str:
    """Return a source's answer for a project, as a sentence without its subject."""
    if isinstance(outcome, NothingYet):
        return f"has no files of it yet, but the name is yours, so it is requested from no upstream: {outcome.reason}."
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
    withheld = (
        f", and {len(outcome.withheld):,} that {'is' if len(outcome.withheld) == 1 else 'are'} not offered"
        if outcome.withheld
        else ""
    )
    stale = " It does not answer now: this is its last answer." if outcome.stale else ""
    return f"has it, with {plural(len(outcome.files), 'file')} to offer{withheld}.{stale}"


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
        return f"{what} is offered: {plural(offered, 'file')}."
    if answer is Answer.EMPTY and version is None:
        return f"{name} is a project here, and has no file."
    if answer is Answer.EMPTY:
        newest = next((file.version for file in reversed(project.files)), None)
        hint = f" The newest that is offered is {newest}." if newest else ""
        return f"No source has a file of {what}.{hint}"
    withheld = [file for file in files if not file.is_offered]
    rules = ", ".join(dict.fromkeys(file.cause for file in withheld))
    when = _until([file.visible_from for file in withheld])
    many = (
        f"{len(withheld)} of {plural(len(files), 'file')} {'is' if len(withheld) == 1 else 'are'} not offered"
    )
    if answer is Answer.WITHHELD:
        all_of_it = "its only file is" if len(files) == 1 else f"all of its {len(files)} files are"
        return f"{what} is not offered: {all_of_it} withheld ({rules}){when}."
    return f"{what} is offered in part: {many} ({rules}){when}."


def _until(times: Sequence[float | None]) -> str:
    """Return until when files are withheld, as a part of a sentence; empty if one of them is for good."""
    known = [time for time in times if time is not None]
    if len(known) < len(times):
        return ""
    soonest, latest = day_and_time(min(known)), day_and_time(max(known))
    return (
        f", until {soonest}" if soonest == latest else f", the first until {soonest}, the last until {latest}"
    )


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
        # The name of a file in the wrong directory may not be for these readers.
        filename, version = "a file of another name", None
    return FileNote(filename, version, item.source, False, sentence, item.rule, item.visible_from)


def _parsed(filename: str, name: ProjectName) -> DistributionName | None:
    """Parse a file name on the page of this project."""
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
