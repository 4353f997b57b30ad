"""Import projects into a directory: each file is fetched, compared, examined as an upload is, and committed. Blocking."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.examination.limits import NotExamined
from simpleindex.archives.examination.protocol import upload, value_of
from simpleindex.core.errors import CannotStore, Changed, InvalidFilename, InvalidSetting
from simpleindex.core.faults import Fault
from simpleindex.core.model import Status
from simpleindex.core.names import COPIED, PROJECT_FILE, parse_distribution_name
from simpleindex.core.text import human_size
from simpleindex.directory.project_file import InvalidProjectFile
from simpleindex.migration.arrival import Arrival, ArrivedFile, ImportedFile, stated_digest
from simpleindex.migration.errors import ImportStopped, NotImported
from simpleindex.migration.plan import FilesHere, RefusedFile, plan_project
from simpleindex.publishing.copying.copy_plan import copy_note, noted_urls
from simpleindex.publishing.errors import AlreadyExists, NameUsed
from simpleindex.publishing.local.present_files import MomentaryDirectory, StoredFile
from simpleindex.publishing.publisher import spare_of
from simpleindex.system.atomic import storing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from threading import Event

    from simpleindex.access.identity import UploadRules
    from simpleindex.access.rights import Access
    from simpleindex.archives.examination.protocol import Examiner
    from simpleindex.core.files import File
    from simpleindex.core.model import Project
    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.directory_listings import DirectoryEntry
    from simpleindex.directory.layout.package_directory import PackageDirectory
    from simpleindex.directory.scan.digest_cache import DigestCache
    from simpleindex.migration.interface import ImportSource
    from simpleindex.migration.plan import ProjectPlan
    from simpleindex.publishing.local.project_file_writer import ProjectFileWriter
    from simpleindex.publishing.local.staging import StagedUpload
    from simpleindex.publishing.local.writer import Writer

_LARGEST_NOTE: Final = 1 << 24
"""Bytes."""

INVALID: Final = "it is no valid distribution"
"""Begins the reason why a file is refused whose archive is not as an upload has to be."""


@dataclass(frozen=True, slots=True)
class ImportTarget:
    """The directory that files are imported into.

    Attributes:
        writer: Writes files into it.
        project_files: Writes yanks and statuses into it.
        digests: The digests of its files, as a server remembers them.
    """

    directory: PackageDirectory
    writer: Writer
    project_files: ProjectFileWriter
    digests: DigestCache


class Importer:
    """Imports from one source into one directory; used by several threads at once.

    Args:
        source: The other server.
        target: The directory.
        examiner: Examines files.
        access: The rights, of which the checks of uploads are taken; file names of old releases need not be normalized.
        who: The user, for notes.
        stopping: Set when the import is to end.
    """

    def __init__(
        self,
        source: ImportSource,
        target: ImportTarget,
        examiner: Examiner,
        access: Access,
        who: str,
        stopping: Event,
    ) -> None:
        self._source = source
        self._target = target
        self._examiner = examiner
        self._access = access
        self._who = who
        self._stopping = stopping

    def rules(self, name: ProjectName) -> UploadRules:
        """Return the checks of uploads to a project, as far as they hold for what was published elsewhere before."""
        return replace(self._access.upload_rules(name), normalized_names=False)

    def plan(self, name: ProjectName) -> ProjectPlan:
        """Read a project of the source, and decide what is done about each of its files.

        Raises:
            NotImported: It cannot be read.
            CannotStore: The directory cannot be read.
            ImportStopped: The import is to end.
        """
        if self._stopping.is_set():
            raise ImportStopped
        project = self._source.project(name)
        with storing(os.path.join(self._target.directory.root, name)):
            return plan_project(project, self._here(project), self.rules(name))

    def _here(self, project: Project) -> FilesHere:
        name, directory = project.name, MomentaryDirectory(self._target.directory)
        places = directory.places_of(name)
        same: dict[str, bool | None] = {}
        taken: dict[str, str] = {}
        urls = None
        for file in project.files:
            # Before the name becomes part of a path.
            reason = self._invalid(name, file.filename)
            entries = [] if reason else directory.entries_of(places, file.filename)
            entry = next((each for each in entries if not each.trouble), None)
            if entry is None:
                if reason := reason or self._taken(name, file.filename, directory):
                    taken[file.filename] = reason
                continue
            stated = stated_digest(file) or ("sha256", self._source.sha256(name, file))
            if stated[1] is None:
                urls = self._noted_urls(places[0]) if urls is None else urls
                sha256 = self._digest(name, entry)
                same[file.filename] = (
                    True if file.url and urls.get((file.filename, sha256 or "")) == file.url else None
                )
            else:
                same[file.filename] = stated[1] == self._digest(name, entry, stated[0])
        return FilesHere(same, taken)

    def _invalid(self, name: ProjectName, filename: str) -> str | None:
        try:
            parse_distribution_name(filename, name)
        except InvalidFilename as error:
            return error.reason
        return None

    def _digest(self, name: ProjectName, entry: DirectoryEntry, algorithm: str = "sha256") -> str | None:
        """Return the digest of a file that is here; a server that runs over it has read it already."""
        if algorithm != "sha256":
            return self._other_digest(entry, algorithm)
        recalled = self._target.digests.recall(os.path.dirname(entry.path), [entry]).get(entry.path)
        if recalled is not None and recalled[0] == entry.stamp:
            return recalled[1].sha256
        return self._target.writer.digest_of(name, entry.filename)

    def _other_digest(self, entry: DirectoryEntry, algorithm: str) -> str:
        assert entry.stamp is not None  # it has no trouble
        try:
            with os.fdopen(self._target.directory.open_file(entry.path, entry.stamp), "rb") as file:
                return hashlib.file_digest(file, algorithm).hexdigest()
        except (Changed, OSError):
            raise NotImported(f"{entry.filename} is being changed here; run it again") from None

    def _taken(self, name: ProjectName, filename: str, directory: MomentaryDirectory) -> str | None:
        """Return why a name cannot be used here; None if it can."""
        try:
            self._target.writer.judge_name(name, filename, directory)
        except AlreadyExists as error:
            return f"{error.filename} is here, which is the same distribution under another name"
        except NameUsed:
            return (
                f"it was deleted here once, and installers may remember its hash; simpleindex free {name} {filename} "
                "lets it come back"
            )
        return None

    def _noted_urls(self, directories: Iterable[str]) -> dict[tuple[str, str], str]:
        urls: dict[tuple[str, str], str] = {}
        for raw in directories:
            with (
                suppress(OSError),
                open(os.path.join(self._target.directory.root, raw, COPIED), "rb") as note,
            ):
                urls |= noted_urls(note.read(_LARGEST_NOTE))
        return urls

    def mark(self, project: Project) -> None:
        """Set the status of a project that is not here yet.

        Raises:
            NotImported: It is none that can be written.
            CannotStore: It cannot be written.
        """
        if project.status is Status.ACTIVE or not project.files:
            return
        with storing(os.path.join(self._target.directory.root, project.name)):
            is_here = any(self._target.directory.places_of(project.name))
        if not is_here:
            status, reason = project.status, project.status_reason
            try:
                self._target.project_files.set_status(project.name, status, reason, anew=True)
            except (InvalidProjectFile, InvalidSetting) as error:
                raise NotImported(f"its status cannot be written into {PROJECT_FILE}: {error}") from None

    def require_space(self, size: int) -> None:
        """Refuse what would not fit on the disk; as much is kept free as uploads keep.

        Raises:
            CannotStore: There is too little space.
        """
        space = self._target.writer.space()
        left = max(space.free - spare_of(space.total), 0)
        if size > left:
            raise CannotStore(
                f"{space.path} can take {human_size(left)} more, and {human_size(size)} are to come.",
                fault=Fault.FULL,
            )

    def bring(self, name: ProjectName, files: Sequence[File]) -> Iterator[ImportedFile | RefusedFile]:
        """Fetch files of a project, check them, and commit them together, with upload times and yanks; what lies beside them follows.

        Yields:
            What became of each that did not arrive, as soon as it is known, then of each that did.

        Raises:
            CannotStore: They cannot be written; or, if all were yielded, what lies beside them.
            ImportStopped: The import is to end.
            SourceLost: The other server no longer answers.
        """
        self.require_space(sum(file.size or 0 for file in files))
        with ExitStack() as drafts:
            present = MomentaryDirectory(self._target.directory)
            arrived = []
            for file in files:
                draft = drafts.enter_context(self._target.writer.begin())
                try:
                    arrived.append(self._arrived(draft, name, file, present))
                except NotImported as error:
                    yield RefusedFile(name, file.filename, error.reason)
            yield from self._commit(name, arrived)

    def _arrived(
        self, draft: StagedUpload, name: ProjectName, file: File, present: MomentaryDirectory
    ) -> ArrivedFile:
        """Fetch and check a file."""
        rules = self.rules(name)
        self._fetch(draft, name, file, rules)
        digests = draft.digests()
        here = self._target.writer.digest_of(name, file.filename, present)
        if here is None:
            with draft.reader() as reader:
                self._examine(reader.fileno(), draft.size, name, file, rules)
        elif here != digests.sha256:
            raise NotImported("another file of that name is here already, with other bytes")
        return ArrivedFile(file, draft, digests, is_new=here is None)

    def check(self, name: ProjectName, file: File) -> None:
        """Check a file of a source on this machine where it lies, as :meth:`bring` would.

        Raises:
            NotImported: It is not what the source states, or is no valid distribution.
            ImportStopped: The import is to end.
        """
        rules = self.rules(name)
        with closing(self._source.open(name, file)) as content:
            arrived = Arrival(file, rules, self._stopping)
            while data := content.read():
                arrived.add(data)
            arrived.end()
            assert content.descriptor is not None  # it is on this machine
            self._examine(content.descriptor, arrived.size, name, file, rules)

    def _fetch(self, draft: StagedUpload, name: ProjectName, file: File, rules: UploadRules) -> None:
        with closing(self._source.open(name, file)) as content:
            arrived = Arrival(file, rules, self._stopping)
            while data := content.read():
                arrived.add(data)
                draft.write(data)
            arrived.end()
            modified = file.uploaded_ns or content.modified_ns
        if modified:
            draft.date(min(modified, time.time_ns()))

    def _examine(self, descriptor: int, size: int, name: ProjectName, file: File, rules: UploadRules) -> None:
        parsed = parse_distribution_name(file.filename, name)
        try:
            value_of(*self._examiner.examine([upload(descriptor, size, parsed, rules)]))
        except BrokenArchive as error:
            raise NotImported(f"{INVALID}: {error.reason.rstrip('.')}") from None
        except NotExamined as error:
            raise NotImported(f"it cannot be examined now: {error}") from None

    def _commit(
        self, name: ProjectName, arrived: Sequence[ArrivedFile]
    ) -> Iterator[ImportedFile | RefusedFile]:
        """Commit files, after the notes about them: neither may be missing when a file is there."""
        ready = []
        for each in arrived:
            try:
                self._yank(name, each)
                ready.append(each)
            except NotImported as error:
                yield RefusedFile(name, each.file.filename, error.reason)
        drafts = [(each.draft, each.file.filename) for each in ready]
        notes = b"".join(self._note(each) for each in ready if each.is_new)
        writer = self._target.writer
        committed = []
        for each, stored in zip(ready, writer.commit_several(name, drafts, notes), strict=True):
            filename, digests = each.file.filename, each.digests
            if isinstance(stored, StoredFile):
                committed.append((each.file, stored))
                yield ImportedFile(name, filename, digests.sha256, digests.size, stored.created)
            else:
                yield RefusedFile(name, filename, _refusal(stored))
        # After all of them are known to be here: where the disk is full now, they are nevertheless.
        for file, stored in committed:
            for suffix, data in self._source.beside(name, file).items():
                if writer.digest_of(name, file.filename + suffix) is None:
                    writer.put_beside(name, stored, suffix, data)

    def _yank(self, name: ProjectName, arrived: ArrivedFile) -> None:
        file = arrived.file
        if not arrived.is_new or file.yanked is None:
            return
        try:
            self._target.project_files.yank(name, file.filename, file.yanked, anew=True)
        except (InvalidProjectFile, InvalidSetting) as error:
            raise NotImported(f"its yank cannot be written into {PROJECT_FILE}: {error}") from None

    def _note(self, arrived: ArrivedFile) -> bytes:
        file, source = arrived.file, self._source.label
        return copy_note(
            file.filename, arrived.digests.sha256, source=source, url=file.url, who=self._who, now=time.time()
        )


def _refusal(error: AlreadyExists | NameUsed | CannotStore) -> str:
    if isinstance(error, CannotStore):
        return error.reason.rstrip(".")
    return "another writer took its name meanwhile"
