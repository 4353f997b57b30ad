"""Read the users file and the access file, for ``simpleindex check`` and ``simpleindex doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.access.access_file import InvalidAccess, parse_access
from simpleindex.access.logins.htpasswd import parse_users
from simpleindex.core.text import plural, printable
from simpleindex.diagnosis.accounts import AccountFiles, judge_accounts
from simpleindex.diagnosis.finding import Severity
from simpleindex.system.followed_file import read_text_file

if TYPE_CHECKING:
    from simpleindex.access.logins.htpasswd import Users
    from simpleindex.access.rights import Access
    from simpleindex.config.settings import Settings


def check_access(settings: Settings) -> tuple[list[str], bool]:
    """Read the users and the access file as the server would.

    Returns:
        Lines for the operator, and whether both files are free of mistakes.
    """
    files = read_account_files(settings)
    lines = account_lines(files)
    findings = list(judge_accounts(files))
    lines += [
        f"Hint: {each.sentence[0].lower()}{each.sentence[1:]}"
        if each.severity is Severity.HINT
        else each.sentence
        for each in findings
    ]
    return lines, all(each.severity is Severity.HINT for each in findings)


def read_account_files(settings: Settings) -> AccountFiles:
    """Read both files, as far as the settings name them."""
    users: Users | None = None
    access: Access | None = None
    unusable: list[str] = []
    if settings.users is not None:
        try:
            users = parse_users(read_text_file(str(settings.users)))
        except OSError as error:
            unusable.append(f"{printable(str(settings.users))} cannot be used: {error.strerror}.")
    if settings.access is not None:
        where = printable(str(settings.access))
        try:
            access = parse_access(read_text_file(str(settings.access)))
        except OSError as error:
            unusable.append(f"{where} cannot be used: {error.strerror}.")
        except InvalidAccess as error:
            unusable.append(f"{where} is not valid: {error}")
    users_path, access_path = (
        None if path is None else str(path) for path in (settings.users, settings.access)
    )
    return AccountFiles(users_path, access_path, users, access, tuple(unusable))


def account_lines(files: AccountFiles) -> list[str]:
    """Return a line for each file that can be used, with what is in it."""
    lines = []
    if files.users is not None:
        lines.append(f"{printable(str(files.users_path))}: {plural(len(files.users.hashes), 'user')}.")
    if files.access is not None:
        lines.append(f"{printable(str(files.access_path))}: {plural(len(files.access.rules), 'rule')}.")
    return lines
