"""Links of an upstream's page that look like distributions but cannot be offered, each with its reason.

Navigation is ignored: parent directories, sort orders, home pages, files of other kinds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urljoin, urlsplit

from simpleindex.core.model import Withheld
from simpleindex.core.names import METADATA_SUFFIX, SIDE_FILE_SUFFIXES, distribution_suffix
from simpleindex.upstreams.pages.urls import LONGEST_URL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.upstreams.pages.html import Anchor

MOST_LEFT_OUT: Final = 1_000
"""Links of a page that are named one by one; the others are only counted."""

_LONGEST_NAME: Final = 255  # characters
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SCHEME: Final = re.compile(r"\s*([a-z][a-z0-9.+-]{0,30}):", re.IGNORECASE | re.ASCII)
_BEFORE_PATH: Final = re.compile(r"\A\s*(?:[a-z][a-z0-9.+-]*:)?(?://[^/?#]*)?", re.IGNORECASE | re.ASCII)
_REPOSITORIES: Final = ("git", "hg", "svn", "bzr", "ssh")
_HASH: Final = re.compile(r"(?:\A|&)(?:md5|sha1|sha224|sha256|sha384|sha512)=[0-9a-f]", re.IGNORECASE)
_EGG: Final = re.compile(r"(?:\A|&)egg=([^&]*)")

_OTHER_FORMATS: Final = (".egg", ".exe", ".msi", ".rpm", ".deb", ".dmg", ".tar.z", ".tar.lz", ".tar.lzma")
"""Old formats of distributions, and those of other systems, in lower case. No installer takes them from an index now."""

NOT_A_FORMAT: Final = "it is no wheel and no sdist in a format that installers take"


def why_left_out(anchor: Anchor, url: str | None) -> tuple[str, str] | None:
    """Return why a link is left out.

    Args:
        anchor: A link whose URL does not end with the name of a distribution.
        url: Its absolute URL; None if nothing can be fetched from it.

    Returns:
        Its name, and the reason as a clause; None if it is no distribution at all.
    """
    place, _, fragment = anchor.href.partition("#")
    egg = _EGG.search(fragment)
    name = _last(url or place)
    if scheme := _repository(place):
        return _shown(
            egg[1] if egg and egg[1] else name
        ), f"its link leads to a repository ({scheme}), not to a file"
    if distribution_suffix(name):
        return _shown(
            name
        ), "its URL ends with a slash, as that of a directory does, and no hash of it is listed"
    lowered = name.lower()
    if distribution_suffix(lowered):
        return _shown(name), "its suffix is not in small letters, so that installers pass it over"
    if lowered.endswith(_OTHER_FORMATS):
        return _shown(name), NOT_A_FORMAT
    if lowered.endswith((*SIDE_FILE_SUFFIXES, METADATA_SUFFIX)):
        return None
    if distribution_suffix(anchor.text) or egg or _HASH.search(fragment):
        called = anchor.text if distribution_suffix(anchor.text) else (egg and egg[1]) or name
        return _shown(
            called
        ), f"its URL does not end with the name of a file ({_shown(name)!r}), by which installers go"
    return None


def withheld_links(links: Sequence[tuple[str, str]], source: str) -> list[Withheld]:
    """Return these links, as :func:`why_left_out` returned them, as withheld files, once each."""
    distinct = [*dict.fromkeys(links)]
    withheld = [
        Withheld(name, f"{name}: {reason}.", "link", source, public=True)
        for name, reason in distinct[:MOST_LEFT_OUT]
    ]
    more = len(distinct) - len(withheld)
    if more > 0:
        rest = f"{more:,} more links"
        withheld.append(
            Withheld(rest, f"{rest} lead to nothing that can be offered.", "link", source, public=True)
        )
    return withheld


def why_no_url(base: str, reference: object) -> str:
    """Return why a file's URL cannot be fetched, without its text, which may hold a secret, but with its scheme."""
    if not isinstance(reference, str) or not reference.strip():
        return "it has no URL"
    if len(reference) > LONGEST_URL:
        return f"its URL is longer than {LONGEST_URL:,} characters"
    try:
        parts = urlsplit(urljoin(base, reference.strip()))
    except ValueError:
        return "its URL cannot be understood"
    if parts.scheme not in {"http", "https"}:
        scheme = _SCHEME.match(f"{parts.scheme}:")
        return (
            f"its URL is one of {scheme[1]}, not of http or https"
            if scheme
            else "its URL cannot be understood"
        )
    if "@" in parts.netloc:
        return "its URL has a login in it, which is not passed on"
    return "its URL cannot be understood"


def _repository(place: str) -> str | None:
    scheme = _SCHEME.match(place)
    if scheme is None or scheme[1].lower().partition("+")[0] not in _REPOSITORIES:
        return None
    return scheme[1].lower()


def _last(place: str) -> str:
    """Return the last segment of a URL's path, decoded; never its host, which a login may precede."""
    path = _BEFORE_PATH.sub("", place, count=1).partition("?")[0].partition("#")[0].rstrip("/")
    return unquote(path.rpartition("/")[2], errors="replace")


def _shown(name: str) -> str:
    return _UNPRINTABLE.sub("\ufffd", name[:_LONGEST_NAME]).strip() or "a link"
