"""The ``simpleindex`` command: everything that is not serving (that is ``twistd simpleindex``)."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from simpleindex import __version__
from simpleindex.archives.examination.pool import open_examination
from simpleindex.commands.arguments import complain
from simpleindex.commands.systemd_unit import unit_text
from simpleindex.core.errors import RefusedStart
from simpleindex.core.packed import total_size
from simpleindex.core.views import LOCAL
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.directory.layout.unserved import sum_up
from simpleindex.directory.scan.digest_cache import DigestCache
from simpleindex.directory.scan.scanner import NO_SHELF, Scanner
from simpleindex.service.places import excluded_paths, further_directories
from simpleindex.service.report import catalogue_lines, taken_line
from simpleindex.system.log import log_to
from simpleindex.tap import Options
from simpleindex.web.status import StatusReport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simpleindex.archives.examination.requests import Examiner
    from simpleindex.config.settings import Settings
    from simpleindex.core.model import File

USAGE: Final = """\
usage: simpleindex COMMAND [options]

  check          read the directory and the files of --sources, --users and --access once, say what would be served and what
                 not, and exit: 0 if all is right, 1 if something is not served or a mistake, 2 if it cannot be read
  systemd-unit   print a systemd unit for these options (with --socket: a socket and its service)
  passwd USER    set a user's password in the file of --users, or take the user out with --delete
  token create   make a token for uploads and logins by machines; its secret is printed once
  token list     list tokens: whose they are, what they can do, when they end and were last used
  token revoke   end a token at once
  access NAME    say who may do what with a project, and by which rule
  cache ls       list what is kept of other indexes; cache warm, why, prune: see cache --help
  why NAME       say why a project, or NAME VERSION, is or is not offered: by which rule, until when

  allow NAME[==VERSION]      exempt it from the rules for other indexes for a time (--for 2h --reason TEXT); --list
  disallow NAME[==VERSION]   end that before its time

  yank NAME VERSION|FILE     have installers pass over a version or a file; unyank takes it back
  status NAME STATUS         set a project's status: active, archived, deprecated or quarantined
  delete NAME VERSION|FILE   move a version or a file to the trash; its name stays used
  restore NAME FILE          take a deleted file out of the trash
  free NAME FILE             let a deleted file's name be used again
  purge                      remove for good what was deleted 30 days ago or more

  copy NAME==VERSION --from SOURCE --to SOURCE
                             copy a release between your directories, or from what is kept of an upstream

  docs [TOPIC]               print a guide, or the list of guides

Every command finds the server's options in the file that SIMPLEINDEX_CONFIG names, or by --config FILE.
All but purge and copy work on the served directory (--path), or with --index-url and a token over HTTPS.
The options of check and systemd-unit are those of the server: twistd simpleindex --help lists them. Every other command
tells its own: simpleindex yank --help.
The server itself:  twistd -n simpleindex --path . --https 443
"""

_CHANGING: Final = ("yank", "unyank", "status", "delete", "restore", "free", "purge")
_WITH_OWN_HELP: Final = ("copy", "passwd", "token", "access", "why", "cache", "allow", "disallow", *_CHANGING)

# Reads everything in one go: nobody waits for a page meanwhile.
_NO_BOUND: Final = 1 << 62


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    commands: dict[str, Callable[[list[str]], int]] = {
        "check": _check,
        "systemd-unit": _systemd_unit,
        "passwd": _passwd,
        "token": _token,
        "access": _access,
        "why": _why,
        "copy": _copy,
        "cache": _cache,
        "allow": _allow,
        "disallow": _disallow,
        "docs": _docs,
        **{name: partial(_change, name) for name in _CHANGING},
    }
    if not words or words[0] == "help" or ({"-h", "--help"} & {*words} and words[0] not in _WITH_OWN_HELP):
        print(USAGE, end="")
        return 0 if words else 2
    if words[0] == "--version":
        print(f"simpleindex {__version__}")
        return 0
    command = commands.get(words[0])
    if command is None:
        print(
            f"simpleindex: there is no command {words[0]!r}; there are {', '.join(commands)}.",
            file=sys.stderr,
        )
        return 2
    try:
        if words[0] == "check":
            return command(words[1:])
        with log_to(complain):
            return command(words[1:])
    except RefusedStart as error:
        print(f"simpleindex: {error}", file=sys.stderr)
        return 2
    except SystemExit as refusal:
        # Wrong options end twistd with a sentence, and so with status 1, which here says that something is withheld.
        if not isinstance(refusal.code, str):
            return refusal.code or 0
        print(refusal.code, file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read it has read enough (head, less); the interpreter must not try once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _docs(words: list[str]) -> int:
    from simpleindex.commands.documents import docs  # noqa: PLC0415  (only when asked for)

    return docs(words)


def _check(words: list[str]) -> int:
    options = Options()
    options.parseOptions(words)
    settings = options.settings
    allow_upstream: tuple[str, ...] = ()
    if settings.sources is not None:
        from simpleindex.service.check_sources import check_sources  # noqa: PLC0415  (only with upstreams)

        text, allow_upstream = check_sources(str(settings.sources), str(settings.cache))
        print(text)
    is_right = True
    if settings.has_logins:
        from simpleindex.commands.people_check import check_people  # noqa: PLC0415  (only with people)

        lines, is_right = check_people(settings)
        print("\n".join(lines))
    directories = {LOCAL: settings.path, **further_directories(settings)}
    for name, path in directories.items():
        report = check(replace(settings, path=path), name)
        for line in catalogue_lines(report, str(path)):
            print(line if name == LOCAL else f"{path}: {line}")
        taken = None if settings.sources is None else taken_line(report.taken, allow_upstream)
        if taken is not None:
            print(taken if name == LOCAL else f"{path}: {taken}")
        is_right = is_right and not report.withheld and not report.passed_over
    return 0 if is_right else 1


def _systemd_unit(words: list[str]) -> int:
    print(unit_text(words, Path(sys.prefix), Path.cwd()), end="")
    return 0


def _passwd(words: list[str]) -> int:
    from simpleindex.commands.passwd import passwd  # noqa: PLC0415  (only with people)

    return passwd(words)


def _token(words: list[str]) -> int:
    from simpleindex.commands.tokens import token  # noqa: PLC0415  (only with people)

    return token(words)


def _access(words: list[str]) -> int:
    from simpleindex.commands.access import access  # noqa: PLC0415  (only with people)

    return access(words)


def _why(words: list[str]) -> int:
    from simpleindex.commands.why import why  # noqa: PLC0415  (it asks another process)

    return why(words)


def _cache(words: list[str]) -> int:
    from simpleindex.commands.cache import cache  # noqa: PLC0415  (only with upstreams)

    return cache(words)


def _allow(words: list[str]) -> int:
    from simpleindex.commands.allowances import allow  # noqa: PLC0415  (only with rules)

    return allow(words)


def _disallow(words: list[str]) -> int:
    from simpleindex.commands.allowances import disallow  # noqa: PLC0415  (only with rules)

    return disallow(words)


def _copy(words: list[str]) -> int:
    from simpleindex.commands.copying import copy  # noqa: PLC0415  (only with other sources)

    return copy(words)


def _change(command: str, words: list[str]) -> int:
    from simpleindex.commands.changing import change  # noqa: PLC0415  (only with people)

    return change(command, words)


def check(settings: Settings, name: str = LOCAL) -> StatusReport:
    """Read the whole directory once, as the server would.

    Args:
        settings: Name it.
        name: What it is called among the sources.

    Raises:
        RefusedStart: It cannot be read.
    """
    directory = PackageDirectory(str(settings.path), excluded_paths(settings))
    digests = DigestCache(
        str(settings.cache), directory.root, lambda sentence: print(sentence, file=sys.stderr)
    )
    digests.open()
    examination = open_examination(partial(print, file=sys.stderr))
    try:
        return _read_all(directory, digests, examination, name)
    except OSError as error:
        raise RefusedStart(f"{settings.path} cannot be read: {error.strerror}.") from None
    finally:
        examination.stop()
        digests.close()


def _read_all(
    directory: PackageDirectory, digests: DigestCache, examiner: Examiner, source: str
) -> StatusReport:
    survey = directory.survey()
    reader = Scanner(directory, digests, time.time_ns, source, examiner=examiner)
    projects = 0
    files: list[File] = []
    passed_over = [*survey.unserved]
    taken = {*survey.directories, *survey.loose, *survey.reserved}
    withheld = [("", name, "name", reason) for name, reason in survey.strays.items()]
    for name in sorted({*survey.directories, *survey.loose}):
        places = survey.directories.get(name, ()), survey.loose.get(name, ())
        shelf = reader.read_project(name, *places, NO_SHELF, budget=_NO_BOUND, generation=0, verify=True)
        if shelf.trouble:
            withheld.append((name, "", "trouble", f"{name} cannot be answered for: {shelf.trouble}"))
        passed_over += shelf.unserved
        if shelf.trouble or shelf.project is not None:
            taken.discard(name)
        if shelf.project is not None:
            projects += 1
            files += shelf.project.files
            withheld += [(name, item.filename, item.rule, item.reason) for item in shelf.project.withheld]
    size = total_size(files)
    return StatusReport(
        *(True, None, projects, len(files), size, tuple(withheld), "off", __version__),
        passed_over=sum_up(passed_over),
        taken=tuple(sorted(taken)),
    )
