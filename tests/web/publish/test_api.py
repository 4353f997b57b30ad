"""The JSON interface: who asks, what is asked for, and what is changed, answered and audited."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.access.access_file import parse_access
from simpleindex.core.errors import CannotStore, InvalidSetting, Unavailable
from simpleindex.core.model import Status
from simpleindex.directory.project_file import InvalidProjectFile
from tests.fixtures.connection import answers
from tests.fixtures.guarded_site import GuardedSiteFixture, bytes_of

if TYPE_CHECKING:
    from tests.fixtures.connection import Answer

RULES = b'[[rule]]\nprojects = ["tool"]\nyank = ["alice"]\ndelete = ["alice"]\nadmin = ["carol"]\n'
YANK = {"version": "1.0"}


class ApiFixture(GuardedSiteFixture):
    """An index of which alice yanks and deletes, and carol does everything."""

    def __init__(self) -> None:
        super().__init__(parse_access(RULES))

    def send(self, data: bytes, method: str = "POST") -> Answer:
        transport = self.index.connect()
        transport.protocol.dataReceived(data)
        (answer,) = answers(transport.take(), method.encode())
        assert self.index.failures == []
        return answer

    def post(self, page: str, content: Any, *headers: str, label: str = "carol") -> Answer:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.send(bytes_of("POST", f"/-/api/{page}", label, *headers, body=body))


@pytest.fixture
def world() -> ApiFixture:
    """A new one."""
    return ApiFixture()


@pytest.mark.parametrize(
    ("change", "content", "call", "changed"),
    [
        (
            "yank",
            {"version": "1.0", "reason": " two\n lines "},
            ("yank", "tool", "1.0", "two lines"),
            ["1.0"],
        ),
        ("yank", {"file": "tool-0.5.tar.gz"}, ("yank", "tool", "tool-0.5.tar.gz", ""), ["tool-0.5.tar.gz"]),
        ("unyank", {"version": " 1.0 "}, ("unyank", "tool", "1.0"), ["1.0"]),
        ("delete", {"version": "0.5"}, ("delete", "tool", "0.5", "carol"), ["tool-0.5.tar.gz"]),
        (
            "free",
            {"file": "tool-0.9.tar.gz"},
            ("free", "tool", "tool-0.9.tar.gz", "carol"),
            ["tool-0.9.tar.gz"],
        ),
        (
            "undelete",
            {"file": "tool-0.9.tar.gz"},
            ("undelete", "tool", "tool-0.9.tar.gz", "carol"),
            ["tool-0.9.tar.gz"],
        ),
        (
            "status",
            {"status": "archived", "reason": ""},
            ("status", "tool", Status.ARCHIVED, None),
            ["archived"],
        ),
        ("status", {"status": "active", "reason": "x"}, ("status", "tool", Status.ACTIVE, "x"), []),
    ],
)
def test_changes(
    world: ApiFixture, change: str, content: Any, call: tuple[Any, ...], changed: list[str]
) -> None:
    """Each is made once, answered with what was changed, and told to the audit with who did it."""
    answer = world.post(f"projects/Tool/{change}", content)
    assert (answer.status, json.loads(answer.body)) == (200, {"project": "tool", "changed": changed})
    assert answer.headers[b"content-type"] == b"application/json"
    assert answer.headers[b"cache-control"] == b"no-store"
    assert world.publishing.calls == [call]
    lines = [{**line} for line in world.audited]
    named = [line.get("filename") or line.get("version") for line in lines]
    assert named == (changed if change != "status" else [None])
    assert [line.get("digest") for line in lines] == ["00" if change in ("delete", "undelete") else None]
    assert all(("version" in line) == ("version" in content and change != "delete") for line in lines)
    for line in lines:
        assert (line["event"], line["who"], line["project"]) == (change, "carol", "tool")
        assert line["address"] == "192.0.2.7"
    status, reason = content.get("status", ""), " ".join(content.get("reason", "").split())
    assert [line.get("detail", "") for line in lines] == ["; ".join(filter(None, (status, reason)))] * max(
        len(changed), 1
    )


def test_the_old_name_of_undelete(world: ApiFixture) -> None:
    """Programs that were written for it work on; the audit has the name of today."""
    assert world.post("projects/tool/restore", {"file": "tool-0.9.tar.gz"}).status == 200
    assert world.publishing.calls == [("undelete", "tool", "tool-0.9.tar.gz", "carol")]
    assert [line["event"] for line in world.audited] == ["undelete"]


def test_a_token_in_the_audit(world: ApiFixture) -> None:
    """The token's id stands beside its user, there and in the ledger."""
    assert world.post("projects/tool/delete", YANK, label="alice-all").status == 200
    assert (world.audited[0]["who"], world.audited[0]["token"]) == ("alice", "a1a1a1a1")
    assert world.publishing.calls == [("delete", "tool", "1.0", "alice (token a1a1a1a1)")]


@pytest.mark.parametrize(
    ("change", "content", "words"),
    [
        ("delete", {**YANK, "reason": ["x"]}, '"reason" is a text'),
        ("yank", b"{", "not a JSON object"),
        ("yank", b"[1]", "not a JSON object"),
        ("yank", b"\xff", "not a JSON object"),
        ("yank", b"[" * 60_000, "not a JSON object"),
        ("yank", b"1" * 5000, "not a JSON object"),
        ("yank", {}, '"version" is missing'),
        ("yank", {"version": 1.0}, '"version" is missing'),
        ("yank", {"version": " "}, '"version" is missing'),
        ("yank", {"file": None, "version": "1.0"}, '"file" is missing'),
        ("yank", {**YANK, "reason": ["x"]}, '"reason" is a text'),
        ("yank", {**YANK, "reason": "x" * 2001}, '"reason" is a text'),
        ("status", {}, '"status" is one of active, archived'),
        ("status", {"status": ["archived"]}, '"status" is one of'),
        ("status", {"status": "Archived"}, '"status" is one of'),
        ("status", {"status": "archived", "reason": 7}, '"reason" is a text'),
        ("free", {"version": "1.0"}, '"file" is missing'),
        ("delete", {}, '"version" is missing'),
    ],
)
def test_what_is_not_understood(world: ApiFixture, change: str, content: Any, words: str) -> None:
    """400 with what is wrong; nothing is changed or audited."""
    answer = world.post(f"projects/tool/{change}", content)
    assert answer.status == 400
    assert words in answer.text
    assert world.publishing.calls == []
    assert world.audited == []


@pytest.mark.parametrize(
    ("change", "content"),
    [
        ("yank", {"version": "9.9"}),
        ("yank", {"version": "no version"}),
        ("yank", {"file": "\ud800-1.0.tar.gz"}),
        ("delete", {"version": "\ud800"}),
        ("delete", {"file": "../tool-1.0.tar.gz"}),
        ("free", {"file": "tool-0.8.tar.gz"}),
    ],
)
def test_what_is_not_there(world: ApiFixture, change: str, content: Any) -> None:
    """404 for a version or a file that is not there; nothing is audited."""
    assert world.post(f"projects/tool/{change}", content).status == 404
    assert world.audited == []


def test_order(world: ApiFixture) -> None:
    """A foreign page, a login, the size, the name, the right, and only then whether there is such a project."""
    length = "Content-Length: 70000"
    page = "/-/api/projects/tool/yank"
    foreign = world.send(bytes_of("POST", page, "anonymous", "Origin: https://evil.example", length))
    assert foreign.status == 403
    assert world.people.asked == []
    assert world.send(bytes_of("POST", page, "anonymous", length)).status == 401
    assert world.send(bytes_of("POST", page, "bob", length)).status == 413
    assert world.post("projects/!/yank", YANK).status == 404
    assert world.post("projects/tool/yank", YANK, label="bob").status == 403
    asked = list(world.source.asked)
    assert world.post("projects/nothing/yank", YANK, label="bob").status == 403
    assert world.source.asked == asked
    world.access = parse_access(b'[[rule]]\nprojects = ["*"]\nadmin = ["carol"]\n')
    assert world.post("projects/nothing/yank", YANK).status == 404


def test_a_body_of_unknown_length(world: ApiFixture) -> None:
    """It is counted while it comes."""
    head = bytes_of("POST", "/-/api/projects/tool/yank", "carol", "Transfer-Encoding: chunked")
    assert world.send(head + b"11000\r\n" + b" " * 0x11000 + b"\r\n").status == 413
    whole = json.dumps(YANK).encode()
    assert world.send(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(whole), whole)).status == 200


def test_no_body(world: ApiFixture) -> None:
    """The login is asked for first here too."""
    page = "/-/api/projects/tool/yank"
    assert world.send(bytes_of("POST", page)).status == 401
    assert world.send(bytes_of("POST", page, "carol")).status == 400


def test_a_right_that_is_taken_meanwhile(world: ApiFixture) -> None:
    """What is decided is decided when all of it is there."""
    body = json.dumps(YANK).encode()
    transport = world.index.connect()
    transport.protocol.dataReceived(bytes_of("POST", "/-/api/projects/tool/yank", "alice", body=body)[:-3])
    world.access = parse_access(b"# nothing\n")
    transport.protocol.dataReceived(body[-3:])
    (answer,) = answers(transport.take())
    assert answer.status == 403
    assert world.publishing.calls == []


def test_other_methods(world: ApiFixture) -> None:
    """405 with what is allowed; a page that is none is 404 to every method."""
    for page, allowed in (("whoami", b"GET, HEAD, OPTIONS"), ("projects/tool/yank", b"POST, OPTIONS")):
        other = "POST" if page == "whoami" else "GET"
        for method in ("DELETE", other):
            answer = world.send(bytes_of(method, f"/-/api/{page}", "carol"))
            assert answer.status == 405
            if method == other:
                assert answer.headers[b"allow"] == allowed
    for page in ("", "projects", "projects/tool", "projects/tool/rename", "projects/tool/yank/", "who"):
        for method in ("GET", "POST"):
            assert world.send(bytes_of(method, f"/-/api/{page}", "carol")).status == 404
    answer = world.send(bytes_of("POST", "/-/api/projects/%1B[1m%7F/yank", "carol"))
    assert answer.status == 404
    assert b"\x1b" not in answer.reason + answer.body
    answer = world.post("projects/tool/free", {"file": "\x1b[1m\x80.tar.gz"})
    assert answer.status == 404
    assert b"\x1b" not in answer.reason
    assert b"\x80" not in answer.reason


def test_whoami(world: ApiFixture) -> None:
    """Who the credentials belong to, with what a token is good for and nothing secret."""
    answer = world.send(bytes_of("GET", "/-/api/whoami", "carol-upload"), "GET")
    assert json.loads(answer.body) == {
        "user": "carol",
        "token": {"id": "c3c3c3c3", "can": ["upload"], "projects": ["acme-*"]},
    }
    answer = world.send(bytes_of("GET", "/-/api/whoami"), "GET")
    assert json.loads(answer.body) == {"user": None, "token": None}
    head = world.send(bytes_of("HEAD", "/-/api/whoami", "carol"), "HEAD")
    assert (head.status, head.body) == (200, b"")
    wrong = world.send(bytes_of("GET", "/-/api/whoami", "anonymous", "Authorization: Bearer x"), "GET")
    assert wrong.status == 401


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidSetting("is no version."), 400),
        (InvalidProjectFile("is broken"), 400),
        (CannotStore("Read-only."), 403),
        (Unavailable("Not now.", 3), 503),
    ],
)
def test_what_cannot_be_done(
    world: ApiFixture, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    """The sentence of the part that refused, in JSON for clients that accept it; nothing is audited."""

    async def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(world.publishing, "yank", refuse)
    answer = world.post("projects/tool/yank", YANK, "Accept: application/json")
    assert answer.status == status
    assert json.loads(answer.body)["detail"] == str(error)
    assert answer.reason.decode() == str(error)
    assert world.audited == []


def test_what_cannot_be_told(world: ApiFixture) -> None:
    """A project about which nothing is known now is not changed."""
    world.source.error = Unavailable("Not now.")
    assert world.post("projects/tool/yank", YANK).status == 503
    assert world.publishing.calls == []


def test_a_quarantined_project_can_be_changed(world: ApiFixture) -> None:
    """An administrator takes that back."""
    world.source.put(replace(world.source.pages["tool"], status=Status.QUARANTINED))
    assert world.post("projects/tool/status", {"status": "active"}).status == 200
    assert world.source.pages["tool"].status is Status.ACTIVE
