"""URLs of other servers lead to what they had, and hide nothing of ours."""

from __future__ import annotations

import pytest

from simpleindex.core.errors import NotHere
from simpleindex.web.routing.routes import FileRoute, ProjectRoute, RedirectRoute, ReleaseRoute
from simpleindex.web.routing.targets import route
from tests.fixtures.tables import for_each

WHEEL = "acme_lib-1.0-py3-none-any.whl"
HERE = f"/simple/acme-lib/{WHEEL}"


@for_each(
    ("old", "new"),
    [
        (f"/packages/{WHEEL}", HERE),
        (f"/packages/{WHEEL}.metadata", f"{HERE}.metadata"),
        (f"/packages/{WHEEL}.asc?x=1", f"{HERE}.asc?x=1"),
        ("/packages/acme-1.0+cu1.tar.gz", "/simple/acme/acme-1.0%2Bcu1.tar.gz"),
        (f"/packages/03/a4/640fcc/{WHEEL}", HERE),
        (f"/packages/Acme.Lib/{WHEEL}", HERE),
        # Where the name ends, only the project can tell.
        ("/packages/a-1/a-1-1.tar.gz", "/simple/a-1/a-1-1.tar.gz"),
        ("/packages/a/a-1-1.tar.gz", "/simple/a/a-1-1.tar.gz"),
        ("/packages/packages/packages-1.0.tar.gz", "/simple/packages/packages-1.0.tar.gz"),
        (f"/alice/dev/+f/03a/4640fccfee4e3/{WHEEL}", HERE),
        (f"/alice/stable/+f/03a/4640fccfee4e3/{WHEEL}", f"/stable{HERE}"),
        ("/alice/dev/+simple", "/simple/"),
        ("/alice/dev/%2Bsimple/", "/simple/"),
        ("/alice/dev/+simple/Acme_Lib", "/simple/acme-lib/"),
        ("/alice/dev/+simple/acme-lib/", "/simple/acme-lib/"),
        ("/alice/stable/+simple/acme-lib/", "/stable/simple/acme-lib/"),
        (f"/api/package/acme-lib/{WHEEL}", HERE),
        (f"/stable/packages/{WHEEL}", f"/stable{HERE}"),
        ("/stable/alice/dev/+simple/acme/", "/stable/simple/acme/"),
        ("/stable/alice/stable/+simple/acme/", "/stable/simple/acme/"),
    ],
)
def test_where_they_lead_to(old: str, new: str) -> None:
    assert route(old.encode(), ("stable",)) == RedirectRoute(new)


@for_each(
    "path",
    [
        "/alice/dev/+simple/acme/more/",
        "/alice/dev/+simple/-bad-/",
        "/alice/dev/+f/03a/4640fccfee4e3/notes.txt",
        "/alice/dev/+e/03a/4640fccfee4e3/acme-1.0.tar.gz",
        "/alice/dev/+simple/acme/../other/",
        "/packages/a/b/notes.txt",
        "/stable/dev/+simple/acme/",
        f"/simple/packages/a/{WHEEL}",
        "/simple/alice/dev/+simple/acme/",
        f"/api/packages/acme-lib/{WHEEL}",
    ],
)
def test_what_nobody_had(path: str) -> None:
    with pytest.raises(NotHere):
        route(path.encode(), ("stable",))


def test_a_project_of_that_name_is_not_hidden() -> None:
    """No file of another project can be beside its page."""
    assert route(b"/packages/") == ProjectRoute("packages")  # type: ignore[arg-type]
    for filename in ("packages-1.0.tar.gz", "packages-1.0.tar.gz.asc", "notes.txt"):
        assert route(f"/packages/{filename}".encode()) == FileRoute("packages", filename)  # type: ignore[arg-type]
    assert route(b"/packages/1.0/") == ReleaseRoute("packages", "1.0")  # type: ignore[arg-type]
    assert route(f"/simple/packages/{WHEEL}".encode()) == FileRoute("packages", WHEEL)  # type: ignore[arg-type]
