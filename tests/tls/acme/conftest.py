"""What several tests of ACME have in common: a machine's zone, and a server whose authority answers from a table."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Self

import pytest
import requests
from acme import client as library

from simpleindex.config.acme_values import Identifier
from simpleindex.tls.acme import client, orders
from simpleindex.tls.acme.settings import AcmeSettings
from tests.fixtures.acme_client import Place
from tests.fixtures.acme_protocol import NAME, URL, TableAuthority, authorization
from tests.fixtures.certificates import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo
    from pathlib import Path


@pytest.fixture(params=["UTC", "America/Los_Angeles", "Asia/Tokyo"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine in some time zone."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the library slept, during which the time of its deadlines passed."""
    passed: list[float] = []

    class Passing(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(NOW.timestamp() + sum(passed), tz)

    for module in (client, orders):
        monkeypatch.setattr(module, "datetime", Passing)
    times = SimpleNamespace(datetime=Passing, timedelta=timedelta, timezone=timezone)
    monkeypatch.setattr(library, "datetime", times)
    monkeypatch.setattr(library, "time", SimpleNamespace(sleep=passed.append))
    return passed


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slept: list[float]) -> Place:
    """A server that has nothing yet; its authority believes that the name is its."""
    authority = TableAuthority()
    monkeypatch.setattr(requests.Session, "get_adapter", lambda *_, **__: authority)
    settings = AcmeSettings("me@example.org", f"{URL}/directory", (Identifier(NAME),))
    authority.table["/authorization"] = [authorization("valid")]
    return Place(tmp_path, authority, settings)
