"""A whole index in memory that takes uploads into a real directory, and what must be true of it after every request."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from simpleindex.access.identity import Action
from simpleindex.service import compose_publishing as logins
from tests.live_world import Threads
from tests.service.service_world import Pool, ServiceWorld, service_world
from tests.web.wire import Answer, answers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simpleindex.service.service import IndexService

ACCESS = """\
[[rule]]
projects = ["secret-*"]
read = ["alice"]
upload = ["alice"]

[[rule]]
projects = ["*"]
read = ["anyone"]
upload = ["alice"]
yank = ["alice"]
delete = ["alice"]
admin = ["alice"]
"""

OWN_DIRECTORY = ".simpleindex-uploads"
"""Where unfinished uploads lie; itself it stays."""


class Tree(NamedTuple):
    """What lies below the root.

    Attributes:
        files: Bytes of the distributions, by path.
        litter: Paths of everything else that is not meant to stay.
    """

    files: dict[str, bytes]
    litter: list[str]


class PublishingWorld:
    """An index with one publisher, alice, who has a token.

    Attributes:
        world: The service's surroundings.
        service: The index.
        root: What it serves.
        threads: Do what uploads do, at once unless held.
        token: Alice's.
    """

    def __init__(self, world: ServiceWorld, threads: Threads, access: str = ACCESS, **given: object) -> None:
        self.world = world
        self.threads = threads
        self.root = world.root
        path = world.place / "access.toml"
        path.write_text(access)
        self.service: IndexService = world.start(access=str(path), watch="off", access_log="off", **given)
        parts = self.service._index.logins
        assert parts is not None
        self.parts = parts
        self.token = self.make_token(*Action)

    def make_token(self, *actions: Action, user: str = "alice", projects: tuple[str, ...] = ("*",)) -> str:
        """Another token."""
        _, secret = self.parts.records.create_token(
            user=user, actions=actions, projects=projects, expires=None, note="", now=1_700_000_000
        )
        return secret

    def send(self, *pieces: bytes, leaves: bool = True) -> list[Answer]:
        """Send pieces on a connection of their own; returns every whole answer."""
        transport = self.world.connect()
        got = bytearray()
        for piece in pieces:
            if transport.gone:
                break
            transport.protocol.dataReceived(piece)
            self.world.reactor.advance(0)
            got += transport.take()
        if leaves:
            transport.leave()
            self.world.reactor.advance(0)
        return answers(bytes(got).replace(b"HTTP/1.1 100 Continue\r\n\r\n", b""))

    def post(
        self, body: bytes, content_type: str, *, target: str = "/legacy/", method: str = "POST"
    ) -> Answer:
        """Send one request with a body."""
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: index\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        (answer,) = self.send(head.encode() + body)
        return answer

    def tree(self) -> Tree:
        """Look at everything below the root."""
        files, litter = {}, []
        for path in sorted(self.root.rglob("*")):
            name = str(path.relative_to(self.root))
            if path.is_dir():
                if name != OWN_DIRECTORY and not any(path.iterdir()):
                    litter.append(name)
            elif path.parent.name == OWN_DIRECTORY or path.name.startswith("."):
                litter.append(name)
            else:
                files[name] = path.read_bytes()
        return Tree(files, litter)

    def listed(self) -> dict[str, str]:
        """Every file that the pages name, by its path, with its digest."""
        import json

        def page(path: str) -> Any:
            return json.loads(self.world.ask(path, ("Accept", "application/vnd.pypi.simple.v1+json")).body)

        found = {}
        for project in page("/simple/")["projects"]:
            for file in page(f"/simple/{project['name']}/")["files"]:
                found[f"{project['name']}/{file['filename']}"] = file["hashes"]["sha256"]
        return found


@contextmanager
def publishing_world(place: Path, access: str = ACCESS, **given: object) -> Iterator[PublishingWorld]:
    """Make an index and leave nothing of it behind; what should never happen fails the test."""
    with pytest.MonkeyPatch.context() as patch:
        threads = Threads()
        patch.setattr(logins, "deferToThreadPool", lambda _, __, function, *args: threads(function, *args))
        patch.setattr(logins, "ThreadPool", Pool)
        # Whether it survives a power cut is tested elsewhere.
        patch.setattr(os, "fsync", lambda _: None)
        with contextmanager(service_world)(place, patch) as world:
            yield PublishingWorld(world, threads, access, **given)
