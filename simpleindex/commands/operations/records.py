"""``simpleindex records copy FROM TO``: move records between a SQLite file and PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from simpleindex.commands.arguments import Parser
from simpleindex.config.values import to_records
from simpleindex.core.errors import InvalidSetting, RefusedStart
from simpleindex.core.text import plural
from simpleindex.records.database_copy import copy_records
from simpleindex.records.downloads.database_copy import copy_downloads
from simpleindex.records.downloads.opening import open_downloads
from simpleindex.records.lost_records import RecordsCondition
from simpleindex.records.opening import open_postgresql, open_records
from simpleindex.records.start_check import condition_of

if TYPE_CHECKING:
    from simpleindex.records.downloads.database import DownloadsDatabase
    from simpleindex.records.interface import Records

_SQLITE: Final = "sqlite:"

_WORDS: Final = {
    "tokens": "token",
    "owners": "owner",
    "allowances": "allowance",
    "first_seen": "first-seen time",
    "used_names": "used name",
}


def records(words: list[str]) -> int:
    """Run a command on the records; return the exit status.

    Raises:
        RefusedStart: It cannot be done; nothing is changed.
    """
    parser = Parser(
        prog="simpleindex records",
        description="Records are what cannot be rebuilt: tokens, owners, names ever used, exemptions from rules, counts of downloads.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True, dest="command")
    copying = commands.add_parser(
        "copy",
        help="copy all records to an empty database",
        description="Copy all records to an empty database. Stop the servers before, and start them with the new --records: what "
        "they change meanwhile is not copied.",
    )
    for name, help_ in (("source", "where the records are"), ("target", "where they go")):
        copying.add_argument(name, help=f"{help_}: sqlite:STATE-DIRECTORY or postgresql://HOST/DATABASE")
    arguments = parser.parse_args(words)
    source, target = _open(arguments.source, is_source=True), _open(arguments.target, is_source=False)
    try:
        downloads, rows = copy_downloads(
            source.downloads, target.downloads, lambda: copy_records(source.records, target.records)
        )
    finally:
        source.close()
        target.close()
    counts = [plural(count, _WORDS[table]) for table, count in rows.items()]
    print(f"Copied {', '.join(counts)}, {plural(downloads, 'download')}.")
    return 0


@dataclass(frozen=True)
class _Database:
    """All that is copied.

    Attributes:
        records: The records.
        downloads: The counts of downloads.
    """

    records: Records
    downloads: DownloadsDatabase

    def close(self) -> None:
        """Close the connections."""
        self.records.close()
        self.downloads.close()


def _open(text: str, *, is_source: bool) -> _Database:
    if text.startswith(_SQLITE):
        directory = str(Path(text.removeprefix(_SQLITE)).absolute())
        if is_source and condition_of(directory) is not RecordsCondition.PRESENT:
            raise RefusedStart(f"{directory} has no records: name the directory of --state.")
        return _Database(open_records(directory, None), open_downloads(directory))
    try:
        url = to_records(text)
    except InvalidSetting as invalid:
        raise RefusedStart(f"{text!r} {invalid.reason}; or write sqlite:STATE-DIRECTORY") from None
    database = open_postgresql(url)
    try:
        database.prepare()
    except OSError as error:
        raise RefusedStart(f"The records {database.path} cannot be used: {error.strerror}.") from None
    return _Database(database, open_downloads("", url))
