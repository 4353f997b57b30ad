"""An entry of the audit: what was done, by whom, from where, and to which file; and all kinds of events."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

EVENTS: Final = {
    "upload": "a file was uploaded",
    "upload-again": "a file was uploaded that was there already, with the same content",
    "upload-refused": "an upload of somebody who had logged in was refused",
    "import": "a file was imported from another index server",
    "copy": "a file was copied between directories, or from the cache of an upstream",
    "file-added": "a file came into a directory by hand, not by an upload or a command",
    "file-changed": "a file in a directory got other bytes by hand",
    "file-removed": "a file went from a directory by hand",
    "yank": "a version or file was yanked",
    "unyank": "a yank was reverted",
    "status": "a project's status was set",
    "delete": "a file was moved to the trash",
    "undelete": "a file was taken out of the trash",
    "free": "a deleted file's name may be used again",
    "change-refused": "a yank, deletion or another change of somebody who had logged in was refused",
    "download-refused": "a file was refused to somebody who had logged in",
    "login": "a user or a token logged in from an address, for the first time within a day",
    "login-failed": "a login failed",
    "login-insecure": "credentials were sent over plain HTTP, and refused",
    "logins-failed": "more logins failed within a minute than have entries of their own",
    "token-created": "a token was created",
    "token-revoked": "a token was revoked",
    "rules-changed": "other rules for upstreams and sources are in force, from the sources file",
    "access-changed": "other rules about who may do what are in force, from the access file",
    "users-changed": "users were added, removed or got other passwords, in the users file",
    "settings-changed": "other options are in force, after SIGHUP",
    "password-set": "a user's password was set",
    "user-deleted": "a user was removed from the users file",
    "allowance-given": "a project or version was exempted from the rules for upstreams",
    "allowance-ended": "such an exemption was ended",
    "pinned": "a file of an upstream was pinned in the cache",
    "unpinned": "a pin was taken away",
    "upstream-yanked": "an upstream yanked a version of which files are here, in the cache or in a directory",
    "upstream-removed": "an upstream does not list files of a version any more that are here",
    "records-begun": "a server began its records",
}
"""Each kind of event, with its meaning."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit, without its time; fields that are None are left out.

    Attributes:
        who: The user, or ``command:NAME`` for a command's user (no user of the index has a colon in the name).
        token: The id of the token that was used or changed.
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


def matching_events(pattern: str) -> frozenset[str]:
    """Return the events that a name or a pattern such as ``token-*`` stands for; none if there is no such event."""
    return frozenset(event for event in EVENTS if fnmatchcase(event, pattern))
