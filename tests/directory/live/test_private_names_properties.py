"""Whatever comes and goes in a directory, in whatever order: no name is asked of an upstream that is, or was, the index's own."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simpleindex.directory.layout.distribution_like import is_trace
from tests.directory.live.test_private_names import BYTES, WHEEL, PrivateNamesFixture
from tests.fixtures.depth import number_of
from tests.fixtures.distributions import put

SPELLINGS: Final = ("secret", "Secret")
IN_DIRECTORIES: Final = (
    WHEEL,
    f".{WHEEL}.Xy12Zz",
    "secret-1.0.egg",
    "README.md",
    "SECRET-1.0.ZIP",
    WHEEL + ".part",
)
LOOSE: Final = (WHEEL, f".{WHEEL}.Xy12Zz", "secret.txt", WHEEL + ".part")

steps = st.one_of(
    st.tuples(st.just("make"), st.sampled_from(SPELLINGS)),
    st.tuples(st.just("remove"), st.sampled_from(SPELLINGS)),
    st.tuples(st.just("fill"), st.sampled_from(SPELLINGS), st.sampled_from(IN_DIRECTORIES)),
    st.tuples(st.just("flash"), st.sampled_from(SPELLINGS), st.sampled_from(IN_DIRECTORIES)),
    st.tuples(st.just("empty"), st.sampled_from(SPELLINGS)),
    st.tuples(st.just("link"), st.sampled_from(SPELLINGS)),
    st.tuples(st.just("rename"), st.sampled_from(SPELLINGS), st.sampled_from((*SPELLINGS, "elsewhere"))),
    st.tuples(st.just("loose"), st.sampled_from(LOOSE)),
    st.tuples(st.just("tidy"), st.sampled_from(LOOSE)),
    st.tuples(st.just("ask")),
)


class Disk:
    """Changes a root, and knows what was ever there.

    Attributes:
        held: Whether anything like a distribution was ever there, where it could be noticed: in a directory that is new, what
            comes and goes before the first look at it is nobody's to know.
        took: Whether anything was ever there that takes the name.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.held = self.took = False
        self._seen: set[int] = set()

    def look(self) -> None:
        """Note what is there when somebody looks at all of it."""
        self.held = self.held or self.holds()
        self._seen = {place.stat().st_ino for place in self._places()}

    def change(self, what: str, *names: str) -> None:
        """Make one change, where it is possible."""
        path = self.root / names[0]
        is_directory = path.is_dir() and not path.is_symlink()
        match what:
            case "make" if not path.exists() and not path.is_symlink():
                path.mkdir()
            case "link" if not path.exists() and not path.is_symlink():
                path.symlink_to("nowhere")
            case "fill" if is_directory:
                put(path / names[1], BYTES)
            case "flash" if is_directory and not (path / names[1]).exists():
                put(path / names[1], BYTES)
                self.held = self.held or self.holds(only_seen=True)
                (path / names[1]).unlink()
            case "empty" if is_directory:
                for entry in path.iterdir():
                    entry.unlink()
            case "remove" if is_directory:
                self._seen.discard(path.stat().st_ino)
                shutil.rmtree(path)
            case "remove" | "tidy" if path.is_symlink() or path.is_file():
                path.unlink()
            case "rename" if is_directory and not (self.root / names[1]).exists():
                if not (self.root / names[1]).is_symlink():
                    path.rename(self.root / names[1])
            case "loose":
                put(path, BYTES)
        self.held = self.held or self.holds(only_seen=True)
        self.took = self.took or self.takes()

    def takes(self) -> bool:
        """Whether anything is there that takes the name."""
        return any(
            entry.name in SPELLINGS or (is_trace(entry.name) and "secret" in entry.name)
            for entry in self.root.iterdir()
        )

    def _places(self) -> list[Path]:
        return [place for spelling in SPELLINGS if (place := self.root / spelling).is_dir()]

    def holds(self, *, only_seen: bool = False) -> bool:
        """Whether anything like a distribution is there.

        Args:
            only_seen: Leave out directories at which nobody has looked yet.
        """
        places = [each for each in self._places() if not only_seen or each.stat().st_ino in self._seen]
        inside = [entry.name for place in places for entry in place.iterdir()]
        return any(
            map(is_trace, (*inside, *(entry.name for entry in self.root.iterdir() if entry.is_file())))
        )


@pytest.mark.parametrize("polling", [False, True], ids=["events", "polling"])
@settings(max_examples=number_of(150), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=1, max_size=12))
def test_no_sequence_lets_a_name_out(polling: bool, sequence: list[tuple[str, ...]]) -> None:
    """With events, whatever was there counts; with polling, whatever was there when somebody asked."""
    base = Path(tempfile.mkdtemp())
    try:
        house = PrivateNamesFixture(base, polling=polling)
        disk = Disk(house.root)
        is_own = False
        for what, *names in (*sequence, ("ask",)):
            if what != "ask":
                disk.change(what, *names)
                continue
            disk.look()
            is_own = is_own or (disk.holds() if polling else disk.held)
            status, is_heard = house.ask()
            assert not (is_heard and (is_own or disk.takes()))
            if not disk.took:
                assert (status, is_heard) == (200, True)
        assert house.world.failures == []
        assert not is_own or house.restart(base).has(house.name)
        house.watch.stop()
    finally:
        shutil.rmtree(base)
