"""A name is the index's own from the first sign of a project to long after it: upstreams never hear of it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import pytest

from simpleindex.core.errors import NotHere, NothingYet
from simpleindex.core.names import LEDGER, PROJECT_FILE, ProjectName
from simpleindex.directory.source import LocalSource
from simpleindex.directory.watch.inotify import InotifyWatch
from simpleindex.records.database import RecordsDatabase
from simpleindex.records.used_names import UsedNames
from simpleindex.views.hidden import LocalViewSource
from simpleindex.views.name_rules import NameRules
from simpleindex.views.standing_answers import StandingAnswers
from simpleindex.views.union import LocalMember, UnionSource, UpstreamMember
from tests.fixtures.cached_upstream import CachedUpstreamFixture as UpstreamWorld
from tests.fixtures.deferreds import error, result
from tests.fixtures.distributions import add_wheel, put, wheel_bytes, wheel_name
from tests.fixtures.inotify import ManualReaders
from tests.fixtures.live_directory import LiveDirectoryFixture
from tests.fixtures.site import SiteFixture
from tests.fixtures.threads import PausedThreads
from tests.fixtures.trees import as_nobody, public_directory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET = ProjectName("secret")
WHEEL = wheel_name("secret")
BYTES = wheel_bytes("secret")


def in_directory(filename: str, data: bytes = BYTES, spelling: str = "secret") -> Callable[[Path], Path]:
    """A directory of the project with one file in it."""

    def make(root: Path) -> Path:
        put(root / spelling / filename, data)
        return root / spelling

    return make


def loose(filename: str, data: bytes = BYTES) -> Callable[[Path], Path]:
    """One file directly in the root."""

    def make(root: Path) -> Path:
        put(root / filename, data)
        return root / filename

    return make


def empty(root: Path) -> Path:
    """A directory with nothing in it."""
    (root / "secret").mkdir()
    return root / "secret"


def link(target: str) -> Callable[[Path], Path]:
    """A link in the root."""

    def make(root: Path) -> Path:
        (root / "secret").symlink_to(target)
        return root / "secret"

    return make


# How something begins to lie there, and whether it was like a distribution, so that its name is remembered for good.
SHAPES: Final[dict[str, tuple[Callable[[Path], Path], bool]]] = {
    "empty": (empty, False),
    "notes": (in_directory("README.md"), False),
    "another spelling": (in_directory("notes.txt", spelling="Secret"), False),
    "wheel": (in_directory(WHEEL), True),
    "wheel in another spelling": (in_directory(WHEEL, spelling="SECRET"), True),
    "half a wheel": (in_directory(WHEEL, BYTES[:50]), True),
    "foreign wheel": (in_directory(wheel_name("other"), wheel_bytes("other")), True),
    "part": (in_directory(WHEEL + ".part"), True),
    "rsync": (in_directory(f".{WHEEL}.Xy12Zz"), True),
    "delayed updates": (in_directory(f".~tmp~/{WHEEL}"), True),
    "egg": (in_directory("secret-1.0-py3.9.egg"), True),
    "unpacked egg": (in_directory("secret-1.0-py3.9.egg/EGG-INFO"), True),
    "capitals": (in_directory("SECRET-1.0.TAR.GZ"), True),
    "deeper": (in_directory(f"1.0/{WHEEL}"), True),
    "much deeper": (in_directory(f"a/b/{WHEEL}"), True),
    "signature": (in_directory(WHEEL + ".asc"), True),
    "metadata": (in_directory(WHEEL + ".metadata"), True),
    "project file": (in_directory(PROJECT_FILE, b'status = "active"\n'), True),
    "ledger": (in_directory(LEDGER, b""), True),
    "linked outside": (link("../outside/with-wheel"), True),
    "linked outside to nothing much": (link("../outside/empty"), False),
    "linked to nothing": (link("nowhere"), False),
    "linked to itself": (link("secret"), False),
    "linked to another": (link("anchor"), True),
    "loose": (loose(WHEEL), True),
    "loose half": (loose(WHEEL, BYTES[:50]), True),
    "loose part": (loose(WHEEL + ".part"), True),
    "loose rsync": (loose(".secret-1.0.whl.Xy12"), True),
    "loose egg": (loose("secret-1.0-py3.9.egg"), True),
    "loose capitals": (loose("Secret-1.0.ZIP"), True),
    "loose short": (loose("secret-1.0.whl"), True),
    "loose link": (loose(WHEEL), True),
}

_OF_LINKS: Final = frozenset(name for name in SHAPES if name.startswith("linked"))


class PrivateNamesFixture:
    """A directory with the project anchor, and an upstream where a stranger has put the name secret."""

    name = SECRET

    def __init__(self, base: Path, *, polling: bool = False, rules: NameRules | None = None) -> None:
        self.root = base / "packages"
        add_wheel(self.root, "anchor")
        (base / "outside" / "empty").mkdir(parents=True)
        put(base / "outside" / "with-wheel" / WHEEL, BYTES)
        self.reactor = ManualReaders()
        self.record = UsedNames(RecordsDatabase(str(base / "state")))
        self.world = LiveDirectoryFixture(self.root, record=self.record)
        self.watch = InotifyWatch(self.reactor, str(self.root), self.world.live)
        if not polling:
            self.watch.start()
            self.world.watch = self.watch
        self.world.begin()
        self.world.live.polling = polling
        self.outside = UpstreamWorld(base / "cache")
        self.outside.upstream.add(WHEEL, b"evil", bare=True)
        self.source = LocalSource(self.world.live, self.world.directory, PausedThreads())
        self.union = UnionSource(
            LocalMember(LocalViewSource(self.source, ()), hides=self.source.claims),
            [UpstreamMember(self.outside.source, is_listed=True)],
            rules or NameRules(),
            was_used=self.record.has,
            threads=PausedThreads(),
            standing=StandingAnswers(self.outside.clock, self.world.live.lacks, self.record.has),
        )
        self.index = SiteFixture(self.union)

    def ask(self) -> tuple[int, bool]:
        """The status of the project's page, and whether the upstream heard its name by that."""
        before = len(self.outside.upstream.asked)
        if self.world.live.lacks(SECRET):
            assert self.world.live.why_own(SECRET) is None
            assert isinstance(error(self.source.project(SECRET)), NotHere)
        status = self.index.get("/simple/secret/").status
        self.index.get(f"/simple/secret/{WHEEL}.metadata")
        self.outside.clock.advance(10_000)  # What was kept of it is old.
        return status, any("secret" in str(what) for what in self.outside.upstream.asked[before:])

    def restart(self, base: Path) -> UsedNames:
        """What another process finds in the records."""
        return UsedNames(RecordsDatabase(str(base / "state")))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Where everything lies."""
    return tmp_path


def remove(path: Path) -> None:
    """Take an entry of the root away."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@pytest.mark.parametrize("polling", [False, True], ids=["events", "polling"])
@pytest.mark.parametrize("shape", SHAPES)
def test_before_during_and_after(base: Path, shape: str, polling: bool) -> None:
    """Asked of upstreams until something lies there, not while it does, and never again if it was like a distribution."""
    make, is_for_good = SHAPES[shape]
    house = PrivateNamesFixture(base, polling=polling)
    assert house.ask() == (200, True)
    path = make(house.root)
    status, is_heard = house.ask()
    assert not is_heard
    assert status in {200, 404, 503}
    assert SECRET not in result_names(house) or status != 404
    remove(path)
    assert house.ask() == ((404, False) if is_for_good else (200, True))
    assert house.restart(base).has(SECRET) == is_for_good
    house.watch.stop()


@pytest.mark.parametrize("shape", SHAPES)
def test_gone_before_anybody_looked(base: Path, shape: str) -> None:
    """The event names it. Nobody can tell what lay in a directory that is gone; a link alone held nothing."""
    house = PrivateNamesFixture(base)
    house.ask()
    remove(SHAPES[shape][0](house.root))
    assert house.ask() == ((200, True) if shape in _OF_LINKS else (404, False))
    house.watch.stop()


@pytest.mark.parametrize("shape", SHAPES)
def test_at_the_start(base: Path, shape: str) -> None:
    """What lies there before the server does is its own as well."""
    (base / "packages").mkdir()
    path = SHAPES[shape][0](base / "packages")
    house = PrivateNamesFixture(base)
    assert not house.ask()[1]
    remove(path)
    is_for_good = SHAPES[shape][1] or shape == "linked to another"
    assert house.ask()[1] is not is_for_good
    house.watch.stop()


@pytest.mark.parametrize("name", [WHEEL, WHEEL + ".part", f".{WHEEL}.Xy12Zz", "secret-1.0.egg"])
def test_a_file_that_came_and_went_in_a_directory(base: Path, name: str) -> None:
    """An event names the file, also one that is gone before anybody looked; the directory goes later."""
    house = PrivateNamesFixture(base)
    empty(house.root)
    assert house.ask() == (404, False)
    put(house.root / "secret" / name, BYTES)
    (house.root / "secret" / name).unlink()
    assert house.ask() == (404, False)
    remove(house.root / "secret")
    assert house.ask() == (404, False)
    house.watch.stop()


def test_a_directory_of_a_directory_may_have_held_anything(base: Path) -> None:
    """No event reports what comes and goes two directories deep."""
    house = PrivateNamesFixture(base)
    (house.root / "secret" / "1.0").mkdir(parents=True)
    assert house.ask() == (404, False)
    remove(house.root / "secret")
    assert house.ask() == (404, False)
    house.watch.stop()


@pytest.mark.parametrize("polling", [False, True])
def test_what_takes_no_name(base: Path, polling: bool) -> None:
    """Files, names that are no project's, and the paths of the service itself."""
    house = PrivateNamesFixture(base, polling=polling)
    put(house.root / "secret.txt", b"")
    put(house.root / "secret", b"a file")
    put(house.root / ".simpleindex-uploads" / WHEEL, BYTES)
    (house.root / "not a name").mkdir()
    (house.root / "secret-link").symlink_to("secret")
    assert house.ask() == (200, True)
    house.watch.stop()


def test_paths_of_the_service_take_no_name(base: Path) -> None:
    """Wherever they lie, whenever they are made, and however they are linked."""
    root = base / "root"
    add_wheel(root, "anchor")
    (root / "link").symlink_to("state")
    world = LiveDirectoryFixture(root, excluded=[str(root / "state"), str(base / "elsewhere")])
    world.watch = watch = InotifyWatch(ManualReaders(), str(root), world.live)
    watch.start()
    world.begin()
    (root / "state").mkdir()
    (base / "elsewhere").mkdir()
    (root / "certs").symlink_to(base / "elsewhere")
    for name in ("state", "link", "certs"):
        assert result(world.ask(ProjectName(name))) is None
        assert world.live.why_own(ProjectName(name)) is None
    watch.stop()


def test_an_unreadable_directory() -> None:
    """It can tell nothing, also once it is gone: it may have held anything."""
    with public_directory() as base:
        base.chmod(0o777)
        with as_nobody():
            house = PrivateNamesFixture(base)
            house.ask()
            in_directory(WHEEL)(house.root)
            (house.root / "secret").chmod(0)
            assert house.ask() == (503, False)
            (house.root / "secret").chmod(0o755)
            remove(house.root / "secret")
            assert house.ask() == (404, False)
            house.watch.stop()


def test_allow_upstream_frees_it(base: Path) -> None:
    """An operator's word is stronger than an empty directory, or the record."""
    house = PrivateNamesFixture(base, rules=NameRules(allow_upstream=("sec*",)))
    path = empty(house.root)
    assert house.ask() == (200, True)
    remove(path)
    house.record.add([SECRET])
    assert house.ask() == (200, True)
    house.watch.stop()


def test_the_list_of_projects(base: Path) -> None:
    """An upstream's project is not listed while its name is taken."""
    house = PrivateNamesFixture(base)
    assert "secret" in result_names(house)
    path = empty(house.root)
    assert "secret" not in result_names(house)
    remove(path)
    assert "secret" in result_names(house)
    house.watch.stop()


def test_an_upload_on_its_way(base: Path) -> None:
    """From the moment it is allowed to its end, however many there are."""
    house = PrivateNamesFixture(base)
    releases = [house.world.live.private_names.reserve(SECRET) for _ in range(2)]
    for release in releases:
        assert house.ask() == (404, False)
        release()
        release()
    assert house.ask() == (200, True)
    house.watch.stop()


def test_the_record_cannot_be_written(base: Path) -> None:
    """The name is own to this process all the same."""
    (base / "state").write_text("in the way")
    house = PrivateNamesFixture(base)
    path = in_directory(WHEEL)(house.root)
    assert house.ask()[1] is False
    remove(path)
    assert house.ask()[1] is False
    house.watch.stop()


@pytest.mark.parametrize("away", ["gone", "replaced", "emptied"])
def test_while_the_root_is_away(base: Path, away: str) -> None:
    """Nothing is asked of anybody, whatever the new root has; afterwards everything is as it was."""
    house = PrivateNamesFixture(base)
    add_wheel(house.root, "another")
    empty(house.root)
    assert house.ask() == (404, False)
    aside = house.root.rename(base / "aside")
    if away != "gone":
        house.root.mkdir()
    house.world.live.root_changed()
    assert house.ask() == (503, False)
    if away != "gone":
        shutil.rmtree(house.root)
    aside.rename(house.root)
    house.world.live.root_changed()
    assert house.ask() == (404, False)
    house.watch.stop()


def test_another_directory_and_a_view_that_hides_it(base: Path) -> None:
    """A name that any directory of the index takes is own in every view."""
    house = PrivateNamesFixture(base)
    world = LiveDirectoryFixture(base / "staging", record=house.record).begin()
    staging = LocalSource(world.live, world.directory, PausedThreads())
    for local in (LocalViewSource(house.source, [staging]), UnionSource(
        LocalMember(house.source), [UpstreamMember(staging)], NameRules(allow_upstream=("*",)), was_used=lambda _: False, threads=PausedThreads()
    )):  # fmt: skip
        union = UnionSource(
            LocalMember(local),
            [UpstreamMember(house.outside.source)],
            NameRules(),
            was_used=house.record.has,
            threads=PausedThreads(),
        )
        house.index = SiteFixture(union)
        assert house.ask() == (200, True)
        path = empty(base / "staging")
        world.live.root_changed()
        assert house.ask() == (404, False)
        remove(path)
        world.live.root_changed()
        world.live.directories_changed(frozenset(["secret"]))
        assert house.ask() == (200, True)
    house.watch.stop()


def test_why(base: Path) -> None:
    """It is told what makes the name own, and what frees it."""
    house = PrivateNamesFixture(base)
    empty(house.root)
    assert isinstance(error(house.union.project(SECRET)), NothingYet)
    words = {word.source: word.sentence for word in result(house.union.words(SECRET))}
    assert "something of that name lies in the directory" in words["local"]
    assert words["upstream"].startswith("is not requested. secret is a name of this index")
    house.watch.stop()


def result_names(house: PrivateNamesFixture) -> list[str]:
    """The list of projects."""
    return list(result(house.union.projects()).names)
