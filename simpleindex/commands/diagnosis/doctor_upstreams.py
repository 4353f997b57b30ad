"""Request the upstreams for ``simpleindex doctor``, in a reactor of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from simpleindex.commands.reactor_thread import start_reactor
from simpleindex.diagnosis.facts.upstreams import probe_upstreams
from simpleindex.system.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simpleindex.diagnosis.upstreams import UpstreamProbe
    from simpleindex.upstreams.settings import UpstreamSettings


def request_upstreams(upstreams: Sequence[UpstreamSettings], directory: str) -> list[UpstreamProbe]:
    """Return what came of one request to each upstream; called once in a process."""
    thread = start_reactor()
    threads = Threads(thread.reactor, "doctor", 2)
    threads.start()
    probes: list[UpstreamProbe] = thread.run(
        lambda: probe_upstreams(upstreams, directory, os.environ, thread.reactor, threads)
    )
    return probes
