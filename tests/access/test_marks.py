"""Every text file that a person gives may begin with the mark that editors of Windows write, and have their line ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.access.access_file import parse_access
from simpleindex.access.logins.htpasswd import parse_users
from simpleindex.config.layers import from_file
from simpleindex.core.errors import SimpleIndexError
from simpleindex.directory.project_file import parse_project_file
from simpleindex.policy.deny_list import parse_deny_list
from simpleindex.publishing.project_file_edits import with_yank
from simpleindex.views.sources_file import parse_sources
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HASH = "$2b$12$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"

FILES: dict[str, tuple[Callable[[bytes], Any], str]] = {
    "simpleindex.toml": (parse_project_file, '# é\n[yanked]\n"1.0" = "why"\n'),
    "simpleindex.toml, changed": (
        lambda content: parse_project_file(with_yank(content, key="2.0", reason="") or b""),
        '# é\n[yanked]\n"1.0" = "why"\n',
    ),
    "access": (parse_access, '# é\nprivate = true\n[[rule]]\nprojects = ["*"]\nread = ["alice"]\n'),
    "sources": (
        parse_sources,
        '# é\nown = ["acme-*"]\n[[upstream]]\nname = "u"\nurl = "https://h/simple/"\n',
    ),
    "users": (parse_users, f"# é\nalice:{HASH}\n\nbob:{HASH}\n"),
    "deny list": (parse_deny_list, "# é\nlitellm == 1.82.7   # stole\nevil-*\nother\n"),
}


@for_each("name", FILES)
@for_each("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "mark"])
@for_each("end", ["\n", "\r\n"], ids=["unix", "windows"])
def test_marks_and_line_ends(name: str, mark: bytes, end: str) -> None:
    """They change nothing of what is said."""
    parse, text = FILES[name]
    assert parse(mark + text.replace("\n", end).encode()) == parse(text.encode())


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "mark"])
def test_the_configuration(tmp_path: Path, mark: bytes) -> None:
    """Which is read from a file of its own."""
    file = tmp_path / "simpleindex.toml"
    file.write_bytes(mark + b"cors = 'off'\r\n")
    assert from_file(file)["cors"].texts == ("off",)


@pytest.mark.parametrize("name", [name for name in FILES if name != "users"])
def test_the_line_that_is_not_utf_8(name: str) -> None:
    """It is named, in every file alike."""
    parse, text = FILES[name]
    with pytest.raises(SimpleIndexError, match=r"line 4 has other bytes|written in a way"):
        parse(text.encode().replace(b"# \xc3\xa9\n", b"# 1\n# 2\n# 3\n# \xe9\n"))
