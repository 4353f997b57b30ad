"""The schema in PostgreSQL, as a list of steps; a change to it is one more step. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from simpleindex.core.errors import RefusedStart

SCHEMA: Final = "simpleindex"
"""The schema of the tables, so that the database may be shared with other programs."""

CHANNEL: Final = "simpleindex"
"""The channel of NOTIFY; its messages are empty, the feed has the changes."""

PROJECTS_CHANNEL: Final = "simpleindex_projects"
"""The channel of NOTIFY on which nodes announce changes of a bucket that they share."""

WRITE_LOCK: Final = 0x51_4D_50_4C
"""The advisory lock that every change holds until its end, so that the serials of the feed rise in the order of commits."""

REPLICATED: Final = ("tokens", "owners", "allowances", "used_names", "acme_challenges", "pins")
"""Tables of which every node keeps a copy in memory. The times of first_seen are read where they are, in threads."""

FEED_HOURS: Final = 24
"""How long the feed keeps a change; a node that was away for longer reads everything again."""

ACME_CHALLENGES: Final = """
    CREATE TABLE acme_challenges (
        kind TEXT NOT NULL, name TEXT NOT NULL, request TEXT NOT NULL, content TEXT NOT NULL, PRIMARY KEY (kind, name)
    )
"""
"""Answers to challenges of a certificate authority, which every node gives."""

PINS: Final = """
    CREATE TABLE pins (
        upstream TEXT NOT NULL, project TEXT NOT NULL, filename TEXT NOT NULL, sha256 TEXT NOT NULL, pinned INTEGER NOT NULL,
        PRIMARY KEY (upstream, project, filename)
    )
"""
"""Files of upstreams that every node pins."""

ONLY_SHARED: Final = (ACME_CHALLENGES, PINS)
"""Make the tables that are only in PostgreSQL and its copies."""

_ANY: Final = "INSERT OR UPDATE OR DELETE"


def _triggers(*tables: str) -> tuple[str, ...]:
    """Return what makes changes of tables known to the other nodes; a step that adds a table to REPLICATED adds these."""
    return tuple(
        statement
        for table in tables
        for statement in (
            f"CREATE TRIGGER record_change AFTER {_ANY} ON {table} FOR EACH ROW EXECUTE FUNCTION record_change()",
            f"CREATE TRIGGER notify_nodes AFTER {_ANY} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION notify_nodes()",
        )
    )


STEPS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE tokens (
            id TEXT NOT NULL PRIMARY KEY, digest BYTEA NOT NULL UNIQUE, "user" TEXT, actions TEXT NOT NULL,
            projects TEXT NOT NULL, created BIGINT NOT NULL, expires BIGINT, note TEXT NOT NULL, last_used BIGINT,
            revoked BIGINT
        )
        """,
        'CREATE TABLE owners (project TEXT NOT NULL PRIMARY KEY, "user" TEXT NOT NULL, since BIGINT NOT NULL)',
        """
        CREATE TABLE allowances (
            project TEXT NOT NULL, version TEXT NOT NULL, until BIGINT NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL,
            PRIMARY KEY (project, version)
        )
        """,
        """
        CREATE TABLE first_seen (
            source TEXT NOT NULL, project TEXT NOT NULL, filename TEXT NOT NULL, mark TEXT NOT NULL, seen BIGINT NOT NULL,
            PRIMARY KEY (source, project, filename, mark)
        )
        """,
        "CREATE TABLE used_names (project TEXT NOT NULL PRIMARY KEY)",
        """
        CREATE TABLE feed (
            serial BIGSERIAL PRIMARY KEY, changed_table TEXT NOT NULL, is_deleted BOOLEAN NOT NULL, content JSONB NOT NULL,
            at TIMESTAMPTZ NOT NULL DEFAULT now()
        )
        """,
        f"""
        CREATE FUNCTION record_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock({WRITE_LOCK});
            INSERT INTO feed (changed_table, is_deleted, content)
            VALUES (TG_TABLE_NAME, TG_OP = 'DELETE', to_jsonb(CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END));
            RETURN NULL;
        END $$
        """,  # noqa: S608  (a constant)
        f"""
        CREATE FUNCTION notify_nodes() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('{CHANNEL}', '');
            RETURN NULL;
        END $$
        """,
        *_triggers("tokens", "owners", "allowances", "used_names"),
    ),
    (
        "CREATE TABLE acme_files (path TEXT NOT NULL PRIMARY KEY, content BYTEA NOT NULL)",
        ACME_CHALLENGES,
        *_triggers("acme_challenges"),
    ),
    (PINS, *_triggers("pins")),
    # Which token each form of a page has made; it is read in the transaction that makes a token, so no node needs a copy.
    (
        "CREATE TABLE token_forms (form TEXT NOT NULL PRIMARY KEY, token TEXT NOT NULL)",
        'CREATE INDEX tokens_of_user ON tokens ("user")',
    ),
)
"""What each version of the schema adds to the one before; each step is one transaction."""


@dataclass(frozen=True, slots=True)
class VersionedSchema:
    """A schema whose tables change from release to release.

    Attributes:
        name: Its name in the database.
        steps: What each version adds to the one before; each step is one transaction.
        lock: The advisory lock that every change holds until its end.
    """

    name: str
    steps: tuple[tuple[str, ...], ...]
    lock: int

    def steps_from(self, version: int, place: str) -> tuple[tuple[str, ...], ...]:
        """Return the steps that a database lacks.

        Args:
            version: Its schema's; 0 for an empty one.
            place: The database, for the refusal.

        Raises:
            RefusedStart: A newer release has changed it.
        """
        newest = len(self.steps)
        if version > newest:
            raise RefusedStart(
                f"The records {place} have schema {version}, of a newer release; this one knows schemas up to {newest}: "
                "upgrade this node."
            )
        return self.steps[version:]


RECORDS: Final = VersionedSchema(SCHEMA, STEPS, WRITE_LOCK)
