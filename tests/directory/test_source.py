"""The three questions of a directory: what was listed is what is sent, or nothing is."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from simpleindex.core.errors import Changed, NotAllowed, NotHere, Unavailable
from simpleindex.core.names import ProjectName
from simpleindex.directory import source as local_module
from simpleindex.directory.source import LocalSource
from simpleindex.system import bodies
from tests.fixtures.deferreds import error, facts, pending, result
from tests.fixtures.distributions import add_sdist, add_wheel, put, sdist_name, wheel_bytes, wheel_name
from tests.fixtures.live_directory import ACME, OTHER, LiveDirectoryFixture
from tests.fixtures.stepping import at_once
from tests.fixtures.threads import PausedThreads

if TYPE_CHECKING:
    from pathlib import Path

    from simpleindex.core.source import Body

WHEEL = wheel_name()
SIDECAR = f"{WHEEL}.metadata"


class Here:
    """A source over a root with the project acme, an sdist and a wheel."""

    def __init__(self, root: Path, *, slow_opens: bool = False) -> None:
        self.root = root
        self.wheel = add_wheel(root)
        add_sdist(root)
        self.world = LiveDirectoryFixture(root).begin()
        self.threads = PausedThreads()
        self.source = LocalSource(self.world.live, self.world.directory, self.threads, slow_opens=slow_opens)

    def report(self) -> None:
        """Let an event of the project arrive."""
        self.world.live.directories_changed(frozenset({"acme"}))

    def ask(self, filename: str = WHEEL) -> Deferred[Any]:
        """Ask for a file."""
        return Deferred.fromCoroutine(self.source.file(ACME, filename))

    def bytes(self, filename: str = WHEEL) -> bytes:
        """All of a file, which must be what it says that it is."""
        return whole(result(self.ask(filename)))

    def listed(self, filename: str = WHEEL) -> str:
        """The digest in the listing."""
        project = result(self.source.project(ACME))
        return str(next(file.sha256 for file in project.files if file.filename == filename))


def whole(body: Body) -> bytes:
    """Read a body to its end and close it."""
    try:
        assert body.size is not None
        data: bytes = result(body.read(0, body.size))
        assert hashlib.sha256(data).hexdigest() == body.sha256
        return data
    finally:
        body.close()


def descriptors() -> set[str]:
    """Files open in this process."""
    return {
        os.readlink(f"/proc/self/fd/{number}")
        for number in os.listdir("/proc/self/fd")
        if os.path.lexists(f"/proc/self/fd/{number}")
    }


@pytest.fixture(params=[False, True], ids=["local", "network"])
def here(tmp_path: Path, request: pytest.FixtureRequest) -> Here:
    """A source over a local disk, and over a network's."""
    return Here(tmp_path / "root", slow_opens=request.param)


@pytest.fixture
def network(tmp_path: Path) -> Here:
    """A source whose every open needs a thread."""
    return Here(tmp_path / "root", slow_opens=True)


# -- the answers ----------------------------------------------------------------------------------------------------


def test_the_three_questions(here: Here) -> None:
    """Projects, one project, a file of it; and what is not there is not there."""
    assert result(here.source.projects()).names == ("acme",)
    assert [file.filename for file in result(here.source.project(ACME)).files] == [WHEEL, sdist_name()]
    assert here.bytes() == here.wheel.read_bytes()
    assert result(here.ask()).modified_ns == here.wheel.stat().st_mtime_ns
    assert here.bytes(sdist_name()) == (here.root / "acme" / sdist_name()).read_bytes()
    nobody = ProjectName("nobody")
    assert facts(error(here.source.project(nobody))) == ("project nobody",)
    assert facts(error(here.source.file(nobody, "x.whl"))) == ("project nobody",)


def test_what_is_answered_at_once_is_the_same_answer(here: Here) -> None:
    """None where somebody must wait, or where there is nothing."""
    assert at_once(here.source.projects()) is result(here.source.projects())
    assert at_once(here.source.project(ACME)) is result(here.source.project(ACME))
    with pytest.raises(NotHere):
        at_once(here.source.project(ProjectName("nobody")))
    here.world.reads.held = True
    here.report()
    assert at_once(here.source.project(ACME)) is None


def test_what_has_just_appeared_is_not_absent(here: Here) -> None:
    """Before its event comes, nothing is said of it at once: an upstream would be asked for a private name."""
    add_wheel(here.root, "other")
    shutil.rmtree(here.root / "other")
    with pytest.raises(NotHere):
        at_once(here.source.project(OTHER))


def test_a_file_that_another_worker_lists_already(here: Here) -> None:
    """It is here too, with its sidecar, before this worker has heard of it; one that nobody has is looked for once."""
    for filename in (wheel_name(version="9.0"), f"{wheel_name(version='9.1')}.metadata"):
        assert filename not in [file.filename for file in result(here.source.project(ACME)).files]
        add_wheel(here.root, version=filename.split("-")[1])
        assert here.bytes(filename)
    looks = here.world.live.generation
    assert isinstance(error(here.ask("acme-9.9.tar.gz")), NotHere)
    assert here.world.live.generation == looks


def test_of_what_is_being_looked_at_nothing_is_said_at_once(here: Here) -> None:
    """Neither that it is there nor that it is not."""
    here.world.reads.held = True
    here.world.live.directories_changed(frozenset({"other"}))
    assert at_once(here.source.project(OTHER)) is None


@pytest.mark.parametrize(
    "filename",
    [
        "acme-9.0-py3-none-any.whl",
        "acme-9.0-py3-none-any.whl.metadata",
        "acme-9.0-py3-none-any.whl.asc",
        f"{sdist_name()}.metadata",
        f"{WHEEL}.asc",
        f"{SIDECAR}.asc",
        f"{WHEEL}.asc.metadata",
        f"{WHEEL}.metadata.metadata",
        ".metadata",
        ".asc",
        "",
        "simpleindex.toml",
        "../acme/" + WHEEL,
        "notes.txt",
        f"{WHEEL}\0",
    ],
)
def test_only_what_is_listed_is_here(here: Here, filename: str) -> None:
    """Neither what does not exist, nor what exists beside it."""
    (here.root / "acme" / "notes.txt").write_text("notes")
    (here.root / "acme" / "simpleindex.toml").write_text('status = "active"')
    here.report()
    assert facts(error(here.ask(filename))) == (f"file {filename}",)


def test_what_is_withheld_is_not_here(here: Here) -> None:
    """Neither it nor what belongs to it."""
    broken = wheel_name(version="2.0")
    put(here.root / "acme" / broken, b"no zip")
    put(here.root / "acme" / f"{broken}.asc", b"-----BEGIN PGP SIGNATURE-----\n")
    here.report()
    for filename in (broken, f"{broken}.metadata", f"{broken}.asc"):
        assert isinstance(error(here.ask(filename)), NotHere)


def test_a_wheel_without_servable_metadata_has_no_sidecar(here: Here) -> None:
    """It is listed without, so nobody may ask for it."""
    name = wheel_name(version="2.0")
    put(here.root / "acme" / name, wheel_bytes("acme", "2.0"))
    here.report()
    snapshot = here.world.live.snapshots[ACME]
    for file in snapshot.project.files:  # type: ignore[union-attr]
        if file.metadata is None:
            assert isinstance(error(here.ask(f"{file.filename}.metadata")), NotHere)
        else:
            assert hashlib.sha256(here.bytes(f"{file.filename}.metadata")).hexdigest() == file.metadata.sha256


def test_side_files_are_relayed_byte_for_byte(here: Here) -> None:
    """Signatures and provenance; those that cannot be relayed are not here."""
    contents = {
        ".asc": b"-----BEGIN PGP SIGNATURE-----\n",
        ".sig": b"\x88\x00",
        ".provenance": b'{"version": 1, "attestation_bundles": []}',
    }
    for suffix, data in contents.items():
        put(here.root / "acme" / (WHEEL + suffix), data)
    here.report()
    project = result(here.source.project(ACME))
    listed = project.files[0]
    for suffix, data in contents.items():
        if suffix in listed.signatures or (suffix == ".provenance" and listed.provenance):
            assert here.bytes(WHEEL + suffix) == data
    assert listed.signatures == (".asc", ".sig")
    (here.root / "acme" / f"{WHEEL}.sig").unlink()
    (here.root / "acme" / f"{WHEEL}.sig").symlink_to("/etc/passwd")
    here.report()
    assert isinstance(error(here.ask(f"{WHEEL}.sig")), NotHere)
    assert here.bytes(f"{WHEEL}.asc") == contents[".asc"]


def test_a_quarantined_project_is_shown_and_not_given(here: Here) -> None:
    """PEP 792: no file of it, of whatever kind."""
    (here.root / "acme" / "simpleindex.toml").write_text('status = "quarantined"')
    here.report()
    assert result(here.source.project(ACME)).files == ()
    for filename in (WHEEL, SIDECAR, f"{WHEEL}.asc"):
        assert isinstance(error(here.ask(filename)), NotAllowed)


def test_what_cannot_be_answered_is_passed_on(here: Here) -> None:
    """Of all three questions."""
    shutil.rmtree(here.root)
    here.world.sweep()
    for question in (here.source.projects(), here.source.project(ACME), here.source.file(ACME, WHEEL)):
        assert isinstance(error(question), Unavailable)


# -- the sidecar ----------------------------------------------------------------------------------------------------


def test_a_sidecar_is_the_metadata_byte_for_byte(here: Here) -> None:
    """Each time that it is asked for."""
    with zipfile.ZipFile(here.wheel) as archive:
        expected = archive.read("acme-1.0.dist-info/METADATA")
    for _ in range(3):
        assert here.bytes(SIDECAR) == expected


def test_a_sidecar_does_not_outlive_its_wheel(here: Here) -> None:
    """However well it is remembered: where the wheel went, was replaced, or was written in place."""
    here.bytes(SIDECAR)
    put(here.wheel, wheel_bytes("acme", "1.0", "Summary: replaced"))
    assert b"Summary: replaced" in here.bytes(SIDECAR)
    here.wheel.write_bytes(wheel_bytes("acme", "1.0", "Summary: written in place"))
    assert b"Summary: written in place" in here.bytes(SIDECAR)
    here.wheel.unlink()
    assert isinstance(error(here.ask(SIDECAR)), NotHere)


def test_a_remembered_sidecar_is_not_extracted_again(tmp_path: Path) -> None:
    """A resolver asks for it often, and it needs no thread then."""
    here = Here(tmp_path / "root")
    before = here.bytes(SIDECAR)
    here.threads.held = True
    assert here.bytes(SIDECAR) == before


def test_of_a_project_that_is_read_in_passing_nothing_is_kept(here: Here) -> None:
    """A project that was in use before stays so."""
    snapshots = here.world.live.snapshots
    before = here.source.listing_digest(ACME)
    with here.source.in_passing(ACME):
        sidecar = hashlib.sha256(here.bytes(SIDECAR)).hexdigest()
        assert ACME in snapshots.unpacked
    assert ACME not in snapshots.unpacked
    assert here.source._sidecars.get(sidecar) is None
    project = result(here.source.project(ACME))
    with here.source.in_passing(ACME):
        here.bytes(SIDECAR)
    assert result(here.source.project(ACME)) is project
    assert here.source.listing_digest(ACME) == before is not None
    again = LiveDirectoryFixture(here.root).begin()
    assert again.live.snapshots.listing_digest(ACME) == before


def test_sidecars_are_forgotten_in_the_order_of_their_last_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept is bounded in bytes; one that is larger than the bound is served and not kept."""
    metadata = [wheel_bytes("acme", f"{n}.0") for n in (2, 3)]
    size = 60
    monkeypatch.setattr(local_module, "SIDECAR_CACHE_SIZE", 2 * size)
    here = Here(tmp_path / "root")
    for number, data in enumerate(metadata, 2):
        put(here.root / "acme" / wheel_name(version=f"{number}.0"), data)
    put(here.root / "acme" / wheel_name(version="4.0"), wheel_bytes("acme", "4.0", f"Summary: {'x' * 999}"))
    here.report()

    def needs_thread(version: str) -> bool:
        asked = len(here.threads.calls)
        here.threads.held = True
        question = here.ask(f"{wheel_name(version=version)}.metadata")
        needed = len(here.threads.calls) > asked
        here.threads.release()
        whole(result(question))
        return needed

    assert len(here.bytes(SIDECAR)) <= size
    assert needs_thread("2.0")
    assert not needs_thread("1.0")
    assert needs_thread("3.0")
    assert not needs_thread("1.0")
    assert needs_thread("2.0")
    assert needs_thread("4.0")
    assert needs_thread("4.0")


# -- the disk is ahead of the snapshot ---------------------------------------------------------------------------------


def test_a_file_renamed_over_is_answered_from_what_is_there(here: Here) -> None:
    """Nothing has reported it yet; the listing that follows is the same truth."""
    new = wheel_bytes("acme", "1.0", "Summary: new")
    put(here.wheel, new)
    assert here.bytes() == new
    assert here.listed() == hashlib.sha256(new).hexdigest()


def test_a_file_deleted_is_not_here(here: Here) -> None:
    """Nor with its directory."""
    here.wheel.unlink()
    assert facts(error(here.ask())) == (f"file {WHEEL}",)
    add_wheel(here.root, "other")
    here.world.live.root_changed()
    shutil.rmtree(here.root / "acme")
    assert error(here.ask(sdist_name())).args == ("project acme",)


def test_a_file_that_became_something_else_is_not_here(here: Here) -> None:
    """A link out of the root, a directory, a FIFO."""
    for make in (os.mkfifo, os.mkdir, lambda path: os.symlink("/etc/passwd", path)):
        here.wheel.unlink()
        make(here.wheel)
        assert isinstance(error(here.ask()), NotHere)
        here.wheel.rmdir() if here.wheel.is_dir() else here.wheel.unlink()
        put(here.wheel, wheel_bytes())
        here.report()


def test_a_body_opened_before_a_rename_keeps_its_bytes(here: Here) -> None:
    """A download under way goes on to its end."""
    old = here.wheel.read_bytes()
    body = result(here.ask())
    put(here.wheel, wheel_bytes("acme", "1.0", "Summary: new"))
    assert whole(body) == old


def test_a_body_written_in_place_breaks_off(here: Here) -> None:
    """Never a mixture."""
    body = result(here.ask())
    here.wheel.write_bytes(wheel_bytes("acme", "1.0", "Summary: new"))
    with pytest.raises(Changed):
        result(body.read(0, 10))
    body.close()


def test_a_file_written_between_its_check_and_its_first_read_is_not_sent(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was compared with the listing is what must be read."""
    open_file = here.world.directory.open_file
    new = wheel_bytes("acme", "1.0", "Summary: new")
    writes = [new]

    def slowly(path: str, stamp: Any) -> int:
        descriptor = open_file(path, stamp)
        if writes:
            here.wheel.write_bytes(writes.pop())
        return descriptor

    monkeypatch.setattr(here.world.directory, "open_file", slowly)
    assert here.bytes() == new
    assert str(here.wheel) not in descriptors()


@pytest.mark.parametrize("filename", [WHEEL, SIDECAR])
def test_a_write_whose_time_was_set_back_is_noticed(
    here: Here, filename: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other bytes are not sent under the listed digest, though size and mtime are those listed."""
    here.bytes(filename)
    status = here.wheel.stat()
    with here.wheel.open("r+b") as file:
        file.write(here.wheel.read_bytes()[:-1] + b"\1")
    os.utime(here.wheel, ns=(status.st_atime_ns, status.st_mtime_ns))
    snapshot = here.world.live.snapshots[ACME]

    async def as_before(_name: object) -> object:
        return snapshot

    monkeypatch.setattr(here.world.live, "rescanned", as_before)
    assert isinstance(error(here.ask(filename)), Unavailable)


@pytest.mark.parametrize("filename", [WHEEL, SIDECAR])
def test_a_link_does_not_explain_a_state_that_was_not_read_in_time(here: Here, filename: str) -> None:
    """As that of a large file: a write whose time was set back may be behind it, and an event reported one."""
    here.bytes(filename)
    status = here.wheel.stat()
    with here.wheel.open("r+b") as file:
        file.write(here.wheel.read_bytes()[:-1] + b"\1")
    os.utime(here.wheel, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.link(here.wheel, here.root.with_name("link"))
    here.world.long_reads.held = True
    here.report()
    asked = here.ask(filename)
    here.world.clock.advance(10)
    assert pending(asked)
    here.world.clock.advance(10)
    assert isinstance(error(asked), Unavailable)


@pytest.mark.parametrize("filename", [WHEEL, SIDECAR])
def test_a_file_that_never_rests_cannot_be_answered(
    here: Here, monkeypatch: pytest.MonkeyPatch, filename: str
) -> None:
    """It is there, so it is no 404."""

    def changed(*_: object) -> int:
        raise Changed(WHEEL)

    monkeypatch.setattr(here.world.directory, "open_file", changed)
    assert facts(error(here.ask(filename)))[1] == 2


def test_too_many_open_files_is_no_404(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one may be opened."""

    def refused(*_: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(here.world.directory, "open_file", refused)
    # As the system says it, so that the answer and the log have the true cause.
    with pytest.raises(OSError, match="Too many open files"):
        result(here.ask())
    monkeypatch.undo()
    assert here.bytes()


def test_a_request_that_must_catch_up_does_not_wait_for_ever(here: Here) -> None:
    """Ten seconds."""
    put(here.wheel, wheel_bytes("acme", "1.0", "Summary: new"))
    here.world.reads.held = True
    question = here.ask()
    assert pending(question)
    here.world.clock.advance(10)
    assert isinstance(error(question), Unavailable)
    here.world.reads.release()
    assert here.bytes()


# -- clients that leave ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_run", [False, True])
def test_a_client_that_leaves_while_its_file_is_opened_leaves_no_descriptor(
    network: Here, has_run: bool
) -> None:
    """Whether the thread has opened it already or will."""
    before = descriptors()
    network.threads.held = True
    question = network.ask()
    if has_run:
        network.threads.start()
    question.cancel()
    with pytest.raises(CancelledError):
        result(question)
    network.threads.release()
    assert descriptors() == before


def test_a_client_that_leaves_before_an_open_that_fails(network: Here) -> None:
    """Nobody is left to hear of it."""
    network.threads.held = True
    question = network.ask()
    network.wheel.unlink()
    question.cancel()
    with pytest.raises(CancelledError):
        result(question)
    network.threads.release()


def test_a_client_that_leaves_while_the_disk_catches_up(here: Here) -> None:
    """Its question ends; nothing is opened for it."""
    before = descriptors()
    put(here.wheel, wheel_bytes("acme", "1.0", "Summary: new"))
    here.world.reads.held = True
    question = here.ask()
    question.cancel()
    with pytest.raises(CancelledError):
        result(question)
    here.world.reads.release()
    assert descriptors() == before
    assert here.bytes()


def test_bodies_read_what_is_not_in_memory_in_a_thread(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source's own threads are the ones."""
    monkeypatch.setattr(bodies, "_NOWAIT", None)
    body = result(here.ask())
    here.threads.held = True
    reading = Deferred.fromCoroutine(body.read(0, 4))
    assert pending(reading)
    here.threads.release()
    assert result(reading) == b"PK\x03\x04"
    body.close()
