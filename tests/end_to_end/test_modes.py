"""Clients that are sent to the upstream for files: by a redirect, or because our pages link there."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.clients import pip, uv, version_in
from tests.fixtures.distributions import add_wheel, wheel_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.running import Server

pytestmark = pytest.mark.slow

SOURCES = """\
[[upstream]]
name = "behind"
url = "{url}"
ca-file = "{ca}"
mode = "{mode}"
ttl = "1h"
"""


class Pair:
    """An index in front of another one that has a wheel, which depends on another one."""

    def __init__(self, new_server: Callable[..., Server], home: Path, mode: str) -> None:
        self.behind = new_server(name="behind").start()
        self.wheel = add_wheel(self.behind.root, "so-app", "1.0", "Requires-Dist: so-lib")
        add_wheel(self.behind.root, "so-lib", "2.0")
        self.front = new_server(name="front")
        text = SOURCES.format(url=self.behind.simple, ca=self.behind.ca, mode=mode)
        (self.front.home / "sources.toml").write_text(text)
        self.front.options = ("--sources", str(self.front.home / "sources.toml"))
        self.front.start()
        # Each has a CA of its own, and clients speak with both.
        self.trusted = home / "both.pem"
        self.trusted.write_bytes(self.behind.ca.read_bytes() + self.front.ca.read_bytes())

    def downloads(self, server: Server) -> dict[str, set[int]]:
        """What was answered to requests for the wheel and its metadata."""
        seen: dict[str, set[int]] = {}
        for request in server.requests():
            kind = next((kind for kind in (".whl", ".whl.metadata") if request.path.endswith(kind)), None)
            if kind and "so_app" in request.path:
                seen.setdefault(kind, set()).add(request.status)
        return seen


@pytest.mark.parametrize("mode", ["redirect", "listing-only"])
def test_pip_and_uv_are_sent_there(new_server: Callable[..., Server], tmp_path: Path, mode: str) -> None:
    """They get every byte from the upstream, check the hash that we list, and nothing of a file is kept here."""
    pair = Pair(new_server, tmp_path, mode)
    (file,) = pair.front.project("so-app")["files"]
    theirs = pair.behind.simple + f"so-app/{pair.wheel.name}"
    assert file["url"] == (pair.wheel.name if mode == "redirect" else theirs)
    answer = pair.front.get(f"/simple/so-app/{pair.wheel.name}")
    assert (answer.status, answer.headers["Location"]) == (302, theirs)
    arguments = ("--only-binary", ":all:", "--index-url", pair.front.simple, "so-app")
    pip(tmp_path, pair.trusted)("install", "--target", tmp_path / "pip", *arguments)
    by_pip = pair.downloads(pair.front)
    uv(tmp_path, pair.trusted)("pip", "install", "--target", tmp_path / "uv", *arguments)
    for target in ("pip", "uv"):
        assert version_in(tmp_path / target, "so_app") == "1.0"
        assert version_in(tmp_path / target, "so_lib") == "2.0"
    assert pair.downloads(pair.behind) == {".whl": {200}, ".whl.metadata": {200}}
    everything = {".whl": {302}, ".whl.metadata": {302}} if mode == "redirect" else {".whl": {302}}
    assert pair.downloads(pair.front) == everything
    # In listing-only mode the one request was that of this test.
    assert by_pip == everything
    assert_other_bytes_are_refused(pair, tmp_path)
    if mode == "redirect":
        assert_rules_choose(pair, tmp_path)
    assert not [*pair.front.cache.glob("upstream/files/**/*")]


def assert_other_bytes_are_refused(pair: Pair, home: Path) -> None:
    """The clients check the hash that we list, so that it does not matter who sends the bytes."""
    locked = hashed(home, pair)
    pair.wheel.write_bytes(wheel_bytes("so-app", "1.0", "Requires-Dist: so-lib", "Summary: other"))
    # By the hash that was listed before: what is listed now may be new, if more than ten seconds have passed.
    locked_to_it = ("--index-url", pair.front.simple, "--require-hashes", "-r", locked)
    by_pip = pip(home, pair.trusted).try_to(
        "install", "--no-cache-dir", "--no-deps", "--target", home / "pip-2", *locked_to_it
    )
    assert by_pip.returncode
    assert "DO NOT MATCH THE HASHES" in by_pip.stderr
    by_uv = uv(home, pair.trusted).try_to(
        "pip", "install", "--no-cache", "--no-deps", "--target", home / "uv-2", *locked_to_it
    )
    assert by_uv.returncode
    assert "Hash mismatch" in by_uv.stderr


def assert_rules_choose(pair: Pair, home: Path) -> None:
    """Rules choose what installers find, and refuse the rest by its URL too."""
    newer = add_wheel(pair.behind.root, "so-lib", "3.0")
    pair.front.stop()
    shutil.rmtree(pair.front.cache)
    with (pair.front.home / "sources.toml").open("a") as sources:
        sources.write('[[rule]]\naction = "deny"\nprojects = ["so-lib"]\nversions = ">=3"\n')
    pair.front.start()
    arguments = ("--only-binary", ":all:", "--index-url", pair.front.simple, "so-lib")
    uv(home, pair.trusted)("pip", "install", "--no-cache", "--target", home / "uv-3", *arguments)
    assert version_in(home / "uv-3", "so_lib") == "2.0"
    refused = pair.front.get(f"/simple/so-lib/{newer.name}")
    assert refused.status == 403
    assert "Location" not in refused.headers


def hashed(home: Path, pair: Pair) -> Path:
    """A requirement with the hash that our page has."""
    (file,) = pair.front.project("so-app")["files"]
    path = home / "requirements.txt"
    path.write_text(f"so-app==1.0 --hash=sha256:{file['hashes']['sha256']}\n")
    return path
