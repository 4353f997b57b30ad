"""The users and permissions of a pypicloud: what ``ppc-export`` writes, JSON, perhaps compressed with gzip. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from simpleindex.core import bounds
from simpleindex.core.errors import InvalidProjectName
from simpleindex.core.names import parse_project_name
from simpleindex.core.parsing.json_text import load_json, text_in, texts_in
from simpleindex.migration.errors import InvalidImportSource
from simpleindex.migration.people import ImportedPeople, ImportedUser, ProposedRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from simpleindex.core.names import ProjectName

_GZIP: Final = b"\x1f\x8b"
_LARGEST: Final = 256 << 20
"""Bytes, decompressed."""

_ADMINS: Final = "admins"
_EVERYBODY: Final = {"everyone": "anyone", "authenticated": "authenticated"}
_ACTIONS: Final = {"read": "read", "write": "upload"}
_DEFAULT: Final = ProposedRule(
    ("*",),
    {"read": ("authenticated",)},
    "pypi.default_read, where it is not set; see your pypicloud's settings",
)


def pypicloud_people(content: bytes) -> ImportedPeople:
    """Return users, groups and permissions.

    Raises:
        InvalidImportSource: It is no such file.
    """
    try:
        data = load_json(_plain(content).decode("utf-8-sig"), bounds.PAGE_VALUES)
    except (ValueError, zlib.error):
        data = None
    if not isinstance(data, dict) or not isinstance(data.get("users"), list):
        raise InvalidImportSource(
            "--users-from is not what ppc-export writes (JSON with users, groups and packages)."
        )
    users = [
        user for user in data["users"] if isinstance(user, dict) and isinstance(user.get("username"), str)
    ]
    groups = {
        name: tuple(texts_in(members))
        for name, members in _items(data.get("groups"))
        if name not in _EVERYBODY
    }
    admins = tuple(user["username"] for user in users if user.get("admin") is True)
    rules = [ProposedRule(("*",), {"admin": (f"group:{_ADMINS}",)}, "admins")] if admins else []
    return ImportedPeople(
        tuple(ImportedUser(user["username"], text_in(user.get("password"))) for user in users),
        {**groups, **({_ADMINS: admins} if admins else {})},
        (*_package_rules(data.get("packages")), *rules, _DEFAULT),
    )


def is_pypicloud_dump(content: bytes) -> bool:
    """Return whether a file is what ``ppc-export`` writes, by its first bytes."""
    return content.startswith(_GZIP) or content.lstrip()[:1] == b"{"


def _plain(content: bytes) -> bytes:
    if not content.startswith(_GZIP):
        return content
    decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
    plain = decompressor.decompress(content, _LARGEST)
    if decompressor.unconsumed_tail or not decompressor.eof:
        raise ValueError("cut off, or too large")
    return plain


def _package_rules(packages: object) -> Iterator[ProposedRule]:
    """Yield a rule for each package that has permissions of its own."""
    allowed: dict[ProjectName, dict[str, list[str]]] = {}
    table = packages if isinstance(packages, Mapping) else {}
    for kind in ("groups", "users"):
        for package, grants in _items(table.get(kind)):
            try:
                name = parse_project_name(package)
            except InvalidProjectName:
                continue
            for who, permissions in _items(grants):
                word = _EVERYBODY.get(who, f"group:{who}") if kind == "groups" else who
                for permission in texts_in(permissions):
                    if (action := _ACTIONS.get(permission)) is not None:
                        allowed.setdefault(name, {each: [] for each in _ACTIONS.values()})[action].append(
                            word
                        )
    for name, actions in sorted(allowed.items()):
        # Nobody uploads without a login here.
        uploaders = ["authenticated" if word == "anyone" else word for word in actions["upload"]]
        yield ProposedRule(
            (name,), {"read": tuple(actions["read"]), "upload": tuple(dict.fromkeys(uploaders))}
        )


def _items(value: object) -> Iterable[tuple[str, Any]]:
    return value.items() if isinstance(value, Mapping) else ()
