"""Which form of a page a client gets: its content type and its content encoding.

Both are chosen from what the client says with weights (RFC 9110 12.4.2). The ids in comments are those of the Simple
Repository API's rules as this project numbers them; SRA is that specification at packaging.python.org.
"""

from __future__ import annotations

import gzip
import re
import zlib
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from simpleindex.core.errors import SimpleIndexError

if TYPE_CHECKING:
    from collections.abc import Callable


class Representation(Enum):
    """The forms of a page, most expressive first; a value is its Content-Type to the letter.

    uv compares the part before the semicolon exactly and by case, and rejects the whole page otherwise (N10).
    """

    JSON = "application/vnd.pypi.simple.v1+json"
    V1_HTML = "application/vnd.pypi.simple.v1+html; charset=utf-8"
    HTML = "text/html; charset=utf-8"

    @property
    def media_type(self) -> str:
        """The type without parameters, as a client names it."""
        return self.value.partition(";")[0]


class Compressor(Protocol):
    """Compresses a body that comes in pieces."""

    def compress(self, data: bytes, /) -> bytes:
        """Take the next piece; return what is ready."""
        ...

    def flush(self) -> bytes:
        """Return the end."""
        ...


class Encoding(Enum):
    """The content encodings of a page; a value is its name in Content-Encoding."""

    ZSTD = "zstd"
    GZIP = "gzip"
    IDENTITY = "identity"


_NAMES: Final = {
    **{representation.media_type: representation for representation in Representation},
    # N2: "latest" is answered with the real version's type.
    "application/vnd.pypi.simple.latest+json": Representation.JSON,
    "application/vnd.pypi.simple.latest+html": Representation.V1_HTML,
}

# N8: hatch, curl, browsers and old tools say */* and read HTML only, so a wildcard gets the reverse of the best.
_WILDCARD_ORDER: Final = (Representation.HTML, Representation.V1_HTML, Representation.JSON)
_WILDCARDS: Final = frozenset({"*/*", "application/*", "text/*"})

_MAXIMUM_PIECES: Final = 64
"""Members read of a header, and parameters of a member; browsers send ten. A 16 KiB header has room for 8,000."""

_LEVEL: Final = 6
"""Of compression, in gzip and zstd."""

_GZIP: Final = 31
"""zlib's window bits for a whole gzip file, in which it writes no time."""

_FULL_WEIGHT: Final = 1000
"""Weights are counted in thousandths, which is as fine as they can be written."""

_WHITESPACE: Final = " \t"
_NAME_SHAPE: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # a token, RFC 9110 5.6.2
_MEDIA_RANGE: Final = re.compile(f"{_NAME_SHAPE}/{_NAME_SHAPE}")
_CODING: Final = re.compile(_NAME_SHAPE)
_WEIGHT: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")

# A separator inside quotes separates nothing, and a quote that never closes reaches to the end. Every quantifier is
# possessive and every character is taken by some branch, so no text makes these try anything twice.
_QUOTED: Final = r'"(?>(?:[^"\\]|\\.)*)(?:"|\\?\Z)'
_MEMBER: Final = re.compile(f'(?>(?:[^",]|{_QUOTED})+)', re.DOTALL)
_PARAMETER: Final = re.compile(f'(?>(?:[^";]|{_QUOTED})+)', re.DOTALL)


def choose_representation(accept: str | None, query_format: str | None) -> Representation:
    """Choose the form in which a page is answered.

    The highest weight wins, wherever it stands (N3). At equal weights a form that the client names comes before one
    that a wildcard covers, and among the named the most expressive wins, as SRA recommends (N8). PyPI's server would
    answer text/html there; but who names JSON can read it.

    Args:
        accept: The Accept header, several joined by commas; None if there is none.
        query_format: The value of ``?format=``, percent-decoded; it beats Accept if we have that very type (N6).

    Raises:
        NotAcceptable: Accept has neither a wildcard nor one of our types. Nothing less is refused, not even a header
            that excludes all we have: a 406 ends uv's whole resolution (N9).
    """
    demanded = _named(query_format)
    if demanded is not None:
        return demanded
    ranges = _weights(accept or "", _MEDIA_RANGE)
    if not ranges:
        return Representation.HTML
    named: dict[Representation, int] = {}
    for name, representation in _NAMES.items():
        if name in ranges:
            named[representation] = max(ranges[name], named.get(representation, 0))
    if not named and _WILDCARDS.isdisjoint(ranges):
        raise NotAcceptable(tuple(representation.media_type for representation in Representation))

    def weight(representation: Representation) -> int:
        # RFC 9110 12.5.1: the most specific range decides, so that text/html;q=0 excludes it in spite of */*.
        kind = representation.media_type.partition("/")[0]
        return named.get(representation, ranges.get(f"{kind}/*", ranges.get("*/*", 0)))

    explicit = [representation for representation in Representation if representation in named]
    covered = [representation for representation in _WILDCARD_ORDER if representation not in named]
    best = max(explicit + covered, key=weight)
    return best if weight(best) else Representation.HTML


def names_representation(query_format: str | None) -> bool:
    """Tell whether the value of ``?format=`` names a form that a page has."""
    return _named(query_format) is not None


def _named(query_format: str | None) -> Representation | None:
    # N6: a plus that nobody percent-encoded arrives as a space.
    return _NAMES.get((query_format or "").replace(" ", "+").lower())


def choose_encoding(accept_encoding: str | None, offered: tuple[Encoding, ...]) -> Encoding:
    """Choose the content encoding of a page (RFC 9110 12.5.3); what cannot be pleased gets identity, never a refusal.

    Args:
        accept_encoding: The Accept-Encoding header, several joined by commas; None if there is none.
        offered: What there is, best first: that order decides between equal weights. Identity is always there.
    """
    codings = _weights(accept_encoding or "", _CODING)

    def weight(encoding: Encoding) -> int:
        return codings.get(encoding.value, codings.get("*", 0))

    best = max((*offered, Encoding.IDENTITY), key=weight)
    # Identity needs no mention to be acceptable, so without one it comes after whatever is mentioned.
    return best if weight(best) else Encoding.IDENTITY


def media_weights(accept: str) -> dict[str, int]:
    """Return the media ranges of an Accept header with their weights, in thousandths; what is malformed is left out."""
    return _weights(accept, _MEDIA_RANGE)


def _weights(header: str, shape: re.Pattern[str]) -> dict[str, int]:
    """Read a weighted list: thousandths by lower-case name. What is malformed is passed over; of doubles the best counts."""
    weights: dict[str, int] = {}
    for member in islice(_MEMBER.finditer(header), _MAXIMUM_PIECES):
        name, _, parameters = member[0].partition(";")
        name = name.strip(_WHITESPACE)
        weight = _weight(parameters)
        if weight is not None and shape.fullmatch(name):
            weights[name.lower()] = max(weight, weights.get(name.lower(), 0))
    return weights


def _weight(parameters: str) -> int | None:
    """Return the weight among a member's parameters, full without one, or None if it is malformed."""
    for parameter in islice(_PARAMETER.finditer(parameters), _MAXIMUM_PIECES):
        name, _, value = parameter[0].partition("=")
        if name.strip(_WHITESPACE).lower() == "q":
            value = value.strip(_WHITESPACE)
            return round(float(value) * _FULL_WEIGHT) if _WEIGHT.fullmatch(value) else None
    return _FULL_WEIGHT


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


def available_encodings() -> dict[Encoding, Callable[[bytes], bytes]]:
    """Return the content encodings that this installation can make, best first."""
    encodings: dict[Encoding, Callable[[bytes], bytes]] = {}
    if (zstd := _zstd()) is not None:
        encodings[Encoding.ZSTD] = zstd
    # The same bytes for the same content: no file name and no time in the header.
    encodings[Encoding.GZIP] = lambda data: gzip.compress(data, compresslevel=_LEVEL, mtime=0)
    return encodings


def piecewise_compressor(encoding: Encoding) -> Compressor | None:
    """Return what compresses a body piece by piece, or None for an encoding that leaves it as it is."""
    match encoding:
        case Encoding.IDENTITY:
            return None
        case Encoding.GZIP:
            return zlib.compressobj(_LEVEL, wbits=_GZIP)
        case Encoding.ZSTD:
            return _zstd_compressor()


def _zstd() -> Callable[[bytes], bytes] | None:
    try:
        from compression import zstd  # noqa: PLC0415  (Python 3.14 and later)
    except ImportError:
        try:
            import zstandard  # noqa: PLC0415  (the extra "zstd")
        except ImportError:
            return None
        return lambda data: zstandard.ZstdCompressor(level=_LEVEL).compress(data)
    return lambda data: zstd.compress(data, level=_LEVEL)


def _zstd_compressor() -> Compressor:
    try:
        from compression import zstd  # noqa: PLC0415  (as above)
    except ImportError:
        import zstandard  # noqa: PLC0415  (as above)

        return zstandard.ZstdCompressor(level=_LEVEL).compressobj()
    compressor: Compressor = zstd.ZstdCompressor(level=_LEVEL)
    return compressor
