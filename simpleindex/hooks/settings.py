"""Parse the hooks file: which servers and programs are notified of which events.

::

    [[hook]]
    name = "chat"
    url = "https://chat.example/hooks/packages"
    secret = "file:/etc/simpleindex/chat.secret"   # or "env:NAME"
    events = ["upload", "yank", "upstream-*"]       # all without it
    projects = ["acme-*"]                           # all without it

    [[hook]]
    name = "mirror"
    run = "/usr/local/bin/mirror --quiet"           # the event as JSON on its standard input
    events = ["upload"]
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.core.audit_entry import EVENTS, matching_events
from simpleindex.core.errors import InvalidSources
from simpleindex.core.parsing.toml import (
    check_keys,
    read_toml,
    tables,
    to_duration,
    to_patterns,
    to_text,
    to_texts,
)
from simpleindex.core.patterns import ALL
from simpleindex.core.text import one_of, shown
from simpleindex.hooks.errors import InvalidHooks
from simpleindex.upstreams.pages.urls import absolute_url

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEYS: Final = ("name", "url", "secret", "ca-file", "run", "events", "projects", "timeout")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_SECRET: Final = re.compile(r"(env|file):(.+)")

LONGEST_TIMEOUT: Final = 300.0
"""Seconds that a hook may take for an event at most; the next event waits for it."""

MOST_HOOKS: Final = 50


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL to which events are posted.

    Attributes:
        url: The URL; it may be a secret itself.
        secret: ``("env", NAME)`` or ``("file", PATH)``, which hold the key of the signature; None without one.
        ca_file: CA certificates to trust for it, or None for the system's.
    """

    url: str
    secret: tuple[str, str] | None = None
    ca_file: str | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of the files that it names."""
        secret = self.secret[1] if self.secret is not None and self.secret[0] == "file" else None
        return tuple(path for path in (secret, self.ca_file) if path is not None)


@dataclass(frozen=True, slots=True)
class HookProgram:
    """A program that is run for each event."""

    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HookSettings:
    """One hook.

    Attributes:
        name: Its name in the log.
        target: What is notified.
        events: The kinds of events that it is notified of.
        projects: Patterns of the projects that they are about; events about no project come with ``*`` only.
        timeout: Seconds for one event.
    """

    name: str
    target: Webhook | HookProgram
    events: frozenset[str] = frozenset(EVENTS)
    projects: tuple[str, ...] = (ALL,)
    timeout: float = 10.0


def parse_hooks(content: bytes) -> tuple[HookSettings, ...]:
    """Parse a hooks file.

    Raises:
        InvalidHooks: It is not valid; then nothing of it may be used.
    """
    try:
        table = read_toml(content, InvalidHooks)
        check_keys(table, ("hook",), "")
        found = tables(table, "hook")
        if len(found) > MOST_HOOKS:
            raise InvalidHooks(f"has more than {MOST_HOOKS} hooks")
        hooks = tuple(_parse_hook(each, number) for number, each in enumerate(found, 1))
    except InvalidSources as error:
        raise InvalidHooks(error.reason) from None
    names = [hook.name for hook in hooks]
    for name in names:
        if names.count(name) > 1:
            raise InvalidHooks(f"has two hooks called {shown(name)}; give each a name of its own")
    return hooks


def _parse_hook(table: Mapping[str, object], number: int) -> HookSettings:
    where = f"hook {number}"
    check_keys(table, _KEYS, f" in {where}")
    name = to_text(table.get("name", f"hook-{number}"), f"'name' of {where}")
    if not _NAME.fullmatch(name):
        raise InvalidHooks(f"calls {where} {shown(name)}; a name has small letters, digits and hyphens")
    where = f"the hook {name}"
    timeout = to_duration(table.get("timeout", "10s"), f"'timeout' of {where}")
    if timeout > LONGEST_TIMEOUT:
        raise InvalidHooks(f"has a 'timeout' of {where} that is longer than 5m")
    return HookSettings(
        name,
        _target(table, where),
        _events(to_texts(table.get("events", ["*"]), f"'events' of {where}"), where),
        to_patterns(table.get("projects", [ALL]), f"'projects' of {where}"),
        timeout,
    )


def _target(table: Mapping[str, object], where: str) -> Webhook | HookProgram:
    if ("url" in table) == ("run" in table):
        raise InvalidHooks(
            f"has for {where} not one of 'url' and 'run': a hook posts to a URL or runs a program"
        )
    if "run" in table:
        for key in ("secret", "ca-file"):
            if key in table:
                raise InvalidHooks(f"has {key!r} for {where}, which runs a program; leave it out")
        return HookProgram(_command(table["run"], where))
    url = absolute_url(to_text(table["url"], f"'url' of {where}"), "")
    if url is None:
        # Not shown: it may be the secret itself, as chat services have it.
        raise InvalidHooks(f"has a 'url' of {where} that is no http or https URL, or has a login in it")
    ca_file = None if "ca-file" not in table else to_text(table["ca-file"], f"'ca-file' of {where}")
    return Webhook(url, _secret(table.get("secret"), where), ca_file)


def _command(value: object, where: str) -> tuple[str, ...]:
    try:
        words = shlex.split(to_text(value, f"'run' of {where}"))
    except ValueError:
        raise InvalidHooks(f"has a quotation mark without its partner in 'run' of {where}") from None
    if not words or not words[0].startswith("/"):
        raise InvalidHooks(
            f"has for 'run' of {where} no absolute path of a program; a hook has no PATH to find it in"
        )
    return tuple(words)


def _events(patterns: list[str], where: str) -> frozenset[str]:
    events: set[str] = set()
    for pattern in patterns:
        matching = matching_events(pattern)
        if not matching:
            raise InvalidHooks(f"has the unknown event {shown(pattern)} for {where}{one_of(pattern, EVENTS)}")
        events |= matching
    if not events:
        raise InvalidHooks(f"has no 'events' for {where}; leave the key out for all")
    return frozenset(events)


def _secret(value: object, where: str) -> tuple[str, str] | None:
    if value is None:
        return None
    matched = _SECRET.fullmatch(to_text(value, f"'secret' of {where}"))
    if matched is None:
        # Not shown: it may be the secret itself.
        raise InvalidHooks(
            f'has a \'secret\' of {where} that names no place; write "env:NAME" or "file:PATH"'
        )
    return matched[1], matched[2]
