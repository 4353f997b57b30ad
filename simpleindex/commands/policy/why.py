"""``simpleindex why NAME [VERSION]``: ask a running index why something is or is not offered."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from simpleindex.commands.arguments import Parser, add_index_options
from simpleindex.commands.local_index import local_ca, local_settings, local_url
from simpleindex.commands.remote import Remote
from simpleindex.core import bounds
from simpleindex.core.errors import InvalidProjectName, RefusedStart
from simpleindex.core.names import parse_project_name
from simpleindex.core.parsing.json_text import load_json
from simpleindex.core.text import replace_unprintable
from simpleindex.views.explain import Answer


def why(words: list[str]) -> int:
    """Print an explanation; return 0 if all of it is offered, 1 if not.

    Raises:
        RefusedStart: The index gives no explanation.
    """
    parser = Parser(
        prog="simpleindex why",
        description="Print why a project or a version is or is not offered: by which rule, until when, and which indexes "
        "were asked. A running server answers. Exit status 0: all of it is offered; 1: not all.",
    )
    parser.add_argument("name", metavar="NAME", help="the project")
    parser.add_argument("version", metavar="VERSION", nargs="?", help="of it")
    parser.add_argument("--view", metavar="NAME", help="in this view instead of the index at the root")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    add_index_options(
        parser.add_argument,
        index="the index, such as https://host/simple/ [default: the server's own on this machine, by its --config]",
        login="holds a token, for what not everybody may read (or SIMPLEINDEX_TOKEN)",
    )
    parser.add_argument("--config", metavar="FILE", help="the server's configuration file, to find it by")
    given = parser.parse_args(words)
    try:
        name = parse_project_name(given.name)
    except InvalidProjectName as error:
        raise RefusedStart(f"{error}.") from None
    url, ca_file = given.index_url, given.cert
    if url is None:
        settings = local_settings(given.config)
        url, ca_file = local_url(settings), ca_file or local_ca(settings)
    remote = Remote(url, ca_file, given.token_file, needs_token=False)
    page = "/".join(["why", name, *([quote(given.version, safe="")] if given.version else [])])
    query = {} if given.view is None else {"view": given.view}
    as_json = remote.get(f"{page}?{urlencode({**query, 'format': 'json'})}")
    status = 0 if _is_offered(as_json) else 1
    shown = as_json if given.json else remote.get(f"{page}?{urlencode({**query, 'format': 'text'})}")
    print("\n".join(replace_unprintable(line) for line in shown.rstrip("\n").split("\n")))
    return status


def _is_offered(text: str) -> bool:
    """Return whether an explanation, as JSON, has the answer that all of it is offered.

    Raises:
        RefusedStart: It is no explanation.
    """
    try:
        return bool(load_json(text, bounds.PAGE_VALUES)["answer"] == Answer.OFFERED.value)
    except (ValueError, KeyError, TypeError):
        raise RefusedStart(
            "the index sent an explanation that is not valid JSON; is it a simpleindex?"
        ) from None
