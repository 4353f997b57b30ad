"""``simpleindex copy``: copy a release from a source into a directory of packages, on this machine."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.archives.examination.pool import open_examination
from simpleindex.commands.arguments import Parser, command_user, complain
from simpleindex.commands.cache.judging import reasons_against
from simpleindex.commands.server_options import add_server_options, open_directory, server_settings
from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.errors import RefusedStart
from simpleindex.core.model import Strategy
from simpleindex.core.text import human_size, one_of, plural
from simpleindex.core.views import LOCAL
from simpleindex.directory.scan.digest_cache import DigestCache
from simpleindex.publishing.copying.copy import Copier
from simpleindex.publishing.copying.copy_plan import parse_release, select_files
from simpleindex.publishing.copying.copy_sources import DirectoryCopySource, UpstreamCopySource
from simpleindex.publishing.errors import AlreadyExists, NameUsed
from simpleindex.publishing.local.project_file_writer import ProjectFileWriter
from simpleindex.publishing.local.writer import Writer
from simpleindex.records.audit.audit import Audit
from simpleindex.system.followed_file import read_named_file
from simpleindex.upstreams.cache.cache import UpstreamCache
from simpleindex.upstreams.cache.pins import Pins
from simpleindex.upstreams.modes import Mode
from simpleindex.views.sources_file import Sources, parse_sources

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from simpleindex.archives.examination.protocol import Examiner
    from simpleindex.config.settings import Settings
    from simpleindex.core.files import File
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.package_directory import PackageDirectory
    from simpleindex.publishing.copying.copy import CopiedFile
    from simpleindex.publishing.copying.copy_sources import CopySource
    from simpleindex.upstreams.settings import UpstreamSettings

_DESCRIPTION: Final = (
    "Copy a release from a source into one of your directories. A source is 'local' (--path), a [[directory]] of the sources "
    "file, or, to copy from, an [[upstream]], of which the files in --cache are taken. Every byte is checked against the hash that the "
    "source lists. Rules for upstreams do not prevent it; the command reports files that they would withhold."
)


def copy(words: list[str]) -> int:
    """Copy a release; return the exit status."""
    given = _parse(words)
    examination = open_examination()
    try:
        for line in _copy(given, examination):
            print(line)
    except AlreadyExists as error:
        what = "with other bytes" if error.offered is None else f"which is {error.offered} under another name"
        raise RefusedStart(
            f"Nothing was copied: {given.to} has {error.filename} {what}, sha256 {error.sha256}."
        ) from None
    except NameUsed as error:
        raise RefusedStart(
            f"Nothing was copied: {error.filename} was deleted from {given.to} once, and installers may remember its hash; "
            f"simpleindex free {parse_release(given.release)[0]} {error.filename} lets it come back."
        ) from None
    finally:
        examination.stop()
    return 0


def _parse(words: list[str]) -> argparse.Namespace:
    parser = Parser(prog="simpleindex copy", description=_DESCRIPTION)
    parser.add_argument("release", metavar="NAME==VERSION", help="what is copied")
    parser.add_argument("--from", required=True, metavar="SOURCE", dest="source", help="from where")
    parser.add_argument("--to", required=True, metavar="SOURCE", help="into which of your directories")
    parser.add_argument(
        "--file", metavar="NAME", action="append", default=[], help="only this file of it; may be repeated"
    )
    parser.add_argument("--dry-run", action="store_true", help="only print what would be copied")
    add_server_options(parser, "path", "state", "cache", "config", "sources")
    return parser.parse_args(words)


@dataclass(frozen=True, slots=True)
class _Sources:
    """The sources of a server."""

    settings: Settings
    file: Sources
    directories: dict[str, Path]
    upstreams: dict[str, UpstreamSettings]

    def directory(self, name: str) -> PackageDirectory:
        """Return a local directory.

        Raises:
            RefusedStart: There is none of that name, or it cannot be read.
        """
        if name in self.upstreams:
            raise RefusedStart(
                f"--to: {name} is an upstream; only local and the directories of the sources file take files"
            )
        return open_directory(self.settings, self.directories, name)

    def origin(self, name: str, examiner: Examiner) -> CopySource:
        """Return a source to copy from; the end of the process closes it.

        Raises:
            RefusedStart: There is none of that name, or it cannot be read.
        """
        if name not in self.upstreams and name not in self.directories:
            known = (*self.directories, *self.upstreams)
            raise RefusedStart(f"--from: there is no source {name!r}{one_of(name, known)}")
        if (upstream := self.upstreams.get(name)) is not None:
            cache = UpstreamCache(str(self.settings.cache))
            pins = Pins(str(self.settings.state))
            return UpstreamCopySource(cache, pins, upstream.identity, name, flat=upstream.flat)
        directory = self.directory(name)
        digests = DigestCache(str(self.settings.cache), directory.root)
        digests.open()
        return DirectoryCopySource(directory, digests, name, examiner=examiner)


def _sources(given: argparse.Namespace) -> _Sources:
    settings = server_settings(given)
    file = Sources()
    directories = {LOCAL: settings.require_directory("simpleindex copy")}
    if settings.sources is not None:
        file = read_named_file(settings.sources, parse_sources)
        directories |= {each.name: settings.sources.parent / each.path for each in file.directories}
    return _Sources(settings, file, directories, {each.name: each for each in file.upstreams})


def _copy(given: argparse.Namespace, examiner: Examiner) -> Iterator[str]:
    sources = _sources(given)
    name, version = parse_release(given.release)
    target = sources.directory(given.to)
    if given.source == given.to:
        raise RefusedStart(f"--from and --to are both {given.to}")
    origin = sources.origin(given.source, examiner)
    project = origin.project(name)
    files = select_files(project, given.source, version, given.file)
    copier = Copier(
        origin, given.source, Writer(target), ProjectFileWriter(target), command_user(), examiner=examiner
    )
    _refuse_missing(copier.missing(name, files), given, len(files), sources.upstreams.get(given.source))
    for sentence in _withheld(sources, given.source, project, files):
        complain(f"{sentence} It is copied all the same." if not given.dry_run else sentence)
    if given.dry_run:
        yield from (f"Would copy {file.filename}, {_size(file)}." for file in files)
        return
    is_new = not any(target.places_of(name)) and given.source in sources.upstreams
    copied: list[CopiedFile] = []
    try:
        for each in copier.copy(name, files):
            copied.append(each)  # noqa: PERF402  (those before an error count)
    finally:
        _record(sources.settings, name, copied, given)
        yield from (_sentence(each, given.to) for each in copied)
        # Also where the disk was full after the directory was made: it is what makes the name local.
        if is_new and _is_here(target, name):
            yield _local_from_now_on(name, given, sources.file)


def _refuse_missing(
    missing: Sequence[str], given: argparse.Namespace, of: int, upstream: UpstreamSettings | None
) -> None:
    if not missing:
        return
    if upstream is not None and upstream.mode is not Mode.CACHE:
        raise RefusedStart(
            f"Nothing was copied: files of {upstream.name} are not cached, because its mode is {upstream.mode.value}"
        )
    raise RefusedStart(
        f"Nothing was copied: of {plural(of, 'file')} these are not in the cache: {', '.join(missing)}. "
        f"To fetch them, write {given.release} into a file and run simpleindex cache warm --all FILE; or choose others with --file."
    )


def _withheld(sources: _Sources, source: str, project: Project, files: Sequence[File]) -> Sequence[str]:
    """Return why rules would withhold these files, as sentences."""
    if not sources.file.rules:
        return ()
    return reasons_against(sources.settings, source, project, {file.filename for file in files})


def _record(
    settings: Settings, name: ProjectName, copied: Sequence[CopiedFile], given: argparse.Namespace
) -> None:
    audit = Audit(str(settings.state))
    for each in copied:
        if each.created:
            where = f" ({each.url})" if each.url else ""
            audit.record(
                AuditEntry(
                    "copy",
                    who=command_user(),
                    project=name,
                    filename=each.file.filename,
                    digest=each.sha256,
                    detail=f"from {given.source}{where} to {given.to}",
                )
            )
    audit.close()


def _sentence(copied: CopiedFile, to: str) -> str:
    if not copied.created:
        return f"{copied.file.filename} is in {to} already."
    beside = f", with its {', '.join(copied.beside)}" if copied.beside else ""
    yanked = "; it is yanked there too" if copied.file.yanked is not None else ""
    return f"Copied {copied.file.filename} into {to}{beside}, {_size(copied.file)}, sha256 {copied.sha256}{yanked}."


def _local_from_now_on(name: ProjectName, given: argparse.Namespace, file: Sources) -> str:
    sentence = f"{name} is a local project from now on, so the index no longer asks upstreams for it"
    if file.strategy is Strategy.MERGE:
        return f"{sentence} unless allow-upstream names it."
    return f"{sentence}: its other releases in {given.source} are not offered. To merge both, see strategy and allow-upstream."


def _is_here(target: PackageDirectory, name: ProjectName) -> bool:
    with suppress(OSError):
        return any(target.places_of(name))
    return False


def _size(file: File) -> str:
    return "of unknown size" if file.size is None else human_size(file.size)
