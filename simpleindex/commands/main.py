"""The ``simpleindex`` command: finds the function of a sub-command, and turns its errors into sentences and exit statuses."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Final

from simpleindex import __version__
from simpleindex.core.errors import SimpleIndexError
from simpleindex.system.descriptors import discard_output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

USAGE: Final = """\
usage: simpleindex COMMAND [options]

Look:
  check                       what would be served and what not, once, without a
                              server
  doctor                      what is wrong with the server and its machine,
                              running or not, and the command that mends it
  why NAME [VERSION]          why a project or a version is offered or not: the
                              rule, and when it ends
  access NAME                 who may do what with a project, and by which rule
  log [NAME [VERSION]]        what happened, and who did it: uploads, yanks,
                              tokens, failed logins
  downloads [NAME [VERSION]]  how often files were downloaded, by version, day,
                              client, user or file
  who NAME [VERSION|FILE]     who downloaded it, when, and from where
  certificates                the server's certificates: names, end, and when
                              --acme renews them
  cache ls                    files kept from other indexes; also: cache why,
                              warm, prune, pin, unpin
  docs [TOPIC]                print a guide, or the list of guides

Set up:
  systemd-unit                print a systemd unit for a server with these
                              options
  passwd USER                 set a user's password in the file of --users;
                              --delete removes the user
  token create                create a token, for machines; its secret is
                              printed once; also: token list, revoke
  import --from URL|PATH      bring files, yanks and users of another index
                              server: devpi, pypiserver, bandersnatch,
                              pypicloud, any simple index
  records copy                move tokens, owners and names to PostgreSQL, or
                              back

Publish:
  yank NAME VERSION|FILE      have installers skip a version or a file
  unyank NAME VERSION|FILE    revert a yank
  status NAME STATUS          set a project's status: active, archived,
                              deprecated or quarantined
  delete NAME VERSION|FILE    move a version or a file to the trash; its name
                              stays used
  undelete NAME FILE          take a deleted file out of the trash
  free NAME FILE              let a deleted file's name be used again
  purge                       remove for good what was deleted 30 days ago or
                              more
  copy NAME==VERSION          copy a release between your directories, or from
                              the cache of an upstream (--from SOURCE --to
                              SOURCE)

Exempt from the rules for upstreams:
  allow NAME[==VERSION]       for some time: --for 2h --reason TEXT; --list
                              lists
  disallow NAME[==VERSION]    end that early

Back up:
  backup DEST                 back up packages, records, certificates and
                              configuration while the server runs
  restore BACKUP              restore a backup; --verify proves that it can be
                              restored

simpleindex COMMAND --help has the options of a command. Every command finds the
server by the file that SIMPLEINDEX_CONFIG names, or --config FILE. Those that
publish work on the served directory (--path), or, except purge and copy, over
HTTPS with --index-url and a token.

The server itself: twistd -n simpleindex --path . --https 443
Its options:       twistd simpleindex --help
"""

_COMMANDS: Final = {
    "check": "diagnosis.check:check",
    "doctor": "diagnosis.doctor:doctor",
    "backup": "backup.backup:backup",
    "restore": "backup.restore:restore",
    "systemd-unit": "server.systemd_unit:systemd_unit",
    "passwd": "accounts.passwd:passwd",
    "token": "accounts.tokens:token",
    "access": "accounts.access:access",
    "why": "policy.why:why",
    "copy": "publishing.copying:copy",
    "import": "migration.importing:import_index",
    "cache": "cache.cache:cache",
    "allow": "policy.allowances:allow",
    "disallow": "policy.allowances:disallow",
    "downloads": "audit.downloads:downloads",
    "who": "audit.who:who",
    "log": "audit.log:log",
    "certificates": "server.certificates:certificates",
    "records": "server.records:records",
    "docs": "guides:docs",
    "yank": "publishing.changing:yank",
    "unyank": "publishing.changing:unyank",
    "status": "publishing.changing:status",
    "delete": "publishing.changing:delete",
    "undelete": "publishing.changing:undelete",
    "free": "publishing.changing:free",
    "purge": "publishing.changing:purge",
}
"""The module below ``simpleindex.commands`` and the function of each command; imported when it runs, for a quick start.

Each takes the words behind the command, prints, and returns the exit status. Where nothing can be done it raises a
:class:`~simpleindex.core.errors.SimpleIndexError`, whose sentence :func:`main` prints.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    try:
        status = _main(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        return 1
    return status


def _main(arguments: Sequence[str] | None) -> int:
    name, *words = [*(sys.argv[1:] if arguments is None else arguments)] or [""]
    if name in ("", "help", "-h", "--help"):
        print(USAGE, end="")
        return 0 if name else 2
    if name == "--version":
        print(f"simpleindex {__version__}")
        return 0
    if name not in _COMMANDS:
        print(
            f"simpleindex: there is no command {name!r}; the commands are {', '.join(_COMMANDS)}.",
            file=sys.stderr,
        )
        return 2
    try:
        return _run(_command(name), words)
    except SimpleIndexError as error:
        # Who runs a command on the directory is the operator, whom the sentence for clients would send away.
        print(f"simpleindex: {error.for_operator()}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("simpleindex"):
            raise  # No library, but a mistake of ours.
        from simpleindex.system.extras import missing  # noqa: PLC0415  (for this sentence only)

        print(f"simpleindex: {missing(error.name, 'publish')}", file=sys.stderr)
        return 2
    except SystemExit as refusal:
        # Wrong options end twistd with a sentence, and so with status 1, which here means that something is not offered.
        if not isinstance(refusal.code, str):
            return refusal.code or 0
        print(refusal.code, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        from simpleindex.commands.progress import INTERRUPTED  # noqa: PLC0415  (it has printed what is left)

        return INTERRUPTED


def _command(name: str) -> Callable[[list[str]], int]:
    module, _, function = _COMMANDS[name].partition(":")
    command: Callable[[list[str]], int] = getattr(import_module(f"simpleindex.commands.{module}"), function)
    return command


def _run(command: Callable[[list[str]], int], words: list[str]) -> int:
    from simpleindex.commands.arguments import complain  # noqa: PLC0415  (not for usage and --version)
    from simpleindex.system.log import log_to  # noqa: PLC0415

    with log_to(complain), _ends_as_by_ctrl_c():
        return command(words)


@contextmanager
def _ends_as_by_ctrl_c() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a command as ^C does, so that it removes what is unfinished."""
    before = {
        number: signal.signal(number, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP)
        # nohup ignores SIGHUP.
        if signal.getsignal(number) is signal.SIG_DFL
    }
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)
