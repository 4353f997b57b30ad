"""Read the files of an upstream's page, in the form of JSON listings, one by one.

Nothing that an upstream does not state is guessed; a malformed value counts as absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from simpleindex.core.errors import InvalidFilename
from simpleindex.core.files import File, Sidecar
from simpleindex.core.metadata import valid_requires_python
from simpleindex.core.model import Withheld
from simpleindex.core.names import distribution_suffix, parse_distribution_name
from simpleindex.core.text import shown
from simpleindex.upstreams.pages.links import NOT_A_FORMAT, why_no_url
from simpleindex.upstreams.pages.urls import absolute_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.core.names import ProjectName

Entry = Mapping[str, Any]
"""A file's entry in a JSON listing (PEP 691), unchecked."""

# What both pip and uv can check, with the length of its hex form. pip takes a blake2b of 256 bits for one of 512
# (docs/protocol.md, "JSON pages").
_HASHES: Final = {"sha256": 64, "sha512": 128, "sha384": 96, "md5": 32}
_HEX: Final = re.compile("[0-9a-fA-F]+")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST: Final = 2**53
"""Bytes; the largest size that a client which reads JSON's numbers as doubles knows exactly."""

# Characters.
LONGEST_FILENAME: Final = 255
_LONGEST_TEXT: Final = 2000
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def judged_files(
    entries: Iterable[Entry], base: str, name: ProjectName | None, source: str
) -> tuple[list[File], list[Withheld]]:
    """Sort a listing's entries into what can be offered and what cannot.

    Args:
        entries: The entries of a page.
        base: The base of relative URLs.
        name: The project of the page; None for a flat page, on which a file without a project is ignored.
        source: The name of the upstream.
    """
    files: dict[str, File] = {}
    withheld: dict[str, Withheld] = {}
    for entry in entries:
        filename = filename_of(entry)
        try:
            if len(filename) > LONGEST_FILENAME:
                raise InvalidFilename(filename, "its name is too long")
            file = _file(entry, filename, base, name, source)
        except InvalidFilename as error:
            safe = _UNPRINTABLE.sub("\ufffd", filename[:LONGEST_FILENAME]) or "a file without a name"
            if distribution_suffix(filename) is None and name is not None:
                withheld[safe] = Withheld(safe, f"{safe}: {NOT_A_FORMAT}.", "format", source, public=True)
            elif name is not None:
                withheld[safe] = Withheld(safe, f"{shown(filename)}: {error.reason}", "name", source)
            continue
        # Of two with one name the first counts, as for every client.
        if isinstance(file, Withheld):
            withheld.setdefault(filename, file)
        elif filename not in files:
            files[filename] = file
    return list(files.values()), [item for filename, item in withheld.items() if filename not in files]


def filename_of(entry: Entry) -> str:
    """Return the name that an entry states; empty if it states none."""
    filename = entry.get("filename")
    return filename if isinstance(filename, str) else ""


def is_verifiable(hashes: object) -> bool:
    """Return whether a file can be verified by one of the stated hashes."""
    return _digest(hashes) is not None


def _file(entry: Entry, filename: str, base: str, name: ProjectName | None, source: str) -> File | Withheld:
    parsed = parse_distribution_name(filename, name)
    place = entry.get("url")
    url = absolute_url(base, place) if isinstance(place, str) and place.strip() else None
    if url is None:
        reason = f"{filename} is not offered: {why_no_url(base, place)}."
        return Withheld(filename, reason, "url", source, public=True)
    digest = _digest(entry.get("hashes"))
    return File(
        filename=filename,
        version=parsed.version,
        kind=parsed.kind,
        size=_size(entry.get("size")),
        sha256=digest[1] if digest and digest[0] == "sha256" else None,
        uploaded_ns=_uploaded_ns(entry.get("upload-time")),
        requires_python=_requires_python(entry.get("requires-python")),
        metadata=_sidecar(entry, digest),
        yanked=_yanked(entry.get("yanked")),
        other_hash=digest if digest and digest[0] != "sha256" else None,
        provenance_url=_provenance_url(entry.get("provenance")),
        url=url,
        source=source,
    )


def _digest(hashes: object) -> tuple[str, str] | None:
    """Return the best stated hash that every client can check, in lower case; None if there is none."""
    if isinstance(hashes, Mapping):
        for name, length in _HASHES.items():
            value = hashes.get(name)
            if isinstance(value, str) and len(value) == length and _HEX.fullmatch(value):
                return name, value.lower()
    return None


def _size(value: object) -> int | None:
    # A bool is an int to Python.
    return value if type(value) is int and 0 <= value <= _LARGEST else None


def _uploaded_ns(value: object) -> int | None:
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        time = datetime.fromisoformat(value.strip())
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
        microseconds = (time - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None
    return microseconds * 1000 if microseconds >= 0 else None


def _requires_python(value: object) -> str | None:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or not value.isascii():
        return None
    return _known_requires_python(value)


@lru_cache(maxsize=256)
def _known_requires_python(text: str) -> str | None:
    """Check a Requires-Python. Files of a project share a few, and one takes longer to parse than the rest of its file."""
    return valid_requires_python(" ".join(text.split()))


def _sidecar(entry: Entry, of_file: tuple[str, str] | None) -> Sidecar | None:
    """Return the stated metadata; None if their digest is that of the file itself, which some proxies state."""
    for key in ("core-metadata", "dist-info-metadata", "data-dist-info-metadata"):
        digest = _digest(entry.get(key))
        if digest is not None and digest[0] == "sha256" and digest != of_file:
            return Sidecar(digest[1], 0)
    return None


def _yanked(value: object) -> str | None:
    """Return the reason of a yank; an empty text counts as a yank, as for uv (docs/protocol.md, "JSON pages")."""
    if isinstance(value, str):
        return printable_text(value)
    return "" if value is True else None


def _provenance_url(value: object) -> str | None:
    if not isinstance(value, str) or not value.startswith("https://"):
        return None
    return absolute_url(value, "")


def printable_text(value: object) -> str:
    """Return a value as a short printable text; empty if it is no text."""
    return _UNPRINTABLE.sub("\ufffd", value[:_LONGEST_TEXT]) if isinstance(value, str) else ""
