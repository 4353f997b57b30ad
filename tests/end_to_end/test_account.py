"""A person's account on a real server, with an HTTP client and a browser: log in, make a token, use it, revoke it."""

from __future__ import annotations

import json
import re
import shutil
from base64 import b64encode
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import pytest

from tests.end_to_end.browser import Browser
from tests.end_to_end.publishing import Publishing, make_dist, start_publishing, twine
from tests.end_to_end.running import Answer, wait_until
from tests.end_to_end.storages import ON_BOTH_STORAGES
from tests.fixtures.distributions import add_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.clients import Client
    from tests.end_to_end.running import Server
    from tests.end_to_end.storages import Storage

pytestmark = pytest.mark.slow

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Dest": "document"}
PAGE = "/-/account/"


def basic(publishing: Publishing, user: str) -> dict[str, str]:
    """The header with which a browser logs in."""
    credentials = b64encode(f"{user}:{publishing.passwords[user]}".encode()).decode()
    return {"Authorization": f"Basic {credentials}"}


def send_form(publishing: Publishing, fields: dict[str, str], **headers: str) -> Answer:
    """Send a form as a browser sends it."""
    server = publishing.server
    headers = {
        **BROWSER,
        "Content-Type": "application/x-www-form-urlencoded",
        "Origin": server.url,
        **headers,
    }
    with closing(server.connect()) as connection:
        connection.request("POST", PAGE, urlencode(fields), headers)
        with connection.getresponse() as response:
            return Answer(response.status, dict(response.getheaders()), response.read())


def upload(client: Client, publishing: Publishing, secret: str, files: list[Path]) -> int:
    """Upload with a token; returns the exit status."""
    options = ("--repository-url", publishing.legacy, "--username", "__token__", "--password", secret)
    return client.try_to(*options, *files).returncode


def events_of(publishing: Publishing) -> list[tuple[str, str | None, str | None]]:
    """The events in the audit, by whom and from where."""
    lines = [json.loads(line) for line in publishing.run("log", "--json").splitlines()]
    return [(line["event"], line.get("who"), line.get("address")) for line in lines]


@ON_BOTH_STORAGES
def test_a_token_from_its_making_to_its_end(
    new_server: Callable[..., Server], storage: Storage, tmp_path: Path
) -> None:
    publishing = start_publishing(new_server, name="account", storage=storage)
    server, alice = publishing.server, basic(publishing, "alice")
    stranger = server.get("/-/login", **BROWSER)
    assert (stranger.status, stranger.headers["WWW-Authenticate"]) == (401, 'Basic realm="simpleindex"')
    back = server.get("/?login", **BROWSER, **alice, Referer=f"{server.url}/lib/")
    assert (back.status, back.headers["Location"]) == (303, "/lib/")
    assert b"You are <b>alice</b>" in server.get(PAGE, **BROWSER, **alice).body

    fields = {"can": "upload", "projects": "acme*", "expires": "30d", "note": "ci"}
    refused = send_form(publishing, fields, **alice, Origin="https://evil.example")
    assert refused.status == 403
    (once,) = re.findall(rb'name="once" value="([^"]+)"', server.get(PAGE, **BROWSER, **alice).body)
    fields["once"] = once.decode()
    made = send_form(publishing, fields, **alice)
    assert (made.status, made.headers["Cache-Control"]) == (200, "no-store")
    (secret,) = re.findall(rb"sidx-[A-Za-z0-9_-]{43}", made.body)
    publishing.tokens.append(secret.decode())
    page = server.get(PAGE, **BROWSER, **alice).body
    assert secret not in page
    (token,) = re.findall(rb'name="revoke" value="([a-z0-9]{8})"', page)

    wheel, sdist = make_dist(tmp_path, "acme")
    client = twine(tmp_path, server.ca)
    assert upload(client, publishing, secret.decode(), [wheel]) == 0
    bearer = {"Authorization": f"Bearer {secret.decode()}"}
    assert send_form(publishing, fields, **bearer).status == 403
    assert send_form(publishing, {"revoke": token.decode()}, **basic(publishing, "bob")).status == 404
    assert send_form(publishing, {"revoke": token.decode()}, **alice).status == 303
    assert upload(client, publishing, secret.decode(), [sdist]) != 0

    # The audit of a node is copied to the database a moment later.
    wait_until(lambda: ("token-revoked", "alice", "127.0.0.1") in events_of(publishing), "the audit has it")
    events = events_of(publishing)
    for event in ("token-created", "token-revoked"):
        assert events.count((event, "alice", "127.0.0.1")) == 1
    assert events.count(("change-refused", "alice", "127.0.0.1")) == 1
    publishing.assert_no_secret_was_told()


@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed")
def test_a_browser_that_has_logged_in_sees_private_projects(
    new_server: Callable[..., Server], tmp_path: Path
) -> None:
    """The login holds on the whole index, where strangers see something too; no script is needed."""
    publishing = start_publishing(new_server, name="browsing")
    server, password = publishing.server, quote(publishing.passwords["alice"])
    add_wheel(server.root, "secret-plan", "1.0")
    program = shutil.which("chromium")
    assert program is not None
    with Browser(program, tmp_path) as browser:
        browser.open(f"{server.url}/")
        assert "Log in" in browser.value("document.body.innerText")
        browser.do("Emulation.setScriptExecutionDisabled", value=True)
        browser.open(f"{server.url.replace('://', f'://alice:{password}@')}/-/login")
        browser.wait_for(f"location.pathname === '{PAGE}' && document.readyState === 'complete'")
        browser.value("document.getElementById('note').value = 'laptop'")
        browser.value("document.querySelector('.fields button').click()")
        browser.wait_for(
            "document.readyState === 'complete' && document.querySelector('.note.good pre') !== null"
        )
        publishing.tokens.append(browser.value("document.querySelector('.note.good pre').innerText").strip())
        assert "laptop" in browser.value("document.querySelector('.tokens').innerText")
        browser.do("Page.reload")
        browser.wait_for("document.querySelector('.note.bad') !== null")
        assert "has made the token" in browser.value("document.querySelector('.note.bad').innerText")
        assert browser.value("document.querySelectorAll('.tokens tbody tr').length") == 1
        browser.value("document.querySelector('.tokens button').click()")
        browser.wait_for(
            "document.readyState === 'complete' && document.querySelector('details .tokens') !== null"
        )
        browser.open(f"{server.url}/")
        assert "alice" in browser.value("document.querySelector('header').innerText")
        browser.open(f"{server.url}/secret-plan/")
        assert "secret-plan" in browser.value("document.querySelector('h1').innerText")
        log_out(browser, server.url)
        browser.open(f"{server.url}/secret-plan/")
        assert "secret-plan" not in browser.value("document.body.innerText")
        # The way back leads to no page that only alice may read.
        entries = browser.do("Page.getNavigationHistory")["entries"]
        entry = next(each for each in entries if each["url"].endswith("/secret-plan/"))
        browser.value("window.isBefore = true")
        browser.do("Page.navigateToHistoryEntry", entryId=entry["id"])
        browser.wait_for("window.isBefore === undefined && document.readyState === 'complete'")
        assert "secret-plan" not in browser.value("document.body.innerText")
    publishing.assert_no_secret_was_told()


def log_out(browser: Browser, url: str) -> None:
    """Press the button of the account's page, and the one that sees whether the browser has forgotten the password."""
    browser.open(f"{url}{PAGE}")
    browser.value("document.querySelector('form[action$=\"logout/\"] button').click()")
    browser.wait_for("location.pathname === '/-/logout/' && document.readyState === 'complete'")
    assert "should forget the password now" in browser.value("document.querySelector('h1').innerText")
    browser.value("document.querySelector('form[action$=\"?check\"] button').click()")
    browser.wait_for("location.search === '?check' && document.readyState === 'complete'")
    assert "Your browser sends no password." in browser.value("document.body.innerText")
    browser.open(f"{url}/")
    assert "Log in" in browser.value("document.querySelector('header').innerText")
