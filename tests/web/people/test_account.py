"""The account's page and its forms, in a whole service in memory: rights, tokens, other sites' pages, and the audit."""

from __future__ import annotations

import json
import sqlite3
from base64 import b64encode
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from simpleindex.access.identity import Action
from simpleindex.access.logins.hashes import hash_password
from simpleindex.access.token_options import TokenOptions
from simpleindex.records.sqlite_connection import RecordsConnection
from simpleindex.records.tokens import MOST_USABLE
from tests.fixtures.distributions import wheel_bytes, wheel_name
from tests.fixtures.people_site import Document
from tests.fixtures.publishing_site import PublishingSiteFixture, publishing_site
from tests.fixtures.service import service_fixture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simpleindex.access.logins.credentials import Token
    from tests.fixtures.connection import Answer

ACCESS = """\
[[rule]]
projects = ["secret-*"]
read = ["alice"]
upload = ["alice"]

[[rule]]
projects = ["*"]
read = ["anyone"]
upload = ["owner"]
yank = ["owner"]
"""

PASSWORD = "correct horse"
HASH = hash_password(PASSWORD)
BROWSER = ("Accept: text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Dest: document")
OWN_PAGE = ("Origin: http://localhost:8080", "Sec-Fetch-Site: same-origin")
FORM = "Content-Type: application/x-www-form-urlencoded"
ONCE = "0123456789abcdefABCDEF"
GOOD = {"once": ONCE, "can": "upload", "projects": "Acme_*, lib", "expires": "30d", "note": "ci"}


def basic(user: str, password: str = PASSWORD) -> str:
    return f"Authorization: Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


class AccountFixture:
    """An index whose users alice and bob look at their accounts with a browser."""

    def __init__(self, site: PublishingSiteFixture) -> None:
        self.site = site

    def get(self, *headers: str, target: str = "/-/account/") -> Answer:
        """Request a page."""
        (answer,) = self.site.send(head("GET", target, *BROWSER, *headers))
        return answer

    def post(self, fields: Any, *headers: str, user: str = "alice", method: str = "POST") -> Answer:
        """Send the form as the page does."""
        body = fields if isinstance(fields, bytes) else urlencode(fields, doseq=True).encode()
        headers = headers or (*OWN_PAGE, FORM, basic(user))
        lines = (*BROWSER, *headers, f"Content-Length: {len(body)}")
        (answer,) = self.site.send(head(method, "/-/account/", *lines) + body)
        return answer

    def publish(self, project: str) -> None:
        """Upload a project."""
        sent = self.site.post(
            wheel_bytes(project),
            "application/octet-stream",
            target=f"/{wheel_name(project)}",
            method="PUT",
        )
        assert sent.status == 200

    def made(self) -> list[Token]:
        """The tokens that were made here."""
        return [token for token in self.site.parts.tokens.all() if token.created > 1_700_000_000]

    def audited(self) -> list[dict[str, Any]]:
        """The lines of the audit after the start, without logins."""
        path = self.site.world.place / "state" / "audit.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [
            {key: value for key, value in line.items() if key != "time"}
            for line in lines[1:]
            if line["event"] != "login"
        ]


def head(method: str, target: str, *lines: str) -> bytes:
    return "\r\n".join((f"{method} {target} HTTP/1.1", "Host: localhost:8080", *lines, "", "")).encode()


def is_for_people(answer: Answer) -> bool:
    """Tell whether it is a page of the family, and not the plain one of tools."""
    return b"script-src 'self'" in answer.headers[b"content-security-policy"]


def text_of(answer: Answer) -> str:
    return Document(answer.body.decode()).text


@pytest.fixture
def account(tmp_path: Path) -> Iterator[AccountFixture]:
    users = tmp_path / "users"
    users.write_text(f"alice:{HASH}\nbob:{HASH}\n")
    with publishing_site(tmp_path, ACCESS, users=str(users)) as site:
        yield AccountFixture(site)


def test_who_the_reader_is_and_what_that_reader_may_do(account: AccountFixture) -> None:
    answer = account.get(basic("alice"))
    assert answer.status == 200
    assert answer.headers[b"cache-control"] == b"no-store"
    assert b"script-src 'self'" in answer.headers[b"content-security-policy"]
    assert b"etag" not in answer.headers
    text = text_of(answer)
    assert "You are alice, connected from 127.0.0.1." in text
    assert "read every project" in text
    assert "upload secret-*; of all others: those that you published first, and new names" in text
    assert "delete no project" in text
    assert "read every project but some" in text_of(account.get(basic("bob")))
    assert "secret" not in text_of(account.get(basic("bob")))
    assert PASSWORD.encode() not in answer.body


@pytest.mark.parametrize(
    ("admin", "right"),
    [("*", "every project, by admin"), ("lib", "lib, by admin"), ("none", "no project")],
)
def test_who_may_administer_a_project_may_do_all_with_it(tmp_path: Path, admin: str, right: str) -> None:
    """And is not told the contrary: the rules about deleting name nobody."""
    users = tmp_path / "users"
    users.write_text(f"alice:{HASH}\n")
    admins = '["alice"]' if admin != "none" else "[]"
    rule = f'[[rule]]\nprojects = ["{admin}"]\nadmin = {admins}\n'
    with publishing_site(tmp_path, rule, users=str(users)) as site:
        assert f"delete {right} " in text_of(AccountFixture(site).get(basic("alice")))


def test_what_a_rule_gives_is_not_said_again_as_an_administrators(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(f"alice:{HASH}\n")
    rule = '[[rule]]\nprojects = ["lib"]\nupload = ["alice"]\nadmin = ["alice"]\n'
    with publishing_site(tmp_path, rule, users=str(users)) as site:
        text = text_of(AccountFixture(site).get(basic("alice")))
    assert "upload lib yank lib, by admin" in text


def test_a_stranger_is_asked_for_a_password(account: AccountFixture) -> None:
    for target in ("/-/account/", "/-/login", "/?login"):
        answer = account.get(target=target)
        assert (answer.status, answer.headers[b"www-authenticate"]) == (401, b'Basic realm="simpleindex"')
        assert b"<h1>Unauthorized</h1>" in answer.body
        assert account.get(basic("alice", "wrong"), target=target).status == 401


def test_a_token_is_made_and_its_secret_is_shown_once(account: AccountFixture) -> None:
    answer = account.post(GOOD)
    assert (answer.status, answer.headers[b"cache-control"]) == (200, b"no-store")
    (token,) = account.made()
    assert (token.user, set(token.actions)) == ("alice", {Action.UPLOAD})
    assert (token.projects, token.note) == (("acme-*", "lib"), "ci")
    (secret,) = (each.text for each in Document(answer.body.decode()).all("code") if "sidx-" in each.text)
    assert account.site.parts.tokens.find(secret, token.created).id == token.id
    (line,) = account.audited()
    detail = line.pop("detail")
    assert line == {"event": "token-created", "who": "alice", "token": token.id, "address": "127.0.0.1"}
    assert detail.startswith("of alice, can upload on acme-*, lib, until 20")
    later = account.get(basic("alice"))
    assert token.id in text_of(later)
    for place in (later.body.decode(), detail, *account.site.world.said):
        assert secret not in place
        assert PASSWORD not in place


def once_in(answer: Answer) -> str:
    """The one-time value in a page's form."""
    (value,) = (
        each.attributes.get("value")
        for each in Document(answer.body.decode()).all("input")
        if each.attributes.get("name") == "once"
    )
    assert value
    return value


def test_a_form_that_is_sent_again_makes_no_second_token(account: AccountFixture) -> None:
    """Loaded again, sent twice, after a way back, from a tab that was open all the time: its token is named, never its secret."""
    form = {**GOOD, "once": once_in(account.get(basic("alice")))}
    assert account.post(form).status == 200
    (token,) = account.made()
    for fields in (form, {**form, "note": "another", "projects": "other"}):
        again = account.post(fields)
        assert (again.status, b"sidx-" in again.body) == (409, False)
        assert f"This form has made the token {token.id} already." in text_of(again)
        assert f"revoke {token.id}" in text_of(again)
    assert account.made() == [token]
    # As the refusal says: sent once more it makes another.
    assert f'value="{fields["note"]}"'.encode() in again.body
    assert account.post({**fields, "once": once_in(again)}).status == 200
    # The page of another tab has a form of its own; so has another user.
    assert account.post({**form, "once": once_in(account.get(basic("alice")))}).status == 200
    assert account.post(form, user="bob").status == 200
    assert len(account.made()) == 4
    assert [line["event"] for line in account.audited()] == ["token-created"] * 4


@pytest.mark.parametrize("once", [None, "", "short", "x" * 65, "a/b" * 10, "é" * 20])
def test_a_form_without_its_one_time_value(account: AccountFixture, once: str | None) -> None:
    """As from the page of an earlier release: it comes back with one."""
    fields = {name: value for name, value in GOOD.items() if name != "once"}
    answer = account.post(fields if once is None else {**fields, "once": once})
    assert (answer.status, account.made()) == (400, [])
    assert "send it once more, as it stands below" in text_of(answer)
    assert account.post({**fields, "once": once_in(answer)}).status == 200


def test_a_user_with_as_many_tokens_as_one_may_have(account: AccountFixture) -> None:
    """Is told which nobody uses, before the form is filled in and after it is sent."""
    options = TokenOptions((Action.UPLOAD,), ("*",), None, "")
    tokens = account.site.parts.tokens
    for number in range(MOST_USABLE - 1):  # The site has made one.
        tokens.create("alice", options, 1_700_000_000 + number)
    first, *_ = tokens.of_user("alice")
    page = account.get(basic("alice"))
    sentence = f"{MOST_USABLE} tokens that can be used, and one user may have {MOST_USABLE}: revoke what is not needed."
    assert f"You have {sentence}" in text_of(page)
    answer = account.post(GOOD)
    assert answer.status == 409
    assert f"alice has {sentence} Unused for the longest time: {first.id}, " in text_of(answer)
    assert len(tokens.of_user("alice")) == MOST_USABLE
    assert account.post(GOOD, user="bob").status == 200
    assert account.post({"revoke": first.id}).status == 303
    assert account.post(GOOD).status == 200


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"can": ["fly"]}, 400, "What it may do: 'fly' is none of read, upload"),
        ({"can": []}, 400, "What it may do: give at least one of"),
        ({"projects": "a/b"}, 400, "Projects: 'a/b' is no name"),
        ({"projects": ""}, 400, "Projects: name at least one project"),
        ({"expires": "soon"}, 400, "Expiry: 'soon' is no time"),
        ({"expires": ""}, 400, "Expiry: '' is no time"),
        ({"note": "<script>" * 30}, 400, "Note: it must be one line"),
        ({"projects": "acme-lib," * 200}, 400, "Projects: at most 1,000 characters"),
        ({"can": ["upload", "delete", "admin"]}, 403, "None of your rights include delete, admin"),
    ],
)
def test_a_form_with_a_mistake_comes_back_as_it_was_filled_in(
    account: AccountFixture, changes: dict[str, Any], status: int, reason: str
) -> None:
    answer = account.post({**GOOD, "note": "<b>&", **changes})
    assert answer.status == status
    assert reason in text_of(answer)
    document = Document(answer.body.decode())
    values = {each.attributes.get("id"): each.attributes.get("value") for each in document.all("input")}
    expected = {"projects": "Acme_*, lib", "note": "<b>&", **changes}
    assert {name: values[name] for name in ("projects", "note")} == {
        name: expected[name] for name in ("projects", "note")
    }
    assert b"<script>" not in answer.body
    assert account.made() == []
    assert account.audited() == []


@pytest.mark.parametrize(
    "headers",
    [
        ("Origin: https://evil.example",),
        ("Origin: null",),
        ("Origin: http://localhost:8080", "Sec-Fetch-Site: cross-site"),
        ("Sec-Fetch-Site: same-site",),
    ],
)
@pytest.mark.parametrize("fields", [GOOD, {"revoke": "TOKEN"}])
def test_other_sites_pages_change_nothing(
    account: AccountFixture, headers: tuple[str, ...], fields: dict[str, str]
) -> None:
    (token,) = account.site.parts.tokens.all()
    fields = {name: token.id if value == "TOKEN" else value for name, value in fields.items()}
    answer = account.post(fields, *headers, FORM, basic("alice"))
    assert (answer.status, is_for_people(answer)) == (403, True)
    assert "Another site" in text_of(answer)
    assert account.site.parts.tokens.all() == [token]


def test_a_token_makes_and_revokes_none(account: AccountFixture) -> None:
    page = account.get(f"Authorization: Bearer {account.site.token}")
    (token,) = account.site.parts.tokens.all()
    assert f"You use the token {token.id} of alice" in text_of(page)
    assert "limited to read, upload, yank, delete, audit, admin on *" in text_of(page)
    assert "secret" not in text_of(page)
    assert "A token cannot list, make or revoke tokens" in text_of(page)
    assert b"<fieldset" not in page.body
    for fields in (GOOD, {"revoke": token.id}):
        answer = account.post(fields, *OWN_PAGE, FORM, f"Authorization: Bearer {account.site.token}")
        assert (answer.status, is_for_people(answer)) == (403, True)
        assert "log in with your user name and password" in text_of(answer)
    assert [token.revoked for token in account.site.parts.tokens.all()] == [None]
    assert {(line["event"], line["who"], line["token"]) for line in account.audited()} == {
        ("change-refused", "alice", token.id)
    }


def test_a_stranger_makes_none(account: AccountFixture) -> None:
    answer = account.post(GOOD, *OWN_PAGE, FORM)
    assert is_for_people(answer)
    assert (answer.status, answer.headers[b"www-authenticate"]) == (401, b'Basic realm="simpleindex"')
    assert account.made() == []


def test_tokens_are_revoked_by_their_own_user(account: AccountFixture) -> None:
    account.post(GOOD)
    (token,) = account.made()
    assert token.id not in text_of(account.get(basic("bob")))
    refused = account.post({"revoke": token.id}, user="bob")
    assert (refused.status, "You have no token" in text_of(refused)) == (404, True)
    assert account.made()[0].revoked is None
    for _ in range(2):
        answer = account.post({"revoke": token.id})
        assert (answer.status, answer.headers[b"location"]) == (303, b"./")
    assert account.made()[0].revoked is not None
    assert [(line["event"], line["who"]) for line in account.audited()] == [
        ("token-created", "alice"),
        ("token-revoked", "alice"),
    ]
    assert "1 token that ended" in text_of(account.get(basic("alice")))


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"note=" + b"x" * 20_000, FORM, 413),
        (b"&".join([b"can=read"] * 100), FORM, 400),
        (b"\xff=\xff", FORM, 400),
        (b'{"can": "read"}', "Content-Type: application/json", 415),
        (b"can=read", "X-None: 1", 415),
        (b"", FORM, 415),
    ],
)
def test_bodies_that_are_not_the_form(
    account: AccountFixture, body: bytes, content_type: str, status: int
) -> None:
    answer = account.post(body, *OWN_PAGE, content_type, basic("alice"))
    assert (answer.status, is_for_people(answer)) == (status, True)
    assert account.made() == []


def test_other_methods_and_addresses(account: AccountFixture) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        assert account.post(GOOD, method=method).status == 405
    assert account.get(basic("alice"), target="/-/account").headers[b"location"] == b"account/"
    for target in ("/-/account/more", "/-/login/more"):
        assert account.get(basic("alice"), target=target).status == 404
    (answer,) = account.site.send(head("POST", "/-/account/more", basic("alice"), "Content-Length: 0"))
    assert answer.status == 404


def test_logging_in_leads_back(account: AccountFixture) -> None:
    """The root requires the password too, because browsers send it again only there and below."""
    before = "Referer: http://localhost:8080/secret-plan/?x=1"
    answer = account.get(basic("alice"), before, target="/-/login")
    assert (answer.status, answer.headers[b"location"]) == (303, b"../?login")
    answer = account.get(basic("alice"), before, target="/?login")
    assert (answer.status, answer.headers[b"location"]) == (303, b"/secret-plan/?x=1")
    assert answer.headers[b"cache-control"] == b"no-store"
    answer = account.get(basic("alice"), target="/?login")
    assert answer.headers[b"location"] == b"./-/account/"


def test_a_full_disk(account: AccountFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes and revokes nothing; the form is as good as new."""
    account.post(GOOD)
    (token,) = account.made()

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(RecordsConnection, "write", fail)
        for fields in ({**GOOD, "once": "another-one-of-the-page"}, {"revoke": token.id}):
            answer = account.post(fields)
            assert (answer.status, is_for_people(answer)) == (503, True)
            assert answer.headers[b"cache-control"] == b"no-store"
    assert account.made() == [token]
    assert [line["event"] for line in account.audited()] == ["token-created", *["change-refused"] * 2]
    assert account.post({**GOOD, "once": "another-one-of-the-page"}).status == 200
    assert account.post({"revoke": token.id}).status == 303


def test_a_user_who_was_removed_changes_nothing_more(account: AccountFixture) -> None:
    """Nor by the page that was open."""
    account.post(GOOD)
    (token,) = account.made()
    form = {**GOOD, "once": once_in(account.get(basic("alice")))}
    (account.site.world.place / "users").write_text(f"bob:{HASH}\n")
    account.site.world.reload()
    for fields in (form, {"revoke": token.id}):
        answer = account.post(fields)
        assert (answer.status, answer.headers[b"www-authenticate"]) == (401, b'Basic realm="simpleindex"')
    assert account.made() == [token]


class TestLogout:
    """What a browser is told, so that it forgets the password; browsers themselves: ``tests/end_to_end/test_account.py``."""

    def send(self, account: AccountFixture, *headers: str, query: str = "", method: str = "POST") -> Answer:
        lines = (*BROWSER, *headers, "Content-Length: 0")
        (answer,) = account.site.send(head(method, f"/-/logout/{query}", *lines))
        return answer

    def test_the_button(self, account: AccountFixture) -> None:
        assert account.get(basic("alice"), target="/-/logout").headers[b"location"] == b"logout/"
        page = account.get(basic("alice"), target="/-/logout/")
        assert "You are alice. Your browser sends the password" in text_of(page)
        assert b'action="../../-/logout/"' in page.body
        assert b'action="../../-/logout/"' in account.get(basic("alice")).body
        assert "You are logged out" in text_of(account.get(target="/-/logout/"))
        assert account.get(basic("alice"), target="/-/logout/more").status == 404

    @pytest.mark.parametrize(
        "credentials", [basic("alice"), basic("alice", "wrong"), basic("nobody"), "Authorization: Basic ?"]
    )
    def test_a_password_is_told_to_be_wrong(self, account: AccountFixture, credentials: str) -> None:
        """Also one that is; nothing is compared, and no login fails."""
        told = self.send(account, *OWN_PAGE, credentials)
        assert (told.status, told.headers[b"www-authenticate"]) == (401, b'Bearer realm="simpleindex"')
        assert told.headers[b"cache-control"] == b"no-store"
        assert told.headers[b"clear-site-data"] == b'"cache"'
        assert "Your browser should forget the password now" in text_of(told)
        assert b'action="../../-/logout/?check"' in told.body
        checked = self.send(account, *OWN_PAGE, credentials, query="?check")
        assert (checked.status, checked.headers[b"www-authenticate"]) == (401, b'Basic realm="simpleindex"')
        assert "You are logged out" in text_of(checked)
        assert account.audited() == []

    @pytest.mark.parametrize("query", ["", "?check", "?check=1"])
    def test_a_browser_that_has_forgotten_it(self, account: AccountFixture, query: str) -> None:
        answer = self.send(account, *OWN_PAGE, query=query)
        assert (answer.status, b"www-authenticate" in answer.headers) == (200, False)
        assert "Your browser sends no password." in text_of(answer)
        assert "Log in" in text_of(answer)

    @pytest.mark.parametrize(
        "origin", ["Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: same-site"]
    )
    def test_other_sites_pages_log_nobody_out(self, account: AccountFixture, origin: str) -> None:
        for query in ("", "?check"):
            answer = self.send(account, origin, basic("alice"), query=query)
            assert (answer.status, b"www-authenticate" in answer.headers) == (403, False)

    def test_other_methods_and_bodies(self, account: AccountFixture) -> None:
        assert self.send(account, *OWN_PAGE, basic("alice"), method="PUT").status == 405
        lines = (*BROWSER, *OWN_PAGE, FORM, basic("alice"), "Content-Length: 2000")
        (answer,) = account.site.send(head("POST", "/-/logout/", *lines) + b"x" * 2000)
        assert answer.status == 413
        (answer,) = account.site.send(head("POST", "/-/logout/more", *OWN_PAGE, "Content-Length: 0"))
        assert answer.status == 404


def test_without_users_there_is_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextmanager(service_fixture)(tmp_path, monkeypatch) as world:
        world.start(watch="off", access_log="off")
        for target in ("/-/login", "/-/account/", "/-/account", "/-/logout", "/-/logout/"):
            assert world.ask(target, ("Accept", "application/xhtml+xml")).status == 404
        assert b"Log in" not in world.ask("/", ("Accept", "application/xhtml+xml")).body
        assert world.ask("/-/account/", method="POST").status == 405


def test_settings_have_a_place_for_the_token_of_who_needs_one(account: AccountFixture) -> None:
    """Whoever has logged in sets up tools for private projects too."""
    stranger, alice = (
        text_of(account.get(*headers, target="/-/setup/")) for headers in ((), (basic("alice"),))
    )
    assert "__token__:TOKEN@" not in stranger
    assert "For private projects log in" in stranger
    assert "__token__:TOKEN@" in alice
    assert "sidx-" not in alice


def test_no_other_sites_page_learns_which_projects_are_private(account: AccountFixture) -> None:
    """A browser in the same network is a stranger to the index; a page of elsewhere in it reads no 401 either."""
    account.publish("secret-plan")
    targets = ("/secret-plan/", "/secret-plan/feed.xml", "/-/badge/secret-plan.svg", "/-/why/secret-plan")
    for target in (*targets, "/-/inside/secret-plan/x.whl", "/-/diff/secret-plan/1/2"):
        (answer,) = account.site.send(head("GET", target, "Origin: https://elsewhere.example", "Accept: */*"))
        assert answer.status == 401, target
        assert b"access-control-allow-origin" not in answer.headers, target
    (missing,) = account.site.send(head("GET", "/-/badge/open.svg", "Origin: https://elsewhere.example"))
    assert (missing.status, b"access-control-allow-origin" in missing.headers) == (404, True)


@pytest.mark.parametrize(
    ("target", "user", "status", "command"),
    [
        ("/nothing/", None, 404, "simpleindex why nothing"),
        ("/secret-plan/", None, 401, "simpleindex access secret-plan"),
        ("/secret-plan/", "bob", 403, "simpleindex access secret-plan"),
    ],
)
def test_a_refusal_names_the_command_that_tells_more(
    account: AccountFixture, target: str, user: str | None, status: int, command: str
) -> None:
    account.publish("secret-plan")
    answer = account.get(*(() if user is None else (basic(user),)), target=target)
    assert answer.status == status
    links = [each.text for each in Document(answer.body.decode()).all("a")]
    assert ("Log in" in links, "What bob may do" in links) == (user is None, user == "bob")
    assert command in [each.text for each in Document(answer.body.decode()).all("code")]


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/-/static/none.css", 404),
        ("/-/setup/more", 404),
        ("/-/setup/?view=none", 404),
        ("/-/nothing", 404),
        ("/none/", 404),
        ("/.well-known/acme-challenge/none", 404),
        ("/legacy/", 405),
    ],
)
def test_every_refusal_is_a_page_of_the_family(account: AccountFixture, target: str, status: int) -> None:
    """For tools it is what it was."""
    answer = account.get(target=target)
    assert (answer.status, is_for_people(answer)) == (status, True)
    (plain,) = account.site.send(head("GET", target, "Accept: text/html"))
    assert (plain.status, is_for_people(plain)) == (status, False)
