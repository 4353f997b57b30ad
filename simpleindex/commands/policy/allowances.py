"""``simpleindex allow`` and ``simpleindex disallow``: exempt a project, or a version of it, from all rules for some time."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Final

from packaging.requirements import InvalidRequirement
from packaging.version import InvalidVersion, Version

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
from simpleindex.core.errors import InvalidProjectName, RefusedStart
from simpleindex.core.names import parse_project_name
from simpleindex.core.parsing.version_texts import parse_requirement
from simpleindex.core.text import day_and_time, parse_duration, shown, timestamp
from simpleindex.policy.judgement import Allowance
from simpleindex.records.allowances import AllowanceTable
from simpleindex.records.opening import open_records

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from simpleindex.core.names import ProjectName


_LONGEST: Final = 365 * 86_400
"""Seconds; an exemption for good is a rule of the sources file."""

_LONGEST_REASON: Final = 200  # characters

_HEADINGS: Final = ("PROJECT", "VERSION", "UNTIL", "BY", "REASON")


def allow(words: list[str]) -> int:
    """Run ``simpleindex allow``."""
    arguments = _allow_parser().parse_args(words)
    if arguments.list:
        return _run(arguments, _list)
    if arguments.json:
        raise RefusedStart("--json goes with --list")
    missing = [
        word
        for word, value in (
            ("what to allow (NAME or NAME==VERSION)", arguments.what),
            ("--for TIME", arguments.time),
            ("--reason TEXT", arguments.reason),
        )
        if value is None
    ]
    if missing:
        raise RefusedStart(f"give {', '.join(missing)}; see simpleindex allow --help")
    return _run(arguments, _allow)


def disallow(words: list[str]) -> int:
    """Run ``simpleindex disallow``."""
    parser = Parser(
        prog="simpleindex disallow",
        description="End an allowance early: the rules apply again. A running server follows within seconds.",
    )
    parser.add_argument("what", metavar="NAME[==VERSION]", help="as simpleindex allow --list prints it")
    add_path_options(parser)
    return _run(parser.parse_args(words), _disallow)


def _allow_parser() -> Parser:
    parser = Parser(
        prog="simpleindex allow",
        description="Exempt a project, or one version of it, from every rule of the sources file for some time: for the "
        "fix that cannot wait. A running server follows within seconds. The audit records who did it and why.",
    )
    parser.add_argument(
        "what", metavar="NAME[==VERSION]", nargs="?", help="a project, or one version of it, which is better"
    )
    parser.add_argument(
        "--for", dest="time", metavar="TIME", help="how long: 30m, 2h, 3d, 1w; at most a year"
    )
    parser.add_argument("--reason", metavar="TEXT", help="why, for the audit and the list")
    parser.add_argument("--list", action="store_true", help="list the active ones; times are UTC")
    parser.add_argument("--json", action="store_true", help="with --list: as JSON, for programs")
    add_new_state(parser)
    add_path_options(parser)
    return parser


def _run(
    arguments: argparse.Namespace, work: Callable[[argparse.Namespace, CommandPaths, AllowanceTable], int]
) -> int:
    where = command_paths(arguments)
    database = open_records(str(where.state), where.records, is_logged=False)
    try:
        return work(arguments, where, AllowanceTable(database))
    finally:
        database.close()


def _allow(arguments: argparse.Namespace, where: CommandPaths, allowances: AllowanceTable) -> int:
    name, version = _parse_release(arguments.what)
    seconds, reason, now = _seconds(arguments.time), _reason(arguments.reason), time.time()
    require_state(where, "this allowance", new=arguments.new_state)
    same, _ = _find(allowances, name, version, now)
    given = Allowance(name, same.version if same else version, int(now) + seconds, command_user(), reason)
    allowances.add(given)
    words = f"until {day_and_time(given.until)}: {given.reason}"
    _record(where, "allowance-given", name, f"{_spelt(given)} {words}")
    print(f"{_spelt(given)} is exempt from all rules {words}", file=sys.stderr)
    print(
        f"To end it early: simpleindex disallow {_spelt(given)}. The records are in {where.place}.",
        file=sys.stderr,
    )
    return 0


def _disallow(arguments: argparse.Namespace, where: CommandPaths, allowances: AllowanceTable) -> int:
    name, version = _parse_release(arguments.what)
    require_records(where)
    same, others = _find(allowances, name, version, time.time())
    rest = ", ".join(map(_spelt, others))
    if same is None:
        complain(
            f"There is no allowance of {arguments.what} in {where.place}{f', but of {rest}' if rest else ''}."
        )
        return 2
    allowances.remove(name, same.version)
    _record(where, "allowance-ended", name, _spelt(same))
    still = f" Still exempt: {rest}." if rest else ""
    print(f"The rules apply to {_spelt(same)} again.{still}", file=sys.stderr)
    return 0


def _list(arguments: argparse.Namespace, where: CommandPaths, allowances: AllowanceTable) -> int:
    require_records(where)
    active = allowances.active(time.time())
    if arguments.what is not None:
        name, version = _parse_release(arguments.what)
        active = tuple(
            each
            for each in active
            if each.name == name and (version is None or each.version is None or _is_same(each, version))
        )
    if arguments.json:
        print(json.dumps([_as_json(each) for each in active], indent=2))
    elif active:
        rows = [
            (each.name, each.version or "all", day_and_time(each.until), each.by, each.reason)
            for each in active
        ]
        print("\n".join(table([_HEADINGS, *rows])))
    else:
        print(f"There are no active allowances in {where.place}.", file=sys.stderr)
    return 0


def _find(
    allowances: AllowanceTable, name: ProjectName, version: str | None, now: float
) -> tuple[Allowance | None, list[Allowance]]:
    """Return the allowance of a version, whatever its spelling, and the others of the project."""
    of_project = [each for each in allowances.active(now) if each.name == name]
    same = next((each for each in of_project if _is_same(each, version)), None)
    return same, [each for each in of_project if each is not same]


def _is_same(one: Allowance, version: str | None) -> bool:
    """Return whether an allowance is of this version: 1.0 is 1.0.0 (PEP 440)."""
    if one.version is None or version is None:
        return one.version is version
    return Version(one.version) == Version(version)


def _record(where: CommandPaths, event: str, name: ProjectName, detail: str) -> None:
    where.record(AuditEntry(event, who=command_user(), project=name, detail=detail))


def _parse_release(text: str) -> tuple[ProjectName, str | None]:
    """Return a project, and the version in PEP 440's normal form, or None for all."""
    refusal = RefusedStart(
        f"{shown(text)} is neither a project nor one version of it: write NAME or NAME==VERSION, such as acme==1.0"
    )
    try:
        requirement = parse_requirement(text)
        name = parse_project_name(requirement.name)
        if requirement.url or requirement.marker or requirement.extras or len(requirement.specifier) > 1:
            raise refusal
        for one in requirement.specifier:
            if one.operator != "==":
                raise refusal
            return name, str(Version(one.version))
    except (InvalidRequirement, InvalidProjectName, InvalidVersion):
        raise refusal from None
    return name, None


def _seconds(text: str) -> int:
    seconds = parse_duration(text, "mhdw")
    if not seconds:
        raise RefusedStart(f"--for: {shown(text)} is no time such as 30m, 2h or 3d")
    if seconds > _LONGEST:
        raise RefusedStart(
            '--for: that is more than a year; to exempt it for good, write a rule with action = "allow"'
        )
    return seconds


def _reason(text: str) -> str:
    text = text.strip()
    if not text or len(text) > _LONGEST_REASON or not text.isprintable():
        raise RefusedStart(f"--reason: it must be one line of 1 to {_LONGEST_REASON} characters")
    return text


def _spelt(one: Allowance) -> str:
    return one.name if one.version is None else f"{one.name}=={one.version}"


def _as_json(one: Allowance) -> dict[str, object]:
    return {
        "project": one.name,
        "version": one.version,
        "until": timestamp(one.until),
        "by": one.by,
        "reason": one.reason,
    }
