"""The claim of an upload to the name of a new project, taken back if nothing is published under it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _nothing() -> None:
    """Do nothing."""


class NameClaim:
    """What makes the first who publishes a name its owner.

    Args:
        make: Makes the claim; raises if the name may not be claimed.
        release: Takes it back.
    """

    def __init__(self, make: Callable[[], None] = _nothing, release: Callable[[], None] = _nothing) -> None:
        self._make = make
        self._release = release
        self._is_made = False

    def make(self) -> None:
        """Make the claim, once; under the lock of the project, before the file is stored.

        Raises:
            SimpleIndexError: The name may not be claimed.
        """
        if not self._is_made:
            # Also where this fails: the answer of the records may be lost after the claim was written.
            self._is_made = True
            self._make()

    @contextmanager
    def released_unless(self, may_be_stored: Callable[[Exception], bool]) -> Iterator[None]:
        """Take the claim back after an error, so that another user may publish the name; never if the file may be stored.

        Args:
            may_be_stored: Whether it may be, by the error.
        """
        try:
            yield
        except Exception as error:
            if self._is_made and not may_be_stored(error):
                self._is_made = False
                self._release()
            raise
