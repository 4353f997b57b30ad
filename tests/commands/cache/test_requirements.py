"""Files of requirements, read as pip reads them; what names no project of an index costs nothing else."""

from __future__ import annotations

import codecs
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from simpleindex.commands.cache.requirements import (
    NestedFile,
    ProjectRequirement,
    _logical_lines,
    parse_requirements,
)
from simpleindex.core.names import ProjectName
from simpleindex.core.parsing.text_files import InvalidText, decode_requirements, decode_utf8
from tests.fixtures.tables import for_each

A = "a" * 64
ENVIRONMENT = {"python_version": "3.12", "sys_platform": "linux"}
VARIABLES = {"VERSION": "1.0", "TOKEN": "hunter2"}


def names(text: str) -> list[str]:
    """What is wanted, as text."""
    return [
        f"{each.name}{each.versions}" for each in parse_requirements(text, ENVIRONMENT, VARIABLES).projects
    ]


READ = [
    ("acme", ["acme"]),
    ("Acme_App [x, y] == 1.0", ["acme-app==1.0"]),
    ("acme (>=1)", ["acme>=1"]),
    ("acme==1.0 # why", ["acme==1.0"]),
    ("acme==1.0#why", ["acme==1.0"]),
    ("acme==1.0 --hash=sha256:" + A, ["acme==1.0"]),
    ("acme==1.0 \\\n  --hash=sha256:" + A + " \\\n  --hash sha256:" + A, ["acme==1.0"]),
    ("acme==1.0 --config-settings k=v --global-option=-x", ["acme==1.0"]),
    ("acme==1.0 --no-binary :all:", ["acme==1.0"]),
    ("acme==${VERSION}", ["acme==1.0"]),
    ("acme\r\nbeta\r\n", ["acme", "beta"]),
    ("acme\rbeta", ["acme", "beta"]),
    ("acme>=1,\\\n<2", ["acme<2,>=1"]),
    ("acme; sys_platform == 'win32'", []),
    ("acme; python_version >= '3.8' and sys_platform != 'win32'", ["acme"]),
    ("acme; extra == 'x'", []),
    ("# acme", []),
    ("   ", []),
    ("-i https://index.example/simple", []),
    ("--extra-index-url=https://index.example/simple\nacme", ["acme"]),
    ("--find-links ./wheels\n--no-index\n--require-hashes\n--trusted-host h\nacme", ["acme"]),
    ("acme\\\n# a comment ends the line\nbeta", ["acme", "beta"]),
]


@for_each(("text", "expected"), READ)
def test_what_is_read(text: str, expected: list[str]) -> None:
    """And nothing is said to be left out."""
    assert names(text) == expected
    assert parse_requirements(text, ENVIRONMENT, VARIABLES).skipped == ()


ELSEWHERE = [
    *(
        "git+https://git.example/y.git@v1#egg=y",
        "git+ssh://git@git.example/y.git",
        "hg+http://h/y",
        "svn+svn://h/y",
    ),
    *("git+file:///home/me/y", "bzr+lp:y", "git://h/y.git"),
    *(
        "./local-1.0-py3-none-any.whl",
        "../other",
        ".",
        "/srv/x.tar.gz",
        "~/x",
        "dir/",
        "dir/x.zip",
        "x-1.0.tar.gz",
    ),
    *("x-1.0-py3-none-any.whl[extra]", "C:\\wheels\\x.whl", "C:/wheels/x.whl", "wheels\\x.whl", ".[dev]"),
    *(
        "https://files.example/x-1.0-py3-none-any.whl",
        "http://h/x.zip#sha256=00",
        "file:///srv/x.whl",
        "file:x.whl",
    ),
    *(
        "ftp://h/x.zip",
        "acme @ https://h/acme-1.0.zip",
        "acme @ git+https://h/acme",
        "acme @ file:///srv/acme",
    ),
    *(
        "acme[x] @ https://h/a.whl ; python_version > '3'",
        "-e .",
        "-e git+https://h/y#egg=y",
        "--editable=./y",
        "-e./y",
    ),
    *("https://h/x.whl --hash=sha256:" + A, "./x.whl ; sys_platform == 'linux'"),
]


@for_each("line", ELSEWHERE)
def test_what_is_no_project_of_an_index(line: str) -> None:
    """It is left out and named, is no mistake, and the other lines are read."""
    found = parse_requirements(f"first\n{line}\nlast==2\n", ENVIRONMENT, VARIABLES)
    assert [str(each.name) for each in found.projects] == ["first", "last"]
    (skipped,) = found.skipped
    assert (skipped.where, skipped.is_mistake) == ("line 2", False)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("a b c", "NAME, NAME==VERSION or another requirement is meant"),
        ("acme==", "NAME, NAME==VERSION"),
        ("==1.0", "NAME, NAME==VERSION"),
        ("acme=1.0", "NAME, NAME==VERSION"),
        ("gamma==${UNSET}", "needs ${UNSET}, which is not set"),
        ("acme; python_version > 'x' and nothing == 'y'", "NAME, NAME==VERSION"),
        ("acme; platform_machine ~= 'x'", "has a condition that compares nothing"),
        ("x" * 300_000, "the line has 300,000 characters, and at most"),
    ],
)
def test_what_cannot_be_read(line: str, meant: str) -> None:
    """It is named with its line and what was meant, and costs no other line."""
    found = parse_requirements(f"first\n\n{line}\nlast\n", ENVIRONMENT, VARIABLES)
    assert [str(each.name) for each in found.projects] == ["first", "last"]
    (skipped,) = found.skipped
    assert (skipped.where, skipped.is_mistake) == ("line 3", True)
    assert meant in skipped.reason
    assert len(skipped.reason) < 250


@pytest.mark.parametrize(
    "line",
    [
        "https://me:hunter2@files.example/x.whl",
        "acme @ https://me:${TOKEN}@h/a.whl",
        "git+https://${TOKEN}@h/y.git",
        "https://hunter2@h/x.whl",
    ],
)
def test_no_secret_is_said(line: str) -> None:
    """Neither a login in a URL nor the value of a variable."""
    (skipped,) = parse_requirements(line, ENVIRONMENT, VARIABLES).skipped
    assert "hunter2" not in skipped.reason


@pytest.mark.parametrize(
    ("line", "path", "is_constraint"),
    [
        ("-r other.txt", "other.txt", False),
        ("-rother.txt", "other.txt", False),
        ("--requirement=other.txt", "other.txt", False),
        ("--requirement other.txt # why", "other.txt", False),
        ("-c 'my limits.txt'", "my limits.txt", True),
        ("--constraint=limits.txt", "limits.txt", True),
        ("-r ${VERSION}/x.txt", "1.0/x.txt", False),
    ],
)
def test_other_files(line: str, path: str, is_constraint: bool) -> None:
    """They are named, to be read by the reader of files."""
    assert parse_requirements(line, ENVIRONMENT, VARIABLES).nested == (
        NestedFile(path, "line 1", is_constraint),
    )


def test_constraints_limit_and_want_nothing() -> None:
    """Every one of a name holds."""
    found = parse_requirements("acme>=1\nbeta", ENVIRONMENT, VARIABLES)
    limits = parse_requirements("acme<3\nacme!=2\ngamma==1", ENVIRONMENT, VARIABLES).projects
    assert found.constrained(limits).projects == (
        ProjectRequirement(ProjectName("acme"), SpecifierSet(">=1,<3,!=2")),
        ProjectRequirement(ProjectName("beta"), SpecifierSet()),
    )


def test_early_versions() -> None:
    """With --pre, as pip has it, for the whole file."""
    (found,) = parse_requirements("acme>=1\n--pre\n", ENVIRONMENT, VARIABLES).projects
    assert found.versions.prereleases


ENCODINGS = [
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (b"", "utf-8"),
]


@pytest.mark.parametrize(("mark", "encoding"), ENCODINGS)
def test_encodings(mark: bytes, encoding: str) -> None:
    """By the mark at the beginning, as editors and shells of Windows write it."""
    assert decode_requirements(mark + "acme==1  # hé\r\n".encode(encoding)) == "acme==1  # hé\r\n"


def test_an_encoding_that_is_named() -> None:
    """In one of the first two lines (PEP 263, which pip obeys here)."""
    assert "hé" in decode_requirements("#!/x\n# -*- coding: latin-1 -*-\nacme # hé".encode("latin-1"))
    for name in (b"nonsense", b"hex", b"zip"):
        with pytest.raises(InvalidText, match="names the encoding"):
            decode_requirements(b"# coding: " + name + b"\nacme")
    with pytest.raises(InvalidText, match="is not the ASCII text"):
        decode_requirements(b"# coding: ascii\nacme # \xe9")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a\nb\n\xff", "line 3 has other bytes"),
        (codecs.BOM_UTF8 + b"a\n\xff", "line 2 has other bytes"),
        ("acme".encode("utf-16"), "is UTF-16 or UTF-32"),
        (codecs.BOM_UTF32_BE + b"x", "is UTF-16 or UTF-32"),
        (b"a\nb\0c", "line 2 has a NUL"),
    ],
)
def test_files_that_have_to_be_utf_8(content: bytes, reason: str) -> None:
    """What they are instead is said."""
    with pytest.raises(InvalidText, match=reason):
        decode_utf8(content)


PIECES = st.sampled_from(
    [
        "acme",
        "==1.0",
        " ",
        "#",
        " # c",
        "\\",
        "\\\n",
        "\n",
        "\r\n",
        "\r",
        "-r x",
        "--hash=sha256:0",
        ";",
        "\t",
        "${VERSION}",
    ]
)


@given(st.lists(PIECES, max_size=14).map("".join))
def test_lines_are_those_of_pip(text: str) -> None:
    """The same texts on the same lines, whatever is continued, commented or blank."""
    req_file = pytest.importorskip("pip._internal.req.req_file")
    assert list(_logical_lines(text)) == [
        (number, line.strip()) for number, line in req_file.preprocess(text) if line.strip()
    ]


@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    """It is read; nothing is raised."""
    parse_requirements(text, ENVIRONMENT, dict(os.environ))
