"""``/-/downloads`` and ``/-/who``: numbers for readers of public projects, people for those with the right audit."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.access.access_file import parse_access
from simpleindex.access.errors import Unauthenticated
from simpleindex.config.resolution import resolve
from simpleindex.core.errors import InvalidQuestion, NotAllowed, NotHere, Unavailable
from simpleindex.core.views import MAIN_VIEW
from simpleindex.web.admission import Admission, NoOwners
from simpleindex.web.downloads.pages import DownloadPages
from simpleindex.web.downloads.rights import DownloadRights, ReadableDownloads
from simpleindex.web.http.access_log import LogEntry, combined
from simpleindex.web.http.response import RequestInfo
from tests.fixtures.counted_downloads import NOW, WHEEL, downloads_of_two_projects
from tests.fixtures.deferreds import error, result
from tests.fixtures.guarded_site import BearerIdentities
from tests.fixtures.rights_matrix import IDENTITIES
from tests.fixtures.stub_source import StubSource
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from pathlib import Path

    from simpleindex.core.errors import SimpleIndexError

RULES = b"""
[[rule]]
projects = ["acme-*"]
read = ["alice", "bob", "carol"]
audit = ["alice", "dave"]
admin = ["carol"]

[[rule]]
projects = ["*"]
audit = ["dave"]
"""


class PagesFixture:
    """The pages over the counts of a public and a private project."""

    def __init__(self, place: Path) -> None:
        self.access = parse_access(RULES)
        admission = Admission({MAIN_VIEW: StubSource()}, lambda: self.access, BearerIdentities(), NoOwners())
        self.settings = resolve({"path": str(place)}, {"HOME": str(place)}, place)
        self.database = downloads_of_two_projects(place)
        rights = DownloadRights(admission)
        self.pages = DownloadPages(
            ReadableDownloads(rights, self.database, InlineThreads(), lambda: self.settings, lambda: NOW)
        )

    def _answer(self, target: str, reader: str) -> Any:
        info = RequestInfo("GET", f"/-/{target}".encode(), lambda _: None)
        return self.pages.answer(target.partition("?")[0], IDENTITIES[reader], info)

    def get(self, target: str, reader: str = "anonymous") -> Any:
        """Return the answer, read."""
        response = result(self._answer(target, reader))
        assert response.status == 200
        assert response.is_private
        return json.loads(response.body)

    def refusal(self, target: str, reader: str = "anonymous") -> SimpleIndexError:
        """Return why there is no answer."""
        return error(self._answer(target, reader))


@pytest.fixture
def pages(tmp_path: Path) -> PagesFixture:
    return PagesFixture(tmp_path)


def test_numbers_of_a_public_project_are_for_everybody(pages: PagesFixture) -> None:
    """By whatever they are counted, except by user."""
    report = pages.get("downloads/Tool?since=9w")
    assert report["total"] == 9
    assert [row["version"] for row in report["counts"]] == ["2.0", "1.0"]
    assert pages.get("downloads/tool/2?by=day&limit=1")["counts"] == [{"day": "2026-11-29", "count": 2}]
    assert pages.get("downloads/tool/")["total"] == 5


@pytest.mark.parametrize("target", ["downloads/tool?by=user", "who/tool/2.0", "who/tool"])
def test_people_are_for_those_with_the_right(pages: PagesFixture, target: str) -> None:
    """Also in a public project; nobody else learns a name."""
    assert isinstance(pages.refusal(target), Unauthenticated)
    assert isinstance(pages.refusal(target, "bob"), NotAllowed)
    assert "alice" in json.dumps(pages.get(target, "dave"))


@pytest.mark.parametrize("target", ["downloads/acme-app", "downloads/acme-new", "who/acme-app/1.0"])
def test_private_projects(pages: PagesFixture, target: str) -> None:
    """To read one is not enough; whether it exists makes no difference."""
    assert isinstance(pages.refusal(target), Unauthenticated)
    assert str(pages.refusal(target, "bob")) == (
        f"Rule 1 of the access file does not let bob see who downloads {target.split('/')[1]}."
    )
    # Who may admin a project may do everything with it; a token only what it is for.
    for reader in ("alice", "alice-all", "carol"):
        pages.get(target, reader)
    assert isinstance(pages.refusal(target, "carol-upload"), NotAllowed)


def test_everything_together(pages: PagesFixture) -> None:
    """It tells of private projects, so it is for those who may audit all of them; without any it is for everybody."""
    assert isinstance(pages.refusal("downloads"), Unauthenticated)
    assert isinstance(pages.refusal("downloads", "alice"), NotAllowed)
    assert pages.get("downloads", "dave")["total"] == 6
    assert pages.get("downloads?by=user", "dave")["counts"][0]["user"] == "bob"
    assert isinstance(pages.refusal("downloads", "dave-read"), NotAllowed)
    pages.access = replace(pages.access, rules=())
    assert pages.get("downloads")["total"] == 6
    assert isinstance(pages.refusal("downloads?by=user"), Unauthenticated)


@pytest.mark.parametrize("target", ["who", "who/-/1.0", "downloads/tool/1/2", "downloads/tool/" + "1" * 300])
def test_no_such_page(pages: PagesFixture, target: str) -> None:
    """What can mean nothing."""
    assert isinstance(pages.refusal(target, "dave"), NotHere)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("by=mood", "by: 'mood' is nothing to count by"),
        ("by=versoin", "did you mean 'version'?"),
        ("since=now", "since: 'now' is neither a time"),
        ("limit=-1", "limit: '-1' is no number of rows."),
        ("&".join(f"a{number}=1" for number in range(20)), "The query has too many fields."),
    ],
)
def test_questions_that_are_not_valid(pages: PagesFixture, query: str, sentence: str) -> None:
    """A sentence that says what is wrong."""
    refusal = pages.refusal(f"downloads/tool?{query}")
    assert isinstance(refusal, InvalidQuestion)
    assert sentence in str(refusal)


def test_the_access_log_of_the_server(pages: PagesFixture, tmp_path: Path) -> None:
    """It is read where single downloads are not kept; the standard output cannot be."""
    log = tmp_path / "access.log"
    request = f"GET /tool/{WHEEL} HTTP/1.1".encode()
    log.write_text(combined(LogEntry("192.0.2.9", "bob", NOW, request, 200, 10, b"", b"")))
    pages.settings = replace(pages.settings, access_log=log)
    assert pages.get("who/tool/2.0", "dave")["source"] == "access log"
    pages.settings = replace(pages.settings, access_log="-")
    assert pages.get("who/tool/2.0?since=2d", "dave")["source"] == "counts"


def test_counts_that_cannot_be_read(pages: PagesFixture, tmp_path: Path) -> None:
    """No path of the server is told to a client."""
    (tmp_path / "downloads.sqlite3").write_bytes(b"no database" * 1000)
    refusal = pages.refusal("downloads/tool")
    assert isinstance(refusal, Unavailable)
    assert str(tmp_path) not in str(refusal)


def test_downloads_are_off(pages: PagesFixture) -> None:
    """There is nothing to be seen then."""
    pages.settings = replace(pages.settings, downloads=False)
    assert isinstance(pages.refusal("downloads/tool", "dave"), NotHere)
