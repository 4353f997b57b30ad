"""Our index in front of other people's servers: what they have is had through it, from the cache too once they are gone."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import pytest

from tests.end_to_end.clients import pip, sha256, uv, version_in
from tests.end_to_end.passage import Passage
from tests.end_to_end.peers import (
    PEERS,
    Nginx,
    NginxPages,
    Peer,
    Pypiserver,
    Simpleindex,
    SimpleRepositoryServer,
    TwistdWeb,
    metadata_of,
)
from tests.end_to_end.running import JSON, PATIENCE, wait_until
from tests.fixtures.depth import THOROUGH
from tests.fixtures.distributions import add_sdist, add_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.end_to_end.running import Installed, Server

pytestmark = pytest.mark.slow

_UPSTREAM = """
[[upstream]]
name = "{name}"
url = "http://127.0.0.1:{port}{prefix}"
ttl = "1s"
list = true
"""

YANKED = "peer_lib-1.5-py3-none-any.whl"
INSTALL = ("install", "--only-binary", ":all:", "--no-compile")


def put_packages(root: Path) -> None:
    """What every peer has: a tree of two, in which most versions must not be taken, and an sdist."""
    add_wheel(root, "peer-app", "1.0", "Requires-Dist: peer-lib<3", "Requires-Python: >=3.8")
    add_wheel(root, "peer-lib", "1.0")
    add_sdist(root, "peer-lib", "1.2")
    add_wheel(root, "peer-lib", "1.5")
    add_wheel(root, "peer-lib", "2.0", "Requires-Python: >=3.99")
    add_wheel(root, "peer-lib", "3.0")


class Behind:
    """Peers in their order, each behind a passage, and our server in front of them."""

    def __init__(
        self, front: Server, peers: Sequence[Peer], *, strategy: str = "first-index", rules: str = ""
    ) -> None:
        self.peers = peers
        self.passages = [Passage(peer.port) for peer in peers]
        text = f'strategy = "{strategy}"\n' + "".join(
            _UPSTREAM.format(name=f"peer-{number}", port=passage.port, prefix=peer.prefix)
            for number, (peer, passage) in enumerate(zip(peers, self.passages, strict=True))
        )
        text += rules
        self.front = front
        path = front.home / "sources.toml"
        path.write_text(text)
        front.options = ("--sources", str(path))

    def __enter__(self) -> Self:
        with ExitStack() as started:
            for peer in self.peers:
                started.callback(peer.stop)
                peer.start()
            self._started = started.pop_all()
        self.front.start()
        return self

    def __exit__(self, *_: object) -> None:
        for passage in self.passages:
            passage.close()
        self._started.close()

    def cut(self, number: int) -> None:
        """Take a peer away."""
        self.peers[number].stop()
        self.passages[number].close()


@pytest.fixture
def behind(
    new_server: Callable[..., Server], installed: Installed, tmp_path: Path
) -> Iterator[Callable[..., Behind]]:
    """Puts our server in front of peers of these kinds."""
    with ExitStack() as entered:

        def put_in_front_of(
            *kinds: type[Peer],
            strategy: str = "first-index",
            rules: str = "",
            fill: Callable[[int, Path], None],
            limits: Mapping[str, float] | None = None,
        ) -> Behind:
            peers = []
            for number, kind in enumerate(kinds):
                packages = tmp_path / f"packages-{number}"
                fill(number, packages)
                peers.append(
                    kind(installed, tmp_path / f"peer-{number}", packages, {YANKED: "broken <there>"})
                )
            front = new_server(name="front")
            front.installed = replace(installed, limits=limits or {})
            made = Behind(front, peers, strategy=strategy, rules=rules)
            return entered.enter_context(made)

        yield put_in_front_of


@pytest.mark.parametrize(
    "kind",
    (Nginx, Pypiserver, TwistdWeb) if THOROUGH else (TwistdWeb,),
    ids=lambda kind: kind.name.replace(" ", "-"),
)
def test_a_minimum_age_where_no_upload_times_are_stated(
    kind: type[Peer], behind: Callable[..., Behind]
) -> None:
    """What is old there is offered by the first answer, what is new is not, and nobody is told that it was uploaded then."""

    def fill(_: int, packages: Path) -> None:
        put_packages(packages)
        for file in packages.rglob("peer_lib-1.*"):
            os.utime(file, (1_700_000_000, 1_700_000_000))

    # The first answer waits four seconds for the times.
    limits = {"upstreams.listings.modification_times._PATIENCE": PATIENCE}
    made = behind(kind, rules='[[rule]]\nname = "cooldown"\nmin-age = "7d"\n', fill=fill, limits=limits)
    shown = page(made.front, "peer-lib")
    assert {name.split("-")[1].removesuffix(".tar.gz") for name in shown} == {"1.0", "1.2", "1.5"}
    assert {each["_upload-time-by"] for each in shown.values()} == {"last-modified"}
    why = made.front.get("/-/why/peer-lib").body.decode()
    assert "last modified there" in why
    assert "cooldown: uploaded" not in why


def nulls_in(value: Any) -> bool:
    """Whether there is a null anywhere in it; uv refuses a page that has one in the wrong place."""
    if isinstance(value, dict):
        return any(map(nulls_in, value.values()))
    if isinstance(value, list):
        return any(map(nulls_in, value))
    return value is None


def page(front: Server, name: str) -> dict[str, dict[str, Any]]:
    """The files of a project, as our JSON page has them."""
    answer = front.get(f"/simple/{name}/", accept=JSON)
    assert answer.status == 200, answer
    content = json.loads(answer.body)
    assert not nulls_in(content)
    assert all(each["url"] == each["filename"] for each in content["files"])
    return {each["filename"]: each for each in content["files"]}


@pytest.mark.parametrize(
    "kind",
    # An import from devpi (test_import.py) reads the same pages of it; its server takes seconds to start.
    PEERS if THOROUGH else (Nginx, Pypiserver),
    ids=lambda kind: kind.name.replace(" ", "-"),
)
def test_a_peer(kind: type[Peer], behind: Callable[..., Behind], tmp_path: Path) -> None:
    """Pip and uv install what it has, we say what it says and what its files say, and all that also without it."""
    made = behind(kind, fill=lambda _, packages: put_packages(packages))
    front, peer, (passage,) = made.front, made.peers[0], made.passages
    listed = json.loads(front.get("/simple/", accept=JSON).body)
    assert [each["name"] for each in listed["projects"]] == ["peer-app", "peer-lib"]
    files = {file.name: file for project, file in peer.files() if project == "peer-lib"}
    shown = page(front, "peer-lib")
    assert shown.keys() == files.keys()
    told = {name: sha256(file) for name, file in files.items()} if kind.states_hashes else {}
    assert {name: each["hashes"] for name, each in shown.items()} == {
        name: {"sha256": told[name]} if told else {} for name in files
    }
    limited = {name for name, each in shown.items() if each.get("requires-python") == ">=3.99"}
    assert limited == ({"peer_lib-2.0-py3-none-any.whl"} if kind.states_python else set())
    yanked = {name: each["yanked"] for name, each in shown.items() if each.get("yanked", False) is not False}
    assert yanked == ({YANKED: "broken <there>"} if kind.can_yank else {})
    assert ("core-metadata" in shown["peer_lib-1.0-py3-none-any.whl"]) == kind.has_sidecars
    # Where a yank cannot be said it is no yank.
    expected = "1.0" if kind.can_yank else "1.5"

    def install(client: str) -> None:
        target = tmp_path / f"{client}-{len(list(tmp_path.glob('*')))}"
        options = ("--index-url", front.simple, "--target", target)
        if client == "pip":
            pip(tmp_path, front.ca)(*INSTALL, "--no-cache-dir", *options, "peer-app")
        else:
            uv(tmp_path, front.ca)("pip", *INSTALL, "--no-cache", *options, "peer-app")
        assert (version_in(target, "peer_app"), version_in(target, "peer_lib")) == ("1.0", expected)

    install("uv")
    install("pip")
    # Every file is what was put there, and from now on we can say what it is.
    for name, file in files.items():
        assert front.get(f"/simple/peer-lib/{name}").body == file.read_bytes()

    def is_known(each: dict[str, Any]) -> bool:
        # Noted a moment after a file was sent.
        return (
            bool(each["hashes"])
            and "size" in each
            and (each["filename"][-4:] != ".whl" or "core-metadata" in each)
        )

    wait_until(lambda: all(map(is_known, page(front, "peer-lib").values())), "what they are is known")
    for name, each in page(front, "peer-lib").items():
        assert each["hashes"] == {"sha256": sha256(files[name])}
        assert each["size"] == files[name].stat().st_size
        if name.endswith(".whl"):
            metadata = metadata_of(files[name])
            assert each["core-metadata"] == {"sha256": hashlib.sha256(metadata).hexdigest()}
            assert front.get(f"/simple/peer-lib/{name}.metadata").body == metadata
            assert (each.get("requires-python") == ">=3.99") == ("-2.0-" in name)
    # Each file was fetched once for all of them.
    fetched = [
        each.path.rpartition("/")[2]
        for each in passage.passed
        if each.path.endswith(".whl") and not each.is_part
    ]
    assert len(fetched) == len(set(fetched))
    # Once its page is no longer fresh, it is asked whether that has changed.
    before = len(passage.asked("/peer-lib/"))

    def asked_again() -> list[int]:
        # As far as it has answered.
        asked = [each for each in passage.asked("/peer-lib/")[before:] if each.path.endswith("/")]
        return [each.status for each in asked if each.status]

    wait_until(lambda: page(front, "peer-lib") and asked_again(), "it is asked again")
    assert asked_again()[-1] == (304 if kind.answers_304 else 200)
    made.cut(0)
    install("uv")
    install("pip")
    assert front.get("/simple/peer-app/peer_app-1.0-py3-none-any.whl").status == 200
    assert front.get("/simple/peer-other/").status == 503


def put_in_order(number: int, packages: Path) -> None:
    """What three have: one name in all of them, one in the latter two, one in the last; each in versions of its own."""
    for name in ("order-all", "order-two", "order-last")[: number + 1]:
        add_wheel(packages, name, f"{number + 1}.0")


def test_three_in_order(behind: Callable[..., Behind], tmp_path: Path) -> None:
    """The first that has a project owns it; those after it are not asked, and nobody is asked in place of one that is away."""
    made = behind(Pypiserver, NginxPages, SimpleRepositoryServer, fill=put_in_order)
    front = made.front
    wanted = ("order-all", "order-two", "order-last")
    for client, target in (
        (uv(tmp_path, front.ca), tmp_path / "by-uv"),
        (pip(tmp_path, front.ca), tmp_path / "by-pip"),
    ):
        how = ("pip", *INSTALL) if "uv" in client.command[0] else INSTALL
        client(*how, "--index-url", front.simple, "--target", target, *wanted)
        found = [version_in(target, name.replace("-", "_")) for name in wanted]
        assert found == ["1.0", "2.0", "3.0"]
    heard = [{each.path.split("/")[-2] for each in passage.passed} for passage in made.passages]
    assert {"order-two", "order-last"} <= heard[0]
    assert "order-all" not in heard[1] | heard[2]
    assert "order-two" not in heard[2]
    made.cut(1)
    add_wheel(made.peers[2].packages, "order-new", "1.0")
    refused = front.get("/simple/order-new/")
    assert refused.status == 503
    assert not made.passages[2].asked("/order-new/")
    # What the first has does not need the second.
    assert page(front, "order-all").keys() == {"order_all-1.0-py3-none-any.whl"}
    target = tmp_path / "again"
    uv(tmp_path, front.ca)(
        "pip", *INSTALL, "--no-cache", "--index-url", front.simple, "--target", target, "order-two"
    )
    assert version_in(target, "order_two") == "2.0"


def test_two_merged(behind: Callable[..., Behind], tmp_path: Path) -> None:
    """Where it is asked for, their files are one project: the same name counts from the first of them."""

    def fill(number: int, packages: Path) -> None:
        add_wheel(packages, "merged", "1.0", f"Summary: of {number}")
        add_wheel(packages, "merged", f"{number + 2}.0")

    made = behind(Simpleindex, Pypiserver, strategy="merge", fill=fill)
    shown = page(made.front, "merged")
    assert [name.split("-")[1] for name in sorted(shown)] == ["1.0", "2.0", "3.0"]
    (first,) = (made.peers[0].packages / "merged").glob("*-1.0-*")
    assert shown[first.name]["hashes"]["sha256"] == sha256(first)
    assert made.front.get(f"/simple/merged/{first.name}").body == first.read_bytes()
    target = tmp_path / "target"
    uv(tmp_path, made.front.ca)(
        "pip", *INSTALL, "--index-url", made.front.simple, "--target", target, "merged"
    )
    assert version_in(target, "merged") == "3.0"
