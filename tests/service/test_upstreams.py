"""The indexes behind one's own, put together, or refused in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twisted.internet.testing import MemoryReactorClock

from simpleindex.core.errors import NotHere, RefusedStart
from simpleindex.core.model import File, Project
from simpleindex.core.names import Kind, ProjectName
from simpleindex.core.sources_file import Sources, Strategy
from simpleindex.core.views import MAIN_VIEW, ViewSettings
from simpleindex.settings import Settings, resolve
from simpleindex.sources.interface import Elsewhere
from simpleindex.store.upstream_cache import KeptListing
from simpleindex.upstreams import Upstreams, compose_upstreams, union_of
from tests.builders import add_wheel
from tests.live_world import World, error, result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from simpleindex.sources.interface import Source

from simpleindex.sources.local import LocalSource

UPSTREAM = '[[upstream]]\nname = "behind"\nurl = "https://index.example/simple"\n'


def settings(tmp_path: Path, content: str | None) -> Settings:
    """Settings with such a sources file."""
    environment = {"STATE_DIRECTORY": str(tmp_path / "state"), "CACHE_DIRECTORY": str(tmp_path / "cache")}
    if content is not None:
        (tmp_path / "sources.toml").write_text(content)
    return resolve({"sources": "sources.toml"}, environment, tmp_path)


async def at_once(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """A thread that is none."""
    return function(*arguments, **options)


def compose(tmp_path: Path, content: str | None) -> Upstreams:
    """Put it together over an empty directory."""
    world = World(tmp_path / "root").begin()
    return compose_upstreams(
        settings(tmp_path, content),
        MemoryReactorClock(),
        LocalSource(world.live, world.directory, world.reads),
        allowances=lambda _: (),
        was_used=lambda _: False,
        in_thread=at_once,
        say=lambda _: None,
        failed=lambda failure: failure.raiseException(),
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "sources.toml cannot be read: No such file"),
        ("own = 1", "not a list of texts for 'own'"),
        (UPSTREAM + 'ca-file = "/nowhere/ca.pem"', "the upstream behind has a ca-file that cannot be read"),
        (
            UPSTREAM + 'credentials = "env:NO_SUCH_VARIABLE"',
            "env:NO_SUCH_VARIABLE, where there is no user:password",
        ),
        (
            UPSTREAM + 'credentials = "file:/nowhere/login"',
            "file:/nowhere/login, where there is no user:password",
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


def test_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named at the start; without the secret. A name of one's own is not here, and nobody is asked."""
    monkeypatch.setenv("LOGIN", "me:secret")
    upstreams = compose(tmp_path, 'own = ["acme-*"]\n' + UPSTREAM + 'credentials = "env:LOGIN"')
    assert upstreams.lines == ("Behind it: behind, https://index.example/simple/.",)
    assert isinstance(error(upstreams.views[MAIN_VIEW].project(ProjectName("acme-x"))), NotHere)
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
    kept = KeptListing(Project(other, (file,)), None, None, 3600, 0.0, {})
    upstreams.cache.keep_listing("https://index.example/simple/", kept)
    view = upstreams.views[MAIN_VIEW]
    assert [each.url for each in result(view.project(other)).files] == [url]
    if mode != "cache":
        assert result(view.file(other, "other-1.0.zip")) == Elsewhere("https://index.example/other-1.0.zip")
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
    """Each is put together of what it names; what is one's own is asked of nobody in any of them."""
    add_wheel(tmp_path / "root", "mine")
    upstreams = compose(tmp_path, VIEWS.replace("[[view]]", UPSTREAM + "[[view]]", 1))
    assert set(upstreams.views) == {"main", "ours", "theirs"}
    assert upstreams.lines[1:] == ("At /ours/: local.", "At /theirs/: behind.")
    mine, acme = ProjectName("mine"), ProjectName("acme-x")
    for view, files in (("main", 1), ("ours", 1)):
        assert len(result(upstreams.views[view].project(mine)).files) == files
    for name in (mine, acme):
        assert isinstance(error(upstreams.views["theirs"].project(name)), NotHere)
        said = result(upstreams.words("theirs", name))
        assert [word.source for word in said] == ["local", "behind"]
        assert said[1].sentence.startswith("is not asked.")
    assert [word.source for word in result(upstreams.words("ours", acme))] == ["local"]
    assert result(upstreams.views["theirs"].projects()).names == ()
    upstreams.stop()


def test_two_directories_in_one_view(tmp_path: Path) -> None:
    """The first that has a project has it alone, or, merged, each adds its files."""
    directories: dict[str, Source] = {}
    for name, version in (("local", "1.0"), ("more", "2.0")):
        add_wheel(tmp_path / name, "acme", version)
        world = World(tmp_path / name).begin()
        directories[name] = LocalSource(world.live, world.directory, world.reads)
    add_wheel(tmp_path / "more", "other")
    for strategy, versions in ((Strategy.FIRST_INDEX, ("1.0",)), (Strategy.MERGE, ("1.0", "2.0"))):
        view = ViewSettings("both", ("local", "more"), strategy, frozenset())
        union = union_of(Sources(), view, directories, {}, was_used=lambda _: False, in_thread=at_once)
        assert result(union.project(ProjectName("acme"))).versions == versions
