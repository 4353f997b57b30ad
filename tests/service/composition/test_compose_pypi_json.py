"""PyPI's JSON API of a running index: serials as in the list of projects, files and advisories by the sources file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from twisted.internet.defer import Deferred

from simpleindex.core.names import ProjectName
from tests.fixtures.deferreds import result
from tests.fixtures.distributions import add_wheel, put
from tests.fixtures.service import ServiceFixture, service_fixture
from tests.fixtures.site import JSON

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOURCES = b"""
[[upstream]]
name = "behind"
url = "https://index.example/simple/"

[[rule]]
name = "advisories"
advisories = "osv"
"""
ADVISORY = {
    "id": "PYSEC-2026-1",
    "affected": [{"package": {"ecosystem": "PyPI", "name": "acme"}, "versions": ["1.0"]}],
}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceFixture]:
    yield from service_fixture(tmp_path, monkeypatch)


def test_the_serial_is_that_of_the_list(world: ServiceFixture) -> None:
    add_wheel(world.root, "acme", "1.0", "Summary: Rockets")
    service = world.start()

    def serials() -> tuple[int, int]:
        (listed,) = world.ask("/simple/", ("Accept", JSON)).json["projects"]
        return listed["_last-serial"], world.ask("/pypi/acme/json").json["last_serial"]

    before = serials()
    assert before[0] == before[1]
    assert world.ask("/pypi/acme/json").json["info"]["summary"] == "Rockets"
    put(world.root / "acme" / "simpleindex.toml", b'[yanked]\n"1.0" = "late"\n')
    result(Deferred.fromCoroutine(service.index.sources.directories[0].live.changed(ProjectName("acme"))))
    after = serials()
    assert after[0] == after[1] > before[0]


def test_in_front_of_an_upstream(world: ServiceFixture, tmp_path: Path) -> None:
    put(tmp_path / "osv" / "PYSEC-2026-1.json", json.dumps(ADVISORY).encode())
    add_wheel(world.root, "acme", "1.0")
    world.start(sources=str(put(tmp_path / "sources.toml", SOURCES)))
    document = world.ask("/pypi/acme/json").json
    assert [each["id"] for each in document["vulnerabilities"]] == ["PYSEC-2026-1"]
    assert document["last_serial"] > 0


def test_several_processes_have_no_common_serials(world: ServiceFixture) -> None:
    add_wheel(world.root, "acme", "1.0")
    service = world.start()
    live = service.index.sources.directories[0].live
    assert live.serial_of(ProjectName("acme")) is not None
    assert live.serial_of(ProjectName("other")) is None

    async def announce(_: ProjectName) -> None:
        return None

    live.announce = announce
    assert live.serial_of(ProjectName("acme")) is None
