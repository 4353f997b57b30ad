"""What is wrong with the packages in a directory: what is not offered, and projects in several directories. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from simpleindex.core.distribution_identity import identify
from simpleindex.core.model import filenames_of
from simpleindex.core.names import distribution_suffix, parse_distribution_name
from simpleindex.core.text import plural, printable
from simpleindex.diagnosis.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from simpleindex.core.distribution_identity import DistributionIdentity
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.unserved import Unserved

MOST_NAMED: Final = 10
"""Findings of one kind that are named one by one."""


@dataclass(frozen=True, slots=True)
class DirectoryFacts:
    """A directory of packages, read once.

    Attributes:
        withheld: Files that are there and not offered: project, file name, rule, reason.
        passed_over: Files that are meant to be served and are not, one item for each cause.
        spellings: The directories of each project that has several, the one that is preferred first.
        doubles: The files that are one distribution in several spellings, with the project; the one to keep first.
        taken: A sentence about names that are requested from no upstream, though nothing of them is here; None if there are none.
        trouble: Why it cannot be read, as a sentence; None if it can.
    """

    path: str
    withheld: Sequence[tuple[str, str, str, str]] = ()
    passed_over: Sequence[Unserved] = ()
    spellings: Mapping[ProjectName, tuple[str, ...]] = field(default_factory=dict)
    doubles: Sequence[tuple[ProjectName, tuple[str, ...]]] = ()
    taken: str | None = None
    trouble: str | None = None


def judge_directory(facts: DirectoryFacts) -> Iterator[Finding]:
    """Yield what is not offered of a directory, and what may surprise in it."""
    if facts.trouble is not None:
        yield Finding(Severity.ERROR, facts.trouble)
    for project, filename, _, reason in facts.withheld[:MOST_NAMED]:
        remedy = ""
        if project and filename:
            remedy = f"simpleindex delete {project} {shlex.quote(filename)}"
        elif filename:
            remedy = f"rm {shlex.quote(f'{facts.path}/{filename}')}"
        yield Finding(Severity.WARNING, f"Not offered: {reason}", remedy)
    if len(facts.withheld) > MOST_NAMED:
        more = plural(len(facts.withheld) - MOST_NAMED, "more file")
        sentence = f"Not offered, too: {more} in {printable(facts.path)}."
        yield Finding(Severity.WARNING, sentence, "simpleindex check")
    for item in facts.passed_over:
        yield Finding(Severity.WARNING, str(item))
    yield from _doubles(facts)
    yield from _spellings(facts)
    if facts.taken is not None:
        yield Finding(Severity.HINT, facts.taken)


def doubles_of(projects: Iterable[Project]) -> list[tuple[ProjectName, tuple[str, ...]]]:
    """Return the files that are one distribution in several spellings of its name, as :class:`DirectoryFacts` has them."""
    found = []
    for project in projects:
        by_identity: dict[tuple[DistributionIdentity, str | None], list[str]] = {}
        for filename in filenames_of(project.files):
            identity = identify(parse_distribution_name(filename, project.name))
            # Old releases have an sdist as .tar.gz and as .zip.
            by_identity.setdefault((identity, distribution_suffix(filename)), []).append(filename)
        found += [
            (project.name, tuple(sorted(names, key=lambda name: (name != name.lower(), name))))
            for names in by_identity.values()
            if len(names) > 1
        ]
    return found


def _doubles(facts: DirectoryFacts) -> Iterator[Finding]:
    for project, (first, *others) in facts.doubles[:MOST_NAMED]:
        sentence = f"{', '.join((first, *others))} are one distribution in several spellings, of which installers take any."
        remedy = " && ".join(f"simpleindex delete {project} {shlex.quote(each)}" for each in others)
        yield Finding(Severity.WARNING, sentence, remedy)
    if len(facts.doubles) > MOST_NAMED:
        more = plural(len(facts.doubles) - MOST_NAMED, "more distribution")
        yield Finding(Severity.WARNING, f"In several spellings, too: {more}.")


def _spellings(facts: DirectoryFacts) -> Iterator[Finding]:
    for project, directories in list(facts.spellings.items())[:MOST_NAMED]:
        first, *others = directories
        sentence = f"The project {project} lies in several directories of {printable(facts.path)}: {', '.join(map(printable, directories))}."
        root = facts.path.rstrip("/")
        target = shlex.quote(f"{root}/{first}")
        moves = [
            f"mv -n {shlex.quote(f'{root}/{each}')}/* {target}/ && rmdir {shlex.quote(f'{root}/{each}')}"
            for each in others
        ]
        yield Finding(Severity.HINT, sentence, " && ".join(moves))
    if len(facts.spellings) > MOST_NAMED:
        more = plural(len(facts.spellings) - MOST_NAMED, "more project")
        yield Finding(Severity.HINT, f"In several directories, too: {more}.")
