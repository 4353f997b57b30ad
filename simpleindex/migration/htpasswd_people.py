"""The users of a pypiserver: its htpasswd file (``-P``). Pure."""

from __future__ import annotations

from simpleindex.migration.people import ImportedPeople, ImportedUser


def htpasswd_people(content: bytes) -> ImportedPeople:
    """Return the users of an htpasswd file; a line without a colon is none."""
    users = []
    for line in content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").split("\n"):
        name, colon, rest = line.strip().partition(":")
        if colon and not name.startswith("#"):
            users.append(ImportedUser(name, rest.partition(":")[0]))
    return ImportedPeople(tuple(users))
