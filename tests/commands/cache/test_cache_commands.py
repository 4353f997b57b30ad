"""``simpleindex cache``: what is kept of other indexes, listed, explained, removed, and fetched ahead."""

from __future__ import annotations

import hashlib
import io
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.commands.cache.platforms import supported_tags
from simpleindex.commands.cache.warm import _fetch
from simpleindex.commands.main import main
from simpleindex.commands.progress import Progress
from simpleindex.commands.remote import TOKEN_VARIABLE, Remote
from simpleindex.core.errors import RefusedStart
from simpleindex.core.names import ProjectName
from simpleindex.records.opening import open_postgresql
from simpleindex.records.pins import PinTable
from simpleindex.upstreams.cache.pins import Pins
from simpleindex.upstreams.listings.changes import ListingChange
from simpleindex.upstreams.pages.flat import FLAT_PAGE_NAME
from tests.fixtures.cached_upstream import CachedUpstreamFixture
from tests.fixtures.distributions import sdist_name, wheel_name
from tests.fixtures.http_answers import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.postgresql import PostgreSQL

    Captured = pytest.CaptureFixture[str]

SOURCES = '[[upstream]]\nname = "pypi"\nurl = "https://pypi.example.org/simple/"\n'
WHEEL, SDIST, BARE = wheel_name(), sdist_name("acme", "2.0"), wheel_name("bare")


class Place:
    """A cache with two files of acme, of which one is held, and a bare one."""

    def __init__(self, path: Path, capsys: Captured) -> None:
        self.path = path
        self._capsys = capsys
        (path / "sources.toml").write_text(SOURCES)
        self.world = CachedUpstreamFixture(path / "cache")
        self.world.upstream.add(WHEEL, b"wheel")
        self.world.upstream.add(SDIST, b"sdist")
        self.world.upstream.add(BARE, b"bare", bare=True)
        assert self.world.bytes(WHEEL) == b"wheel"
        from tests.fixtures.cached_upstream import read
        from tests.fixtures.deferreds import result

        assert read(result(self.world.source.file(ProjectName("bare"), BARE))) == b"bare"

    def run(self, *words: str, status: int = 0) -> str:
        """Run a command; returns what it printed."""
        options = [
            word
            for name in ("sources.toml", "cache", "state")
            for word in (f"--{name.partition('.')[0]}", str(self.path / name))
        ]
        self._capsys.readouterr()
        assert main(["cache", *words, *options]) == status
        out, err = self._capsys.readouterr()
        return out + err

    def age(self, data: bytes, days: float) -> None:
        """Make a file as if it had been used last so long ago."""
        (path,) = (
            path.with_name(f"{path.name}.facts")
            for path in (self.path / "cache" / "upstream" / "given").rglob("*")
            if path.is_file() and path.read_bytes() == data
        )
        when = os.stat(path).st_mtime - days * 86_400
        os.utime(path, (when, when))


@pytest.fixture
def place(tmp_path: Path, capsys: Captured) -> Place:
    """One of its own for each test."""
    return Place(tmp_path, capsys)


def test_list(place: Place) -> None:
    """What is held, with its size and its upstream; the rest is not."""
    lines = place.run("ls").splitlines()
    assert lines[0].split() == ["FILE", "SIZE", "LAST", "USED", "PINNED", "UPSTREAM"]
    assert [line.split()[0] for line in lines[1:3]] == [WHEEL, BARE]
    assert lines[1].split()[1:3] == ["5", "bytes"]
    assert lines[3] == "2 files, 9 bytes."
    assert BARE not in place.run("ls", "ac*")
    assert place.run("ls", "nothing") == f"There are no such files in {place.path / 'cache'}.\n"


def test_json(place: Place) -> None:
    """For programs."""
    (entry,) = json.loads(place.run("ls", "acme", "--json"))
    assert entry.pop("fetched") <= entry.pop("last_used")
    assert entry == {
        "upstream": "pypi",
        "project": "acme",
        "version": "1.0",
        "filename": WHEEL,
        "sha256": hashlib.sha256(b"wheel").hexdigest(),
        "size": 5,
        "pinned": False,
    }


def test_prune(place: Place) -> None:
    """What nobody used for so long; a server that runs fetches it again."""
    assert place.run("prune") == "0 files, 0 bytes.\n"
    place.age(b"wheel", 31)
    assert place.run("prune", "--dry-run").startswith(f"Would remove {WHEEL}, last used ")
    assert WHEEL in place.run("ls")
    assert place.run("prune", "b*") == "0 files, 0 bytes.\n"
    assert place.run("prune").startswith(f"Removed {WHEEL}, last used ")
    assert WHEEL not in place.run("ls")
    assert BARE in place.run("ls")
    assert place.world.bytes(WHEEL) == b"wheel"
    assert WHEEL in place.run("ls")
    assert place.run("prune", "--older-than", "0d").endswith("2 files, 9 bytes.\n")


def test_why(place: Place) -> None:
    """Where it is, whether it is proven, and what its upstream says of it."""
    text = place.run("why", WHEEL)
    digest = hashlib.sha256(b"wheel").hexdigest()
    assert f"It lists the file at https://files.example.org/acme/{WHEEL}, with sha256 {digest}." in text
    assert f"/acme/{WHEEL}: 5 bytes, sha256 {digest}, " in text
    assert "It was fetched on" in text
    assert "The file is not in the cache: it is fetched when a client asks for it." in place.run("why", SDIST)
    assert "with no hash." in place.run("why", BARE)
    assert "It did not list acme-9.0.tar.gz then." in place.run("why", "acme-9.0.tar.gz")
    assert place.run("why", "never-1.0.tar.gz") == "pypi: the cache has no page of never.\n"


def test_a_flat_upstream(place: Place) -> None:
    """The files of its page are listed and explained by their own projects."""
    from tests.upstreams.test_flat_source import ACME, FlatUpstreamFixture

    world = FlatUpstreamFixture(place.path / "cache")
    world.add(WHEEL, b"wheel")
    world.add(BARE, b"bare")
    assert world.bytes_of(ACME, WHEEL) == b"wheel"
    (place.path / "sources.toml").write_text(SOURCES + "flat = true")
    listed = place.run("ls")
    assert (WHEEL in listed, BARE in listed) == (True, False)
    (entry,) = json.loads(place.run("ls", "ac*", "--json"))
    assert (entry["project"], entry["filename"]) == ("acme", WHEEL)
    assert json.loads(place.run("ls", "b*", "--json")) == []
    assert "pypi: its page was fetched on " in place.run("why", WHEEL)
    assert place.run("pin", "acme==1.0") == f"Pinned {WHEEL} of pypi.\n"
    (entry,) = json.loads(place.run("ls", "--json"))
    assert entry["pinned"]
    # What is gone from the page afterwards is pinned under its own project too.
    assert world.bytes_of(ProjectName("bare"), BARE) == b"bare"
    pins = Pins(str(place.path / "state"))
    kept = world.cache.listing("https://pypi.example.org/simple/", FLAT_PAGE_NAME)
    assert kept is not None
    gone = ListingChange(tuple(kept.project.files))
    pins.keep_removed(world.cache)("https://pypi.example.org/simple/", kept, gone)
    assert pins.names("https://pypi.example.org/simple/") == {"acme", "bare"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("why", "x"), "'x'"),
        (("ls", "-x-"), "see simpleindex cache"),
        (("ls", "a/b"), "is no name of a project"),
        (("prune", "--older-than", "soon"), "--older-than: 'soon' is no time such as"),
        ((), "see simpleindex cache --help"),
    ],
)
def test_refused(place: Place, words: tuple[str, ...], sentence: str) -> None:
    """In a sentence."""
    assert sentence in place.run(*words, status=2)


def test_without_sources(capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to tell."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["cache", "ls"]) == 2
    assert "there is no sources file" in capsys.readouterr().err
    assert main(["cache", "ls", "--sources", str(tmp_path / "none")]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err
    (tmp_path / "bad.toml").write_text("x = 1")
    assert main(["cache", "ls", "--sources", str(tmp_path / "bad.toml")]) == 2
    assert "has the unknown key 'x'" in capsys.readouterr().err


def test_a_damaged_listing_is_passed_over(place: Place) -> None:
    """It is as good as none."""
    directory = place.path / "cache" / "upstream" / "listings"
    (path,) = directory.glob("*/acme")
    path.write_bytes(b"damaged")
    assert WHEEL not in place.run("ls")
    assert place.run("why", WHEEL) == "pypi: the cache has no page of acme.\n"


def test_pin_for_all_nodes(place: Place, postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> None:
    """With records in a database; while it is away nothing is unpinned, for other nodes would bring it back."""
    url = postgresql.create_database()
    records = open_postgresql(url)
    records.prepare()
    monkeypatch.setenv("SIMPLEINDEX_RECORDS", url)
    assert place.run("pin", "acme==1.0") == f"Pinned {WHEEL} of pypi.\n"
    (pin,) = PinTable(records).of("https://pypi.example.org/simple/")
    assert (pin.filename, pin.is_pinned) == (WHEEL, True)
    monkeypatch.setenv("SIMPLEINDEX_RECORDS", "postgresql://127.0.0.1:1/none")
    assert "it stays pinned, because other nodes cannot be notified" in place.run("unpin", "acme", status=2)
    monkeypatch.setenv("SIMPLEINDEX_RECORDS", url)
    assert place.run("unpin", "acme") == f"{WHEEL} of pypi is no longer pinned.\n"
    (pin,) = PinTable(records).of("https://pypi.example.org/simple/")
    assert not pin.is_pinned
    records.close()


def test_pin(place: Place) -> None:
    """What is held is kept for good, audited, and let go of again."""
    assert place.run("pin", "Acme==1.0") == f"Pinned {WHEEL} of pypi.\n"
    assert place.run("pin", "acme").splitlines() == [
        f"Pinned {WHEEL} of pypi.",
        "Not in the cache: 1 more of pypi; simpleindex cache warm fetches them.",
    ]
    assert place.run("ls", "acme").splitlines()[1].split()[-2:] == ["yes", "pypi"]
    assert "The file is pinned: kept for good under --state." in place.run("why", WHEEL)
    assert place.run("unpin", "acme==9.0", status=1) == "No file of acme==9.0 was pinned.\n"
    assert place.run("unpin", "acme") == f"{WHEEL} of pypi is no longer pinned.\n"
    audit = (place.path / "state" / "audit.jsonl").read_text()
    assert [json.loads(line)["event"] for line in audit.splitlines()] == ["pinned", "pinned", "unpinned"]


@pytest.mark.parametrize(
    ("release", "sentence"),
    [("acme==2.0", "No file of acme==2.0 is in the cache"), ("never", "No file of never is in the cache")],
)
def test_pin_what_is_not_held(place: Place, release: str, sentence: str) -> None:
    """It is said how to have it."""
    assert sentence in place.run("pin", release, status=1)


@pytest.mark.parametrize("release", ["x-", "acme==odd!", "a b"])
def test_pin_refused(place: Place, release: str) -> None:
    """What is not a release."""
    assert "is neither a project nor a release" in place.run("pin", release, status=2)


def test_why_of_what_nobody_gets(place: Place) -> None:
    """A rule withholds it, or clients are sent elsewhere: then it is fetched for nobody."""
    sources = place.path / "sources.toml"
    sources.write_text(SOURCES + '[[rule]]\nname = "old"\nnot-after = 2020-01-01\n')
    text = place.run("why", SDIST)
    assert "The file is not in the cache: it is not offered now. " in text
    assert "withheld by the rule old" in text
    sources.write_text(SOURCES + 'mode = "redirect"\n')
    assert "clients fetch it from pypi itself, whose mode is redirect." in place.run("why", SDIST)


# -- warm ---------------------------------------------------------------------------------------------------------------


class Serving(ThreadingHTTPServer):
    """An index of some pages and files."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes | int] = {}
        self.seen: list[str] = []
        self.slow: dict[str, int] = {}
        super().__init__(("127.0.0.1", 0), Answering)

    def offer(self, filename: str, data: bytes, **values: Any) -> None:
        """List a file, and have it."""
        project = filename.split("-", maxsplit=1)[0]
        page = f"/simple/{project}/"
        known = self.pages.get(page, b'{"files": []}')
        assert isinstance(known, bytes)
        files = json.loads(known)["files"]
        entry = {
            "filename": filename,
            "url": filename,
            "hashes": {"sha256": hashlib.sha256(data).hexdigest()},
        }
        self.pages[page] = json.dumps({"files": [*files, entry | values]}).encode()
        self.pages[page + filename] = data


class Answering(BaseHTTPRequestHandler):
    """One request."""

    server: Serving

    def do_GET(self) -> None:
        self.server.seen.append(self.path)
        answer = self.server.pages.get(self.path, 404)
        body = b"No.\n" if isinstance(answer, int) else answer
        if self.server.slow.get(self.path):
            self.server.slow[self.path] -= 1
            answer, body = 503, b"It is being fetched from up, which takes long; try again.\n"
        self.send_response(answer if isinstance(answer, int) else 200)
        if answer == 503:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    """One on loopback."""
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    yield from running(Serving())


def warm(server: Serving, path: Path, text: str, *words: str) -> int:
    """Run the command over a file."""
    (path / "wanted").write_text(text)
    return main(
        [
            "cache",
            "warm",
            str(path / "wanted"),
            "--index-url",
            f"http://127.0.0.1:{server.server_port}/simple/",
            *words,
        ]
    )


def test_warm(server: Serving, tmp_path: Path, capsys: Captured) -> None:
    """Everything is read once, and nothing else."""
    server.offer(WHEEL, b"wheel")
    server.offer(SDIST, b"sdist")
    server.offer("other-1.0.tar.gz", b"other data")
    assert warm(server, tmp_path, "acme==1.0\nother\nother>=1\n") == 0
    assert sorted(server.seen) == sorted(
        [
            *(f"/simple/{name}/" for name in ("acme", "other", "other")),
            f"/simple/acme/{WHEEL}",
            "/simple/other/other-1.0.tar.gz",
        ]
    )
    assert capsys.readouterr().out == "2 files for 3 lines, 15 bytes.\n"


def test_warm_tells_what_is_missing(server: Serving, tmp_path: Path, capsys: Captured) -> None:
    """Each with the reason, and the rest is had all the same."""
    server.offer(WHEEL, b"wheel")
    server.offer("gone-1.0.tar.gz", b"")
    server.pages["/simple/gone/gone-1.0.tar.gz"] = 403
    server.offer("far-1.0.tar.gz", b"")
    server.pages["/simple/far/far-1.0.tar.gz"] = 302
    server.offer("direct-1.0.tar.gz", b"", url="https://elsewhere.example/direct-1.0.tar.gz")
    server.pages["/simple/odd/"] = b"<html>"
    server.pages["/simple/deep/"] = b"[" * 100_000
    assert warm(server, tmp_path, "acme==1.0\nacme==7\nnone\ngone\nfar\nodd\ndeep\ndirect\n") == 1
    assert capsys.readouterr().out.splitlines() == [
        "acme==7 is not offered.",
        "none: the index answered 404: No.",
        "odd: the index sent a page that is not valid",
        "deep: the index sent a page that is not valid",
        "direct: clients fetch its files from its upstream (mode listing-only), so they are not cached.",
        "gone-1.0.tar.gz: the index answered 403: No.",
        "far-1.0.tar.gz: clients fetch it from its upstream (mode redirect), so it is not cached.",
        "1 file for 8 lines, 5 bytes.",
    ]


def test_warm_says_why_a_release_is_withheld(server: Serving, tmp_path: Path, capsys: Captured) -> None:
    """As the index explains it; and what it cannot explain is as before."""
    server.offer(WHEEL, b"wheel")
    says = "acme-7.tar.gz is not offered (withheld by the rule cooldown): it is offered when it is 7 days old, from 2026-12-05 16:00 UTC"
    files = [
        {"filename": WHEEL, "version": "1.0", "offered": True},
        {"filename": "acme-7.tar.gz", "version": "7", "offered": False, "says": says},
    ]
    server.pages["/-/why/acme"] = json.dumps({"answer": "partly withheld", "files": files}).encode()
    assert warm(server, tmp_path, "acme==7\nacme==8\n") == 1
    assert capsys.readouterr().out.splitlines()[:2] == [
        f"acme==7 is not offered: {says}",
        "acme==8 is not offered.",
    ]


def test_warm_waits_for_what_its_upstream_is_slow_to_begin(server: Serving, tmp_path: Path) -> None:
    """It is the patient client for which that is fetched in the background."""
    server.offer(WHEEL, b"wheel")
    server.slow[f"/simple/acme/{WHEEL}"] = 3
    assert warm(server, tmp_path, "acme\n") == 0
    assert server.seen.count(f"/simple/acme/{WHEEL}") == 4
    server.slow[f"/simple/acme/{WHEEL}"] = 1000
    assert warm(server, tmp_path, "acme\n") == 1


@pytest.mark.parametrize("size", ["2K", "1M"])
def test_warm_of_more_than_the_cache_keeps(
    server: Serving, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch, *, size: str
) -> None:
    """It is said, where the server is the one on this machine."""
    for name in (WHEEL, "other-1.0.tar.gz"):
        server.offer(name, bytes(1500))
    (tmp_path / "sources.toml").write_text(f'[cache]\nsize = "{size}"\n')
    (tmp_path / "config.toml").write_text(f'sources = "{tmp_path / "sources.toml"}"\n')
    (tmp_path / "wanted").write_text("acme\nother\n")
    url = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr("simpleindex.commands.local_index.local_url", lambda _: url)
    monkeypatch.setattr("simpleindex.commands.local_index.local_ca", lambda _: None)
    words = ["cache", "warm", str(tmp_path / "wanted"), "--config", str(tmp_path / "config.toml")]
    status = int(size == "2K")
    assert main(words) == status
    assert ("larger than the cache" in capsys.readouterr().out) == bool(status)


def test_warm_for_others(server: Serving, tmp_path: Path) -> None:
    """For the platforms and versions that are named, or all."""
    windows = "acme-1.0-cp312-cp312-win_amd64.whl"
    for filename in (WHEEL, windows, sdist_name()):
        server.offer(filename, filename.encode())
    warm(server, tmp_path, "acme", "--python-version", "3.12", "--platform", "win_amd64")
    assert server.seen == ["/simple/acme/", f"/simple/acme/{windows}"]
    server.seen.clear()
    warm(server, tmp_path, "acme", "--all")
    assert len(server.seen) == 4
    server.seen.clear()
    warm(server, tmp_path, "acme ; python_version < '3.10'", "--python-version", "3.12")
    assert server.seen == []


def test_warm_refused(server: Serving, tmp_path: Path, capsys: Captured) -> None:
    """What cannot be read."""
    assert warm(server, tmp_path, "a b c") == 2
    assert "wanted, line 1 cannot be read (NAME, NAME==VERSION" in capsys.readouterr().err
    assert warm(server, tmp_path, "acme", "--python-version", "three") == 2
    assert "--python-version: 'three' is no version" in capsys.readouterr().err
    assert main(["cache", "warm", str(tmp_path / "none"), "--index-url", "http://127.0.0.1:1"]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err


def test_warm_names_a_dead_server_once(server: Serving, tmp_path: Path, capsys: Captured) -> None:
    """It is the same for every line of the file, and for every file where it dies later."""
    (tmp_path / "wanted").write_text("acme\nother\nthird\n")
    words = ["cache", "warm", str(tmp_path / "wanted"), "--index-url"]
    assert main([*words, "http://127.0.0.1:1/"]) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("the index at http://127.0.0.1:1/ cannot be reached: ")
    assert last == "0 files for 3 lines, 0 bytes."
    remote = Remote("http://127.0.0.1:1/", None, None, needs_token=False)
    outcomes = {_fetch(remote, f"files/{name}.whl", Progress(io.StringIO())) for name in "abc"}
    assert outcomes == {(0, first)}


def test_warm_leaves_out(server: Serving, tmp_path: Path, capsys: Captured) -> None:
    """What names no project of an index is counted and said; a mistake beside it is said and makes the status 1."""
    server.offer(WHEEL, b"wheel")
    (tmp_path / "more").write_text("acme\n./x.whl\n")
    (tmp_path / "limits").write_text("acme<99\n")
    assert warm(server, tmp_path, "git+https://me:secret@h/y\n-r more\n-c limits\n-r more\n") == 0
    out = capsys.readouterr().out
    assert f"Skipped: {tmp_path / 'wanted'}, line 1 comes from a version control system" in out
    assert f"Skipped: {tmp_path / 'more'}, line 2 is a file or directory" in out
    assert "secret" not in out
    assert out.endswith("1 file for 1 line, 5 bytes; 2 skipped.\n")
    assert warm(server, tmp_path, "acme\nb c\n-r nothing\n-r wanted") == 1
    out = capsys.readouterr().out
    assert "line 2 cannot be read" in out
    assert "line 3 names another file" in out


def test_platforms() -> None:
    """This machine's, or each combination."""
    (here,) = supported_tags((), ())
    assert len(here) > 10
    found = supported_tags(("3.11", "3.12"), ("win_amd64", "win32"))
    assert len(found) == 4
    assert str(found[0][0]) == "cp311-cp311-win_amd64"
    with pytest.raises(RefusedStart):
        supported_tags(("3",), ())
