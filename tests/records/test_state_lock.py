"""The locks of a state directory: one server claims it, its workers share it, a restore needs it alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simpleindex.core.errors import RefusedStart
from simpleindex.records.state_lock import STATE_LOCK, StateLock, without_servers

if TYPE_CHECKING:
    from pathlib import Path


def test_servers_share_it(tmp_path: Path) -> None:
    """And no backup is restored while one of them runs."""
    one, two = StateLock(str(tmp_path)), StateLock(str(tmp_path))
    one.share()
    two.share()
    one.release()
    with (
        pytest.raises(RefusedStart, match="A server is running with the state directory"),
        without_servers(str(tmp_path)),
    ):
        pass
    two.release()
    two.release()
    with without_servers(str(tmp_path)), pytest.raises(RefusedStart, match="is being restored"):
        one.share()
    one.share()
    one.release()


def test_one_server_claims_it(tmp_path: Path) -> None:
    """A second one is refused until the first one ends; nothing is left in the directory."""
    one, two = StateLock(str(tmp_path)), StateLock(str(tmp_path))
    one.claim()
    with pytest.raises(
        RefusedStart, match=r"^Another server is running with the state directory .* --state DIR\.$"
    ):
        two.claim()
    one.end_claim()
    two.claim()
    two.release()
    one.claim()
    one.release()
    assert not [*tmp_path.iterdir()]


def test_one_server_requests_certificates_into_a_directory(tmp_path: Path) -> None:
    """Of two with different names each would replace the other's, every hour, and order another one."""
    states, certificates = (tmp_path / "one", tmp_path / "two"), str(tmp_path / "certificates")
    for path in (*states, tmp_path / "certificates"):
        path.mkdir()
    one, two = (StateLock(str(state), certificates) for state in states)
    one.claim()
    with pytest.raises(
        RefusedStart, match=r"^--acme: another server requests certificates into .* --certs DIR\.$"
    ):
        two.claim()
    StateLock(str(tmp_path)).claim()
    one.end_claim()
    two.release()
    two.claim()


def test_servers_that_have_no_certificate_yet_see_each_other(tmp_path: Path) -> None:
    """The directory of certificates is made for the first of them, as ``--acme`` itself makes it."""
    certificates = tmp_path / "certs" / "of-acme"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = (StateLock(str(tmp_path / name), str(certificates)) for name in ("one", "two"))
    one.claim()
    with pytest.raises(RefusedStart, match="another server requests certificates into"):
        two.claim()
    assert certificates.stat().st_mode & 0o777 == 0o700
    one.release()


def test_a_look_keeps_nothing(tmp_path: Path) -> None:
    """It comes before a daemon forks: it refuses beside a server, makes no directory, and nobody is refused because of it."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = (StateLock(str(tmp_path / name), str(tmp_path / "of-acme")) for name in ("one", "two"))
    two.look()
    assert not (tmp_path / "of-acme").exists()
    one.claim()
    with pytest.raises(RefusedStart, match="another server requests certificates into"):
        two.look()
    StateLock(str(tmp_path / "two")).claim()
    one.end_claim()


def test_without_a_state_directory(tmp_path: Path) -> None:
    """There is nothing to lock, and nothing is made."""
    place = tmp_path / "state"
    lock = StateLock(str(place))
    lock.claim()
    lock.share()
    lock.release()
    with without_servers(str(place)):
        pass
    assert not place.exists()


def test_where_nothing_can_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on some network file systems; no descriptor is left."""

    def fail(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("simpleindex.records.state_lock.fcntl.flock", fail)
    with pytest.raises(OSError, match="not supported"):
        StateLock(str(tmp_path)).share()
    with pytest.raises(OSError, match="not supported"):
        StateLock(str(tmp_path)).claim()
    assert (tmp_path / STATE_LOCK).exists()
    with pytest.raises(OSError, match="not supported"), without_servers(str(tmp_path)):
        pass
