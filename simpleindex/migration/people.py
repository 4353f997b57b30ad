"""Users, groups and rights of another server, from its htpasswd file too: which hashes are usable here, and a proposal for the access file. Pure."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from simpleindex.access.logins.htpasswd import InvalidUserName, parse_user_name, parse_users
from simpleindex.access.rules import WHO_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping


@dataclass(frozen=True, slots=True)
class ImportedUser:
    """A user of another server.

    Attributes:
        name: As the server has it.
        hash: Of the password, as the server keeps it; empty if it keeps none. Never shown.
    """

    name: str
    hash: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ProposedRule:
    """A rule of the access file that is proposed.

    Attributes:
        projects: Names or patterns.
        who: For each action, who may: users, ``group:NAME``, ``anyone``, ``authenticated``.
        comment: What it comes from.
    """

    projects: tuple[str, ...]
    who: Mapping[str, tuple[str, ...]]
    comment: str = ""


@dataclass(frozen=True, slots=True)
class ImportedPeople:
    """The users and rights of another server.

    Attributes:
        groups: Its groups, each with its users.
        rules: What its rights come to as rules of an access file.
        notes: Sentences about what cannot be expressed, or is not read.
    """

    users: tuple[ImportedUser, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rules: tuple[ProposedRule, ...] = ()
    notes: tuple[str, ...] = ()

    def joined(self, others: ImportedPeople) -> ImportedPeople:
        """Return these and others; of two users or groups of one name the first is taken."""
        names = {user.name for user in self.users}
        return ImportedPeople(
            (*self.users, *(user for user in others.users if user.name not in names)),
            {**others.groups, **self.groups},
            (*self.rules, *others.rules),
            (*self.notes, *others.notes),
        )


_GROUP_WORD: Final = "group:"
_GROUP: Final = re.compile(r"[A-Za-z0-9._-]+")
"""Names of groups in an access file."""

NOBODY = ImportedPeople()


@dataclass(frozen=True, slots=True)
class JudgedUsers:
    """Users of another server, by whether their password hashes are accepted here.

    Attributes:
        usable: Hashes by user name.
        unusable: For the others, why not.
    """

    usable: Mapping[str, str] = field(default_factory=dict, repr=False)
    unusable: Mapping[str, str] = field(default_factory=dict)


def judge_users(users: Iterable[ImportedUser]) -> JudgedUsers:
    """Decide whose password hashes are accepted here; reasons never hold a hash."""
    usable: dict[str, str] = {}
    unusable: dict[str, str] = {}
    for user in users:
        try:
            name = parse_user_name(user.name)
        except InvalidUserName as error:
            unusable[user.name] = f"the name {error.reason}"
            continue
        if any(character in user.hash for character in "\r\n:"):
            unusable[name] = "the hash is damaged"
            continue
        parsed = parse_users(f"{name}:{user.hash}\n".encode("utf-8", "surrogateescape"))
        if name in parsed.hashes:
            usable[name] = user.hash
        else:
            unusable[name] = _reason(parsed.refused)
    return JudgedUsers(usable, unusable)


def without(judged: JudgedUsers, is_bad: Callable[[str], bool], reason: str) -> JudgedUsers:
    """Return the users with some of the usable hashes called unusable."""
    bad = {name for name, hash_ in judged.usable.items() if is_bad(hash_)}
    usable = {name: hash_ for name, hash_ in judged.usable.items() if name not in bad}
    return JudgedUsers(usable, {**judged.unusable, **dict.fromkeys(sorted(bad), reason)})


def _reason(refused: tuple[str, ...]) -> str:
    """Return the reason in a sentence about a line: what is behind ``is refused:``, without the advice."""
    sentence = refused[0] if refused else "it has no hash"
    return sentence.partition("is refused: ")[2].partition(";")[0].rstrip(".") or "it has no hash"


def access_proposal(people: ImportedPeople, source: str) -> str:
    """Return the text of an access file that gives users the rights that they had; empty if nothing is known of rights.

    Args:
        people: Users, groups and rights of the other server.
        source: What it is called.
    """
    if not people.rules:
        return ""
    groups = {
        name: _users(members) for name, members in sorted(people.groups.items()) if _GROUP.fullmatch(name)
    }
    lines = [f"# Proposed from the rights in {source}: look through it before you use it with --access."]
    if groups:
        lines += [
            "",
            "[groups]",
            *(f"{_quoted(name)} = {_list(members)}" for name, members in groups.items()),
        ]
    for rule in people.rules:
        lines += ["", *([f"# {rule.comment}"] if rule.comment else []), "[[rule]]"]
        lines.append(f"projects = {_list(rule.projects)}")
        lines += [f"{action} = {_list(_principals(who, groups))}" for action, who in rule.who.items()]
    return "\n".join(lines) + "\n"


def _principals(words: Iterable[str], groups: Collection[str]) -> list[str]:
    """Return the words that an access file can have: users, groups that there are, and words for everybody."""
    usable = []
    for word in words:
        group = word.removeprefix(_GROUP_WORD)
        if word in WHO_WORDS or (group != word and group in groups) or (group == word and _users([word])):
            usable.append(word)
    return usable


def _users(names: Iterable[str]) -> list[str]:
    """Return the names that users can have here."""
    usable = []
    for name in names:
        with suppress(InvalidUserName):
            usable.append(parse_user_name(name))
    return usable


def _list(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def _quoted(text: str) -> str:
    # A basic string of TOML is one of JSON, but takes no surrogates; and a terminal should take none of it for an order.
    quoted = json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in quoted)


def htpasswd_people(content: bytes) -> ImportedPeople:
    """Return the users of an htpasswd file; a line without a colon is none."""
    users = []
    for line in content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").split("\n"):
        name, colon, rest = line.strip().partition(":")
        if colon and not name.startswith("#"):
            users.append(ImportedUser(name, rest.partition(":")[0]))
    return ImportedPeople(tuple(users))
