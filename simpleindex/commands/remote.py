"""A client of a running index for the commands: its pages, files and changes below ``/-/``."""

from __future__ import annotations

import json
import os
import re
import ssl
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from simpleindex.core import bounds
from simpleindex.core.addresses import is_loopback
from simpleindex.core.errors import RefusedStart
from simpleindex.core.parsing.json_text import load_json
from simpleindex.core.text import replace_unprintable

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPResponse
    from urllib.parse import SplitResult

T = TypeVar("T")

TOKEN_VARIABLE: Final = "SIMPLEINDEX_TOKEN"  # noqa: S105  (a name)

_SECONDS: Final = 60.0
_MOST_ANSWER: Final = 16 << 20  # bytes
_MOST_SHOWN: Final = 1000  # characters
_SECONDS_TEXT: Final = re.compile(r"[0-9]{1,6}")
_TOKEN: Final = re.compile(r"[!-~]+")
_URL: Final = re.compile(r"https?://[!-~]+")


class Unreachable(RefusedStart):
    """No connection to the index can be made."""


class IndexRefusal(RefusedStart):
    """An answer of the index other than 200.

    Attributes:
        retry_after: Seconds after which the request may succeed (RFC 9110 10.2.3); None if the index names none.
    """

    status: int
    retry_after: int | None = None


class Remote:
    """A client of a running index.

    Args:
        index_url: Its URL, with or without ``simple/``.
        ca_file: A CA to trust besides the system's, or None.
        token_file: Holds the token; None to take the variable's.
        needs_token: Whether every request needs one.

    Raises:
        RefusedStart: The URL or the token cannot be used.
    """

    def __init__(
        self, index_url: str, ca_file: str | None, token_file: str | None, *, needs_token: bool = True
    ) -> None:
        if "@" in index_url:
            # Before any message that could print it.
            raise RefusedStart(
                f"--index-url: give the token by {TOKEN_VARIABLE} or --token-file, not in the URL"
            )
        split, host = _split(index_url)
        if split.scheme == "http" and not is_loopback(host) and host != "localhost":
            raise RefusedStart("--index-url: a token over plain HTTP can be read on its way; use https")
        path = split.path.rstrip("/").removesuffix("/simple").removesuffix("/legacy")
        self._root = f"{split.scheme}://{split.netloc}{path}/"
        has_token = needs_token or token_file is not None or os.environ.get(TOKEN_VARIABLE, "").strip()
        self._token = _token(token_file) if has_token else None
        context = ssl.create_default_context()
        if ca_file is not None:
            try:
                context.load_verify_locations(ca_file)
            except OSError as error:
                raise RefusedStart(f"--cert: {ca_file} cannot be used: {error.strerror or error}") from None
        # No redirect is followed: a token is for the one host that was named.
        self._opener = build_opener(HTTPSHandler(context=context), _NoRedirect())

    def post(self, page: str, content: dict[str, Any]) -> dict[str, Any]:
        """Request a change.

        Raises:
            RefusedStart: The index refuses it, with its own sentence, or cannot be reached.
        """
        headers = {"Content-Type": "application/json"}
        text = self._request(f"-/api/{page}", json.dumps(content).encode(), headers, _text)
        try:
            answer = load_json(text, bounds.PAGE_VALUES)
        except ValueError as error:
            raise RefusedStart(f"the index at {self._root} sent no valid answer: {error}") from None
        return answer if isinstance(answer, dict) else {}

    def get(self, page: str) -> str:
        """Read a page below ``/-/``.

        Raises:
            RefusedStart: The index refuses it, with its own sentence, or cannot be reached.
        """
        return self._request(f"-/{page}", None, {}, _text)

    def read(self, page: str, accept: str) -> str:
        """Read a page of the index itself.

        Args:
            page: Its path, such as ``simple/acme/``.
            accept: In which form.

        Raises:
            RefusedStart: As for :meth:`get`.
        """
        return self._request(page, None, {"Accept": accept}, _text)

    def drain(self, page: str) -> int:
        """Read a file to its end and forget it.

        Returns:
            Its size, bytes.

        Raises:
            RefusedStart: It cannot be read to its end.
        """
        return self._request(page, None, {}, _size)

    def _request(
        self, page: str, body: bytes | None, headers: dict[str, str], take: Callable[[HTTPResponse], T]
    ) -> T:
        if self._token is not None:
            headers = {**headers, "Authorization": f"Bearer {self._token}"}
        request = Request(self._root + page, body, {"Accept": "text/plain", **headers})  # noqa: S310  (it was looked at)
        try:
            with self._opener.open(request, timeout=_SECONDS) as response:
                return take(response)
        except HTTPError as error:
            wait = error.headers.get("Retry-After", "")
            is_without = error.code == 401 and self._token is None
            hint = f" Name a token with --token-file FILE, or set {TOKEN_VARIABLE}." if is_without else ""
            raise IndexRefusal(
                f"the index answered {error.code}: {_text_of(error)}{hint}",
                error.code,
                int(wait) if _SECONDS_TEXT.fullmatch(wait) else None,
            ) from None
        except (URLError, OSError, ValueError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            hint = (
                "; name its CA with --cert FILE" if isinstance(reason, ssl.SSLCertVerificationError) else ""
            )
            # Only what goes wrong before the answer begins comes as URLError.
            is_connecting = isinstance(error, URLError) and not isinstance(reason, TimeoutError)
            if is_connecting:
                raise Unreachable(f"the index at {self._root} cannot be reached: {reason}{hint}") from None
            raise RefusedStart(f"the index at {self._root} sent no valid answer: {reason}") from None


def _text(response: HTTPResponse) -> str:
    return response.read(_MOST_ANSWER).decode()


def _size(response: HTTPResponse) -> int:
    size = 0
    while data := response.read(1 << 20):
        size += len(data)
    if response.length:
        raise HTTPException(f"it broke off {response.length} bytes before its end")
    return size


def _split(index_url: str) -> tuple[SplitResult, str]:
    try:
        split = urlsplit(index_url)
        # A port that is no number raises only when it is read.
        if _URL.fullmatch(index_url) and split.hostname and split.port != 0:
            return split, split.hostname
    except ValueError:
        pass
    raise RefusedStart(f"--index-url: {index_url!r} is no URL of an index, such as https://host/simple/")


def _text_of(error: HTTPError) -> str:
    """Return the sentence of a refusal, or at least the reason phrase, in printable characters only."""
    try:
        text = error.read(_MOST_ANSWER).decode("utf-8", "replace")
    except (OSError, HTTPException):
        text = ""
    if error.headers.get_content_type() == "application/problem+json":
        text = _detail(text)
    words = " ".join(text.split()) or str(error.reason)
    return replace_unprintable(words)[:_MOST_SHOWN]


def _detail(text: str) -> str:
    """Return the sentence of a problem (RFC 9457), or the text itself if it is none."""
    try:
        problem = json.loads(text)
    except (ValueError, RecursionError):
        return text
    detail = problem.get("detail") if isinstance(problem, dict) else None
    return detail if isinstance(detail, str) else text


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _token(file: str | None) -> str:
    if file is not None:
        try:
            with open(file, encoding="utf-8") as stream:
                token = stream.read(4096).strip()
        except (OSError, ValueError):
            raise RefusedStart(f"--token-file: {file} cannot be read") from None
        where = f"--token-file: what is in {file}"
    else:
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
        where = f"the variable {TOKEN_VARIABLE}"
        if not token:
            raise RefusedStart(f"no token was given: set {TOKEN_VARIABLE}, or name a file with --token-file")
    if not _TOKEN.fullmatch(token):
        # An error further down would print it.
        raise RefusedStart(
            f"{where} is no token: it has to be one word, such as simpleindex token create prints"
        )
    return token
