"""Names of files that are on their way, misspelt, or of other formats."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.directory.layout.distribution_like import (
    is_misspelt,
    is_other_format,
    is_trace,
    traced_projects,
)
from tests.fixtures.tables import for_each

WHOLE = (
    "acme-1.0-py3-none-any.whl",
    "acme-1.0.tar.gz",
    "acme-1.0.zip",
    "acme-1.0.tar.bz2",
    "ACME-1.0.TAR.GZ",
)
ON_THEIR_WAY = (
    ".{}.Xy12Zz",  # rsync
    ".~tmp~{}",
    "{}.part",  # Firefox, wget of some
    "{}.crdownload",  # Chromium
    "{}.filepart",  # WinSCP
    "{}.download",  # Safari
    "{}~",
    "{}.1",  # wget
    "{}.tmp.1234",
    "._{}",  # macOS
    ".in.{}.",  # ProFTPD
    ".syncthing.{}.tmp",
    ".tmp.{}",
    "{}.aria2",
    "{}.asc",
    "{}.metadata",
    "{}",
)


@for_each("form", ON_THEIR_WAY)
@for_each("name", WHOLE)
def test_a_name_on_its_way_states_its_project(form: str, name: str) -> None:
    """Whatever the program that copies makes of it."""
    filename = form.format(name)
    assert is_trace(filename)
    assert "acme" in traced_projects(filename)


@for_each(
    ("filename", "projects"),
    [
        ("acme-1.0.whl", ["acme"]),
        (".acme-1.0.whl.Xy12", ["acme"]),
        ("acme.whl", ["acme"]),
        ("acme-1.0-py3-none-any (1).whl", ["acme"]),
        ("acme-1.0 (1).tar.gz", ["acme"]),
        ("my-acme-1.0.tar.gz.part", ["my-acme"]),
        ("My_Acme-1.0-py3.9.egg", ["my-acme"]),
        ("acme-1.0.win32-py2.7.exe", ["acme"]),
        ("README.md", []),
        ("acme.egg-info", []),
        ("acme-1.0.dist-info", []),
        ("photos.zip", []),
        ("setup.exe", []),
        (".git", []),
        ("x" * 300 + "-1.0.whl", []),
        ("-1.0.zip", []),
    ],
)
def test_projects(filename: str, projects: list[str]) -> None:
    """None where nothing states one: a name that is taken by mistake cannot be had from upstreams."""
    assert [*traced_projects(filename)] == projects


@pytest.mark.parametrize(
    ("filename", "misspelt", "other"),
    [
        ("ACME-1.0.TAR.GZ", True, False),
        ("acme-1.0-py3-none-any.WHL", True, False),
        ("acme-1.0.Zip", True, False),
        ("acme-1.0.zip", False, False),
        ("acme-1.0-py3.9.egg", False, True),
        ("acme-1.0.tar.Z", False, True),
        ("acme-1.0-1.noarch.rpm", False, True),
        ("README.TXT", False, False),
    ],
)
def test_what_is_passed_over(filename: str, misspelt: bool, other: bool) -> None:
    """Capitals and formats are told apart, for each has its own remedy."""
    assert (is_misspelt(filename), is_other_format(filename)) == (misspelt, other)


@given(st.text(max_size=300))
def test_no_name_is_too_odd(filename: str) -> None:
    """Names of files hold anything."""
    if traced_projects(filename):
        assert is_trace(filename)
    is_misspelt(filename)
    is_other_format(filename)
