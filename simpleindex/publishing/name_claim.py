"""The claim of an upload to the name of a new project: it counts once a file is published under it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class NameClaim:
    """The claim of an upload to a project that exists: to none."""

    def make(self, has_files: Callable[[], bool], *, is_alone: bool) -> None:
        """Make the claim; under the lock of the project, before the file is stored.

        Args:
            has_files: Whether the project has files by now.
            is_alone: Whether the lock keeps out every other upload of the project.

        Raises:
            UndecidedClaim: Another upload has claimed the name, and may be running.
            SimpleIndexError: The name may not be claimed.
        """

    def settle(self) -> None:
        """Make the claim one that counts, once a file is published."""
