"""What is known of each file of a project, packed while nobody asks: see :mod:`simpleindex.core.files` for why."""

from __future__ import annotations

# Only what this program has packed itself is ever unpacked; what comes back from the cache is proven by a checksum.
import marshal
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from simpleindex.core.files import VERSION
from simpleindex.core.model import Sidecar, Withheld
from simpleindex.store.archives import Facts, Place
from simpleindex.store.directory import Stamp

if TYPE_CHECKING:
    from collections.abc import Iterator

    Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What reading one file taught.

    Attributes:
        stamp: The state in which it was read.
        outcome: What it is; a digest for a side file; or why it is withheld.
        young: It was read within 2 s of its last change, or failed to be for a passing reason, so it must be read once
            more before that is believed.
        unfinished: It is withheld and may only be half-written.
        left_alone: It was not read in this state, because it was still growing.
    """

    stamp: Stamp | None
    outcome: Facts | str | Withheld
    young: bool = False
    unfinished: bool = False
    left_alone: bool = False


class KnownFiles(Mapping[str, Known]):
    """What is known of each file, by path; never changed.

    Args:
        known: The same, unpacked.
        chosen: The path of each listed file, by file name.

    Attributes:
        packed: All of it.
        withheld: The paths of those that are not offered, which are looked at often.
    """

    __slots__ = ("packed", "withheld")

    def __init__(self, known: Mapping[str, Known], chosen: Mapping[str, str]) -> None:
        listed = frozenset(chosen.values())
        rows = [(path, path in listed, *_row(item)) for path, item in known.items()]
        self.packed = marshal.dumps(rows, VERSION)
        self.withheld = tuple(path for path, item in known.items() if isinstance(item.outcome, Withheld))

    @classmethod
    def restored(cls, packed: bytes) -> KnownFiles:
        """What was packed so, where none of it was withheld."""
        self = cls.__new__(cls)
        self.packed, self.withheld = packed, ()
        return self

    def __getitem__(self, path: str) -> Known:
        return _known(_unpacked(self.packed)[0][path])

    def __iter__(self) -> Iterator[str]:
        return iter(_unpacked(self.packed)[0])

    def __len__(self) -> int:
        return len(_unpacked(self.packed)[0])

    @property
    def chosen(self) -> Mapping[str, str]:
        """The path of each listed file, by file name."""
        return _unpacked(self.packed)[1]

    def unpacked(self) -> dict[str, Known]:
        """All of it at once."""
        return {path: _known(row) for path, row in _unpacked(self.packed)[0].items()}

    def updated(self, newer: KnownFiles) -> KnownFiles:
        """This, overridden by what is known since; listed is what is listed there."""
        return KnownFiles({**self.unpacked(), **newer.unpacked()}, newer.chosen)


NOTHING_KNOWN: Final = KnownFiles({}, {})


# A resolver asks for many files of a few projects.
@lru_cache(maxsize=8)
def _unpacked(packed: bytes) -> tuple[dict[str, Row], dict[str, str]]:
    rows = marshal.loads(packed)  # noqa: S302  (see the import)
    return (
        {path: row for path, _, *row in rows},
        {path.rpartition("/")[2]: path for path, is_listed, *_ in rows if is_listed},
    )


def _row(item: Known) -> Row:
    return (
        item.stamp and tuple(item.stamp),
        _packed_outcome(item.outcome),
        item.young,
        item.unfinished,
        item.left_alone,
    )


def _known(row: Row) -> Known:
    stamp, outcome, *flags = row
    return Known(stamp and Stamp(*stamp), _outcome(*outcome), *flags)


def _packed_outcome(outcome: Facts | str | Withheld) -> tuple[Any, ...]:
    """How it begins tells which it is: a digest as bytes, or a withheld file's name as text."""
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


def _outcome(first: bytes | str, *rest: Any) -> Facts | str | Withheld:
    if isinstance(first, str):
        return Withheld(first, *rest)
    if not rest:
        return first.hex()
    version, requires_python, *sidecar = rest
    if not sidecar:
        return Facts(version, first.hex(), requires_python, None, None)
    sha256, size, *place = sidecar
    return Facts(version, first.hex(), requires_python, Sidecar(sha256.hex(), size), Place(*place))
