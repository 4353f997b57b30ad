"""Composition of hooks; imported only with ``--hooks``."""

from __future__ import annotations

import errno
import os
import time
from functools import partial
from typing import TYPE_CHECKING

from simpleindex.core.errors import InvalidSetting
from simpleindex.core.text import printable
from simpleindex.hooks.delivery import HookContext
from simpleindex.hooks.errors import InvalidHooks, UnusableSecret
from simpleindex.hooks.hooks import Hooks
from simpleindex.hooks.positions import HookPositions
from simpleindex.hooks.programs import ProgramTarget
from simpleindex.hooks.settings import Webhook, parse_hooks
from simpleindex.hooks.webhooks import WebhookTarget
from simpleindex.system.followed_file import MAXIMUM_SIZE, FileKind, FollowedFile
from simpleindex.upstreams.http.agent import OutgoingAgent, tls_policy
from simpleindex.upstreams.pages.urls import HostPolicy, proxy_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simpleindex.config.settings import Settings
    from simpleindex.hooks.delivery import HookTarget
    from simpleindex.hooks.positions import Positions
    from simpleindex.hooks.settings import HookSettings
    from simpleindex.service.runtime import Runtime


def compose_hooks(runtime: Runtime, index_url: Callable[[], str | None]) -> Hooks:
    """Create the hooks; none of them begins yet.

    Args:
        runtime: What all parts share.
        index_url: Returns the URL of the index, if it is certain.

    Raises:
        RefusedStart: The hooks file, or something that it names, cannot be used.
    """
    settings, threads = runtime.settings, runtime.threads.reads
    assert settings.hooks is not None  # else there is nothing to create
    directory = str(settings.hooks.parent)
    file = open_hooks_file(settings.hooks)
    context = HookContext(threads, runtime.reactor, time.time, _positions(settings), index_url)

    def target_of(hook: HookSettings) -> HookTarget:
        if not isinstance(hook.target, Webhook):
            return ProgramTarget(hook.target.command, runtime.threads.hooks, hook.timeout)
        agent = _agent(hook.target, directory, runtime)
        secret = partial(_read_secret, hook.target.secret, directory)
        return WebhookTarget(hook.target.url, secret, agent, runtime.reactor, threads, hook.timeout)

    return Hooks(file, target_of, context)


def _positions(settings: Settings) -> Positions:
    """Return how far hooks have read: with records in PostgreSQL the audit of all nodes, so that one goes on for another that died."""
    if settings.records is None:
        return HookPositions(str(settings.state))
    from simpleindex.records.postgresql.hook_positions import SharedHookPositions  # noqa: PLC0415  (only with --records)

    return SharedHookPositions(settings.records)


def open_hooks_file(path: Path) -> FollowedFile[tuple[HookSettings, ...]]:
    """Read a hooks file and what it names, to follow it.

    Raises:
        RefusedStart: It, or something that it names, cannot be used.
    """
    kind = FileKind(
        "hooks",
        partial(_parse_checked, str(path.parent)),
        announces=True,
        remedy="Name a file with [[hook]] tables that this user can read.",
    )
    file = FollowedFile(str(path), kind)
    file.open_at_start()
    return file


def _parse_checked(directory: str, content: bytes) -> tuple[HookSettings, ...]:
    """Parse a hooks file, and check that the files that it names can be used.

    Raises:
        InvalidHooks: The file or one of those is not valid.
    """
    hooks = parse_hooks(content)
    for hook in hooks:
        try:
            _check(hook, directory)
        except UnusableSecret as error:
            raise InvalidHooks(f"has a hook {hook.name} that cannot be used: {error}") from None
        except OSError as error:
            reason = f"{error.filename} cannot be used: {error.strerror}"
            raise InvalidHooks(f"has a hook {hook.name} that cannot be used: {reason}") from None
        except InvalidSetting as error:
            raise InvalidHooks(
                f"has a hook {hook.name} that cannot be used: its ca-file or proxy {error.reason}"
            ) from None
    return hooks


def _check(hook: HookSettings, directory: str) -> None:
    """Refuse a hook that cannot work; raises what its parts raise."""
    if isinstance(hook.target, Webhook):
        _read_secret(hook.target.secret, directory)
        tls_policy(_read_ca(hook.target.ca_file, directory))
        proxy_for(hook.target.url, os.environ)
    elif not os.access(hook.target.command[0], os.X_OK):
        raise PermissionError(
            errno.EACCES, "it is not there, or not a program that may be run", hook.target.command[0]
        )


def _read_secret(place: tuple[str, str] | None, directory: str) -> bytes | None:
    """Return the secret in a place; None without a place. Blocking.

    Raises:
        UnusableSecret: There is none.
    """
    if place is None:
        return None
    kind, name = place
    if kind == "env":
        secret = os.environb.get(os.fsencode(name), b"")
    else:
        try:
            with open(os.path.join(directory, name), "rb") as file:
                secret = file.read(MAXIMUM_SIZE)
        except OSError as error:
            raise UnusableSecret(f"{kind}:{printable(name)}", error.strerror or "it cannot be read") from None
    if not secret.strip():
        raise UnusableSecret(f"{kind}:{printable(name)}", "there is nothing in it")
    return secret.strip()


def _read_ca(path: str | None, directory: str) -> bytes | None:
    if path is None:
        return None
    with open(os.path.join(directory, path), "rb") as file:
        return file.read(MAXIMUM_SIZE)


def _agent(webhook: Webhook, directory: str, runtime: Runtime) -> OutgoingAgent:
    policy = tls_policy(_read_ca(webhook.ca_file, directory))
    return OutgoingAgent(runtime.reactor, HostPolicy(webhook.url), policy, os.environ)
