"""Searching as one reader may: what is found, in pages, and that nothing is seen that the reader's source does not offer."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from simpleindex.core.errors import NotAllowed, Unavailable
from simpleindex.core.model import Project, Status
from simpleindex.core.names import ProjectName
from simpleindex.search import candidates, search
from simpleindex.search.candidates import MOST
from simpleindex.search.query import parse_query
from simpleindex.search.search import PATIENCE
from tests.fixtures.deferreds import result
from tests.fixtures.depth import number_of
from tests.fixtures.stub_source import StubSource
from tests.search.world import SearchWorld

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path
    from typing import Any


@pytest.fixture
def world(tmp_path: Path) -> SearchWorld:
    """An index of a few projects."""
    world = SearchWorld(tmp_path)
    world.add("flask", "3.0", "Summary: A web framework", "Author: Armin", "Requires-Dist: werkzeug>=3")
    world.add("flask-login", "0.6", "Summary: Sessions of users", "Requires-Dist: Flask>=1", "Keywords: auth")
    world.add("werkzeug", "3.1", body="The WSGI library behind frameworks.\nNot only for flask.")
    world.add("numpy", "2.0", "Author-email: Travis <travis@example.com>", "Classifier: Framework :: WSGI")
    world.index()
    return world


def value(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns at once."""
    return result(Deferred.fromCoroutine(coroutine))


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("flask", ["flask", "flask-login", "werkzeug"]),
        ("FLASK_login", ["flask-login"]),
        ("web framework", ["flask"]),
        ("behind frameworks", ["werkzeug"]),
        ("framework :: wsgi", ["numpy"]),
        (":: Framework", ["numpy"]),
        ('"behind frameworks"', ["werkzeug"]),
        ('"frameworks behind"', []),
        ("auth", ["flask-login"]),
        ("wer", ["werkzeug"]),
        ("fl", ["flask", "flask-login"]),
        ("f", ["flask", "flask-login"]),
        ("author:armin", ["flask"]),
        ("author:travis@example.com", ["numpy"]),
        ("author:ar", ["flask"]),
        ("depends:flask", ["flask-login"]),
        ("depends:WERKZEUG web", ["flask"]),
        ("depends:werkzeug users", []),
        ("python:nothing", []),
        ("flask' OR 1=1 --", []),
        ("", []),
        ("%", []),
        ("*", []),
    ],
)
def test_finding(world: SearchWorld, query: str, names: list[str]) -> None:
    assert world.names(query) == names


def test_python_admits(world: SearchWorld) -> None:
    world.source.add("old-1-py2-none-any.whl", metadata=b"Name: old\nVersion: 1\n", requires_python="<3")
    world.indexer.note("local", ProjectName("old"))
    world.finish()
    assert world.names("old python:2.7") == ["old"]
    assert world.names("old python:3.12") == []
    assert "flask" in world.names("python:3.12")


@pytest.mark.parametrize(
    ("requires", "admitted", "others"),
    [
        (">=3.9.1", "python:3.9 python:3 python:3.9.2 python:3.10", "python:3.9.0"),
        (">=3.8,<3.10", "python:3.8 python:3.9 python:3", "python:3.10"),
        (">=3.7.1,<3.8", "python:3.7 python:3", "python:3.8"),
        ("==3.11.*", "python:3.11 python:3", "python:3.12"),
        ("<3", "python:2 python:2.7", "python:3"),
        (">=3.13", "python:3.14 python:3", "python:3.13rc1"),
    ],
)
def test_a_version_of_python_without_patch_release_is_any_of_its_releases(
    tmp_path: Path, requires: str, admitted: str, others: str
) -> None:
    world = SearchWorld(tmp_path)
    world.source.add(
        "acme-1-py3-none-any.whl", metadata=b"Name: acme\nVersion: 1\n", requires_python=requires
    )
    world.index()
    for query in (*admitted.split(), f"{admitted.split(maxsplit=1)[0]} {admitted.split()[1]}"):
        assert world.names(query) == ["acme"], query
    for query in (*others.split(), f"{admitted.split(maxsplit=1)[0]} {others}"):
        assert world.names(query) == [], query


@pytest.mark.parametrize(
    "query",
    [
        "cafe",
        "CAFÉ",
        "cafe\u0301",
        "\uff43\uff41\uff46\uff45",
        "日志",
        "日",
        "日志库",
        "ünïcode",
        "author:müller",
        "author:muller",
        "한국",
    ],
)
def test_finding_in_other_languages(world: SearchWorld, query: str) -> None:
    world.add("acme", "1.0", "Summary: Das Café", "Author: J. Müller", body="结构化日志库 unicode 한국어")
    world.indexer.note("local", ProjectName("acme"))
    world.finish()
    assert world.names(query) == ["acme"]
    assert world.names(f"{query} werkzeug") == []


def test_pages(world: SearchWorld) -> None:
    first = world.results("flask", limit=2)
    assert ([hit.project for hit in first.hits], first.has_more) == (["flask", "flask-login"], True)
    second = world.results("flask", limit=2, start=2)
    assert ([hit.project for hit in second.hits], second.has_more) == (["werkzeug"], False)


@pytest.fixture
def _no_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let searches among hundreds of projects come to their end: a slow machine would end some of them earlier than others."""
    monkeypatch.setattr(candidates, "LONGEST_SEARCH", math.inf)


@pytest.mark.usefixtures("_no_haste")
def test_pages_have_one_order(tmp_path: Path) -> None:
    """Also where candidates beyond the first are looked up: nothing comes twice, and nothing is left out."""
    world = SearchWorld(tmp_path)
    for number in range(MOST + 60):
        world.add(f"x-{number:04}-acme", "1.0")
    for number in range(MOST):
        world.add(f"y-{number:04}-acme", "1.0")
    world.index()
    pages = [world.results("acme", start=start) for start in range(0, 2 * MOST + 60, 20)]
    names = [hit.project for page in pages for hit in page.hits]
    assert sorted(names) == sorted(world.source.pages)
    assert [page.has_more for page in pages] == [True] * (len(pages) - 1) + [False]


def test_a_hit_has_version_summary_and_time(world: SearchWorld) -> None:
    hit = world.results("flask").hits[0]
    assert (hit.title, hit.version, hit.summary) == ("flask", "3.0", "A web framework")
    assert hit.uploaded_ns == world.source.pages["flask"].files[0].uploaded_ns


@pytest.mark.parametrize(
    ("query", "project", "matched"),
    [
        ("flask", "werkzeug", ["flask"]),
        ("behind", "werkzeug", ["behind"]),
        ("WSGI", "werkzeug", ["WSGI"]),
        ("werkzeug wsgi library", "werkzeug", ["WSGI", "library"]),
        ('"behind frameworks"', "werkzeug", ["behind frameworks"]),
        ("framework :: wsgi", "numpy", ["Framework", "::", "WSGI"]),
        ("auth users", "flask-login", ["auth"]),
        ("flask", "flask", []),
        ("web framework", "flask", []),
        ("Flask_Login", "flask-login", []),
        ("author:armin", "flask", []),
        ("python:3.12 behind", "werkzeug", ["behind"]),
        ("fl", "flask", []),
    ],
)
def test_a_hit_shows_why_it_is_one(world: SearchWorld, query: str, project: str, matched: list[str]) -> None:
    """The words around what neither the name nor the summary shows."""
    (hit,) = (hit for hit in world.results(query).hits if hit.project == project)
    assert [*hit.excerpt[1::2]] == matched


def test_only_the_hits_of_a_page_are_explained(world: SearchWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    explained = list[int]()

    def counted(database: Any, terms: Any) -> Any:
        explained.append(len(terms))
        return candidates.excerpts(database, terms)

    monkeypatch.setattr(search, "excerpts", counted)
    for number in range(30):
        world.add(f"other-{number}", body="needles")
        world.indexer.note("local", ProjectName(f"other-{number}"))
    world.finish()
    assert len(world.results("needle").hits) == len(world.results("needle", start=20).hits) + 10 == 20
    assert explained == [20, 10]


@pytest.mark.parametrize("typed", ["flsk", "flaskk", "fllask", "Flaks", "falsk", "f1ask"])
def test_a_slip_of_the_keyboard(world: SearchWorld, typed: str) -> None:
    assert world.names(typed) == []
    assert world.near(typed) == ("flask",)
    assert world.near(f"author:armin {typed}") == ()


def test_near_names_of_two_words_of_many_and_of_none(world: SearchWorld) -> None:
    assert world.near("flask logn") == ("flask-login",)
    assert world.near("flask") == world.near("") == world.near("日志") == world.near("x" * 200) == ()
    for number in range(10):
        world.add(f"acme{number}")
        world.indexer.note("local", ProjectName(f"acme{number}"))
    world.finish()
    assert world.near("acmex") == ("acme0", "acme1", "acme2", "acme3", "acme4")


@pytest.mark.parametrize(
    "project", [{"status": Status.QUARANTINED}, {"denied": "a rule"}, {"files": ()}, None]
)
def test_no_reader_learns_a_name_of_what_is_not_on_offer(
    world: SearchWorld, project: dict[str, Any] | None
) -> None:
    reader = StubSource()
    if project is not None:
        reader.put(replace(world.source.pages["flask"], **project))
    assert world.near("flsk", reader) == ()


def test_a_reader_without_the_project_does_not_find_it(world: SearchWorld) -> None:
    reader = StubSource()
    reader.put(world.source.pages["werkzeug"])
    assert world.names("flask", reader) == ["werkzeug"]
    assert world.names("author:armin", reader) == []


def test_a_reader_without_the_version_finds_only_the_name(world: SearchWorld) -> None:
    """As behind a rule on the age of files: the text is that of a file which is not offered."""
    reader = StubSource()
    reader.add("flask-2.0-py3-none-any.whl", metadata=b"Name: flask\nVersion: 2.0\n")
    (hit,) = world.results("flask", reader).hits
    assert (hit.version, hit.summary, hit.excerpt) == ("2.0", "", ())
    for query in ("web framework", "author:armin", "depends:werkzeug", "flask author:armin"):
        assert world.names(query, reader) == []
    assert value(world.search.dependents(reader, ProjectName("werkzeug"))) == ()


def test_other_metadata_under_the_same_file_name_are_another_file(world: SearchWorld) -> None:
    reader = StubSource()
    reader.add("flask-3.0-py3-none-any.whl", metadata=b"Name: flask\nVersion: 3.0\n")
    assert world.results("flask", reader).hits[0].summary == ""
    assert world.names("framework", reader) == []


@pytest.mark.parametrize("project", [{"status": Status.QUARANTINED}, {"denied": "a rule"}, {"files": ()}])
def test_what_is_not_on_offer_is_not_found(world: SearchWorld, project: dict[str, Any]) -> None:
    reader = StubSource()
    reader.put(replace(world.source.pages["flask"], **project))
    assert world.names("flask", reader) == []


def test_a_reader_who_may_not_ask_finds_nothing(world: SearchWorld) -> None:
    for error in (NotAllowed("no"), Unavailable("later")):
        reader = StubSource()
        reader.error = error
        assert world.names("flask", reader) == []


def test_an_upstream_that_does_not_answer_is_not_waited_for(world: SearchWorld) -> None:
    reader = StubSource()
    reader.gate = Deferred()
    finding = Deferred.fromCoroutine(world.search.search(reader, parse_query("numpy")))
    assert not finding.called
    world.clock.advance(PATIENCE)
    assert result(finding).hits == ()


def test_upstreams_are_waited_for_once_and_not_for_each_page_of_candidates(tmp_path: Path) -> None:
    world = SearchWorld(tmp_path)
    for number in range(100):
        world.add(f"acme-{number}")
    world.index()
    reader = StubSource()
    reader.gate = Deferred()
    finding = Deferred.fromCoroutine(world.search.search(reader, parse_query("acme")))
    world.clock.advance(PATIENCE)
    assert result(finding).hits == ()
    assert len(reader.asked) == 20


@pytest.mark.usefixtures("_no_haste")
def test_a_reader_who_may_see_few_projects_finds_them_behind_many_others(tmp_path: Path) -> None:
    world = SearchWorld(tmp_path)
    for number in range(300):
        world.add(f"acme-{number}")
    world.add("acme-of-the-reader")
    world.index()
    reader = StubSource()
    reader.put(world.source.pages["acme-of-the-reader"])
    assert world.names("acme", reader) == ["acme-of-the-reader"]


def test_newest_first(world: SearchWorld) -> None:
    newer = world.source.pages["numpy"]
    file = replace(newer.files[0], uploaded_ns=newer.files[0].uploaded_ns or 0 + 5)
    world.source.put(replace(newer, files=(replace(file, uploaded_ns=2 * 10**18),)))
    world.indexer.note("local", ProjectName("numpy"))
    world.finish()
    hits = value(world.search.newest(world.source, 2))
    assert [(hit.project, hit.version) for hit in hits] == [("numpy", "2.0"), ("flask", "3.0")]
    reader = StubSource()
    reader.put(world.source.pages["werkzeug"])
    assert [hit.project for hit in value(world.search.newest(reader, 10))] == ["werkzeug"]


def test_a_yanked_release_is_not_what_is_new(world: SearchWorld) -> None:
    """Unless there is nothing else, or for feeds, which tell of the yank."""
    world.add("flask", "3.1", yanked="explodes")
    world.add("only", "1.0", yanked="explodes")
    for name in ("flask", "only"):
        world.indexer.note("local", ProjectName(name))
    world.finish()
    versions = {hit.project: hit.version for hit in value(world.search.newest(world.source, 10))}
    assert (versions["flask"], versions["only"]) == ("3.0", "1.0")


def test_of_releases_of_one_moment_the_latest_is_new(world: SearchWorld) -> None:
    """As files out of one archive have, and objects that were put within a second."""
    for version in ("3.10", "3.9", "4.0a1"):
        world.add("flask", version)
    world.indexer.note("local", ProjectName("flask"))
    world.finish()
    versions = {hit.project: hit.version for hit in value(world.search.newest(world.source, 10))}
    assert versions["flask"] == "3.10"


def test_dependents(world: SearchWorld) -> None:
    (dependent,) = value(world.search.dependents(world.source, ProjectName("flask")))
    assert (dependent.project, dependent.version, dependent.requirement) == ("flask-login", "0.6", "Flask>=1")


def test_a_project_whose_extra_of_all_extras_requires_itself_is_none_of_its_dependents(
    world: SearchWorld,
) -> None:
    world.add("acme", "1.0", "Provides-Extra: all", "Requires-Dist: acme[a,b]; extra == 'all'")
    world.indexer.note("local", ProjectName("acme"))
    world.finish()
    assert value(world.search.dependents(world.source, ProjectName("acme"))) == ()


def test_how_many_are_held(world: SearchWorld) -> None:
    names = {"flask", "flask-login", "werkzeug", "numpy"}
    assert value(world.search.cached_names(["local", "public"])) == names


SECRETS = ("zebra", "quartz", "mambo")


@given(
    files=st.lists(
        st.tuples(st.sampled_from(["acme", "beta", "zebra"]), st.integers(1, 3), st.sampled_from(SECRETS)),
        max_size=8,
        unique_by=lambda item: item[:2],
    ),
    offered=st.sets(st.tuples(st.sampled_from(["acme", "beta", "zebra"]), st.integers(1, 3))),
    hidden=st.sets(st.sampled_from(["acme", "beta", "zebra"])),
)
@settings(max_examples=number_of(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_leaks(
    tmp_path_factory: pytest.TempPathFactory,
    files: list[tuple[str, int, str]],
    offered: set[tuple[str, int]],
    hidden: set[str],
) -> None:
    """Whatever a reader searches for, every word of the answers is one that the reader could have read without the search."""
    world, reader = SearchWorld(tmp_path_factory.mktemp("cache")), StubSource()
    readable: dict[str, set[str]] = {}
    for name, version, secret in files:
        lines = (f"Summary: {secret}", f"Author: {secret}", f"Requires-Dist: {secret}")
        world.add(name, f"{version}.0", *lines, body=f"all about {secret}")
        if (name, version) in offered and name not in hidden:
            readable.setdefault(name, set()).add(secret)
    for name in readable:
        whole = world.source.pages[name]
        kept = tuple(file for file in whole.files if (name, int(file.version[0])) in offered)
        reader.put(Project(ProjectName(name), kept))
    world.index()
    for secret in SECRETS:
        for query in (secret, f"about {secret}", f"author:{secret}", f"depends:{secret}", secret[:2]):
            for hit in world.results(query, reader).hits:
                assert (
                    secret in readable[hit.project] or secret == hit.project or secret[:2] == hit.project[:2]
                )
                assert hit.summary == "" or hit.summary in readable[hit.project]
                assert {*"".join(hit.excerpt).split()} & {*SECRETS} <= readable[hit.project]
                assert (hit.project, int(hit.version[0])) in offered
        assert set(world.near(f"{secret}x", reader)) <= readable.keys()
        for dependent in value(world.search.dependents(reader, ProjectName(secret))):
            assert secret in readable[dependent.project]
    for hit in value(world.search.newest(reader, 20)):
        assert hit.project in readable
        assert hit.summary == "" or hit.summary in readable[hit.project]
    world.indexer.stop()
    world.database.close()
