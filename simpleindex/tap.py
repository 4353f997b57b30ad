"""What twistd asks for: the options of ``twistd simpleindex`` and the service that they make.

It imports the global reactor, inside a function; beside it only the program of a worker does.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from twisted.python import usage

from simpleindex import __version__
from simpleindex.config.options import OPTION_NAMES, OPTIONS
from simpleindex.config.resolution import resolve
from simpleindex.core.errors import RefusedStart
from simpleindex.core.text import nearest
from simpleindex.system.descriptors import discard_output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twisted.application.service import IService

    from simpleindex.config.option import Option
    from simpleindex.config.settings import Settings
    from simpleindex.service.workers.supervisor import WorkerSupervisor


class Options(usage.Options):
    """The command line: the options that were given there. Environment, configuration file and defaults come later."""

    settings: Settings

    def __init__(self) -> None:
        self.command_line: dict[str, object] = {}
        self.directory = Path.cwd()
        super().__init__()

    def opt_help(self) -> NoReturn:
        """Print the help."""
        try:
            sys.stdout.write(f"{self}\n")
            sys.stdout.flush()
        except BrokenPipeError:
            discard_output()
        raise SystemExit(0)

    def opt_version(self) -> NoReturn:
        """Print the version; Twisted would print its own."""
        sys.stdout.write(f"simpleindex {__version__}\n")
        raise SystemExit(0)

    def getUsage(self, width: int | None = None) -> str:
        # Twisted's own sorts fifty options by name, in half the width of a terminal.
        from simpleindex.config.help_text import server_usage  # noqa: PLC0415  (for --help only)

        return server_usage(width)

    def parseOptions(self, options: Any = None) -> None:
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            # Twisted would print the whole usage before this sentence.
            word = next((word for word in str(error).split() if word.startswith("--")), "").lstrip("-")
            near = (
                f"; did you mean --{nearest(word, OPTION_NAMES)}?"
                if word and nearest(word, OPTION_NAMES) not in (None, word)
                else ""
            )
            raise SystemExit(
                f"simpleindex: {error}{near} (twistd simpleindex --help lists every option)"
            ) from None

    def postOptions(self) -> None:
        # Paths become absolute here: a daemon changes directory later.
        try:
            self.settings = self.resolve()
        except RefusedStart as error:
            raise SystemExit(f"simpleindex: {error}") from None

    def resolve(self, *, root_may_be_gone: bool = False) -> Settings:
        """Decide every option, now or again.

        Raises:
            RefusedStart: Something cannot be obeyed.
        """
        return resolve(self.command_line, os.environ, self.directory, root_may_be_gone=root_may_be_gone)


def _taker(option: Option) -> Callable[..., None]:
    def take(self: Options, text: str) -> None:
        if option.repeatable:
            self.command_line[option.name] = (*self.command_line.get(option.name, ()), text)  # type: ignore[misc]
        else:
            self.command_line[option.name] = text

    def take_flag(self: Options) -> None:
        self.command_line[option.name] = True

    taker: Callable[..., None] = take_flag if option.flag else take
    return taker


for _option in OPTIONS:
    # usage.Options finds options by the names of its class's methods.
    setattr(Options, f"opt_{_option.field}", _taker(_option))


def makeService(options: Any) -> IService:
    """Make the service; called by twistd before it changes directory, forks and drops its privileges."""
    # What is imported and composed stays; the collector's visits to it were 6 % of a start.
    gc.disable()
    try:
        return _make_service(options)
    finally:
        gc.freeze()
        gc.enable()


def _make_service(options: Any) -> IService:
    from twisted.internet import reactor  # noqa: PLC0415

    from simpleindex.service.ending import THREAD_SECONDS, Patience, bound_joins, end_by_force  # noqa: PLC0415
    from simpleindex.service.log_lines import foreground_observer  # noqa: PLC0415  (the same)
    from simpleindex.service.process import ServiceProcess, as_daemon, in_the_foreground  # noqa: PLC0415
    from simpleindex.service.service import IndexService  # noqa: PLC0415  (after the reactor has been chosen)
    from simpleindex.service.state import look_for_others  # noqa: PLC0415
    from simpleindex.system.clocks import keep_steady  # noqa: PLC0415
    from simpleindex.system.threads import core_count  # noqa: PLC0415

    keep_steady(reactor)
    # Until the service's own is set, a SIGHUP (an ExecReload that comes early) would end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    parent = options.parent or {}
    try:
        owner = parent.get("uid"), parent.get("gid")
        refusal = in_the_foreground if parent.get("nodaemon") else as_daemon
        process = ServiceProcess(refusal, end_by_force)
        look_for_others(options.settings)
        service: IndexService | WorkerSupervisor
        if (workers := options.settings.workers or core_count()) > 1:
            from simpleindex.service.workers.supervisor import WorkerSupervisor  # noqa: PLC0415  (only with --workers)

            settings = replace(options.settings, workers=workers)
            given = options.command_line, str(options.directory)
            service = WorkerSupervisor(settings, given, options.resolve, reactor, owner, process)
        else:
            service = IndexService(options.settings, options.resolve, reactor, owner, process)
        # The reactor's own threads look up names, for as long as the resolver likes.
        bound_joins(reactor.getThreadPool(), Patience(THREAD_SECONDS))  # type: ignore[attr-defined]
    except RefusedStart as error:
        raise SystemExit(f"simpleindex: {error}") from None
    if _logs_to_stdout(parent):
        service.observer = foreground_observer(os.environ)
    return service


def _logs_to_stdout(twistd: Mapping[str, Any]) -> bool:
    """Tell whether twistd, by its options, would log to the standard output in its own format."""
    is_elsewhere = (
        twistd.get("syslog") or twistd.get("logger") or twistd.get("logfile") not in (None, "", "-")
    )
    return bool(twistd.get("nodaemon")) and not is_elsewhere
