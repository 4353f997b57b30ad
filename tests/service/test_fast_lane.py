"""An index is served where the folder of the fast lane was deleted."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from twisted.protocols.tls import TLSMemoryBIOFactory

from simpleindex.service.fast_lane import open_fast_lane, tls_protocol

if TYPE_CHECKING:
    import pytest


def test_without_the_folder_twisted_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("express", "tcp", "tls"):
        monkeypatch.setitem(sys.modules, f"simpleindex.web.fast.{name}", None)
    site: Any = SimpleNamespace(fast_lane=None)
    assert not open_fast_lane(site, None, None, tuple)  # type: ignore[arg-type]
    assert site.fast_lane is None
    assert tls_protocol() == (TLSMemoryBIOFactory.protocol, None)
