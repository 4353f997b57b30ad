"""Files of requirements and lock files: which names, which versions, which hashes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from simpleindex.commands.cache.lock_file import InvalidLockFile, parse_lock_file
from simpleindex.commands.cache.requirements import ProjectRequirement
from simpleindex.core.names import ProjectName
from tests.fixtures.tables import for_each

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


def wanted(name: str, versions: str = "", *sha256s: str) -> ProjectRequirement:
    """One."""
    return ProjectRequirement(ProjectName(name), SpecifierSet(versions), frozenset(sha256s))


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
def test_files(text: str, expected: tuple[ProjectRequirement, ...]) -> None:
    """Each kind is told by what is in it; what is had from elsewhere is left out."""
    assert parse_lock_file(text.encode(), ENVIRONMENT).projects == expected


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff", "is not UTF-8 text: line 1"),
        (b"[tool]\nx = 1", "is TOML, but no lock file"),
        (b'lock-version = "1.0"\n[[packages]]\nversion = "1"\nsdist = {}', "is no lock file"),
        (b'[[package]]\nname = "-"\nversion = "1"\nsdist = {}', "has an invalid project name"),
        (b'lock-version = "1.0"\npackages = 5', "is no lock file"),
    ],
)
def test_refused(content: bytes, sentence: str) -> None:
    """With what is wrong."""
    with pytest.raises(InvalidLockFile, match=sentence):
        parse_lock_file(content, ENVIRONMENT)


POETRY = f"""
[[package]]
name = "Acme"
version = "1.0"
files = [{{file = "acme-1.0.tar.gz", hash = "sha256:{A}"}}, {{file = "acme-1.0-py3-none-any.whl", hash = "sha256:{B}"}}]
[[package]]
name = "forwindows"
version = "1.0"
markers = "sys_platform == 'win32'"
files = []
[[package]]
name = "private"
version = "2"
files = []
[package.source]
type = "legacy"
url = "https://index.example/simple"
reference = "mine"
[[package]]
name = "cloned"
version = "0.1"
files = []
[package.source]
type = "git"
url = "https://git.example/cloned.git"
[metadata]
lock-version = "2.1"
"""

OLD_POETRY = f"""
[[package]]
name = "acme"
version = "1.0"
[metadata]
lock-version = "1.1"
[metadata.files]
acme = [{{file = "acme-1.0.tar.gz", hash = "sha256:{A}"}}]
"""

PDM = f"""
[metadata]
lock_version = "4.5.0"
[[package]]
name = "acme"
version = "1.0"
marker = "python_version >= '3.8'"
files = [{{file = "acme-1.0.tar.gz", hash = "sha256:{A}"}}]
[[package]]
name = "acme"
version = "1.0"
extras = ["x"]
files = [{{file = "acme-1.0.tar.gz", hash = "sha256:{A}"}}]
[[package]]
name = "beside"
version = "0.1"
path = "./beside"
[[package]]
name = "cloned"
version = "0.1"
git = "https://git.example/cloned.git"
"""

OLD_PDM = f"""
[[package]]
name = "acme"
version = "1.0"
[metadata]
lock_version = "4.0"
[metadata.files]
"acme 1.0" = [{{url = "https://x/acme-1.0.tar.gz", hash = "sha256:{A}"}}]
"""

PIPENV = f"""{{
    "_meta": {{"hash": {{"sha256": "x"}}, "requires": {{}}}},
    "default": {{"acme": {{"hashes": ["sha256:{A}"], "version": "==1.0", "markers": "python_version >= '3.8'"}},
                 "cloned": {{"git": "https://git.example/cloned.git", "ref": "00"}}}},
    "develop": {{"beta": {{"hashes": ["sha256:{B}"], "version": "==2"}}}}
}}"""

SOME_PYLOCK = (
    PYLOCK
    + """
[[packages]]
name = "forwindows"
version = "1"
marker = "sys_platform == 'win32'"
[[packages]]
name = "indocs"
version = "1"
marker = "'docs' in dependency_groups"
[[packages]]
name = "cloned"
version = "1"
[packages.vcs]
type = "git"
"""
)


@for_each(
    ("text", "expected", "skipped"),
    [
        (POETRY, (wanted("acme", "==1.0", A, B), wanted("private", "==2")), ["cloned comes from git"]),
        (OLD_POETRY, (wanted("acme", "==1.0", A),), []),
        (PDM, (wanted("acme", "==1.0", A),), ["beside comes from path", "cloned comes from git"]),
        (OLD_PDM, (wanted("acme", "==1.0", A),), []),
        (PIPENV, (wanted("acme", "==1.0", A), wanted("beta", "==2", B)), ["cloned comes from git"]),
        (UV_LOCK, (wanted("acme", "==1.0", A, B),), ["myself comes from virtual"]),
        (
            SOME_PYLOCK,
            (wanted("acme", "==1.0", A), wanted("indocs", "==1")),
            ["beta comes from directory", "cloned comes from vcs"],
        ),
    ],
    ids=["poetry", "old poetry", "pdm", "old pdm", "pipenv", "uv", "pylock"],
)
@for_each("end", ["\n", "\r\n"])
@for_each("mark", ["", "\ufeff"])
def test_lock_files(
    text: str, expected: tuple[ProjectRequirement, ...], skipped: list[str], end: str, mark: str
) -> None:
    """Of every tool, whatever the line ends and the mark at the beginning; what comes from no index is left out and named."""
    found = parse_lock_file((mark + text.replace("\n", end)).encode(), ENVIRONMENT)
    assert found.projects == expected
    assert [each.reason.removesuffix(", and from no index") for each in found.skipped] == skipped
    assert not any(each.is_mistake for each in found.skipped)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"[[package]]\nname = acme\n", "is not valid TOML: .*line 2"),
        (b"[project]\nname = 'x'\n", "is TOML, but no lock file of uv, pip, poetry or pdm"),
        (b'{"a": 1}', "is JSON, and no Pipfile.lock"),
        (b'{"default": {', "is JSON, and no Pipfile.lock"),
    ],
)
def test_other_files_of_the_kind(content: bytes, sentence: str) -> None:
    """Neither is taken for an empty file of requirements."""
    with pytest.raises(InvalidLockFile, match=sentence):
        parse_lock_file(content, ENVIRONMENT)


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_any_content(content: bytes) -> None:
    """It is read or refused."""
    with contextlib.suppress(InvalidLockFile):
        parse_lock_file(content, ENVIRONMENT)


def test_a_package_without_a_version_is_left_out_and_named() -> None:
    """As uv writes one whose version its own build decides."""
    content = b'version = 1\n[[package]]\nname = "acme"\nsource = { registry = "https://pypi.org/simple" }\nsdist = {}\n'
    found = parse_lock_file(content, ENVIRONMENT)
    assert found.projects == ()
    (skipped,) = found.skipped
    assert "acme has no version" in skipped.reason


@pytest.mark.parametrize("marker", ["nonsense ~~", "nothing == 'x'", "platform_machine ~= 'x'"])
def test_an_entry_whose_condition_is_not_understood_is_meant(marker: str) -> None:
    """One file too many is better than one too few."""
    content = f"""lock-version = "1.0"
[[packages]]
name = "acme"
version = "1.0"
marker = "{marker}"
sdist = {{}}
"""
    assert [str(each.name) for each in parse_lock_file(content.encode(), ENVIRONMENT).projects] == ["acme"]
