"""What is offered of an upstream whose files clients get from itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from simpleindex.core.files import FIRST_SEEN, File, Sidecar
from simpleindex.core.model import Project, Status, Withheld
from simpleindex.core.names import Kind, ProjectName
from simpleindex.upstreams.modes import cached_project, redirected_project
from simpleindex.upstreams.pages.urls import HostPolicy
from simpleindex.web.pages.simple_html import project_html
from simpleindex.web.pages.simple_json import project_json
from tests.core.test_packed import several
from tests.fixtures.tables import for_each

ACME = ProjectName("acme")
REACH = HostPolicy("https://up.example/simple/", ("10.1.1.1",))
URL = "https://up.example/f/acme-1.0.zip"
FILE = File(
    "acme-1.0.zip",
    "1.0",
    Kind.SDIST,
    5,
    "ab" * 32,
    1_700_000_000_000_000_000,
    metadata=Sidecar("cd" * 32, 0),
    signatures=(".asc",),
    url=URL,
    source="up",
)


def offered(*files: File, linked: bool = True, status: Status = Status.ACTIVE) -> Project:
    """What is made of such files."""
    return redirected_project(Project(ACME, files, status=status), {}, host_policy=REACH, linked=linked)


def test_urls_are_ours_or_theirs() -> None:
    """All else that they state is said; what lies beside a file there is not promised."""
    plain = replace(FILE, signatures=())
    assert offered(FILE, linked=False) == Project(ACME, (replace(plain, url=None),))
    linked = offered(FILE)
    assert linked == Project(ACME, (plain,))
    assert f'"url":"{URL}"' in project_json(linked, None).decode()
    assert f'href="{URL}#sha256={FILE.sha256}"' in project_html(linked, None).decode()


@for_each(
    ("url", "reason"),
    [
        ("http://up.example/f/acme-1.0.zip", "its URL is http, and that of its index https"),
        (
            "https://10.0.0.1/acme-1.0.zip",
            "its URL leads to 10.0.0.1, which has a private address and is not in its `hosts`",
        ),
        (
            "https://localhost:81/acme-1.0.zip",
            "its URL leads to localhost:81, which has a private address and is not in its `hosts`",
        ),
        ("https://10.1.1.1/acme-1.0.zip", None),
        ("https://files.example/acme-1.0.zip", None),
    ],
)
@for_each("linked", [False, True])
def test_where_clients_are_not_sent(url: str, reason: str | None, linked: bool) -> None:
    """To their own network by a stranger, or away from TLS; everybody may read why."""
    project = offered(replace(FILE, url=url), linked=linked)
    assert len(project.files) == (reason is None)
    assert project.withheld == (
        ()
        if reason is None
        else (Withheld("acme-1.0.zip", f"acme-1.0.zip is not offered: {reason}.", "url", "up", public=True),)
    )


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("http://localhost:8080/acme-1.0.zip", "localhost:8080"),
        ("http://localhost/acme-1.0.zip", "localhost"),
        ("https://[::1]:3/acme-1.0.zip", "[::1]:3"),
        ("http://files.example/acme-1.0.zip", None),
        ("https://10.1.1.1/acme-1.0.zip", None),
        ("https://up.example:8443/acme-1.0.zip", None),
    ],
)
def test_what_nobody_can_have_is_not_listed(url: str, where: str | None) -> None:
    """Where files are given from here; the reason names what `hosts` would have to say."""
    project = Project(ACME, (replace(FILE, url=url),))
    found = cached_project(project, {}, {}, host_policy=REACH)
    assert (len(found.files), len(found.withheld)) == ((1, 0) if where is None else (0, 1))
    for item in found.withheld:
        assert (item.rule, item.public) == ("url", True)
        assert f"its URL leads to {where}, which has" in item.reason


def test_without_tls() -> None:
    """From an upstream that has none they go there without."""
    project = Project(ACME, (replace(FILE, url="http://up.example/f/acme-1.0.zip"),))
    assert redirected_project(
        project, {}, host_policy=HostPolicy("http://up.example/simple/"), linked=True
    ).files


def test_a_sidecar_after_a_query() -> None:
    """A client would look for it at a URL that nobody meant; we send it to the right one."""
    signed = replace(FILE, url=f"{URL}?signature=x")
    assert offered(signed).files[0].metadata is None
    assert offered(signed, linked=False).files[0].metadata is not None


@pytest.mark.parametrize("linked", [False, True])
def test_when_it_was_first_seen(linked: bool) -> None:
    """Is said where nobody stated an upload time, so that rules about age can judge it."""
    undated = Project(ACME, (replace(FILE, uploaded_ns=None), replace(FILE, filename="acme-2.0.zip")))
    project = redirected_project(
        undated, {"acme-1.0.zip": 5, "acme-2.0.zip": 6}, host_policy=REACH, linked=linked
    )
    assert [(file.uploaded_ns, file.dated_by) for file in project.files] == [
        (5, FIRST_SEEN),
        (FILE.uploaded_ns, None),
    ]


def test_quarantine() -> None:
    """Nothing is offered then."""
    project = offered(FILE, status=Status.QUARANTINED)
    assert (tuple(project.files), project.status) == ((), Status.QUARANTINED)
    assert not offered(replace(FILE, url=None)).files


@given(several)
def test_pages_are_stable(files: list[File]) -> None:
    """The same listing gives the same bytes, and no URL of the upstream's where they are to be ours."""
    files = [
        replace(
            file, url=URL, version="1.0", filename=f"acme-{number}.zip", provenance_url=None, other_hash=None
        )
        for number, file in enumerate(files)
    ]
    for linked in (False, True):
        one, other = (
            redirected_project(Project(ACME, tuple(files)), {}, host_policy=REACH, linked=linked)
            for _ in range(2)
        )
        assert one == other
        assert project_json(one, None) == project_json(other, None)
        assert all((file.url == URL) is linked for file in one.files)
