"""Whether files still are what is listed of them: their digests, and metadata files that lie beside wheels. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simpleindex.core.text import plural, printable
from simpleindex.diagnosis.finding import Finding, Severity
from simpleindex.diagnosis.packages import MOST_NAMED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class ReadAgain:
    """A file that was read to its end once more.

    Attributes:
        listed: The sha256 that is listed.
        now: The sha256 of what was read; None if it could not be read to its end.
        trouble: Why it could not be read.
    """

    path: str
    project: str
    filename: str
    listed: str
    now: str | None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class MetadataBeside:
    """A metadata file that lies beside a wheel, as mirrors leave them.

    Attributes:
        is_of_wheel: Whether it has the bytes that are in the wheel.
    """

    path: str
    is_of_wheel: bool


def find_changed_files(files: Sequence[ReadAgain]) -> Iterator[Finding]:
    """Yield files whose bytes are not those that are listed."""
    changed = [each for each in files if each.now != each.listed]
    for each in changed[:MOST_NAMED]:
        remedy = f"cp -p BACKUP/{shlex.quote(each.filename)} {shlex.quote(each.path)}"
        if each.now is None:
            yield Finding(
                Severity.ERROR, f"{printable(each.path)} cannot be read to its end: {each.trouble}", remedy
            )
            continue
        sentence = (
            f"{printable(each.path)} has changed though its size and times have not: its sha256 was {each.listed[:12]}..., and is "
            f"{each.now[:12]}... now. Clients refuse it; the disk may be failing."
        )
        yield Finding(Severity.ERROR, sentence, remedy)
    if len(changed) > MOST_NAMED:
        more = plural(len(changed) - MOST_NAMED, "more file")
        yield Finding(Severity.ERROR, f"Changed like that, too: {more}.")


def find_changed_metadata(beside: Sequence[MetadataBeside]) -> Iterator[Finding]:
    """Yield metadata files that are not those of their wheels; they are not served, but other servers would."""
    for each in [each for each in beside if not each.is_of_wheel][:MOST_NAMED]:
        sentence = f"{printable(each.path)} is not what its wheel has as METADATA; what is served comes from the wheel."
        yield Finding(Severity.WARNING, sentence, f"rm {shlex.quote(each.path)}")
