"""Credentials for an upstream; those in a file may change at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from simpleindex.upstreams.pages.urls import BasicCredentials


class Login(Protocol):
    """The credentials for an upstream."""

    def credentials(self) -> BasicCredentials | None:
        """Return the credentials that were read last; None if there are none."""
        ...

    async def read_again(self) -> None:
        """Read them again if they may have changed."""
        ...


class FixedLogin:
    """Credentials that do not change while the server runs: those of an environment variable, or none."""

    def __init__(self, credentials: BasicCredentials | None = None) -> None:
        self._credentials = credentials

    def credentials(self) -> BasicCredentials | None:
        """Return the credentials."""
        return self._credentials

    async def read_again(self) -> None:
        """Do nothing."""
