"""The files of ACME in ``--state``: the account, the lock of several servers, and the answers to open challenges.

Several servers may share one directory, so open challenges are files: a validator may reach any of the servers.
"""

from __future__ import annotations

import fcntl
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from simpleindex.tls.acme.errors import AcmeFailed, cannot_write
from simpleindex.tls.acme.status import parse_status, status_json
from simpleindex.tls.acme.store import AcmeStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cryptography import x509

    from simpleindex.tls.acme.status import RenewalStatus

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,256}\Z")
"""A challenge's token (RFC 8555 section 8.1): base64url text, so nothing that leads out of a directory."""

_SERVER_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,252}\Z")
"""A host name as a file's name: no slash, and no dot at its beginning."""

_LARGEST: Final = 1 << 16
"""Bytes; three challenge certificates with their keys are about 6 KiB."""


class AcmeState(AcmeStore):
    """The files of ACME in the state directory.

    Args:
        state: The directory of ``--state``.
        directory: The URL of the authority's directory: each authority has an account of its own.
    """

    def __init__(self, state: Path, directory: str) -> None:
        self.home = state / "acme"
        parts = urlsplit(directory)
        place = f"{parts.netloc}{parts.path}".lower()
        self._account = self.home / "accounts" / re.sub(r"[^a-z0-9.-]+", "-", place).strip("-.")
        self._challenges = self.home / "challenges"
        self._status = self.home / "status.json"

    @property
    def account_place(self) -> str:
        """The directory of the account."""
        return str(self._account)

    def sentence_about(self, error: OSError) -> str:
        """Return what is wrong and what to do: a disk that is full, or a directory that is another user's."""
        return cannot_write(error, self.home)

    def prepare(self) -> None:
        """Make the directories, readable by the server's user only."""
        accounts, kinds = self.home / "accounts", map(self._kind, ("http-01", "tls-alpn-01"))
        self.home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (self.home, accounts, self._account, self._challenges, *kinds):
            path.mkdir(mode=0o700, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the lock of the one server that requests certificates; False if another one holds it."""
        descriptor = os.open(self.home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(descriptor)

    def read_account(self, name: str) -> bytes | None:
        """Return a file of the account; None if it is not there.

        Raises:
            AcmeFailed: It is there and cannot be read: an account is lost if its key is replaced.
        """
        path = self._account / name
        try:
            return _read_bytes(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AcmeFailed(
                f"{path} cannot be read ({error.strerror}): let the service read it, or remove {self._account}."
            ) from error

    def write_account(self, name: str, data: bytes) -> None:
        """Write a file of the account, whole or not at all."""
        replace_file(self._account / name, data)

    def forget_account(self) -> None:
        """Remove the account's URL, because the authority does not know it any more; the key is kept, and finds it again."""
        (self._account / "account.json").unlink(missing_ok=True)

    def open_challenge(self, kind: str, name: str, data: bytes) -> None:
        """Publish the answer to a challenge to every server that shares this directory."""
        replace_file(self._kind(kind) / name, data)

    def close_challenges(self) -> None:
        """Remove all open challenges; call it with the lock held, when none is awaited."""
        for kind in ("http-01", "tls-alpn-01"):
            for name in os.listdir(self._kind(kind)):
                os.unlink(self._kind(kind) / name)

    def read_challenge_certificates(self, server_name: str) -> bytes | None:
        """Return the certificates and keys that answer a TLS-ALPN-01 challenge for a name; None if none is open."""
        if not _SERVER_NAME.match(server_name):
            return None
        return _read(self._kind("tls-alpn-01") / server_name)

    def read_key_authorization(self, token: str) -> bytes | None:
        """Return the answer to an HTTP-01 challenge; None if none is open."""
        return _read(self._kind("http-01") / token) if _TOKEN.match(token) else None

    def read_status(self) -> RenewalStatus:
        """Return what was remembered; an empty status if there is none, or it cannot be read."""
        return parse_status(_read(self._status) or b"{}")

    def write_status(self, status: RenewalStatus) -> None:
        """Remember a status."""
        replace_file(self._status, status_json(status))

    def read_certificate(self) -> None:
        """Return None: nothing is shared but the directory of ``--certs``."""

    def write_certificate(self, data: bytes) -> None:
        """Do nothing, for the same reason."""

    def counts(self, certificate: x509.Certificate) -> bool:  # noqa: ARG002  (the same)
        """Return True, for the same reason."""
        return True

    def _kind(self, kind: str) -> Path:
        return self._challenges / kind


def replace_file(path: Path, data: bytes) -> None:
    """Write a file that only the server's user can read, so that a crash leaves the old one or the new one."""
    put_in_place(write_aside(path, data), path)


def put_in_place(aside: Path, path: Path) -> None:
    """Let a file that was written aside replace the one at a path, for good."""
    os.rename(aside, path)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_aside(path: Path, data: bytes) -> Path:
    """Write a file beside the one that it is to replace, and return its path."""
    aside = path.with_name(f".simpleindex-{path.name}")
    aside.unlink(missing_ok=True)  # left by a crash; the lock keeps other writers away
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return aside


def _read(path: Path) -> bytes | None:
    try:
        return _read_bytes(path) or None
    except OSError:
        return None


def _read_bytes(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _LARGEST)
    finally:
        os.close(descriptor)
