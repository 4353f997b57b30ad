"""Copy what a state directory keeps in files and PostgreSQL in tables: accounts of ACME, and the audit. Blocking."""

from __future__ import annotations

import os
import re
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from simpleindex.core.errors import RefusedStart
from simpleindex.records.audit.audit import AUDIT_FILENAME
from simpleindex.records.audit.audit_files import audit_files
from simpleindex.records.audit.audit_questions import AuditQuestion
from simpleindex.records.audit.audit_sharing import AuditSharing
from simpleindex.system.ownership import make_directories

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.records.postgresql.audit import SharedAudit

_ACCOUNT_FILE: Final = re.compile(r"accounts/[a-z0-9][a-z0-9.-]*/[a-z]+\.[a-z]+")


def account_files(directory: str) -> list[tuple[object, ...]]:
    """Return path and content of each file of an account of ACME in a state directory, as PostgreSQL has them.

    Raises:
        OSError: One cannot be read.
    """
    home = Path(directory, "acme")
    paths = {path.relative_to(home).as_posix(): path for path in sorted(home.glob("accounts/*/*"))}
    return [(name, path.read_bytes()) for name, path in paths.items() if _ACCOUNT_FILE.fullmatch(name)]


def write_account_files(directory: str, files: Iterable[tuple[str, bytes]]) -> int:
    """Write the files of accounts into a state directory, readable by its user only; return how many those are.

    Certificates are not among them: each node has them below ``--certs``.

    Raises:
        OSError: One is there already, or cannot be written.
    """
    number = 0
    for name, content in files:
        if not _ACCOUNT_FILE.fullmatch(name):
            continue
        path = Path(directory, "acme", name)
        for parent in (path.parents[2], path.parents[1], path.parent):
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _new_file(path) as file:
            file.write(content)
        number += 1
    return number


def copy_audit_from_files(directory: str, target: SharedAudit) -> int:
    """Copy the audit of a state directory as its node would; return how many lines there are then of all nodes.

    Raises:
        OSError: The server is away, or refuses.
    """
    if not audit_files(os.path.join(directory, AUDIT_FILENAME)):
        return 0
    sharing = AuditSharing(directory, target)
    try:
        with sharing.alone():
            return target.end()
    finally:
        sharing.close_file()


def require_no_audit(directory: str) -> None:
    """Refuse a state directory that has an audit.

    Raises:
        RefusedStart: It has one.
    """
    if audit_files(os.path.join(directory, AUDIT_FILENAME)):
        raise RefusedStart(
            f"{directory} has an audit already, which would be mixed with another: name an empty directory."
        )


def copy_audit_to_file(source: SharedAudit, directory: str) -> int:
    """Write the lines of all nodes into a state directory without an audit; return how many those are.

    Raises:
        OSError: The server is away, or the file cannot be written.
    """
    count = 0
    lines = source.lines(AuditQuestion())
    if (first := next(lines, None)) is not None:
        make_directories(directory)
        with _new_file(Path(directory, AUDIT_FILENAME)) as file:
            for count, line in enumerate(chain([first], lines), 1):  # noqa: B007  (the last number is returned)
                file.write(line + b"\n")
    return count


def _new_file(path: Path) -> BinaryIO:
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
