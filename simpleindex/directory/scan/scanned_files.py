"""The facts about each file of a project, in as little memory as the files themselves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from simpleindex.archives.archive_info import ArchiveInfo, MemberSpan
from simpleindex.core.files import Sidecar
from simpleindex.core.model import Withheld, file_named, filenames_of, restored_files, stored_files
from simpleindex.core.serialization import deserialize, serialize
from simpleindex.system.stamp import Stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from simpleindex.core.files import File, StoredFiles

    Row = tuple[Any, ...]
    # What is known of a file, and what is listed of it; None if it is not listed.
    PlainRow = tuple[Row, Row | None]


@dataclass(frozen=True, slots=True)
class ScannedFile:
    """The facts that reading one file showed.

    Attributes:
        stamp: The state in which it was read.
        outcome: What it is; a digest for a side file; or why it is withheld.
        young: It was read within 2 s of its last change, or failed to be for a passing reason, so it must be read once
            more before that is believed.
        unfinished: It is withheld and may only be half-written.
        left_alone: It was not read in this state, because it was still growing.
    """

    stamp: Stamp | None
    outcome: ArchiveInfo | str | Withheld
    young: bool = False
    unfinished: bool = False
    left_alone: bool = False


_EMPTY: Final = serialize([])


class ScannedFiles(Mapping[str, ScannedFile]):
    """The facts about each file, by path; never changed.

    Of a listed file only what the list does not say is kept here, which is half of it.

    Args:
        known: The same, unpacked.
        chosen: The path of each listed file, by file name.
        files: The listed files, those of the project that was assembled from these.

    Attributes:
        packed: All that is not in ``files``.
        withheld: The paths of those that are not offered, which are looked at often.
    """

    __slots__ = ("files", "packed", "withheld")

    def __init__(
        self, known: Mapping[str, ScannedFile], chosen: Mapping[str, str], files: Sequence[File] = ()
    ) -> None:
        self.files = files
        places = {chosen[file.filename]: index for index, file in enumerate(files)}
        self.packed = serialize([_row(path, item, places.get(path)) for path, item in known.items()])
        self.withheld = tuple(path for path, item in known.items() if isinstance(item.outcome, Withheld))

    @classmethod
    def restored(cls, packed: bytes, files: Sequence[File]) -> ScannedFiles:
        """Restore files from their packed form; none of them is withheld."""
        self = cls.__new__(cls)
        self.packed, self.files, self.withheld = packed, files, ()
        return self

    def __getitem__(self, path: str) -> ScannedFile:
        return _known(*self._rows[path])

    def __iter__(self) -> Iterator[str]:
        # Without the files: a start goes through all paths of the index once.
        listed = filenames_of(self.files)
        for path, index, *_ in deserialize(self.packed):
            yield path if index is None else f"{path}/{listed[index]}" if path else listed[index]

    def __len__(self) -> int:
        return len(deserialize(self.packed))

    def __bool__(self) -> bool:
        return self.packed != _EMPTY

    def plain_rows(self) -> dict[str, PlainRow]:
        """Return what is packed of each file, by path; a hundredth of the objects of :meth:`unpacked`."""
        listed = deserialize(stored_files(self.files).data)
        rows: dict[str, PlainRow] = {}
        for row in deserialize(self.packed):
            directory, index = row[:2]
            if index is None:
                rows[directory] = row, None
            else:
                file = listed[index]
                rows[f"{directory}/{file[0]}" if directory else file[0]] = row, file
        return rows

    def some(self, paths: Iterable[str], rows: Mapping[str, PlainRow]) -> dict[str, ScannedFile]:
        """Return what is known of some files, of which all :meth:`plain_rows` are given."""
        known = {}
        for path in paths:
            if (found := rows.get(path)) is not None:
                row, listed = found
                file = None if listed is None else file_named(self.files, listed[0])
                known[path] = _known(file, *row[2:])
        return known

    @classmethod
    def of_rows(
        cls, kept: Iterable[PlainRow], added: Mapping[str, ScannedFile], files: Sequence[File]
    ) -> ScannedFiles:
        """Return files of which all are listed.

        Args:
            kept: Rows of :meth:`plain_rows`.
            added: Files beside these, by path.
            files: The listed files, all of these.
        """
        places = {filename: index for index, filename in enumerate(filenames_of(files))}
        rows = [(row[0], places[listed[0]], *row[2:]) for row, listed in kept if listed is not None]
        rows += [_row(path, item, places[os.path.basename(path)]) for path, item in added.items()]
        return cls.restored(serialize(rows), files)

    @property
    def _rows(self) -> dict[str, Row]:
        return _unpacked(self.packed, stored_files(self.files))[0]

    @property
    def chosen(self) -> Mapping[str, str]:
        """The path of each listed file, by file name."""
        return _unpacked(self.packed, stored_files(self.files))[1]

    def unpacked(self) -> dict[str, ScannedFile]:
        """Return the facts about every file, unpacked."""
        return {path: _known(*row) for path, row in self._rows.items()}

    def updated(self, newer: ScannedFiles) -> ScannedFiles:
        """Return these files with newer ones in place of older; the listed files are the newer ones'."""
        return ScannedFiles({**self.unpacked(), **newer.unpacked()}, newer.chosen, newer.files)


NOTHING_KNOWN: Final = ScannedFiles({}, {})


def packed_states(known: bytes, files: bytes) -> dict[str, tuple[int, ...]]:
    """Return the state of each file by path, as plain values, of what :class:`ScannedFiles` packed; none is withheld."""
    listed = deserialize(files)
    states = {}
    for path, index, stamp, *_ in deserialize(known):
        if index is None:
            states[path] = stamp
        else:
            filename = listed[index][0]
            states[f"{path}/{filename}" if path else filename] = _state(stamp, listed[index])
    return states


def _state(stamp: tuple[int, int, int], listed: Row) -> tuple[int, ...]:
    inode, ctime_ns, links = stamp
    return inode, listed[3], listed[5], ctime_ns, links


def settled_state(known: PlainRow) -> tuple[int, ...] | None:
    """Return the state of a listed file as plain values; None if it has to be read again, or is not listed."""
    row, listed = known
    return None if listed is None or any(row[4:]) else _state(row[2], listed)


# A resolver asks for many files of a few projects.
@lru_cache(maxsize=8)
def _unpacked(packed: bytes, files: StoredFiles) -> tuple[dict[str, Row], dict[str, str]]:
    """Rows by path, each begun by the listed file that it is of, or None; and the path of each listed file."""
    listed = tuple(restored_files(files))
    rows: dict[str, Row] = {}
    chosen: dict[str, str] = {}
    for path, index, *row in deserialize(packed):
        if index is None:
            rows[path] = (None, *row)
        else:
            file = listed[index]
            chosen[file.filename] = whole = os.path.join(path, file.filename)
            rows[whole] = (file, *row)
    return rows, chosen


def _row(path: str, item: ScannedFile, index: int | None) -> Row:
    """Return the row of a file: it begins with the path, or for a listed file with its directory and its place in the list."""
    flags = item.young, item.unfinished, item.left_alone
    if index is None:
        return path, None, item.stamp and tuple(item.stamp), _packed_outcome(item.outcome), *flags
    stamp, outcome = item.stamp, item.outcome
    assert stamp is not None  # listed with what this says
    assert isinstance(outcome, ArchiveInfo)
    place = outcome.place and (outcome.place.offset, outcome.place.stored_size, outcome.place.method)
    return os.path.dirname(path), index, (stamp.inode, stamp.ctime_ns, stamp.links), place, *flags


def _known(file: File | None, stamp: Any, outcome: Any, *flags: bool) -> ScannedFile:
    if file is None:
        return ScannedFile(stamp and Stamp(*stamp), _outcome(*outcome), *flags)
    # A local file's are known, all three.
    assert file.size is not None
    assert file.sha256 is not None
    assert file.uploaded_ns is not None
    inode, ctime_ns, links = stamp
    place = outcome and MemberSpan(*outcome)
    return ScannedFile(
        Stamp(inode, file.size, file.uploaded_ns, ctime_ns, links),
        ArchiveInfo(file.version, file.sha256, file.requires_python, file.metadata, place),
        *flags,
    )


def _packed_outcome(outcome: ArchiveInfo | str | Withheld) -> tuple[Any, ...]:
    """Return the outcome of reading a file as plain values: they begin with a digest as bytes, or with a withheld file's name as text."""
    if isinstance(outcome, str):
        return (bytes.fromhex(outcome),)
    if isinstance(outcome, Withheld):
        return astuple(outcome)
    packed = (bytes.fromhex(outcome.sha256), outcome.version, outcome.requires_python)
    if outcome.sidecar is None or outcome.place is None:
        return packed
    place = outcome.place
    return (
        *packed,
        *(bytes.fromhex(outcome.sidecar.sha256), outcome.sidecar.size),
        *(place.offset, place.stored_size, place.method),
    )


def _outcome(first: bytes | str, *rest: Any) -> ArchiveInfo | str | Withheld:
    if isinstance(first, str):
        return Withheld(first, *rest)
    if not rest:
        return first.hex()
    version, requires_python, *sidecar = rest
    if not sidecar:
        return ArchiveInfo(version, first.hex(), requires_python, None, None)
    sha256, size, *place = sidecar
    return ArchiveInfo(version, first.hex(), requires_python, Sidecar(sha256.hex(), size), MemberSpan(*place))
