"""The URL and the CA certificate of the server on this machine, by its settings."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from simpleindex.commands.remote import Remote
from simpleindex.commands.server_options import server_settings
from simpleindex.core.errors import RefusedStart

if TYPE_CHECKING:
    import argparse

    from simpleindex.config.settings import Settings
    from simpleindex.config.values import ListenAddress

_TCP: Final = re.compile(r"(?:tcp6?:)?([0-9]+)(?::|\Z)")


def open_index(given: argparse.Namespace) -> Remote:
    """Return a client of the index that ``--index-url`` names, or of the server on this machine.

    Raises:
        RefusedStart: It cannot be found, or an option is not valid.
    """
    url, ca_file = given.index_url, given.cert
    if url is None:
        settings = server_settings(given, root_may_be_gone=True)
        url, ca_file = local_url(settings), ca_file or local_ca(settings)
    return Remote(url, ca_file, given.token_file, needs_token=False)


def local_url(settings: Settings) -> str:
    """Return the URL at which the server with these settings is reached on this machine.

    Raises:
        RefusedStart: It listens on no port.
    """
    if settings.url is not None:
        return settings.url
    for scheme, listens in (("https", settings.https), ("http", settings.http)):
        for listen in listens:
            port = _port(listen)
            if port:
                return f"{scheme}://localhost:{port}/"
    raise RefusedStart("the settings name no port of the index; name it with --index-url URL")


def local_ca(settings: Settings) -> str | None:
    """Return the path of the private CA's certificate of the server with these settings, if it can be read."""
    path = settings.state / "ca" / "cert.pem"
    return str(path) if os.access(path, os.R_OK) else None


def _port(listen: ListenAddress) -> int | None:
    matched = _TCP.match(listen.text)
    return int(matched[1]) if matched else None
