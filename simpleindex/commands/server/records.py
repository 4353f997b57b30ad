"""``simpleindex records copy FROM TO``: move records between a SQLite file and PostgreSQL."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from simpleindex.commands.arguments import Parser
from simpleindex.config.layers import without_secrets
from simpleindex.config.values import to_records
from simpleindex.core.errors import InvalidSetting, RefusedStart
from simpleindex.core.text import plural
from simpleindex.hooks.positions_copy import copy_positions_from_file, copy_positions_to_file
from simpleindex.records.database_copy import COLUMNS, SHARED_COLUMNS, copy_records
from simpleindex.records.downloads.database_copy import copy_downloads
from simpleindex.records.lost_records import RecordsCondition
from simpleindex.records.opening import open_downloads, open_postgresql, open_records, open_shared_audit
from simpleindex.records.start_check import condition_of
from simpleindex.records.state_copy import (
    account_files,
    copy_audit_from_files,
    copy_audit_to_file,
    require_no_audit,
    write_account_files,
)
from simpleindex.system.errors import trouble_of

if TYPE_CHECKING:
    from simpleindex.records.downloads.database import DownloadsDatabase
    from simpleindex.records.interface import Records
    from simpleindex.records.postgresql.audit import SharedAudit

_SQLITE: Final = "sqlite:"

_WORDS: Final = {
    "tokens": "token",
    "owners": "owner",
    "allowances": "allowance",
    "first_seen": "first-seen time",
    "used_names": "used name",
    "acme_files": "ACME file",
    "pins": "pin",
}


def records(words: list[str]) -> int:
    """Run a command on the records; return the exit status."""
    parser = Parser(
        prog="simpleindex records",
        description="Records are what cannot be rebuilt: tokens, owners, names ever used, exemptions from rules, counts of downloads, the audit.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True, dest="command")
    copying = commands.add_parser(
        "copy",
        help="copy all records to an empty database",
        description="Copy all records to an empty database. Stop the servers before, and start them with the new --records: what "
        "they change meanwhile is not copied.",
    )
    for name, help_ in (("source", "where the records are"), ("target", "where they go")):
        copying.add_argument(
            name, metavar=name.upper(), help=f"{help_}: sqlite:STATE-DIRECTORY or postgresql://HOST/DATABASE"
        )
    arguments = parser.parse_args(words)
    source, target = _open(arguments.source, is_source=True), _open(arguments.target, is_source=False)
    try:
        copied, by_hand = _copy(source, target), _pins_by_hand(source, target)
    except OSError as error:
        raise RefusedStart(trouble_of(error, target.records.path).for_operator()) from None
    finally:
        source.close()
        target.close()
    print(f"Copied {', '.join(copied)}.")
    if by_hand:
        print(by_hand)
    return 0


def _copy(source: _Database, target: _Database) -> list[str]:
    """Copy everything; return what was copied, each with its number."""
    if source.audit is not None:
        if target.audit is None:
            require_no_audit(target.place)
        else:
            target.audit.require_empty()
    tables, given = COLUMNS, {}
    if target.audit is not None:
        tables = SHARED_COLUMNS
        if source.audit is None:
            # Pins of a state directory are noted by its server when it starts.
            given = {"acme_files": account_files(source.place), "pins": []}
    downloads, rows = copy_downloads(
        source.downloads,
        target.downloads,
        lambda: copy_records(source.records, target.records, tables, given),
    )
    counts = dict(rows)
    if source.audit is not None and target.audit is None:
        found = source.records.writer.read("SELECT path, content FROM acme_files", ())
        counts["acme_files"] = write_account_files(target.place, found)
    lines, hooks = _copy_audit(source, target)
    words = [plural(count, _WORDS[table]) for table, count in counts.items() if count or table in COLUMNS]
    return [
        *words,
        plural(downloads, "download"),
        *([plural(lines, "audit entry")] if lines else []),
        *([plural(hooks, "hook position")] if hooks else []),
    ]


def _copy_audit(source: _Database, target: _Database) -> tuple[int, int]:
    """Copy the audit, and how far each hook has read it; return the number of lines and of hooks."""
    if source.audit is not None:
        if target.audit is not None:
            return source.audit.copy_to(target.audit), len(target.audit.hook_positions())
        lines = copy_audit_to_file(source.audit, target.place)
        return lines, copy_positions_to_file(source.audit, target.place)
    if target.audit is None:
        return 0, 0
    lines = copy_audit_from_files(source.place, target.audit)
    return lines, copy_positions_from_file(source.place, target.audit)


def _pins_by_hand(source: _Database, target: _Database) -> str:
    """Return what is to be copied by hand: files that nodes have pinned; empty without any."""
    if source.audit is None or target.audit is not None:
        return ""
    ((count,),) = source.records.writer.read("SELECT count(*) FROM pins WHERE pinned = 1", ())
    if not count:
        return ""
    return (
        f"Copy by hand: the files of {plural(count, 'pin')}, in the directory pinned/ below --state of a node, "
        f"to {os.path.join(target.place, 'pinned')}/."
    )


@dataclass(frozen=True)
class _Database:
    """All that is copied.

    Attributes:
        place: The state directory; empty for a server.
        audit: The audit of all nodes; None for a state directory, which has files.
    """

    records: Records
    downloads: DownloadsDatabase
    place: str = ""
    audit: SharedAudit | None = None

    def close(self) -> None:
        """Close the connections."""
        self.records.close()
        self.downloads.close()
        if self.audit is not None:
            self.audit.close()


def _open(text: str, *, is_source: bool) -> _Database:
    if text.startswith(_SQLITE):
        directory = str(Path(text.removeprefix(_SQLITE)).absolute())
        if is_source and condition_of(directory) is not RecordsCondition.PRESENT:
            raise RefusedStart(f"{directory} has no records: name the directory of --state.")
        return _Database(open_records(directory, None), open_downloads(directory), directory)
    try:
        url = to_records(text)
    except InvalidSetting as invalid:
        raise RefusedStart(
            f"{without_secrets(text)!r} {invalid.reason}; or write sqlite:STATE-DIRECTORY"
        ) from None
    database = open_postgresql(url)
    try:
        database.prepare()
    except OSError as error:
        raise RefusedStart(trouble_of(error, database.path).for_operator()) from None
    return _Database(database, open_downloads("", url), audit=open_shared_audit(url))
