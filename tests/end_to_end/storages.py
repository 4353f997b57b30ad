"""Where an index keeps packages and records: a directory with SQLite, or a bucket with PostgreSQL. One suite of tests runs over both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import psycopg
import pytest

from simpleindex.publishing.local.staging import STAGING
from tests.end_to_end.changing_files import files_below
from tests.end_to_end.object_stores import BUCKET as BUCKET_NAME
from tests.end_to_end.uploading import litter

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.object_stores import SeaweedFS
    from tests.end_to_end.running import Server

DIRECTORY: Final = "directory"
BUCKET: Final = "bucket"

ON_BOTH_STORAGES: Final = pytest.mark.parametrize("storage", [DIRECTORY, BUCKET], indirect=True)
"""Runs a test over a directory with SQLite, and over a bucket with PostgreSQL."""


class Storage(Protocol):
    """Where the packages and records of one test are.

    Attributes:
        options: Of servers.
        records: The URL of the records; None for the file in the server's state.
    """

    options: tuple[str, ...]
    records: str | None

    def attach(self, server: Server) -> None:
        """Let a server that is not started yet serve it; of a bucket, further ones serve the same."""

    def names(self) -> list[str]:
        """Return what lies there, as ``project/file``, sorted; without hidden files, such as ledgers and the trash."""

    def put(self, name: str, data: bytes) -> None:
        """Put a file as another program does."""

    def remove(self, name: str) -> None:
        """Remove a file as another program does."""

    def litter(self) -> list[str]:
        """Return what was not meant to stay: of unfinished uploads."""

    def records_text(self) -> str:
        """Return all that a database remembers; nothing where the records are a file of the state."""

    def options_of_commands(self) -> tuple[str, ...] | None:
        """Return the options with which a command changes the packages without a server; None if it cannot."""


class DirectoryStorage:
    """A directory; the records are a file in the state of the first server."""

    options: tuple[str, ...] = ()
    records: str | None = None

    def __init__(self) -> None:
        self._first: Server | None = None

    def attach(self, server: Server) -> None:
        assert self._first is None, "two servers may not have the same state directory"
        self._first = server

    @property
    def _root(self) -> Path:
        assert self._first is not None
        return self._first.root

    def names(self) -> list[str]:
        found = (path.relative_to(self._root) for path in files_below(self._root))
        return sorted(str(path) for path in found if "/." not in f"/{path}")

    def put(self, name: str, data: bytes) -> None:
        path = self._root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)

    def remove(self, name: str) -> None:
        (self._root / name).unlink()

    def litter(self) -> list[str]:
        return litter(self._root)

    def records_text(self) -> str:
        return ""

    def options_of_commands(self) -> tuple[str, ...]:
        return ("--path", str(self._root))


class BucketStorage:
    """A prefix of a bucket, and a database.

    Args:
        store: The bucket's store.
        prefix: Below which nothing is.
        records: The URL of an empty database.
    """

    def __init__(self, store: SeaweedFS, prefix: str, records: str) -> None:
        self.records: str | None = records
        self.options: tuple[str, ...] = ("--records", records, "--poll-interval", "1")
        self._store = store
        self._client = store.client()
        self._prefix = f"{prefix}/"
        self._servers: list[Server] = []

    def attach(self, server: Server) -> None:
        server.location = f"s3://{BUCKET_NAME}/{self._prefix.rstrip('/')}"
        server.environment = self._store.environment()
        self._servers.append(server)

    def names(self) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=BUCKET_NAME, Prefix=self._prefix
        )
        keys = [each["Key"][len(self._prefix) :] for page in pages for each in page.get("Contents", ())]
        return sorted(key for key in keys if "/." not in f"/{key}")

    def put(self, name: str, data: bytes) -> None:
        self._client.put_object(Bucket=BUCKET_NAME, Key=self._prefix + name, Body=data)

    def remove(self, name: str) -> None:
        self._client.delete_object(Bucket=BUCKET_NAME, Key=self._prefix + name)

    def litter(self) -> list[str]:
        # An upload is whole and checked before it comes to the bucket, so what is unfinished lies with the node.
        caches = [server.cache for server in self._servers]
        return [path.name for path in files_below(*caches) if path.parent.name == STAGING]

    def records_text(self) -> str:
        with psycopg.connect(self.records or "") as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            rows = [
                connection.execute(f'SELECT t::text FROM "{name}" t'.encode()).fetchall()
                for (name,) in tables.fetchall()
            ]
        return str(rows)

    def options_of_commands(self) -> None:
        return None


def make_storage(request: pytest.FixtureRequest) -> Storage:
    """Make the storage that a fixture's parameter names; a directory without one."""
    if getattr(request, "param", DIRECTORY) == DIRECTORY:
        return DirectoryStorage()
    store, server = request.getfixturevalue("seaweedfs"), request.getfixturevalue("postgresql")
    records = server.create_database()
    return BucketStorage(store, records.rpartition("/")[2], records)
