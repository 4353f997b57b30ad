"""Why a certificate could not be had from an authority."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.core.errors import SimpleIndexError

if TYPE_CHECKING:
    from datetime import timedelta


class AcmeFailed(SimpleIndexError):
    """A request for a certificate failed.

    Attributes:
        sentence: What is wrong and what to do, for the operator.
        retry_after: The wait that the authority requests before the next try, or None.
    """

    def __init__(self, sentence: str, retry_after: timedelta | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.sentence


class ChallengeFailed(AcmeFailed):
    """The authority could not validate a name or an address.

    Attributes:
        name: The name or address.
        kind: The challenge.
    """

    def __init__(self, name: str, kind: str, detail: str) -> None:
        port = "80" if kind == "http-01" else "443"
        super().__init__(
            f"The authority could not validate {name} by {kind}: {detail} "
            f"Let {name} lead to this server, and port {port} be open from outside."
        )
        self.name = name
        self.kind = kind
