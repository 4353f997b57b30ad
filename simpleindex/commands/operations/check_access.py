"""Check the users file and the access file, for ``simpleindex check``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from simpleindex.access.access_file import InvalidAccess, parse_access
from simpleindex.access.htpasswd import parse_users
from simpleindex.access.rules import WHO_WORDS
from simpleindex.core.text import did_you_mean, plural, printable
from simpleindex.system.followed_file import read_text_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.access.htpasswd import Users
    from simpleindex.access.rights import Access
    from simpleindex.config.settings import Settings


def check_access(settings: Settings) -> tuple[list[str], bool]:
    """Read the users and the access file as the server would.

    Returns:
        Lines for the operator, and whether both files are free of mistakes. A user whom a rule lists and who has no password
        is a hint, not a mistake: tokens may exist for users who will be added.
    """
    lines: list[str] = []
    users = access = None
    is_right = True
    if settings.users is not None:
        where = printable(str(settings.users))
        try:
            users = parse_users(read_text_file(str(settings.users)))
        except OSError as error:
            lines.append(f"{where} cannot be used: {error.strerror}.")
            is_right = False
        else:
            lines += [f"{where}: {sentence}" for sentence in users.refused]
            lines.append(f"{where}: {plural(len(users.hashes), 'user')}.")
            is_right = not users.refused
    if settings.access is not None:
        where = printable(str(settings.access))
        try:
            access = parse_access(read_text_file(str(settings.access)))
        except OSError as error:
            lines.append(f"{where} cannot be used: {error.strerror}.")
            is_right = False
        except InvalidAccess as error:
            lines.append(f"{where} is not valid: {error}")
            is_right = False
        else:
            number = len(access.rules)
            lines.append(f"{where}: {plural(number, 'rule')}.")
    if users is not None and access is not None:
        lines += _unknown_users(users, access, os.path.basename(str(settings.access)))
    return lines, is_right


def _unknown_users(users: Users, access: Access, where: str) -> Iterator[str]:
    """Yield a hint for each user whom a rule lists and who has no password."""
    listed: dict[str, int] = {}
    for rule in access.rules:
        for who in rule.who.values():
            for word in (*who.words, *(member for members in who.groups.values() for member in members)):
                if word not in WHO_WORDS and ":" not in word:
                    listed.setdefault(word, rule.number)
    for name, number in listed.items():
        if name not in users.hashes:
            meant = did_you_mean(name, users.hashes, ", and can use tokens only.")
            yield f"Hint: rule {number} of {where} lists {name!r}, who is not in the users file{meant}"
