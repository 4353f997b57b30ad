"""Errors of hooks."""

from __future__ import annotations

from simpleindex.core.errors import SimpleIndexError


class InvalidHooks(SimpleIndexError):
    """A hooks file that cannot be used.

    Attributes:
        reason: What is wrong, as a sentence without its subject.
    """

    template = "it {reason}"
    reason: str


class UnusableSecret(SimpleIndexError):
    """The secret of a hook cannot be read."""

    template = "its secret in {place} cannot be used: {reason}"
    place: str
    reason: str
