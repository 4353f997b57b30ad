"""Questions about downloads for the commands: to the records on this machine, or to a running index."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from simpleindex.commands.arguments import (
    Parser,
    add_index_options,
    add_path_options,
    command_paths,
    project_argument,
    require_readable_state,
)
from simpleindex.commands.remote import Remote
from simpleindex.core import bounds
from simpleindex.core.errors import InvalidQuestion, RefusedStart
from simpleindex.core.parsing.json_text import load_json
from simpleindex.records.opening import open_downloads
from simpleindex.system.errors import trouble_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

    from simpleindex.core.names import ProjectName
    from simpleindex.records.downloads.database import DownloadsDatabase

    LocalAnswer = Callable[[DownloadsDatabase, ProjectName | None], dict[str, Any]]


UNWRITTEN: Final = "The last five seconds may be missing."
"""Added where nothing was found: who tries the counts out looks at them at once."""


def question_parser(prog: str, description: str, since: str) -> Parser:
    """Return a parser with the options that all questions about downloads have.

    Args:
        prog: The command.
        description: What it does.
        since: The help of ``--since``.
    """
    parser = Parser(
        prog=prog,
        description=description,
        epilog="The records are read on this machine, or by a running index, with --index-url. The server counts downloads "
        f"unless it runs with --downloads off. {UNWRITTEN}",
    )
    parser.add_argument("--since", metavar="TIME", help=since)
    parser.add_argument(
        "--limit", metavar="ROWS", help="at most so many rows, 0 for all [default: 50; --json: 0]"
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    add_index_options(
        parser.add_argument,
        index="ask this index, such as https://host/simple/",
        login="holds a token with the right audit, for users and private projects (or SIMPLEINDEX_TOKEN)",
    )
    add_path_options(parser)
    return parser


@dataclass(frozen=True, slots=True)
class Questioner:
    """One question to the records on this machine, or to a running index.

    Attributes:
        arguments: As :func:`question_parser` parses them.
        page: The page of the index below ``/-/`` that answers such questions.
        name: The project; None for all.
        subject: A version or a file of it; None for all.
        texts: What else is in the question.
        has_other_source: Whether something beside the records on this machine can answer it: an access log.
    """

    arguments: argparse.Namespace
    page: str
    name: str | None
    subject: str | None
    texts: Mapping[str, str]
    has_other_source: bool = False

    def ask(self, local: LocalAnswer) -> dict[str, Any]:
        """Return the answer.

        Raises:
            RefusedStart: The question is not valid, or there is no answer.
        """
        project = None if self.name is None else project_argument(self.name)
        if self.arguments.index_url is not None:
            return self._remote_answer(project)
        where = command_paths(self.arguments)
        if where.records is None:
            require_readable_state(where.state, may_be_missing=self.has_other_source)
        database = open_downloads(str(where.state), where.records)
        try:
            return local(database, project)
        except InvalidQuestion as error:
            raise RefusedStart(f"--{error}") from None
        except (OSError, sqlite3.Error) as error:
            raise RefusedStart(trouble_of(error, database.path).for_operator()) from None
        finally:
            database.close()

    def _remote_answer(self, project: ProjectName | None) -> dict[str, Any]:
        given = self.arguments
        remote = Remote(given.index_url, given.cert, given.token_file, needs_token=False)
        parts = [self.page, *(quote(each, safe="") for each in (project, self.subject) if each is not None)]
        text = remote.get(f"{'/'.join(parts)}?{urlencode(self.texts)}")
        try:
            answer = load_json(text, bounds.PAGE_VALUES)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise RefusedStart("the index sent an answer that is not valid JSON; is it a simpleindex?")
        return answer
