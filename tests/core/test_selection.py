"""Which files a version or a file name means."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.errors import NotHere
from simpleindex.core.names import ProjectName
from simpleindex.core.selection import select
from tests.fixtures.tables import for_each

ACME = ProjectName("acme-app")
FILES = (
    "acme_app-1.0.tar.gz",
    "acme_app-1.0.0-py3-none-any.whl",
    "acme-app-1-0.zip",
    "Acme.App-1.1.tar.gz",
    "acme_app-2.0+local.1-py3-none-any.whl",
    "other-1.0.tar.gz",
    "acme_app-broken.whl",
)


@for_each(
    ("key", "found"),
    [
        ("1.0", ("acme_app-1.0.0-py3-none-any.whl", "acme_app-1.0.tar.gz")),
        ("1", ("acme_app-1.0.0-py3-none-any.whl", "acme_app-1.0.tar.gz")),
        ("v1.0.0.0", ("acme_app-1.0.0-py3-none-any.whl", "acme_app-1.0.tar.gz")),
        (" 1.1 ", ("Acme.App-1.1.tar.gz",)),
        ("2.0+LOCAL-1", ("acme_app-2.0+local.1-py3-none-any.whl",)),
        ("acme_app-1.0.tar.gz", ("acme_app-1.0.tar.gz",)),
        # Names that do not parse, or name another project, are found as themselves only.
        ("acme_app-broken.whl", ("acme_app-broken.whl",)),
        ("other-1.0.tar.gz", ("other-1.0.tar.gz",)),
        ("2.0", None),
        ("1.0.1", None),
        ("acme_app-1.0.1.tar.gz", None),
        ("ACME_APP-1.0.tar.gz", None),
        ("", None),
        ("latest", None),
        ("*", None),
        ("1" * 5000, None),
        ("\ud800", None),
        ("../acme_app-1.0.tar.gz", None),
    ],
)
def test_table(key: str, found: tuple[str, ...] | None) -> None:
    """Versions in any form (PEP 440), and bare file names."""
    if found is None:
        with pytest.raises(NotHere) as raised:
            select(ACME, key, FILES)
        str(raised.value).encode()
        assert len(str(raised.value)) < 500
    else:
        assert select(ACME, key, FILES) == found


def test_of_nothing() -> None:
    """A project without files has no version."""
    with pytest.raises(NotHere, match=r"version '1\.0' of the project acme-app"):
        select(ACME, "1.0", ())


@given(st.text())
def test_anything(key: str) -> None:
    """No text is an error of ours, and what is found is there."""
    with suppress(NotHere):
        assert set(select(ACME, key, FILES)) <= set(FILES)
