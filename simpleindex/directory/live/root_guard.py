"""Guard against a lost root: is it still the directory that was read, and is its emptiness credible?

An unmounted disk is often an empty directory, and a machine that has just started may not have mounted it yet. Nothing here
reads the disk: a live directory reports what it saw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twisted.logger import Logger

    from simpleindex.core.names import ProjectName

    Identity = tuple[int, int]

EMPTIED: Final = "Every project has vanished from the root of the index."
REPLACED: Final = "Another directory or file system lies where the root of the index was."


_UNTIL_BACK: Final = "Nothing is answered until it is back, or until an operator has looked (SIGHUP)."
UNTIL_READ: Final = "Nothing is answered until it can be read."
"""For a root that is there."""


class RootGuard:
    """Suspends an index whose root was lost, replaced or emptied, until it is back or an operator accepts it.

    Attributes:
        identity: Device and inode of the root that was read; None before the first survey.
        suspended: Why nothing is answered, as a sentence; None normally.
        is_emptied: Whether that is because every project vanished.
        is_accepted: Whether an operator accepted the root as it is.
        epoch: Rises when the root is lost, back or accepted: what was read across that is not believed.
        existing: Number of projects that exist now.
        vanished: Every name that existed since the start, or since an operator accepted the root, and does not now.
    """

    def __init__(self, log: Logger) -> None:
        self._log = log
        self.identity: Identity | None = None
        self.suspended: str | None = None
        self.is_emptied = False
        self.is_accepted = False
        self.epoch = 0
        self.existing = 0
        self.vanished: set[ProjectName] = set()

    def suspend(self, reason: str, until: str = _UNTIL_BACK) -> bool:
        """Answer nothing from now on; return whether that is new.

        Args:
            reason: Why, as a sentence.
            until: When it ends, as another.
        """
        sentence = f"{reason} {until}"
        if self.suspended == sentence:
            return False
        self._log.error("{sentence}", sentence=sentence)
        self.suspended = sentence
        self.epoch += 1
        # However it may look in between: only the return of all that was there ends an emptiness.
        self.is_emptied = self.is_emptied or reason is EMPTIED
        return True

    def resume(self) -> None:
        """Answer again: the root is back."""
        self.suspended = None
        self.is_emptied = False
        self.epoch += 1
        self._log.info("The root of the index is back.")

    def accept(self) -> None:
        """Take the root as it is now, whatever was there before."""
        self.suspended = self.identity = None
        self.is_emptied = False
        self.is_accepted = True
        self.vanished = set()

    @property
    def ever(self) -> int:
        """How many projects existed since the start, or since an operator accepted the root."""
        return self.existing + len(self.vanished)

    def forget_projects(self, names: Iterable[ProjectName]) -> None:
        """Forget what is known of projects; these existed."""
        self.vanished.update(names)
        self.existing = 0
        self.epoch += 1

    def note_appearance(self, names: Sequence[ProjectName]) -> None:
        """Count projects that are new."""
        self.existing += len(names)
        self.vanished.difference_update(names)

    def note_existence(self, name: ProjectName, *, before: bool, now: bool) -> None:
        """Note whether a project exists now, and whether it did before."""
        self.existing += now - before
        if now:
            self.vanished.discard(name)
        elif before:
            self.vanished.add(name)
