"""``--acme`` in a service without threads and network: what is requested, what refuses the start, what follows a certificate."""

from __future__ import annotations

import os
import ssl
import sys
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from OpenSSL import SSL
from twisted.protocols.tls import TLSMemoryBIOProtocol

from simpleindex.config.acme_values import LETS_ENCRYPT, Identifier
from simpleindex.core.errors import RefusedStart
from simpleindex.service.composition import acme as compose_acme
from simpleindex.service.runtime import create_runtime
from simpleindex.tls.acme.challenge_certificates import make_challenge_certificates
from simpleindex.tls.acme.errors import AcmeFailed
from simpleindex.tls.acme.issuing import AcmeAuthority
from simpleindex.tls.acme.settings import ExternalAccount
from simpleindex.tls.acme.state_files import AcmeState
from simpleindex.tls.certificate_files import ACME_DIRECTORY
from simpleindex.tls.machine_names import MachineIdentity
from tests.fixtures.certificates import NOW, issue, shake
from tests.fixtures.service import ServiceFixture, service_fixture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.tls.acme.settings import AcmeSettings

HTTPS = ("tcp:8443:interface=127.0.0.1",)
NAME = "packages.example.org"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceFixture]:
    yield from service_fixture(tmp_path, monkeypatch)


def wanted(world: ServiceFixture, **given: object) -> AcmeSettings:
    """What would be requested with these options."""
    world.give(https=HTTPS, acme="none", **given)
    return compose_acme.acme_settings(world.resolve())


def names(settings: AcmeSettings) -> list[str]:
    return [each.value for each in settings.identifiers]


def test_the_host_of_the_url_and_further_names_once_each(world: ServiceFixture) -> None:
    url = f"https://{NAME}:8443/"
    settings = wanted(world, url=url, acme_name=("8.8.8.8", NAME))
    assert names(settings) == [NAME, "8.8.8.8"]
    assert settings.contact is None
    assert settings.may_use_http


def test_a_host_that_cannot_be_certified_is_left_out_where_others_are_named(world: ServiceFixture) -> None:
    assert names(wanted(world, url="https://localhost/", acme_name=(NAME,))) == [NAME]
    with pytest.raises(RefusedStart, match="localhost"):
        wanted(world, acme_name=None)


@pytest.mark.parametrize(
    "private", ["10.0.0.5", "127.0.0.1", "2001:db8::1", "fe80::1", "vm.local", "a.internal"]
)
def test_what_no_public_authority_certifies_refuses_the_start(world: ServiceFixture, private: str) -> None:
    """At Let's Encrypt, which would refuse each request for it; an authority of one's own is asked."""
    with pytest.raises(
        RefusedStart, match=rf"^--acme-name: '{private}' is private or reserved, .*--acme-directory"
    ):
        wanted(world, acme_name=(NAME, private))
    host = f"[{private}]" if ":" in private else private
    with pytest.raises(
        RefusedStart, match=rf"the host of --url, '{private}', is private or reserved, .*--acme-name"
    ):
        wanted(world, acme_name=None, url=f"https://{host}/", acme_directory="staging")
    assert names(wanted(world, acme_name=(NAME,))) == [NAME]
    own = "https://ca.example.org/acme/directory"
    assert names(wanted(world, acme_directory=own, acme_name=None)) == [private]


@pytest.mark.parametrize(
    ("machine", "requested"),
    [
        (MachineIdentity(("box", "box.example.org"), (ip_address("8.8.8.8"),)), ["box.example.org"]),
        (
            MachineIdentity(("box.internal", "localhost"), (ip_address("8.8.8.8"), ip_address("10.0.0.1"))),
            ["8.8.8.8"],
        ),
    ],
)
def test_without_names_it_is_this_machine(
    world: ServiceFixture, monkeypatch: pytest.MonkeyPatch, machine: MachineIdentity, requested: list[str]
) -> None:
    monkeypatch.setattr(compose_acme, "this_machine", lambda: machine)
    assert names(wanted(world)) == requested


def test_a_machine_without_a_public_name_is_told_what_to_give(
    world: ServiceFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compose_acme, "this_machine", lambda: MachineIdentity(("box",), ()))
    with pytest.raises(RefusedStart, match=r"--acme-name packages\.example\.org"):
        wanted(world)


def test_a_bound_account_and_roots_of_its_own(world: ServiceFixture, tmp_path: Path) -> None:
    key, roots = tmp_path / "key", tmp_path / "roots.pem"
    key.write_text("c2VjcmV0\n")
    roots.write_bytes("# Főtanúsítvány\n".encode() + issue(ca=True).chain_pem)
    settings = wanted(
        world, acme_name=(NAME,), acme_eab_id="kid-1", acme_eab_key=str(key), acme_trust=str(roots)
    )
    assert settings.external_account == ExternalAccount("kid-1", "c2VjcmV0")
    assert settings.trust == str(roots)
    assert "c2VjcmV0" not in repr(settings)
    for no_key in (b"", b"AAAA BBB!", b"c2VjcmV0/", b"A", b"\xff"):
        key.write_bytes(no_key)
        with pytest.raises(RefusedStart, match="no base64url text: copy the key again"):
            compose_acme.acme_settings(world.resolve())
    key.write_text("c2VjcmU=")
    bound = compose_acme.acme_settings(world.resolve()).external_account
    assert bound == ExternalAccount("kid-1", "c2VjcmU")
    key.unlink()
    with pytest.raises(RefusedStart, match=r"--acme-eab-key: .* cannot be read"):
        compose_acme.acme_settings(world.resolve())


def test_roots_that_are_no_file_refuse_the_start(world: ServiceFixture, tmp_path: Path) -> None:
    """A pipe would hold it, and have nothing for the second request."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path("/dev/zero")):
        with pytest.raises(RefusedStart, match=r"--acme-trust: .* is no file with roots"):
            wanted(world, acme_name=(NAME,), acme_trust=str(path))


def test_a_huge_key_is_not_read_whole(world: ServiceFixture) -> None:
    with pytest.raises(RefusedStart, match="no base64url text"):
        wanted(world, acme_name=(NAME,), acme_eab_id="kid-1", acme_eab_key="/dev/zero")


def test_roots_that_are_none_refuse_the_start(world: ServiceFixture, tmp_path: Path) -> None:
    roots = tmp_path / "roots.pem"
    for no_roots in ("", "words", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        roots.write_text(no_roots)
        with pytest.raises(RefusedStart, match=r"--acme-trust: .* holds no certificates in PEM form"):
            wanted(world, acme_name=(NAME,), acme_trust=str(roots))
    roots.unlink()
    with pytest.raises(RefusedStart, match=r"--acme-trust: .* cannot be read"):
        wanted(world, acme_name=(NAME,), acme_trust=str(roots))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"acme_name": (NAME,)}, "--acme-name: means nothing without --acme"),
        ({"acme": "none", "http": ("80",)}, "--acme: means nothing without --https"),
        (
            {"acme": "none", "https": HTTPS, "acme_eab_id": "x"},
            "--acme-eab-id: means nothing without --acme-eab-key",
        ),
    ],
)
def test_options_that_mean_nothing_refuse_the_start(
    world: ServiceFixture, given: dict[str, object], sentence: str
) -> None:
    world.give(**given)
    with pytest.raises(RefusedStart, match=sentence):
        world.resolve()


def test_a_library_that_is_missing_is_named(world: ServiceFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [
        name for name in sys.modules if name.startswith(("acme", "simpleindex.service.composition.acme"))
    ]:
        monkeypatch.delitem(sys.modules, module)
    for module in [name for name in sys.modules if name.startswith("simpleindex.tls.acme")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "acme", None)
    with pytest.raises(RefusedStart, match=r"^--acme: .*the extra 'acme'"):
        world.make(https=HTTPS, acme="none", acme_name=(NAME,))


def test_a_directory_that_cannot_be_written_to_refuses_the_start(
    world: ServiceFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(RefusedStart, match="cannot be written to"):
        world.make(https=HTTPS, acme="none", acme_name=(NAME,))


def test_a_later_user_that_cannot_write_there_refuses_the_start(world: ServiceFixture) -> None:
    world.give(https=HTTPS, acme="none", acme_name=(NAME,))
    settings = world.resolve()
    directory = settings.certs / ACME_DIRECTORY
    directory.mkdir(parents=True)
    directory.chmod(0o700)
    runtime = create_runtime(settings, lambda: settings, world.reactor, (65534, 65534))
    with pytest.raises(RefusedStart, match="by user id 65534"):
        compose_acme.compose_acme(runtime)


def test_a_certificate_is_served_and_names_the_index(
    world: ServiceFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The private CA's certificate serves until the authority's is there; then clients are told of another URL."""
    issued = issue(NAME)

    def obtain(_: AcmeAuthority) -> object:
        issued.put(world.certs / ACME_DIRECTORY / "certificate.pem")
        return issued.certificate

    monkeypatch.setattr(AcmeAuthority, "obtain", obtain)
    service = world.start(https=HTTPS, acme="you@example.org", acme_name=(NAME,))
    lines = "\n".join(world.said)
    assert (
        f"A certificate for {NAME} is requested from {LETS_ENCRYPT}; until it is there, those above" in lines
    )
    assert "you agree to the authority's terms of service." in lines
    # Nobody is told to give a CA to clients elsewhere that is not needed in a minute.
    assert "Until the certificate is there: pip install --cert " in lines
    assert "Clients elsewhere" not in lines
    assert f"issued a certificate for {NAME}" in lines
    assert service.index.security is not None
    assert not service.index.security.certificates.clients_need_ca
    assert service.index.security.ca_path is None
    assert any(f"https://{NAME}:8443/simple/" in line for line in world.said)
    last = [line for line in world.said if line.startswith("Install with:")][-1]
    assert "--cert" not in last
    assert service.index.acme is not None
    (line,) = service.index.acme.lines(world.resolve())
    assert line == f"{LETS_ENCRYPT} certifies {NAME}; by --acme you agree to its terms of service."


def test_a_certificate_that_somebody_else_put_there_names_the_index_too(world: ServiceFixture) -> None:
    """As another worker, or the operator: plain HTTP redirected to this machine's own name until the next start."""
    service = world.start(https=HTTPS)
    issue(NAME).put(world.certs / "own.pem")
    service._url.check_certificates(force=True)
    assert service.index.http.redirect.base_url == f"https://{NAME}:8443/"


@pytest.mark.parametrize(
    ("https", "http", "port"),
    [
        (("8443", "9443"), (), "8443 or 9443"),
        (("8443",), ("8080",), "8443"),
        (("8443", "443"), (), None),
        (("8443",), ("80",), None),
        (("tcp:8443",), (), None),
    ],
)
def test_where_the_authority_connects_to_is_told(
    world: ServiceFixture, https: tuple[str, ...], http: tuple[str, ...], port: str | None
) -> None:
    """Where no port that it knows is open here, and others are forwarded or forgotten."""
    world.give(acme="none", acme_name=(NAME,), https=https, http=http)
    settings = world.resolve()
    runtime = create_runtime(settings, lambda: settings, world.reactor, (None, None))
    _, *further = compose_acme.compose_acme(runtime).lines(settings)
    hints = [
        line
        for line in further
        if f"connects to port 443, whatever --https says: let that lead to port {port} of" in line
    ]
    assert further == hints
    assert len(hints) == (port is not None)


def test_an_authority_to_practise_with_is_told_to_be_one(world: ServiceFixture) -> None:
    world.give(acme="none", acme_name=(NAME,), https=("443",), http=(), acme_directory="staging")
    settings = world.resolve()
    runtime = create_runtime(settings, lambda: settings, world.reactor, (None, None))
    _, practice = compose_acme.compose_acme(runtime).lines(settings)
    assert "clients trust none of its certificates" in practice


def test_a_request_that_fails_leaves_the_private_ca_in_use(
    world: ServiceFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def obtain(_: AcmeAuthority) -> object:
        raise AcmeFailed("The authority sleeps.")

    monkeypatch.setattr(AcmeAuthority, "obtain", obtain)
    service = world.start(https=HTTPS, acme="none", acme_name=(NAME,))
    assert any("The authority sleeps." in line for line in world.said)
    assert service.index.security is not None
    assert service.index.security.certificates.clients_need_ca
    world.reload()


@pytest.mark.parametrize("is_requested", [True, False])
@pytest.mark.parametrize("serve_http", [None, True])
def test_challenges_are_answered_with_the_option_only(
    world: ServiceFixture, monkeypatch: pytest.MonkeyPatch, serve_http: bool | None, is_requested: bool
) -> None:
    """Over plain HTTP, whether it redirects or serves, and by TLS; without the option what lies in ``--state`` changes nothing."""
    monkeypatch.setattr(AcmeAuthority, "obtain", lambda _: (_ for _ in ()).throw(AcmeFailed("Not now.")))
    options = {"acme": "none", "acme_name": (NAME,)} if is_requested else {}
    service = world.start(https=HTTPS, serve_http=serve_http, **options)
    state = AcmeState(world.place / "state", LETS_ENCRYPT)
    state.prepare()
    state.open_challenge("http-01", "token-1", b"token-1.thumbprint")
    pem = make_challenge_certificates(Identifier(NAME), "token-1.thumbprint", NOW)
    state.open_challenge("tls-alpn-01", NAME, pem)
    (http,) = [number for number, (port, *_) in enumerate(world.reactor.tcpServers) if port == 8080]
    reply = world.ask("/.well-known/acme-challenge/token-1", server=http)
    assert reply.status == (200 if is_requested else 404)
    assert (reply.body == b"token-1.thumbprint") is is_requested
    assert world.ask("/.well-known/acme-challenge/token-2", server=http).status == 404
    assert service.index.security is not None
    certificates = service.index.security.certificates

    def protocol(*offered: str) -> str | None:
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        client.set_alpn_protocols(list(offered))
        end = partial(certificates.serverConnectionForTLS, TLSMemoryBIOProtocol(None, None))
        return shake(end, client, NAME).client.selected_alpn_protocol()

    if is_requested:
        assert protocol("acme-tls/1") == "acme-tls/1"
    else:
        with pytest.raises(SSL.Error, match="no application protocol"):
            protocol("acme-tls/1")
    assert protocol("acme-tls/1", "http/1.1") == protocol("http/1.1") == "http/1.1"
