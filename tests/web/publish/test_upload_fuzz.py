"""Whatever is sent as an upload: never a server's error, never a file left behind, never a traceback.

SIMPLEINDEX_FUZZ_SECONDS says how long the long run takes, SIMPLEINDEX_FUZZ_SEED where it begins. The number of examples is printed
(``pytest -s``).
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fixtures.depth import number_of
from tests.fixtures.distributions import sdist_bytes, sdist_name, wheel_bytes, wheel_name
from tests.fixtures.publishing_site import PublishingSiteFixture, publishing_site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hypothesis.strategies import SearchStrategy

    from tests.fixtures.connection import Answer

SECONDS = float(os.environ.get("SIMPLEINDEX_FUZZ_SECONDS", "3"))
SEED = int(os.environ.get("SIMPLEINDEX_FUZZ_SEED", "0"))
_EXAMPLES_OF_A_ROUND = number_of(100)

BOUNDARY = b"b0und4ry"

FILES: dict[str, bytes] = {
    wheel_name("acme", "1.0"): wheel_bytes("acme", "1.0"),
    wheel_name("acme", "2.0"): wheel_bytes("acme", "2.0", files={"big.bin": bytes(range(256)) * 400}),
    wheel_name("secret-app", "1.0"): wheel_bytes("secret-app", "1.0"),
    sdist_name("acme", "1.0"): sdist_bytes("acme", "1.0"),
    sdist_name("other", "3.1"): sdist_bytes("other", "3.1"),
}

OTHER_BYTES = wheel_bytes("acme", "1.0", files={"other.py": b""})
STEADY = (wheel_name("steady"), wheel_bytes("steady"))

NASTY_NAMES = (
    "",
    ".",
    "..",
    "../acme-1.0-py3-none-any.whl",
    "/etc/acme-1.0-py3-none-any.whl",
    "..%2Facme-1.0-py3-none-any.whl",
    "a\\acme-1.0-py3-none-any.whl",
    "C:\\x\\acme-1.0-py3-none-any.whl",
    "acme-1.0-py3-none-any.whl\0.txt",
    ".simpleindex-uploads-1.0-py3-none-any.whl",
    ".simpleindex-1.0.tar.gz",
    "simpleindex.toml",
    "acme-1.0-py3-none-any.whl.metadata",
    "acme-1.0-py3-none-any.whl.asc",
    "certs-1.0-py3-none-any.whl",
    "acmé—-1.0-py3-none-any.whl",
    "acme-" + "1" * 300 + "-py3-none-any.whl",
    "acme-" + "1" * 5000 + "-py3-none-any.whl",
    "acme-1.0+local.1-py3-none-any.whl",
    "a-1-1.tar.gz",
    "acme-1.0.tar.gz\r\nX: y",
)


class Part(NamedTuple):
    """One part of a form."""

    name: bytes
    content: bytes
    filename: bytes | None = None
    headers: tuple[bytes, ...] = ()

    def encoded(self) -> bytes:
        """As it goes over the wire."""
        end = b"" if self.filename is None else b'; filename="' + self.filename + b'"'
        disposition = b'Content-Disposition: form-data; name="' + self.name + b'"' + end
        return b"\r\n".join((disposition, *self.headers, b"", self.content))


def form(parts: list[Part], boundary: bytes = BOUNDARY) -> bytes:
    """A whole form."""
    between = b"--" + boundary + b"\r\n"
    return b"".join(between + part.encoded() + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"


def twine_parts(filename: str, content: bytes | None = None) -> list[Part]:
    """What twine sends of a file."""
    content = content or FILES[filename]
    name, version = filename.removesuffix(".tar.gz").split("-")[:2]
    is_wheel = filename.endswith(".whl")
    fields = {
        "metadata_version": "2.1",
        "name": name,
        "version": version,
        "filetype": "bdist_wheel" if is_wheel else "sdist",
        "pyversion": "py3" if is_wheel else "source",
        "sha256_digest": hashlib.sha256(content).hexdigest(),
        "protocol_version": "1",
        ":action": "file_upload",
    }
    parts = [Part(key.encode(), value.encode()) for key, value in fields.items()]
    return [
        *parts,
        Part(b"content", content, filename.encode(), (b"Content-Type: application/octet-stream",)),
    ]


short = st.binary(max_size=40)
words = st.sampled_from(
    [b"", b"UNKNOWN", b"1", b"2", b"content", b"name", b"version", b"acme", b"secret-app", b"simple", b"-"]
    + [
        b"legacy",
        b"9" * 5000,
        b"\xff\xfe",
        "—é\u2028".encode(),
        b"wheel",
        b"submit",
        b"[]",
        b"[{}]",
        b"0" * 64,
    ]
    + [name.encode() for name in (*NASTY_NAMES, *FILES)]
)
contents = (
    st.sampled_from([*FILES.values(), OTHER_BYTES, OTHER_BYTES, b"", b"PK\x05\x06" + bytes(18), b"\x1f\x8b"])
    | short
)
headers = st.lists(
    st.sampled_from(
        [
            b"Content-Type: image/png",
            b"Content-Type: text/plain; charset=utf-16",
            b"Content-Length: 3",
            b"X" * 5000,
            b"Content-Transfer-Encoding: base64",
            b": ",
            b"A: \xff\x00",
            b"Content-Disposition: form-data; name=z",
            b"Content-Disposition: form-data; filename*=utf-8''x.whl; name*0=a",
            b"B:" + b"c" * 40000,
        ]
    )
    | short,
    max_size=3,
).map(tuple)


@st.composite
def forms(draw: Any) -> bytes:
    """A form as a client makes it, changed in a few places."""
    parts = twine_parts(
        *draw(st.sampled_from([(name,) for name in FILES] + [(wheel_name("acme", "1.0"), OTHER_BYTES)]))
    )
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 4]))):
        at = draw(st.integers(0, len(parts) - 1)) if parts else 0
        kind = draw(
            st.sampled_from(["drop", "double", "swap", "name", "content", "filename", "headers", "new"])
        )
        if kind == "new" or not parts:
            parts.insert(
                at, Part(draw(words | short), draw(words | contents), draw(st.none() | words | short))
            )
        elif kind == "drop":
            del parts[at]
        elif kind == "double":
            parts.insert(draw(st.integers(0, len(parts))), parts[at])
        elif kind == "swap":
            parts.append(parts.pop(at))
        else:
            value = {
                "name": words | short,
                "content": words | contents,
                "filename": st.none() | words | short,
                "headers": headers,
            }[kind]
            parts[at] = parts[at]._replace(**{kind: draw(value)})
    return form(parts)


@st.composite
def mutated(draw: Any, bodies: SearchStrategy[bytes]) -> bytes:
    """Bytes, some of which were cut out, doubled, or overwritten."""
    body: bytes = draw(bodies)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2, 5]))):
        at = draw(st.integers(0, len(body)))
        stop = min(len(body), at + draw(st.sampled_from([0, 1, 2, 7, 100, 10_000])))
        put = draw(
            st.sampled_from(
                [b"", b"\r\n", b"\r", b"\n", b"\0", b"--", b"--" + BOUNDARY, b"\r\n--" + BOUNDARY]
            )
            | st.sampled_from([b"\r\n--" + BOUNDARY + b"--\r\n", b"\r\n\r\n", b'"', b";", b"A" * 70_000])
            | st.just(body[at:stop] * 2)
            | short
        )
        body = body[:at] + put + body[stop:]
    return body


TYPES = (
    b"multipart/form-data; boundary=" + BOUNDARY,
    b'multipart/form-data; boundary="' + BOUNDARY + b'"',
    b"Multipart/Form-Data; charset=utf-8; boundary=" + BOUNDARY,
    b"multipart/form-data",
    b"multipart/form-data; boundary=",
    b"multipart/form-data; boundary=" + b"x" * 5000,
    b"multipart/form-data; boundary*=utf-8''" + BOUNDARY,
    b"multipart/form-data; boundary=\xff\xe9",
    b"application/x-www-form-urlencoded",
    b"multipart/mixed; boundary=" + BOUNDARY,
)
TARGETS = (
    *(
        "/legacy/",
        "/legacy",
        "/",
        "/simple/",
        "/simple",
        "/legacy/?x=1",
        "/legacy//",
        "/-/api/x",
        "/acme/",
        "/%2e%2e/",
    ),
    *(f"/{name}" for name in FILES),
)


def quoted(name: str) -> str:
    """A name in a URL, hardly quoted."""
    return "".join(
        each if "!" < each <= "~" else "".join(f"%{byte:02x}" for byte in each.encode()) for each in name
    )


@st.composite
def requests(draw: Any) -> tuple[list[bytes], bool]:
    """A request in pieces, and whether the client leaves at once."""
    body = draw(st.one_of(forms(), mutated(forms()), contents))
    method = draw(st.sampled_from([b"POST"] * 30 + [b"PUT"] * 6 + [b"GET", b"DELETE", b"OPTIONS"]))
    target = draw(
        st.sampled_from(TARGETS[:1] * 80 + TARGETS + tuple(f"/{quoted(name)}" for name in NASTY_NAMES))
    )
    kind = draw(st.sampled_from(TYPES[:1] * 40 + TYPES) | short.map(lambda data: data.replace(b"\n", b"")))
    lines = [method + b" " + target.encode() + b" HTTP/1.1", b"Host: index", b"Content-Type: " + kind]
    lines.append(
        draw(st.sampled_from([b"Authorization: Bearer TOKEN"] * 12 + [b"Authorization: Basic \xff", b"A: b"]))
    )
    lines += draw(st.lists(st.sampled_from(FURTHER), max_size=2))
    match draw(
        st.sampled_from(["right"] * 8 + ["chunked"] * 4 + ["short", "long", "none", "both", "broken"])
    ):
        case "right":
            lines.append(b"Content-Length: %d" % len(body))
        case "short":
            lines.append(b"Content-Length: %d" % (len(body) // 2))
        case "long":
            lines.append(
                b"Content-Length: %d" % (len(body) + draw(st.sampled_from([1, 1000, 10**10, 10**17, 10**30])))
            )
        case "chunked":
            lines.append(b"Transfer-Encoding: chunked")
            body = chunked(body, draw(st.sampled_from([1000, 10_000, 1_000_000])))
        case "both":
            lines += [b"Transfer-Encoding: chunked", b"Content-Length: %d" % len(body)]
        case "broken":
            lines.append(b"Transfer-Encoding: chunked")
            body = draw(mutated(st.just(chunked(body, 1000))))
    wire = b"\r\n".join([*lines, b"", body])
    if draw(st.booleans()) and draw(st.booleans()):
        wire = wire[: draw(st.integers(0, len(wire)))]
    return cut(wire, draw(st.lists(st.integers(0, len(wire)), max_size=6))), draw(st.booleans())


FURTHER = (
    *(
        b"Expect: 100-continue",
        b"Accept: application/json",
        b"Connection: close",
        b"Origin: https://evil.example",
    ),
    *(
        b"Sec-Fetch-Site: cross-site",
        b"X-Forwarded-For: 192.0.2.1",
        b"Content-Encoding: gzip",
        b"Accept: \xff",
    ),
)


def chunked(body: bytes, size: int) -> bytes:
    """A body in chunks (RFC 9112 section 7.1)."""
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def cut(wire: bytes, edges: list[int]) -> list[bytes]:
    """Bytes in pieces."""
    edges = sorted({0, len(wire), *edges})
    return [wire[start:stop] for start, stop in itertools.pairwise(edges)]


class Fuzzed:
    """An index that is fuzzed, and what it must hold."""

    def __init__(self, world: PublishingSiteFixture) -> None:
        self.world = world
        self.examples = 0
        self.statuses: dict[int, int] = {}
        # An index that becomes empty takes its disk for gone.
        world.post(STEADY[1], "application/octet-stream", target=f"/{STEADY[0]}", method="PUT")
        self.held = world.tree().files

    def upload(self, pieces: list[bytes], *, leaves: bool) -> None:
        """Send something, and look at everything."""
        token = self.world.token.encode()
        found = self.world.send(*[piece.replace(b"TOKEN", token) for piece in pieces], leaves=leaves)
        self.examples += 1
        self._judge(found)
        files, litter = self.world.tree()
        if leaves:
            assert litter == []
        new = {path: data for path, data in files.items() if self.held.get(path) != data}
        assert not self.held.keys() - files.keys()
        # Nothing that was there has changed, and what is new was accepted, whole.
        assert not new.keys() & self.held.keys()
        assert len(new) <= sum(answer.status == 200 for answer in found)
        for path, data in new.items():
            assert data in {*FILES.values(), OTHER_BYTES}, path
        if new:
            shown = self.world.listed()
            public = {path: data for path, data in files.items() if not path.startswith("secret")}
            assert shown == {path: hashlib.sha256(data).hexdigest() for path, data in public.items()}
        self.held = files
        if len(files) > 4:
            self._empty()

    def change(self, name: str, action: str, body: bytes) -> None:
        """Ask the JSON interface for something."""
        answer = self.world.post(body, "application/json", target=f"/-/api/projects/{name}/{action}")
        self.examples += 1
        self._judge([answer])
        assert self.world.tree().litter in ([], ["acme/.simpleindex-ledger"])
        assert self.world.world.ask("/simple/acme/").status == 200

    def _judge(self, found: list[Answer]) -> None:
        for answer in found:
            self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
            # What is said of a Transfer-Encoding that is not known (RFC 9112 section 6.1).
            assert answer.status < 500 or answer.status == 501, answer
        failures, self.world.world.failures[:] = list(self.world.world.failures), []
        assert failures == []

    def _empty(self) -> None:
        """Begin anew, so that uploads go on to be accepted."""
        from simpleindex.core.names import ProjectName
        from tests.fixtures.deferreds import result

        gone = {path for path in self.held if not path.startswith("steady/")}
        for path in gone:
            (self.world.root / path).unlink()
            del self.held[path]
        for name in {path.partition("/")[0] for path in gone}:
            (self.world.root / name).rmdir()
            result(self.world.service.index.sources.directories[0].live.changed(ProjectName(name)))


@pytest.fixture
def fuzzed(tmp_path: Path) -> Iterator[Fuzzed]:
    """An empty index."""
    with publishing_site(tmp_path) as world:
        yield Fuzzed(world)


ODD = settings(
    max_examples=_EXAMPLES_OF_A_ROUND,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["1.0", *FILES]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
json_keys = st.sampled_from(["version", "file", "reason", "status", "x"])
json_bodies = (
    st.dictionaries(
        json_keys, json_values | st.sampled_from(["archived", "active", "\ud800", "a\nb", "=1", "]"])
    )
    .map(json.dumps)
    .map(str.encode)
    | st.sampled_from(
        [b"", b"{", b"[" * 60_000, b"1" * 5000, b'{"file": 1e999}', b"\xff", b'{"a":1}' * 9999, b"null"]
    )
    | st.sampled_from([b'{"version": "' + b"1" * 5000 + b'"}', b'{"version": "1.0", "reason": "\\ud800"}'])
)
json_names = st.sampled_from(
    ["acme"] * 6 + ["Acme", "nobody", "-", "simple", "..", "%2e%2e", "a%00b", "a/b", ""]
)
json_actions = st.sampled_from(["yank", "unyank", "status", "delete", "free", "no"])


def fuzz_uploads(fuzzed: Fuzzed, number: int) -> None:
    """One round."""

    @seed(number)
    @ODD
    @given(sent=requests())
    def run(sent: tuple[list[bytes], bool]) -> None:
        pieces, _ = sent
        fuzzed.upload(pieces, leaves=True)

    run()


def fuzz_changes(fuzzed: Fuzzed, number: int) -> None:
    """One round."""
    name = wheel_name("acme", "1.0")

    @seed(number)
    @ODD
    @given(project=json_names, action=json_actions, body=json_bodies)
    def run(project: str, action: str, body: bytes) -> None:
        fuzzed.change(project, action, body)

    fuzzed.world.post(FILES[name], "application/octet-stream", target=f"/{name}", method="PUT")
    run()


def test_a_few_uploads(fuzzed: Fuzzed) -> None:
    """A round of the long run, which finds what is broken at large."""
    fuzz_uploads(fuzzed, SEED)


def test_a_few_changes(fuzzed: Fuzzed) -> None:
    """The same of the JSON interface: it answers, its project stays, and nothing is left behind."""
    fuzz_changes(fuzzed, SEED)


@pytest.mark.slow
def test_many(tmp_path: Path) -> None:
    """For as long as was asked for: round after round, each from another seed."""
    end = time.monotonic() + SECONDS
    examples, statuses = 0, dict[int, int]()
    for number in itertools.count(SEED + 1):
        for kind, fuzz in (("uploads", fuzz_uploads), ("changes", fuzz_changes)):
            if kind == "changes" and number % 5:
                continue
            place = tmp_path / f"{number}-{kind}"
            place.mkdir()
            with publishing_site(place) as world:
                fuzzed = Fuzzed(world)
                fuzz(fuzzed, number)
                examples += fuzzed.examples
                for status, count in fuzzed.statuses.items():
                    statuses[status] = statuses.get(status, 0) + count
        if time.monotonic() > end:
            break
    print(f"\n{examples} requests, answered {dict(sorted(statuses.items()))}")
    assert {200, 400, 401, 409} & statuses.keys()
