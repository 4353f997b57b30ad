"""Other users, rights, rules and options: an entry of the audit for each part that is in force."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from simpleindex.service.regular_work import PEOPLE_INTERVAL
from tests.fixtures.service import ServiceFixture, service_fixture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HASH = "$2y$10$" + "a" * 53
OTHER_HASH = "$2y$10$" + "b" * 53
RULE = '[[rule]]\nname = "{}"\naction = "deny"\nprojects = ["{}"]\n'


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceFixture]:
    yield from service_fixture(tmp_path, monkeypatch)


class Files:
    """The files of an operator, which are changed as editors do."""

    def __init__(self, world: ServiceFixture) -> None:
        self.world = world
        self.write("users", f"alice:{HASH}\nbob:{HASH}\n")
        self.write("access.toml", "")
        self.write("sources.toml", RULE.format("first", "a"))

    def write(self, name: str, text: str) -> str:
        path = self.world.place / name
        aside = path.with_suffix(".new")
        aside.write_text(text + "# end\n")
        os.replace(aside, path)
        return str(path)

    def entries(self) -> list[str]:
        """Send SIGHUP and let time pass; return the entries so far, without those of the begin."""
        self.world.reload()
        self.world.reactor.pump([PEOPLE_INTERVAL] * 2)
        lines = (self.world.resolve().state / "audit.jsonl").read_text().splitlines()
        found = [json.loads(line) for line in lines]
        return [f"{each['event']} {each['detail']}" for each in found if each["event"].endswith("-changed")]


def test_changes_of_all_files(world: ServiceFixture) -> None:
    """What is added, removed and changed is named; a mistake changes nothing."""
    files = Files(world)
    place = world.place
    world.start(
        users=str(place / "users"), access=str(place / "access.toml"), sources=str(place / "sources.toml")
    )
    assert files.entries() == []
    files.write("users", f"alice:{OTHER_HASH}\ncarol:{HASH}\n")
    files.write("access.toml", '[[rule]]\nprojects = ["*"]\nread = ["alice"]\n')
    files.write("sources.toml", RULE.format("first", "b") + RULE.format("second", "a"))
    expected = [
        "users-changed added: carol; removed: bob; other password: alice",
        "access-changed 1 rule in force",
        "rules-changed 2 rules in force; added: second; changed: first",
    ]
    assert sorted(files.entries()) == sorted(expected)
    files.write("sources.toml", RULE.format("second", "a") + RULE.format("first", "b"))
    files.write("access.toml", "[rule]")
    assert files.entries()[3:] == ["rules-changed 2 rules in force; another order"]
    world.reload(title="Ours")
    assert files.entries()[4:] == ["settings-changed title"]
    world.reload(workers="2")
    assert len(files.entries()) == 5


def test_without_files(world: ServiceFixture) -> None:
    """Only options can change; a server that keeps nothing records nothing."""
    world.start()
    world.reload(title="Ours")
    world.reactor.pump([PEOPLE_INTERVAL] * 2)
    (line,) = (world.resolve().state / "audit.jsonl").read_text().splitlines()
    assert json.loads(line)["detail"] == "title"
