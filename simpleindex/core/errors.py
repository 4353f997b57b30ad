"""Errors: a base class, and those that several rooms raise; each is its facts and the template of its sentence.

"Not here", "not allowed" and "can't tell now" never share a class (a client that is told 404 for a private name may take
a public package of that name). The table from error to status code is in :mod:`simpleindex.web.http.respond`.
"""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final, dataclass_transform

if TYPE_CHECKING:
    from simpleindex.core.faults import Fault, Trouble

_LONGEST_SENTENCE: Final = 500
# Poetry takes these words in a body for an invitation to register the project and to send the file again (docs/protocol.md, "Answers to an upload").
_INVITATION: Final = re.compile("was ever registered", re.IGNORECASE)
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f]")


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


class InvalidProjectName(SimpleIndexError):
    """A text that cannot be a project's name (PyPUG "name-normalization").

    Attributes:
        text: The offending text.
    """

    template = "{text!r} is not a valid project name"
    text: str


class InvalidFilename(SimpleIndexError):
    """A file name that cannot be a distribution of its project.

    Attributes:
        filename: The offending name.
        reason: What is wrong, as the end of a sentence.
    """

    template = "{filename!r}: {reason}"
    filename: str
    reason: str


class InvalidProjectFile(SimpleIndexError):
    """A ``simpleindex.toml`` that cannot be obeyed.

    Attributes:
        reason: What is wrong, as a sentence without its subject.
    """

    template = "simpleindex.toml {reason}"
    reason: str


class InvalidPattern(SimpleIndexError):
    """A text that is neither a project's name nor a pattern of names.

    Attributes:
        text: The offending text.
        reason: What is wrong, as the end of a sentence.
    """

    template = "{text!r} {reason}"
    text: str
    reason: str


class InvalidAccess(SimpleIndexError):
    """An access file that cannot be obeyed.

    Attributes:
        reason: What is wrong, as a sentence without its subject.
    """

    template = "The access file {reason}"
    reason: str


class InvalidMetadata(SimpleIndexError):
    """Core metadata that cannot be that of its file.

    Attributes:
        reason: What is wrong, as a sentence.
    """

    reason: str


class BrokenArchive(SimpleIndexError):
    """An archive that is not whole, or is not what its name says; perhaps still being written.

    Attributes:
        reason: What is wrong, as a sentence.
        perhaps_unfinished: Whether more bytes could mend it: it is cut off or still being written. Otherwise it was
            never valid.
    """

    reason: str
    _: KW_ONLY
    perhaps_unfinished: bool = False


class CutOff(BrokenArchive):
    """An archive whose end is missing."""

    reason: str = "it is incomplete: cut off, or still being copied"
    _: KW_ONLY
    perhaps_unfinished: bool = True


class NotHere(SimpleIndexError):
    """A source that knows says: there is no such project or file (404).

    Attributes:
        what: What was asked for, in words fit for the client.
    """

    template = "There is no {what} here."
    what: str


class NotShown(NotHere):
    """A source says: it is one's own, and not in this view; no other index is asked for it."""


class NothingYet(NotShown):
    """A source has no project of a name that is its own all the same; no other index is asked for it.

    Attributes:
        reason: What makes the name its own, as the end of a sentence. It is for who may read explanations: to others a name
            that is taken looks like any other that is not here.
    """

    reason: str


class NotAllowed(SimpleIndexError):
    """It exists, and may not be had (403).

    Attributes:
        reason: Why, as a sentence fit for the client.
    """

    reason: str


class FileWithheld(NotAllowed):
    """A rule withholds a file that somebody asks for (403).

    Attributes:
        filename: Which.
        rule: The name of the rule.
        source: Which source has it.
        visible_from: When it becomes visible by the passing of time alone, seconds since 1970; None if it does not.
    """

    _: KW_ONLY
    filename: str
    rule: str
    source: str
    visible_from: float | None


class Unauthenticated(SimpleIndexError):
    """Nobody is known to be asking: credentials are missing or wrong (401 with a challenge, RFC 9110 section 15.5.2).

    Attributes:
        reason: What is wrong, as a sentence fit for the client: it tells no user that exists from one that does not.
    """

    reason: str


class TooManyFailures(SimpleIndexError):
    """Passwords from there are not looked at for a while (429): too many were wrong, or too many wait.

    Attributes:
        retry_after: Whole seconds, at least one.
    """

    template = (
        "Too many passwords from your address were wrong, or too many are waiting to be checked; "
        "try again in {retry_after} s. Tokens are not delayed."
    )
    retry_after: int


class InsecureCredentials(SimpleIndexError):
    """Credentials came unencrypted over a network, where anybody on the way has read them (403)."""

    template = (
        "Your credentials came over plain HTTP, where others can read them: use https, and change the password "
        "or have the token revoked. Nothing was looked at."
    )


class UnusableToken(SimpleIndexError):
    """A token that gives no rights.

    Attributes:
        id: The token's name, or None when it is unknown.
        reason: What is wrong; the sentence is for the operator, for the client must not learn which it is.
    """

    id: str | None
    reason: str

    def __str__(self) -> str:
        return "unknown token" if self.id is None else f"token {self.id} {self.reason}"


class InvalidUserName(SimpleIndexError):
    """A text that cannot be a user's name.

    Attributes:
        reason: What is wrong, as a sentence without its subject; the text itself may be a secret in the wrong place.
    """

    template = "The user name {reason}"
    reason: str


class Unavailable(SimpleIndexError):
    """It cannot be told now (503): not ready, gone, or in error. Never to be read as "not here".

    Attributes:
        reason: Why, as a sentence fit for the client.
        retry_after: Whole seconds after which asking again makes sense; None where waiting changes nothing.
    """

    reason: str
    retry_after: int | None = 2


class BrokenProject(Unavailable):
    """A project whose ``simpleindex.toml`` somebody has to mend before anything can be said of it (424).

    Installers do not retry 424 and never take it for "not here"; see ``docs/refusals.md``.

    Attributes:
        reason: What is wrong, with the file's path below the root, as a sentence.
        retry_after: None, since waiting does not mend it.
    """

    retry_after: int | None = None


class Changed(SimpleIndexError):
    """A file's bytes are no longer those that were listed; nothing of it may be sent any more.

    Attributes:
        filename: The file.
    """

    template = "{filename} changed while it was being read."
    filename: str


class RefusedStart(SimpleIndexError):
    """The service cannot start as it is configured; the sentence says what is wrong, where, and what to do.

    Attributes:
        sentence: The whole sentence.
    """

    template = "{sentence}"
    sentence: str


class InvalidSetting(SimpleIndexError):
    """A text that an option cannot have as its value; where it stood is added by whoever knows.

    Attributes:
        reason: What is wrong, as a sentence without its subject, which is the text.
    """

    template = "The value {reason}"
    reason: str


class NotAcceptable(SimpleIndexError):
    """The client can read none of the forms that a page has (406).

    Attributes:
        supported: The media types that there are.
    """

    supported: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"This page has none of the types that Accept names; ask for one of {', '.join(self.supported)}."
        )


class RefusedUpload(SimpleIndexError):
    """An upload that is not taken. The sentence is sent twice, as the reason phrase and as the body (docs/protocol.md).

    Attributes:
        status: The HTTP status code, always 4xx: twine sends the whole file again after a 5xx (docs/protocol.md).
        sentence: What is wrong and what to do; one line of printable ISO-8859-1, whatever text of the client it quotes.
    """

    template = "{sentence}"
    status: int
    sentence: str

    def __post_init__(self) -> None:
        line = _UNPRINTABLE.sub("?", " ".join(self.sentence.split()))[:_LONGEST_SENTENCE]
        self.sentence = _INVITATION.sub(
            "was_ever_registered", line.encode("latin-1", "replace").decode("latin-1")
        )


class WatchUnavailable(SimpleIndexError):
    """The file system's events cannot be had.

    Attributes:
        reason: Why, and what to do about it, as a sentence.
    """

    reason: str


class UnusableCertificate(SimpleIndexError):
    """A certificate or its key that cannot be served.

    Attributes:
        where: The file.
        reason: What is wrong and what to do, as a sentence without its subject.
    """

    template = "{where} {reason}"
    where: str
    reason: str


class ClientLeft(SimpleIndexError):
    """Whoever was to get the answer has gone."""

    template = "The client has left."


class AlreadyExists(SimpleIndexError):
    """A file of that name is there with other bytes, or the same distribution under another name (409; docs/protocol.md).

    Attributes:
        filename: The file that is there.
        sha256: Digest of the bytes that are there.
        offered: The name of the new file where it differs; None where it does not.
    """

    filename: str
    sha256: str
    offered: str | None = None

    def __str__(self) -> str:
        # twine and poetry know the opening words.
        there = f"File already exists ({self.filename!r}, with sha256 hash {self.sha256!r})"
        if self.offered is None:
            return f"{there}. Upload it under a new version; a published file is not replaced."
        if self.offered.endswith(".whl"):
            return f"{there}, and {self.offered!r} is another spelling of its name. Use a new version."
        return f"{there}, and {self.offered!r} is an sdist of the same release, which has only one. Use a new version."


class NameUsed(SimpleIndexError):
    """A deleted file had that name, and installers may still remember its digest (docs/protocol.md).

    Attributes:
        filename: The name of the deleted file.
        offered: The name of the new file, where it is the same distribution's under another spelling; else None.
    """

    filename: str
    offered: str | None = None

    def __str__(self) -> str:
        text = "This filename was previously used by a file that has since been deleted"
        if self.offered is not None:
            text += f" ({self.filename}, which {self.offered} is another name of)"
        return f"{text}. Use a different version."


class CannotStore(SimpleIndexError):
    """The directory cannot take a change.

    Attributes:
        reason: Why, as a sentence fit for the client: it names no place outside the root.
        fault: What is the matter with the server; None where the project's name is what is refused.
        trouble: What the operating system said, with the place; None where it was not asked.
    """

    reason: str
    _: KW_ONLY
    fault: Fault | None = None
    trouble: Trouble | None = None

    def __post_init__(self) -> None:
        if self.trouble is not None:
            self.fault = self.trouble.fault


class UpstreamFailed(Unavailable, init=False):
    """An upstream index could not be asked, or its answer could not be used.

    Trouble that lasts until somebody mends it is 424, passing trouble 503, and an upstream that took too long 504; see
    ``docs/refusals.md`` for what clients do with each.

    Attributes:
        upstream: Its name.
        reason: Why, as a sentence fit for the client.
        timed_out: Whether it took too long.
        retry_after: Whole seconds after which it may be better; None, the default, for trouble that waiting does not end.
    """

    template = "The upstream index {upstream} cannot answer: {reason}"
    _: KW_ONLY
    upstream: str
    timed_out: bool

    def __init__(
        self, upstream: str, reason: str, *, timed_out: bool = False, retry_after: int | None = None
    ) -> None:
        super().__init__(reason, retry_after)
        self.upstream = upstream
        self.timed_out = timed_out


class UpstreamBusy(UpstreamFailed, init=False):
    """So much is asked of an upstream already that this did not get its turn (503).

    Attributes:
        limit: How many requests at once it is asked.
    """

    _: KW_ONLY
    limit: int

    def __init__(self, upstream: str, limit: int) -> None:
        super().__init__(
            upstream, f"{limit} requests to it are under way, and more wait already.", retry_after=1
        )
        self.limit = limit


class WrongFile(UpstreamFailed, init=False):
    """An upstream sent another file than it lists; nobody may have it, however often it is asked for.

    Attributes:
        filename: The file.
        difference: How it differs, as a clause.
    """

    _: KW_ONLY
    filename: str
    difference: str

    def __init__(self, upstream: str, filename: str, reason: str) -> None:
        super().__init__(upstream, f"{filename} is not the file that it lists: {reason}.")
        self.filename = filename
        self.difference = reason


class FileRefused(UpstreamFailed, init=False):
    """An upstream does not give a file that it lists; the signature in the file's URL may have expired."""


class InvalidUpstreamPage(SimpleIndexError):
    """What an upstream gave for a listing and is none.

    Attributes:
        reason: What is wrong, as a sentence whose subject is the page; it quotes nothing of the page but what is short.
    """

    template = "the page {reason}"
    reason: str


class ForbiddenAddress(SimpleIndexError):
    """An upstream led to an address that it has no business with: one of a private network, or of this machine.

    Attributes:
        host: Whose address it is, with the port where it is no usual one; the address itself would tell others of the network.
    """

    template = "it leads to {host}, which has a private address and is not in its `hosts`"
    host: str


class UnusableAnswer(SimpleIndexError):
    """What came over a connection is no HTTP that we take.

    Attributes:
        reason: What is wrong, as a sentence.
        is_passing: Whether the next answer may well be better: a connection broke off.
    """

    reason: str
    _: KW_ONLY
    is_passing: bool = False


class InvalidSources(SimpleIndexError):
    """A sources file that cannot be obeyed.

    Attributes:
        reason: What is wrong, as a sentence without its subject.
    """

    template = "The sources file {reason}"
    reason: str


class InvalidAdvisory(SimpleIndexError):
    """A security advisory that cannot be understood.

    Attributes:
        reason: What is wrong, as a sentence without its subject.
    """

    template = "The advisory {reason}"
    reason: str


class InvalidLockFile(SimpleIndexError):
    """A file of requirements, or a lock file, that cannot be understood.

    Attributes:
        reason: What is wrong, as a sentence without its subject.
    """

    template = "The file {reason}"
    reason: str


class NoRanges(UpstreamFailed, init=False):
    """An upstream gives no parts of files."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream, "it gives no parts of files.")


class InvalidNameList(SimpleIndexError):
    """A list of names of which a line cannot be understood.

    Attributes:
        reason: What is wrong, as a sentence without its subject.
    """

    template = "The list {reason}"
    reason: str


class NotCopied(SimpleIndexError):
    """A release that is not copied.

    Attributes:
        reason: Why, as a sentence without its end.
    """

    reason: str

    def __str__(self) -> str:
        return f"Nothing was copied: {self.reason.rstrip('.')}."


class InvalidText(SimpleIndexError):
    """A file that is to be a text and is none, or one in an encoding that cannot be read.

    Attributes:
        reason: What is wrong, as a sentence without its subject.
    """

    template = "The file {reason}"
    reason: str
