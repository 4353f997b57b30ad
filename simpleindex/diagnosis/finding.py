"""What a diagnosis finds: how bad it is, a sentence, and the command that mends it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Severity(IntEnum):
    """How bad a finding is."""

    HINT = 0
    """Worth knowing; the index serves everything."""
    WARNING = 1
    """Something is not served, or will go wrong."""
    ERROR = 2
    """The server does not start, or clients are refused."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        severity: How bad it is.
        sentence: What is wrong, where, and what follows.
        remedy: A command that mends it, with words in capitals for what only the operator knows; empty if there is none.
    """

    severity: Severity
    sentence: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class SubjectReport:
    """What is known about one subject after its diagnosis.

    Attributes:
        subject: Its name, such as ``permissions``.
        summary: What was looked at, in a few words.
        findings: What is not as it should be, the worst first.
    """

    subject: str
    summary: str
    findings: tuple[Finding, ...]


def report_on(subject: str, summary: str, findings: Iterable[Finding] = ()) -> SubjectReport:
    """Return the report on a subject, with the worst findings first."""
    ordered = sorted(dict.fromkeys(findings), key=lambda finding: -finding.severity)
    return SubjectReport(subject, summary, tuple(ordered))


def exit_status(reports: Iterable[SubjectReport]) -> int:
    """Return 2 if there is an error, 1 if there is a warning, else 0."""
    return max((finding.severity for report in reports for finding in report.findings), default=0)
