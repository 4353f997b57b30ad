"""Errors of an import."""

from __future__ import annotations

from simpleindex.core.errors import SimpleIndexError


class InvalidImportSource(SimpleIndexError):
    """The source of an import is not what it should be; nothing is imported.

    Attributes:
        reason: What is wrong and what to do, as a sentence.
    """

    reason: str


class NotImported(SimpleIndexError):
    """A project or a file that cannot be imported; others can.

    Attributes:
        reason: Why, as a sentence without its end.
    """

    reason: str


class ImportStopped(SimpleIndexError):
    """The import was stopped while a file was on its way."""

    template = "The import was stopped."


class SourceLost(SimpleIndexError):
    """The other server no longer answers, so that the import ends here.

    Attributes:
        reason: What its last answer was, or why there was none.
    """

    template = "The other server no longer answers: {reason}."
    reason: str
