"""What commands share: the parser, options that name paths, durations, tables, and the user who runs them."""

from __future__ import annotations

import argparse
import os
import pwd
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from simpleindex.config.help_text import HelpFormatter
from simpleindex.config.resolution import resolve_people
from simpleindex.core.errors import InvalidProjectName, RefusedStart
from simpleindex.core.names import parse_project_name
from simpleindex.core.text import shown
from simpleindex.records.audit.audit import Audit
from simpleindex.records.lost_records import RecordsCondition
from simpleindex.records.start_check import condition_of, initialize_records
from simpleindex.system.errors import trouble_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simpleindex.core.audit_entry import AuditEntry
    from simpleindex.core.names import ProjectName

_MOST_DIGITS: Final = 9
_NAME_THE_STATE: Final = "Name the server's configuration with SIMPLEINDEX_CONFIG=FILE or --config FILE, or its state directory with --state DIR."


class Parser(argparse.ArgumentParser):
    """A parser that reports a mistake in one sentence."""

    def __init__(self, **options: object) -> None:
        super().__init__(allow_abbrev=False, formatter_class=HelpFormatter, **options)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        raise RefusedStart(f"{message}; see {self.prog} --help")


@dataclass(frozen=True, slots=True)
class CommandPaths:
    """Paths of the server that a command works with.

    Attributes:
        state: The directory of the records and of the audit.
        users: The users file, or None without one.
        records: The PostgreSQL database of the records, or None for a file in ``state``.
    """

    state: Path
    users: Path | None
    records: str | None = None

    @property
    def place(self) -> str:
        """Where the records are, for sentences."""
        return self.records or str(self.state)

    def record(self, entry: AuditEntry) -> None:
        """Write an entry into the audit."""
        audit = Audit(str(self.state))
        audit.record(entry)
        audit.close()


def whole_number(least: int, unit: str = "") -> Callable[[str], int]:
    """Return a function that reads an option with a whole number; a unit may be written behind it."""

    def read(text: str) -> int:
        digits = text.removesuffix(unit) if unit else text
        if (
            not (digits.isascii() and digits.isdecimal() and len(digits) <= _MOST_DIGITS)
            or int(digits) < least
        ):
            example = unit and f", such as 30{unit}"
            raise argparse.ArgumentTypeError(
                f"{shown(text)} is not a whole number from {least} to {'9' * _MOST_DIGITS}{example}"
            )
        return int(digits)

    return read


def add_path_options(parser: argparse.ArgumentParser, names: Sequence[str] = ("state", "config")) -> None:
    """Add the server's options that name paths."""
    helps = {
        "users": "the users file, as the server's --users",
        "state": "the server's --state, where tokens and the audit are",
        "records": "the server's --records, where tokens are in a database",
        "config": "the server's configuration file, to take these from",
    }
    metavars = {"state": "DIR", "records": "URL"}
    for name in names:
        parser.add_argument(f"--{name}", metavar=metavars.get(name, "FILE"), help=helps[name])
        if name == "state":
            add_path_options(parser, ["records"])


def add_index_options(
    add_argument: Callable[..., object], *, index: str, login: str = "holds a token (or SIMPLEINDEX_TOKEN)"
) -> None:
    """Add the options by which a command reaches a running index: its URL, its CA certificate, and a token.

    Args:
        add_argument: That of the parser, or of a group in it.
        index: The help for the URL.
        login: The help for the file with the token.
    """
    add_argument("--index-url", metavar="URL", help=index)
    add_argument("--cert", metavar="FILE", help="trust this CA certificate too")
    add_argument("--token-file", metavar="FILE", help=login)


def command_paths(arguments: argparse.Namespace) -> CommandPaths:
    """Return the paths, found as the server does: command line, environment, configuration file, default.

    Raises:
        RefusedStart: An option or the configuration file is not valid.
    """
    given = {name: getattr(arguments, name, None) for name in ("users", "state", "records", "config")}
    command_line = {name: value for name, value in given.items() if value is not None}
    return CommandPaths(*resolve_people(command_line, os.environ, Path.cwd()))


def add_new_state(parser: argparse.ArgumentParser) -> None:
    """Add the option that allows a new state directory."""
    parser.add_argument(
        "--new-state",
        action="store_true",
        help="begin a state directory that no server has used yet; refused without this, because no server would read it",
    )


def require_state(where: CommandPaths, what: str, *, new: bool) -> None:
    """Refuse to write into a state directory that no server has used.

    Args:
        where: Names it.
        what: What no server would know, for the sentence.
        new: Whether to begin it.

    Raises:
        RefusedStart: No server has used it and it is not to be begun, or its records are lost.
    """
    if where.records is not None:
        return  # A database that cannot be used is refused by itself.
    state = str(where.state)
    try:
        if new or condition_of(state) is RecordsCondition.LOST:
            initialize_records(state, anew=False)
        elif condition_of(state) is RecordsCondition.NEW:
            raise RefusedStart(
                f"No server has used {state}, so none would know {what}. {_NAME_THE_STATE} --new-state begins a new one."
            )
    except (OSError, sqlite3.Error) as error:
        raise RefusedStart(f"{trouble_of(error, state).for_operator()}") from None


def require_records(where: CommandPaths) -> None:
    """Refuse to read records that cannot be read, or are not there: they would look like empty ones.

    Raises:
        RefusedStart: No server has used the state directory, or it cannot be read.
    """
    if where.records is not None:
        return  # A database that cannot be used is refused by itself.
    require_readable_state(where.state)
    condition = condition_of(str(where.state))
    if condition is RecordsCondition.NEW:
        raise RefusedStart(f"No server has used {where.state}. {_NAME_THE_STATE}")
    if condition is RecordsCondition.LOST:
        initialize_records(str(where.state), anew=False)


def require_readable_state(state: Path, *, may_be_missing: bool = False) -> None:
    """Refuse to read a state directory that cannot be read, or is not there: it would look like an empty one.

    Raises:
        RefusedStart: It cannot be read, or is not there and has to be.
    """
    try:
        os.scandir(state).close()
    except FileNotFoundError:
        if may_be_missing:
            return
        raise RefusedStart(f"There is no {state}, so no server has used it. {_NAME_THE_STATE}") from None
    except OSError as error:
        raise RefusedStart(
            f"{state} cannot be read: {error.strerror}; run the command as its owner, or as root."
        ) from None


def project_argument(text: str) -> ProjectName:
    """Return the project that an argument names.

    Raises:
        RefusedStart: It is no name of a project.
    """
    try:
        return parse_project_name(text)
    except InvalidProjectName as error:
        raise RefusedStart(f"{error}.") from None


def command_user() -> str:
    """Return the user who runs the command, for the audit; no user of the index has a colon in the name."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    sudo = os.environ.get("SUDO_USER", name)
    return f"command:{name}" if sudo == name else f"command:{name} for {sudo}"


def complain(sentence: str) -> None:
    """Print a sentence to standard error, apart from what a command prints."""
    print(f"simpleindex: {sentence}", file=sys.stderr)


def table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return lines of columns, each as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
