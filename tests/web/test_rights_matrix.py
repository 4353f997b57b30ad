"""Every kind of user, action, project and URL over HTTP, in both lanes, against the tables written by hand."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simpleindex.access.identity import Action
from simpleindex.access.rights import Access
from tests.fixtures.depth import part
from tests.fixtures.fast_lane import needs_fast_lane
from tests.fixtures.guarded_site import GuardedSiteFixture, Lanes, access_named, bytes_of, form_of, wheel_of
from tests.fixtures.rights_matrix import FILES, IDENTITIES, OWNERS, READERS, cases
from tests.fixtures.site import JSON, Reply, SiteFixture
from tests.fixtures.two_lanes import stocked

if TYPE_CHECKING:
    from collections.abc import Iterator

THERE = ("acme-app", "vault", "tool")
"""The projects that exist; the others of the matrix do not."""

SHARED: dict[str, set[str]] = {
    "rules": {"tool", "fresh"},
    "private": set(),
    "no-rules": {*map(str, OWNERS)},
    "no-file": {*map(str, OWNERS)},
}
"""By hand: the projects that are open to everybody, so that answers about them are the same for all."""

ACCEPT_JSON = f"Accept: {JSON}"


def table(file: str) -> dict[tuple[str, str, str], bool]:
    """One table of the matrix: whether an identity may do something on a project."""
    return {(case.label, case.action.value, case.project): case.allowed for case in cases(file)}


def seen_by(file: str, label: str) -> list[str]:
    """What a reader finds in the list of projects."""
    allowed = table(file)
    return sorted(project for project in THERE if allowed[label, "read", project])


def enters(file: str, label: str) -> bool:
    """Whether a reader may know anything at all."""
    return file != "private" or label != "anonymous"


def refusal_of(label: str) -> int:
    """How somebody is refused what is there."""
    return 401 if label == "anonymous" else 403


def assert_is_for(reply: Reply, *, everybody: bool) -> None:
    """See that caches and other sites' pages get what is for everybody, and nothing else."""
    caching = reply.headers.get("cache-control", "")
    if everybody:
        assert "private" not in caching
        assert reply.headers["access-control-allow-origin"] == "*"
    else:
        assert "private" in caching or caching == "no-store", caching
        assert "public" not in caching
        assert not any(name.startswith("access-control") for name in reply.headers)
    assert "authorization" not in reply.headers.get("vary", "").lower()
    assert ("www-authenticate" in reply.headers) == (reply.status == 401)
    if reply.status == 401:
        assert reply.headers["www-authenticate"].startswith("Basic realm=")


def reads_of(project: str) -> Iterator[tuple[str, str, tuple[str, ...], int]]:
    """Everything that can be read of a project: method, target, further headers, and the status for who may."""
    wheel, page = wheel_of(project), f"/{project}/"
    for target in (page, f"/simple{page}"):
        # More than once: from the second time on strangers may be answered by the express lane.
        yield from [("GET", target, (), 200), ("GET", target, (ACCEPT_JSON,), 200)] * 2
        yield "HEAD", target, (), 200
        yield "GET", f"{target}?format={JSON.replace('+', '%2B')}", (), 200
        yield "GET", target + wheel, (), 200
    for suffix in ("", ".metadata", ".asc", ".provenance"):
        yield "GET", f"{page}{wheel}{suffix}", (), 200
        yield "HEAD", f"{page}{wheel}{suffix}", (), 200
    yield "GET", page + wheel, ("Range: bytes=0-2",), 206
    yield "GET", page + wheel, ("Range: bytes=-10000",), 206
    yield "GET", page + wheel, ("Range: bytes=4000-",), 416
    yield "GET", page + wheel, ('If-Match: "other"',), 412
    yield "GET", page + wheel, ("If-None-Match: *",), 304
    yield "GET", page, ("If-None-Match: *",), 304
    yield "GET", page + "no_such-1.0.tar.gz", (), 404
    for document in (f"/pypi{page}json", f"/pypi{page}0.5/json"):
        yield "GET", document, (), 200
        yield "HEAD", document, (), 200
        yield "GET", document, ("If-None-Match: *",), 304
    yield "GET", f"/pypi{page}99/json", (), 404


REDIRECTS = (
    *("/{}", "/simple/{}", "/simple/{upper}/", "/{upper}", "/simple/{upper}/{wheel}"),
    *("/pypi/{upper}/json", "/packages/{}/{wheel}"),
)


@pytest.mark.parametrize(("file", "label"), READERS)
def test_reading(file: str, label: str) -> None:
    """Pages, files and what lies beside them: 200 by the table, else 401 or 403, and 404 only for what is not there."""
    lanes, allowed = Lanes(access_named(file)), table(file)
    for project in OWNERS:
        everybody = project in SHARED[file]
        for method, target, headers, answered in part([*reads_of(project)], 3, f"{file} {label} {project}"):
            status = answered
            if not enters(file, label):
                status = 401
            elif project not in THERE:
                status = 404
            elif not allowed[label, "read", project]:
                status = refusal_of(label)
            reply = lanes.ask(method, target, label, *headers)
            assert reply.status == status, (method, target, headers)
            assert_is_for(reply, everybody=everybody)
            if status in (401, 403):
                assert "sha256" not in reply.text
                assert "etag" not in reply.headers
        for form in REDIRECTS:
            target = form.format(project, upper=project.upper().replace("-", "_"), wheel=wheel_of(project))
            reply = lanes.ask("GET", target, label)
            assert reply.status == (301 if enters(file, label) else 401), target
            assert_is_for(reply, everybody=file != "private")


@pytest.mark.parametrize(("file", "label"), READERS)
def test_lists(file: str, label: str) -> None:
    """The list of projects holds what its reader may read; nobody gets another one by asking differently."""
    lanes = Lanes(access_named(file))
    everybody = {"rules": label == "anonymous", "private": False, "no-rules": True, "no-file": True}[file]
    for target in ("/", "/simple/"):
        for method in ("GET", "HEAD"):
            for headers in ((), (ACCEPT_JSON,), (ACCEPT_JSON, "Accept-Encoding: gzip")):
                for _ in range(2):
                    reply = lanes.ask(method, target, label, *headers)
                    assert_is_for(reply, everybody=everybody)
                    assert reply.status == (200 if enters(file, label) else 401)
        if not enters(file, label):
            continue
        listed = json.loads(lanes.ask("GET", target, label, ACCEPT_JSON).body)
        assert [each["name"] for each in listed["projects"]] == seen_by(file, label)
        page = lanes.ask("GET", target, label).text
        assert re.findall(r'href="([^"]+)/"', page) == seen_by(file, label)


@pytest.mark.parametrize(("file", "label"), READERS)
def test_our_own_pages(file: str, label: str) -> None:
    """What is below ``/-/``, what cannot be, and what is asked by probes and certificate authorities."""
    lanes, may_enter = Lanes(access_named(file)), enters(file, label)
    open_to_all = {
        "/-/health": 200,
        "/-/ready": 200,
        "/-/ca.pem": 200,
        "/.well-known/acme-challenge/token": 200,
        "/.well-known/acme-challenge/other": 404,
    }
    for target, status in open_to_all.items():
        for method in ("GET", "HEAD"):
            assert lanes.ask(method, target, label).status == status
            # Probes do not log in, and clients that need a new certificate cannot be kept out by a wrong password.
            assert lanes.ask(method, target, "anonymous", "Authorization: Bearer wrong").status == status
    for target, status in {
        "/-/status": 200,
        "/-/api/whoami": 200,
        "/-/nothing": 404,
        "/-/api/nothing": 404,
        "/-/api/projects/tool/yank": 405,
        "/a/b/c": 404,
        "/%00/": 404,
        "/.well-known/other": 404,
        "/-": 404,
        "/legacy/": 405,
        "/legacy": 405,
        "/simple": 301,
    }.items():
        for method in ("GET", "HEAD"):
            reply = lanes.ask(method, target, label)
            assert reply.status == (status if may_enter else 401), target
            assert reply.status < 400 or reply.headers["cache-control"] == "no-store"
            if file == "private" or target == "/-/api/whoami":
                assert_is_for(reply, everybody=False)
        assert lanes.ask("GET", target, "anonymous", "Authorization: Bearer wrong").status == 401
    if may_enter:
        who, token = IDENTITIES[label], IDENTITIES[label].token
        told = json.loads(lanes.ask("GET", "/-/api/whoami", label).body)
        assert told["user"] == who.user
        assert (told["token"] and told["token"]["id"]) == (token and token.id)


@pytest.mark.parametrize(("file", "label"), READERS)
def test_other_methods(file: str, label: str) -> None:
    """Nothing but reading and changing is answered; a private index tells strangers not even that."""
    lanes = Lanes(access_named(file))
    for method, target in (
        *(("DELETE", target) for target in ("/", "/tool/", "/legacy/", "/-/api/whoami")),
        ("POST", "/tool/"),
        ("POST", "/-/status"),
        ("POST", "/a/b/c"),
        ("POST", "/-/api/whoami"),
        ("PUT", "/"),
    ):
        reply = lanes.ask(method, target, label)
        assert reply.status == (405 if enters(file, label) else 401), (method, target)
        assert reply.headers["cache-control"] == "no-store"
    reply = lanes.ask("POST", "/-/api/nothing", label)
    assert reply.status == (404 if enters(file, label) else 401)
    # A browser asks before it knows whether it will be let in, and is told of reading only.
    for target in ("/tool/", "/vault/", "/legacy/"):
        reply = lanes.ask("OPTIONS", target, label)
        assert reply.status == 204
        assert "POST" not in reply.headers.get("access-control-allow-methods", "")
        assert "authorization" not in reply.headers.get("access-control-allow-headers", "").lower()


UPLOADS = ("/legacy/", "/legacy", "/", "/simple/", "/simple")


@pytest.mark.parametrize(("file", "label"), READERS)
def test_uploading(file: str, label: str) -> None:
    """By form at each of its URLs, with and without fields, and as a bare file."""
    lanes, allowed = Lanes(access_named(file)), table(file)
    for project in OWNERS:
        may = allowed[label, "upload", project]
        status = 200 if may else refusal_of(label)
        made = wheel_of(project, "2.0")
        drafts = [len(world.publishing.drafts) for world in lanes.worlds]
        for number, target in enumerate(UPLOADS):
            fields = {
                "name": str(project),
                "version": "2.0",
                "filetype": "bdist_wheel",
                "metadata_version": "2.1",
                "pyversion": "py3",
            }
            header, body = form_of(made, fields if number % 2 else None)
            reply = lanes.ask("POST", target, label, header, body=body)
            assert reply.status == status, (project, target, reply.text)
            assert_is_for(reply, everybody=False)
        bare = wheel_of(project, "3.0")
        for target in (f"/{bare}", f"/simple/{bare}"):
            assert lanes.ask("PUT", target, label, body=b"bare bytes").status == status
        for world, before in zip(lanes.worlds, drafts, strict=True):
            offered = world.source.pages.get(project)
            assert bool(offered and made in [each.filename for each in offered.files]) == may
            assert all(draft.discarded == 1 for draft in world.publishing.drafts)
            told = [line for line in world.audited if line["project"] == project]
            assert [line["event"] for line in told] == (
                ["upload", *["upload-again"] * 4, "upload", "upload-again"] if may else []
            )
            assert_refusals(world, label, project, 0 if may or label == "anonymous" else 7)
            # What is refused was never begun: the form or the file's name told its project before.
            assert len(world.publishing.drafts) - before == (7 if may else 0)


def assert_refusals(world: GuardedSiteFixture, label: str, project: str, count: int) -> None:
    """See that each refusal of somebody who is known has one line of the audit, with who and on which project."""
    identity = IDENTITIES[label]
    lines = [line for line in world.refusals if line["project"] == project]
    assert len(lines) == count
    for line in lines:
        token = identity.token.id if identity.token else None
        assert (line.get("who"), line.get("token")) == (identity.user, token)
        assert line["detail"].startswith(("POST 40", "PUT 40"))


CHANGES: dict[str, tuple[Action, dict[str, Any]]] = {
    "yank": (Action.YANK, {"version": "1.0", "reason": "broken"}),
    "unyank": (Action.YANK, {"version": "1.0"}),
    "delete": (Action.DELETE, {"version": "1.0"}),
    "free": (Action.ADMIN, {"file": "x-0.9.tar.gz"}),
    "status": (Action.ADMIN, {"status": "deprecated", "reason": "old"}),
}


@pytest.mark.parametrize(("file", "label"), READERS)
def test_changing(file: str, label: str) -> None:
    """Each change by the interface: what is done is in the audit, and what is refused is not done."""
    lanes, allowed = Lanes(access_named(file)), table(file)
    for project in OWNERS:
        for change, (action, content) in CHANGES.items():
            may = allowed[label, action.value, project]
            target = f"/-/api/projects/{project}/{change}"
            body = json.dumps(content).encode()
            before = [list(world.publishing.calls) for world in lanes.worlds]
            reply = lanes.ask("POST", target, label, "Content-Type: application/json", body=body)
            status = (200 if project in THERE else 404) if may else refusal_of(label)
            assert reply.status == status, (target, reply.text)
            assert_is_for(reply, everybody=False)
            for world, earlier in zip(lanes.worlds, before, strict=True):
                assert (world.publishing.calls != earlier) == (status == 200)
            refused = status != 200 and label != "anonymous"
            for world in lanes.worlds:
                assert_refusals(world, label, project, int(refused))
                world.refusals.clear()
    for world in lanes.worlds:
        done = {(line["event"], line["project"]) for line in world.audited}
        assert done == {
            (change, project)
            for project in THERE
            for change, (action, _) in CHANGES.items()
            if allowed[label, action.value, project]
        }


@pytest.mark.parametrize("file", FILES)
def test_the_tag_of_another_reader(file: str) -> None:
    """A client with the ETag of somebody else's page gets a 304 only if it may see the same."""
    lanes = Lanes(access_named(file))
    allowed = table(file)
    tags: dict[tuple[str, str], str] = {}  # to whom a page's tag was given last
    for label in IDENTITIES:
        for target in ("/", *(f"/{project}/" for project in THERE)):
            reply = lanes.ask("GET", target, label)
            if reply.status == 200:
                tags[target, reply.headers["etag"]] = label
    assert (len({tag for target, tag in tags if target == "/"}) > 1) == (file in ("rules", "private"))
    for (target, tag), giver in tags.items():
        for label in IDENTITIES:
            reply = lanes.ask("GET", target, label, f"If-None-Match: {tag}")
            if not enters(file, label):
                assert reply.status == 401
            elif target == "/":
                is_alike = seen_by(file, giver) == seen_by(file, label)
                assert reply.status == (304 if is_alike else 200)
            else:
                may = allowed[label, "read", target.strip("/")]
                assert reply.status == (304 if may else refusal_of(label))


@needs_fast_lane
@pytest.mark.parametrize("file", FILES)
def test_the_express_lane(file: str) -> None:
    """It answers strangers what everybody may read, and nobody anything else."""
    lanes = Lanes(access_named(file))
    for label in IDENTITIES:
        for _ in range(2):
            for target in ("/", *(f"/{project}/" for project in OWNERS)):
                lanes.ask("GET", target, label)
        passed = {line.split()[1].decode() for line in lanes.passed()}
        if label != "anonymous" or file == "private":
            assert passed == set()
        else:
            assert passed == {"/", *(f"/{project}/" for project in set(THERE) & SHARED[file])}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(sorted(IDENTITIES)),
        st.sampled_from(("/", "/simple/", *(f"/{project}/" for project in THERE))),
        st.sampled_from(("", ACCEPT_JSON, f"{ACCEPT_JSON}\r\nAccept-Encoding: gzip")),
        st.sampled_from(("", "own", "another's")),
        st.sampled_from((None, None, None, None, *FILES)),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(st.sampled_from(sorted(FILES)), STEPS, st.sampled_from((0, 3000, 1_000_000)))
def test_pages_are_never_mixed(
    file: str, steps: list[tuple[str, str, str, str, str | None]], size: int
) -> None:
    """Readers who alternate on one cache of pages, while the access file changes, get what each would get alone."""
    lanes = Lanes(access_named(file), cache_size=size)
    own: dict[tuple[str, str, str], str] = {}
    newest = ""
    for label, target, header, tag, changed in steps:
        if changed is not None and changed != file:
            file = changed
            for world in lanes.worlds:
                world.access = access_named(file)
        given_tag = {"": "", "own": own.get((label, target, header), ""), "another's": newest}[tag]
        headers = [line for line in (header, given_tag and f"If-None-Match: {given_tag}") if line]
        reply = lanes.ask("GET", target, label, *headers)
        alone, _ = GuardedSiteFixture(access_named(file)).ask(
            bytes_of("GET", target, label, *headers), "GET", label
        )
        alone.headers.pop("date")
        assert reply == alone
        if "etag" in reply.headers:
            newest = own[label, target, header] = reply.headers["etag"]


@pytest.mark.parametrize("authorization", ["Bearer wrong", "Basic YTpi", "Basic %%%", "Odd", "Bearer alice"])
def test_without_logins(authorization: str) -> None:
    """Where nobody can log in credentials are not looked at, and nothing is changed by anybody."""
    index = SiteFixture(stocked())
    for method, target in (
        *(
            (method, target)
            for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT")
            for target in ("/", "/acme/")
        ),
        *(
            ("GET", target)
            for target in ("/acme", "/nothing/", "/shut/", "/-/status", "/-/api/whoami", "/legacy/")
        ),
        ("GET", "/acme/acme-1.0-py3-none-any.whl"),
        ("GET", "/shut/shut-1.0.tar.gz"),
        ("POST", "/legacy/"),
        ("POST", "/-/api/projects/acme/yank"),
        ("PUT", "/acme-2.0.tar.gz"),
    ):
        plain = index.ask(method, target)
        shown = index.ask(method, target, ("Authorization", authorization))
        for reply in (plain, shown):
            reply.headers.pop("date", None)
        assert plain == shown
        assert plain.status not in (401, 403) or target.startswith("/shut/")
        assert "private" not in plain.headers.get("cache-control", "")


def test_no_rule_names_a_reader_of_everything() -> None:
    """The two files that hide nothing are told from those that do, for everything above rests on it."""
    assert {file for file in FILES if access_named(file).everything_public} == {"no-rules", "no-file"}
    assert Access().everything_public
