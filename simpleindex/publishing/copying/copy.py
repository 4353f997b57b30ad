"""Copy releases into a directory, from another directory or from the cache of an upstream. Blocking.

Every file is hashed and examined before the first of them is listed.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.examination.limits import NotExamined
from simpleindex.archives.examination.protocol import distribution, value_of
from simpleindex.core.errors import Changed
from simpleindex.publishing.copying.copy_plan import copy_note
from simpleindex.publishing.errors import AlreadyExists, NotCopied

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from simpleindex.archives.examination.protocol import Examiner
    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.publishing.copying.copy_sources import CopySource
    from simpleindex.publishing.local.project_file_writer import ProjectFileWriter
    from simpleindex.publishing.local.staging import StagedUpload
    from simpleindex.publishing.local.writer import Writer

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """A copied file.

    Attributes:
        file: The file, as the source lists it.
        sha256: Its digest.
        created: Whether it is new in the directory.
        beside: Suffixes of the side files that were copied with it.
        url: The URL from which the source has it.
    """

    file: File
    sha256: str
    created: bool
    beside: tuple[str, ...]
    url: str | None


class Copier:
    """Copies into a directory."""

    def __init__(
        self,
        origin: CopySource,
        source: str,
        writer: Writer,
        project_files: ProjectFileWriter,
        who: str,
        *,
        examiner: Examiner,
    ) -> None:
        self._origin = origin
        self._source = source
        self._writer = writer
        self._project_files = project_files
        self._who = who
        self._examiner = examiner

    def missing(self, name: ProjectName, files: Sequence[File]) -> tuple[str, ...]:
        """Return the names of the files whose content is not stored here."""
        names = []
        for file in files:
            opened = self._origin.open(name, file)
            if opened is None:
                names.append(file.filename)
            else:
                opened.close()
        return tuple(names)

    def copy(self, name: ProjectName, files: Sequence[File]) -> Iterator[CopiedFile]:
        """Copy files of a project: all of them, or none if one is not valid; yield each as soon as it is there.

        Upload times and yanks are kept; a yank is written before its file.

        Raises:
            NotCopied: The content of a file is missing, is not what the source lists, or could not be served.
            AlreadyExists: Another file has its name, or the distribution exists under another name.
            NameUsed: A deleted file had its name, or another spelling of it.
            CannotStore: A file cannot be written; those before it are copied.
        """
        with ExitStack() as drafts:
            received = [(file, drafts.enter_context(self._receive(name, file))) for file in files]
            beside = [self._beside(name, file) for file in files]
            existing = [self._exists(name, file, draft) for file, draft in received]
            for (file, draft), further, exists in zip(received, beside, existing, strict=True):
                yield from self._commit(name, file, draft, further, exists=exists)

    def _receive(self, name: ProjectName, file: File) -> StagedUpload:
        draft = self._writer.begin()
        try:
            self._fill(draft, name, file)
            if file.uploaded_ns is not None:
                draft.date(file.uploaded_ns)
            sha256 = draft.finish().sha256
            if sha256 != file.sha256:
                raise NotCopied(
                    f"{file.filename} is not the file that {self._source} lists: its sha256 is {sha256}, not {file.sha256}"
                )
            with draft.reader() as reader:
                request = distribution(reader.fileno(), draft.size, file.filename, name)
                value_of(*self._examiner.examine([request]))
        except BrokenArchive as error:
            draft.discard()
            raise NotCopied(f"{file.filename} would not be served: {error}") from None
        except NotExamined as error:
            draft.discard()
            raise NotCopied(f"{file.filename} cannot be examined now: {error}") from None
        except BaseException:
            draft.discard()
            raise
        return draft

    def _fill(self, draft: StagedUpload, name: ProjectName, file: File) -> None:
        with self._reading(file):
            opened = self._origin.open(name, file)
        if opened is None:
            raise NotCopied(f"{file.filename} is not kept here")
        with opened:
            while True:
                with self._reading(file):
                    data = opened.read(_CHUNK)
                if not data:
                    return
                draft.write(data)

    def _beside(self, name: ProjectName, file: File) -> Mapping[str, bytes]:
        with self._reading(file):
            return self._origin.beside(name, file)

    @contextmanager
    def _reading(self, file: File) -> Iterator[None]:
        try:
            yield
        except (Changed, OSError):
            raise NotCopied(
                f"{file.filename} is changing in {self._source}, or cannot be read there now"
            ) from None

    def _exists(self, name: ProjectName, file: File, draft: StagedUpload) -> bool:
        """Return whether the same file exists already; refuse a file that may not be added."""
        sha256 = self._writer.digest_of(name, file.filename)
        if sha256 is not None and sha256 != draft.finish().sha256:
            raise AlreadyExists(file.filename, sha256)
        if sha256 is None:
            self._writer.judge_name(name, file.filename)
        return sha256 is not None

    def _commit(
        self,
        name: ProjectName,
        file: File,
        draft: StagedUpload,
        beside: Mapping[str, bytes],
        *,
        exists: bool,
    ) -> Iterator[CopiedFile]:
        sha256, url = draft.finish().sha256, self._origin.url(name, file)
        if not exists:
            # Before the file exists: a yank must not come late, and the note of the file's origin must not be missing.
            if file.yanked is not None:
                self._project_files.yank(name, file.filename, file.yanked, anew=True)
            now = time.time()
            note = copy_note(file.filename, sha256, source=self._source, url=url, who=self._who, now=now)
            self._writer.note(name, note)
        committed = self._writer.commit(draft, name, file.filename, formats_may_differ=True)
        # Some may be missing although the file exists: an earlier copy may have been interrupted.
        added: list[str] = []
        try:
            for suffix, data in beside.items():
                if self._writer.digest_of(name, file.filename + suffix) is None:
                    self._writer.put_beside(name, committed, suffix, data)
                    added.append(suffix)
        finally:
            # The file is served, also where what lies beside it cannot be written.
            yield CopiedFile(file, sha256, committed.created, tuple(added), url)
