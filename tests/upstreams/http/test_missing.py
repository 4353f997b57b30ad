"""Which statuses an operator can have mean "no such project"."""

from __future__ import annotations

import pytest

from simpleindex.core.errors import InvalidSources
from simpleindex.upstreams.http.missing import may_mean_missing, refuses_missing
from simpleindex.views.sources_file import parse_sources
from tests.fixtures.tables import for_each

UPSTREAM = '[[upstream]]\nname = "up"\nurl = "https://up.example/simple/"\n'


@for_each(
    ("status", "reason"),
    [
        *((status, None) for status in (301, 302, 303, 307, 308, 400, 402, 403, 404, 405, 406, 410, 451)),
        *((status, "success") for status in (100, 200, 203, 204, 299)),
        *((status, "no redirect") for status in (300, 304, 305, 399)),
        *((status, "index failed") for status in (500, 502, 503, 504, 599)),
        *((401, "credentials"), (407, "proxy"), (408, "too long"), (429, "wait"), (425, "again")),
        # What this index says of its own upstreams.
        (424, "failed"),
        *((status, "no HTTP status") for status in (0, 99, 600, -403, True, "403", 403.0, None, [403])),
    ],
)
def test_which_statuses_can_mean_it(status: object, reason: str | None) -> None:
    """Refusals and redirects; never a failure, a success, or a question about credentials."""
    found = refuses_missing(status)
    assert found is None if reason is None else reason in (found or "")
    if isinstance(status, int):
        assert may_mean_missing(status) == (reason is None and status not in {404, 410})


def test_the_sources_file_has_them() -> None:
    """Of each upstream; none by itself."""
    assert parse_sources(UPSTREAM.encode()).upstreams[0].missing == frozenset()
    (upstream,) = parse_sources((UPSTREAM + "missing = [403, 303, 404, 403]").encode()).upstreams
    assert upstream.missing == {303, 403, 404}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("missing = 403", "no list; write missing = \\[403\\]"),
        ("missing = [500]", "has 500 in 'missing' of the upstream up, which says that the index failed"),
        ("missing = [403, 401]", "has 401 in 'missing' of the upstream up, which says that credentials"),
        ('missing = ["403"]', "has '403' in 'missing' of the upstream up, which is no HTTP status"),
        ("missing = [403]\nflat = true", "one page without any for projects"),
    ],
)
def test_nonsense_is_refused(line: str, sentence: str) -> None:
    """In a sentence that says why."""
    with pytest.raises(InvalidSources, match=sentence):
        parse_sources((UPSTREAM + line).encode())
