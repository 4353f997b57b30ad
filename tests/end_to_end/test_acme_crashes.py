"""Requests to a real pebble by a process that ends, or whose disk is full, at any step."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from simpleindex.tls.acme.issuing import certificate_path
from simpleindex.tls.acme.network import BoundedNetwork
from tests.end_to_end.acme_place import Place
from tests.end_to_end.acme_servers import MISSING
from tests.fixtures.depth import every
from tests.fixtures.faults import KILLED, Faults

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.acme_servers import Pebble

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
    pytest.mark.usefixtures("little_patience"),
]


@pytest.fixture
def place(trusting_pebble: Pebble, tmp_path: Path) -> Place:
    return Place.at(trusting_pebble, tmp_path / "place", "packages.example.org")


class Renewal:
    """One request, carried out again and again from the same beginning.

    Args:
        place: The beginning: with an account and a certificate that is to be renewed, or with nothing.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._count = 0
        rehearsal = self.fresh()
        with Faults().between() as faults:
            assert rehearsal.check() == ""
        self.calls = faults.calls

    def fresh(self) -> Place:
        """The place as it is before."""
        self._count += 1
        home = self._place.home.with_name(f"copy-{self._count}")
        shutil.copytree(self._place.home, home)
        return Place(home, self._place.settings)

    @staticmethod
    def killed(place: Place, at: int) -> bool:
        """Whether a process that requests ends at its point."""
        return Faults(at).kill(place.check)

    @staticmethod
    def killed_by_answer(place: Place, at: int, last: Path) -> bool:
        """Whether a process ends with the answer to one of its requests, whose kind is in the file ``last`` then.

        The authority has a path for each kind of request, such as ``/order-plz`` and ``/certZ/0123``.
        """
        send, numbers = BoundedNetwork._send_request, itertools.count(1)

        def count(network: BoundedNetwork, method: str, url: str, *arguments: Any, **options: Any) -> Any:
            answer = send(network, method, url, *arguments, **options)
            if next(numbers) == at:
                last.write_text(urlsplit(url).path.split("/")[1])
                os._exit(KILLED)
            return answer

        def act() -> None:
            BoundedNetwork._send_request = count  # type: ignore[assignment, method-assign]
            place.check()

        return Faults().kill(act)


def assert_whole(place: Place, *, has_certificate: bool) -> None:
    """See that the file that is served is the old one or the new one."""
    path = certificate_path(place.certs)
    if not has_certificate and not path.exists():
        return
    data = path.read_bytes()
    key, certificate = load_pem_private_key(data, None), x509.load_pem_x509_certificates(data)[0]
    assert key.public_key() == certificate.public_key()


def litter(place: Place) -> list[str]:
    """Files that nobody needs after a request."""
    home = place.state.home
    kept = {"key.pem", "account.json", "status.json", "lock", "certificate.pem"}
    files = [path for top in (home, place.certs) for path in top.rglob("*") if path.is_file()]
    return [str(path) for path in files if path.name not in kept]


def assert_recovers(copy: Place, before: x509.Certificate | None) -> None:
    """See that the next check gets a certificate, with the account that was there, and leaves nothing behind."""
    after = copy.certificate
    key = copy.state.read_account("key.pem")
    if after == before:
        copy.renew()
    else:
        copy.check()
        assert copy.certificate == after  # it is not requested twice
    assert copy.certificate not in (None, before)
    assert_whole(copy, has_certificate=True)
    assert litter(copy) == []
    assert key is None or copy.state.read_account("key.pem") == key


@pytest.mark.parametrize("is_renewal", [False, True])
@pytest.mark.parametrize("error", [None, errno.ENOSPC])
def test_wherever_it_ends_the_next_start_gets_a_certificate(
    place: Place, is_renewal: bool, error: int | None
) -> None:
    """``kill -9`` and a full disk: what is served stays whole, the account stays, no challenge stays open."""
    if is_renewal:
        assert place.check() == ""
        place.let_time_come()
    renewal = Renewal(place)
    for at in itertools.count(1, every(2) if error is None else 2 * every(2)):
        copy = renewal.fresh()
        before = copy.certificate
        if error is None:
            if not renewal.killed(copy, at):
                break  # What was counted may have calls of other threads of the tests.
        elif at > len(renewal.calls):
            break
        else:
            with Faults(at, error).between():
                copy.check()
        assert_whole(copy, has_certificate=is_renewal)
        assert_recovers(copy, before)
    assert at > 15


@pytest.mark.parametrize("is_renewal", [False, True])
def test_with_whichever_request_it_ends_the_next_start_gets_a_certificate(
    place: Place, tmp_path: Path, is_renewal: bool
) -> None:
    """From the directory to the certificate: what the authority has done already does not hinder, such as half an order."""
    if is_renewal:
        assert place.check() == ""
        place.let_time_come()
    renewal = Renewal(place)
    last, ends = tmp_path / "last", list[str]()
    for at in itertools.count(1):
        copy = renewal.fresh()
        before = copy.certificate
        if not renewal.killed_by_answer(copy, at, last):
            break
        ends.append(last.read_text())
        assert_whole(copy, has_certificate=is_renewal)
        assert copy.certificate == before
        assert_recovers(copy, before)
    # How often an authorization and an order are read until they are ready, even whether, is the authority's to decide.
    kinds = {"dir", "nonce-plz", "order-plz", "authZ", "chalZ", "finalize-order", "certZ"}
    assert set(ends) - {"my-order"} == kinds | (set() if is_renewal else {"sign-me-up"})
