"""Request the status of the running server, and which projects it shows. Blocking."""

from __future__ import annotations

import json
import os
import ssl
from contextlib import suppress
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

from simpleindex import __version__
from simpleindex.core.text import replace_unprintable
from simpleindex.diagnosis.server import ServerFacts
from simpleindex.web.routing.routes import TRIAL

if TYPE_CHECKING:
    from collections.abc import Iterable
    from urllib.request import OpenerDirector

_SECONDS: Final = 10.0
_MOST: Final = 16 << 20
_MOST_TROUBLES: Final = 5


def request_status(url: str, ca: str | None, token: str | None) -> ServerFacts:
    """Return the status of the server at a URL.

    Args:
        url: Its URL, with a slash at the end.
        ca: The file of the CA that its certificate comes from; None for the system's.
        token: A token for an index that is not open to everybody; None without one.
    """
    try:
        opener = _opener(ca)
        status, text = _answer(opener, f"{url}-/ready", None)
        suspended = None if status == 200 else " ".join(text.split())
        status, text = _answer(opener, f"{url}-/status", token)
    except (URLError, OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLError):
            return ServerFacts(url, f"TLS fails ({replace_unprintable(str(reason))}).", installed=__version__)
        if isinstance(reason, ConnectionRefusedError | FileNotFoundError):
            return ServerFacts(url, is_running=False, installed=__version__)
        text = getattr(reason, "strerror", None) or str(reason)
        return ServerFacts(url, f"{replace_unprintable(text)}.", installed=__version__)
    facts = _object(text) if status == 200 else {}
    troubles = [str(each.get("sentence")) for each in facts.get("own-troubles", []) if isinstance(each, dict)]
    version = facts.get("version")
    return ServerFacts(
        url,
        version=version if isinstance(version, str) else None,
        installed=__version__,
        suspended=suspended,
        troubles=tuple(map(replace_unprintable, troubles[:_MOST_TROUBLES])),
    )


def readable(url: str, ca: str | None, token: str | None, names: Iterable[str]) -> str | None:
    """Return the first of these projects whose page the server gives; None if it gives none of them.

    Args:
        url: The server's URL, with a slash at the end.
        ca: As for :func:`request_status`.
        token: As for :func:`request_status`.
        names: The projects.
    """
    opener = _opener(ca)
    for name in names:
        with suppress(URLError, OSError, HTTPException, ValueError):
            if _answer(opener, f"{url}simple/{name}/", token)[0] == 200:
                return name
    return None


def trial_url(url: str, ca: str | None, token: str | None, path: str) -> str:
    """Return the URL of the server below which installations are not counted as downloads, or its ordinary one.

    Args:
        url: The server's URL, with a slash at the end.
        ca: As for :func:`request_status`.
        token: As for :func:`request_status`.
        path: A small file of it, as ``NAME/FILE``: the server gives it below that URL if it sees that its client is on this machine.
    """
    below = f"{url}-/{TRIAL}/"
    with suppress(URLError, OSError, HTTPException, ValueError):
        if _answer(_opener(ca), f"{below}simple/{path}", token)[0] == 200:
            return below
    return url


def _opener(ca: str | None) -> OpenerDirector:
    context = ssl.create_default_context()
    if ca is not None and os.access(ca, os.R_OK):
        context.load_verify_locations(ca)
    # The server is on this machine: no proxy stands before it.
    return build_opener(ProxyHandler({}), HTTPSHandler(context=context))


def _answer(opener: OpenerDirector, url: str, token: str | None) -> tuple[int, str]:
    headers = {"Accept": "application/json, text/plain;q=0.9, */*;q=0.1"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    try:
        with opener.open(Request(url, headers=headers), timeout=_SECONDS) as response:  # noqa: S310  (from the settings)
            return response.status, response.read(_MOST).decode("utf-8", "replace")
    except HTTPError as error:
        with error:
            text = error.read(_MOST).decode("utf-8", "replace")
        return error.code, str(_object(text).get("detail", text))


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
