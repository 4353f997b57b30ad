"""Parse the access file: who may do what with which projects (``deploy/access.toml`` explains it).

::

    private = false

    [groups]
    staff = ["alice", "bob"]

    [uploads]
    max-file-size = "2G"

    [[rule]]
    projects = ["acme-*"]
    read = ["group:staff", "token:ab12cd34"]
    upload = ["owner"]
    overwrite = true

Unknown keys are refused, so that a misspelt rule cannot open what it should close.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from simpleindex.access.identity import Action, UploadRules
from simpleindex.access.logins.credentials import SECRET_PREFIX
from simpleindex.access.logins.htpasswd import InvalidUserName, parse_user_name
from simpleindex.access.rights import Access
from simpleindex.access.rules import (
    ANYONE_WORD,
    GROUP_PREFIX,
    TOKEN_PREFIX,
    WHO_WORDS,
    AccessRule,
    Principals,
)
from simpleindex.core.errors import SimpleIndexError
from simpleindex.core.parsing.toml import read_toml
from simpleindex.core.patterns import InvalidPattern, parse_pattern
from simpleindex.core.text import one_of, parse_size, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

MAXIMUM_SIZE: Final = 1 << 20
"""Bytes; a larger access file is refused."""

_ACTIONS: Final = {action.value: action for action in Action}
_FLAGS: Final = ("local-versions", "require-record", "require-matching-tags", "normalized-names")
_SIZES: Final = ("max-file-size", "max-project-size")
_OVERWRITE: Final = "overwrite"

_TOP_KEYS: Final = ("private", "groups", "uploads", "rule")
_UPLOAD_KEYS: Final = (*_FLAGS, *_SIZES)
_RULE_KEYS: Final = ("projects", *_ACTIONS, _OVERWRITE, *_UPLOAD_KEYS)

_LARGEST: Final = 10**15  # bytes; a petabyte is a mistake

_GROUP: Final = re.compile(r"[A-Za-z0-9._-]+")
_TOKEN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SECRET: Final = re.compile(re.escape(SECRET_PREFIX) + r"\S{16}")
"""The beginning of a token's secret, in contrast to its id; a user name may begin like it."""


def parse_access(content: bytes) -> Access:
    """Parse an access file.

    Raises:
        InvalidAccess: It is not valid; then nothing of it may be used.
    """
    table = _toml(content)
    _check_keys(table, _TOP_KEYS, "")
    private = _flag(table.get("private", False), "'private'")
    groups = _groups(table.get("groups", {}))
    uploads = table.get("uploads", {})
    if not isinstance(uploads, dict):
        raise InvalidAccess("has an 'uploads' that is not a table; write [uploads]")
    _check_keys(uploads, _UPLOAD_KEYS, " in [uploads]")
    rules = table.get("rule", [])
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise InvalidAccess("has a 'rule' that is not a list of tables; write [[rule]] above each rule")
    parsed = tuple(_rule(rule, number, groups) for number, rule in enumerate(rules, 1))
    if private:
        for rule in parsed:
            if Action.READ in rule.who and rule.who[Action.READ].anyone:
                raise InvalidAccess(
                    f"contradicts itself: private = true lets nobody read without a login, but rule {rule.number}"
                    f" lets anyone read; write 'authenticated' there, or private = false"
                )
    # Each value has been made for its attribute.
    return Access(parsed, private, UploadRules(**_uploads(uploads, "[uploads]")))  # type: ignore[arg-type]


def _toml(content: bytes) -> dict[str, object]:
    if not content.strip():
        # An editor that truncates before it writes would otherwise open everything for a moment.
        raise InvalidAccess(
            "is empty; a comment alone makes it one without rules: anyone reads, nobody uploads"
        )
    return read_toml(content, InvalidAccess)


def _check_keys(table: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key in known:
            continue
        if where and key in _TOP_KEYS:
            # TOML puts every key behind a table's heading into that table.
            raise InvalidAccess(f"has {shown(key)}{where}; it belongs above the first [table] of the file")
        if key in _RULE_KEYS:
            place = "[uploads] or a [[rule]]" if key in _UPLOAD_KEYS else "a [[rule]]"
            raise InvalidAccess(f"has {shown(key)}{where or ' at its top'}; it belongs in {place}")
        raise InvalidAccess(f"has the unknown key {shown(key)}{where}{one_of(key, known)}")


def _groups(value: object) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise InvalidAccess("has a 'groups' that is not a table; write [groups]")
    groups = {}
    for name, members in value.items():
        where = f"the group {shown(name)}"
        if name in _TOP_KEYS and not isinstance(members, list):
            raise InvalidAccess(
                f"has {shown(name)} in [groups]; it belongs above the first [table] of the file"
            )
        if not _GROUP.fullmatch(name):
            raise InvalidAccess(f"has {where}; a group's name has letters, digits and ._- only")
        groups[name] = tuple(dict.fromkeys(_member(member, where) for member in _texts(members, where)))
    return groups


def _member(word: str, where: str) -> str:
    _refuse_secret(word, where)
    if word.startswith((GROUP_PREFIX, TOKEN_PREFIX)) or word in WHO_WORDS:
        raise InvalidAccess(f"lists {shown(word)} in {where}, which can hold users only")
    return _user(word, where)


def _rule(table: Mapping[str, object], number: int, groups: Mapping[str, tuple[str, ...]]) -> AccessRule:
    where = f"rule {number}"
    _check_keys(table, _RULE_KEYS, f" in {where}")
    if "projects" not in table:
        raise InvalidAccess(f"has no 'projects' in {where}; write projects = [\"*\"] for all")
    if len(table) == 1:
        raise InvalidAccess(f"has a {where} that only names projects; say who may {', '.join(_ACTIONS)} them")
    patterns = _texts(table["projects"], f"'projects' of {where}")
    if not patterns:
        raise InvalidAccess(f'has a {where} for no project; write projects = ["*"] for all')
    try:
        projects = tuple(dict.fromkeys(parse_pattern(pattern) for pattern in patterns))
    except InvalidPattern as error:
        raise InvalidAccess(f"has in {where} the project {shown(error.text)}, which {error.reason}") from None
    who = {
        action: _who(table[key], action, f"{key!r} of {where}", groups)
        for key, action in _ACTIONS.items()
        if key in table
    }
    checks = {key: value for key, value in table.items() if key in _UPLOAD_KEYS or key == _OVERWRITE}
    return AccessRule(number, projects, who, _uploads(checks, where))


def _who(value: object, action: Action, where: str, groups: Mapping[str, tuple[str, ...]]) -> Principals:
    words = tuple(dict.fromkeys(_word(word, where, groups) for word in _texts(value, where)))
    if ANYONE_WORD in words and action is not Action.READ:
        raise InvalidAccess(f"lists 'anyone' in {where}, but only reading is possible without a login")
    named = (word.removeprefix(GROUP_PREFIX) for word in words if word.startswith(GROUP_PREFIX))
    return Principals(words, {GROUP_PREFIX + name: groups[name] for name in named})


def _word(word: str, where: str, groups: Mapping[str, tuple[str, ...]]) -> str:
    _refuse_secret(word, where)
    if word in WHO_WORDS:
        return word
    kind, colon, name = word.partition(":")
    if colon and kind + colon == GROUP_PREFIX:
        if name not in groups:
            raise InvalidAccess(
                f"lists {shown(word)} in {where}, but [groups] has no {shown(name)}{one_of(name, groups)}"
            )
    elif colon and kind + colon == TOKEN_PREFIX:
        if not _TOKEN_ID.fullmatch(name):
            raise InvalidAccess(
                f"lists {shown(word)} in {where}; after 'token:' comes the public id of a token"
            )
    elif colon:
        raise InvalidAccess(f"lists {shown(word)} in {where}{one_of(kind + colon, ('group:', 'token:'))}")
    elif word in groups:
        raise InvalidAccess(
            f"lists {shown(word)} in {where}, which is a group; write {shown(GROUP_PREFIX + word)}"
        )
    elif word.lower() in WHO_WORDS or word == "*":
        meant = "authenticated" if word == "*" else word.lower()
        raise InvalidAccess(f"lists {shown(word)} in {where}; did you mean {shown(meant)}?")
    else:
        return _user(word, where)
    return word


def _user(word: str, where: str) -> str:
    try:
        return parse_user_name(word)
    except InvalidUserName as error:
        raise InvalidAccess(f"lists {shown(word)} in {where}: {error}") from None


def _refuse_secret(word: str, where: str) -> None:
    if _SECRET.search(word):
        raise InvalidAccess(
            f"holds a token itself in {where}; revoke it, for it may have been seen, and write token: and its public id"
        )


def _uploads(table: Mapping[str, object], where: str) -> dict[str, int]:
    """Return the values of the checks of uploads by attribute of :class:`UploadRules`."""
    return {
        key.replace("-", "_"): _size(value, f"{key!r} in {where}")
        if key in _SIZES
        else _flag(value, f"{key!r} in {where}")
        for key, value in table.items()
    }


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidAccess(f"has a value of {where} that is neither true nor false")
    return value


def _size(value: object, where: str) -> int:
    """Parse a number of bytes, with K, M and G as powers of 1024; 0 means no bound."""
    size = parse_size(value)
    if size is None or size > _LARGEST:
        raise InvalidAccess(
            f'has a value of {where} that is no number of bytes such as 67108864 or "64M" (K, M or G; 0 for no bound)'
        )
    return size


def _texts(value: object, where: str) -> list[str]:
    if isinstance(value, str):
        _refuse_secret(value, where)
        # Quoted as TOML has it, so that it can be copied; long or strange ones are not shown.
        example = (
            f'; write ["{value}"]' if _GROUP.fullmatch(value.replace(":", "")) and len(value) < 40 else ""
        )
        raise InvalidAccess(f"has a text instead of a list for {where}{example}")
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise InvalidAccess(f"has what is not a list of texts for {where}")
    return value


class InvalidAccess(SimpleIndexError):
    """An access file that is not valid.

    Attributes:
        reason: What is wrong, as a sentence without its subject.
    """

    template = "it {reason}"
    reason: str
