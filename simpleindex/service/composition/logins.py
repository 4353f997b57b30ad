"""Composition of logins: users, tokens, access rules, owners and the audit; loaded only if somebody can log in."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simpleindex.access.followed import follow_access, follow_users
from simpleindex.access.logins import hashes as passwords
from simpleindex.access.logins.authentication import Authentication
from simpleindex.access.logins.failed_logins import FailedLogins
from simpleindex.access.logins.hashes import require_libraries
from simpleindex.access.logins.password_checks import PasswordChecks
from simpleindex.access.logins.recent_logins import RecentLogins
from simpleindex.access.logins.token_checks import TokenChecks
from simpleindex.access.rights import default_access
from simpleindex.records.owners import CachedOwners, OwnerTable
from simpleindex.records.tokens import TokenTable
from simpleindex.web.admission import Admission

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.access.logins.htpasswd import Users
    from simpleindex.access.rights import Access
    from simpleindex.core.source import Source
    from simpleindex.records.audit.audit import Audit
    from simpleindex.service.runtime import Runtime
    from simpleindex.system.followed_file import FollowedFile


@dataclass(frozen=True)
class Logins:
    """The parts that decide who may log in, and what they may do.

    Attributes:
        admission: Decides who may read and change what.
        authentication: Tells who a client is.
        failed: Records failed logins.
        users: Returns the users as they are now; None without a users file.
        files: The followed users and access files.
    """

    admission: Admission
    authentication: Authentication
    tokens: TokenTable
    owners: OwnerTable
    audit: Audit
    failed: FailedLogins
    users: Callable[[], Users] | None
    files: tuple[FollowedFile[Users] | FollowedFile[Access], ...]

    def reload(self) -> None:
        """Read the files again because of SIGHUP, and log what is wrong with them."""
        for file in self.files:
            file.reload()

    def follow(self) -> None:
        """Read the files again if they changed, so that a correction is logged before the next request."""
        if self.users is not None:
            self.users()
        _ = self.admission.access


def compose_logins(runtime: Runtime, views: Mapping[str, Source]) -> Logins:
    """Create everything about logins.

    Raises:
        RefusedStart: The users or the access file cannot be used, or a library is missing.
    """
    require_libraries()
    settings, threads = runtime.settings, runtime.threads
    tokens, owners = TokenTable(runtime.records), OwnerTable(runtime.records)
    audit = runtime.audit
    users_file = None if settings.users is None else follow_users(str(settings.users))
    rules = None if settings.access is None else follow_access(str(settings.access))
    default = default_access()
    users = None if users_file is None else users_file.current
    failed_logins = FailedLogins(audit, time.monotonic)
    authentication = Authentication(
        users and PasswordChecks(users, passwords, threads.passwords, failed_logins),
        TokenChecks(tokens, users, failed_logins, threads),
        failed_logins,
        RecentLogins(audit, time.monotonic),
        insecure_auth=settings.insecure_auth,
    )
    admission = Admission(
        views,
        (lambda: default) if rules is None else rules.current,
        authentication,
        CachedOwners(owners, runtime.reactor.seconds),
    )
    files = tuple(file for file in (users_file, rules) if file is not None)
    return Logins(admission, authentication, tokens, owners, audit, failed_logins, users, files)
