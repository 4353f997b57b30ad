"""An entry of the audit: what was done, by whom, from where, and to which file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit, without its time; fields that are None are left out.

    Attributes:
        event: The kind of event.
        who: The user, or ``command:NAME`` for a command's user (no user of the index has a colon in the name).
        token: The id of the token that was used or changed.
        address: The client's address.
        project: The project.
        filename: The file.
        version: The version, if the event is about all of its files.
        digest: The file's sha256, in hexadecimal.
        detail: Anything else, as text; never a secret.
    """

    event: str
    who: str | None = None
    token: str | None = None
    address: str | None = None
    project: str | None = None
    filename: str | None = None
    version: str | None = None
    digest: str | None = None
    detail: str | None = None
