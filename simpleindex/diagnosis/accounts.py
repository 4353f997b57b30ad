"""Mistakes in the users file and in the access file: bad hashes, users of rules who are unknown. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from posixpath import basename
from typing import TYPE_CHECKING

from simpleindex.access.rules import WHO_WORDS
from simpleindex.core.text import did_you_mean, printable
from simpleindex.diagnosis.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.access.logins.htpasswd import Users
    from simpleindex.access.rights import Access


@dataclass(frozen=True, slots=True)
class AccountFiles:
    """The users file and the access file, as far as they can be read.

    Attributes:
        users_path: The users file; None without one.
        access_path: The access file; None without one.
        users: The users; None without them.
        access: The rules; None without them.
        unusable: What cannot be read or is not valid, as sentences.
    """

    users_path: str | None = None
    access_path: str | None = None
    users: Users | None = None
    access: Access | None = None
    unusable: tuple[str, ...] = ()


def judge_accounts(files: AccountFiles) -> Iterator[Finding]:
    """Yield mistakes in both files.

    A user whom a rule lists and who has no password is a hint, not a mistake: tokens may exist for users who will be added.
    """
    for sentence in files.unusable:
        yield Finding(Severity.ERROR, sentence)
    if files.users is not None:
        where = printable(str(files.users_path))
        for sentence in files.users.refused:
            yield Finding(Severity.WARNING, f"{where}: {sentence}")
        if files.access is not None:
            yield from _unknown_users(files, files.users, files.access)


def _unknown_users(files: AccountFiles, users: Users, access: Access) -> Iterator[Finding]:
    listed: dict[str, int] = {}
    for rule in access.rules:
        for who in rule.who.values():
            for word in (*who.words, *(member for members in who.groups.values() for member in members)):
                if word not in WHO_WORDS and ":" not in word:
                    listed.setdefault(word, rule.number)
    where = basename(str(files.access_path))
    for name, number in listed.items():
        if name not in users.hashes:
            meant = did_you_mean(name, users.hashes, ", and can use tokens only.")
            sentence = f"Rule {number} of {where} lists {name!r}, who is not in the users file{meant}"
            yield Finding(Severity.HINT, sentence, f"simpleindex passwd {shlex.quote(name)}")
