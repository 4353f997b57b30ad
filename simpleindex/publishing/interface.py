"""The interface for publishing: uploads, yanks, statuses and deletions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.access.identity import UploadRules
    from simpleindex.core.model import Status
    from simpleindex.core.names import ProjectName
    from simpleindex.publishing.name_claim import NameClaim
    from simpleindex.publishing.upload.checks import Upload
    from simpleindex.publishing.upload.form import FileDigests


class Draft(Protocol):
    """A file that is being uploaded. Its methods block, and run in one thread at a time."""

    def write(self, data: bytes) -> None:
        """Append.

        Raises:
            CannotStore: There is no room for it.
        """
        ...

    def finish(self) -> FileDigests:
        """Return once the file is on the disk.

        Raises:
            CannotStore: It cannot be written.
        """
        ...

    def discard(self) -> None:
        """Remove the file, unless it was committed; may be called more than once."""
        ...


@dataclass(frozen=True, slots=True)
class Published:
    """The result of an upload.

    Attributes:
        sha256: The file's digest.
        created: Whether the file is new; False if the same file was uploaded before (docs/protocol.md, "Answers to an upload").
        warnings: Sentences for the client.
    """

    sha256: str
    created: bool
    warnings: tuple[str, ...] = ()


class Publishing(Protocol):
    """Changes a source, and returns once the source shows the change."""

    def require_room(self, size: int) -> None:
        """Refuse an upload that would not fit on the disk; blocking.

        Raises:
            CannotStore: There is no room for so many bytes, or nothing can be written.
        """
        ...

    def reserve(self, name: ProjectName) -> Callable[[], None]:
        """Keep a name from upstreams while an upload of it is running; in any thread.

        Returns:
            A function that releases it.
        """
        ...

    def open_draft(self) -> Draft:
        """Create a file for an upload; blocking.

        Raises:
            CannotStore: Nothing can be written.
        """
        ...

    async def publish(self, draft: Draft, upload: Upload, rules: UploadRules, claim: NameClaim) -> Published:
        """Check a draft, and publish it.

        Args:
            draft: The whole file.
            upload: The form.
            rules: The rules for its project.
            claim: Made just before the file is stored, in a thread; released if it is certainly not stored.

        Raises:
            RefusedUpload: The file is not valid, or not the one in the form.
            AlreadyExists: Another file has that name.
            NameUsed: A deleted file had it.
            CannotStore: There is no room for it.
        """
        ...

    async def yank(self, name: ProjectName, key: str, reason: str) -> None:
        """Yank a version or a file (PEP 592)."""
        ...

    async def unyank(self, name: ProjectName, key: str) -> None:
        """Remove the yank of a version or a file."""
        ...

    async def set_status(self, name: ProjectName, status: Status, reason: str | None) -> bool:
        """Set a project's status (PEP 792); return whether it changed."""
        ...

    async def delete(self, name: ProjectName, key: str, *, by: str) -> Mapping[str, str | None]:
        """Delete a version or a file; return the digests of the deleted files by name, None for an unreadable one."""
        ...

    async def undelete(self, name: ProjectName, filename: str, *, by: str) -> str:
        """Undelete the file of that name that was deleted last; return its digest."""
        ...

    async def free(self, name: ProjectName, filename: str, *, by: str) -> None:
        """Let a deleted file's name be used again."""
        ...
