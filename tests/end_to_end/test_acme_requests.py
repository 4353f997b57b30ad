"""Requests to a real pebble without a server: accounts, failures with their sentences, and a process that ends at any step."""

from __future__ import annotations

import gc
import json
import os
import shutil
from contextlib import contextmanager, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from acme import client, messages
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from simpleindex.config.acme_values import Identifier
from simpleindex.tls.acme.issuing import certificate_path, names_of
from simpleindex.tls.acme.settings import AcmeSettings, ExternalAccount
from tests.end_to_end.acme_place import Place
from tests.end_to_end.acme_servers import MISSING, Pebble, imitated_authority
from tests.fixtures.certificates import issue
from tests.fixtures.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
    pytest.mark.usefixtures("little_patience"),
]

NAME = "packages.example.org"


@pytest.fixture
def pebble(trusting_pebble: Pebble) -> Pebble:
    return trusting_pebble


@pytest.fixture
def place(pebble: Pebble, tmp_path: Path) -> Place:
    return Place.at(pebble, tmp_path / "place", NAME)


def account_key(place: Place) -> JWKEC:
    stored = place.state.read_account("key.pem")
    assert stored is not None
    return JWKEC(key=load_pem_private_key(stored, None))


def at_authority(place: Place, pebble: Pebble, method: Callable[..., Any]) -> Any:
    """Call a method of the library for the place's account."""
    url = json.loads(place.state.read_account("account.json") or b"")["url"]
    account = messages.RegistrationResource(uri=url, body=messages.Registration())
    network = client.ClientNetwork(account_key(place), account, alg=ES256, verify_ssl=pebble.trust)  # type: ignore[arg-type]
    try:
        directory = messages.Directory.from_json(network.get(pebble.directory).json())
        while True:
            # Most nonces are refused, and the library tries once more only.
            with suppress(messages.Error):
                return method(client.ClientV2(directory, network), account)
    finally:
        network.session.close()


# Accounts


def test_the_contact_follows_the_option(place: Place, pebble: Pebble) -> None:
    for email in ("you@example.org", "else@example.org", None):
        assert place.with_settings(contact=email).renew() == ""
        account = at_authority(place, pebble, client.ClientV2.query_registration)
        assert account.body.contact == (() if email is None else (f"mailto:{email}",))


def test_one_account_serves_for_all_requests(place: Place, pebble: Pebble) -> None:
    assert place.check() == ""
    first, url = place.certificate, place.state.read_account("account.json")
    assert place.renew() == ""
    assert place.certificate != first
    assert place.state.read_account("account.json") == url


def test_the_url_of_a_registered_key_is_found_again(place: Place) -> None:
    assert place.check() == ""
    url = place.state.read_account("account.json")
    place.state.forget_account()
    assert place.renew() == ""
    assert place.state.read_account("account.json") == url


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"url": 1}', b'{"url": "https://localhost:1/other"}'])
def test_a_broken_account_file_is_written_anew(place: Place, text: bytes) -> None:
    """Also one that names an account that is not ours; the key is what counts."""
    assert place.check() == ""
    before = place.state.read_account("account.json")
    place.state.write_account("account.json", text)
    if place.renew():
        assert place.renew() == ""
    assert place.state.read_account("account.json") == before


def test_a_broken_key_is_not_replaced_silently(place: Place) -> None:
    assert place.check() == ""
    place.state.write_account("key.pem", b"-----BEGIN PRIVATE KEY-----\n")
    sentence = place.renew()
    assert f"key.pem in {place.state.account_place} is broken" in sentence
    assert "restore it from a backup" in sentence


def test_an_account_that_the_authority_does_not_know_any_more_is_registered_again(
    tmp_path: Path,
) -> None:
    """As after a test authority was set up anew: pebble keeps nothing."""
    pebble = Pebble(tmp_path / "pebble", 1, PEBBLE_VA_ALWAYS_VALID="1").start()
    try:
        place = Place.at(pebble, tmp_path / "place", NAME)
        assert place.check() == ""
        pebble.stop()
        assert "Connection refused" in place.renew()
        pebble.start()
        assert "does not know the account any more" in place.renew()
        assert place.renew() == ""
    finally:
        pebble.stop()


def test_a_deactivated_account_is_a_sentence_that_names_the_way_out(place: Place, pebble: Pebble) -> None:
    assert place.check() == ""
    at_authority(place, pebble, client.ClientV2.deactivate_registration)
    sentence = place.renew()
    assert f"remove {place.state.account_place}" in sentence
    shutil.rmtree(place.state.account_place)
    assert place.renew() == ""


def test_an_account_that_must_be_bound(tmp_path: Path) -> None:
    """RFC 8555 section 7.3.4."""
    key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    pebble = Pebble(tmp_path / "pebble", 1, PEBBLE_VA_ALWAYS_VALID="1")
    pebble.bind_accounts("ours", key)
    pebble.start()
    try:
        place = Place.at(pebble, tmp_path / "place", NAME)
        assert "give --acme-eab-id and --acme-eab-key" in place.check()
        for key_id, wrong in (("ours", "no base64!"), ("ours", "bm90IHRoZSBrZXk"), ("theirs", key)):
            sentence = place.with_settings(external_account=ExternalAccount(key_id, wrong)).renew()
            assert "--acme-eab-" in sentence, sentence
            assert wrong not in sentence
        assert place.with_settings(external_account=ExternalAccount("ours", key)).renew() == ""
    finally:
        pebble.stop()


def test_of_two_processes_that_begin_at_once_one_orders(place: Place) -> None:
    """As of a server that ends and the one that follows it; the other has the certificate with its next check."""
    children = []
    ready, go = os.pipe()
    for _ in range(2):
        if (child := os.fork()) == 0:
            gc.disable()
            os.close(go)
            os.read(ready, 1)  # until both are there
            try:
                os._exit(1 if place.requests().check().certificate else 0)
            finally:
                os._exit(9)
        children.append(child)
    os.close(go)
    os.close(ready)
    assert sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children) == [0, 1]
    first = place.certificate
    assert first is not None
    assert place.check() == ""
    assert place.certificate == first


# What is wrong, in a sentence


def test_a_directory_that_is_none(place: Place, pebble: Pebble) -> None:
    host = pebble.directory.removesuffix("/dir")
    for directory, trust, sentence in (
        (
            f"https://localhost:{free_port()}/dir",
            pebble.trust,
            "cannot be reached ([Errno 111] Connection refused)",
        ),
        ("https://acme.invalid/dir", pebble.trust, "cannot be reached ("),
        (f"{host}/nothing-here", pebble.trust, "check --acme-directory"),
        (f"{host}/nonce-plz", pebble.trust, "check --acme-directory"),
        (pebble.directory, None, "give its root with --acme-trust"),
    ):
        got = place.with_settings(directory=directory, trust=trust).check()
        assert sentence in got, got
        assert "The next try is at" in got


def test_a_name_that_the_authority_refuses(place: Place) -> None:
    sentence = place.with_settings(identifiers=(Identifier("blocked.example.org"),)).check()
    assert "does not certify this" in sentence
    assert "Correct --url or --acme-name" in sentence


@pytest.mark.parametrize("late_by", [timedelta(days=400), timedelta(days=-4000)])
def test_a_wrong_clock(place: Place, late_by: timedelta) -> None:
    """The certificate that comes is not used, and the sentence names the clock; set right, all is well."""
    assert place.check() == ""
    first = place.certificate
    place.late_by = late_by
    sentence = place.renew()
    assert f"this machine's clock shows {place.clock():%Y-%m-%d}" in sentence
    assert place.certificate == first
    place.late_by = timedelta()
    assert place.check() == ""
    assert place.certificate != first


def test_a_certificate_of_another_authority_is_replaced(place: Place) -> None:
    """Whatever lies there, as one that names no issuer's key."""
    issue(NAME, end=timedelta(hours=-1)).put(certificate_path(place.certs))
    assert place.check() == ""
    assert place.certificate is not None
    assert names_of(place.certificate) == {NAME}


class LimitedAuthority(BaseHTTPRequestHandler):
    """An authority that refuses every order for now (RFC 8555 section 6.6), which pebble never does."""

    retry_after = "7200"
    protocol_version = "HTTP/1.1"
    server: HTTPServer

    def do_GET(self) -> None:
        host = f"https://localhost:{self.server.server_port}"
        self._answer(200, {name: f"{host}/{name}" for name in ("newNonce", "newAccount", "newOrder")})

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/newAccount":
            self._answer(201, {"status": "valid"}, Location="https://localhost/account/1")
        else:
            problem = {
                "type": "urn:ietf:params:acme:error:rateLimited",
                "detail": "too many certificates (5) already issued",
            }
            self._answer(429, problem, **{"Retry-After": self.retry_after})

    def _answer(self, status: int, content: dict[str, str], **headers: str) -> None:
        body = b"" if self.command == "HEAD" else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Replay-Nonce": "bm9uY2U", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def limited_authority(home: Path) -> Iterator[AcmeSettings]:
    """Run one in a thread."""
    with imitated_authority(home, LimitedAuthority) as (directory, trust):
        yield AcmeSettings(None, directory, (Identifier(NAME),), trust=trust)


@pytest.mark.parametrize(
    ("header", "wait"),
    [("7200", timedelta(hours=2)), ("Sat, 01 Jan 2000 00:00:00 GMT", timedelta(0)), ("soon", timedelta(0))],
)
def test_a_limit_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, header: str, wait: timedelta
) -> None:
    """At least two minutes, whatever the authority requests."""
    monkeypatch.setattr(LimitedAuthority, "retry_after", header)
    with limited_authority(tmp_path / "authority") as settings:
        place = Place(tmp_path, settings)
        sentence = place.check()
        assert "refuses more requests for now: too many certificates (5) already issued." in sentence
        failed = place.state.read_status().failed
        assert failed is not None
        assert failed.next_try - failed.last > max(wait, timedelta(minutes=2)) - timedelta(minutes=1)
        assert place.check() == ""  # it waits
