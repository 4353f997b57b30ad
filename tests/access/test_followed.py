"""The users file and the access file while the server runs; what all followed files do is tested in tests/system."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simpleindex.access import followed
from simpleindex.access.followed import follow_access, follow_users
from simpleindex.access.identity import ANYONE, Action
from simpleindex.core.errors import RefusedStart
from simpleindex.core.names import ProjectName

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fixtures.log import CapturedLog

HASH = "$2b$12$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
ACME = ProjectName("acme")


def test_refused_lines_are_logged_once(tmp_path: Path, log: CapturedLog) -> None:
    """With the file's name; again only when there is a new one."""
    path = tmp_path / "users"
    path.write_text(f"alice:{HASH}\n")
    users = follow_users(str(path))
    for content in ("bob:x\n", "bob:x\ncarol:y\n"):
        path.write_text(f"alice:{HASH}\n{content}")
        assert [[*users.look().hashes] for _ in range(2)] == [["alice"]] * 2
    assert [line.partition(" is refused")[0] for line in log.lines] == [
        f"{path}: line 2: 'bob'",
        f"{path}: line 3: 'carol'",
    ]
    path.write_text("# nobody\n")
    assert [*users.look().hashes] == []


def test_a_start_without_users_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody could log in; the message says what to do."""
    path = tmp_path / "users"
    with pytest.raises(RefusedStart, match=r"No such file or directory.*simpleindex passwd --users"):
        follow_users(str(path))

    def refuse() -> None:
        raise RefusedStart("no libraries")

    path.write_text(f"alice:{HASH}\n")
    monkeypatch.setattr(followed, "require_libraries", refuse)
    with pytest.raises(RefusedStart, match="no libraries"):
        follow_users(str(path))


@pytest.mark.parametrize(
    ("text", "reason"),
    [("private = tru\n", "not valid TOML"), ("[[rule]]\nproject = []\n", "unknown key"), ("", "empty")],
)
def test_a_broken_access_file_lets_nobody_in(
    tmp_path: Path, log: CapturedLog, text: str, reason: str
) -> None:
    """Its last valid rules stay in force; a server does not start by rules that nobody has read."""
    path = tmp_path / "access.toml"
    path.write_text("private = true\n")
    rules = follow_access(str(path))
    path.write_text(text)
    assert not rules.look().decide(ANYONE, Action.READ, ACME, None).allowed
    (line,) = log.lines
    assert reason in line
    with pytest.raises(RefusedStart, match=str(path)):
        follow_access(str(path))
    path.write_text("# everybody reads\n")
    assert rules.look().decide(ANYONE, Action.READ, ACME, None).allowed
    assert log.lines[1:] == [f"The access file {path} was read again."]
