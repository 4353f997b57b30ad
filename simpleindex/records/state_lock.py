"""The locks of directories: one server at a time has a state directory, and requests certificates into one; no backup is restored under it."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import RefusedStart
from simpleindex.core.text import printable
from simpleindex.system.ownership import make_private

if TYPE_CHECKING:
    from collections.abc import Iterator

STATE_LOCK: Final = "server.lock"


class StateLock:
    """What a server holds of a state directory: a claim to be the only one, and a share against restores.

    The claim ends when the server begins to end, so that the next one need not wait for its last answers; the share ends with it.

    Args:
        state_directory: The directory; it is not locked while there is none.
        certificates: The directory that ``--acme`` writes to, which is claimed too, and made for that; None without ``--acme``.
    """

    def __init__(self, state_directory: str, certificates: str | None = None) -> None:
        self._directory = state_directory
        self._certificates = certificates
        self._descriptor: int | None = None
        self._claims: list[int] = []

    def claim(self) -> None:
        """Claim the directories for this server and its workers, until :meth:`end_claim` or the end of the process.

        Raises:
            RefusedStart: Another server has claimed one of them.
            OSError: One cannot be locked, or made.
        """
        self._claim_state()
        if self._certificates is not None:
            # Made here, and not with the first certificate: two servers that have none yet would not see each other.
            os.makedirs(self._certificates, mode=0o700, exist_ok=True)
            self._claim_certificates()

    def look(self) -> None:
        """Claim the directories that are there for a moment: a start that will be refused has to be, before it writes anything.

        Raises:
            RefusedStart: Another server has claimed one of them.
            OSError: One cannot be locked.
        """
        try:
            self._claim_state()
            self._claim_certificates()
        finally:
            self.end_claim()

    def _claim_state(self) -> None:
        self._claim(
            self._directory,
            f"Another server is running with the state directory {printable(self._directory)}; stop that one, or give this one "
            "a directory of its own with --state DIR.",
        )

    def _claim_certificates(self) -> None:
        if self._certificates is not None:
            self._claim(
                self._certificates,
                f"--acme: another server requests certificates into {printable(self._certificates)}, and each would replace the other's; "
                "stop that one, or give this one a directory of its own with --certs DIR.",
            )

    def _claim(self, directory: str, refusal: str) -> None:
        try:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        _lock(descriptor, fcntl.LOCK_EX, refusal)
        self._claims.append(descriptor)

    def end_claim(self) -> None:
        """Let another server start."""
        while self._claims:
            os.close(self._claims.pop())

    def share(self) -> None:
        """Take a share of the lock, until :meth:`release` or the end of the process.

        Raises:
            RefusedStart: A backup is being restored into the directory.
            OSError: The lock cannot be made or opened.
        """
        if not os.path.isdir(self._directory):
            return
        path = os.path.join(self._directory, STATE_LOCK)
        make_private(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        _lock(
            descriptor,
            fcntl.LOCK_SH,
            f"A backup is being restored into {printable(self._directory)}; start the server when that is done.",
        )
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the share back, and the claim."""
        self.end_claim()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextmanager
def without_servers(state_directory: str) -> Iterator[None]:
    """Keep servers from starting with a state directory until the end of the block.

    Raises:
        RefusedStart: A server is running with it.
        OSError: The lock cannot be opened.
    """
    path = os.path.join(state_directory, STATE_LOCK)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    _lock(
        descriptor,
        fcntl.LOCK_EX,
        f"A server is running with the state directory {printable(state_directory)}; stop it first (systemctl stop simpleindex).",
    )
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, operation: int, refusal: str) -> None:
    """Lock an open file or directory, or close it and refuse the start."""
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise RefusedStart(refusal) from None
        raise
