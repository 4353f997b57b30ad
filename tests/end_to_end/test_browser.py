"""Pages for people in a real browser: search while one types, projects, strangers' texts, narrow and dark windows."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.end_to_end.browser import Browser
from tests.end_to_end.running import wait_until
from tests.fixtures.distributions import add_wheel, metadata_text, put, wheel_bytes, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.end_to_end.running import Server

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(_CHROMIUM is None, reason="Chromium is not installed"),
]

HOSTILE = """
<script>alert(1)</script><img src=x onerror=alert(1)><svg onload=alert(1)><iframe src="https://elsewhere.example/"></iframe>
<a href="javascript:alert(1)">click</a> ![image](https://elsewhere.example/image.png)
<style>body { display: none }</style><form action="https://elsewhere.example/"><input name=q autofocus onfocus=alert(1)></form>
"""


@pytest.fixture
def server(new_server: Callable[..., Server]) -> Server:
    """A server with some projects, one of them hostile, all indexed."""
    server = new_server("--title=Packages of Example", f"--notice={HOSTILE}")
    for number in range(30):
        add_wheel(server.root, f"rocket-{number}", "1.0", f"Summary: Rocket number {number}")
    add_wheel(server.root, "coyote", "2.0", "Summary: Traps", "Requires-Dist: rocket-7")
    metadata = metadata_text(
        "evil",
        "1.0",
        "Summary: <script>alert(1)</script>",
        "Description-Content-Type: text/markdown",
        body=HOSTILE,
    )
    put(server.root / "evil" / wheel_name("evil"), wheel_bytes("evil", metadata=metadata))
    server.start()
    wait_until(lambda: b'"evil"' in server.get("/-/search.json?q=evil").body, "everything is indexed")
    return server


@pytest.fixture
def browser(server: Server, tmp_path: Path) -> Iterator[Browser]:
    """A browser, in whose pages nothing may go wrong and that may visit no other server."""
    assert _CHROMIUM is not None
    home = tmp_path / "browser"
    home.mkdir()
    with Browser(_CHROMIUM, home) as browser:
        yield browser
        assert browser.complaints == []
        hosts = {urlsplit(url).netloc for url in browser.requests if urlsplit(url).scheme.startswith("http")}
        assert hosts == {urlsplit(server.url).netloc}


def test_results_come_while_one_types(server: Server, browser: Browser) -> None:
    browser.open(f"{server.url}/")
    assert browser.value("document.activeElement.id") == "q"
    day = browser.value("document.querySelector('.hits time').dateTime.slice(0, 10)")
    assert browser.value("document.querySelector('.hits time').textContent") != day  # but how long ago it was
    browser.type("coyo")
    browser.wait_for("document.querySelector('#results .hits a')?.textContent === 'coyote'")
    assert browser.value("document.getElementById('front').hidden")
    assert browser.value("document.URL") == f"{server.url}/?q=coyo"
    browser.click("#results .hits a")
    assert browser.value("document.URL") == f"{server.url}/coyote/"
    assert "rocket-7" in browser.value("document.body.innerText")


def test_a_search_needs_no_script(server: Server, browser: Browser) -> None:
    browser.do("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(f"{server.url}/")
    browser.type("coyo")
    browser.press_enter()
    browser.wait_for(f"document.URL === '{server.url}/?q=coyo' && document.readyState === 'complete'")
    assert browser.value("document.querySelector('.hits a').textContent") == "coyote"


def test_more_results_are_on_the_next_page(server: Server, browser: Browser) -> None:
    browser.open(f"{server.url}/")
    browser.type("rocket")
    browser.wait_for("document.querySelectorAll('#results .hits li').length === 20")
    browser.click("#results nav a")
    assert browser.value("document.querySelectorAll('.hits li').length") >= 10
    browser.click("a[rel=prev]")
    assert browser.value("document.querySelectorAll('.hits li').length") == 20


def test_a_walk_through_what_requires_a_project(server: Server, browser: Browser) -> None:
    browser.open(f"{server.url}/rocket-7/")
    browser.click("aside a[href$='/coyote/']")
    browser.click("aside a[href$='/rocket-7/']")
    assert browser.value("document.querySelector('h1').textContent").startswith("rocket-7")


def test_nothing_that_strangers_wrote_runs_or_loads(server: Server, browser: Browser) -> None:
    """The fixture sees that there is no dialog, no error and no request to elsewhere."""
    for path in ("/", "/?q=evil", "/evil/", "/?q=%3Cscript%3Ealert(1)%3C%2Fscript%3E"):
        browser.open(server.url + path)
        assert browser.value("document.querySelectorAll('iframe, svg, main style, main form').length") == 0, (
            path
        )
        assert (
            browser.value("[...document.querySelectorAll('main [onerror], main [onload], main img')].length")
            == 0
        )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_narrow_and_wide_windows(server: Server, browser: Browser, scheme: str) -> None:
    for width in (375, 1280):
        browser.show_as(width, scheme)
        for path in ("/", "/?q=rocket", "/coyote/", "/-/setup/", "/evil/"):
            browser.open(server.url + path)
            assert browser.value("document.documentElement.scrollWidth") <= width, path
    background = browser.value("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
