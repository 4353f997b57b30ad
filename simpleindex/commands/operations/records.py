"""``simpleindex records copy FROM TO``: move records between a SQLite file and PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from simpleindex.commands.arguments import Parser
from simpleindex.config.values import to_records
from simpleindex.core.errors import InvalidSetting, RefusedStart
from simpleindex.core.text import plural
from simpleindex.records.beginning import condition_of
from simpleindex.records.copying import copy_records
from simpleindex.records.lost_records import RecordsCondition
from simpleindex.records.opening import open_postgresql, open_records

if TYPE_CHECKING:
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
        description="Records are what cannot be rebuilt: tokens, owners, names ever used, exemptions from rules.",
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
        rows = copy_records(source, target)
    finally:
        source.close()
        target.close()
    print("Copied " + ", ".join(plural(count, _WORDS[table]) for table, count in rows.items()) + ".")
    return 0


def _open(text: str, *, is_source: bool) -> Records:
    if text.startswith(_SQLITE):
        directory = str(Path(text.removeprefix(_SQLITE)).absolute())
        if is_source and condition_of(directory) is not RecordsCondition.PRESENT:
            raise RefusedStart(f"{directory} has no records: name the directory of --state.")
        return open_records(directory, None)
    try:
        url = to_records(text)
    except InvalidSetting as invalid:
        raise RefusedStart(f"{text!r} {invalid.reason}; or write sqlite:STATE-DIRECTORY") from None
    database = open_postgresql(url)
    try:
        database.prepare()
    except OSError as error:
        raise RefusedStart(f"The records {database.path} cannot be used: {error.strerror}.") from None
    return database
