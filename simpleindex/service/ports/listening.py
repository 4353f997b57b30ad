"""Ports: from ``--http`` and ``--https`` to listening sockets, bound before privileges are dropped."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, Any

from twisted.internet.endpoints import (
    AdoptedStreamServerEndpoint,
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    serverFromString,
)
from twisted.internet.error import CannotListenError
from twisted.python.failure import Failure

from simpleindex.core.errors import RefusedStart
from simpleindex.core.text import printable
from simpleindex.service.ports.proxy_protocol import PREFIX, behind_proxies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint

    from simpleindex.config.values import ListenAddress
    from simpleindex.service.workers.messages import Inherited


def endpoint(
    reactor: Any,
    listen: ListenAddress,
    option: str,
    *,
    has_ipv6: Callable[[], bool],
    is_trusted: Callable[[str], bool] = lambda _: False,
    inherited: Inherited | None = None,
) -> IStreamServerEndpoint:
    """Make the endpoint that an option asks for.

    Args:
        reactor: Listens.
        listen: The option's value; a bare port listens on all addresses of both families.
        option: Its name, for the refusal.
        has_ipv6: Whether this machine has IPv6.
        is_trusted: Tells of an address whether it is a trusted proxy, whose PROXY header is believed.
        inherited: The socket that a worker has of its supervisor, which listens already.

    Raises:
        RefusedStart: It is no endpoint of Twisted's.
    """
    if inherited is not None:
        made: IStreamServerEndpoint = AdoptedStreamServerEndpoint(
            reactor, inherited.descriptor, inherited.family
        )
        is_proxied = listen.port is None and listen.text.startswith(PREFIX)
        return behind_proxies(made, is_trusted, reactor.seconds) if is_proxied else made
    if listen.port is not None:
        if has_ipv6():
            # One :: socket serves both families; a second one for IPv4 would fail to bind.
            return TCP6ServerEndpoint(reactor, listen.port, interface="::")
        return TCP4ServerEndpoint(reactor, listen.port)
    try:
        made = serverFromString(reactor, listen.text.removeprefix(PREFIX))
    except Exception as error:  # noqa: BLE001  (every kind of endpoint has a parser of its own, plugins too)
        raise RefusedStart(
            f"--{option} {listen.text!r} is not an endpoint that Twisted can listen on ({error}); "
            "give a port, or a text such as tcp:443:interface=192.0.2.1."
        ) from None
    if listen.text.startswith(PREFIX):
        return behind_proxies(made, is_trusted, reactor.seconds)
    return made


def listen_now(
    where: IStreamServerEndpoint, factory: IProtocolFactory, listen: ListenAddress, option: str
) -> IListeningPort:
    """Bind, now.

    Raises:
        RefusedStart: It cannot be bound.
    """
    outcome: list[Any] = []
    where.listen(factory).addBoth(outcome.append)
    if outcome and not isinstance(outcome[0], Failure):
        port: IListeningPort = outcome[0]
        return port
    failure = outcome[0] if outcome else None
    raise RefusedStart(f"--{option} {listen.text} cannot be listened on: {_why(failure)}.")


def _why(failure: Failure | None) -> str:
    error = failure.value if failure is not None else "it did not answer at once"
    cause = getattr(error, "socketError", error) if isinstance(error, CannotListenError) else error
    text = getattr(cause, "strerror", None) or str(cause)
    if isinstance(cause, PermissionError):
        return f"{text}; ports below 1024 need root, CAP_NET_BIND_SERVICE or a socket from systemd"
    port = getattr(error, "port", None)
    if getattr(cause, "errno", None) == errno.EADDRINUSE and isinstance(port, int):
        return f"{text}; see who has it with: ss -ltnp 'sport = :{port}'"
    return text


def machine_has_ipv6() -> bool:
    """Return whether a ``::`` socket can be bound here, and takes IPv4 as well."""
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def base_url(ports: Iterable[tuple[str, IListeningPort]], names: Sequence[str] | None) -> str:
    """Return the URL of the index where ``--url`` does not say it: the certificate's first name and the port.

    Args:
        ports: What is listened on, each with its option.
        names: The certificates' names and addresses; None without TLS.
    """
    scheme, usual = ("http", 80) if names is None else ("https", 443)
    usable = [name for name in names or () if not name.startswith("*.")]
    name = usable[0] if usable else "localhost"
    hosts = (port.getHost() for option, port in ports if option == scheme)
    port = next((host.port for host in hosts if hasattr(host, "port")), usual)
    host = f"[{name}]" if ":" in name else name
    return f"{scheme}://{host}/" if port == usual else f"{scheme}://{host}:{port}/"


def where(port: IListeningPort) -> str:
    """Return where a port listens, as text."""
    address = port.getHost()
    host, number = getattr(address, "host", None), getattr(address, "port", None)
    if host is None or number is None:
        name = getattr(address, "name", address)
        return printable(os.fsdecode(name) if isinstance(name, bytes) else str(name))
    return f"port {number} of {'all addresses' if host in ('::', '0.0.0.0') else host}"  # noqa: S104  (it is only named)
