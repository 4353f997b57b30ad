"""``simpleindex passwd``: set a user's password in the users file, or remove a user from it."""

from __future__ import annotations

import os
import sys
import time
from getpass import getpass
from typing import Final

from simpleindex.access.logins.credentials import LONGEST_PASSWORD, SECRET_PREFIX
from simpleindex.access.logins.hashes import hash_password, require_libraries
from simpleindex.access.logins.htpasswd import InvalidUserName, parse_user_name, with_password, without_user
from simpleindex.access.logins.users_file import change_users_file
from simpleindex.access.token_options import describe_token
from simpleindex.commands.arguments import (
    CommandPaths,
    Parser,
    add_path_options,
    command_paths,
    command_user,
    complain,
)
from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.errors import RefusedStart, Unavailable
from simpleindex.core.text import plural
from simpleindex.records.opening import open_records
from simpleindex.records.tokens import TokenTable

_SHORT: Final = 12
"""Characters. NIST SP 800-63B wants 8 where there is a second factor and 15 where there is none."""


def passwd(words: list[str]) -> int:
    """Set a password or remove a user; return the exit status."""
    arguments = _parser().parse_args(words)
    where = command_paths(arguments)
    try:
        user = parse_user_name(arguments.user)
    except InvalidUserName as error:
        raise RefusedStart(f"{error}.") from None
    if where.users is None:
        raise RefusedStart("Which users file? Name it with --users FILE, as for the server.")
    path = str(where.users)
    try:
        if arguments.delete:
            _delete(path, user)
        else:
            _set(path, user)
    except OSError as error:
        raise RefusedStart(f"{path} cannot be changed: {error.strerror}.") from None
    event = "user-deleted" if arguments.delete else "password-set"
    where.record(AuditEntry(event, who=command_user(), detail=f"{user} in {path}"))
    return 0 if not arguments.delete or _revoke_tokens(where, user) else 1


def _parser() -> Parser:
    parser = Parser(
        prog="simpleindex passwd",
        description="Set the password of a user in the users file, which is created if there is none; a running server "
        "follows within a second. The command asks for the password twice, or reads one line from a standard input "
        "that is no terminal.",
    )
    parser.add_argument("user", metavar="USER", help="the user's name")
    parser.add_argument("--delete", action="store_true", help="remove the user from the file")
    add_path_options(parser, ("users", "state", "config"))
    return parser


def _set(path: str, user: str) -> None:
    require_libraries()
    password = _read_password(user)
    hash_ = hash_password(password)
    is_new = change_users_file(path, lambda content: with_password(content, user, hash_))
    print(f"The password of {user} is set in {path}.", file=sys.stderr)
    if len(password) < _SHORT:
        print(
            f"It has only {len(password)} characters, which are soon guessed; {_SHORT} or more are safer.",
            file=sys.stderr,
        )
    if is_new:
        _warn_about_reading(path)


def _delete(path: str, user: str) -> None:
    def delete(content: bytes) -> bytes:
        changed = without_user(content, user)
        if changed is None:
            raise RefusedStart(f"There is no user {user} in {path}.")
        return changed

    change_users_file(path, delete)
    print(f"{user} is no longer in {path}; tokens of {user} are refused from now on.", file=sys.stderr)


def _revoke_tokens(where: CommandPaths, user: str) -> bool:
    """Revoke the tokens of a user who was removed, for another person may get the name one day; return whether that was possible."""
    records = open_records(str(where.state), where.records, is_logged=False)
    tokens, revoked = TokenTable(records), 0
    try:
        for token in tokens.of_user(user):
            before = tokens.revoke(token.id, time.time()) if token.revoked is None else None
            if before is not None and before.revoked is None:
                detail = describe_token(token)
                where.record(AuditEntry("token-revoked", who=command_user(), token=token.id, detail=detail))
                revoked += 1
    except Unavailable as error:
        complain(
            f"The tokens of {user} are not revoked, and would work for a new user of that name: {error} "
            "Revoke them with simpleindex token revoke."
        )
        return False
    finally:
        records.close()
    if revoked:
        print(f"{plural(revoked, 'token')} of {user} revoked.", file=sys.stderr)
    return True


def _read_password(user: str) -> str:
    if sys.stdin.isatty():
        password = getpass(f"New password for {user}: ")
        if password != getpass("Once more: "):
            raise RefusedStart("The two passwords differ; nothing is changed.")
    else:
        password = sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    if refusal := _refusal(password):
        raise RefusedStart(f"The password {refusal}; nothing is changed.")
    return password


def _refusal(password: str) -> str:
    """Return why a password cannot be used, as the end of a sentence; empty if it can."""
    if not password:
        return "is empty"
    if not password.isprintable():
        # RFC 7617 section 2 forbids control characters; what is not UTF-8 has become lone surrogates.
        return "has characters that cannot be typed into every client"
    if len(password.encode()) > LONGEST_PASSWORD:
        return f"is longer than {LONGEST_PASSWORD} bytes"
    if password.strip().startswith(SECRET_PREFIX):
        return f"begins with {SECRET_PREFIX}, as tokens do, and would be taken for one"
    return ""


def _warn_about_reading(path: str) -> None:
    status = os.stat(path)
    if status.st_uid == 0:
        print(
            "Only root can read that new file. If the server runs as another user: "
            f"chgrp GROUP {path} && chmod 640 {path}",
            file=sys.stderr,
        )
