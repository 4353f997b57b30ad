"""Copying releases into a directory: from another one, or from what is kept of an upstream index. Blocking.

Every byte is hashed on its way, and all files are there and proven before the first of them is listed.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from typing import TYPE_CHECKING, Final, Protocol

from simpleindex.core.errors import AlreadyExists, BrokenArchive, Changed, NameUsed, NotCopied
from simpleindex.core.flat import FLAT_PAGE, split
from simpleindex.core.names import COPIED, SIDE_FILE_SUFFIXES, parse_distribution_name
from simpleindex.core.promotion import note_of, urls_of
from simpleindex.core.repair import repaired
from simpleindex.store.archives import examine
from simpleindex.store.reading import NO_SHELF, Reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from simpleindex.core.model import File, Project
    from simpleindex.core.names import ProjectName
    from simpleindex.store.digests import Digests
    from simpleindex.store.directory import Directory
    from simpleindex.store.pins import Pins
    from simpleindex.store.project_files import ProjectFiles
    from simpleindex.store.reading import Shelf
    from simpleindex.store.staging import Draft
    from simpleindex.store.upstream_cache import UpstreamCache
    from simpleindex.store.writing import Writer

_CHUNK: Final = 1 << 20
_NO_BOUND: Final = 1 << 62
_LARGEST_NOTE: Final = 1 << 24


class Origin(Protocol):
    """Where releases are copied from."""

    def project(self, name: ProjectName) -> Project:
        """What it has of a project.

        Raises:
            NotCopied: That cannot be told, or there is no such project.
        """
        ...

    def open(self, name: ProjectName, file: File) -> FileIO | None:
        """The bytes of a file; None if they are not here.

        Raises:
            OSError: They cannot be read.
            Changed: They are others than those that are listed.
        """
        ...

    def beside(self, name: ProjectName, file: File) -> Mapping[str, bytes]:
        """Signatures and provenance that lie beside a file, by their suffix; errors as for :meth:`open`."""
        ...

    def url(self, name: ProjectName, file: File) -> str | None:
        """Where the origin has a file from itself; None if it does not say."""
        ...


class FromDirectory:
    """A directory of one's own.

    Args:
        directory: The root.
        digests: What is remembered of it, opened.
        label: What it is called.
    """

    def __init__(self, directory: Directory, digests: Digests, label: str) -> None:
        self._directory = directory
        self._reader = Reader(directory, digests, time.time_ns, label)
        self._label = label
        self._shelves: dict[ProjectName, Shelf] = {}
        self._urls: dict[tuple[str, str], str] = {}

    def project(self, name: ProjectName) -> Project:
        """What would be served of it."""
        try:
            places = self._directory.places_of(name)
        except OSError as error:
            raise NotCopied(f"{self._label} cannot be read: {error.strerror}") from None
        shelf = self._reader.read_project(
            name, *places, NO_SHELF, budget=_NO_BOUND, generation=0, verify=True
        )
        if shelf.trouble:
            raise NotCopied(f"{self._label} cannot answer for {name}: {shelf.trouble}")
        if shelf.project is None:
            raise NotCopied(f"{self._label} has no project {name}")
        self._shelves[name] = shelf
        self._urls = {}
        for raw in places[0]:
            with suppress(OSError), open(os.path.join(self._directory.root, raw, COPIED), "rb") as note:
                self._urls |= urls_of(note.read(_LARGEST_NOTE))
        return shelf.project

    def open(self, name: ProjectName, file: File) -> FileIO | None:
        """The file, in the state in which it was read."""
        return self._opened(name, self._shelves[name].chosen[file.filename])

    def beside(self, name: ProjectName, file: File) -> Mapping[str, bytes]:
        """What is listed with it."""
        path = self._shelves[name].chosen[file.filename]
        found = {}
        for suffix in SIDE_FILE_SUFFIXES:
            known = self._shelves[name].known.get(path + suffix)
            if known is not None and isinstance(known.outcome, str):
                with self._opened(name, path + suffix) as beside:
                    found[suffix] = beside.readall()
        return found

    def url(self, name: ProjectName, file: File) -> str | None:
        """Where it was copied from, if it was."""
        del name
        return self._urls.get((file.filename, file.sha256 or ""))

    def _opened(self, name: ProjectName, path: str) -> FileIO:
        known = self._shelves[name].known.get(path)
        assert known is not None
        assert known.stamp is not None  # it is listed
        return FileIO(self._directory.open_file(path, known.stamp), "rb")


class FromUpstream:
    """What is kept of an upstream.

    Args:
        cache: Of all of them.
        pins: What is kept of them for good.
        index: Its URL.
        label: What it is called.
        flat: Whether it is one page with the files of many projects.
    """

    def __init__(self, cache: UpstreamCache, pins: Pins, index: str, label: str, *, flat: bool) -> None:
        self._cache = cache
        self._pins = pins
        self._index = index
        self._label = label
        self._flat = flat
        self._kept: dict[ProjectName, Project] = {}

    def project(self, name: ProjectName) -> Project:
        """What it said when it was asked last."""
        kept = self._cache.listing(self._index, FLAT_PAGE if self._flat else name)
        kept = kept or self._pins.listing(self._index, name)
        if kept is None:
            raise NotCopied(f"nothing is kept of what {self._label} has of {name}")
        said, offered = kept.project, repaired(kept.project, kept.learnt, {}, 0)
        if said.name == FLAT_PAGE:
            if name not in split(said, {}):
                raise NotCopied(f"{self._label} has no project {name}")
            said, offered = (split(page, {})[name] for page in (said, offered))
        self._kept[name] = said
        return offered

    def open(self, name: ProjectName, file: File) -> FileIO | None:
        """The file, if it is held."""
        del name
        if file.sha256 is None:
            return None
        found = self._cache.open(file.sha256) or self._pins.files.open(file.sha256)
        return None if found is None else FileIO(found[0], "rb")

    def beside(self, name: ProjectName, file: File) -> Mapping[str, bytes]:
        """Nothing of that is kept."""
        del name, file
        return {}

    def url(self, name: ProjectName, file: File) -> str | None:
        """Where the upstream has it."""
        return next((each.url for each in self._kept[name].files if each.filename == file.filename), None)


@dataclass(frozen=True, slots=True)
class Copied:
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
    """

    def __init__(
        self, origin: Origin, source: str, writer: Writer, project_files: ProjectFiles, who: str
    ) -> None:
        self._origin = origin
        self._source = source
        self._writer = writer
        self._project_files = project_files
        self._who = who

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

    def copy(self, name: ProjectName, files: Sequence[File]) -> tuple[Copied, ...]:
        """Copy files of a project: all of them, or none if one is not what it should be.

        They keep the upload time that their origin lists, and their yanks, which are there before the file is.

        Raises:
            NotCopied: One of them is not here, is not the one that is listed, or cannot be listed here.
            AlreadyExists: Other bytes have its name.
            NameUsed: A deleted file had it.
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

    def _receive(self, name: ProjectName, file: File) -> Draft:
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
                examine(reader, parse_distribution_name(file.filename, name))
        except BrokenArchive as error:
            draft.discard()
            raise NotCopied(f"{file.filename} would not be served: {error}") from None
        except BaseException:
            draft.discard()
            raise
        return draft

    def _fill(self, draft: Draft, name: ProjectName, file: File) -> None:
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

    def _there(self, name: ProjectName, file: File, draft: Draft) -> bool:
        """Whether the same file is there already; refuses where it cannot come to be."""
        there = self._writer.digest_of(name, file.filename)
        if there is not None and there != draft.finish().sha256:
            raise AlreadyExists(file.filename, there)
        if there is None and file.filename in self._writer.used_names(name):
            raise NameUsed(file.filename)
        return there is not None

    def _commit(
        self, name: ProjectName, file: File, draft: Draft, beside: Mapping[str, bytes], *, is_there: bool
    ) -> Copied:
        sha256, url = draft.finish().sha256, self._origin.url(name, file)
        if not is_there:
            # Before the file is there: a yank must not come late, and where a file is from must not remain unknown.
            if file.yanked is not None:
                self._project_files.yank(name, file.filename, file.yanked, anew=True)
            now = time.time()
            note = note_of(file.filename, sha256, source=self._source, url=url, who=self._who, now=now)
            self._writer.note(name, note)
        committed = self._writer.commit(draft, name, file.filename)
        # Some may be missing where the file is there already: whoever copied it may have been interrupted.
        missing = [
            suffix for suffix in beside if self._writer.digest_of(name, file.filename + suffix) is None
        ]
        for suffix in missing:
            self._writer.put_beside(name, committed, suffix, beside[suffix])
        return Copied(file, sha256, committed.created, tuple(missing), url)
