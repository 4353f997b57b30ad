"""Severities of log sentences: what an operator must mend stands out from what merely happened.

A sentence is plain text of severity ``info`` unless :func:`warning` or :func:`error` has marked it.
"""

from __future__ import annotations

from enum import Enum
from typing import Self


class Severity(Enum):
    """How much a line of the log matters; the values are the names of Twisted's log levels."""

    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class _Marked(str):
    """A sentence with a severity of its own."""

    __slots__ = ("severity",)
    severity: Severity

    @classmethod
    def of(cls, text: str, severity: Severity) -> Self:
        marked = cls(text)
        marked.severity = severity
        return marked


def warning(sentence: str) -> str:
    """Mark a sentence about something that is withheld, refused or failing, and that may pass by itself."""
    return _Marked.of(sentence, Severity.WARN)


def error(sentence: str) -> str:
    """Mark a sentence about something that stays wrong until an operator mends it."""
    return _Marked.of(sentence, Severity.ERROR)


def severity_of(sentence: str) -> Severity:
    """Return a sentence's severity."""
    return sentence.severity if isinstance(sentence, _Marked) else Severity.INFO


def prefixed(prefix: str, sentence: str) -> str:
    """Put a name and a colon before a sentence, which keeps its severity."""
    text = f"{prefix}: {sentence}"
    severity = severity_of(sentence)
    return text if severity is Severity.INFO else _Marked.of(text, severity)
