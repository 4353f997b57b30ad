"""Which program sent a request, by its User-Agent: pip, uv, poetry, a browser, and so on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

OTHER: Final = "other"
"""The name of every program that is not in the table; clients choose what they send, so their words are not used."""

UNNAMED: Final = "unnamed"
"""The name of clients that send no User-Agent."""

_NAMES: Final = {
    **{
        name: name
        for name in (
            "artifactory",
            "bandersnatch",
            "bazel",
            "conda",
            "curl",
            "devpi-client",
            "devpi-server",
            "flit",
            "hatch",
            "maturin",
            "micropip",
            "nexus",
            "pdm",
            "pip",
            "pip-audit",
            "pixi",
            "poetry",
            "pypi-simple",
            "pypiserver",
            "rattler",
            "rye",
            "setuptools",
            "simpleindex",
            "twine",
            "uv",
            "wget",
        )
    },
    "dependabot-core": "dependabot",
    "go-http-client": "go",
    "pulpcore": "pulp",
    "python-httpx": "httpx",
    "python-httpx2": "httpx",
    "python-requests": "requests",
    "python-urllib": "urllib",
    "python-urllib3": "urllib3",
    "renovate": "renovate",
    "renovatebot": "renovate",
    "unearth": "pdm",
}
"""Names of programs by the first product of their User-Agent, in lower case."""

_PRODUCT: Final = re.compile(r"([A-Za-z][A-Za-z0-9_.-]{0,40})(?:/([0-9A-Za-z][0-9A-Za-z.+!-]{0,30}))?")
_AIOHTTP: Final = re.compile(r"Python/[0-9.]{1,12} aiohttp/([0-9][0-9A-Za-z.]{0,30})")
_ROBOT: Final = re.compile(r"bot\b|crawler|spider|slurp", re.IGNORECASE)
# The order matters: Edge names Chrome as well, and Chrome names Safari.
_BROWSERS: Final = tuple(
    (name, re.compile(rf"{token}/([0-9][0-9.]{{0,20}})"))
    for name, token in (
        ("Edge", "Edg"),
        ("Firefox", "Firefox"),
        ("Chrome", "Chrome"),
        ("Safari", "Version"),
    )
)

_LONGEST: Final = 1024  # characters; pip's, which describes its whole platform, has 500


@dataclass(frozen=True, slots=True)
class ClientProgram:
    """A program that sends requests.

    Attributes:
        name: One of a fixed set of names.
        version: As it states it; empty if it states none.
    """

    name: str
    version: str = ""


def parse_user_agent(text: str) -> ClientProgram:
    """Return the program that a User-Agent names (RFC 9110 section 10.1.5: the first product is the most significant)."""
    text = text[:_LONGEST].strip()
    if not text:
        return ClientProgram(UNNAMED)
    if text.startswith(("Mozilla/", "Opera/")):
        return _browser(text)
    if matched := _AIOHTTP.match(text):
        return ClientProgram("aiohttp", matched[1])
    matched = _PRODUCT.match(text)
    name = None if matched is None else _NAMES.get(matched[1].lower())
    if matched is None or name is None:
        return ClientProgram("robot" if _ROBOT.search(text) else OTHER)
    return ClientProgram(name, matched[2] or "")


def _browser(text: str) -> ClientProgram:
    if _ROBOT.search(text):
        return ClientProgram("robot")
    for name, token in _BROWSERS:
        if matched := token.search(text):
            return ClientProgram(name, matched[1])
    return ClientProgram("browser")
