"""Where an index is, as clients see it, and texts to copy that use it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from simpleindex.core.addresses import plain_host
from simpleindex.core.views import MAIN_VIEW

CA_FILE: Final = "~/ca.pem"
"""Where the pages have a person put the private CA's certificate. Shells expand it, and so does pip in its file of settings."""


@dataclass(frozen=True, slots=True)
class IndexAddress:
    """Where an index is, and what clients need to use it.

    Attributes:
        url: With a final slash: ``https://host/``, or of a view ``https://host/stable/``.
        upload_url: Where uploads go; None if nothing can be uploaded.
        ca_url: Where the private CA's certificate is; None if clients need none.
        needs_login: Whether reading needs a login.
        has_public_packages: Whether it has what is on public indexes, from its upstreams.
    """

    url: str
    upload_url: str | None = None
    ca_url: str | None = None
    needs_login: bool = False
    has_public_packages: bool = False

    @property
    def simple(self) -> str:
        """The URL that installers take."""
        return f"{self.url}simple/"

    @property
    def with_login(self) -> str:
        """The same with a place for a login, if reading needs one."""
        scheme, _, rest = self.simple.partition("://")
        return f"{scheme}://__token__:TOKEN@{rest}" if self.needs_login else self.simple

    @property
    def host(self) -> str:
        """The host's name or address."""
        return urlsplit(self.url).hostname or ""

    @property
    def plain_host(self) -> str | None:
        """The host and port, if pip passes over the index unless told to trust it."""
        return plain_host(self.url)

    def trusting(self, *names: str) -> list[tuple[str, str]]:
        """Return variables with the private CA's certificate; none if clients need none."""
        return [(name, CA_FILE) for name in names if self.ca_url is not None]


@lru_cache(maxsize=64)
def address_of_view(
    base: str,
    view: str,
    *,
    takes_uploads: bool,
    has_private_ca: bool,
    needs_login: bool,
    has_public_packages: bool,
) -> IndexAddress:
    """Return where a view is; the same object each time, for every page of a project is compared with it.

    Args:
        base: The URL of the index, with a final slash.
        view: The view.
        takes_uploads: Whether something can be uploaded to the index.
        has_private_ca: Whether its certificate comes from a private CA.
        needs_login: As in :class:`IndexAddress`.
        has_public_packages: As in :class:`IndexAddress`.
    """
    is_main = view == MAIN_VIEW
    return IndexAddress(
        base if is_main else f"{base}{view}/",
        upload_url=f"{base}legacy/" if takes_uploads and is_main else None,
        ca_url=f"{base}-/ca.pem" if has_private_ca else None,
        needs_login=needs_login,
        has_public_packages=has_public_packages,
    )


@dataclass(frozen=True, slots=True)
class Snippet:
    """Text to copy.

    Attributes:
        place: The file it belongs into, or ``shell``.
    """

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolSettings:
    """The settings of one tool.

    Attributes:
        tool: Its name, as a heading.
        read: How it installs from the index.
        publish: How it uploads; empty if it does not, or nothing can be uploaded.
        test: A command that shows that it works; empty where the settings are one themselves.
        hint: What must be there beside the settings.
    """

    tool: str
    read: tuple[Snippet, ...] = ()
    publish: tuple[Snippet, ...] = ()
    test: str = ""
    hint: str = ""

    @property
    def anchor(self) -> str:
        """Its name in the page's URL."""
        return self.tool.lower().replace(" ", "-")


def shell(*lines: str) -> Snippet:
    """Return lines for a shell."""
    return Snippet("shell", "\n".join(lines))


def trust_command(index: IndexAddress) -> Snippet | None:
    """Return how a client gets the private CA's certificate; None if it needs none."""
    if index.ca_url is None:
        return None
    return shell(
        f"curl --insecure {index.ca_url} --output {CA_FILE}",
        f"openssl x509 -in {CA_FILE} -noout -fingerprint -sha256   # compare it with the server's log",
    )
