"""The interface through which files are published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.access.identity import UploadRules
    from simpleindex.core.model import Status
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import FileDigests
    from simpleindex.publishing.checks import Upload


class Draft(Protocol):
    """A file on its way into an index; blocking; it lives in a thread."""

    def write(self, data: bytes) -> None:
        """Add to its end.

        Raises:
            CannotStore: There is no room for it.
        """
        ...

    def finish(self) -> FileDigests:
        """See to it that all of it is on the disk.

        Raises:
            CannotStore: It is not.
        """
        ...

    def discard(self) -> None:
        """Throw it away, unless it was committed; may be called more than once."""
        ...


@dataclass(frozen=True, slots=True)
class Published:
    """What came of an upload.

    Attributes:
        sha256: Of the file.
        created: Whether it is there now and was not before; False for the same file once more (SPEC P29).
        warnings: Sentences for whoever uploaded it.
    """

    sha256: str
    created: bool
    warnings: tuple[str, ...] = ()


class Publishing(Protocol):
    """The second, small interface: it changes what a source has, and returns when the source says so."""

    def require_room(self, size: int) -> None:
        """Refuse what would not fit; blocking.

        Raises:
            CannotStore: There is no room for so many bytes, or nothing can be written.
        """
        ...

    def reserve(self, name: ProjectName) -> Callable[[], None]:
        """Make a name this index's own while an upload of it is on its way; in any thread.

        Returns:
            What gives it back.
        """
        ...

    def open_draft(self) -> Draft:
        """Begin a file; blocking.

        Raises:
            CannotStore: Nothing can be written.
        """
        ...

    async def publish(
        self, draft: Draft, upload: Upload, rules: UploadRules, own: Callable[[], None]
    ) -> Published:
        """Judge a draft's bytes, and put the file where it is listed.

        Args:
            draft: All of the file.
            upload: What the client says of it.
            rules: For its project.
            own: Called last before it is put there, in a thread; may refuse.

        Raises:
            RefusedUpload: The bytes are not what they should be.
            AlreadyExists: Other bytes have that name.
            NameUsed: A deleted file had it.
            CannotStore: There is no room for it.
        """
        ...

    async def yank(self, name: ProjectName, key: str, reason: str) -> None:
        """Yank a version or a file (PEP 592)."""
        ...

    async def unyank(self, name: ProjectName, key: str) -> None:
        """Take that back."""
        ...

    async def set_status(self, name: ProjectName, status: Status, reason: str | None) -> bool:
        """Set a project's status (PEP 792); return whether it was another."""
        ...

    async def delete(self, name: ProjectName, key: str, *, by: str) -> Mapping[str, str | None]:
        """Delete a version or a file; return the digests of the files that are gone by name, None where one was unreadable."""
        ...

    async def restore(self, name: ProjectName, filename: str, *, by: str) -> str:
        """Take a deleted file out of the trash, the one that was deleted last; return its digest."""
        ...

    async def free(self, name: ProjectName, filename: str, *, by: str) -> None:
        """Let a deleted file's name be used again."""
        ...
