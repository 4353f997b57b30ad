"""A node that is killed at a request to its store during a change: the old state or the new one, and the same again succeeds."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.core.errors import NotHere
from simpleindex.core.model import Status
from simpleindex.publishing.upload.archive_checks import UploadChecks
from tests.fixtures.bucket import ACME, BucketNode
from tests.fixtures.deferreds import result
from tests.fixtures.depth import part
from tests.fixtures.distributions import sdist_bytes, sdist_name, wheel_bytes, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred

"""One in so many requests is one at which a node is killed."""

WHEEL, SDIST = wheel_name(), sdist_name()
DATA = wheel_bytes()
OTHER_DATA = wheel_bytes(files={"more.py": b"x"})
PROVENANCE = b'{"version": 1}'


class KilledError(BaseException):
    """The process is gone: no code of it may go on, so nothing may catch this."""


class Calls:
    """Stands between a node and its store, and counts the requests.

    Args:
        node: It.
        at: The number of the request at which the node is killed, from 1; None for none.
    """

    def __init__(self, node: BucketNode, at: int | None = None) -> None:
        self.names: list[str] = []
        self._at = at
        self._call = node.client._make_api_call
        node.client._make_api_call = self._counted

    def _counted(self, name: str, parameters: dict[str, Any]) -> Any:
        self.names.append(name)
        # A process that is gone makes no later request either, such as one that cleans up.
        if self._at is not None and len(self.names) >= self._at:
            raise KilledError
        return self._call(name, parameters)


def _attested(node: BucketNode) -> None:
    node.publishing._checks = UploadChecks(node.examiner, lambda *_: PROVENANCE)


def _upload(node: BucketNode, data: bytes = DATA, **how: Any) -> Deferred[Any]:
    return node.upload(data, WHEEL, **how)


def _upload_attested(node: BucketNode) -> Deferred[Any]:
    _attested(node)
    return node.upload(DATA, WHEEL, attestations="[]")


def _neighbour(node: BucketNode) -> None:
    node.put(f"acme/{SDIST}", sdist_bytes())


def _everything(node: BucketNode) -> None:
    _neighbour(node)
    for suffix, data in (("", DATA), (".asc", b"signature"), (".provenance", PROVENANCE)):
        node.put(f"acme/{WHEEL}{suffix}", data)


def _unattested(node: BucketNode) -> None:
    _neighbour(node)
    node.put(f"acme/{WHEEL}", DATA)


def _deleted(node: BucketNode) -> None:
    _everything(node)
    node.list_again()
    node.writer.delete(ACME, [WHEEL], who="alice")


def _yanked(node: BucketNode) -> None:
    _everything(node)
    node.put("acme/simpleindex.toml", b'[yanked]\n"1.0" = "x"\n')


SCENARIOS: dict[str, tuple[Callable[[BucketNode], None], Callable[[BucketNode], Any]]] = {
    "upload, new project": (lambda _: None, _upload),
    "upload": (_neighbour, _upload),
    "upload of what is there": (_everything, _upload),
    "upload with provenance": (_neighbour, _upload_attested),
    # Of a file without provenance: that of the old file goes before the new one comes.
    "overwrite": (_unattested, lambda node: _upload(node, OTHER_DATA, overwrite=True)),
    "yank": (_everything, lambda node: node.publishing.yank(ACME, "1.0", "broken")),
    "unyank": (_yanked, lambda node: node.publishing.unyank(ACME, "1.0")),
    "quarantine": (
        _everything,
        lambda node: node.publishing.set_status(ACME, Status.QUARANTINED, "malware"),
    ),
    "delete": (_everything, lambda node: node.publishing.delete(ACME, WHEEL, by="bob")),
    "undelete": (_deleted, lambda node: node.publishing.undelete(ACME, WHEEL, by="bob")),
    "free": (_deleted, lambda node: node.publishing.free(ACME, WHEEL, by="bob")),
}
"""What lies there, and what is done, by name."""


def _served(node: BucketNode) -> Any:
    """Return what a node that starts now lists, and which names are used."""
    node.begin()
    used = node.writer.used_names(ACME)
    try:
        project = node.project()
    except NotHere:
        return None, node.names(), used
    files = [(file.filename, file.sha256, file.yanked, file.provenance) for file in project.files]
    return (files, project.status, project.status_reason), node.names(), used


@pytest.fixture
def fresh(new_node: Callable[[str], BucketNode]) -> Callable[[], BucketNode]:
    """Makes nodes with an empty local directory."""
    numbers = count()
    return lambda: new_node(f"node-{next(numbers)}")


def _empty(node: BucketNode) -> None:
    for key in node.keys_below():
        node.store.delete(key)


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_every_request(name: str, fresh: Callable[[], BucketNode]) -> None:
    """A node that starts afterwards lists the old state or the new one; the same change again succeeds."""
    prepare, act = SCENARIOS[name]
    prepare(fresh())
    old = _served(fresh())
    calls = Calls(node := fresh().begin())
    result(act(node))
    new = _served(fresh())
    for number, request in part([*enumerate(calls.names, 1)], 12, name):
        point = f"killed at request {number}, {request}, of {calls.names}"
        _empty(before := fresh())
        prepare(before)
        Calls(node := fresh().begin(), number)
        # After the change itself a node lists it, which ends in its log.
        with suppress(KilledError):
            result(act(node))
        state = _served(fresh())
        # The ledger comes first: the name of a file that is not deleted yet may count as used, which does no harm.
        assert state[:2] in (old[:2], new[:2]), point
        if state != new:
            result(act(fresh().begin()))
        assert _served(fresh()) == new, point
