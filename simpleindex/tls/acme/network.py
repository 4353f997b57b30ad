"""Bound what an authority may cost: the time and length of an answer, and the time of a session.

An authority that is broken, or a machine that answers in its place, must not hold the one thread of the renewal for ever.
"""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING, Any, Final

from acme import client, errors, messages
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from urllib3.util.ssl_ import create_urllib3_context

from simpleindex.tls.acme.advice import requested_wait, shown_time
from simpleindex.tls.acme.sentences import problem_code

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    import requests

SILENCE_SECONDS: Final = 30
"""Without a byte from the authority."""

_ANSWER_SECONDS: Final = 60.0
"""For one answer, whose bytes may come one by one."""

SESSION_SECONDS: Final = 600.0
"""For all requests of a session: with 100 names, Let's Encrypt's most, it takes three minutes."""

_LARGEST_ANSWER: Final = 1 << 20
"""Bytes; a chain has about 6 KiB, a directory 1 KiB."""

_MOST_REDIRECTS: Final = 3

_NONCE_TRIES: Final = 8
"""The library tries a refused nonce again once; pebble refuses some on purpose (PEBBLE_WFE_NONCEREJECT)."""


class BoundedNetwork(client.ClientNetwork):
    """The library's network within bounds; a refused nonce is tried again more than once (RFC 8555 section 6.5).

    Args:
        key: The account's.
        monotonic: The clock.
        named: As the library takes them.

    Attributes:
        retry_after: What the last answer requested (``Retry-After``, RFC 8555 section 6.6); None without.
        shown_time: When the last answer was given by the authority's clock, UTC; None if it does not say.
    """

    retry_after: timedelta | None = None
    shown_time: datetime | None = None

    def __init__(self, key: Any, monotonic: Callable[[], float] = time.monotonic, **named: Any) -> None:
        super().__init__(key, timeout=SILENCE_SECONDS, **named)
        self._monotonic = monotonic
        self._end = monotonic() + SESSION_SECONDS
        # Without one for http: every URL of an authority is https (RFC 8555 section 6.1).
        self.session.adapters.clear()
        self.session.mount("https://", _BoundedAdapter(monotonic))
        self.session.max_redirects = _MOST_REDIRECTS

    def _send_request(self, method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:
        if self._monotonic() > self._end:
            raise errors.TimeoutError
        self.retry_after = self.shown_time = None
        response = super()._send_request(method, url, *args, **kwargs)
        self.retry_after, self.shown_time = requested_wait(response.headers), shown_time(response.headers)
        return response

    def post(self, *args: Any, **kwargs: Any) -> requests.Response:
        for _ in range(_NONCE_TRIES):
            try:
                return super().post(*args, **kwargs)
            except messages.Error as error:
                if problem_code(error) != "badNonce":
                    raise
                refused = error
        raise refused


class _BoundedAdapter(HTTPAdapter):
    """Reads each answer whole, within its time and length; requests bounds the time between two bytes only."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._end = 0.0
        self._context = create_urllib3_context()
        self._context.sslsocket_class = type("TimedSocket", (_TimedSocket,), {"left": self._left})
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, **kwargs, ssl_context=self._context)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        self._end = self._monotonic() + _ANSWER_SECONDS
        response = super().send(request, *args, **{**kwargs, "stream": True})
        pieces, length = [], 0
        for piece in response.iter_content(1 << 14):
            pieces.append(piece)
            length += len(piece)
            if length > _LARGEST_ANSWER:
                response.close()
                raise RequestException(f"an answer of more than {_LARGEST_ANSWER >> 20} MiB")
        response._content = b"".join(pieces)  # noqa: SLF001  (as its own ``content`` keeps it)
        return response

    def _left(self) -> float:
        return self._end - self._monotonic()


class _TimedSocket(ssl.SSLSocket):
    """Waits for a byte as long as the answer has time left."""

    left: Callable[[], float]

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        left = self.left()
        if left <= 0:
            raise TimeoutError(f"its answer takes more than {_ANSWER_SECONDS:.0f} s")
        self.settimeout(min(left, SILENCE_SECONDS))
        return super().recv_into(*args, **kwargs)
