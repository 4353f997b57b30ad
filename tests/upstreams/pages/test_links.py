"""Links that are left out of an upstream's page: each is withheld with its reason, and nothing else is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.names import parse_project_name
from simpleindex.upstreams.errors import InvalidUpstreamPage
from simpleindex.upstreams.pages.links import MOST_LEFT_OUT, why_no_url
from simpleindex.upstreams.pages.project_parser import parse_project
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from simpleindex.core.model import Project

URL = "https://up.example/simple/acme/"
ACME = parse_project_name("acme")
SHA = "ab" * 32


def page(*links: tuple[str, str], title: str = "") -> Project:
    """A project's page of these links: where they lead, and their texts."""
    rows = "".join(f'<a href="{href}">{text}</a>' for href, text in links)
    return parse_project("text/html", f"<html><title>{title}</title>{rows}</html>".encode(), URL, ACME)


LEFT_OUT = {
    "git+https://git.example/user/acme@0.2#egg=acme-0.2": ("acme-0.2", "link", "repository (git+https)"),
    "git+ssh://git@git.example/user/acme.git": ("acme.git", "link", "repository (git+ssh)"),
    "git://git.example/acme": ("acme", "link", "repository (git)"),
    "hg+http://hg.example/acme#egg=acme": ("acme", "link", "repository (hg+http)"),
    "SVN+https://svn.example/acme/trunk#egg=acme-dev": ("acme-dev", "link", "repository (svn+https)"),
    "git+https://me:s3cret@git.example/acme": ("acme", "link", "repository (git+https)"),
    "git+https://s3cret@git.example": ("a link", "link", "repository (git+https)"),
    "acme-1.0.tar.gz/": ("acme-1.0.tar.gz", "link", "ends with a slash"),
    "acme-1.0-py3-none-any.whl/?x=1": ("acme-1.0-py3-none-any.whl", "link", "ends with a slash"),
    f"/blob/{'0' * 64}#sha256={SHA}": ("0" * 64, "link", "does not end with the name of a file"),
    "/download?file=acme-1.0.zip#md5=" + "0" * 32: ("download", "link", "does not end with the name"),
    "/archive/master#egg=acme-1.0": ("acme-1.0", "link", "does not end with the name of a file"),
    "acme-1.0.TAR.GZ": ("acme-1.0.TAR.GZ", "link", "not in small letters"),
    "acme-1.0-py2.7.egg": ("acme-1.0-py2.7.egg", "link", "no wheel and no sdist"),
    "acme-1.0.win32.exe": ("acme-1.0.win32.exe", "link", "no wheel and no sdist"),
    "acme-1.0-1.noarch.rpm": ("acme-1.0-1.noarch.rpm", "link", "no wheel and no sdist"),
    "https://me:s3cret@up.example/acme-1.0.zip": ("acme-1.0.zip", "url", "has a login in it"),
    "https://s3cret@up.example/acme-1.0.zip": ("acme-1.0.zip", "url", "has a login in it"),
    "ftp://up.example/acme-1.0.zip": ("acme-1.0.zip", "url", "is one of ftp, not of http or https"),
    "file:///srv/acme-1.0.zip": ("acme-1.0.zip", "url", "is one of file"),
    "s3://bucket/acme-1.0.zip": ("acme-1.0.zip", "url", "is one of s3"),
    "https://[::1/acme-1.0.zip": ("acme-1.0.zip", "url", "cannot be understood"),
    "https://up.example:99999/acme-1.0.zip": ("acme-1.0.zip", "url", "cannot be understood"),
    "https://up.example/" + "x" * 5000 + "/acme-1.0.zip": ("acme-1.0.zip", "url", "longer than 4,096"),
    "other-1.0.zip": ("other-1.0.zip", "name", "states the project other, not acme"),
    "v1.0.tar.gz#egg=acme-1.0": ("v1.0.tar.gz", "name", "not an sdist's"),
}


@for_each("href", LEFT_OUT)
def test_what_is_left_out_is_withheld(href: str) -> None:
    """Once, with a reason; no login is in it. A page of such links only is an empty project."""
    filename, rule, reason = LEFT_OUT[href]
    found = page((href, "x"), (href, "x"))
    assert found.files == ()
    (item,) = found.withheld
    assert (item.filename, item.rule) == (filename, rule)
    assert reason in item.reason
    assert item.reason.endswith(".") or rule == "name"
    assert "s3cret" not in f"{item.filename} {item.reason}"
    with_a_file = page((href, "x"), ("acme-2.0.zip", "y"))
    assert [file.filename for file in with_a_file.files] == ["acme-2.0.zip"]
    assert len(with_a_file.withheld) == 1


def test_a_text_that_names_a_file() -> None:
    """The URL counts, as for installers; the text says what was meant."""
    (item,) = page((f"/blob/{'0' * 64}", "acme-1.0.tar.gz")).withheld
    assert item.filename == "acme-1.0.tar.gz"
    assert f"('{'0' * 64}')" in item.reason


@for_each(
    "href",
    [
        *("../", "/", "?C=N;O=D", "#top", "https://acme.example/", "mailto:me@acme.example", "README.txt"),
        *(
            "acme-1.0.tar.gz.asc",
            f"acme-1.0-py3-none-any.whl.metadata#sha256={SHA}",
            "old/",
            "index.html",
            "",
        ),
    ],
)
def test_navigation_is_not_withheld(href: str) -> None:
    """And is no sign of a listing."""
    assert page((href, "x"), ("acme-1.0.zip", "y")).withheld == ()
    assert page((href, "x"), title="Index of /acme").withheld == ()
    with pytest.raises(InvalidUpstreamPage, match="lists no files"):
        page((href, "x"))


def test_a_slash_behind_a_file_whose_hash_is_listed() -> None:
    """Pip takes the name before the slash, and the hash tells a file from a directory."""
    (file,) = page((f"acme-1.0.tar.gz/#sha256={SHA}", "x")).files
    assert (file.filename, file.url) == ("acme-1.0.tar.gz", f"{URL}acme-1.0.tar.gz/")


def test_a_file_that_is_offered_is_not_withheld_too() -> None:
    """Another link to it is of no interest."""
    found = page(("ftp://up.example/acme-1.0.zip", "x"), ("acme-1.0.zip", "y"))
    assert [file.filename for file in found.files] == ["acme-1.0.zip"]
    assert found.withheld == ()


def test_many_links() -> None:
    """Beyond a thousand they are only counted."""
    found = page(*((f"acme-{number}.egg", "x") for number in range(MOST_LEFT_OUT + 234)))
    assert len(found.withheld) == MOST_LEFT_OUT + 1
    assert any(item.filename == "234 more links" for item in found.withheld)


@given(st.text(), st.text(), st.text())
def test_no_text_of_a_url_but_its_scheme_is_told(user: str, password: str, path: str) -> None:
    """Whatever it looks like."""
    reason = why_no_url(URL, f"https://{user}:{password}@up.example/{path}")
    assert reason in {
        "its URL has a login in it, which is not passed on",
        "its URL cannot be understood",
    }


@given(st.text(max_size=50), st.text(max_size=20))
def test_any_link_is_offered_withheld_or_passed_over(href: str, text: str) -> None:
    """Nothing is raised, and reasons can be printed."""
    quoted = href.replace("&", "&amp;").replace('"', "&quot;")
    found = page((quoted, text.replace("<", "&lt;")), ("acme-1.0.zip", "y"), title="Index of")
    for item in found.withheld:
        assert item.filename
        item.reason.encode()
        item.filename.encode()
