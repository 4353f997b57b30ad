"""Errors: a base class, and those that several rooms raise; each is its facts and the template of its sentence.

"Not here", "not allowed" and "cannot answer now" never share a class (a client that gets 404 for a private name may install
a public package of that name). The table from error to status code is in :mod:`simpleindex.web.http.respond`.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, ClassVar, dataclass_transform

if TYPE_CHECKING:
    from simpleindex.core.faults import Fault, Trouble


@dataclass_transform(eq_default=False, field_specifiers=(field,))
class SimpleIndexError(Exception):
    """The base of every error: a subclass is a dataclass of its facts, with a template of its sentence.

    Attributes:
        template: The sentence, as a format string over the facts.
    """

    template: ClassVar[str] = "{reason}"

    def __init_subclass__(cls, *, init: bool = True) -> None:
        """Make the subclass a dataclass that is compared by identity, as exceptions are.

        Args:
            init: Whether its constructor takes its facts in their order.
        """
        dataclass(init=init, eq=False, repr=False)(cls)

    def __str__(self) -> str:
        return self.template.format_map(vars(self))

    def for_operator(self) -> str:
        """Return the sentence for who runs the index, which may say more than the one for clients."""
        return str(self)


class InvalidProjectName(SimpleIndexError):
    """A text that cannot be a project's name (PyPUG "name-normalization")."""

    template = "{text!r} is not a valid project name"
    text: str


class InvalidFilename(SimpleIndexError):
    """A file name that cannot be a distribution of its project.

    Attributes:
        reason: What is wrong, as the end of a sentence.
    """

    template = "{filename!r}: {reason}"
    filename: str
    reason: str


class InvalidMetadata(SimpleIndexError):
    """Core metadata that cannot be that of its file.

    Attributes:
        reason: What is wrong, as a sentence.
    """

    reason: str


class NotHere(SimpleIndexError):
    """There is no such project or file, and the source is sure of it (404).

    Attributes:
        what: What was requested, in words fit for the client.
    """

    template = "There is no {what} here."
    what: str


class NotShown(NotHere):
    """The name is private, and not in this view; no other index is requested."""


class NothingYet(NotShown):
    """The name is private, and has no project yet; no other index is requested.

    Attributes:
        reason: What makes the name private, as the end of a sentence. Only users who may read explanations see it: to others a
            private name looks like any other that is not here.
    """

    reason: str


class NotAllowed(SimpleIndexError):
    """It exists, and this client may not have it (403).

    Attributes:
        reason: Why, as a sentence fit for the client.
    """

    reason: str


class Unavailable(SimpleIndexError):
    """The source cannot answer now (503): it is not ready, gone, or in error. Never to be read as "not here".

    Attributes:
        reason: Why, as a sentence fit for the client.
        retry_after: Whole seconds after which the client should try again; None where waiting changes nothing.
    """

    reason: str
    retry_after: int | None = 2


class BrokenProject(Unavailable):
    """A project whose ``simpleindex.toml`` has to be corrected before the project can be served (424).

    Installers do not retry 424 and never take it for "not here"; see ``docs/refusals.md``.

    Attributes:
        reason: What is wrong, with the file's path below the root, as a sentence.
        retry_after: None, since waiting does not mend it.
    """

    retry_after: int | None = None


class Changed(SimpleIndexError):
    """A file's bytes are no longer those that were listed; nothing of it may be sent any more."""

    template = "{filename} changed while it was being read."
    filename: str


class RefusedStart(SimpleIndexError):
    """The service cannot start as it is configured; the sentence says what is wrong, where, and what to do."""

    template = "{sentence}"
    sentence: str


class InvalidSetting(SimpleIndexError):
    """A text is no value for an option; the caller adds where it was read.

    Attributes:
        reason: What is wrong, as a sentence without its subject, which is the text.
    """

    template = "The value {reason}"
    reason: str


class InvalidQuestion(SimpleIndexError):
    """A question about downloads that is not valid."""

    template = "{sentence}"
    sentence: str


class CannotStore(SimpleIndexError):
    """The directory cannot take a change.

    Attributes:
        reason: Why, as a sentence fit for the client: it names no place outside the root.
        fault: What is the matter with the server; None where the project's name is what is refused.
        trouble: The operating system's error, with the place; None where no call failed.
    """

    reason: str
    _: KW_ONLY
    fault: Fault | None = None
    trouble: Trouble | None = None

    def __post_init__(self) -> None:
        if self.trouble is not None:
            self.fault = self.trouble.fault

    def for_operator(self) -> str:
        """Return it with the place and the remedy."""
        return self.reason if self.trouble is None else self.trouble.for_operator()


class InvalidSources(SimpleIndexError):
    """A sources file that is not valid.

    Attributes:
        reason: What is wrong, as a sentence without its subject.
    """

    template = "it {reason}"
    reason: str
