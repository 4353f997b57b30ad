"""Rules in front of an upstream: what pip and uv are kept from, what they are told, and what lets them through in time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.clients import pip, uv, version_in
from tests.end_to_end.running import wait_until
from tests.fixtures.distributions import add_wheel

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
ttl = "1s"

[[view]]
name = "all"
sources = ["behind"]

[[rule]]
name = "blocklist"
action = "deny"
projects = ["so-evil"]

[[rule]]
name = "cooldown"
min-age = "7d"
message = "Ask platform-team."
views = ["main"]
"""


def listed(server: Server, project: str) -> list[str]:
    """The names of a project's files."""
    return [file["filename"] for file in server.project(project)["files"]]


def test_a_minimum_age(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """The old version is installed, the new one is not had by its name either; an allowance opens it for a time."""
    behind = new_server(name="behind").start()
    front = new_server(name="front")
    sources = front.home / "sources.toml"
    sources.write_text(SOURCES.format(url=behind.simple, ca=behind.ca))
    front.options = ("--sources", str(sources))
    front.start()
    old, new = (add_wheel(behind.root, "so-lib", version) for version in ("1.0", "2.0"))
    add_wheel(behind.root, "so-evil", "1.0")
    os.utime(old, (1_700_000_000, 1_700_000_000))
    wait_until(lambda: len(listed(front, "so-lib")) == 1, "the old one is listed")
    client, fast = pip(tmp_path, front.ca), uv(tmp_path, front.ca)
    target = ("--target", tmp_path / "pip")
    client("install", "--index-url", front.simple, *target, "so-lib")
    assert version_in(tmp_path / "pip", "so_lib") == "1.0"
    refused = front.get(f"/simple/so-lib/{new.name}")
    assert refused.status == 403
    assert b"(withheld by the rule cooldown)" in refused.body
    assert b"Ask platform-team." in refused.body
    assert front.get(f"/simple/so-lib/{new.name}.metadata").status == 403
    front.await_line("Refused: .*withheld='cooldown' source='behind' visible_from=")
    # Nothing is asked for of what is denied by its name, and the next index is not tried.
    page = front.get("/simple/so-evil/")
    assert (page.status, b"so-evil is denied by the rule blocklist." in page.body) == (200, True)
    assert not any("so-evil" in seen.path for seen in behind.requests())
    # In the other view the rule does not hold.
    index = f"{front.url}/all/simple/"
    fast("pip", "install", "--index-url", index, "--target", tmp_path / "all", "so-lib")
    assert version_in(tmp_path / "all", "so_lib") == "2.0"
    state = ("--state", front.home / "state")
    allow = ("allow", "so-lib==2.0", "--for", "1h", "--reason", "the fix", *state)
    done = front.installed.run("-m", "simpleindex", *allow, home=front.home)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: new.name in listed(front, "so-lib"), "the new one is listed")
    assert front.get(f"/simple/so-lib/{new.name}").status == 200
    fast("pip", "install", "--index-url", front.simple, "--target", tmp_path / "uv", "so-lib")
    assert version_in(tmp_path / "uv", "so_lib") == "2.0"
    # And the rules change under a running server.
    sources.write_text(
        sources.read_text() + '[[rule]]\nname = "none"\naction = "deny"\nprojects = ["so-*"]\n'
    )
    disallow = front.installed.run("-m", "simpleindex", "disallow", "so-lib==2.0", *state, home=front.home)
    assert disallow.returncode == 0, disallow.stderr
    wait_until(lambda: front.get(f"/simple/so-lib/{old.name}").status == 403, "the new rule holds")
    url = ("--index-url", front.simple, "--cert", front.ca)
    why = front.installed.run("-m", "simpleindex", "why", "so-lib", *url, home=front.home)
    assert (why.returncode, why.stdout.splitlines()[0]) == (1, "so-lib is denied by the rule none.")
