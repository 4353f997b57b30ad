"""The users file and the access file, followed while the server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.access.access_file import parse_access
from simpleindex.access.logins.hashes import require_libraries
from simpleindex.access.logins.htpasswd import parse_users
from simpleindex.core.text import printable
from simpleindex.system.followed_file import FileKind, FollowedFile

if TYPE_CHECKING:
    from simpleindex.access.logins.htpasswd import Users
    from simpleindex.access.rights import Access


def follow_users(path: str) -> FollowedFile[Users]:
    """Read a users file, and follow it; lines that give nobody access are logged once.

    Raises:
        RefusedStart: It cannot be read, or the libraries that check passwords are missing.
    """
    require_libraries()
    remedy = f"Name an htpasswd file that this user can read; simpleindex passwd --users {printable(path)} NAME makes one."
    kind = FileKind("users", parse_users, warnings=lambda users: users.refused, remedy=remedy)
    file = FollowedFile(path, kind)
    file.open_at_start()
    return file


def follow_access(path: str) -> FollowedFile[Access]:
    """Read an access file, and follow it.

    Raises:
        RefusedStart: It cannot be read, or is not valid.
    """
    kind = FileKind("access", parse_access, announces=True, remedy="Name a file that this user can read.")
    file = FollowedFile(path, kind)
    file.open_at_start()
    return file
