"""How the libraries for attestations come to uploads."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.service.composition import publishing as compose_publishing
from simpleindex.service.composition.publishing import provenance_verifier

if TYPE_CHECKING:
    from tests.fixtures.log import CapturedLog


class FixedAttestations:
    """Verifies nothing, and says what it was given."""

    def provenance(self, *given: str) -> bytes:
        return ",".join(given).encode()


@pytest.mark.parametrize("library", ["pypi_attestations", "sigstore"])
def test_without_the_libraries_nothing_is_verified(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    """Either is needed."""

    def find(name: str) -> Any:
        return None if name == library else importlib.util.find_spec(name)

    monkeypatch.setattr(compose_publishing, "find_spec", find)
    assert provenance_verifier() is None


def test_the_root_of_trust_is_loaded_by_the_first_upload_that_needs_it(
    monkeypatch: pytest.MonkeyPatch, log: CapturedLog
) -> None:
    """Until it can be used, attestations are ignored and the log says so; then it is loaded once."""
    outcomes: list[Any] = [
        OSError(2, "No such file or directory"),
        ValueError("it is empty"),
        FixedAttestations(),
    ]

    def load() -> Any:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(compose_publishing, "find_spec", lambda _: True)
    monkeypatch.setattr(compose_publishing, "load_attestations", load)
    verify = provenance_verifier()
    assert verify is not None
    assert len(outcomes) == 3
    for reason in ("No such file or directory", "it is empty"):
        assert verify("[]", "acme-1.0.zip", "0") is None
        assert "The attestations of acme-1.0.zip were ignored" in log.lines[-1]
        assert reason in log.lines[-1]
    for _ in range(2):
        assert verify("[]", "acme-1.0.zip", "0") == b"[],acme-1.0.zip,0"
    assert outcomes == []
