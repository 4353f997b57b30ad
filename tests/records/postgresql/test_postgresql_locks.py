"""Locks in PostgreSQL whose connections break."""

from __future__ import annotations

import pytest

psycopg = pytest.importorskip("psycopg")

from simpleindex.core.errors import CannotStore, Unavailable  # noqa: E402
from simpleindex.records.postgresql.locks import AdvisoryLocks  # noqa: E402
from tests.fixtures.postgresql import PostgreSQL  # noqa: E402, TC001


def end_connections(server: PostgreSQL) -> None:
    """As with a restart of the server."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'simpleindex'"
        )


def test_a_connection_that_breaks(postgresql: PostgreSQL) -> None:
    """Between two locks it is replaced; with a lock, the lock is free."""
    url = postgresql.create_database()
    one, two = AdvisoryLocks(url, "x", 0.01), AdvisoryLocks(url, "x", 0.01)
    with one.held("acme"):
        with pytest.raises(CannotStore, match="busy with the project acme"), two.held("acme"):
            pytest.fail("two hold it")
        end_connections(postgresql)
        with two.held("acme 1.0", "acme"):
            pass
    end_connections(postgresql)
    with two.held("acme"):
        two.close()
    one.close()


def test_a_server_that_is_away() -> None:
    locks = AdvisoryLocks("postgresql://127.0.0.1:1/none", "x")
    with pytest.raises(Unavailable) as raised, locks.held("acme"):
        pytest.fail("nobody gives it")
    assert raised.value.retry_after
