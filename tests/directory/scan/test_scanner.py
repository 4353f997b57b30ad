"""From what lies there to what can be served of it: read once, never half, and the last good word stays in force."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.archives.examination.limits import ExaminationOverrun, NotExamined
from simpleindex.archives.examination.process import UnexpectedError
from simpleindex.archives.inspect import inspect_distribution
from simpleindex.core.model import Status
from simpleindex.core.names import LEDGER, ProjectName, parse_project_name
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.directory.project_file import NO_PROJECT_FILE
from simpleindex.directory.scan.digest_cache import DigestCache
from simpleindex.directory.scan.scanner import Scanner
from simpleindex.directory.scan.snapshot import NO_SNAPSHOT, ProjectSnapshot, ScanJob
from simpleindex.system.stamp import Stamp
from tests.fixtures.distributions import (
    add_sdist,
    add_wheel,
    put,
    sdist_bytes,
    sdist_name,
    wheel_bytes,
    wheel_name,
)
from tests.fixtures.examiner import FailingExaminer, InProcessExaminer
from tests.fixtures.log import log_with
from tests.fixtures.trees import FAR_NS, OLD_NS, SPECIAL, as_nobody, public_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ACME = ProjectName("acme")
WHEEL = wheel_name()


class ScannerFixture:
    """A root, a reader of it, and which files it read."""

    def __init__(self, root: Path, digests: DigestCache) -> None:
        self.root = root
        self.now_ns = FAR_NS
        self.read: list[str] = []
        self.before_open: Callable[[str], object] = lambda _path: None
        self.directory = PackageDirectory(str(root))
        self.reader = Scanner(self.directory, digests, lambda: self.now_ns, examiner=InProcessExaminer())
        open_file = self.directory.open_file

        def counted(path: str, stamp: Stamp) -> int:
            self.read.append(path)
            self.before_open(path)
            return open_file(path, stamp)

        self.directory.open_file = counted  # type: ignore[method-assign]  # what happens between look and read

    def look(
        self, previous: ProjectSnapshot = NO_SNAPSHOT, name: str = "acme", **options: Any
    ) -> ProjectSnapshot:
        """Read a project where the survey finds it; forget which files were read before."""
        survey = self.directory.survey()
        project = parse_project_name(name)
        self.read.clear()
        return self.reader.read_project(
            ScanJob(project, survey.directories.get(project, ()), survey.loose.get(project, ()), previous),
            **{"budget": 2**30, **options},
        )


@pytest.fixture
def digests(tmp_path: Path) -> Iterator[DigestCache]:
    """A working memory."""
    digests = DigestCache(str(tmp_path / "cache"), str(tmp_path / "root"), log_with(pytest.fail))
    digests.open()
    yield digests
    digests.close()


@pytest.fixture
def shop(tmp_path: Path, digests: DigestCache) -> ScannerFixture:
    """An empty one."""
    (tmp_path / "root").mkdir()
    return ScannerFixture(tmp_path / "root", digests)


def offered(snapshot: ProjectSnapshot) -> list[str]:
    """File names that are listed."""
    assert snapshot.project is not None
    return [file.filename for file in snapshot.project.files]


def withheld(snapshot: ProjectSnapshot) -> dict[str, str]:
    """Reasons by file name."""
    assert snapshot.project is not None
    return {item.filename: item.reason for item in snapshot.project.withheld}


def overwrite(path: Path, data: bytes) -> None:
    """Change the bytes of a file in place."""
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()


# -- one reading ----------------------------------------------------------------------------------------------------


def test_everything_that_can_be_said_of_a_file(shop: ScannerFixture) -> None:
    """Size, digests, time, requires-python, sidecar, signatures and provenance, from the files themselves."""
    path = add_wheel(shop.root, "acme", "1.0", "Requires-Python: >=3.9")
    put(path.with_name(f"{WHEEL}.asc"), b"signature")
    put(path.with_name(f"{WHEEL}.provenance"), b"{}")
    os.utime(path, ns=(OLD_NS, OLD_NS))
    snapshot = shop.look()
    assert snapshot.project is not None
    (file,) = snapshot.project.files
    assert (file.filename, file.version, file.uploaded_ns) == (WHEEL, "1.0", OLD_NS)
    assert (file.size, file.sha256) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    assert (file.requires_python, file.signatures, file.provenance) == (">=3.9", (".asc",), True)
    assert file.metadata is not None
    assert snapshot.known[f"acme/{WHEEL}.asc"].outcome == hashlib.sha256(b"signature").hexdigest()
    assert snapshot.chosen == {WHEEL: f"acme/{WHEEL}"}
    assert set(snapshot.stamps) == {"acme"}
    assert not any(
        (snapshot.pending, snapshot.unverified, snapshot.young, snapshot.partial, snapshot.trouble)
    )


def test_what_is_not_there_is_no_project(shop: ScannerFixture) -> None:
    """Neither is an empty directory, nor one with anything else in it; what was there is forgotten."""
    assert shop.look() == NO_SNAPSHOT
    put(shop.root / "acme" / "README", b"x")
    put(shop.root / "acme" / "x.asc", b"x")
    assert shop.look().project is None
    add_wheel(shop.root)
    before = shop.look()
    (shop.root / "acme" / WHEEL).unlink()
    assert (shop.look(before).project, shop.look(before).chosen) == (None, {})


def test_only_withheld_files_are_a_project_without_files(shop: ScannerFixture) -> None:
    """Its name is taken, and a client must not look for it elsewhere."""
    put(shop.root / "acme" / WHEEL, b"not a zip at all")
    snapshot = shop.look()
    assert offered(snapshot) == []
    assert set(withheld(snapshot)) == {WHEEL}


def test_files_of_all_places_are_one_project(shop: ScannerFixture) -> None:
    """Two spellings and the root: the same bytes are one file, other bytes are withheld, a broken one hides nothing."""
    one, two, three = (wheel_name("acme", version) for version in ("1.0", "2.0", "3.0"))
    add_wheel(shop.root, "acme", "1.0", directory="Acme")
    add_wheel(shop.root, "acme", "1.0", directory="acme")
    add_wheel(shop.root, "acme", "2.0", "Summary: other", directory="Acme")
    add_wheel(shop.root, "acme", "2.0", directory="acme")
    put(shop.root / "acme" / three, b"broken")
    put(shop.root / three, wheel_bytes("acme", "3.0"))
    put(shop.root / f"{three}.sig", b"signature")
    snapshot = shop.look()
    assert snapshot.chosen == {one: f"acme/{one}", two: f"acme/{two}", three: three}
    assert set(withheld(snapshot)) == {two, three}
    assert "Acme/" in withheld(snapshot)[two]
    assert snapshot.project is not None
    assert [file.signatures for file in snapshot.project.files] == [(), (), (".sig",)]


def test_what_cannot_be_served_takes_nothing_down(shop: ScannerFixture) -> None:
    """Each with one sentence on one line, and the good file beside them is offered."""
    add_wheel(shop.root)
    directory = shop.root / "acme"
    for kind, make in SPECIAL.items():
        make(directory / f"acme-1.0.{kind}.tar.gz")
    (directory / "acme-1.zip").symlink_to("/etc/passwd")
    (directory / "acme-2.zip").symlink_to("acme-2.zip")
    (directory / "acme-3.zip").touch()
    (directory / "acme-one.zip").touch()
    (directory / wheel_name("other")).write_bytes(wheel_bytes("other"))
    (directory / f"{WHEEL}.asc").touch()
    (directory / wheel_name("acme", "9")).write_bytes(wheel_bytes("other", "9"))
    (directory / "acme-4.tar.gz").write_bytes(sdist_bytes("acme", "4")[:-20])
    for raw in (b"acme-5\xff.zip", b"acme-5\n.zip"):
        with open(os.fsencode(directory) + b"/" + raw, "wb"):
            pass
    snapshot = shop.look()
    assert offered(snapshot) == [WHEEL]
    reasons = withheld(snapshot)
    assert len(reasons) == len(SPECIAL) + 10
    for name, reason in reasons.items():
        assert reason.startswith(f"acme/{name} is not served: ")
        assert reason.endswith(".")
        assert not reason.endswith("..")
        assert reason.isprintable()
    assert snapshot.known["acme/acme-4.tar.gz"].unfinished
    assert "not a regular file" in reasons["acme-1.0.FIFO.tar.gz"]
    assert "states the project other" in reasons[wheel_name("other")]


def test_an_unreadable_file_is_served_once_it_is_readable(tmp_path: Path, digests: DigestCache) -> None:
    """A chmod leaves the bytes, so the changed ctime alone must bring it back, in the very next look."""
    with public_directory() as root:
        shop = ScannerFixture(root, digests)
        path = add_wheel(root)
        path.chmod(0)
        with as_nobody():
            snapshot = shop.look()
            assert "cannot be read: Permission denied" in withheld(snapshot)[WHEEL]
            assert not snapshot.young
            assert withheld(shop.look(snapshot)) == withheld(snapshot)
            assert shop.read == []
        path.chmod(0o644)
        assert offered(shop.look(snapshot)) == [WHEEL]


def test_a_file_that_failed_in_passing_is_read_again(
    shop: ScannerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too many open files, a network's hiccup: no change of the file tells when that is over."""
    path = add_wheel(shop.root)

    def examine_failing(_file: object, _name: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("simpleindex.archives.examination.judgements.inspect_distribution", examine_failing)
        snapshot = shop.look()
    assert "Input/output error" in withheld(snapshot)[path.name]
    assert snapshot.young
    assert offered(shop.look(snapshot)) == [WHEEL]


def test_a_directory_that_cannot_be_read_is_trouble(
    shop: ScannerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is said of the project then; what was known is kept, and another look is due, since nothing will tell."""
    add_wheel(shop.root)
    put(shop.root / "acme" / "simpleindex.toml", b'status = "archived"')
    before = shop.look()

    def listdir(_path: str) -> list[str]:
        raise OSError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", listdir)
        snapshot = shop.look(before)
    assert (snapshot.project, snapshot.trouble) == (
        None,
        "The directory acme cannot be read: Permission denied.",
    )
    assert snapshot.young
    after = shop.look(snapshot)
    assert after.project == before.project
    assert shop.read == []


@pytest.mark.parametrize(
    ("outcome", "reason", "is_passing"),
    [
        (
            ExaminationOverrun("examining it takes more than 20 seconds"),
            "examining it takes more than 20 seconds.",
            False,
        ),
        (
            UnexpectedError("KeyError"),
            "examining it came upon an error of this index, which its log describes.",
            False,
        ),
        (NotExamined("the process was killed"), "the process was killed.", True),
        (
            InterruptedError(errno.EINTR, "the service is stopping"),
            "it cannot be read: the service is stopping.",
            True,
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_not_examined_to_the_end(
    shop: ScannerFixture, outcome: Exception, reason: str, is_passing: bool
) -> None:
    """A file that overruns is withheld until it changes, its neighbours are served; what is no fault of it is tried again."""
    add_wheel(shop.root)
    add_wheel(shop.root, "acme", "2.0")
    examiner = FailingExaminer()
    examiner.errors[WHEEL] = outcome
    shop.reader = replace(shop.reader, examiner=examiner)
    snapshot = shop.look()
    assert withheld(snapshot) == {WHEEL: f"acme/{WHEEL} is not served: {reason}"}
    assert offered(snapshot) == [wheel_name("acme", "2.0")]
    assert snapshot.young is is_passing
    examiner.errors.clear()
    later = shop.look(snapshot)
    assert shop.read == ([f"acme/{WHEEL}"] if is_passing else [])
    assert (WHEEL in offered(later)) is is_passing
    os.utime(shop.root / "acme" / WHEEL, ns=(1, 1))
    assert WHEEL in offered(shop.look(later))


def test_few_descriptors_are_enough(shop: ScannerFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a process with a small limit only a share is open at once, and large projects are read all the same."""
    monkeypatch.setattr("resource.getrlimit", lambda _: (64, 64))
    for version in range(9):
        add_wheel(shop.root, "acme", f"{version}.0")
    is_open: list[int] = []
    shop.before_open = lambda _: is_open.append(len(os.listdir("/proc/self/fd")))
    assert len(offered(shop.look())) == 9
    assert max(is_open) - min(is_open) <= 4


# -- from one look to the next --------------------------------------------------------------------------------------


def test_nothing_new_is_neither_read_nor_answered_anew(shop: ScannerFixture) -> None:
    """The same answer is the same object, so that pages made from it stay good."""
    add_wheel(shop.root)
    add_sdist(shop.root)
    put(shop.root / "acme" / f"{WHEEL}.sig", b"x")
    before = shop.look()
    after = shop.look(before)
    assert shop.read == []
    assert after.project is before.project
    assert after == before
    add_wheel(shop.root, "acme", "2.0")
    later = shop.look(after)
    assert shop.read == [f"acme/{wheel_name('acme', '2.0')}"]
    assert later.project is not None


@pytest.mark.parametrize("change", ["replaced", "overwritten", "touched"])
def test_a_changed_file_is_read_again(shop: ScannerFixture, change: str) -> None:
    """Whatever it is whose state is another; its new digest is listed."""
    path = add_wheel(shop.root)
    os.utime(path, ns=(OLD_NS, OLD_NS))
    before = shop.look()
    data = wheel_bytes("acme", "1.0", "Summary: new")
    if change == "replaced":
        put(path, data)
    elif change == "overwritten":
        overwrite(path, data)
    else:
        os.utime(path, ns=(OLD_NS, OLD_NS + 1))
    snapshot = shop.look(before)
    assert snapshot.project is not None
    assert snapshot.project.files[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert shop.read == [f"acme/{WHEEL}"]


def test_a_restart_reads_nothing(shop: ScannerFixture, digests: DigestCache) -> None:
    """What was learnt is remembered, for every place."""
    add_wheel(shop.root)
    add_wheel(shop.root, "acme", "2.0", directory="Acme")
    put(shop.root / wheel_name("acme", "3.0"), wheel_bytes("acme", "3.0"))
    before = shop.look()
    again = ScannerFixture(shop.root, digests)
    snapshot = again.look()
    assert again.read == []
    assert snapshot.project == before.project
    assert snapshot.known == before.known


def test_the_memory_is_not_believed_of_other_bytes(shop: ScannerFixture, digests: DigestCache) -> None:
    """Overwritten while the service was down."""
    path = add_wheel(shop.root)
    shop.look()
    overwrite(path, wheel_bytes("acme", "1.0", "Summary: new"))
    os.utime(path, ns=(OLD_NS, OLD_NS))
    again = ScannerFixture(shop.root, digests)
    snapshot = again.look()
    assert again.read == [f"acme/{WHEEL}"]
    assert snapshot.project is not None
    assert snapshot.project.files[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("seconds", [0, 2**32, 10_413_792_000])
def test_any_modification_time_is_served(shop: ScannerFixture, seconds: int) -> None:
    """1970, 2106 and 2300, by whatever clock; nothing is young for ever, and everything is remembered."""
    path = add_wheel(shop.root)
    os.utime(path, ns=(seconds * 10**9, seconds * 10**9))
    if path.stat().st_mtime_ns != seconds * 10**9:
        pytest.skip("this file system has no such times")
    for now in (5 * 10**9, 2**32 * 10**9 + 5 * 10**9, FAR_NS):
        shop.now_ns = now
        snapshot = shop.look()
        assert snapshot.project is not None
        assert snapshot.project.files[0].uploaded_ns == seconds * 10**9
        assert not snapshot.young
    assert shop.read == []


def test_what_is_read_while_young_is_read_again(shop: ScannerFixture, digests: DigestCache) -> None:
    """A change within the same tick leaves the same state; it is listed meanwhile, and not remembered."""
    path = add_wheel(shop.root)
    stat = path.stat()
    shop.now_ns = stat.st_ctime_ns
    snapshot = shop.look()
    assert offered(snapshot) == [WHEEL]
    assert snapshot.young
    assert shop.look(snapshot).young
    assert shop.read == []
    assert offered(ScannerFixture(shop.root, digests).look()) == [WHEEL]
    again = ScannerFixture(shop.root, digests)
    again.now_ns = FAR_NS
    digests.forget_others([])
    later = again.look(snapshot)
    assert (offered(later), later.unverified, later.doubtful) == ([WHEEL], True, False)
    verified = again.look(later, verify=True)
    assert again.read == [f"acme/{WHEEL}"]
    assert (verified.unverified, verified.young) == (False, False)
    ScannerFixture(shop.root, digests).look(verified)
    third = ScannerFixture(shop.root, digests)
    third.look()
    assert third.read == []


def test_a_hard_link_backup_costs_no_listing(shop: ScannerFixture, digests: DigestCache) -> None:
    """Only ctime and links differ: it stays listed, is not yet believed, and is read again when there is time."""
    path = add_wheel(shop.root)
    before = shop.look()
    os.link(path, shop.root.parent / "backup")
    for snapshot in (shop.look(before), ScannerFixture(shop.root, digests).look()):
        assert shop.read == []
        assert snapshot.project == before.project
        assert (snapshot.unverified, snapshot.pending) == (True, False)
    assert not shop.look(before).doubtful
    verified = shop.look(snapshot, verify=True)
    assert shop.read == [f"acme/{WHEEL}"]
    assert not verified.unverified
    assert verified.known[f"acme/{WHEEL}"].stamp == Stamp.of(path.stat())
    assert not shop.look(verified).unverified
    assert shop.read == []
    again = ScannerFixture(shop.root, digests)
    assert not again.look().unverified
    assert again.read == []


def test_what_a_changed_ctime_hid_comes_out(shop: ScannerFixture) -> None:
    """Other bytes of the same size whose time was set back: found when it is verified."""
    path = add_wheel(shop.root)
    os.utime(path, ns=(OLD_NS, OLD_NS))
    before = shop.look()
    overwrite(path, path.read_bytes()[:-1] + b"\1")
    os.utime(path, ns=(OLD_NS, OLD_NS))
    snapshot = shop.look(before)
    assert (offered(snapshot), snapshot.unverified, snapshot.doubtful) == ([WHEEL], True, True)
    assert shop.look(snapshot).doubtful
    verified = shop.look(snapshot, verify=True)
    assert verified.project != before.project
    assert (verified.unverified, verified.doubtful) == (False, False)
    assert verified.known[f"acme/{WHEEL}"].stamp == Stamp.of(path.stat())


def test_what_changed_its_ctime_while_it_was_read_is_in_doubt(
    shop: ScannerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is listed, though not in its new state, since the bytes may be of both."""
    path = add_wheel(shop.root)
    opened = Stamp.of(path.stat())

    def examine_late(file: Any, name: Any) -> Any:
        facts = inspect_distribution(file, name)
        path.chmod(0o600)
        return facts

    monkeypatch.setattr("simpleindex.archives.examination.judgements.inspect_distribution", examine_late)
    snapshot = shop.look()
    assert snapshot.known[f"acme/{WHEEL}"].stamp == opened
    monkeypatch.undo()
    assert shop.look(snapshot).doubtful
    assert not shop.look(snapshot, verify=True).doubtful


# -- how much at once -----------------------------------------------------------------------------------------------


def test_a_budget_leaves_the_rest_pending(shop: ScannerFixture) -> None:
    """At least one file each time, however large; the project is partial until all were read once."""
    paths = [add_wheel(shop.root, "acme", f"{number}.0") for number in (1, 2, 3)]
    snapshot, seen = NO_SNAPSHOT, []
    for count in (1, 2, 3):
        snapshot = shop.look(snapshot, budget=1)
        assert len(shop.read) == 1
        assert len(offered(snapshot)) == count
        seen.append((snapshot.pending, snapshot.partial))
    assert seen == [(True, True), (True, True), (False, False)]
    put(paths[0], wheel_bytes("acme", "1.0", "Summary: new"))
    put(paths[1], wheel_bytes("acme", "2.0", "Summary: new"))
    snapshot = shop.look(snapshot, budget=1)
    assert (snapshot.pending, snapshot.partial, len(offered(snapshot))) == (True, False, 2)
    size = sum(path.stat().st_size for path in paths)
    assert len(offered(shop.look(budget=size))) == 3


def test_reading_again_unlists_nothing(shop: ScannerFixture) -> None:
    """After a backup of many large files, or 2 s after they arrived: each stays listed until its turn has come."""
    paths = [add_wheel(shop.root, "acme", f"{number}.0") for number in (1, 2, 3)]
    shop.now_ns = paths[0].stat().st_ctime_ns
    snapshot = shop.look()
    shop.now_ns = FAR_NS
    for path in paths[1:]:
        os.link(path, shop.root.parent / path.name)
    rounds = 0
    snapshot = shop.look(snapshot)
    while snapshot.unverified:
        snapshot = shop.look(snapshot, budget=1, verify=True)
        assert len(offered(snapshot)) == 3
        assert not snapshot.pending
        assert len(shop.read) == 1
        rounds += 1
    assert rounds == 3
    assert not snapshot.young


# -- files that are still arriving ----------------------------------------------------------------------------------


def test_a_half_written_file_appears_when_it_is_whole(shop: ScannerFixture) -> None:
    """And is not read again as long as it rests."""
    data = wheel_bytes()
    path = put(shop.root / "acme" / WHEEL, data[:100])
    snapshot = shop.look()
    assert offered(snapshot) == []
    assert snapshot.known[f"acme/{WHEEL}"].unfinished
    assert offered(shop.look(snapshot)) == []
    assert shop.read == []
    with path.open("ab") as file:
        file.write(data[100:])
    assert offered(shop.look(snapshot)) == [WHEEL]


def test_a_half_written_file_read_while_young_is_read_again(shop: ScannerFixture) -> None:
    """Its last bytes may have come within the same tick; nothing is lost by reading at once."""
    path = put(shop.root / "acme" / WHEEL, b"half")
    shop.now_ns = path.stat().st_ctime_ns
    snapshot = shop.look()
    assert snapshot.young
    shop.now_ns = FAR_NS
    later = shop.look(snapshot)
    assert shop.read == [f"acme/{WHEEL}"]
    assert (later.unverified, later.young) == (False, False)


def test_a_patient_reader_waits_until_it_rests(shop: ScannerFixture) -> None:
    """Else every sweep would read all of a large sdist that is just arriving."""
    shop.reader = replace(shop.reader, patient=True)
    data = sdist_bytes()
    path = put(shop.root / "acme" / sdist_name(), data[:100])
    snapshot = shop.look()
    for end in (150, 200, len(data)):
        overwrite(path, data[:end])
        snapshot = shop.look(snapshot)
        assert shop.read == []
        assert offered(snapshot) == []
        assert snapshot.young
    snapshot = shop.look(snapshot)
    assert shop.read == [f"acme/{sdist_name()}"]
    assert offered(snapshot) == [sdist_name()]


def test_a_patient_reader_does_not_wait_for_a_wheel(shop: ScannerFixture) -> None:
    """Whether it is whole is told by its end, which costs nothing: it is listed with the very next look."""
    shop.reader = replace(shop.reader, patient=True)
    data = wheel_bytes()
    path = put(shop.root / "acme" / WHEEL, data[:100])
    snapshot = shop.look()
    overwrite(path, data)
    assert offered(shop.look(snapshot)) == [WHEEL]


def test_a_patient_reader_does_not_wait_for_the_first_look(shop: ScannerFixture) -> None:
    """A file that is whole when it is first seen, or was whole before, is read at once."""
    shop.reader = replace(shop.reader, patient=True)
    path = add_wheel(shop.root)
    before = shop.look()
    assert offered(before) == [WHEEL]
    put(path, wheel_bytes("acme", "1.0", "Summary: new"))
    assert shop.look(before).project != before.project


@pytest.mark.parametrize("when", ["before", "while"])
@pytest.mark.parametrize("how", ["overwritten", "replaced", "deleted", "cut"])
def test_a_file_that_changes_under_the_reader_is_not_listed(
    shop: ScannerFixture, when: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between look and opening, or while it is read: never a digest of what is no longer there."""
    path = add_wheel(shop.root)
    data = wheel_bytes("acme", "1.0", "Summary: new")

    def change(_path: object = None) -> None:
        if how == "overwritten":
            overwrite(path, data)
        elif how == "replaced":
            put(path, data)
        elif how == "cut":
            os.truncate(path, 10)
        else:
            path.unlink()

    if when == "before":
        shop.before_open = change
    else:

        def examine_changing(file: Any, name: Any) -> Any:
            facts = inspect_distribution(file, name)
            change()
            return facts

        monkeypatch.setattr(
            "simpleindex.archives.examination.judgements.inspect_distribution", examine_changing
        )
    snapshot = shop.look()
    if when == "while" and how in {"replaced", "deleted"}:
        # What was opened is what was read; the next look sees another state.
        assert offered(snapshot) == [WHEEL]
    else:
        assert offered(snapshot) == []
        assert "it changed while it was being" in withheld(snapshot)[WHEEL]
        assert snapshot.known[f"acme/{WHEEL}"].unfinished
    monkeypatch.undo()
    shop.before_open = lambda _path: None
    later = shop.look(snapshot)
    if how == "deleted":
        assert later.project is None
    else:
        assert (offered(later) == []) is (how == "cut")
        assert all(
            file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
            for file in (later.project.files if later.project else ())
        )


def test_a_growing_file_is_unfinished(shop: ScannerFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes were added between its digest and the last look at it."""
    path = add_wheel(shop.root)
    fstat, calls = os.fstat, []

    def growing(descriptor: int) -> os.stat_result:
        calls.append(descriptor)
        if len(calls) == 2:
            with path.open("ab") as file:
                file.write(b"more")
        return fstat(descriptor)

    monkeypatch.setattr(os, "fstat", growing)
    snapshot = shop.look()
    assert withheld(snapshot)[WHEEL] == f"acme/{WHEEL} is not served: it changed while it was being read."


# -- the ledger -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("directory", ["acme", "Acme"])
def test_a_name_whose_files_were_deleted_is_known_and_empty(shop: ScannerFixture, directory: str) -> None:
    """Were it not here, a client would take a stranger's package of that name."""
    put(shop.root / directory / LEDGER, b"")
    (shop.root / "other").mkdir()
    project = shop.look().project
    assert project is not None
    assert (project.files, project.withheld, project.status) == ((), (), Status.ACTIVE)
    assert shop.look(name="other").project is None


def test_a_ledger_changes_nothing_else(shop: ScannerFixture) -> None:
    """It is neither served nor withheld, and what lies beside it is listed."""
    add_wheel(shop.root)
    before = shop.look().project
    put(shop.root / "acme" / LEDGER, b"")
    assert shop.look().project == before


# -- simpleindex.toml -----------------------------------------------------------------------------------------------


def write_project_file(shop: ScannerFixture, data: bytes) -> None:
    """Replace it, as an editor does."""
    put(shop.root / "acme" / "simpleindex.toml", data)


def test_a_project_file_alone_makes_a_project(shop: ScannerFixture) -> None:
    """Even one that says nothing: the name is taken."""
    write_project_file(shop, b"# ours")
    snapshot = shop.look()
    assert (offered(snapshot), snapshot.trouble) == ([], None)
    assert set(snapshot.stamps) == {"acme", "acme/simpleindex.toml"}


def test_yanks_status_and_their_end(shop: ScannerFixture) -> None:
    """Obeyed as soon as it is there, and lifted when it is deleted; no archive is read again for it."""
    add_wheel(shop.root)
    add_wheel(shop.root, "acme", "2.0")
    plain = shop.look()
    write_project_file(shop, f'[yanked]\n"1.0" = "bad"\n"{wheel_name("acme", "2.0")}" = true'.encode())
    yanked = shop.look(plain)
    assert yanked.project is not None
    assert [file.yanked for file in yanked.project.files] == ["bad", ""]
    write_project_file(shop, b'status = "quarantined"\nreason = "malware"')
    quarantined = shop.look(yanked)
    assert quarantined.project is not None
    assert (quarantined.project.status, quarantined.project.files) == (Status.QUARANTINED, ())
    assert quarantined.chosen == {}
    assert {item.rule for item in quarantined.project.withheld} == {"status"}
    assert shop.read == []
    (shop.root / "acme" / "simpleindex.toml").unlink()
    lifted = shop.look(quarantined)
    assert lifted.project == plain.project
    assert lifted.project_file is NO_PROJECT_FILE


BROKEN_FILES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.touch(),
    "broken": lambda path: path.write_bytes(b"status = "),
    "misspelt": lambda path: path.write_bytes(b"[yank]"),
    "binary": lambda path: path.write_bytes(b"\xff\0"),
    "huge": lambda path: path.write_bytes(b"#" * 70_000),
    "linked": lambda path: path.symlink_to("real.toml"),
    "number": lambda path: path.write_bytes(b"status = 1" + b"0" * 5000),
    **SPECIAL,
}


@pytest.mark.parametrize("kind", BROKEN_FILES)
@pytest.mark.parametrize("status", ["quarantined", "archived"])
def test_the_last_good_project_file_stays_in_force(shop: ScannerFixture, kind: str, status: str) -> None:
    """Through any number of looks and troubles; the report says so, until there is a good one again."""
    add_wheel(shop.root)
    write_project_file(shop, f'status = "{status}"\n[yanked]\n"1.0" = ""'.encode())
    good = shop.look()
    path = shop.root / "acme" / "simpleindex.toml"
    path.unlink()
    BROKEN_FILES[kind](path)
    snapshot = good
    for _ in range(2):
        snapshot = shop.look(snapshot)
        assert snapshot.trouble is None
        assert snapshot.project is not None
        assert good.project is not None
        assert (snapshot.project.status, snapshot.project.files) == (Status(status), good.project.files)
        reason = withheld(snapshot)["simpleindex.toml"]
        assert reason.startswith("acme/simpleindex.toml ")
        assert reason.endswith("; what it stated before stays in force.")
        assert reason.isprintable()
        snapshot = shop.look(replace(snapshot, trouble="x", project=None))
    if kind == "directory":
        path.rmdir()
    else:
        path.unlink()
    write_project_file(shop, b"#")
    mended = shop.look(snapshot)
    assert mended.project is not None
    assert (mended.project.status, mended.project.withheld) == (Status.ACTIVE, ())


@pytest.mark.parametrize("kind", BROKEN_FILES)
def test_without_a_good_project_file_nothing_can_be_said(shop: ScannerFixture, kind: str) -> None:
    """After a restart, say: a yank or a quarantine must not vanish by accident."""
    add_wheel(shop.root)
    BROKEN_FILES[kind](shop.root / "acme" / "simpleindex.toml")
    snapshot = shop.look()
    assert snapshot.trouble is not None
    assert snapshot.trouble.startswith("acme/simpleindex.toml ")
    assert snapshot.trouble.endswith(".")
    assert snapshot.trouble.isprintable()
    assert withheld(snapshot) == {}


def test_a_broken_project_file_is_named_where_it_lies(shop: ScannerFixture) -> None:
    """The path below the root leads to it, also in a second spelling's directory."""
    add_wheel(shop.root)
    put(shop.root / "Acme" / "simpleindex.toml", b"yankd = 1")
    snapshot = shop.look()
    assert snapshot.trouble == "Acme/simpleindex.toml has the unknown key 'yankd' (did you mean 'yanked'?)."
    assert snapshot.is_file_broken


def test_two_project_files_leave_the_last_good_one(shop: ScannerFixture) -> None:
    """A second spelling appears with one of its own."""
    write_project_file(shop, b'status = "archived"')
    good = shop.look()
    put(shop.root / "Acme" / "simpleindex.toml", b'status = "active"')
    snapshot = shop.look(good)
    assert snapshot.project is not None
    assert snapshot.project.status is Status.ARCHIVED
    assert "lies in acme and Acme" in withheld(snapshot)["simpleindex.toml"]


def test_a_young_project_file_is_looked_at_again(shop: ScannerFixture) -> None:
    """It has no state but its stamp, which a change within the same tick would leave."""
    write_project_file(shop, b"#")
    shop.now_ns = (shop.root / "acme" / "simpleindex.toml").stat().st_ctime_ns
    assert shop.look().young
    shop.now_ns = FAR_NS
    assert not shop.look().young


RULES = b'status = "archived"\n[yanked]\n"1.0" = "bad"\n"2.0" = true\n'


@pytest.mark.parametrize(
    ("data", "is_kept"),
    [
        (b'status = "archived"\n[yanked]\n"1.0" = "bad"\n', True),
        (b'status = "active"\n[yanked]\n"1.0" = "bad"\n"2.0" = true\n', True),
        (b"# ours", True),
        (None, True),
        (b'status = "archived"\n[yanked]\n"2.0" = "worse"\n"1.0" = true\n"3.0" = true\n', False),
        (b'status = "quarantined"\n', False),
    ],
)
def test_what_may_be_half_a_project_file_takes_no_rule_away(
    shop: ScannerFixture, data: bytes | None, is_kept: bool
) -> None:
    """While it is written in place, or deleted and made anew; a real deletion counts after 2 s. More rules count at once."""
    for version in ("1.0", "2.0", "3.0"):
        add_wheel(shop.root, "acme", version)
    path = shop.root / "acme" / "simpleindex.toml"
    write_project_file(shop, RULES)
    before = shop.look()
    if data is None:
        path.unlink()
        shop.now_ns = path.parent.stat().st_ctime_ns
    else:
        path.write_bytes(data)
        shop.now_ns = path.stat().st_ctime_ns
    young = shop.look(before)
    assert (young.project == before.project) is is_kept
    assert (young.project_file == before.project_file) is is_kept
    assert (young.young, young.trouble) == (True, None)
    assert "simpleindex.toml" not in withheld(young)
    shop.now_ns = FAR_NS
    rested = shop.look(young)
    assert rested.project == shop.look().project
    assert not rested.young


def test_a_file_beside_a_resting_project_file_delays_nothing(shop: ScannerFixture) -> None:
    """The state of the directory counts only where there is no project file."""
    write_project_file(shop, RULES)
    before = shop.look()
    path = shop.root / "acme" / "simpleindex.toml"
    path.write_bytes(b"# ours")
    os.utime(path, ns=(OLD_NS, OLD_NS))
    os.utime(path.parent, ns=(OLD_NS, FAR_NS))
    snapshot = shop.look(before)
    assert snapshot.young
    assert snapshot.project_file == NO_PROJECT_FILE


def test_the_rules_go_with_their_directory(shop: ScannerFixture) -> None:
    """Files directly in the root stay, and have none."""
    put(shop.root / WHEEL, wheel_bytes())
    write_project_file(shop, RULES)
    before = shop.look()
    (shop.root / "acme" / "simpleindex.toml").unlink()
    (shop.root / "acme").rmdir()
    snapshot = shop.look(before)
    assert (offered(snapshot), snapshot.project_file) == ([WHEEL], NO_PROJECT_FILE)


def test_a_stop_does_not_wait_for_the_end_of_a_file(shop: ScannerFixture) -> None:
    """Once the service stops, no further byte of a large archive is read."""
    put(shop.root / "acme" / wheel_name(), wheel_bytes())
    shop.reader.stopping.set()
    assert withheld(shop.look()) == {
        wheel_name(): f"acme/{wheel_name()} is not served: it cannot be read: the service is stopping."
    }


def test_whose_it_is(tmp_path: Path) -> None:
    """Files and what is withheld say the name of their directory; so does a broken project file."""
    add_wheel(tmp_path)
    put(tmp_path / "acme" / wheel_name("acme", "2.0"), b"no archive")
    digests = DigestCache("/nonexistent", str(tmp_path))
    reader = Scanner(
        PackageDirectory(str(tmp_path)), digests, lambda: FAR_NS, "staging", examiner=InProcessExaminer()
    )
    snapshot = reader.read_project(ScanJob(ACME, ("acme",), (), NO_SNAPSHOT), budget=2**30)
    assert snapshot.project is not None
    assert [file.source for file in snapshot.project.files] == ["staging"]
    assert [item.source for item in snapshot.project.withheld] == ["staging"]
    again = reader.read_project(ScanJob(ACME, ("acme",), (), snapshot), budget=2**30)
    assert again.project is snapshot.project
