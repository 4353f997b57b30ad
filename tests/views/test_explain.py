"""What an explanation says, as values and in its three forms."""

from __future__ import annotations

import json
from dataclasses import replace
from html import escape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.errors import NotAllowed, NotHere, NotShown, SimpleIndexError, Unavailable
from simpleindex.core.files import File
from simpleindex.core.model import Project, Status, Withheld
from simpleindex.core.names import Kind, ProjectName
from simpleindex.core.text import day_and_time, timestamp
from simpleindex.upstreams.errors import UpstreamFailed
from simpleindex.views.explain import Answer, Explanation, FileNote, SourceNote, explain, what_is_there
from simpleindex.web.pages.explain import why_html, why_json, why_text
from tests.fixtures.tables import for_each

ACME = ProjectName("acme")
WORDS = (SourceNote("local", "has no such project."), SourceNote("pypi", "has it, with 2 files to offer."))


def file(version: str, *, yanked: str | None = None, python: str | None = None) -> File:
    """An sdist."""
    name = f"acme-{version}.tar.gz"
    return File(
        name, version, Kind.SDIST, 1, "aa" * 32, 0, yanked=yanked, requires_python=python, source="pypi"
    )


def held(
    version: str, until: float | None = None, *, rule: str = "cooldown", public: bool = True
) -> Withheld:
    """One that is withheld."""
    return Withheld(f"acme-{version}.tar.gz", "It is too new.", rule, "pypi", until, public)


def explained(
    version: str | None, outcome: Project | SimpleIndexError, *, is_operator: bool = False
) -> Explanation:
    """What is said in the main view."""
    return explain(ACME, version, "main", WORDS, outcome, is_operator=is_operator)


OFFERED = Project(ACME, (file("1.0"), file("2.0")))
PARTLY = Project(ACME, (file("1.0"),), (held("2.0", 86_400.0),))
MIXED = Project(
    ACME, (), (held("2.0", 86_400.0), held("3.0", 172_800.0), held("3.0.post1", 172_800.0, rule="x"))
)


@for_each(
    ("version", "outcome", "answer", "summary"),
    [
        (None, OFFERED, Answer.OFFERED, "acme is offered: 2 files."),
        ("1", OFFERED, Answer.EMPTY, "No source has a file of acme 1. The newest that is offered is 2.0."),
        ("1.0", OFFERED, Answer.OFFERED, "acme 1.0 is offered: 1 file."),
        ("v1.0", OFFERED, Answer.OFFERED, "acme 1.0 is offered: 1 file."),
        (
            "odd!",
            OFFERED,
            Answer.EMPTY,
            "No source has a file of acme odd!. The newest that is offered is 2.0.",
        ),
        (None, replace(OFFERED, denied="It is denied."), Answer.WITHHELD, "It is denied."),
        (None, Project(ACME), Answer.EMPTY, "acme is a project here, and has no file."),
        ("1.0", Project(ACME), Answer.EMPTY, "No source has a file of acme 1.0."),
        (
            None,
            PARTLY,
            Answer.PARTLY,
            "acme is offered in part: 1 of 2 files is not offered (rule cooldown), until 1970-01-02 00:00 UTC.",
        ),
        (
            "2.0",
            PARTLY,
            Answer.WITHHELD,
            "acme 2.0 is not offered: its only file is withheld (rule cooldown), until 1970-01-02 00:00 UTC.",
        ),
        (
            None,
            MIXED,
            Answer.WITHHELD,
            (
                "acme is not offered: all of its 3 files are withheld (rule cooldown, rule x), the first until 1970-01-02 00:00 UTC, "
                "the last until 1970-01-03 00:00 UTC."
            ),
        ),
        (
            None,
            Project(ACME, (file("1.0"),), (held("2.0"), held("3.0", 1.0))),
            Answer.PARTLY,
            "acme is offered in part: 2 of 3 files are not offered (rule cooldown).",
        ),
        (
            None,
            Project(ACME, (), (held("1.0", rule="status"),), Status.QUARANTINED, "malware"),
            Answer.WITHHELD,
            "acme is not offered: its only file is withheld (the project's status). The project is quarantined: malware.",
        ),
        (
            None,
            Project(ACME, status=Status.ARCHIVED),
            Answer.EMPTY,
            "acme is a project here, and has no file. The project is archived.",
        ),
        (None, NotHere("project acme"), Answer.NOT_HERE, "There is no project acme here."),
        ("1.0", NotAllowed("It is denied."), Answer.REFUSED, "It is denied."),
        (None, Unavailable("It is being read."), Answer.UNAVAILABLE, "It is being read."),
    ],
)
def test_summary(
    version: str | None, outcome: Project | SimpleIndexError, answer: Answer, summary: str
) -> None:
    """What clients get, and why, in a sentence."""
    explanation = explained(version, outcome)
    assert (explanation.answer, explanation.summary) == (answer, summary)
    assert explanation.words == WORDS


def test_files() -> None:
    """What is withheld comes first; what was found out about a file is for the operator."""
    project = Project(
        ACME,
        (file("1.0", yanked="bad", python=">=3.9"), file("2.0", yanked=""), file("3.0")),
        (
            held("4.0", 60.0),
            Withheld("acme-5.0.zip", "It holds /etc/secret.", "archive"),
            Withheld("x", "?", "name"),
        ),
    )
    for is_operator, sentences in (
        (False, ["It cannot be used as it is; the operator finds the reason in the log."] * 2),
        (True, ["It holds /etc/secret.", "?"]),
    ):
        files = explained(None, project, is_operator=is_operator).files
        assert files == (
            FileNote(
                "x" if is_operator else "a file of another name", None, "local", False, sentences[1], "name"
            ),
            FileNote("acme-5.0.zip", "5.0", "local", False, sentences[0], "archive"),
            FileNote("acme-4.0.tar.gz", "4.0", "pypi", False, "It is too new.", "cooldown", 60.0),
            FileNote("acme-3.0.tar.gz", "3.0", "pypi", True),
            FileNote(
                "acme-2.0.tar.gz",
                "2.0",
                "pypi",
                True,
                "It is yanked, so installers take it only where it is pinned.",
            ),
            FileNote(
                "acme-1.0.tar.gz",
                "1.0",
                "pypi",
                True,
                "It is yanked, so installers take it only where it is pinned: bad. It is for Python >=3.9.",
            ),
        )
    assert [each.filename for each in explained("4", project).files] == []
    assert [each.filename for each in explained("4.0", project).files] == ["acme-4.0.tar.gz"]


@for_each(
    ("outcome", "sentence"),
    [
        (OFFERED, "has it, with 2 files to offer."),
        (PARTLY, "has it, with 1 file to offer, and 1 that is not offered."),
        (
            Project(ACME, stale=True),
            "has it, with 0 files to offer. It does not answer now: this is its last answer.",
        ),
        (NotHere("project acme"), "has no such project."),
        (NotShown("project acme"), "has it, and this view does not show it."),
        (Unavailable("It is being read."), "cannot tell: It is being read."),
        (
            UpstreamFailed("pypi", "it is down"),
            "cannot tell: The upstream index pypi cannot answer: it is down",
        ),
        (NotAllowed("It is denied."), "It is denied."),
        (replace(OFFERED, denied="It is denied."), "It is denied."),
    ],
)
def test_what_is_there(outcome: Project | SimpleIndexError, sentence: str) -> None:
    """A source's answer in words."""
    assert what_is_there(outcome) == sentence


def test_json() -> None:
    """Everything, with nothing where nothing is known."""
    assert json.loads(why_json(explained("2.0", PARTLY))) == {
        "name": "acme",
        "version": "2.0",
        "view": "main",
        "answer": "withheld",
        "summary": "acme 2.0 is not offered: its only file is withheld (rule cooldown), until 1970-01-02 00:00 UTC.",
        "sources": [
            {"source": "local", "says": "has no such project."},
            {"source": "pypi", "says": "has it, with 2 files to offer."},
        ],
        "files": [
            {
                "filename": "acme-2.0.tar.gz",
                "version": "2.0",
                "source": "pypi",
                "offered": False,
                "rule": "cooldown",
                "says": "It is too new.",
                "visible-from": "1970-01-02T00:00:00Z",
            }
        ],
    }
    assert json.loads(why_json(explained(None, OFFERED)))["files"][0] == {
        "filename": "acme-2.0.tar.gz",
        "version": "2.0",
        "source": "pypi",
        "offered": True,
    }


def test_many_files() -> None:
    """The newest of each kind are named, and it is said how many more there are."""
    files = tuple(file(f"{number}.0") for number in range(400))
    withheld = tuple(held(f"{number}.0") for number in range(400, 800))
    explanation = explained(None, Project(ACME, files, withheld))
    assert (len(explanation.files), explanation.more) == (600, 200)
    assert explanation.files[0].version == "799.0"
    assert "400 of 800 files are not offered" in explanation.summary
    assert json.loads(why_json(explanation))["more"] == 200
    assert why_text(explanation).endswith("\n200 more files: ask about a version.\n")
    assert b"200 more files: ask about a version." in why_html(explanation, "../../")


def test_text() -> None:
    """For a terminal: the sentence, who was asked, what is withheld, what is offered."""
    assert (
        why_text(explained(None, PARTLY))
        == """\
acme is offered in part: 1 of 2 files is not offered (rule cooldown), until 1970-01-02 00:00 UTC.

  local  has no such project.
  pypi   has it, with 2 files to offer.

Withheld:
  acme-2.0.tar.gz (pypi)
      It is too new.
      rule cooldown; visible from 1970-01-02 00:00 UTC

Offered:
  acme-1.0.tar.gz (pypi)
"""
    )
    elsewhere = explain(ACME, None, "stable", (), NotHere("project acme"), is_operator=False)
    assert why_text(elsewhere) == "There is no project acme here.\nThis is so in the view stable.\n"


_OWN = "is not requested. acme is a name of this index, so it is requested from no upstream."
_OUT = "is not requested for this name, by its `projects` or `exclude`."
_BROKEN = "simpleindex.toml is broken."


@pytest.mark.parametrize(
    ("said", "outcome", "lines"),
    [
        (
            [("local", "has no such project."), ("a", _OWN), ("b", _OUT), ("c", _OWN), ("d", _OUT)],
            NotHere("project acme"),
            [
                ("local", "has no such project."),
                (
                    "a, c",
                    "are not requested. acme is a name of this index, so it is requested from no upstream.",
                ),
                ("b, d", "are not requested for this name, by its `projects` or `exclude`."),
            ],
        ),
        (
            [("a", "has no such project."), ("b", "has no such project."), ("c", _OWN)],
            NotHere("project acme"),
            [("a", "has no such project."), ("b", "has no such project."), ("c", _OWN)],
        ),
        ([("local", _BROKEN)], NotAllowed(_BROKEN), [("local", "answers so.")]),
        (
            [("a", "has no such project."), ("b", "cannot tell: It is down.")],
            Unavailable("It is down.", retry_after=2),
            [("a", "has no such project."), ("b", "cannot tell, as above.")],
        ),
    ],
)
def test_people_read_nothing_twice(
    said: list[tuple[str, str]], outcome: SimpleIndexError, lines: list[tuple[str, str]]
) -> None:
    """Sources that were not asked for one reason are one line; programs get each source by itself."""
    words = [SourceNote(*each) for each in said]
    explanation = explain(ACME, None, "main", words, outcome, is_operator=False)
    shown = [line.strip().split("  ", 1) for line in why_text(explanation).splitlines()[2:]]
    assert [(name, sentence.strip()) for name, sentence in shown] == lines
    html = why_html(explanation, "../../").decode()
    assert all(html.count(f"<h2>{name}</h2>\n<p>{escape(sentence)}</p>") == 1 for name, sentence in lines)
    assert html.count("<h2>") == len(lines)
    sources = json.loads(why_json(explanation))["sources"]
    assert [(each["source"], each["says"]) for each in sources] == said


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)


@given(st.text(max_size=40))
def test_what_others_say_stays_text(text: str) -> None:
    """Whatever an upstream, a yank or a rule says is neither markup nor moves a cursor."""
    project = Project(
        ACME, (file("1.0", yanked=text),), (Withheld(f"acme-2.0.zip{text}", text, text, text, 0.0, True),)
    )
    explanation = explain(ACME, text, "stable", (SourceNote(text, text),), project, is_operator=True)
    for each in (
        explanation,
        explain(ACME, None, "stable", (SourceNote(text, text),), project, is_operator=True),
    ):
        tags = _Tags()
        tags.feed(why_html(each, "../../").decode())
        assert tags.tags <= {
            "a",
            "html",
            "head",
            "meta",
            "title",
            "link",
            "style",
            "body",
            "h1",
            "h2",
            "p",
            "section",
            "ul",
            "li",
            "b",
            "span",
        }
        assert all(character.isprintable() or character == "\n" for character in why_text(each))
        json.loads(why_json(each))


@pytest.mark.parametrize(
    ("seconds", "people", "machines"),
    [
        (0.0, "1970-01-01 00:00 UTC", "1970-01-01T00:00:00Z"),
        (0.1, "1970-01-01 00:01 UTC", "1970-01-01T00:00:01Z"),
        (61.0, "1970-01-01 00:02 UTC", "1970-01-01T00:01:01Z"),
        (-5.0, "1970-01-01 00:00 UTC", "1970-01-01T00:00:00Z"),
        (1e18, "9999-01-01 00:00 UTC", "9999-01-01T00:00:00Z"),
    ],
)
def test_dates(seconds: float, people: str, machines: str) -> None:
    """Rounded up, so that what is promised for a moment is there then; within a calendar."""
    assert (day_and_time(seconds), timestamp(seconds)) == (people, machines)
