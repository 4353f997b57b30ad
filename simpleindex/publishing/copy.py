"""Copying releases into a directory: from another one, or from what is kept of an upstream index. Blocking.

Every byte is hashed on its way, and all files are there and proven before the first of them is listed.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.archives.examination.limits import NotExamined
from simpleindex.archives.examination.requests import distribution, value_of
from simpleindex.core.errors import AlreadyExists, BrokenArchive, Changed, NotCopied
from simpleindex.publishing.copy_plan import copy_note

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from simpleindex.archives.examination.requests import Examiner
    from simpleindex.core.model import File
    from simpleindex.core.names import ProjectName
    from simpleindex.publishing.copy_sources import CopySource
    from simpleindex.publishing.project_file_writer import ProjectFileWriter
    from simpleindex.publishing.staging import StagedUpload
    from simpleindex.publishing.writer import Writer

_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """What came of a file.

    Attributes:
        file: As its origin lists it.
        sha256: Of it.
        created: Whether it was not there before.
        beside: Suffixes of what was copied with it.
        url: Where the origin has it from.
    """

    file: File
    sha256: str
    created: bool
    beside: tuple[str, ...] = ()
    url: str | None = None


class Copier:
    """Copies into a directory.

    Args:
        origin: Where from.
        source: What that is called.
        writer: Of the directory.
        project_files: Of the same.
        who: Who does it.
        examiner: Examines files.
    """

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
        """The names of those files whose bytes are not here."""
        found = []
        for file in files:
            opened = self._origin.open(name, file)
            if opened is None:
                found.append(file.filename)
            else:
                opened.close()
        return tuple(found)

    def copy(self, name: ProjectName, files: Sequence[File]) -> tuple[CopiedFile, ...]:
        """Copy files of a project: all of them, or none if one is not what it should be.

        They keep the upload time that their origin lists, and their yanks, which are there before the file is.

        Raises:
            NotCopied: One of them is not here, is not the one that is listed, or cannot be listed here.
            AlreadyExists: Other bytes have its name, or it is there under another one.
            NameUsed: A deleted file had its name, or another spelling of it.
            CannotStore: It cannot be written; those before it are copied.
        """
        with ExitStack() as drafts:
            received = [(file, drafts.enter_context(self._receive(name, file))) for file in files]
            beside = [self._beside(name, file) for file in files]
            there = [self._there(name, file, draft) for file, draft in received]
            return tuple(
                self._commit(name, file, draft, further, is_there=is_there)
                for (file, draft), further, is_there in zip(received, beside, there, strict=True)
            )

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
                wanted = distribution(reader.fileno(), draft.size, file.filename, name)
                value_of(*self._examiner.examine([wanted]))
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

    def _there(self, name: ProjectName, file: File, draft: StagedUpload) -> bool:
        """Whether the same file is there already; refuses where it cannot come to be."""
        there = self._writer.digest_of(name, file.filename)
        if there is not None and there != draft.finish().sha256:
            raise AlreadyExists(file.filename, there)
        if there is None:
            self._writer.judge_name(name, file.filename)
        return there is not None

    def _commit(
        self,
        name: ProjectName,
        file: File,
        draft: StagedUpload,
        beside: Mapping[str, bytes],
        *,
        is_there: bool,
    ) -> CopiedFile:
        sha256, url = draft.finish().sha256, self._origin.url(name, file)
        if not is_there:
            # Before the file is there: a yank must not come late, and where a file is from must not remain unknown.
            if file.yanked is not None:
                self._project_files.yank(name, file.filename, file.yanked, anew=True)
            now = time.time()
            note = copy_note(file.filename, sha256, source=self._source, url=url, who=self._who, now=now)
            self._writer.note(name, note)
        committed = self._writer.commit(draft, name, file.filename, formats_may_differ=True)
        # Some may be missing where the file is there already: whoever copied it may have been interrupted.
        missing = [
            suffix for suffix in beside if self._writer.digest_of(name, file.filename + suffix) is None
        ]
        for suffix in missing:
            self._writer.put_beside(name, committed, suffix, beside[suffix])
        return CopiedFile(file, sha256, committed.created, tuple(missing), url)
