"""Accounts, orders, challenges and advice, at an authority that answers from a table."""

from __future__ import annotations

import errno
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from acme import challenges
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from simpleindex.tls.acme import issuing
from simpleindex.tls.acme.client import AcmeSession
from simpleindex.tls.acme.errors import AcmeFailed, ChallengeFailed, IssuedUnusable
from simpleindex.tls.acme.issuing import certificate_path, names_of, read_certificate
from simpleindex.tls.acme.settings import ExternalAccount
from simpleindex.tls.acme.state_files import write_aside
from tests.fixtures.acme_client import Place, now
from tests.fixtures.acme_protocol import NAME, TOKEN, URL, Answer, authorization, problem
from tests.fixtures.certificates import issue

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from josepy.jwk import JWK


def test_a_certificate_follows_another_with_the_same_account(place: Place) -> None:
    first = place.client.obtain()
    assert names_of(first) == place.client.names == {NAME}
    assert place.client.directory == f"{URL}/directory"
    assert read_certificate(place.path / "certs") == first
    (registered,) = place.authority.sent("/newAccount")
    assert registered == {"contact": ["mailto:me@example.org"], "termsOfServiceAgreed": True}
    assert "replaces" not in place.authority.sent("/newOrder")[0]
    del place.authority.table["/certificate"]
    assert place.client.obtain() != first
    assert place.authority.sent("/newAccount") == [registered]
    assert place.authority.sent("/newOrder")[1]["replaces"]


def test_an_order_that_may_not_replace_replaces_nothing(place: Place) -> None:
    place.client.obtain()
    (order,) = place.authority.table["/newOrder"]
    for refusal in (Answer({}, 409), problem("alreadyReplaced", 409), problem("malformed")):
        del place.authority.table["/certificate"]
        place.authority.requests.clear()
        place.authority.table["/newOrder"] = [refusal, order]
        place.client.obtain()
        assert ["replaces" in sent for sent in place.authority.sent("/newOrder")] == [True, False]
    place.authority.table["/newOrder"] = [problem("rateLimited", 429, Retry_After="600"), order]
    wait = place.fails("refuses more requests for now: because of rateLimited").retry_after
    assert wait is not None
    assert timedelta(minutes=9) < wait <= timedelta(minutes=10)


@pytest.mark.parametrize("kind", ["http-01", "tls-alpn-01"])
def test_challenges_are_open_while_the_authority_validates(kind: str, place: Place) -> None:
    place.authority.table["/authorization"] = [
        authorization("pending", kind),
        authorization("pending", kind),
        authorization("valid", kind),
    ]
    state, seen = place.state, []

    def note(path: str) -> None:
        if path == "/challenge":
            seen.append((state.read_key_authorization(TOKEN), state.read_challenge_certificates(NAME)))

    place.authority.on_request = note
    session = AcmeSession(place.settings, state)
    session.ensure_account()
    key = ec.generate_private_key(ec.SECP256R1())
    assert "BEGIN CERTIFICATE" in session.issue(kind, key, now(), None)
    session.close()
    ((by_http, by_tls),) = seen
    assert (by_http is not None, by_tls is not None) == (kind == "http-01", kind == "tls-alpn-01")
    assert state.read_key_authorization(TOKEN) is state.read_challenge_certificates(NAME) is None


class ReturnedChallenge(challenges.KeyAuthorizationChallenge):
    """The challenge as ``acme`` 4.2 had it, in a later release that has it again."""

    typ = "tls-alpn-01"
    response_cls = challenges.HTTP01Response

    def validation(self, account_key: JWK, **_: Any) -> tuple[object, object]:
        """Return a certificate and its key."""
        return object(), object()


def test_a_release_of_the_library_that_has_the_challenge_again_changes_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its class is used, and answered as ours is."""
    monkeypatch.setitem(challenges.Challenge.TYPES, "tls-alpn-01", ReturnedChallenge)
    monkeypatch.setitem(challenges.ChallengeResponse.TYPES, "tls-alpn-01", challenges.HTTP01Response)
    test_challenges_are_open_while_the_authority_validates("tls-alpn-01", place)
    assert challenges.Challenge.TYPES["tls-alpn-01"] is ReturnedChallenge


def test_challenges_that_cannot_be_answered(place: Place) -> None:
    table = place.authority.table
    table["/authorization"] = [authorization("pending", "dns-01")]
    place.fails(r"the authority offers dns-01 only\. Let ", error=ChallengeFailed)
    table["/authorization"] = [authorization("pending")]
    place.fails("the authority offers no challenge only", error=ChallengeFailed)
    table["/authorization"] = [authorization("pending", "tls-alpn-01", name="other.example.org")]
    place.fails("wants other.example.org to be validated, which was not ordered")
    refused = authorization(
        "invalid", "http-01", error={"type": "urn:ietf:params:acme:error:connection", "detail": "Nobody."}
    )
    table["/authorization"] = [authorization("valid"), refused]
    place.fails("could not validate a.example.org by http-01: Nobody", error=ChallengeFailed)


@pytest.mark.parametrize(("code", "orders"), [("dns", 1), ("connection", 2), ("tls", 2)])
def test_a_name_without_an_address_is_validated_once_a_try(place: Place, code: str, orders: int) -> None:
    """Where neither port can be reached for it, the second one is another failed validation."""
    place.settings = replace(place.settings, may_use_http=True)
    error = {"type": f"urn:ietf:params:acme:error:{code}", "detail": "Nothing."}
    refused = authorization("invalid", "tls-alpn-01", "http-01", error=error)
    place.authority.table["/authorization"] = [
        authorization("pending", "tls-alpn-01", "http-01"),
        refused,
        authorization("pending", "tls-alpn-01", "http-01"),
        refused,
    ]
    place.fails(r"could not validate a\.example\.org by tls-alpn-01: Nothing\.")
    assert len(place.authority.sent("/newOrder")) == orders


def test_an_account_that_is_registered_already_is_found_again(place: Place) -> None:
    place.authority.table["/newAccount"] = [Answer({}, 200, {"Location": f"{URL}/account"})]
    place.client.obtain()
    place.settings = replace(place.settings, contact="you@example.org")
    session = AcmeSession(place.settings, place.state)
    session.ensure_account()
    assert place.authority.sent("/account") == [{"contact": ["mailto:you@example.org"]}]
    session.ensure_account()
    assert len(place.authority.sent("/account")) == 1
    session.close()


@pytest.mark.parametrize("content", [b"{", b"[]", b"[" * 60_000, b"{}", b'{"url": 1, "contact": null}'])
def test_a_broken_note_of_the_account_is_written_anew(content: bytes, place: Place) -> None:
    place.state.write_account("account.json", content)
    session = AcmeSession(place.settings, place.state)
    session.ensure_account()
    session.close()
    assert f'"{URL}/account"'.encode() in (place.state.read_account("account.json") or b"")


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        (None, "is broken"),
        (ed25519.Ed25519PrivateKey.generate(), "is of a kind that is not used here"),
        (ec.generate_private_key(ec.SECP384R1()), "is of a kind that is not used here"),
    ],
)
def test_a_key_of_the_account_is_never_replaced(
    place: Place, key: PrivateKeyTypes | None, sentence: str
) -> None:
    """The account would be lost with it, which may be bound to one at the authority."""
    for stored in (
        (b"broken", b"")
        if key is None
        else (key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),)
    ):
        place.state.write_account("key.pem", stored)
        place.fails(f"key.pem in .* {sentence}: restore it from a backup")
        assert (place.path / place.state.account_place / "key.pem").read_bytes() == stored
    assert place.authority.requests == []


@pytest.mark.parametrize("put", ["directory", "link"])
def test_a_key_of_the_account_that_cannot_be_read_is_not_replaced(place: Place, put: str) -> None:
    path = place.path / place.state.account_place / "key.pem"
    if put == "directory":
        path.mkdir()
    else:
        path.symlink_to("elsewhere")
    place.fails(f"{path} cannot be read .*: let the service read it")
    assert path.is_symlink() == (put == "link")


def test_a_key_of_the_account_is_made_once(place: Place) -> None:
    place.client.obtain()
    kept = place.state.read_account("key.pem")
    AcmeSession(place.settings, place.state).close()
    assert kept is not None
    assert place.state.read_account("key.pem") == kept


def test_accounts_that_are_bound_to_another(place: Place) -> None:
    place.authority.directory["meta"] = {"externalAccountRequired": True}
    place.fails("give --acme-eab-id and --acme-eab-key")
    place.settings = replace(place.settings, external_account=ExternalAccount("id", "AAAA"))
    (registered,) = place.authority.table["/newAccount"]
    for code in ("unauthorized", "malformed"):
        place.authority.table["/newAccount"] = [problem(code, 403)]
        place.fails(f"refuses the account of --acme-eab-id .* because of {code}")
    place.authority.table["/newAccount"] = [problem("invalidContact")]
    place.fails("does not take the e-mail address")
    place.authority.table["/newAccount"] = [registered]
    place.client.obtain()
    assert place.authority.sent("/newAccount")[-1]["externalAccountBinding"]["signature"]


def test_profiles(place: Place) -> None:
    place.settings = replace(place.settings, profile="tiny")
    place.fails("does not offer the profile 'tiny'; it has no profiles")
    place.authority.directory["meta"] = {"profiles": {"classic": "a", "short": "b"}}
    place.fails("it offers classic, short: correct --acme-profile")
    place.settings = replace(place.settings, profile="short")
    place.client.obtain()
    assert place.authority.sent("/newOrder")[-1]["profile"] == "short"


def test_what_is_no_directory(place: Place) -> None:
    place.authority.table["/directory"] = [Answer({"hello": "world"})]
    place.fails("/directory is no ACME directory: check --acme-directory")
    place.authority.table["/directory"] = [Answer("<html>")]
    place.fails("does not answer as an ACME server does")


def test_refused_nonces_are_tried_again(place: Place) -> None:
    (registered,) = place.authority.table["/newAccount"]
    place.authority.table["/newAccount"] = [*[problem("badNonce")] * 5, registered]
    place.client.obtain()
    assert len(place.authority.sent("/newAccount")) == 6
    place.authority.table["/newOrder"] = [problem("badNonce")]
    place.fails("refuses: because of badNonce")
    assert 8 <= len(place.authority.sent("/newOrder")) <= 40


def test_advice(place: Place) -> None:
    certificate = place.client.obtain()
    start, end = now() + timedelta(days=30), now() + timedelta(days=31)
    window = {each: f"{time:%Y-%m-%dT%H:%M:%SZ}" for each, time in (("start", start), ("end", end))}
    place.authority.table["/renewalInfo"] = [
        Answer({"suggestedWindow": window}, headers={"Retry-After": "3600"})
    ]
    advice = place.client.advise(certificate)
    assert advice.renew_at is not None
    assert start - timedelta(seconds=1) <= advice.renew_at <= end
    assert advice.wait == timedelta(hours=1)
    place.authority.table["/renewalInfo"] = [
        Answer({"suggestedWindow": {"start": window["end"], "end": window["start"]}})
    ]
    with pytest.raises(AcmeFailed, match="does not answer as an ACME server does"):
        place.client.advise(certificate)
    del place.authority.directory["renewalInfo"]
    assert place.client.advise(certificate).renew_at is None
    # Such as one that names no key of its issuer.
    assert place.client.advise(issue(NAME).certificate).renew_at is None


def test_a_slow_clock_orders_nothing(place: Place) -> None:
    """The certificate would not be valid yet; each try would use up one of those that may be issued for a name."""
    for slow in (timedelta(hours=3), timedelta(days=9)):
        place.authority.headers = {"Date": format_datetime(now() + slow, usegmt=True)}
        place.fails(r"^At ca\.example\.org it is .* this machine's clock shows .*: set the clock right\.$")
    assert place.authority.sent("/newOrder") == []
    place.authority.headers = {"Date": format_datetime(now() + timedelta(minutes=50), usegmt=True)}
    place.client.obtain()


@pytest.mark.usefixtures("zone")
def test_a_wait_while_the_certificate_is_made_is_the_authoritys_whatever_this_machines_zone(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("acme.client.time", SimpleNamespace(sleep=waits.append))
    (done,) = place.authority.table["/order"]
    shown = now()
    place.authority.headers = {"Date": format_datetime(shown, usegmt=True)}
    late = format_datetime(shown + timedelta(seconds=20), usegmt=True)
    processing = Answer({**done.content, "status": "processing"}, headers={"Retry-After": late})
    place.authority.table["/order"] = [processing, done]
    place.client.obtain()
    assert 1 < max(waits) <= 20


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_an_authority_with_much_to_do_may_answer_with_a_page(place: Place, status: int) -> None:
    """Its wait counts all the same."""
    place.authority.table["/newOrder"] = [Answer("<h1>Busy</h1>", status, {"Retry-After": "1800"})]
    failed = place.fails(rf"^ca\.example\.org cannot answer now \(status {status}\)\.$")
    assert failed.retry_after == timedelta(minutes=30)


def test_nothing_of_the_operators_is_touched(place: Place, tmp_path: Path) -> None:
    """Not in ``--certs``, not in a directory there that happens to have the name of ours, and not where a link leads."""
    certs, elsewhere = place.path / "certs", tmp_path / "elsewhere"
    own = issue(NAME)
    own.put_pair(certs)
    own.put(certs / "own.pem")
    own.put_pair(certs / "simpleindex-acme")
    own.put(certs / "simpleindex-acme/cert.pem")
    own.put(certs / "other/certificate.pem")
    own.put(elsewhere / "linked.pem")
    certificate_path(certs).symlink_to(elsewhere / "linked.pem")

    def contents() -> dict[Path, tuple[int, int, bytes]]:
        files = [path for top in (certs, elsewhere) for path in top.rglob("*.pem") if not path.is_symlink()]
        return {
            path: (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
            for path in files
            if path
            not in (
                certificate_path(certs),
                certificate_path(certs).with_name(".simpleindex-certificate.pem"),
            )
        }

    before = contents()
    assert len(before) == 8
    certificate = place.client.obtain()
    assert contents() == before
    assert read_certificate(certs) == certificate
    assert not certificate_path(certs).is_symlink()
    assert certificate_path(certs).with_name("certificate.pem.kept-1").readlink() == elsewhere / "linked.pem"
    place.authority.table["/certificate"] = [Answer("nonsense")]
    place.fails("no certificate for this server's key")
    assert contents() == before
    assert read_certificate(certs) == certificate


def test_a_directory_of_ours_that_is_a_link_leads_to_where_it_is_written(
    place: Place, tmp_path: Path
) -> None:
    """As where certificates lie on another disk; what else is there stays."""
    elsewhere = issue(NAME).put_pair(tmp_path / "elsewhere")
    (place.path / "certs").mkdir()
    (place.path / "certs/simpleindex-acme").symlink_to(elsewhere)
    before = [(elsewhere / name).read_bytes() for name in ("fullchain.pem", "privkey.pem")]
    certificate = place.client.obtain()
    assert read_certificate(place.path / "certs") == certificate
    assert before == [(elsewhere / name).read_bytes() for name in ("fullchain.pem", "privkey.pem")]
    assert sorted(path.name for path in elsewhere.iterdir()) == [
        "certificate.pem",
        "fullchain.pem",
        "privkey.pem",
    ]


def test_nothing_is_ordered_that_could_not_be_written(place: Place) -> None:
    (place.path / "certs").write_text("a file")
    place.fails("cannot be written .*: let the service write there")
    assert place.authority.requests == []


def test_a_certificate_for_another_key_is_not_written(place: Place) -> None:
    place.authority.table["/certificate"] = [Answer(issue(NAME).chain_pem.decode())]
    place.fails("no certificate for this server's key", error=IssuedUnusable)
    assert not certificate_path(place.path / "certs").exists()


def test_nothing_is_ordered_where_the_disk_has_no_room_for_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key alone would find room for a while."""

    def write(path: Path, data: bytes) -> Path:
        if len(data) > 10_000:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write_aside(path, data)

    monkeypatch.setattr(issuing, "write_aside", write)
    place.fails("No space left on device")
    assert place.authority.requests == []


def test_a_certificate_that_cannot_be_written_was_issued_in_vain(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(aside: Path, path: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted", str(aside), None, str(path))

    monkeypatch.setattr(issuing, "put_in_place", refuse)
    place.fails("certificate.pem cannot be written", error=IssuedUnusable)
