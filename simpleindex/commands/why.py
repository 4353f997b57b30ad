"""``simpleindex why NAME [VERSION]``: asks a running index why something is or is not offered."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from simpleindex.commands.arguments import Parser
from simpleindex.commands.remote import Remote
from simpleindex.config.settings import resolve
from simpleindex.core.errors import InvalidProjectName, RefusedStart
from simpleindex.core.names import parse_project_name

if TYPE_CHECKING:
    from simpleindex.config.settings import ListenAddress, Settings

_OFFERED: Final = '"answer":"offered"'
_TCP: Final = re.compile(r"(?:tcp6?:)?([0-9]+)(?::|\Z)")


def why(words: list[str]) -> int:
    """Run the command; returns 0 if all that was asked about is offered, 1 if not.

    Raises:
        RefusedStart: The index cannot be asked.
    """
    parser = Parser(
        prog="simpleindex why",
        description="Say why a project or a version is or is not offered: what is withheld, by which rule, until when, and "
        "which indexes were asked. It asks a running server; exit status 0 means that all of it is offered.",
    )
    parser.add_argument("name", metavar="NAME", help="the project")
    parser.add_argument("version", metavar="VERSION", nargs="?", help="of it")
    parser.add_argument("--view", metavar="NAME", help="in this view instead of the index at the root")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    parser.add_argument(
        "--index-url",
        metavar="URL",
        help="the index, such as https://host/simple/ [default: the server's own on this machine, by its --config]",
    )
    parser.add_argument("--cert", metavar="FILE", help="trust this CA certificate too")
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="holds a token, for what not everybody may read (or SIMPLEINDEX_TOKEN)",
    )
    parser.add_argument("--config", metavar="FILE", help="the server's configuration file, to find it by")
    given = parser.parse_args(words)
    try:
        name = parse_project_name(given.name)
    except InvalidProjectName as error:
        raise RefusedStart(f"{error}.") from None
    url, ca_file = given.index_url, given.cert
    if url is None:
        options = {} if given.config is None else {"config": given.config}
        settings = resolve(options, os.environ, Path.cwd(), root_may_be_gone=True)
        url, ca_file = own_url(settings), ca_file or own_ca(settings)
    remote = Remote(url, ca_file, given.token_file, needs_token=False)
    page = "/".join(["why", name, *([quote(given.version, safe="")] if given.version else [])])
    query = {} if given.view is None else {"view": given.view}
    as_json = remote.get(f"{page}?{urlencode({**query, 'format': 'json'})}")
    shown = as_json if given.json else remote.get(f"{page}?{urlencode({**query, 'format': 'text'})}")
    # It may be a stranger's text.
    print("\n".join(_printable(line) for line in shown.rstrip("\n").split("\n")))
    return 0 if _OFFERED in as_json else 1


def _printable(line: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in line)


def own_url(settings: Settings) -> str:
    """Where on this machine the server with these settings is reached.

    Raises:
        RefusedStart: The settings do not tell.
    """
    if settings.url is not None:
        return settings.url
    for scheme, listens in (("https", settings.https), ("http", settings.http)):
        for listen in listens:
            port = _port(listen)
            if port:
                return f"{scheme}://localhost:{port}/"
    raise RefusedStart("where the index is cannot be told from its settings; name it with --index-url URL")


def _port(listen: ListenAddress) -> int | None:
    matched = _TCP.match(listen.text)
    return int(matched[1]) if matched else None


def own_ca(settings: Settings) -> str | None:
    """The certificate of the private CA that the server with these settings has, if it can be read."""
    path = settings.state / "ca" / "cert.pem"
    return str(path) if os.access(path, os.R_OK) else None
