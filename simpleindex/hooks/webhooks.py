"""Webhooks: notify a server by a POST request, with a signature, under the rules for addresses that upstreams have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import succeed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from simpleindex.hooks.delivery import DeliveryOutcome
from simpleindex.hooks.errors import UnusableSecret
from simpleindex.upstreams.http.body import ResponseBody, within
from simpleindex.upstreams.http.errors import failure_reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IConsumer, IReactorTime
    from twisted.web.iweb import IResponse

    from simpleindex.hooks.notification import Notification
    from simpleindex.system.threads import Threads
    from simpleindex.upstreams.http.agent import OutgoingAgent

_PASSING: Final = frozenset({408, 425, 429})
"""Refusals after which another try may succeed (RFC 9110 section 15.5.9, RFC 8470, RFC 6585)."""


class WebhookTarget:
    """A URL that is notified. Redirects are not followed.

    Args:
        url: The URL.
        secret: Returns the key of the signature, None for no signature; blocking. Called for each try: a secret may be replaced.
        agent: Makes the requests.
        clock: The reactor.
        threads: Threads that read files.
        timeout: Seconds for one try.
    """

    def __init__(
        self,
        url: str,
        secret: Callable[[], bytes | None],
        agent: OutgoingAgent,
        clock: IReactorTime,
        threads: Threads,
        timeout: float,
    ) -> None:
        self._url = url.encode("ascii")
        self._secret = secret
        self._agent = agent
        self._clock = clock
        self._threads = threads
        self._timeout = timeout

    async def notify(self, notification: Notification) -> DeliveryOutcome:
        """Post it, once."""
        try:
            headers = notification.headers(await self._threads.run(self._secret))
        except UnusableSecret as error:
            return DeliveryOutcome(str(error), is_passing=True)
        try:
            response = await within(self._timeout, self._clock, self._post(notification.body, headers))
        except Exception as error:  # noqa: BLE001  (what arrives is written by strangers)
            return DeliveryOutcome(failure_reason(error).reason, is_passing=True)
        # What a receiver sends beside its status is of no use, and may be endless.
        ResponseBody(response, self._clock, idle=0, patience=float).close()
        return _judge(response.code)

    def _post(self, body: bytes, headers: dict[str, str]) -> Deferred[IResponse]:
        raw = Headers({name: [value] for name, value in headers.items()})
        raw.setRawHeaders("User-Agent", ["simpleindex"])
        return self._agent.request(b"POST", self._url, raw, _Body(body))

    def close(self) -> None:
        """Close idle connections."""
        self._agent.close()


def _judge(status: int) -> DeliveryOutcome:
    if 200 <= status < 300:
        return DeliveryOutcome()
    if 300 <= status < 400:
        return DeliveryOutcome(f"it answers {status}, and redirects are not followed")
    return DeliveryOutcome(f"it answers {status}", is_passing=status >= 500 or status in _PASSING)


@implementer(IBodyProducer)
class _Body:
    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """Do nothing: all is written."""

    def resumeProducing(self) -> None:
        """Do nothing."""

    def stopProducing(self) -> None:
        """Do nothing."""
