"""Errors of upstreams."""

from __future__ import annotations

from dataclasses import KW_ONLY  # noqa: TC003  (``dataclass`` looks the name up in the module)

from simpleindex.core.errors import SimpleIndexError, Unavailable


class UpstreamFailed(Unavailable, init=False):
    """A request to an upstream index failed, or its answer cannot be used.

    Trouble that lasts until somebody mends it is 424, passing trouble 503, and an upstream that took too long 504; see
    ``docs/refusals.md`` for what clients do with each.

    Attributes:
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
    """An upstream has so many requests already that this one did not get its turn (503).

    Attributes:
        limit: The largest number of requests to it at once.
    """

    _: KW_ONLY
    limit: int

    def __init__(self, upstream: str, limit: int) -> None:
        super().__init__(
            upstream, f"{limit} requests to it are under way, and more wait already.", retry_after=1
        )
        self.limit = limit


class WrongFile(UpstreamFailed, init=False):
    """An upstream sent another file than it lists, which is never served.

    Attributes:
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
    """An upstream sent something else than a listing for one.

    Attributes:
        reason: What is wrong, as a sentence whose subject is the page; it quotes nothing of the page but what is short.
    """

    template = "the page {reason}"
    reason: str


class ForbiddenAddress(SimpleIndexError):
    """An upstream led to an address that is not allowed for it: one of a private network, or of this machine.

    Attributes:
        host: Whose address it is, with the port where it is no usual one; the address itself would tell others of the network.
    """

    template = "it leads to {host}, which has a private address and is not in its `hosts`"
    host: str


class UnusableAnswer(SimpleIndexError):
    """An answer of an upstream that cannot be used: it is not valid HTTP, or not encoded as its headers state.

    Attributes:
        reason: What is wrong, as a sentence.
        is_passing: Whether the next answer may well be better: a connection broke off.
    """

    reason: str
    _: KW_ONLY
    is_passing: bool = False


class NoRanges(UpstreamFailed, init=False):
    """An upstream gives no parts of files."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream, "it gives no parts of files.")
