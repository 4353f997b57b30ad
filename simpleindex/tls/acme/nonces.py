"""Try requests again whose nonce the authority refused (RFC 8555 section 6.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from acme import client, messages

from simpleindex.tls.acme.advice import requested_wait, shown_time
from simpleindex.tls.acme.sentences import problem_code

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    import requests

_NONCE_TRIES: Final = 8
"""The library tries a refused nonce again once; pebble refuses some on purpose (PEBBLE_WFE_NONCEREJECT)."""


class NonceNetwork(client.ClientNetwork):
    """Try a request again whose nonce was refused, more than once (RFC 8555 section 6.5), and note requested waits.

    Attributes:
        retry_after: What the last answer requested (``Retry-After``, RFC 8555 section 6.6); None without.
        shown_time: When the last answer was given by the authority's clock, UTC; None if it does not say.
    """

    retry_after: timedelta | None = None
    shown_time: datetime | None = None

    def _send_request(self, method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:
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
