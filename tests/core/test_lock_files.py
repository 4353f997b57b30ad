"""Files of requirements and lock files: which names, which versions, which hashes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from simpleindex.core.errors import InvalidLockFile
from simpleindex.core.lock_files import Wanted, parse_lock_file
from simpleindex.core.names import ProjectName

A, B = "a" * 64, "b" * 64
ENVIRONMENT = {"python_version": "3.12", "sys_platform": "linux"}

REQUIREMENTS = f"""\
# made by hand
--index-url https://index.example/
-r other.txt
Acme_App[extra]==1.0 \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}   # why
beta>=2 ; python_version >= "3.8"
gamma==1 ; sys_platform == "win32"
delta @ https://example.com/delta.zip
epsilon
"""

UV_LOCK = f"""
version = 1
requires-python = ">=3.9"
[[package]]
name = "acme"
version = "1.0"
source = {{ registry = "https://index.example/" }}
sdist = {{ url = "https://x/acme-1.0.tar.gz", hash = "sha256:{A}", size = 5 }}
wheels = [{{ url = "https://x/acme-1.0-py3-none-any.whl", hash = "sha256:{B}", size = 5 }}]
[[package]]
name = "myself"
version = "0.1"
source = {{ virtual = "." }}
"""

PYLOCK = f"""
lock-version = "1.0"
created-by = "me"
[[packages]]
name = "acme"
version = "1.0"
[[packages.wheels]]
name = "acme-1.0-py3-none-any.whl"
url = "https://x/acme-1.0-py3-none-any.whl"
[packages.wheels.hashes]
sha256 = "{A}"
[[packages]]
name = "beta"
[packages.directory]
path = "."
"""


def wanted(name: str, versions: str = "", *sha256s: str) -> Wanted:
    """One."""
    return Wanted(ProjectName(name), SpecifierSet(versions), frozenset(sha256s))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (REQUIREMENTS, (wanted("acme-app", "==1.0", A, B), wanted("beta", ">=2"), wanted("epsilon"))),
        (UV_LOCK, (wanted("acme", "==1.0", A, B),)),
        (PYLOCK, (wanted("acme", "==1.0", A),)),
        ("", ()),
        ("# nothing\n", ()),
        ("\ufeffacme==1\r\nbeta\r\n", (wanted("acme", "==1"), wanted("beta"))),
    ],
)
def test_files(text: str, expected: tuple[Wanted, ...]) -> None:
    """Each kind is told by what is in it; what is had from elsewhere is left out."""
    assert parse_lock_file(text.encode(), ENVIRONMENT) == expected


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff", "is not UTF-8 text"),
        (b"acme==1\na b c", "has no requirement on line 2: 'a b c'"),
        (b"[tool]\nx = 1", "is TOML, and neither"),
        (b'lock-version = "1.0"\n[[packages]]\nversion = "1"\nsdist = {}', "is no lock file"),
        (b'[[package]]\nname = "-"\nversion = "1"\nsdist = {}', "has a project that is none"),
        (b'lock-version = "1.0"\npackages = 5', "is no lock file"),
    ],
)
def test_refused(content: bytes, sentence: str) -> None:
    """With what is wrong."""
    with pytest.raises(InvalidLockFile, match=sentence):
        parse_lock_file(content, ENVIRONMENT)


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_any_content(content: bytes) -> None:
    """It is read or refused."""
    with contextlib.suppress(InvalidLockFile):
        parse_lock_file(content, ENVIRONMENT)
