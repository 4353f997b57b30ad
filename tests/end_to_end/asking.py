"""Asks an upstream for all that it has of a project, and prints what was understood; run as a process of its own."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from simpleindex.core.names import parse_project_name
from simpleindex.upstreams.client import HttpUpstream
from simpleindex.upstreams.client_options import ClientOptions
from simpleindex.upstreams.http.agent import OutgoingAgent, tls_policy
from simpleindex.upstreams.http.logins import FixedLogin
from simpleindex.upstreams.pages.urls import HostPolicy, index_url
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from collections.abc import Callable


async def run_in_thread(function: Callable[..., Any], *arguments: Any, **further: Any) -> Any:
    """Not one."""
    return function(*arguments, **further)


async def ask(reactor: Any, url: str, name: str, ca: bytes | None) -> None:
    """Print projects, files with their hashes and the hashes of what was fetched, and whether it is unchanged then."""
    index, credentials = index_url(url)
    host_policy = HostPolicy(index)
    agent = OutgoingAgent(reactor, host_policy, tls_policy(ca), {})
    upstream = HttpUpstream(
        host_policy,
        agent,
        reactor,
        InlineThreads(),
        options=ClientOptions("up"),
        login=FixedLogin(credentials),
    )
    listing = await upstream.project(parse_project_name(name), None)
    assert listing is not None
    found = {}
    for file in listing.project.files:
        assert file.url is not None
        stream = await upstream.open(file.url)
        hashed = hashlib.sha256()
        while data := await stream.read():
            hashed.update(data)
        stream.close()
        found[file.filename] = [file.sha256, hashed.hexdigest()]
    again = await upstream.project(parse_project_name(name), listing.validators)
    print(json.dumps({"projects": await upstream.projects(), "files": found, "unchanged": again is None}))
    await agent.close()


if __name__ == "__main__":
    trusted = Path(sys.argv[3]).read_bytes() if sys.argv[3] else None
    react(lambda reactor: Deferred.fromCoroutine(ask(reactor, sys.argv[1], sys.argv[2], trusted)))
