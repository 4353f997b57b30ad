"""Credentials and CA certificates for upstreams, read from files and read again when these change.

Tokens of some services live for an hour; whatever renews them writes the file again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from simpleindex.core.errors import InvalidSetting, RefusedStart, SimpleIndexError
from simpleindex.system.followed_file import FileKind, FollowedFile
from simpleindex.upstreams.http.agent import tls_policy
from simpleindex.upstreams.http.logins import FixedLogin
from simpleindex.upstreams.pages.urls import BasicCredentials

if TYPE_CHECKING:
    from twisted.web.iweb import IPolicyForHTTPS

    from simpleindex.system.threads import Threads
    from simpleindex.upstreams.http.agent import OutgoingAgent
    from simpleindex.upstreams.http.logins import Login
    from simpleindex.upstreams.settings import UpstreamSettings


class FileLogin:
    """Credentials in a file.

    Args:
        path: It holds ``user:password``.
        threads: Threads that read files.

    Raises:
        OSError: The file cannot be read.
        SimpleIndexError: It holds no credentials.
    """

    def __init__(self, path: str, threads: Threads) -> None:
        self._threads = threads
        self._file = FollowedFile(path, FileKind("credentials", parse_credentials))
        self._file.open()

    def credentials(self) -> BasicCredentials:
        """Return the credentials that were read last."""
        return self._file.value

    async def read_again(self) -> None:
        """Read them again if the file has changed."""
        await self._threads.run(self.look)

    def look(self) -> None:
        """Do the same; blocking."""
        self._file.look()


class FollowedTrust:
    """Certificates of authorities in a file, by which an upstream is verified.

    Raises:
        OSError: The file cannot be read.
        SimpleIndexError: It holds no certificates.
    """

    def __init__(self, path: str) -> None:
        self._agent: OutgoingAgent | None = None
        kind = FileKind("ca-file", _checked_ca)
        self._file = FollowedFile(os.path.abspath(path), kind, changed=self._apply)
        self._file.open()
        self._apply(self._file.value)

    def _apply(self, pem: bytes) -> None:
        self.policy: IPolicyForHTTPS = tls_policy(pem)
        if self._agent is not None:
            self._agent.trust(self.policy)

    def give_to(self, agent: OutgoingAgent) -> None:
        """Have this agent trust what the file says from now on."""
        self._agent = agent

    def look(self) -> None:
        """Read the file again if it has changed; blocking."""
        self._file.look()


def _checked_ca(pem: bytes) -> bytes:
    tls_policy(pem)
    return pem


def parse_credentials(content: bytes) -> BasicCredentials:
    """Read ``user:password``, with blanks or a line's end around it.

    Raises:
        InvalidSetting: It is something else; it is not quoted, for it may be the secret.
    """
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise InvalidSetting("is no UTF-8 text") from None
    user, colon, password = text.partition(":")
    if not colon or "\n" in text or "\r" in text:
        raise InvalidSetting("is not of the form user:password")
    return BasicCredentials(user, password)


class Secrets:
    """The files of all upstreams, looked at together.

    Args:
        directory: Where the sources file lies: its paths are relative to that.
        threads: Threads that read files.
    """

    def __init__(self, directory: str, threads: Threads) -> None:
        self._directory = directory
        self._threads = threads
        self._followed: list[FileLogin | FollowedTrust] = []

    def login(self, each: UpstreamSettings, where: str) -> Login:
        """Open what holds the credentials for an upstream.

        Args:
            each: Names the place.
            where: The upstream, for the sentence.

        Raises:
            RefusedStart: There are no credentials in it.
        """
        if each.credentials is None:
            return FixedLogin()
        kind, name = each.credentials
        try:
            if kind == "file":
                name = self._path(name)
                login = FileLogin(name, self._threads)
                self._followed.append(login)
                return login
            return FixedLogin(parse_credentials(os.environ.get(name, "").encode("utf-8", "surrogateescape")))
        except OSError as error:
            reason = error.strerror or error
            raise RefusedStart(
                f"{where} has credentials in {kind}:{name}, which cannot be read: {reason}"
            ) from None
        except SimpleIndexError:
            raise RefusedStart(
                f"{where} has credentials in {kind}:{name}, where there is no user:password"
            ) from None

    def trust(self, path: str) -> FollowedTrust:
        """Open a file with certificates; as :class:`FollowedTrust`."""
        trust = FollowedTrust(self._path(path))
        self._followed.append(trust)
        return trust

    def _path(self, path: str) -> str:
        return os.path.normpath(os.path.join(self._directory, path))

    def look(self) -> None:
        """Read whatever has changed; blocking."""
        for each in self._followed:
            each.look()
