"""PostgreSQL beyond what every database does: other nodes hear of changes, the server goes away, schemas change."""

from __future__ import annotations

import queue
import shutil
import sqlite3
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

psycopg = pytest.importorskip("psycopg")

from psycopg.conninfo import conninfo_to_dict  # noqa: E402

from simpleindex.access.identity import Action  # noqa: E402
from simpleindex.access.token_options import TokenOptions  # noqa: E402
from simpleindex.core.errors import RefusedStart, Unavailable  # noqa: E402
from simpleindex.core.names import ProjectName  # noqa: E402
from simpleindex.records.first_seen import FirstSeen  # noqa: E402
from simpleindex.records.opening import open_postgresql  # noqa: E402
from simpleindex.records.owners import OwnerTable  # noqa: E402
from simpleindex.records.postgresql import records as module  # noqa: E402
from simpleindex.records.postgresql import replica  # noqa: E402
from simpleindex.records.postgresql.records import PostgreSQLRecords, forget_old_changes  # noqa: E402
from simpleindex.records.postgresql.schema import (  # noqa: E402
    CHANNEL,
    PROJECTS_CHANNEL,
    RECORDS,
    REPLICATED,
    STEPS,
)
from simpleindex.records.postgresql.server import (  # noqa: E402
    parse_url,
    portable,
    with_bounds,
    without_password,
)
from simpleindex.records.start_check import begin_shared_records  # noqa: E402
from simpleindex.records.tokens import TokenTable  # noqa: E402
from simpleindex.records.used_names import UsedNames  # noqa: E402
from tests.fixtures.postgresql import running_postgresql  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fixtures.log import CapturedLog
    from tests.fixtures.postgresql import PostgreSQL

ACME, OTHER = ProjectName("acme"), ProjectName("other")
OPTIONS = TokenOptions((Action.READ,), ("*",), None, "")
PATIENCE = 120.0


class Clock:
    """One that stands still."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Node:
    """The records as a server has them."""

    def __init__(self, url: str) -> None:
        self.clock = Clock()
        self.records = PostgreSQLRecords(url, 60.0, self.clock)
        self.tokens, self.owners = TokenTable(self.records), OwnerTable(self.records)
        self.announced: queue.Queue[tuple[str, str]] = queue.Queue()
        self.records.listeners.append(lambda *change: self.announced.put(change))
        self._moved = threading.Condition()
        synchronize = self.records.replica.synchronize

        def announce(connection: Any) -> None:
            synchronize(connection)
            with self._moved:
                self._moved.notify_all()

        self.records.replica.synchronize = announce  # type: ignore[method-assign]

    def accepts(self, secret: str) -> bool:
        """Whether a token is found; the copy has it a moment before it counts as current."""
        try:
            return self.tokens.find(secret, 2) is not None
        except Unavailable:
            return False

    def await_that(self, is_so: Callable[[], bool]) -> None:
        """Wait until what the copy has is as it should be."""
        with self._moved:
            assert self._moved.wait_for(is_so, PATIENCE)


@pytest.fixture
def new_node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Node]]:
    """Makes nodes that follow changes."""
    monkeypatch.setattr(module, "POLL_SECONDS", 0.5)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    nodes: list[Node] = []

    def make(url: str) -> Node:
        node = Node(url)
        nodes.append(node)
        begin_shared_records(node.records)
        return node

    yield make
    for node in nodes:
        node.records.close()


def test_other_nodes_hear_of_changes(postgresql: PostgreSQL, new_node: Callable[[str], Node]) -> None:
    """Of every kind, without being asked; queries of theirs need no server."""
    url = postgresql.create_database()
    one, two = new_node(url), new_node(url)
    token, secret = one.tokens.create("alice", OPTIONS, 1)
    two.await_that(lambda: bool(two.tokens.all()))
    assert two.tokens.find(secret, 2) == token
    one.tokens.revoke(token.id, 3)
    two.await_that(lambda: two.tokens.all()[0].revoked == 3)
    one.owners.claim(ACME, "alice", 1)
    one.owners.claim(ACME, None, 1, may_run_for=0)
    one.owners.claim(OTHER, "bob", 1)
    two.await_that(lambda: two.owners.owners() == {OTHER: "bob"})
    names = UsedNames(two.records)
    assert not names.has(ACME)
    UsedNames(one.records).add([ACME])
    two.await_that(lambda: names.has(ACME))


def test_announcements(postgresql: PostgreSQL, new_node: Callable[[str], Node]) -> None:
    """Of projects that others changed: each comes, also those between changes of records; a node does not hear its own."""
    url = postgresql.create_database()
    one, two = new_node(url), new_node(url)
    for node in (one, two):
        assert node.announced.get(timeout=PATIENCE) == ("", "")  # it listens now
    with psycopg.connect(url) as connection:
        # In one transaction, so that they come in one packet.
        for message in (
            "strange",
            '["other", 1, 2]',
            '["other", "place", "first"]',
            '["other", "place", "second"]',
        ):
            connection.execute("SELECT pg_notify(%s, %s)", (PROJECTS_CHANNEL, message))
            connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, message))
    one.records.announce("place", "third")
    changes = [("place", "first"), ("place", "second"), ("place", "third")]
    assert [two.announced.get(timeout=PATIENCE) for _ in range(3)] == changes
    assert [one.announced.get(timeout=PATIENCE) for _ in range(2)] == changes[:2]
    assert one.announced.empty()


def test_many_changes_at_once(postgresql: PostgreSQL, new_node: Callable[[str], Node]) -> None:
    """By several nodes: each copy ends with all of them, in whatever order they were committed."""
    url = postgresql.create_database()
    nodes = [new_node(url) for _ in range(3)]

    def claim(number: int) -> None:
        for place in range(20):
            nodes[number].owners.claim(ProjectName(f"p{place}-{number}"), "alice", 1)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for node in nodes:
        node.await_that(lambda node=node: len(node.owners.owners()) == 60)  # type: ignore[misc]


def test_a_feed_that_is_too_short(postgresql: PostgreSQL) -> None:
    """A copy that was away for longer reads everything again; the last change stays, so that it can tell."""
    url = postgresql.create_database()
    one, two = (Node(url) for _ in range(2))
    for node in (one, two):
        node.records.prepare()
    one.owners.claim(ACME, "alice", 1)
    one.owners.claim(OTHER, "bob", 1)
    one.owners.claim(ACME, None, 2, may_run_for=0)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE simpleindex.feed SET at = now() - interval '2 days'")
    one.records.write(forget_old_changes)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM simpleindex.feed").fetchone() == (1,)
    assert two.owners.owners() == {OTHER: "bob"}
    changes = two.records.changes
    assert two.owners.owners() == {OTHER: "bob"}
    assert two.records.changes == changes
    one.records.close()
    two.records.close()


def test_changes_that_are_not_understood(postgresql: PostgreSQL) -> None:
    """As of a table that a newer release has added, before this one noticed."""
    url = postgresql.create_database()
    node = Node(url)
    node.records.prepare()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO simpleindex.feed (changed_table, is_deleted, content) VALUES ('new', false, '{}')"
        )
    node.owners.claim(ACME, "alice", 1)
    assert node.owners.owner(ACME) == "alice"
    node.records.close()


def test_catching_up(
    postgresql: PostgreSQL, new_node: Callable[[str], Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token is found although the notification of its creation has not come, as on a busy machine."""
    monkeypatch.setattr(module, "POLL_SECONDS", 60.0)
    url = postgresql.create_database()
    one, two = new_node(url), new_node(url)
    one.records.write(
        lambda transaction: transaction.execute("ALTER TABLE tokens DISABLE TRIGGER notify_nodes")
    )
    token, secret = one.tokens.create("alice", OPTIONS, 1)
    two.tokens.catch_up()
    assert two.tokens.find(secret, 2) == token


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that the server's user can enter."""
    path = Path(tempfile.mkdtemp(prefix="postgresql-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_a_server_that_goes_away(
    open_directory: Path, new_node: Callable[[str], Node], log: CapturedLog
) -> None:
    """Reading goes on, tokens count for a minute, changes are refused; when it is back all is as before, without a restart."""
    with running_postgresql(open_directory) as server:
        url = server.create_database()
        node = new_node(url)
        assert node.announced.get(timeout=PATIENCE) == ("", "")  # it listens now
        _, secret = node.tokens.create("alice", OPTIONS, 1)
        node.owners.claim(ACME, "alice", 1)
        server.stop()
        assert node.tokens.find(secret, 2)
        with pytest.raises(Unavailable, match="cannot be used now"):
            node.owners.claim(OTHER, "bob", 1)
        assert FirstSeen(node.records).times("i", ACME, {"a": "x"}, 1) == {}
        with pytest.raises(Unavailable, match="cannot be used now"):
            node.tokens.catch_up()
        node.clock.now += 59
        assert node.tokens.find(secret, 2)
        node.clock.now += 2
        with pytest.raises(Unavailable):
            node.tokens.find(secret, 2)
        assert node.owners.owner(ACME) == "alice"
        sentences = {line for line in log.lines if "cannot be used" in line}
        assert 1 <= len(sentences) <= 2  # it is shutting down, it is away
        assert all(f"postgresql://127.0.0.1:{server.port}/records_1" in line for line in sentences)
        late = new_node(url)
        with pytest.raises(Unavailable):
            late.owners.owner(ACME)
        node.records.announce("place", "acme")  # to nobody, and no error
        server.start()
        assert node.announced.get(timeout=PATIENCE) == ("", "")
        late.await_that(lambda: late.records.replica.serial is not None)
        assert late.owners.claim(OTHER, "bob", 1) == "bob"
        node.await_that(lambda: node.owners.owner(OTHER) == "bob")
        node.await_that(lambda: node.accepts(secret))


def test_a_later_release_is_started(
    postgresql: PostgreSQL, new_node: Callable[[str], Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that runs goes on without columns that it does not know, and follows again after rows that it cannot take over."""
    url = postgresql.create_database()
    one, two = new_node(url), new_node(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE simpleindex.owners ADD COLUMN since_when TEXT")
    assert one.owners.claim(ACME, "alice", 1) == "alice"
    two.await_that(lambda: two.owners.owner(ACME) == "alice")
    put = replica._put

    def refused(*_: Any) -> None:
        raise sqlite3.OperationalError("there is no such column")

    monkeypatch.setattr(replica, "_put", refused)
    assert one.owners.claim(OTHER, "bob", 1) == "bob"
    monkeypatch.setattr(replica, "_put", put)
    for node in (one, two):
        node.await_that(lambda node=node: node.owners.owner(OTHER) == "bob")  # type: ignore[misc]


def test_a_later_release_was_started_meanwhile(postgresql: PostgreSQL) -> None:
    """A node that starts without the server tries again, and does not end to follow for good."""
    url = postgresql.create_database()
    before, node = Node(url), Node(url)
    before.records.prepare()
    before.records.close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO simpleindex.schema_version VALUES (99)")
    with pytest.raises(OSError, match="upgrade this node"):
        node.records._follow_notifications()
    node.records.close()


def test_the_connection_breaks_between_changes(postgresql: PostgreSQL) -> None:
    """As after a restart of the server: the next change opens another."""
    url = postgresql.create_database()
    node = Node(url)
    node.records.prepare()
    with psycopg.connect(postgresql.url("postgres"), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'simpleindex'"
        )
    assert node.owners.claim(ACME, "alice", 1) == "alice"
    assert node.owners.owner(ACME) == "alice"
    node.records.close()


def test_the_copy_cannot_be_read_after_a_change(
    postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change is made, and is not reported as failed."""
    node = Node(postgresql.create_database())
    node.records.prepare()

    def fail() -> None:
        raise psycopg.OperationalError

    with monkeypatch.context() as broken:
        broken.setattr(node.records, "_take_changes", fail)
        assert node.owners.claim(ACME, "alice", 1) == "alice"
    assert node.owners.owner(ACME) == "alice"
    node.records.close()


def test_nodes_start_at_once(postgresql: PostgreSQL) -> None:
    """One makes the schema; the others find it."""
    url = postgresql.create_database()
    nodes = [Node(url) for _ in range(4)]
    threads = [threading.Thread(target=node.records.prepare) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with psycopg.connect(url) as connection:
        versions = connection.execute("SELECT version FROM simpleindex.schema_version").fetchall()
    assert versions == [(number + 1,) for number in range(len(STEPS))]
    for node in nodes:
        assert node.owners.owners() == {}
        node.records.close()


def test_a_newer_schema_is_refused(postgresql: PostgreSQL) -> None:
    """With a sentence; it would overwrite what it does not know."""
    url = postgresql.create_database()
    node = Node(url)
    node.records.prepare()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO simpleindex.schema_version VALUES (99)")
    with pytest.raises(RefusedStart, match=r"have schema 99, of a newer release.*upgrade this node"):
        node.records.prepare()
    node.records.close()


def test_steps() -> None:
    """Each is made once."""
    assert RECORDS.steps_from(0, "x") == STEPS
    assert RECORDS.steps_from(len(STEPS), "x") == ()
    assert set(REPLICATED) <= {"tokens", "owners", "allowances", "used_names", "acme_challenges", "pins"}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@db:5433/x", "postgresql://db:5433/x"),
        ("postgresql:///x?host=/run/pg", "postgresql:///run/pg/x"),
        ("postgresql://", "postgresql://localhost/"),
    ],
)
def test_no_password_is_shown(url: str, shown: str) -> None:
    assert without_password(parse_url(url)) == shown


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ("/x?sslmod=require", "has the unknown parameter 'sslmod'"),
        ("/x?PASSWORD=hidden", "has the unknown parameter 'PASSWORD'"),
        ("/x?hidden", "is not written as libpq reads it"),
        ("/%hidden", "is not written as libpq reads it"),
    ],
)
def test_a_url_that_libpq_does_not_read(rest: str, reason: str) -> None:
    """It is refused with a sentence, which shows nothing that may be secret."""
    with pytest.raises(RefusedStart) as refused:
        open_postgresql(f"postgresql://db{rest}")
    assert str(refused.value).startswith(f"--records: the URL {reason}; write it like ")
    assert "hidden" not in str(refused.value)


def test_bounds_of_every_wait() -> None:
    """They hold also where a name in the URL is that of a parameter, unless the URL has one of its own."""
    parts = conninfo_to_dict(with_bounds(parse_url("postgresql://keepalives_idle/options"), "s"))
    options = "-c statement_timeout=10000 -c lock_timeout=10000  -c search_path=s"
    assert (parts["keepalives_idle"], parts["options"]) == ("10", options)
    parts = conninfo_to_dict(with_bounds(parse_url("postgresql:///x?connect_timeout=9"), "s"))
    assert parts["connect_timeout"] == "9"


def test_options_of_the_url(postgresql: PostgreSQL) -> None:
    """They count, and the tables are in their schemas all the same."""
    url = f"{postgresql.create_database()}?options=-c%20lock_timeout%3D7s%20-c%20search_path%3Dpublic"
    node = Node(url)
    node.records.prepare()
    rows = node.records.writer.read("SELECT current_setting('lock_timeout'), current_schema()", ())
    assert rows == [("7s", "simpleindex")]
    node.records.close()


def test_errors_show_no_values() -> None:
    """The driver's text may hold them."""
    error = psycopg.errors.UniqueViolation("Key (digest)=(secret) already exists")
    assert "secret" not in str(portable(error, "here"))
    assert "cannot be reached" in str(portable(psycopg.OperationalError("password for secret"), "here"))


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "simpleindex.records.postgresql.records")
    monkeypatch.delitem(sys.modules, "simpleindex.records.postgresql.server")
    with pytest.raises(RefusedStart, match=r"--records.*psycopg.*postgresql"):
        open_postgresql("postgresql://x")
