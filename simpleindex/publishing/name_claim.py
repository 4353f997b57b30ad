"""The claim of an upload to the name of a new project: it counts once a file is published under it."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from simpleindex.core.errors import SimpleIndexError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class NameClaim:
    """The claim of an upload to a project that exists: to none."""

    def make(self, has_files: Callable[[], bool], *, may_run_for: float | None = None) -> None:
        """Make the claim; under the lock of the project, before the file is stored.

        Args:
            has_files: Whether the project has files by now.
            may_run_for: Seconds from its claim on that another upload of the project may be running: 0 if the lock keeps out
                every other, None for any time.

        Raises:
            UndecidedClaim: Another upload has claimed the name, and may be running.
            SimpleIndexError: The name may not be claimed.
        """

    def settle(self) -> bool:
        """Make the claim one that counts, once a file is published; return False if another user has taken the name meanwhile."""
        return True

    def withdraw(self) -> None:
        """End the claim if it is not settled."""


@contextmanager
def withdrawn_on_error(claim: NameClaim, has_files: Callable[[], bool]) -> Iterator[None]:
    """Withdraw a claim when an error leaves its project without files; under the lock that keeps out every other upload.

    Left over, it would make its user the owner of files that come by another way, as by hand or as a copy.
    """
    try:
        yield
    except Exception:
        with suppress(OSError, SimpleIndexError):
            if not has_files():
                claim.withdraw()
        raise
