"""Upstreams behind the local directory, composed, or refused in a sentence."""

from __future__ import annotations

import base64
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from simpleindex.config.resolution import resolve
from simpleindex.core.errors import NotHere, RefusedStart, SimpleIndexError, Unavailable
from simpleindex.core.files import File
from simpleindex.core.model import Project, Strategy
from simpleindex.core.names import Kind, ProjectName
from simpleindex.core.source import Elsewhere
from simpleindex.core.views import LOCAL, MAIN_VIEW, ViewSettings
from simpleindex.records.database import RecordsDatabase
from simpleindex.records.opening import open_downloads
from simpleindex.records.used_names import UsedNames
from simpleindex.service.check_sources import check_sources
from simpleindex.service.composition.directory import ServedDirectory
from simpleindex.service.composition.upstreams import compose_upstreams
from simpleindex.service.composition.views import ViewParts, compose_view
from simpleindex.service.idle_processes import IdleProcesses
from simpleindex.service.runtime import Runtime, ThreadPools
from simpleindex.upstreams.cache.cached_listings import CachedListing
from simpleindex.upstreams.cache.file_keys import UpstreamFileKey
from simpleindex.upstreams.cache.pins import Pins
from simpleindex.upstreams.pages.flat import FLAT_PAGE_NAME
from simpleindex.views.sources_file import Sources
from simpleindex.views.union import UpstreamMember
from tests.fixtures.deferreds import error, result
from tests.fixtures.distributions import add_wheel, wheel_name
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.live_directory import LiveDirectoryFixture
from tests.fixtures.threads import InlineThreads
from tests.views.test_union import Absent

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from pathlib import Path
    from typing import Any

    from simpleindex.config.settings import Settings
    from simpleindex.core.source import Source
    from simpleindex.service.composition.sources import ComposedSources
    from tests.fixtures.log import CapturedLog

from simpleindex.directory.source import LocalSource
from simpleindex.records.audit.audit import Audit
from simpleindex.records.start_check import initialize_records

UPSTREAM = '[[upstream]]\nname = "behind"\nurl = "https://index.example/simple"\n'


def settings(tmp_path: Path, content: str | None) -> Settings:
    """Settings with such a sources file."""
    environment = {"STATE_DIRECTORY": str(tmp_path / "state"), "CACHE_DIRECTORY": str(tmp_path / "cache")}
    if content is not None:
        (tmp_path / "sources.toml").write_text(content)
    return resolve({"sources": "sources.toml"}, environment, tmp_path)


async def in_no_thread(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """A thread that is none."""
    return function(*arguments, **options)


def view_parts(directories: Mapping[str, Source], upstreams: Mapping[str, UpstreamMember]) -> ViewParts:
    """Parts of a view without rules, whose names were never used."""
    return ViewParts(directories, upstreams, directories, lambda _: False, lambda _: False, InlineThreads())


class Composition:
    """The sources of a sources file, and what the service does with its upstreams."""

    def __init__(self, sources: ComposedSources) -> None:
        assert sources.upstreams is not None
        upstreams = sources.upstreams
        self.views, self.explain, self.directories = sources.views, sources.explain, sources.directories
        self.may_offer = sources.may_offer
        self.lines, self.cache = tuple(upstreams.lines()), upstreams.cache
        self.agents = [each.agent for each in upstreams.connected]
        self.cached_files = upstreams.cached_files
        self.load, self.follow, self.reload, self.stop = (
            upstreams.load,
            upstreams.follow,
            upstreams.reload,
            upstreams.stop,
        )


def compose(tmp_path: Path, content: str | None) -> Composition:
    """Put it together over the directory root, and read that and its other directories."""
    (tmp_path / "root").mkdir(exist_ok=True)
    start = settings(tmp_path, content)
    # As the service does at its start.
    initialize_records(str(start.state), anew=False)
    inline, reactor = InlineThreads(), MemoryReactorClock()
    threads = ThreadPools(*[inline] * 12)
    examiner: Any = InProcessExaminer()
    idle, records = IdleProcesses(examiner, reactor, inline), RecordsDatabase(str(start.state))
    downloads = open_downloads(str(start.state))
    runtime = Runtime(
        start, lambda: start, reactor, threads, examiner, idle, records, downloads, Audit(str(start.state))
    )
    used_names = UsedNames(records)
    first = ServedDirectory(str(tmp_path / "root"), LOCAL, runtime, used_names)
    sources = compose_upstreams(runtime, first, used_names)
    for each in sources.directories:
        each.begin()
    return Composition(sources)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "sources.toml cannot be read: No such file"),
        ("own = 1", "not a list of texts for 'own'"),
        (
            UPSTREAM + 'ca-file = "/nowhere/ca.pem"',
            "the upstream behind has the ca-file /nowhere/ca.pem, which cannot be read: No such file or directory",
        ),
        (
            UPSTREAM + 'credentials = "env:NO_SUCH_VARIABLE"',
            "env:NO_SUCH_VARIABLE, where there is no user:password",
        ),
        (
            UPSTREAM + 'credentials = "file:/nowhere/login"',
            "file:/nowhere/login, which cannot be read: No such file or directory",
        ),
    ],
)
def test_refused_starts(tmp_path: Path, content: str | None, sentence: str) -> None:
    """What cannot be used is named with its place."""
    with pytest.raises(RefusedStart) as caught:
        compose(tmp_path, content)
    assert sentence in str(caught.value)


def test_a_ca_file_that_holds_none(tmp_path: Path) -> None:
    """Neither is this used."""
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(RefusedStart, match="the upstream behind"):
        compose(tmp_path, UPSTREAM + f'ca-file = "{tmp_path / "ca.pem"}"')


@pytest.mark.parametrize("how", ["SIGHUP", "by itself"])
def test_credentials_that_change(tmp_path: Path, how: str) -> None:
    """They are taken up while the server runs."""
    login = tmp_path / "login"
    login.write_text("me:one")
    upstreams = compose(tmp_path, UPSTREAM + f'credentials = "file:{login}"')
    agent: Any = upstreams.agents[0]
    sent: list[str] = []

    def request(method: bytes, uri: bytes, headers: Any, body: Any = None) -> Deferred[Any]:
        sent.append(base64.b64decode(headers.getRawHeaders(b"authorization")[0].split()[1]).decode())
        return Deferred()

    agent.request = request
    for password in ("one", "two"):
        login.write_text(f"me:{password}")
        if how == "SIGHUP":
            upstreams.reload()
        else:
            following: Any = upstreams.follow()
            result(following)
        Deferred.fromCoroutine(upstreams.views[MAIN_VIEW].project(ProjectName(f"name-{password}")))
    assert sent == ["me:one", "me:two"]
    upstreams.stop()


@pytest.mark.parametrize("fails", [False, True])
def test_pins_of_before_there_were_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: CapturedLog, *, fails: bool
) -> None:
    """They are taken over at the start; where that fails, the log says so and the index runs."""
    adopted: list[tuple[str, str]] = []

    def adopt(_: Pins, url: str, identity: str) -> None:
        adopted.append((url, identity))
        if fails:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(Pins, "adopt", adopt)
    monkeypatch.setenv("LOGIN", "me:secret")
    upstreams = compose(tmp_path, UPSTREAM + 'credentials = "env:LOGIN"')
    log.clear()
    upstreams.load()
    ((url, identity),) = adopted
    assert url == "https://index.example/simple/" != identity
    assert ("What is pinned of behind cannot be read: Input/output error." in log.lines) is fails
    upstreams.stop()


def test_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named at the start; without the secret. A private name is not here, and no upstream is requested."""
    monkeypatch.setenv("LOGIN", "me:secret")
    upstreams = compose(tmp_path, 'own = ["acme-*"]\n' + UPSTREAM + 'credentials = "env:LOGIN"')
    assert upstreams.lines == ("Behind it: behind, https://index.example/simple/.",)
    assert isinstance(error(upstreams.views[MAIN_VIEW].project(ProjectName("acme-x"))), NotHere)
    upstreams.stop()


def test_which_files_of_upstreams_are_cached(tmp_path: Path) -> None:
    """Only those of upstreams are asked about, and what the cache has is told from what it has not."""
    upstreams = compose(tmp_path, UPSTREAM)
    other = ProjectName("other")
    files = [
        File(f"other-{version}.zip", version, Kind.SDIST, None, None, None, source=source)
        for version, source in (("1.0", "behind"), ("2.0", "behind"), ("3.0", "local"))
    ]
    upstreams.cache.files.keep_bytes(
        b"one", UpstreamFileKey("https://index.example/simple/", other, "other-1.0.zip")
    )
    upstreams.load()
    assert upstreams.cached_files(other, files) == {"other-1.0.zip": True, "other-2.0.zip": False}
    upstreams.stop()


@pytest.mark.parametrize(
    ("mode", "line", "url"),
    [
        ("cache", "Behind it: behind, https://index.example/simple/.", None),
        (
            "redirect",
            "Behind it: behind, https://index.example/simple/, to which clients are sent for files.",
            None,
        ),
        (
            "listing-only",
            "Behind it: behind, https://index.example/simple/, whose files clients get there without asking here.",
            "https://index.example/other-1.0.zip",
        ),
    ],
)
def test_modes(tmp_path: Path, mode: str, line: str, url: str | None) -> None:
    """Each is said at the start, and decides what a page links to."""
    upstreams = compose(tmp_path, UPSTREAM + f'mode = "{mode}"')
    assert upstreams.lines == (line,)
    other = ProjectName("other")
    file = File(
        "other-1.0.zip", "1.0", Kind.SDIST, None, None, None, url="https://index.example/other-1.0.zip"
    )
    kept = CachedListing(Project(other, (file,)), None, None, 3600, 0.0, {})
    upstreams.cache.store_listing("https://index.example/simple/", kept)
    view = upstreams.views[MAIN_VIEW]
    assert [each.url for each in result(view.project(other)).files] == [url]
    if mode != "cache":
        assert result(view.file(other, "other-1.0.zip")) == Elsewhere("https://index.example/other-1.0.zip")
    upstreams.stop()


def test_a_flat_upstream(tmp_path: Path) -> None:
    """Its page is kept as one, and is the list of its projects too."""
    upstreams = compose(tmp_path, UPSTREAM.replace("simple", "links.html") + "flat = true")
    other = ProjectName("other")
    file = File(
        "other-1.0.zip", "1.0", Kind.SDIST, None, None, None, url="https://index.example/other-1.0.zip"
    )
    kept = CachedListing(Project(FLAT_PAGE_NAME, (file,)), None, None, 3600, 0.0, {})
    upstreams.cache.store_listing("https://index.example/links.html", kept)
    view = upstreams.views[MAIN_VIEW]
    assert [each.filename for each in result(view.project(other)).files] == ["other-1.0.zip"]
    assert result(view.projects()).names == ("other",)
    upstreams.stop()


def test_nothing_behind(tmp_path: Path) -> None:
    """A file without upstreams changes nothing."""
    upstreams = compose(tmp_path, "# nobody\n")
    assert upstreams.lines == ()
    assert isinstance(error(upstreams.views[MAIN_VIEW].project(ProjectName("other"))), NotHere)


VIEWS = """
own = ["acme-*"]
[[view]]
name = "ours"
sources = ["local"]
[[view]]
name = "theirs"
sources = ["behind"]
"""


def test_views(tmp_path: Path) -> None:
    """Each is put together of what it names; private names are requested from no upstream in any of them."""
    add_wheel(tmp_path / "root", "mine")
    upstreams = compose(tmp_path, VIEWS.replace("[[view]]", UPSTREAM + "[[view]]", 1))
    assert set(upstreams.views) == {"main", "ours", "theirs"}
    assert upstreams.lines[1:] == ("At /ours/: local.", "At /theirs/: behind.")
    mine, acme = ProjectName("mine"), ProjectName("acme-x")
    for view, files in (("main", 1), ("ours", 1)):
        assert len(result(upstreams.views[view].project(mine)).files) == files
    for name in (mine, acme):
        assert isinstance(error(upstreams.views["theirs"].project(name)), NotHere)
        said = result(upstreams.explain("theirs", name))
        assert [word.source for word in said] == ["local", "behind"]
        assert said[1].sentence.startswith("is not requested.")
    assert [word.source for word in result(upstreams.explain("ours", acme))] == ["local"]
    assert result(upstreams.views["theirs"].projects()).names == ()
    upstreams.stop()


DIRECTORIES = """
[[directory]]
name = "staging"
path = "staging"
[[directory]]
name = "more"
path = "{more}"
"""


def with_directories(tmp_path: Path, content: str) -> Composition:
    """With staging, beside the sources file, and more, elsewhere; each has a project of its own and all have acme."""
    for number, name in enumerate(("root", "staging", "elsewhere/more"), 1):
        add_wheel(tmp_path / name, "acme", f"{number}.0")
        add_wheel(tmp_path / name, name.rpartition("/")[2])
    return compose(tmp_path, content + DIRECTORIES.format(more=tmp_path / "elsewhere" / "more"))


@pytest.mark.parametrize(
    ("strategy", "versions"),
    [
        ("first-index", ("1.0",)),
        ("merge", ("1.0", "2.0", "3.0")),
        ("isolated", ("1.0",)),
    ],
)
def test_directories(tmp_path: Path, strategy: str, versions: tuple[str, ...]) -> None:
    """The first that has a project has it alone, or, merged, each adds its files; all of them are local."""
    upstreams = with_directories(tmp_path, f'strategy = "{strategy}"\n')
    assert upstreams.lines == (
        f"Beside it: staging, {tmp_path / 'staging'}.",
        f"Beside it: more, {tmp_path / 'elsewhere' / 'more'}.",
    )
    view = upstreams.views[MAIN_VIEW]
    assert result(view.project(ProjectName("acme"))).versions == versions
    assert result(view.projects()).names == ("acme", "more", "root", "staging")
    body = result(view.file(ProjectName("more"), wheel_name("more")))
    assert body.size == (tmp_path / "elsewhere" / "more" / "more" / wheel_name("more")).stat().st_size
    body.close()
    upstreams.stop()


DIRECTORY_VIEWS = """
[[view]]
name = "staged"
sources = ["staging", "behind"]
[[view]]
name = "alone"
sources = ["local", "more"]
strategy = "isolated"
"""


def test_a_hidden_directory_is_one_s_own(tmp_path: Path) -> None:
    """What a view does not show of it is asked of nobody; that it cannot be read ends every question."""
    upstreams = with_directories(tmp_path, UPSTREAM + DIRECTORY_VIEWS)
    staged = upstreams.views["staged"]
    assert result(staged.project(ProjectName("acme"))).versions == ("2.0",)
    for hidden in ("more", "root"):
        assert isinstance(error(staged.project(ProjectName(hidden))), NotHere)
    assert result(staged.projects()).names == ("acme", "staging")
    assert result(upstreams.views["alone"].projects()).names == ("acme", "more", "root")
    shutil.rmtree(tmp_path / "elsewhere")
    upstreams.directories[2].live.root_changed()
    for name in ("more", "unknown"):
        assert isinstance(error(staged.project(ProjectName(name))), Unavailable)
    upstreams.stop()


def test_what_may_lie_behind_a_view(tmp_path: Path) -> None:
    rule = '[[rule]]\nname = "no"\naction = "deny"\nprojects = ["torch"]\nviews = ["main"]\n'
    sources = 'own = ["acme-*"]\n' + UPSTREAM + 'exclude = ["left-out"]\n' + DIRECTORY_VIEWS + rule
    upstreams = with_directories(tmp_path, sources)

    def expected(view: str) -> list[str]:
        names = ("acme", "acme-tool", "torch", "left-out", "other")
        return [name for name in names if upstreams.may_offer(view, ProjectName(name))]

    assert expected("main") == ["acme", "other"]
    assert expected("staged") == ["acme", "torch", "other"]
    assert expected("alone") == []
    upstreams.stop()


def test_words_of_directories(tmp_path: Path) -> None:
    """Each says what it has, by its name; also the one that a view does not show."""
    upstreams = with_directories(tmp_path, UPSTREAM + DIRECTORY_VIEWS)

    def said(view: str, name: str) -> list[tuple[str, str]]:
        return [(word.source, word.sentence) for word in result(upstreams.explain(view, ProjectName(name)))]

    assert said("main", "acme") == [
        ("local", "has it, with 1 file to offer."),
        ("staging", "is not requested: local comes first, and has it."),
        ("more", "is not requested: local comes first, and has it."),
        ("behind", "is not requested. acme is a name of this index, so it is requested from no upstream."),
    ]
    assert said("staged", "more")[:3] == [
        ("staging", "has no such project."),
        ("local", "has no such project."),
        ("more", "has it, and this view does not show it."),
    ]
    upstreams.stop()


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("nowhere", "the directory staging, {tmp}/nowhere, is not there."),
        ("file", "the directory staging, {tmp}/file, is not there."),
        ("root", "the directory local, {tmp}/root, lies within {tmp}/root, which is staging; give each"),
        ("root/below", "the directory staging, {tmp}/root/below, lies within {tmp}/root, which is local"),
        (".", "the directory local, {tmp}/root, lies within {tmp}, which is staging"),
        ("link", "the directory local, {tmp}/root, lies within {tmp}/link, which is staging"),
    ],
)
def test_directories_that_cannot_be(tmp_path: Path, path: str, sentence: str) -> None:
    """Those that are not there, and those that are within another, also by a link."""
    (tmp_path / "root" / "below").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("root")
    with pytest.raises(RefusedStart) as caught:
        compose(tmp_path, f'[[directory]]\nname = "staging"\npath = "{path}"\n')
    assert sentence.format(tmp=tmp_path) in str(caught.value)


def test_two_directories_in_one_view(tmp_path: Path) -> None:
    """The first that has a project has it alone, or, merged, each adds its files."""
    directories: dict[str, Source] = {}
    for name, version in (("local", "1.0"), ("more", "2.0")):
        add_wheel(tmp_path / name, "acme", version)
        world = LiveDirectoryFixture(tmp_path / name).begin()
        directories[name] = LocalSource(world.live, world.directory, world.reads)
    add_wheel(tmp_path / "more", "other")
    for strategy, versions in ((Strategy.FIRST_INDEX, ("1.0",)), (Strategy.MERGE, ("1.0", "2.0"))):
        view = ViewSettings("both", ("local", "more"), strategy, frozenset())
        union = compose_view(Sources(), view, view_parts(directories, {}))
        assert result(union.project(ProjectName("acme"))).versions == versions


def test_a_name_that_was_here_once(tmp_path: Path) -> None:
    """What was put there by hand and taken away again is asked of nobody, also by the next process."""
    wheel = add_wheel(tmp_path / "root", "mine")
    for _ in range(2):
        upstreams = compose(tmp_path, UPSTREAM)
        result(cast("Coroutine[Any, Any, None]", upstreams.follow()))
        wheel.unlink(missing_ok=True)
        if wheel.parent.exists():
            wheel.parent.rmdir()
    upstreams = compose(tmp_path, UPSTREAM)
    assert isinstance(error(upstreams.views[MAIN_VIEW].project(ProjectName("mine"))), NotHere)
    (_, said) = result(upstreams.explain(MAIN_VIEW, ProjectName("mine")))
    assert said.sentence.startswith("is not requested. mine was once a project of this index")
    upstreams.stop()


def test_checked_without_a_start(tmp_path: Path) -> None:
    """What the server would refuse is refused, and what it would obey is counted."""
    path = tmp_path / "sources.toml"
    path.write_text(UPSTREAM + '[[rule]]\nadvisories = "osv"\n[[rule]]\naction = "deny"\nprojects = ["x"]\n')
    with pytest.raises(RefusedStart, match="osv', which"):
        check_sources(str(path), str(tmp_path / "cache"))
    (tmp_path / "osv").mkdir()
    (tmp_path / "osv" / "a.json").write_text("{")
    checked = check_sources(str(path), str(tmp_path / "cache"))
    assert checked.summary == "1 upstream, 0 further directories, 0 views, 2 rules."
    assert any("a.json" in line for line in checked.warnings)
    assert not any("a.json" in line for line in checked.notes)
    path.write_text("x = 1")
    with pytest.raises(RefusedStart, match="unknown key"):
        check_sources(str(path), str(tmp_path / "cache"))


@pytest.mark.parametrize("uploaded_ns", [None, 1])
@pytest.mark.parametrize("rule", ['min-age = "7d"', "not-after = 2026-01-01", "max-size = 9"])
def test_rules_about_ages_that_an_upstream_does_not_state(
    tmp_path: Path, uploaded_ns: int | None, rule: str
) -> None:
    """They are named, by the check and at the start, as soon as something is kept of it."""
    content = f'{UPSTREAM}[[rule]]\nname = "cooldown"\n{rule}\n'
    upstreams = compose(tmp_path, content)
    path = str(tmp_path / "sources.toml")
    assert check_sources(path, str(tmp_path / "cache")).warnings == ()
    file = File(wheel_name(), "1.0", Kind.WHEEL, 1, None, uploaded_ns, url="https://index.example/x")
    project = Project(ProjectName("acme"), (file,))
    upstreams.cache.store_listing(
        "https://index.example/simple/", CachedListing(project, None, None, None, 0.0, {})
    )
    warnings = check_sources(path, str(tmp_path / "cache")).warnings
    told = "behind states no upload times for some files, so the rule cooldown judges them" in "".join(
        warnings
    )
    assert told == (uploaded_ns is None and "size" not in rule)
    upstreams.stop()


class Own(Absent):
    """One of the local directories: it has the project or not, or cannot tell."""

    def __init__(self, state: str) -> None:
        super().__init__()
        if state == "has":
            self.add("acme-1.0.zip", b"own")
        self.can_tell = state != "cannot tell"

    async def project(self, name: ProjectName) -> Project:
        if not self.can_tell:
            raise Unavailable("unmounted")
        return await super().project(name)


@given(
    st.dictionaries(
        st.sampled_from(["local", "staging", "more"]),
        st.sampled_from(["has", "has not", "cannot tell"]),
        min_size=1,
    ),
    st.lists(st.sampled_from(["local", "staging", "more"]), unique=True),
    st.sampled_from([Strategy.FIRST_INDEX, Strategy.MERGE]),
    st.sampled_from(["project", "file", "words"]),
)
def test_a_name_of_any_directory_is_heard_by_nobody(
    states: dict[str, str], shown: list[str], strategy: Strategy, question: str
) -> None:
    """Whichever has it, or cannot tell; whichever a view shows; by every way to ask."""
    own = {name: Own(state) for name, state in states.items()}
    upstream = Absent()
    upstream.add("acme-9.0.zip", b"evil")
    view = ViewSettings("v", (*[name for name in shown if name in own], "behind"), strategy, frozenset())
    behind = UpstreamMember(upstream, is_listed=True, name="behind")
    union = compose_view(Sources(strategy), view, view_parts(own, {"behind": behind}))
    acme = ProjectName("acme")
    with suppress(SimpleIndexError):
        asking = {
            "project": lambda: union.project(acme),
            "file": lambda: union.file(acme, "acme-9.0.zip"),
            "words": lambda: union.words(acme),
        }[question]
        result_or_error(asking())
    if {"has", "cannot tell"} & set(states.values()):
        assert "acme" not in upstream.names()
    else:
        assert "acme" in upstream.names()


def result_or_error(asking: Any) -> None:
    """Wait for whatever comes of it."""
    failures: list[Any] = []
    Deferred.fromCoroutine(asking).addErrback(failures.append)
    assert all(failure.check(SimpleIndexError) for failure in failures)
