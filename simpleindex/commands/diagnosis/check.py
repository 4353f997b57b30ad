"""``simpleindex check``: read the directory, the files of sources, users, access and hooks once, and report mistakes."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from simpleindex import __version__
from simpleindex.archives.examination.pool import open_examination
from simpleindex.commands.arguments import Parser
from simpleindex.commands.progress import Progress
from simpleindex.core.errors import RefusedStart
from simpleindex.core.views import LOCAL
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.directory.layout.unserved import sum_up
from simpleindex.directory.scan.digest_cache import DigestCache
from simpleindex.directory.scan.scanner import Scanner
from simpleindex.directory.scan.snapshot import NO_SNAPSHOT, ScanJob
from simpleindex.service.directory_report import catalogue_lines, taken_line
from simpleindex.service.places import excluded_paths, further_directories
from simpleindex.tap import Options
from simpleindex.web.status.status import StatusReport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.config.settings import Settings
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName

_NO_BOUND: Final = 1 << 62
"""Files of a project that are read in one go: no page waits meanwhile."""


def check(words: list[str]) -> int:
    """Print what a server with these options would serve and what not; return the exit status."""
    parser = Parser(
        prog="simpleindex check",
        usage="simpleindex check [options of the server]",
        description="Read the directory and the files of --sources, --users, --access and --hooks once, and print what "
        "would be served and what not. It takes the options of the server (twistd simpleindex --help), best by --config.",
        epilog="Exit status 0: all is right; 1: something is not served, or a mistake; 2: it cannot be read.",
    )
    options = Options()
    options.parseOptions(parser.parse_known_args(words)[1])
    settings = options.settings
    allow_upstream: tuple[str, ...] = ()
    if settings.sources is not None:
        from simpleindex.service.check_sources import check_sources  # noqa: PLC0415  (only with upstreams)

        checked = check_sources(str(settings.sources), str(settings.cache))
        print("\n".join([f"{settings.sources}: {checked.summary}", *checked.notes, *checked.warnings]))
        allow_upstream = checked.allow_upstream
    is_right = True
    if settings.has_logins:
        from simpleindex.commands.diagnosis.check_access import check_access  # noqa: PLC0415  (only with logins)

        lines, is_right = check_access(settings)
        print("\n".join(lines))
    if settings.hooks is not None:
        from simpleindex.hooks.hooks import hooks_line  # noqa: PLC0415  (only with hooks)
        from simpleindex.service.composition.hooks import open_hooks_file  # noqa: PLC0415  (the same)

        print(f"{settings.hooks}: {hooks_line(open_hooks_file(settings.hooks).value)}")
    directories = {LOCAL: settings.require_directory("simpleindex check"), **further_directories(settings)}
    for name, path in directories.items():
        report = read_directory(replace(settings, path=path), name).report
        for line in catalogue_lines(report, str(path)):
            print(line if name == LOCAL else f"{path}: {line}")
        taken = None if settings.sources is None else taken_line(report.names_by_entries, allow_upstream)
        if taken is not None:
            print(taken if name == LOCAL else f"{path}: {taken}")
        is_right = is_right and not report.withheld and not report.passed_over
    return 0 if is_right else 1


@dataclass(frozen=True)
class DirectoryReading:
    """A directory of packages, read once.

    Attributes:
        report: What a server would serve of it and what not.
        spellings: The directories of each project that has several, the one that is preferred first.
    """

    report: StatusReport
    projects: tuple[Project, ...]
    spellings: Mapping[ProjectName, tuple[str, ...]]


def read_directory(settings: Settings, name: str = LOCAL) -> DirectoryReading:
    """Read a directory of packages once, as the server would.

    Args:
        settings: Its ``path`` is the directory.
        name: The directory's name among the sources.

    Raises:
        RefusedStart: The directory cannot be read.
    """
    directory = PackageDirectory(str(settings.path), excluded_paths(settings))
    digests = DigestCache(str(settings.cache), directory.root)
    digests.open()
    examination = open_examination()
    try:
        with Progress(sys.stderr, "projects") as progress:
            return _read_all(
                directory, Scanner(directory, digests, time.time_ns, name, examiner=examination), progress
            )
    except OSError as error:
        raise RefusedStart(f"{settings.path} cannot be read: {error.strerror}.") from None
    finally:
        examination.stop()
        digests.close()


def _read_all(directory: PackageDirectory, scanner: Scanner, progress: Progress) -> DirectoryReading:
    survey = directory.survey()
    projects: list[Project] = []
    passed_over = [*survey.unserved]
    taken = {*survey.directories, *survey.loose, *survey.reserved}
    withheld = [("", name, "name", reason) for name, reason in survey.strays.items()]
    names = sorted({*survey.directories, *survey.loose})
    progress.expect(len(names))
    for name in names:
        places = survey.directories.get(name, ()), survey.loose.get(name, ())
        snapshot = scanner.read_project(ScanJob(name, *places, NO_SNAPSHOT), budget=_NO_BOUND, verify=True)
        progress.advance()
        if snapshot.trouble:
            withheld.append((name, "", "trouble", f"{name} cannot be answered for: {snapshot.trouble}"))
        passed_over += snapshot.unserved
        if snapshot.trouble or snapshot.project is not None:
            taken.discard(name)
        if snapshot.project is not None:
            projects.append(snapshot.project)
            withheld += [(name, item.filename, item.rule, item.reason) for item in snapshot.project.withheld]
    files, size = sum(len(project.files) for project in projects), sum(project.size for project in projects)
    report = StatusReport(
        *(True, None, len(projects), files, size, tuple(withheld), "off", __version__),
        passed_over=sum_up(passed_over),
        names_by_entries=tuple(sorted(taken)),
    )
    spellings = {name: places for name, places in survey.directories.items() if len(places) > 1}
    return DirectoryReading(report, tuple(projects), spellings)
