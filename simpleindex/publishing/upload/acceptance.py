"""Accept uploads: every judgement of an upload in its order, from the length of the request to the line of the audit.

The length and the room on the disk are judged first, the project's name and the uploader's rights as soon as the name has
arrived, all else when the last byte is here. The upload is accepted once its file is listed.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from simpleindex.access.identity import Action
from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.errors import NotAllowed, NotHere, Unavailable
from simpleindex.core.model import Status
from simpleindex.core.names import spelling_pattern
from simpleindex.publishing.name_claim import NameClaim
from simpleindex.publishing.upload.checks import judge_form, stated_project
from simpleindex.publishing.upload.incoming_upload import file_missing, file_too_large

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.access.identity import Identity, UploadRules
    from simpleindex.access.rights import Access
    from simpleindex.core.model import Project
    from simpleindex.core.names import DistributionName, ProjectName
    from simpleindex.core.source import Source
    from simpleindex.publishing.interface import Draft, Published, Publishing
    from simpleindex.publishing.upload.form import UploadForm
    from simpleindex.publishing.upload.incoming_upload import IncomingUpload

_CLOSED: Final = frozenset({Status.ARCHIVED, Status.QUARANTINED})


class UploadRights(Protocol):
    """The rights of uploaders."""

    @property
    def access(self) -> Access:
        """The rights now, with the checks of uploads."""
        ...

    def require(self, identity: Identity, action: Action, name: ProjectName, *, exists: bool = False) -> None:
        """Refuse an identity that may not do something with a project.

        Raises:
            SimpleIndexError: It may not.
        """
        ...

    def require_upload(
        self, identity: Identity, name: ProjectName, owner: str | None, *, exists: bool
    ) -> None:
        """Refuse an identity that may not upload to a project of this owner.

        Raises:
            SimpleIndexError: It may not.
        """
        ...


class ProjectOwners(Protocol):
    """The owners of projects; changes block."""

    def owner(self, name: ProjectName, /, *, is_settled: bool = False) -> str | None:
        """Return the owner of a project, or None; with ``is_settled`` only one whose claim is settled."""
        ...

    def claim(
        self,
        name: ProjectName,
        user: str | None,
        now: float,
        /,
        *,
        has_files: bool,
        may_run_for: float | None,
    ) -> str | None:
        """Claim a name, as :meth:`simpleindex.records.owners.OwnerTable.claim` does; return the owner.

        Raises:
            UndecidedClaim: Another upload has claimed the name, and may be running.
            Unavailable: They cannot be changed now.
        """
        ...

    def settle(self, name: ProjectName, user: str, /) -> bool:
        """Make a user's claim one that counts; return whether the name is the user's.

        Raises:
            Unavailable: They cannot be changed now.
        """
        ...

    def withdraw(self, name: ProjectName, user: str, /) -> None:
        """End a user's claim that is not settled.

        Raises:
            Unavailable: They cannot be changed now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Uploader:
    """The sender of an upload.

    Attributes:
        note_subject: Takes the project and the file name when they are first read, so that a refusal can name them.
    """

    identity: Identity
    address: str
    note_subject: Callable[[ProjectName, str | None], None]


@dataclass(frozen=True, slots=True)
class AcceptedUpload:
    """An upload whose file is listed."""

    name: DistributionName
    published: Published

    @property
    def lines(self) -> tuple[str, ...]:
        """The warnings, and the outcome for a person who uses curl; the other clients pass over it."""
        name = self.name
        spelling = spelling_pattern(name.project).match(name.filename)
        project = spelling[0] if spelling else name.project
        state = "is listed" if self.published.created else "is listed, as it was before"
        outcome = f"{project} {name.version} {state}: {name.filename}, sha256 {self.published.sha256}."
        return (*self.published.warnings, outcome)


class UploadAcceptance:
    """Judges uploads, publishes them, and records them in the audit.

    Args:
        publishing: Stores the files.
        source: The projects of the directory.
        rights: Decides who may upload to which project, and with which checks.
        owners: The owners of projects.
        record: Writes the audit.
        now: Seconds since 1970.
    """

    def __init__(
        self,
        publishing: Publishing,
        source: Source,
        rights: UploadRights,
        owners: ProjectOwners,
        record: Callable[[AuditEntry], object],
        now: Callable[[], float],
    ) -> None:
        self._publishing = publishing
        self._source = source
        self._rights = rights
        self._owners = owners
        self._record = record
        self._now = now

    def judge_length(self, length: int) -> int:
        """Judge the length of a request that is to hold a file; return how long the file may be, 0 for any length.

        Raises:
            RefusedUpload: No project takes so long a file.
        """
        most = largest_file(self._rights.access)
        if most and length > most:
            raise file_too_large(most)
        return most

    def require_room(self, size: int) -> None:
        """Refuse an upload that would not fit on the disk; blocking.

        Raises:
            CannotStore: There is no room for so many bytes, or nothing can be written.
        """
        self._publishing.require_room(size)

    def reserve_name(self, uploader: Uploader, upload: IncomingUpload) -> bool:
        """Reserve the project's name for an upload that may be made; return whether the name has arrived.

        Raises:
            SimpleIndexError: The name is not valid, or the uploader may not upload to the project.
        """
        if upload.release_name is None and (name := stated_project(upload.form)) is not None:
            uploader.note_subject(name, upload.filename)
            self._rights.require(uploader.identity, Action.UPLOAD, name)
            upload.release_name = self._publishing.reserve(name)
        return upload.release_name is not None

    def open_draft(self, uploader: Uploader, upload: IncomingUpload) -> Draft:
        """Judge what has arrived before the file's first byte, and create the file; blocking.

        Raises:
            SimpleIndexError: The upload is refused.
        """
        # Before a byte of it is stored; rights depend on the project, so a file without a project is refused.
        if not self.reserve_name(uploader, upload):
            raise file_missing()
        return self._publishing.open_draft()

    async def accept(self, uploader: Uploader, upload: IncomingUpload) -> AcceptedUpload:
        """Judge an upload that has arrived whole, and publish it.

        Raises:
            SimpleIndexError: It is refused.
        """
        form = upload.form
        judged = judge_form(form, self._rules(form))
        name = judged.name.project
        uploader.note_subject(name, judged.name.filename)
        project = await self._project(name)
        exists = project is not None
        self._rights.require(uploader.identity, Action.UPLOAD, name, exists=exists)
        if project is not None and project.status in _CLOSED:
            # PyPUG "project-status-markers": uploads must be refused.
            raise NotAllowed(f"The project {name} is {project.status.value}: it takes no uploads.")
        if upload.draft is None:
            raise file_missing()
        claim = NameClaim()
        if not exists or self._is_undecided(name):
            claim = FirstUpload(self._owners, self._rights, uploader.identity, name, self._now())
        rules = self._rights.access.upload_rules(name)
        published = await self._publishing.publish(upload.draft, judged, rules, claim)
        self._audit(uploader, judged.name, published)
        return AcceptedUpload(judged.name, published)

    def _is_undecided(self, name: ProjectName) -> bool:
        """Return whether a claim of the name is not settled, because its upload was killed after its file came, say."""
        return self._owners.owner(name) != self._owners.owner(name, is_settled=True)

    def _rules(self, form: UploadForm) -> UploadRules:
        name = stated_project(form)
        access = self._rights.access
        return access.uploads if name is None else access.upload_rules(name)

    async def _project(self, name: ProjectName) -> Project | None:
        try:
            return await self._source.project(name)
        except NotHere:
            return None

    def _audit(self, uploader: Uploader, name: DistributionName, published: Published) -> None:
        self._record(
            AuditEntry(
                "upload" if published.created else "upload-again",
                who=uploader.identity.user,
                token=uploader.identity.token_id,
                address=uploader.address,
                project=name.project,
                filename=name.filename,
                digest=published.sha256,
            )
        )


class FirstUpload(NameClaim):
    """Makes the first who publishes a name its owner."""

    def __init__(
        self, owners: ProjectOwners, rights: UploadRights, identity: Identity, name: ProjectName, now: float
    ) -> None:
        self._owners = owners
        self._rights = rights
        self._identity = identity
        self._name = name
        self._now = now
        self._owner: str | None = None

    def make(self, has_files: Callable[[], bool], *, may_run_for: float | None = None) -> None:
        user, exists = self._identity.user, has_files()
        self._owner = self._owners.claim(
            self._name, user, self._now, has_files=exists, may_run_for=may_run_for
        )
        if self._owner is None or self._owner != user:
            # Another user was quicker, or a file came by hand: decide once more, by the owner who was found where the claim was
            # made, because what is read elsewhere may be older.
            self._rights.require_upload(self._identity, self._name, self._owner, exists=exists)

    def settle(self) -> bool:
        if (user := self._claimant()) is not None:
            # A claim that cannot be settled now counts as long as the project has files.
            with suppress(Unavailable):
                return self._owners.settle(self._name, user)
        return True

    def withdraw(self) -> None:
        if (user := self._claimant()) is not None:
            self._owners.withdraw(self._name, user)

    def _claimant(self) -> str | None:
        """Return the user if the claim made the name the user's."""
        return self._owner if self._owner == self._identity.user else None


def largest_file(access: Access) -> int:
    """Return the bytes of the largest file that any rule lets anybody upload; 0 if there is no bound."""
    bounds = [access.uploads.max_file_size]
    bounds += [int(rule.uploads["max_file_size"]) for rule in access.rules if "max_file_size" in rule.uploads]
    return max(bounds) if all(bounds) else 0
