"""The guides below ``/-/docs/``."""

from __future__ import annotations

import pytest

from simpleindex.system.guides import read_documents
from tests.fixtures.site import SiteFixture
from tests.fixtures.tables import for_each


@pytest.mark.parametrize("path", ["/-/docs/", "/-/docs"])
def test_the_list_has_a_line_for_each_guide(path: str) -> None:
    """Topic and title, as plain text that a browser shows."""
    reply = SiteFixture().get(path)
    assert (reply.status, reply.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    topics = [line.split()[0] for line in reply.text.splitlines() if line.startswith("  ")]
    assert sorted(topics) == list(read_documents())


@pytest.mark.parametrize("path", ["/-/docs/protocol", "/-/docs/protocol.md", "/-/docs/decisions/http2"])
def test_a_guide_is_its_text(path: str) -> None:
    """With the suffix too, so that links between guides hold."""
    reply = SiteFixture().get(path)
    topic = path.removeprefix("/-/docs/").removesuffix(".md")
    assert (reply.status, reply.text) == (200, read_documents()[topic])


def test_a_guide_is_revalidated() -> None:
    """A strong ETag of the content; a 304 repeats it."""
    index = SiteFixture()
    etag = index.get("/-/docs/protocol").headers["etag"]
    reply = index.get("/-/docs/protocol", ("If-None-Match", etag))
    assert (reply.status, reply.headers["etag"], reply.text) == (304, etag, "")


@for_each(
    "path",
    [
        "/-/docs/nothing",
        "/-/docs/../protocol",
        "/-/docs/%2e%2e/deploy/access.toml",
        "/-/docs/..%2f__init__.py",
        "/-/docs/decisions",
        "/-/docs/decisions/",
        "/-/docs/decisions/../protocol",
        "/-/docs//protocol",
        "/-/docsx",
    ],
)
def test_nothing_else_is_there(path: str) -> None:
    """A topic is looked up and never a path."""
    assert SiteFixture().get(path).status == 404
