"""A cache between readers and the index gives nobody what is another's: neither a tool a page, nor one reader what another may read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.depth import number_of
from tests.fixtures.guarded_site import Lanes, access_named, wheel_of
from tests.fixtures.people_site import BROWSERS, FIREFOX, FIREFOX_FETCH, TOOLS, open_people_pages
from tests.fixtures.rights_matrix import FILES, IDENTITIES

if TYPE_CHECKING:
    from tests.fixtures.site import Reply

CLIENTS: Final = {
    name: tuple(f"{key}: {value}" for key, value in headers)
    for name, headers in {
        **BROWSERS,
        **TOOLS,
        "another site's script": (("Origin", "https://x.example"),),
        # Nothing but the destination tells it from the page itself.
        "a frame of Firefox": (*FIREFOX, ("Sec-Fetch-Dest", "iframe"), *FIREFOX_FETCH[1:]),
    }.items()
}
TARGETS: Final = (
    *(
        "/",
        "/simple/",
        "/tool/",
        "/simple/tool/",
        "/vault/",
        "/simple/vault/",
        "/acme-app/",
        "/acme-app",
        "/fresh/",
    ),
    *(
        "/tool/1.0/",
        "/vault/1.0/",
        f"/-/inside/vault/{wheel_of('vault')}",
        "/-/diff/tool/0.5/1.0",
        "/-/setup/",
    ),
    *("/-/status", "/-/docs/", "/-/why/tool", "/-/why/vault", "/-/nothing", "/vault/9.9/", "/pypi/tool/json"),
    *(f"/tool/{wheel_of('tool')}", f"/vault/{wheel_of('vault')}", "/-/static/style.css", "/favicon.ico"),
)


class SharedCache:
    """A cache for everybody that keeps and reuses all that RFC 9111 allows, without any regard for age.

    Args:
        lanes: The index.
        is_careless: Whether it obeys nothing but ``private``, ``no-store`` and Vary, as nginx without further settings obeys nothing
            about logins (section 3.5), and others can be told to ask for nothing again.

    Attributes:
        hits: How many answers came from it without a question, and how many after a 304.
    """

    def __init__(self, lanes: Lanes, *, is_careless: bool) -> None:
        self._lanes = lanes
        self._is_careless = is_careless
        self._kept: dict[str, list[tuple[dict[str, str], Reply]]] = {}
        self.hits = [0, 0]

    def get(self, target: str, label: str, headers: tuple[str, ...]) -> Reply:
        """Return what a reader gets."""
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in headers)}
        kept = next(
            (reply for former, reply in self._kept.get(target, ()) if _selects(former, fields, reply)), None
        )
        if kept is not None and (self._is_careless or "no-cache" not in _caching(kept)):
            self.hits[0] += 1
            return kept
        etag = None if kept is None else kept.headers.get("etag")
        reply = self._lanes.ask("GET", target, label, *headers, *([f"If-None-Match: {etag}"] if etag else []))
        if kept is not None and reply.status == 304:
            self.hits[1] += 1
            return kept
        if _may_be_kept(reply, has_login=label != "anonymous" and not self._is_careless):
            self._kept.setdefault(target, []).insert(0, (fields, reply))
        return reply


def _caching(reply: Reply) -> set[str]:
    return {each.strip() for each in reply.headers.get("cache-control", "").split(",")}


def _may_be_kept(reply: Reply, *, has_login: bool) -> bool:
    """RFC 9111 section 3, with section 3.5 about requests with Authorization; without Cache-Control a guess is allowed."""
    caching = _caching(reply)
    return not {"private", "no-store"} & caching and (
        not has_login or bool({"public", "must-revalidate"} & caching)
    )


def _selects(former: dict[str, str], fields: dict[str, str], reply: Reply) -> bool:
    """RFC 9111 section 4.1."""
    names = [name.strip().lower() for name in reply.headers.get("vary", "").split(",") if name]
    return all(former.get(name) == fields.get(name) for name in names)


def compare(file: str, steps: list[tuple[str, str, str]], *, is_careless: bool) -> SharedCache:
    """Send requests through a cache, and see that each gets what it gets without.

    Who is logged in may get from a careless one what strangers get, which is never more.
    """
    lanes, alone = (Lanes(access_named(file), people=open_people_pages) for _ in range(2))
    cache = SharedCache(lanes, is_careless=is_careless)
    for label, target, client in steps:
        got = cache.get(target, label, CLIENTS[client])
        readers = (label, "anonymous") if is_careless else (label,)
        expected = [_of_reader(alone.ask("GET", target, each, *CLIENTS[client])) for each in readers]
        assert _of_reader(got) in expected, (label, target, client)
    return cache


def _of_reader(reply: Reply) -> tuple[object, ...]:
    """What must not be another's."""
    fields = ("content-type", "content-encoding", "access-control-allow-origin", "location")
    return (reply.status, reply.body, *(reply.headers.get(name) for name in fields))


@settings(deadline=None, max_examples=number_of(80))
@given(
    st.sampled_from(sorted(FILES)),
    st.lists(
        st.tuples(
            st.sampled_from(sorted(IDENTITIES)), st.sampled_from(TARGETS), st.sampled_from(sorted(CLIENTS))
        ),
        max_size=40,
    ),
    st.booleans(),
)
def test_nobody_gets_what_is_anothers(
    file: str, steps: list[tuple[str, str, str]], is_careless: bool
) -> None:
    compare(file, steps, is_careless=is_careless)


@pytest.mark.parametrize("is_careless", [False, True])
@pytest.mark.parametrize("file", FILES)
def test_every_reader_and_client_one_after_the_other(file: str, is_careless: bool) -> None:
    """In two orders; what everybody gets comes from the cache, so it is one that keeps things."""
    steps = [
        (label, target, client)
        for label in ("anonymous", "alice", "dave-read")
        for target in TARGETS
        for client in ("pip 26", "Firefox over TLS", "Firefox over HTTP", "a frame of Firefox")
    ]
    for order in (steps, steps[::-1]):
        hits = compare(file, order, is_careless=is_careless).hits
        assert hits[0]
        assert hits[1] or is_careless or file == "private"
