"""``simpleindex why NAME [VERSION]``: ask a running index why something is or is not offered."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from simpleindex.commands.arguments import Parser, add_index_options, project_argument
from simpleindex.commands.local_index import open_index
from simpleindex.core import bounds
from simpleindex.core.errors import RefusedStart
from simpleindex.core.parsing.json_text import load_json
from simpleindex.core.text import replace_unprintable
from simpleindex.views.explain import Answer


def why(words: list[str]) -> int:
    """Print an explanation; return 0 if all of it is offered, 1 if not."""
    parser = Parser(
        prog="simpleindex why",
        description="Print why a project or a version is or is not offered: by which rule, until when, and which indexes "
        "were requested. A running server answers. Exit status 0: all of it is offered; 1: not all.",
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
    name, remote = project_argument(given.name), open_index(given)
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
