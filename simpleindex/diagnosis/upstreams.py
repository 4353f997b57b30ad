"""Whether the upstreams can be reached: by name, through proxies, over TLS, with the login. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from simpleindex.core.addresses import is_loopback
from simpleindex.diagnosis.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SLOW: Final = 5.0
_TLS: Final = "certificate"


@dataclass(frozen=True, slots=True)
class UpstreamProbe:
    """One request to an upstream, as the server makes it.

    Attributes:
        url: The URL of its index.
        failure: Why it failed, as a sentence; None if it was answered.
        seconds: How long it took.
        ca_file: The CA certificates to trust for it; None for the system's.
        proxy: The proxy through which it was made, as ``host:port``; None without one.
        clock_offset: The seconds by which its clock is ahead of ours; None if it states no date.
    """

    name: str
    url: str
    failure: str | None
    seconds: float
    ca_file: str | None = None
    proxy: str | None = None
    clock_offset: float | None = None


def judge_upstreams(probes: Sequence[UpstreamProbe], *, is_other_user: bool) -> Iterator[Finding]:
    """Yield upstreams that cannot be reached, or not safely.

    Args:
        probes: The requests.
        is_other_user: Whether the service has another user, and so another environment, than this command.
    """
    for each in probes:
        if each.failure is not None:
            options = f" --cacert {shlex.quote(each.ca_file)}" if each.ca_file else ""
            through = f" --proxy http://{each.proxy}" if each.proxy else ""
            remedy = f"curl -sSI --max-time 20{options}{through} {shlex.quote(each.url)}"
            hint = (
                " If a private CA issued it, name that CA with ca-file in the sources file."
                if _TLS in each.failure
                else ""
            )
            sentence = f"The upstream {each.name} cannot be used: {each.failure}{hint}"
            yield Finding(Severity.ERROR, sentence, remedy)
        elif each.seconds > _SLOW:
            sentence = f"The upstream {each.name} took {each.seconds:.0f} s to answer."
            yield Finding(Severity.HINT, sentence)
        host = urlsplit(each.url).hostname or ""
        if each.url.startswith("http://") and host != "localhost" and not is_loopback(host):
            sentence = f"The upstream {each.name} is requested without TLS: anybody on the way can give you other packages."
            yield Finding(Severity.WARNING, sentence)
    proxied = [each.name for each in probes if each.proxy is not None]
    if proxied and is_other_user:
        sentence = f"{', '.join(proxied)}: requested through the proxy that the variables of this shell name; the service sees its own alone."
        yield Finding(
            Severity.HINT,
            sentence,
            "systemctl edit simpleindex    # [Service] Environment=HTTPS_PROXY=http://PROXY:PORT",
        )
