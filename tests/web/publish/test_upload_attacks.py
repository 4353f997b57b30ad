"""What somebody sends who means harm, or leaves at the wrong moment; through the whole index, into a real directory."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from twisted.internet.address import IPv4Address

from simpleindex.access.identity import Action
from tests.fixtures.connection import Answer, answers
from tests.fixtures.distributions import add_wheel, wheel_bytes, wheel_name
from tests.fixtures.publishing_site import ACCESS, PublishingSiteFixture, publishing_site
from tests.web.publish.test_upload_fuzz import BOUNDARY, TYPES, Part, form

if TYPE_CHECKING:
    from collections.abc import Iterator


FORM = TYPES[0].decode()
FAR = IPv4Address("TCP", "192.0.2.7", 50000)

NO_LOCAL_VERSIONS = """\
[[rule]]
projects = ["acme"]
upload = ["alice"]
local-versions = false
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[PublishingSiteFixture]:
    """An empty index."""
    with publishing_site(tmp_path) as made:
        yield made


def audit(world: PublishingSiteFixture) -> list[dict[str, str]]:
    """The lines of the audit, without logins, and without the one that the records began."""
    path = world.world.place / "state" / "audit.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line for line in lines if line["event"] not in ("records-begun", "login")]


def head(
    world: PublishingSiteFixture, size: int, *lines: str, token: str | None = None, name: str = "acme"
) -> bytes:
    """The head of a PUT."""
    own = f"Authorization: Bearer {token or world.token}"
    text = [
        f"PUT /{wheel_name(name)} HTTP/1.1",
        "Host: index",
        own,
        *lines,
        f"Content-Length: {size}",
        "",
        "",
    ]
    return "\r\n".join(text).encode("latin-1")


def put(world: PublishingSiteFixture, name: str, *lines: str) -> Answer:
    """Upload a project's wheel."""
    data = wheel_bytes(name)
    (answer,) = world.send(head(world, len(data), *lines, name=name) + data)
    return answer


# -- the client leaves --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", range(12))
@pytest.mark.parametrize("is_done", [False, True])
def test_a_client_that_leaves(steps: int, is_done: bool, world: PublishingSiteFixture) -> None:
    """Wherever it is, and whether or not the thread was quicker: all of it happened, the audit too, or nothing."""
    data = wheel_bytes("acme")
    transport = world.world.connect()
    world.threads.held = True
    transport.protocol.dataReceived(head(world, len(data)) + data[:100])
    for step in range(steps):
        if step == 3:
            transport.protocol.dataReceived(data[100:])
        if world.threads.calls:
            world.threads.deliver()
        world.world.reactor.advance(0)
    if is_done and world.threads.calls:
        world.threads.start()
    transport.leave()
    world.world.reactor.advance(0)
    # As with several threads, the youngest call may come first.
    for index in reversed(range(len(world.threads.calls))):
        world.threads.start(index)
    world.threads.release()
    world.world.reactor.advance(0)
    files, litter = world.tree()
    assert litter == []
    assert set(files.values()) <= {data}
    assert [line["event"] for line in audit(world)] == ["upload"] * len(files)
    assert [*world.listed()] == [*files]


def test_a_client_that_leaves_a_deletion(world: PublishingSiteFixture) -> None:
    """Who deleted something is recorded, though nobody waited for the answer."""
    put(world, "acme")
    world.threads.held = True
    transport = world.world.connect()
    body = b'{"version": "1.0"}'
    own = f"Authorization: Bearer {world.token}\r\nContent-Length: {len(body)}"
    transport.protocol.dataReceived(
        f"POST /-/api/projects/acme/delete HTTP/1.1\r\nHost: a\r\n{own}\r\n\r\n".encode() + body
    )
    while not any("Deletions.delete" in name for name in world.threads.names()):
        world.threads.deliver()
    transport.leave()
    world.threads.release()
    world.world.reactor.advance(0)
    assert [line["event"] for line in audit(world)] == ["upload", "delete"]
    assert world.listed() == {}


# -- before a byte is kept ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/", 405),
        ("/x", 400),
        ("/acme.txt", 400),
        ("/1.whl", 400),
        ("/a%2fb-1.whl", 400),
        (f"/{wheel_name('other')}", 403),
    ],
)
def test_nothing_is_kept_of_what_is_nobodys(target: str, status: int, world: PublishingSiteFixture) -> None:
    """Without a project no right can be told, so nobody who can only log in fills the disk."""
    token = world.make_token(Action.UPLOAD, projects=("acme",))
    text = f"PUT {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 1000000\r\n\r\n"
    transport = world.world.connect()
    transport.protocol.dataReceived(text.encode() + b"x" * 1000)
    world.world.reactor.advance(0)
    if status == 405:
        transport.protocol.dataReceived(b"x" * 999_000)
    (answer,) = answers(transport.take())
    assert answer.status == status
    assert world.tree().litter == []
    transport.leave()


def test_the_file_before_its_name(world: PublishingSiteFixture) -> None:
    """A form may begin with the file: its name alone decides then, whatever is said of it afterwards."""
    data = wheel_bytes("other")
    file = Part(b"content", data, wheel_name("other").encode())
    token = world.make_token(Action.UPLOAD, projects=("acme",))
    world.token, own = token, world.token
    assert world.post(form([file]), FORM).status == 403
    world.token = own
    assert world.post(form([file]), FORM).status == 200


def test_endless_headers_of_a_part(world: PublishingSiteFixture) -> None:
    """Headers of a part without end are refused; they are no file and have a bound of their own."""
    begin = b"--" + BOUNDARY + b"\r\n" + b'Content-Disposition: form-data; name="content"\r\n'
    for more in (b"A: " + b"b" * 20_000, b"A: b\r\n" * 5000):
        assert world.post(begin + more, FORM).status == 400


@pytest.mark.parametrize("name", ["acmé", "acme—", "\u0430cme", "acme\u2028", "\ud800"])
def test_names_of_all_scripts(name: str, world: PublishingSiteFixture) -> None:
    """A name that is not ASCII is refused in a sentence, in whichever field it stands."""
    encoded = name.encode("utf-8", "surrogatepass")
    data = wheel_bytes("acme")
    for part in (
        Part(b"content", data, encoded + b"-1.0-py3-none-any.whl"),
        Part(encoded, b"x"),
        Part(encoded, b"x", b"x"),
        Part(b"name", encoded),
        Part(b"content", data, wheel_name("acme").encode(), (b"Content-Type: " + encoded,)),
    ):
        file = Part(b"content", data, wheel_name("acme").encode())
        answer = world.post(form([part, file] if part.filename is None else [part]), FORM)
        assert answer.status in {200, 400}, part
        assert answer.body or answer.status == 200


def test_an_empty_name_first(tmp_path: Path) -> None:
    """A value that counts as absent does not hide the project, and with it the project's rules."""
    data = wheel_bytes("acme", "1.0+x")
    filename = wheel_name("acme", "1.0+x").encode()
    fields = {
        b"version": b"1.0+x",
        b"filetype": b"bdist_wheel",
        b"pyversion": b"py3",
        b"metadata_version": b"2.1",
    }
    parts = [Part(name, value) for name, value in fields.items()]
    with publishing_site(tmp_path, NO_LOCAL_VERSIONS) as world:
        for first in (b"", b"UNKNOWN", b" "):
            names = [Part(b"name", first), Part(b"name", b"acme")]
            answer = world.post(form([*names, *parts, Part(b"content", data, filename)]), FORM)
            assert answer.status == 400
            assert b"local version" in answer.body


# -- where a file may come to lie ---------------------------------------------------------------------------------------


def test_names_with_a_meaning(world: PublishingSiteFixture) -> None:
    """Reserved first segments are projects like others below /simple/."""
    for name in ("simple", "legacy", "well-known", "api"):
        assert put(world, name).status == 200
        assert world.world.ask(f"/simple/{name}/").status == 200
    assert put(world, "-").status == 400


def test_own_directories_in_the_root(tmp_path: Path) -> None:
    """Certificates, records and cache are never projects, however they are spelt, nor by a link."""
    root = tmp_path / "root"
    places = {name: str(root / name) for name in ("state", "cache", "certs")}
    any_spelling = f"{ACCESS}\n[uploads]\nnormalized-names = false\n"
    with publishing_site(tmp_path, any_spelling, **places) as world:
        (root / "certs").mkdir(exist_ok=True)
        (root / "certs" / "key.pem").write_text("secret")
        os.symlink("state", root / "linked")
        for name in (*places, "State", "CERTS", "linked"):
            assert put(world, name).status == 403, name
        assert not [path for path in world.tree().files if path.endswith(".whl")]
        assert world.world.ask("/certs/key.pem").status == 404


def test_links_out_of_the_root(world: PublishingSiteFixture, tmp_path: Path) -> None:
    """Nothing is written through a link that leads out, to nowhere, or round in a circle."""
    outside = tmp_path / "outside"
    outside.mkdir()
    for name, target in {
        "out": outside,
        "new": outside / "new",
        "loop": Path("loop"),
        "file": outside / "x",
    }.items():
        os.symlink(target, world.root / name)
        # A circle, or a file in the way, is for the operator to clear away, and logged for that.
        assert put(world, name).status == (500 if name == "loop" else 403), name
    (world.root / "taken").write_text("")
    assert put(world, "taken").status == 500
    assert {each.sentence.partition(" ")[0] for each in world.service.troubles.shown()} == {
        str(world.root / "loop"),
        "A",
    }
    assert [*outside.iterdir()] == []


@pytest.mark.parametrize(
    "target",
    [
        "..%2f..%2facme-1.0-py3-none-any.whl",
        "%2e%2e%2facme-1.0-py3-none-any.whl",
        "acme-1.0-py3-none-any.whl%00",
        "acme-1.0-py3-none-any.whl%0d%0aX:%20y",
        "a%5cacme-1.0-py3-none-any.whl",
        ".simpleindex-uploads",
        ".simpleindex-ledger",
        "simpleindex.toml",
        "acme-1.0-py3-none-any.whl.metadata",
        "acme-1.0-py3-none-any.whl.provenance",
        "acme-1.0-py3-none-any.whl.asc",
        ".acme-1.0-py3-none-any.whl",
        f"acme-1.0{'0' * 300}-py3-none-any.whl",
        f"acme-{'1' * 5000}-py3-none-any.whl",
    ],
)
def test_file_names(target: str, world: PublishingSiteFixture) -> None:
    """What is no distribution's bare name comes to lie nowhere."""
    assert world.post(wheel_bytes(), "", target=f"/{target}", method="PUT").status == 400
    data = Part(
        b"content",
        wheel_bytes(),
        target.replace("%5c", "\\").replace("%2f", "/").replace("%2e", ".").encode(),
    )
    assert world.post(form([data]), FORM).status == 400
    assert world.tree() == ({}, [])


# -- who asks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "Origin: null",
        "Origin: https://evil.example",
        "Origin: http://index:8080",
        "Origin: http://index@evil.example",
        "Origin: ",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site",
        "Origin: http://index\r\nOrigin: http://evil.example",
    ],
)
def test_other_sites_pages(line: str, world: PublishingSiteFixture) -> None:
    """A browser tells who made it send something; then nothing is changed, by whichever door."""
    assert put(world, "acme", line).status == 403
    own = f"Authorization: Bearer {world.token}\r\n{line}\r\nContent-Length: 2"
    for target in ("/legacy/", "/-/api/projects/acme/delete"):
        (answer,) = world.send(f"POST {target} HTTP/1.1\r\nHost: index\r\n{own}\r\n\r\n{{}}".encode())
        assert answer.status == 403
    assert world.tree() == ({}, [])


@pytest.mark.parametrize(
    "line", ["", "X-Forwarded-Proto: https", "X-Forwarded-For: 127.0.0.1", "Forwarded: proto=https"]
)
def test_plain_http_from_afar(line: str, world: PublishingSiteFixture) -> None:
    """Credentials that others could read are not looked at, whatever the client says of its way."""
    data = wheel_bytes()
    transport = world.world.connect(peer=FAR)
    transport.protocol.dataReceived(head(world, len(data), *([line] if line else [])) + data)
    world.world.reactor.advance(0)
    (answer,) = answers(transport.take())
    assert answer.status == 403
    assert b"plain HTTP" in answer.body
    assert audit(world)[-1]["address"] == "192.0.2.7"
    assert world.tree() == ({}, [])
    transport.leave()


@pytest.mark.parametrize(
    "value",
    [
        "Basic",
        "Basic ",
        "Basic \xff",
        "Basic =",
        "Basic Og==",
        "Bearer",
        "Bearer " + "x" * 9000,
        "Digest x",
        "\xff\xfe",
    ],
)
def test_odd_authorization(value: str, world: PublishingSiteFixture) -> None:
    """Whatever is shown: 401 in a sentence, and the door stays shut; a second header does not open it either."""
    data = wheel_bytes()
    for lines in (
        [f"Authorization: {value}"],
        [f"Authorization: {value}", f"Authorization: Bearer {world.token}"],
    ):
        text = "\r\n".join(
            ["PUT /acme-1.0-py3-none-any.whl HTTP/1.1", "Host: a", *lines, f"Content-Length: {len(data)}"]
        )
        (answer,) = world.send(text.encode("latin-1") + b"\r\n\r\n" + data)
        assert answer.status == 401
        assert b"Traceback" not in answer.body
    assert world.tree() == ({}, [])


def test_nothing_secret_is_said(world: PublishingSiteFixture) -> None:
    """Neither the log nor the audit nor an answer repeats a token, right or wrong, wherever it stood."""
    wrong = "sidx-" + "W" * 43
    said = b"".join(
        answer.body + b"".join(answer.headers.values()) + answer.reason
        for line in (
            f"Authorization: Bearer {wrong}",
            f"Authorization: Basic {wrong}",
            f"Authorization: {wrong}",
        )
        for answer in world.send(
            f"PUT /a HTTP/1.1\r\nHost: a\r\n{line}\r\nContent-Length: 1\r\n\r\nx".encode()
        )
    )
    put(world, "acme")
    told = said.decode() + "".join(world.world.said) + json.dumps(audit(world))
    assert wrong not in told
    assert "W" * 20 not in told
    assert world.token not in told


# -- what is too much ---------------------------------------------------------------------------------------------------


def test_ten_gigabytes(world: PublishingSiteFixture) -> None:
    """Refused by its header; not invited, and nothing is kept."""
    for size in (10 << 30, 10**17, 10**30):
        (answer,) = world.send(head(world, size, "Expect: 100-continue"))
        assert answer.status in {405, 413}
        assert world.tree() == ({}, [])


def test_a_bound_that_is_met_on_the_way(tmp_path: Path) -> None:
    """A client that does not say how much comes is refused as soon as it is too much."""
    access = ACCESS + "\n[uploads]\nmax-file-size = 100000\n"
    with publishing_site(tmp_path, access) as world:
        chunk = b"%x\r\n%s\r\n" % (60_000, b"x" * 60_000)
        own = head(world, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        (answer,) = world.send(own + chunk, chunk)
        assert answer.status == 413
        assert world.tree() == ({}, [])


def test_a_conflict_with_another_place(world: PublishingSiteFixture) -> None:
    """The same file twice is one; other bytes under a name that lies elsewhere in the root are a conflict."""
    assert put(world, "acme").status == 200
    assert put(world, "acme").status == 200
    add_wheel(world.root, "acme", "2.0", directory="Acme")
    path = f"/{wheel_name('acme', '2.0')}"
    other = wheel_bytes("acme", "2.0", files={"other.py": b""})
    answer = world.post(other, "", target=path, method="PUT")
    assert (answer.status, answer.reason[:19]) == (409, b"File already exists")
