"""Webhooks in a network in memory: the request, the outcomes, and addresses that no redirect reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.defer import Deferred

from simpleindex.hooks.delivery import DeliveryOutcome
from simpleindex.hooks.errors import UnusableSecret
from simpleindex.hooks.notification import notification_of
from simpleindex.hooks.webhooks import WebhookTarget
from simpleindex.upstreams.http.agent import OutgoingAgent, tls_policy
from simpleindex.upstreams.pages.urls import HostPolicy
from tests.fixtures.hostile_upstream import always, endless
from tests.fixtures.network import Close, Network, Pause, response
from tests.fixtures.threads import InlineThreads, PausedThreads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.fixtures.network import Request, Step

NOTIFICATION = notification_of({"time": "2026-11-29T06:30:00.000+00:00", "event": "upload"}, None)
URL = "http://chat.example:8000/hooks/T0?a=b"


def post(
    script: Callable[[Request], Iterable[Step]], url: str = URL, secret: Any = lambda: b"key"
) -> tuple[DeliveryOutcome, Network]:
    """Notify a server that follows a script; nothing may be left behind."""
    network = Network(
        lambda request: iter(script(request)), {"chat.example": ("10.1.1.1",)}, frozenset({"10.9.9.9"})
    )
    agent = OutgoingAgent(network, HostPolicy(url), tls_policy(), {})
    target = WebhookTarget(url, secret, agent, network.clock, InlineThreads(), 10.0)
    outcome: DeliveryOutcome = network.run(target.notify(NOTIFICATION))
    target.close()
    network.settle()
    assert all(connection.is_gone for connection in network.connections)
    assert not network.clock.getDelayedCalls()
    return outcome, network


def test_the_request() -> None:
    """A POST with type, event, id and signature; the host of the file may be in a private network."""
    outcome, network = post(always(response(b"ok")))
    assert outcome == DeliveryOutcome()
    (request,) = network.requests
    assert (request.method, request.host, request.port, request.path) == (
        "POST",
        "10.1.1.1",
        8000,
        "/hooks/T0?a=b",
    )
    assert request.body == NOTIFICATION.body
    expected = {name.lower(): value for name, value in NOTIFICATION.headers(b"key").items()}
    assert expected.items() <= request.headers.items()
    assert request.headers["user-agent"] == "simpleindex"


@pytest.mark.parametrize(
    ("steps", "trouble", "is_passing"),
    [
        ([response(status="204 No Content")], None, False),
        (
            [
                response(status="302 Found", length=0).replace(
                    b"Content", b"Location: http://10.2.2.2/\r\nContent", 1
                )
            ],
            "it answers 302, and redirects are not followed",
            False,
        ),
        ([response(status="404 Not Found")], "it answers 404", False),
        ([response(status="429 Slow Down")], "it answers 429", True),
        ([response(status="500 Oops")], "it answers 500", True),
        ([Close()], "the connection with it broke off", True),
        ([Pause(11), response()], "it takes too long", True),
        ([b"SSH-2.0\r\n\r\n"], "its answer is no valid HTTP", True),
    ],
)
def test_outcomes(steps: list[Step], trouble: str | None, is_passing: bool) -> None:
    """Success, refusals, and what another try may mend."""
    outcome, network = post(lambda _: steps)
    assert outcome == DeliveryOutcome(trouble, is_passing=is_passing)
    assert len(network.requests) == 1


def test_an_endless_answer_is_not_read() -> None:
    """The status is all that counts."""
    outcome, _ = post(endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000))
    assert outcome == DeliveryOutcome()


def test_nobody_listens() -> None:
    """As with upstreams, without the address."""
    outcome, _ = post(always(response()), "http://10.9.9.9/")
    assert outcome == DeliveryOutcome("it cannot be connected to", is_passing=True)


def test_a_secret_that_cannot_be_read() -> None:
    """Nothing is sent without the signature that the receiver expects."""

    def secret() -> bytes:
        raise UnusableSecret("file:/x", "No such file or directory")

    outcome, network = post(always(response()), secret=secret)
    assert outcome.trouble == "its secret in file:/x cannot be used: No such file or directory"
    assert not network.requests


def test_the_end_of_the_server() -> None:
    """A request that is under way is cancelled, and its connection closed."""
    network = Network(lambda _: iter([Pause(5), response()]), {"chat.example": ("10.1.1.1",)})
    agent = OutgoingAgent(network, HostPolicy(URL), tls_policy(), {})
    held = PausedThreads()
    target = WebhookTarget(URL, lambda: None, agent, network.clock, held, 10.0)
    for is_held in (False, True):
        held.held = is_held
        outcomes: list[object] = []
        notifying = Deferred.fromCoroutine(target.notify(NOTIFICATION))
        notifying.addBoth(outcomes.append)
        notifying.cancel()
        assert outcomes
    target.close()
    network.settle()
    assert all(connection.is_gone for connection in network.connections)
    assert not network.clock.getDelayedCalls()
