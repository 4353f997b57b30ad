"""``simpleindex token``: create, list and revoke tokens."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from simpleindex.access.errors import TooManyTokens
from simpleindex.access.identity import Action
from simpleindex.access.logins.htpasswd import InvalidUserName, parse_user_name, parse_users
from simpleindex.access.token_options import (
    ACTIONS,
    DEFAULT_EXPIRY,
    InvalidTokenOption,
    action_list,
    describe_token,
    minute,
    parse_token_options,
)
from simpleindex.commands.arguments import (
    CommandPaths,
    Parser,
    add_new_state,
    add_path_options,
    command_paths,
    command_user,
    complain,
    require_records,
    require_state,
    table,
)
from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.errors import RefusedStart
from simpleindex.records.opening import open_records
from simpleindex.records.tokens import MOST_USABLE, TokenTable
from simpleindex.system.followed_file import read_text_file

if TYPE_CHECKING:
    import argparse

    from simpleindex.access.logins.credentials import Token

_NEAR: Final = 7 * 86_400
"""Seconds; an expiry that is nearer is listed to the minute."""

_HEADINGS: Final = ("ID", "USER", "CAN", "PROJECTS", "CREATED", "EXPIRES", "LAST USED", "NOTE")


def token(words: list[str]) -> int:
    """Run a command on tokens; return the exit status."""
    arguments = _parser().parse_args(words)
    where = command_paths(arguments)
    database = open_records(str(where.state), where.records, is_logged=False)
    try:
        result: int = arguments.run(arguments, where, TokenTable(database))
    finally:
        database.close()
    return result


def _parser() -> Parser:
    parser = Parser(
        prog="simpleindex token",
        description="Tokens stand for passwords where machines log in: limited to some actions and projects, for some "
        "time, and revoked one by one. A running server follows every change at once.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_create(commands)
    listing = commands.add_parser("list", help="list tokens", description="List all tokens; times are UTC.")
    listing.add_argument("--json", action="store_true", help="as JSON, for programs")
    add_path_options(listing)
    listing.set_defaults(run=_list)
    revoke = commands.add_parser(
        "revoke", help="revoke a token at once and for good", description="Revoke tokens for good."
    )
    revoke.add_argument("id", metavar="ID", nargs="+", help="as it is listed")
    add_path_options(revoke)
    revoke.set_defaults(run=_revoke)
    return parser


def _add_create(commands: Any) -> None:
    create = commands.add_parser(
        "create",
        help="create a token and print its secret, which is never shown again",
        description="Create a token. Only the secret goes to standard output: TOKEN=$(simpleindex token create ...).",
    )
    _add_user(create)
    create.add_argument(
        "--can",
        metavar="ACTION[,...]",
        action="append",
        required=True,
        help=f"what it may do: {ACTIONS}",
    )
    create.add_argument(
        "--projects",
        "--project",
        metavar="PATTERN[,...]",
        action="append",
        help="names of projects, with * and ? for others; given several times or with commas [default: *]",
    )
    create.add_argument(
        "--expires",
        metavar="TIME",
        default=DEFAULT_EXPIRY,
        help=f"how long it lasts: 12h, 30d, 8w, never [default: {DEFAULT_EXPIRY}]",
    )
    add_new_state(create)
    create.add_argument("--note", default="", help="what it is for, in your words")
    add_path_options(create, ("state", "users", "config"))
    create.set_defaults(run=_create)


def _add_user(create: argparse.ArgumentParser) -> None:
    create.add_argument(
        "--user",
        metavar="NAME",
        help="the user whose token it is; its rights are the user's, within the limits",
    )
    create.add_argument(
        "--future-user",
        action="store_true",
        help="the user of --user does not exist yet",
    )
    create.add_argument(
        "--past-limit",
        action="store_true",
        help=f"make it although the user has {MOST_USABLE} tokens that can be used",
    )


def _create(arguments: argparse.Namespace, where: CommandPaths, tokens: TokenTable) -> int:
    now = time.time()
    user = _user(arguments, where)
    try:
        options = parse_token_options(
            arguments.can, arguments.projects or ["*"], arguments.expires, arguments.note, now
        )
    except InvalidTokenOption as error:
        raise RefusedStart(f"--{error}") from None
    require_state(where, "this token", new=arguments.new_state)
    most = sys.maxsize if arguments.past_limit else MOST_USABLE
    try:
        made, secret = tokens.create(user, options, now, most=most)
    except TooManyTokens as error:
        raise RefusedStart(f"{error} Or add --past-limit.") from None
    description = describe_token(made)
    _record(where, "token-created", made.id, description)
    print(f"Token {made.id} {description}; the records are in {where.place}.", file=sys.stderr)
    if made.user is None:
        print(
            f"It belongs to no user: it may do what --access allows to token:{made.id}, or to everybody who logs in.",
            file=sys.stderr,
        )
    print(
        "Log in as __token__ (or any other user name) with this password, which is shown only now:",
        file=sys.stderr,
    )
    print(secret)
    return 0


def _list(arguments: argparse.Namespace, where: CommandPaths, tokens: TokenTable) -> int:
    require_records(where)
    now, rows = time.time(), tokens.all()
    if arguments.json:
        print(json.dumps([_as_json(one, now) for one in rows], indent=2))
    elif rows:
        print("\n".join(table([_HEADINGS, *(_columns(one, now) for one in rows)])))
    else:
        print(f"There are no tokens in {where.place}.", file=sys.stderr)
    return 0


def _revoke(arguments: argparse.Namespace, where: CommandPaths, tokens: TokenTable) -> int:
    require_records(where)
    status = 0
    for id_ in arguments.id:
        before = tokens.revoke(id_, time.time())
        if before is None:
            complain(f"There is no token {id_!r} in {where.place}.")
            status = 2
        elif before.revoked is not None:
            print(f"Token {id_} was revoked on {_day(before.revoked)} already.", file=sys.stderr)
        else:
            _record(where, "token-revoked", id_, describe_token(before))
            print(f"Token {id_} is revoked: {describe_token(before)}.", file=sys.stderr)
    return status


def _record(where: CommandPaths, event: str, id_: str, detail: str) -> None:
    where.record(AuditEntry(event, who=command_user(), token=id_, detail=detail))


def _user(arguments: argparse.Namespace, where: CommandPaths) -> str | None:
    if arguments.user is None:
        return None
    try:
        user = parse_user_name(arguments.user)
    except InvalidUserName as error:
        raise RefusedStart(f"{error}.") from None
    if where.users is None:
        complain(
            f"There is no users file to look for {user} in: "
            f"name it with --users FILE, or create one with simpleindex passwd --users FILE {user}."
        )
        return user
    try:
        exists = user in parse_users(read_text_file(str(where.users))).hashes
    except OSError as error:
        hint = f"; simpleindex passwd {user} creates it" if isinstance(error, FileNotFoundError) else ""
        raise RefusedStart(f"{where.users} cannot be read: {error.strerror}{hint}") from None
    if not exists and not arguments.future_user:
        raise RefusedStart(
            f"{user} is not in {where.users}, or has no usable password there; create the user first (simpleindex passwd {user}), or "
            "add --future-user"
        )
    return user


def _columns(one: Token, now: float) -> tuple[str, ...]:
    if one.revoked is not None:
        end = f"revoked {_day(one.revoked)}"
    elif one.expires is None:
        end = "never"
    else:
        is_near = abs(one.expires - now) < _NEAR
        end = ("expired " if one.refusal(now) else "") + (minute if is_near else _day)(one.expires)
    used = "never" if one.last_used is None else minute(one.last_used)
    projects = ", ".join(one.projects)
    return one.id, one.user or "-", action_list(one), projects, _day(one.created), end, used, one.note or "-"


def _as_json(one: Token, now: float) -> dict[str, object]:
    return {
        "id": one.id,
        "user": one.user,
        "can": [action.value for action in Action if action in one.actions],
        "projects": list(one.projects),
        "created": _iso(one.created),
        "expires": _iso(one.expires),
        "last_used": _iso(one.last_used),
        "revoked": _iso(one.revoked),
        "usable": one.refusal(now) is None,
        "note": one.note,
    }


def _iso(seconds: int | None) -> str | None:
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _day(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
