"""Pages for people in a real browser against a real server over TLS: what a person does, and that nothing comes from elsewhere."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.end_to_end.publishing import start_publishing
from tests.end_to_end.running import PATIENCE, Server, wait_until
from tests.fixtures.depth import THOROUGH, every
from tests.fixtures.distributions import metadata_text, put, sdist_bytes, sdist_name, wheel_bytes, wheel_name
from tests.fixtures.hostile_texts import MARKDOWN, RST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.end_to_end.publishing import Publishing
    from tests.end_to_end.running import Installed

pytestmark = pytest.mark.slow

ACCESS = """
[[rule]]
projects = ["secret"]
read = ["alice"]

[[rule]]
projects = ["*"]
read = ["anyone"]
upload = ["authenticated"]
"""
CHROMIUM = shutil.which("chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE * 1000
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, which is kept nowhere here."""
    place = tmp_path_factory.mktemp("axe")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    with suppress(subprocess.SubprocessError):
        subprocess.run([npm, "pack", "axe-core@4"], cwd=place, capture_output=True, check=True, timeout=120)
    packed = [*place.glob("axe-core-*.tgz")]
    if not packed:
        pytest.skip("npm cannot fetch axe-core")
    with tarfile.open(packed[0]) as archive:
        script = archive.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


@pytest.fixture(scope="module")
def site(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publishing]:
    """A server with projects that depend on each other, a private one, and hostile ones."""
    home = tmp_path_factory.mktemp("browser")
    made: list[Server] = []

    def new_server(*options: str, name: str = "server", root: Path | None = None) -> Server:
        server = Server(installed, home / name, root or home / "packages", options)
        fill(server.root)
        made.append(server)
        return server

    yield start_publishing(new_server, access=ACCESS)
    for server in made:
        server.stop()


def fill(root: Path) -> None:
    """Put projects into a directory."""
    for version in ("1.0", "1.1", "2.0"):
        lines = ("Summary: Rockets that come back", "Requires-Dist: fuel>=1", "Requires-Dist: nowhere")
        add(root, "rockets", version, *lines, "Project-URL: Source, https://git.example/", body=README)
    add(root, "fuel", "1.5", "Summary: What rockets burn")
    add(root, "secret", "0.1", "Summary: A project for alice alone", "Requires-Dist: fuel")
    for number, (text, kind) in enumerate(
        [("\n\n".join(MARKDOWN), "text/markdown"), *((text, "text/x-rst") for text in RST[-20:])]
    ):
        add(root, f"hostile{number}", "1.0", f"Description-Content-Type: {kind}", body=text)
    put(root / "rockets" / sdist_name("rockets", "2.0"), sdist_bytes("rockets", "2.0"))
    add(root, LONG, LONG_VERSION, f"Summary: {'Long ' * 60}", f"Requires-Dist: {'x' * 200}", body=README * 40)
    (root / "rockets" / "simpleindex.toml").write_text(f'[yanked]\n"1.1" = "{"explodes" * 20} in `flight`"\n')


LONG = "a_name_of_which_nobody_thought_that_it_could_become_so_long"
LONG_VERSION = "2026.11.29rc1.post20261129.dev20261129+local.build.1234567890abcdef"

README = """# Rockets

They *come back*. ![badge](https://elsewhere.example/badge.svg)

```python
import rockets
```

| one | two |
|-----|-----|
| 1   | 2   |
"""


def add(root: Path, name: str, version: str, *lines: str, body: str = "text") -> None:
    kinds = (
        ()
        if any(line.startswith("Description-C") for line in lines)
        else ("Description-Content-Type: text/markdown",)
    )
    metadata = metadata_text(name, version, *lines, *kinds, body=body)
    put(root / name / wheel_name(name, version), wheel_bytes(name, version, metadata=metadata))


class Visit:
    """A person's browser.

    Attributes:
        page: Playwright's page.
        requests: URLs that it requested.
        complaints: What its console shows, and dialogs.
    """

    def __init__(self, page: Any, origin: str) -> None:
        self.page = page
        self.origin = origin
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", self._dismiss)

    def _dismiss(self, dialog: Any) -> None:
        self.complaints.append(dialog.message)
        dialog.dismiss()

    def go(self, path: str) -> None:
        self.page.goto(f"{self.origin}{path}")

    def await_path(self, path: str) -> None:
        """Wait until a page is shown whose path begins so."""
        self.page.wait_for_url(lambda url: urlsplit(url).path.startswith(path))

    def assert_clean(self) -> None:
        """See that nothing left the origin, nothing ran that should not, and nothing failed."""
        elsewhere = [url for url in self.requests if not url.startswith((f"{self.origin}/", "data:"))]
        assert elsewhere == []
        assert self.complaints == []


@contextmanager
def visiting(browser: Any, server: Server, **options: Any) -> Iterator[Visit]:
    """A browser without history; nothing may leave the origin while it is open."""
    origin = f"https://localhost:{server.port}"
    context = browser.new_context(ignore_https_errors=True, **options)
    context.set_default_timeout(PATIENCE * 1000)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=origin)
    visit = Visit(context.new_page(), origin)
    try:
        yield visit
        visit.assert_clean()
    finally:
        context.close()


def test_a_person_looks_at_a_project(browser: Any, site: Publishing) -> None:
    with visiting(browser, site.server) as visit:
        page = visit.page
        visit.go("/rockets/")
        assert page.locator("h1").first.inner_text() == "rockets 2.0"
        assert page.locator("section.description").get_by_text("come back").is_visible()
        assert page.locator("img").count() == 0
        assert page.get_by_text("Images are not loaded").is_visible()
        # Copy the command that is shown, in each tab.
        command = page.locator(".tab:visible code").first.inner_text()
        assert "--index-url" in command
        assert command.endswith("rockets==2.0")
        # What the button says would be gone after two seconds, perhaps before a busy machine has looked.
        page.evaluate("window.setTimeout = () => 0")
        page.locator(".tab:visible button.copy").first.click()
        page.get_by_text("Copied").first.wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == command
        page.get_by_text("requirements", exact=True).click()
        assert "--hash=sha256:" in page.locator(".tab:visible code").first.inner_text()
        assert page.locator("time").first.inner_text() != page.locator("time").first.get_attribute("title"), (
            "how long ago"
        )
        # Choose a version.
        page.get_by_text("3 versions").click()
        page.locator(".chooser").get_by_role("link", name="1.1").click()
        visit.await_path("/rockets/1.1/")
        assert page.locator("h1").first.inner_text() == "rockets 1.1"
        # Walk to a dependency, and back to who depends on it.
        assert page.get_by_role("link", name="nowhere").count() == 0
        page.get_by_role("link", name="fuel>=1").click()
        visit.await_path("/fuel/")
        page.get_by_role("link", name="Set up").first.click()
        visit.await_path("/-/setup/")
        assert f":{site.server.port}/simple/" in page.locator("main").inner_text()


def test_a_person_searches(browser: Any, site: Publishing) -> None:
    with visiting(browser, site.server) as visit:
        page = visit.page
        visit.go("/")
        page.wait_for_function("document.activeElement.id === 'q'")
        wait_until(lambda: found(visit, "/?q=rockets") > 0, "the search index has rockets")
        visit.go("/")
        page.locator("#q").type("python:old")
        page.locator("#count").get_by_text("python:old matches nothing").wait_for()
        page.locator("#q").fill("badge")
        page.locator("#results mark", has_text="badge").first.wait_for()
        page.locator("#q").fill("rocketz")
        page.locator("#results p", has_text="Did you mean rockets?").wait_for()
        page.locator("#q").fill("")
        page.get_by_role("heading", name="Newest releases").wait_for()
        page.locator("#q").type("burn")
        page.locator("#count").get_by_text("1 project matches.").wait_for()
        page.locator("#results").get_by_role("link", name="fuel").wait_for()
        # What a screen reader says.
        page.get_by_role("status").get_by_text("1 project matches.", exact=True).wait_for()
        assert page.locator("h1").is_visible()
        with page.expect_event("load"):
            page.keyboard.press("Enter")
        page.locator("main").get_by_role("link", name="fuel").first.click()
        visit.await_path("/fuel/")
        assert page.get_by_role("link", name="rockets").count() > 0, "who depends on it"
        assert "secret" not in page.content()


def found(visit: Visit, path: str) -> int:
    visit.go(path)
    return int(visit.page.locator("#results a").count())


def test_without_script_everything_works(browser: Any, site: Publishing) -> None:
    with visiting(browser, site.server, java_script_enabled=False) as visit:
        page = visit.page
        wait_until(lambda: found(visit, "/?q=rockets") > 0, "the search index has rockets")
        visit.go("/")
        page.locator("#q").fill("rockets")
        with page.expect_event("load"):
            page.keyboard.press("Enter")
        page.locator("main").get_by_role("link", name="rockets").first.click()
        visit.await_path("/rockets/")
        assert page.locator("button.copy:visible").count() == 0
        page.locator("label", has_text="uv").first.click()
        assert "uv pip install" in page.locator(".tab:visible code").first.inner_text()


def test_a_person_looks_inside_and_compares(browser: Any, site: Publishing) -> None:
    with visiting(browser, site.server) as visit:
        page = visit.page
        visit.go("/rockets/")
        page.get_by_role("link", name="look inside").first.click()
        visit.await_path("/-/inside/rockets/")
        page.locator("main table a", has_text=".py").first.click()
        page.locator("pre.lines").wait_for()
        assert page.locator("pre.lines").count() == 1
        visit.go("/rockets/")
        page.get_by_role("link", name="compare").first.click()
        visit.await_path("/-/diff/rockets/")
        assert "What changed" in page.locator("h1").inner_text()


def test_private_projects_are_hidden_and_shown_after_login(browser: Any, site: Publishing) -> None:
    with visiting(browser, site.server) as visit:
        page = visit.page
        for path in ("/", "/simple/", "/fuel/", "/?q=secret"):
            visit.go(path)
            assert "A project for alice" not in page.content()
            assert page.get_by_role("link", name="secret").count() == 0
    login = {"username": "alice", "password": site.passwords["alice"]}
    with visiting(browser, site.server, http_credentials=login) as visit:
        visit.go("/secret/")
        assert visit.page.locator("h1").first.inner_text() == "secret 0.1"
        visit.complaints.clear()  # The console shows the 401 that the browser answered with the login.


CLICK_TWICE = """() => {
  const sent = [];
  window.addEventListener("submit", (event) => {
    sent.push(!event.defaultPrevented);
    event.preventDefault();
  });
  const button = document.querySelector(".fields button");
  button.click();
  button.click();
  return sent;
}"""


def test_a_person_makes_a_token_and_revokes_it(browser: Any, site: Publishing) -> None:
    login = {"username": "alice", "password": site.passwords["alice"]}
    with visiting(browser, site.server, http_credentials=login) as visit:
        page = visit.page
        visit.go("/fuel/")
        page.get_by_role("link", name="Log in").click()
        page.get_by_role("link", name="alice").click()
        visit.await_path("/-/account/")
        # A second click, while the answer to the first one is on its way, sends nothing: nobody would see that secret.
        page.wait_for_load_state()
        assert page.evaluate(CLICK_TWICE) == [True, False]
        page.reload()
        page.get_by_label("upload").check()
        page.get_by_label("On these projects").fill("rockets")
        page.get_by_label("Note").fill("<b>for the pipeline</b>")
        page.get_by_role("button", name="Make the token").click()
        secret = page.locator("section.good .snippet code").inner_text()
        page.wait_for_load_state()
        assert page.get_by_role("cell", name="<b>for the pipeline</b>").is_visible()
        assert site.server.get("/-/api/whoami", Authorization=f"Bearer {secret}").status == 200
        assert page.locator(".tokens tbody tr").count() == 1
        assert not page.get_by_role("button", name="Revoke").is_visible()
        page.locator(".revoke summary").click()
        page.get_by_role("button", name="Revoke").click()
        page.get_by_text("1 token that ended").wait_for()
        assert site.server.get("/-/api/whoami", Authorization=f"Bearer {secret}").status == 401
        visit.complaints.clear()  # The console shows the 401 that the browser answered with the login.


def test_hostile_descriptions_do_nothing(browser: Any, site: Publishing) -> None:
    with visiting(browser, site.server) as visit:
        for path in sorted(site.server.root.glob("hostile*")):
            visit.go(f"/{path.name}/")
            visit.await_path(f"/{path.name}/")
            assert visit.page.evaluate("document.querySelectorAll('main').length") == 1
            assert visit.page.evaluate("document.getElementById('q').tagName") == "INPUT"
            handlers = "[...document.querySelectorAll('*')].filter(e => e.getAttributeNames().some(n => /^on/i.test(n))).length"
            assert visit.page.evaluate(handlers) == 0


def test_hostile_descriptions_do_nothing_in_excerpts(browser: Any, site: Publishing) -> None:
    """Neither in the page of results nor as the script shows it."""
    with visiting(browser, site.server) as visit:
        page = visit.page
        wait_until(lambda: found(visit, "/?q=alert") > 0, "the search index has the hostile ones")
        assert page.locator("#results mark").count() > 0
        shown = page.locator("#results .excerpt").all_inner_texts()
        visit.go("/")
        page.locator("#q").type("alert")
        page.locator("#results mark").first.wait_for()
        assert page.locator("#results .excerpt").all_inner_texts() == shown
        assert page.locator("#results script, #results img, #results iframe").count() == 0


SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
SQUEEZED = """[...document.querySelectorAll("main a, main td, main th")]
    .filter((each) => each.checkVisibility() && each.textContent.trim().length > 20)
    .filter((each) => each.getBoundingClientRect().width < 40)
    .map((each) => each.outerHTML)"""


def violations(visit: Visit, axe: str) -> list[object]:
    """Return what axe-core finds on the page that is shown: nothing at all is wanted, not only nothing serious."""
    visit.page.evaluate(axe)
    report = visit.page.evaluate(
        "axe.run({resultTypes: ['violations'], rules: {'target-size': {enabled: true}}})"
    )
    return [(each["id"], [node["html"][:200] for node in each["nodes"]][:3]) for each in report["violations"]]


def test_a_login_that_was_refused_is_a_page_too(browser: Any, site: Publishing, axe: str) -> None:
    with visiting(browser, site.server) as visit:

        def without_dialog(route: Any) -> None:
            # The browser shows it once its dialog is closed, which playwright takes for a failure.
            answer = route.fetch(max_redirects=0)
            assert answer.status == 401
            route.fulfill(status=200, content_type="text/html", body=answer.text())

        visit.page.route("**/-/login", without_dialog)
        visit.go("/-/login")
        assert "Log in with your user name" in visit.page.locator("main").inner_text()
        assert violations(visit, axe) == []


def test_the_keyboard_is_enough(browser: Any, site: Publishing) -> None:
    with visiting(browser, site.server) as visit:
        page = visit.page
        visit.go("/rockets/")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        assert page.locator(".skip").bounding_box()["x"] >= 0, "it is seen once it has the focus"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.tagName") == "SUMMARY", "the first of the content"
        page.keyboard.press("Enter")
        assert page.locator(".chooser ul").is_visible()
        page.keyboard.press("Tab")
        page.keyboard.press("Escape")
        assert not page.locator(".chooser ul").is_visible()
        assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.id") == "install-uv"
        assert "uv pip install" in page.locator(".tab:visible code").first.inner_text()
        assert page.get_by_role("radiogroup", name="Tool").get_by_role("radio").count() == 5


SCREENS = [(375, "dark"), (1280, "light"), *([(375, "light"), (1280, "dark")] if THOROUGH else [])]


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_accessibility(browser: Any, site: Publishing, axe: str, scheme: str, width: int) -> None:
    wheel = wheel_name("rockets", "2.0")
    paths = (
        *(
            "/",
            "/?q=rockets",
            "/rockets/",
            "/rockets/1.1/",
            "/rockets/9.9/",
            f"/{LONG}/",
            "/?q=nothing+like+it",
            "/?q=badge",
            "/?q=rocketz",
            "/-/setup/",
            "/-/docs/",
            "/-/docs/access",
            "/-/why/rockets",
            "/-/status",
            "/nothing/",
            "/-/account/",
            "/-/logout/",
        ),
        *(f"/-/inside/rockets/{wheel}", f"/-/inside/rockets/{wheel}/rockets.py", "/-/diff/rockets/1.0/2.0"),
    )
    # On the second screen a part of them, unless all is wanted.
    chosen = paths[:: 1 if (width, scheme) == SCREENS[0] else every(3)]
    login = {"username": "alice", "password": site.passwords["alice"]}
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}, "http_credentials": login}
    with visiting(browser, site.server, **options) as visit:
        titles = set()
        for path in chosen:
            visit.go(path)
            assert violations(visit, axe) == [], path
            titles.add(visit.page.title())
            # At 1280 px 640 is a zoom of 200 %; 320 is the narrowest that WCAG wants (1.4.10).
            for narrow in (width, 640, 320):
                visit.page.set_viewport_size({"width": narrow, "height": 800})
                assert visit.page.evaluate(SIDEWAYS) <= 0, f"{path} scrolls sideways at {narrow} px"
            assert visit.page.evaluate(SQUEEZED) == [], f"{path} has a column of single letters"
            visit.page.set_viewport_size(options["viewport"])
        assert len(titles) == len(chosen), "titles tell pages apart"
        # The console shows the page that is not here, and the 401 that the browser answered with the login.
        visit.complaints[:] = [each for each in visit.complaints if "404" not in each and "401" not in each]
