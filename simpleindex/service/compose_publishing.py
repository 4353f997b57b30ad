"""Everything about people, put together: who may log in, what they may do, and what they change.

A part of the composition root (:mod:`simpleindex.service.compose`), which asks for it only where there are logins.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from simpleindex.access import hashes as passwords
from simpleindex.access.authentication import Authentication
from simpleindex.access.failed_logins import FailedLogins
from simpleindex.access.followed import follow_access, follow_users
from simpleindex.access.hashes import require_libraries
from simpleindex.access.password_checks import PasswordChecks
from simpleindex.access.rights import default_access
from simpleindex.access.token_checks import TokenChecks
from simpleindex.core import severity
from simpleindex.core.errors import RefusedStart
from simpleindex.publishing.attestations import Attestations, load_attestations
from simpleindex.publishing.project_file_writer import ProjectFileWriter
from simpleindex.publishing.publisher import LocalPublishing
from simpleindex.publishing.upload_checks import UploadChecks
from simpleindex.publishing.writer import Writer
from simpleindex.records.audit import Audit
from simpleindex.records.owners import OwnerTable
from simpleindex.records.tokens import TokenTable
from simpleindex.system.extras import missing
from simpleindex.system.threads import Threads
from simpleindex.web.admission import Admission
from simpleindex.web.publish.api import JsonApi
from simpleindex.web.publish.dispatch import WriteRequests
from simpleindex.web.publish.upload import Uploads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twisted.python.failure import Failure
    from twisted.python.threadpool import ThreadPool

    from simpleindex.access.htpasswd import Users
    from simpleindex.access.rights import Access
    from simpleindex.archives.examination.requests import Examiner
    from simpleindex.config.settings import Settings
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Source
    from simpleindex.directory.layout.package_directory import PackageDirectory
    from simpleindex.directory.live.live_directory import LiveDirectory
    from simpleindex.records.database import RecordsDatabase
    from simpleindex.system.followed_file import FollowedFile

WRITE_THREADS: Final = 4
"""Uploads whose bytes are hashed, unpacked and put on the disk at the same time; more wait for disk and processors."""

_OWNERS_SECONDS: Final = 1.0
"""Between two looks at everybody's projects, for lists; what a single project's owner may do is always looked up."""


@dataclass
class Logins:
    """What the service starts and stops for people.

    Attributes:
        admission: Who reads what.
        changes: Uploads and other changes.
        authentication: Who is who.
        pools: Threads.
        writer: Mends at the start what a killed process left.
        tokens: The tokens.
        audit: What was done.
        users: Gives the users as they are now; None without a users file.
        files: The files about people.
    """

    admission: Admission
    changes: WriteRequests
    authentication: Authentication
    pools: tuple[ThreadPool, ...]
    writer: Writer
    tokens: TokenTable
    audit: Audit
    users: Callable[[], Users] | None
    files: tuple[FollowedFile[Users] | FollowedFile[Access], ...] = ()

    def reload(self) -> None:
        """Look at the files about people because an operator says so."""
        for each in self.files:
            each.reload()

    def follow(self) -> None:
        """Look at the files about people; whoever mended one need not make a request to hear that it is understood."""
        if self.users is not None:
            self.users()
        _ = self.admission.access

    def close(self) -> None:
        """Stop threads and close files."""
        for pool in self.pools:
            if pool.started:
                pool.stop()
        self.audit.close()


def compose_logins(
    settings: Settings,
    current: Callable[[], Settings],
    reactor: Any,
    *,
    views: Mapping[str, Source],
    local: Source,
    live: LiveDirectory,
    directory: PackageDirectory,
    records: RecordsDatabase,
    own_url: Callable[[], str | None],
    examiner: Examiner,
    say: Callable[[str], None],
    failed: Callable[[Failure], None],
) -> Logins:
    """Make everything about people.

    Raises:
        RefusedStart: The users or the access file cannot be used, or the extra is missing.
    """
    require_libraries()
    for module in ("multipart", "tomlkit"):
        if find_spec(module) is None:
            raise RefusedStart(missing(module, "publish"))
    password_threads = Threads(reactor, "passwords", 1)
    write_threads = Threads(reactor, "writes", WRITE_THREADS)
    tokens, owners = TokenTable(records), OwnerTable(records)
    audit = Audit(str(settings.state))
    users_file = None if settings.users is None else follow_users(str(settings.users))
    rules = None if settings.access is None else follow_access(str(settings.access))
    default = default_access()
    users = None if users_file is None else users_file.current
    failed_logins = FailedLogins(audit, time.monotonic)
    authentication = Authentication(
        users and PasswordChecks(users, passwords, password_threads, failed_logins),
        TokenChecks(tokens, users, failed_logins, write_threads),
        failed_logins,
        insecure_auth=settings.insecure_auth,
    )
    admission = Admission(
        views,
        (lambda: default) if rules is None else rules.current,
        authentication,
        _Owners(owners, reactor.seconds),
    )
    writer = Writer(directory)
    publishing = LocalPublishing(
        writer,
        ProjectFileWriter(directory),
        live,
        local,
        write_threads.run,
        checks=UploadChecks(examiner, _provenance(say)),
    )
    uploads = Uploads(
        publishing=publishing,
        source=local,
        admission=admission,
        claim=lambda name, user: owners.claim(name, user, time.time()),
        record=audit.record,
        in_thread=write_threads.run,
        own_url=own_url,
    )
    changes = WriteRequests(
        admission,
        uploads,
        JsonApi(publishing, local, admission, uploads, audit.record),
        trusted=lambda: current().trusted_proxy,
        in_thread=write_threads.run,
        failed=failed,
    )
    pools = (password_threads.pool, write_threads.pool)
    files = tuple(each for each in (users_file, rules) if each is not None)
    return Logins(admission, changes, authentication, pools, writer, tokens, audit, users, files)


def _provenance(say: Callable[[str], None]) -> Callable[[str, str, str], bytes | None] | None:
    """What verifies attestations; None without the extra. Its libraries take a second to load, so the first upload does it."""
    if find_spec("pypi_attestations") is None or find_spec("sigstore") is None:
        return None
    loaded: list[Attestations] = []

    def provenance(text: str, filename: str, sha256: str) -> bytes | None:
        if not loaded:
            try:
                attestations = load_attestations()
            except (OSError, ValueError) as error:
                say(
                    severity.warning(
                        f"The attestations of {filename} were ignored: the root of trust cannot be used ({error})."
                    )
                )
                return None
            assert attestations is not None  # both libraries are there
            loaded.append(attestations)
        return loaded[0].provenance(text, filename, sha256)

    return provenance


class _Owners:
    """The owners of projects, all of them read anew at most once a second."""

    def __init__(self, table: OwnerTable, seconds: Callable[[], float]) -> None:
        self._table = table
        self._seconds = seconds
        self._known: Mapping[ProjectName, str] = {}
        self._next_look = 0.0

    def owner(self, name: ProjectName) -> str | None:
        return self._table.owner(name)

    def owners(self) -> Mapping[ProjectName, str]:
        now = self._seconds()
        if now >= self._next_look:
            self._next_look = now + _OWNERS_SECONDS
            found = self._table.owners()
            if found != self._known:
                self._known = found
        return self._known
