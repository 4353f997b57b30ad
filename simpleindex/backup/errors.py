"""Errors of backups."""

from __future__ import annotations

from simpleindex.core.errors import SimpleIndexError


class CannotBackUp(SimpleIndexError):
    """A backup that cannot be made whole.

    Attributes:
        reason: Why, as a sentence with its remedy.
    """

    reason: str


class CannotRestore(SimpleIndexError):
    """A backup that cannot be restored.

    Attributes:
        reason: Why, as a sentence with its remedy.
    """

    reason: str


class FileVanished(SimpleIndexError):
    """A file that was listed, and is gone or no regular file any more."""

    template = "{path} is gone."
    path: str
