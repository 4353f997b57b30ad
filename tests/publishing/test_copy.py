"""Copying releases between directories, and out of the cache: what arrives, and what is refused before anything does."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.core.errors import CannotStore
from simpleindex.core.faults import Fault
from simpleindex.core.files import file_order
from simpleindex.core.names import COPIED, ProjectName
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.directory.scan.digest_cache import DigestCache
from simpleindex.directory.scan.scanner import Scanner
from simpleindex.directory.scan.snapshot import NO_SNAPSHOT, ScanJob
from simpleindex.publishing.copying.copy import Copier
from simpleindex.publishing.copying.copy_plan import select_files
from simpleindex.publishing.copying.copy_sources import DirectoryCopySource, UpstreamCopySource
from simpleindex.publishing.errors import AlreadyExists, NameUsed, NotCopied
from simpleindex.publishing.local import writer as writing
from simpleindex.publishing.local.project_file_writer import ProjectFileWriter
from simpleindex.publishing.local.staging import STAGING
from simpleindex.publishing.local.writer import Writer
from simpleindex.upstreams.cache.file_keys import UpstreamFileKey
from simpleindex.upstreams.cache.pins import Pins
from simpleindex.upstreams.pages.flat import FLAT_PAGE_NAME
from tests.fixtures.cached_upstream import CachedUpstreamFixture, read
from tests.fixtures.depth import every
from tests.fixtures.distributions import (
    add_sdist,
    add_wheel,
    metadata_text,
    put,
    sdist_bytes,
    sdist_name,
    wheel_bytes,
    wheel_name,
)
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from simpleindex.core.model import Project
    from simpleindex.publishing.copying.copy import CopiedFile
    from simpleindex.publishing.copying.copy_sources import CopySource

ACME = ProjectName("acme")
WHEEL, SDIST = wheel_name(), sdist_name()
LONG_AGO = 1_500_000_000_123_456_789


class Bench:
    """Two directories; the first has a release of acme, with a signature and a provenance."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.staging, self.stable = path / "staging", path / "stable"
        self.stable.mkdir()
        self.files = [add_sdist(self.staging), add_wheel(self.staging)]
        for file in self.files:
            os.utime(file, ns=(LONG_AGO, LONG_AGO))
        put(self.staging / "acme" / f"{WHEEL}.asc", b"-----BEGIN PGP SIGNATURE-----\n")
        put(self.staging / "acme" / f"{WHEEL}.provenance", b'{"version": 1, "attestation_bundles": []}')
        self.target = PackageDirectory(str(self.stable))

    def origin(self) -> DirectoryCopySource:
        """The first directory, read anew."""
        digests = DigestCache("/nonexistent", str(self.staging))
        return DirectoryCopySource(
            PackageDirectory(str(self.staging)), digests, "staging", examiner=InProcessExaminer()
        )

    def copier(self, origin: CopySource, source: str = "staging") -> Copier:
        """Copies into the second one."""
        return Copier(
            origin,
            source,
            Writer(self.target),
            ProjectFileWriter(self.target),
            "command:me",
            examiner=InProcessExaminer(),
        )

    def copy(
        self, version: str = "1.0", only: Sequence[str] = (), origin: CopySource | None = None
    ) -> tuple[CopiedFile, ...]:
        """Copy a release."""
        origin = origin or self.origin()
        files = select_files(origin.project(ACME), "staging", version, only)
        return tuple(self.copier(origin).copy(ACME, files))

    def listed(self) -> Project:
        """What the second directory would serve of acme."""
        reader = Scanner(
            self.target,
            DigestCache("/nonexistent", "/x"),
            lambda: 0,
            examiner=InProcessExaminer(),
        )
        places = self.target.places_of(ACME)
        snapshot = reader.read_project(ScanJob(ACME, *places, NO_SNAPSHOT), budget=1 << 40)
        assert snapshot.project is not None
        return snapshot.project

    def there(self) -> dict[str, bytes]:
        """Everything below the second directory but what is never served."""
        return {
            str(file.relative_to(self.stable)): file.read_bytes()
            for file in self.stable.rglob("*")
            if file.is_file() and not file.name.startswith(".simpleindex")
        }

    def notes(self) -> list[dict[str, str]]:
        """What is noted of acme."""
        path = self.stable / "acme" / COPIED
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """One of its own."""
    return Bench(tmp_path)


# -- from a directory -----------------------------------------------------------------------------------------------------


def test_a_release(bench: Bench) -> None:
    """All its files, with what lies beside them and their upload times; nothing is left over, and each is noted."""
    copied = bench.copy()
    assert [(each.file.filename, each.created, each.beside) for each in copied] == [
        (WHEEL, True, (".asc", ".provenance")),
        (SDIST, True, ()),
    ]
    before = {str(file.relative_to(bench.staging)): file.read_bytes() for file in bench.staging.rglob("*.*")}
    assert bench.there() == before
    listed = bench.listed()
    assert [file.uploaded_ns for file in listed.files] == [LONG_AGO, LONG_AGO]
    assert [(file.signatures, file.provenance) for file in listed.files] == [((".asc",), True), ((), False)]
    assert not [*(bench.stable / STAGING).iterdir()]
    for note, file in zip(bench.notes(), reversed(bench.files), strict=True):
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        assert (note["filename"], note["sha256"], note["from"], note["who"]) == (
            file.name,
            sha256,
            "staging",
            "command:me",
        )


def test_once_more(bench: Bench) -> None:
    """What is there already is left as it is, and noted only once; what should lie beside it is made up for."""
    bench.copy(only=[WHEEL])
    (bench.stable / "acme" / f"{WHEEL}.asc").unlink()
    put(bench.stable / "acme" / f"{WHEEL}.provenance", b'{"version": 2}')
    assert [(each.created, each.beside) for each in bench.copy()] == [(False, (".asc",)), (True, ())]
    assert (bench.stable / "acme" / f"{WHEEL}.asc").exists()
    assert bench.there()[f"acme/{WHEEL}.provenance"] == b'{"version": 2}'
    assert [note["filename"] for note in bench.notes()] == [WHEEL, SDIST]


def test_only_some(bench: Bench) -> None:
    """The files that are named."""
    bench.copy(only=[SDIST])
    assert [*bench.there()] == [f"acme/{SDIST}"]


def test_other_bytes(bench: Bench) -> None:
    """One file that is there with other bytes keeps all the others away."""
    put(bench.stable / "acme" / SDIST, sdist_bytes("acme", "1.0", "Summary: other"))
    with pytest.raises(AlreadyExists):
        bench.copy()
    assert [*bench.there()] == [f"acme/{SDIST}"]
    assert bench.notes() == []


def test_a_name_that_was_used(bench: Bench) -> None:
    """A deleted file does not come back by the way."""
    bench.copy()
    Writer(bench.target).deletions.delete(ACME, [SDIST], who="me")
    with pytest.raises(NameUsed):
        bench.copy()


def test_a_distribution_that_is_there_under_another_name(bench: Bench) -> None:
    """It is judged by what it is, also where it was deleted; an sdist in another format may stand beside it."""
    other = put(bench.stable / "acme" / "Acme-1.0.0-py3-none-any.whl", wheel_bytes("acme", "1.0"))
    with pytest.raises(AlreadyExists, match="another spelling of its name"):
        bench.copy()
    Writer(bench.target).deletions.delete(ACME, [other.name], who="me")
    with pytest.raises(NameUsed, match=other.name):
        bench.copy()
    assert Writer(bench.target).deletions.free_name(ACME, WHEEL, who="me")
    put(bench.stable / "acme" / "acme-1.0.zip", b"x")
    assert all(copied.created for copied in bench.copy())


def test_two_names_of_one_distribution_in_a_release(bench: Bench) -> None:
    """The directory would take one of them, and the copy would end half-way."""
    put(bench.staging / "acme" / "Acme-1.0.0-py3-none-any.whl", (bench.staging / "acme" / WHEEL).read_bytes())
    with pytest.raises(NotCopied, match="two names of one distribution"):
        bench.copy()
    assert bench.copy(only=[WHEEL])[0].created


def test_an_old_release_has_several_sdists(bench: Bench) -> None:
    """All of it goes."""
    with zipfile.ZipFile(bench.staging / "acme" / "Acme-1.0.zip", "w") as archive:
        archive.writestr("acme-1.0/PKG-INFO", metadata_text("acme", "1.0"))
    assert len(bench.copy()) == 3


def test_yanks_go_along(bench: Bench) -> None:
    """They are there before the file is, also in a project that is new; what was there without one stays so."""
    put(bench.staging / "acme" / "simpleindex.toml", b'[yanked]\n"1.0" = "broken"\n')
    bench.copy(only=[WHEEL])
    assert [file.yanked for file in bench.listed().files] == ["broken"]
    ProjectFileWriter(bench.target).unyank(ACME, WHEEL)
    bench.copy()
    assert [(file.filename, file.yanked) for file in bench.listed().files] == [
        (WHEEL, None),
        (SDIST, "broken"),
    ]


def test_a_yank_comes_first(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever it ends in between, no yanked file is there without its mark."""
    put(bench.staging / "acme" / "simpleindex.toml", b'[yanked]\n"1.0" = "broken"\n')

    def refuse(*_: object, **__: object) -> None:
        raise CannotStore("The disk is full.")

    monkeypatch.setattr(Writer, "commit", refuse)
    with pytest.raises(CannotStore):
        bench.copy()
    assert [*bench.there()] == ["acme/simpleindex.toml"]


def test_a_file_that_changes_meanwhile(bench: Bench) -> None:
    """Is not what was listed; nothing is copied."""
    origin = bench.origin()
    files = select_files(origin.project(ACME), "staging", "1.0")
    put(bench.files[0], sdist_bytes("acme", "1.0", "Summary: changed"))
    with pytest.raises(NotCopied, match="changing in staging, or cannot be read"):
        [*bench.copier(origin).copy(ACME, files)]
    assert bench.there() == {}


def test_a_signature_that_is_gone_meanwhile(bench: Bench) -> None:
    """The same; a file without it would be half of what was meant."""
    origin = bench.origin()
    files = select_files(origin.project(ACME), "staging", "1.0")
    (bench.staging / "acme" / f"{WHEEL}.asc").unlink()
    with pytest.raises(NotCopied):
        [*bench.copier(origin).copy(ACME, files)]
    assert bench.there() == {}


def test_what_is_not_there(bench: Bench) -> None:
    """A project, a directory, and one that cannot answer."""
    with pytest.raises(NotCopied, match="staging has no project other"):
        bench.origin().project(ProjectName("other"))
    put(bench.staging / "acme" / "simpleindex.toml", b"= broken")
    with pytest.raises(NotCopied, match="staging cannot answer for acme: "):
        bench.origin().project(ACME)
    gone = DirectoryCopySource(
        PackageDirectory("/nonexistent"),
        DigestCache("/nonexistent", "/x"),
        "gone",
        examiner=InProcessExaminer(),
    )
    with pytest.raises(NotCopied, match="gone cannot be read: No such file"):
        gone.project(ACME)


def test_a_file_at_the_root(bench: Bench) -> None:
    """Goes into its project's directory."""
    for file in bench.files:
        file.rename(bench.staging / file.name)
    bench.copy(only=[WHEEL])
    assert f"acme/{WHEEL}" in bench.there()


@pytest.mark.parametrize("suffix", [".asc", ".provenance"])
def test_what_lies_beside_cannot_be_written(
    bench: Bench, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is served by then, so it is named, with what did come; the same command goes on."""
    put_beside = Writer.put_beside

    def full(self: Writer, name: ProjectName, stored: Any, ending: str, data: bytes) -> None:
        if ending == suffix:
            raise CannotStore("The disk is full.", fault=Fault.FULL)
        put_beside(self, name, stored, ending, data)

    origin = bench.origin()
    files = select_files(origin.project(ACME), "staging", "1.0", [WHEEL])
    copied: list[CopiedFile] = []
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "put_beside", full)
        with pytest.raises(CannotStore, match="The disk is full"):
            copied.extend(bench.copier(origin).copy(ACME, files))
    (one,) = copied
    assert (one.file.filename, one.created, suffix in one.beside) == (WHEEL, True, False)
    assert set(bench.there()) == {f"acme/{WHEEL}", *(f"acme/{WHEEL}{each}" for each in one.beside)}
    (again,) = bench.copy(only=[WHEEL])
    assert {*one.beside, *again.beside} == {".asc", ".provenance"}


def test_somebody_changes_the_target_all_the_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up at some time, with a sentence."""
    bench.copy()

    def gone(*_: object) -> str:
        raise FileNotFoundError

    writer = Writer(bench.target)
    monkeypatch.setattr(writing, "digest_of", gone)
    with pytest.raises(CannotStore, match="being changed by another writer"):
        writer.digest_of(ACME, WHEEL)


def test_killed_at_every_call(tmp_path: Path) -> None:
    """Whatever is listed then is whole, and yanked; copying again makes all of it so, and leaves nothing behind."""

    def prepare(path: Path) -> Bench:
        path.mkdir()
        bench = Bench(path)
        put(bench.staging / "acme" / "simpleindex.toml", b'[yanked]\n"1.0" = "broken"\n')
        return bench

    whole = prepare(tmp_path / "whole")
    with Faults().between() as faults:
        whole.copy()
    seen = set()
    for number in range(1, len(faults.calls) + 1, every(6)):
        bench = prepare(tmp_path / str(number))
        assert Faults(at=number).kill(bench.copy)
        Writer(bench.target).clean()
        listed = bench.listed().files if any(bench.target.places_of(ACME)) and bench.there() else ()
        seen.add(len(listed))
        for file in listed:
            assert file.yanked == "broken"
            assert file.sha256 in {each.sha256 for each in whole.listed().files}
            assert file.filename in {note["filename"] for note in bench.notes()}
        bench.copy()
        assert bench.there() == whole.there()
        assert [(file.filename, file.yanked, file.signatures) for file in bench.listed().files] == [
            (file.filename, file.yanked, file.signatures) for file in whole.listed().files
        ]
        assert not [*(bench.stable / STAGING).iterdir()]
        shutil.rmtree(bench.path)
    assert seen == {0, 1, 2}


# -- from an upstream -----------------------------------------------------------------------------------------------------

INDEX = "https://pypi.example.org/simple/"


class Upstream:
    """An upstream whose wheel was fetched through the cache, and whose sdist was not."""

    def __init__(self, path: Path) -> None:
        self.world = CachedUpstreamFixture(path / "cache")
        self.world.upstream.add(WHEEL, wheel_bytes())
        self.world.upstream.add(SDIST, sdist_bytes(), bare=True)
        self.pins = Pins(str(path / "state"))
        self.world.project()

    def origin(self, *, flat: bool = False) -> UpstreamCopySource:
        """What is kept of it."""
        return UpstreamCopySource(self.world.cache, self.pins, INDEX, "pypi", flat=flat)


def test_from_an_upstream(bench: Bench) -> None:
    """What is held arrives with its upload time there, and where it came from is noted."""
    upstream = Upstream(bench.path)
    origin = upstream.origin()
    (wheel, sdist) = select_files(origin.project(ACME), "pypi", "1.0")
    assert bench.copier(origin).missing(ACME, [wheel, sdist]) == (WHEEL, SDIST)
    assert upstream.world.bytes(WHEEL) == wheel_bytes()
    assert upstream.world.bytes(SDIST) == sdist_bytes()
    origin = upstream.origin()
    files = select_files(origin.project(ACME), "pypi", "1.0")
    copier = bench.copier(origin, "pypi")
    assert copier.missing(ACME, files) == ()
    assert [each.created for each in copier.copy(ACME, files)] == [True, True]
    assert {f"acme/{WHEEL}": wheel_bytes(), f"acme/{SDIST}": sdist_bytes()} == bench.there()
    assert [note.get("url") for note in bench.notes()] == [
        f"https://files.example.org/acme/{name}" for name in (WHEEL, SDIST)
    ]
    assert bench.listed().files[0].uploaded_ns == 1_700_000_000_000_000_000


def test_where_it_came_from_goes_along(bench: Bench) -> None:
    """From an upstream into staging, and from there into stable."""
    upstream = Upstream(bench.path)
    newer = wheel_name("acme", "2.0")
    upstream.world.upstream.add(newer, wheel_bytes("acme", "2.0"))
    upstream.world.clock.advance(601)
    assert upstream.world.bytes(newer) == wheel_bytes("acme", "2.0")
    staging = PackageDirectory(str(bench.staging))
    origin = upstream.origin()
    first = Copier(
        origin,
        "pypi",
        Writer(staging),
        ProjectFileWriter(staging),
        "command:me",
        examiner=InProcessExaminer(),
    )
    assert len([*first.copy(ACME, select_files(origin.project(ACME), "pypi", "2.0"))]) == 1
    bench.copy("2.0")
    assert [(note["from"], note["url"]) for note in bench.notes()] == [
        ("staging", f"https://files.example.org/acme/{newer}")
    ]


def test_what_is_not_held(bench: Bench) -> None:
    """Nothing of it is copied, nor where nothing was ever asked."""
    upstream = Upstream(bench.path)
    origin = upstream.origin()
    files = select_files(origin.project(ACME), "pypi", "1.0")
    with pytest.raises(NotCopied, match="not kept here"):
        [*bench.copier(origin).copy(ACME, files)]
    assert bench.there() == {}
    with pytest.raises(NotCopied, match="nothing is kept of what pypi has of other"):
        origin.project(ProjectName("other"))


def test_a_damaged_cache(bench: Bench) -> None:
    """Bytes that are not those of the listing are not there at all."""
    upstream = Upstream(bench.path)
    assert upstream.world.bytes(WHEEL) == wheel_bytes()
    (bench.path / "cache" / "upstream" / UpstreamFileKey(INDEX, ACME, WHEEL).path).write_bytes(b"evil")
    origin = upstream.origin()
    files = select_files(origin.project(ACME), "pypi", "1.0", [WHEEL])
    assert bench.copier(origin).missing(ACME, files) == (WHEEL,)


def test_a_pinned_release(bench: Bench) -> None:
    """It can be copied when the cache is gone."""
    upstream = Upstream(bench.path)
    assert upstream.world.bytes(WHEEL) == wheel_bytes()
    kept = upstream.world.cache.listing(INDEX, ACME)
    assert kept is not None
    upstream.pins.pin(
        INDEX, kept, [file for file in kept.project.files if file.filename == WHEEL], upstream.world.cache
    )
    upstream.world.cache.remove_listing(INDEX, ACME)
    upstream.world.cache.files.remove(UpstreamFileKey(INDEX, ACME, wheel_name()))
    bench.copy(origin=upstream.origin())
    assert bench.there() == {f"acme/{WHEEL}": wheel_bytes()}


def test_from_a_flat_upstream(bench: Bench) -> None:
    """The files of one of its projects."""
    from tests.fixtures.deferreds import result
    from tests.upstreams.test_flat_source import FlatUpstreamFixture

    world = FlatUpstreamFixture(bench.path / "cache")
    world.add(WHEEL, wheel_bytes())
    world.add(wheel_name("other"), b"other")
    assert read(result(world.flat.file(ACME, WHEEL))) == wheel_bytes()
    origin = UpstreamCopySource(world.cache, Pins(str(bench.path / "state")), INDEX, "wheels", flat=True)
    bench.copy(origin=origin)
    assert bench.there() == {f"acme/{WHEEL}": wheel_bytes()}
    assert bench.notes()[0]["url"] == f"https://files.example.org/acme/{WHEEL}"
    with pytest.raises(NotCopied, match="wheels has no project absent"):
        origin.project(ProjectName("absent"))
    assert FLAT_PAGE_NAME not in {*bench.there()}


def test_an_upstream_s_file_that_would_be_withheld(bench: Bench) -> None:
    """A broken archive, which an upstream may list, is refused before it is there."""
    upstream = Upstream(bench.path)
    broken = wheel_name("acme", "2.0")
    upstream.world.upstream.add(broken, b"no archive")
    upstream.world.clock.advance(601)
    assert upstream.world.bytes(broken) == b"no archive"
    origin = upstream.origin()
    files = select_files(origin.project(ACME), "pypi", "2.0")
    with pytest.raises(NotCopied, match="would not be served"):
        [*bench.copier(origin).copy(ACME, files)]
    assert bench.there() == {}


def test_the_wrong_bytes(bench: Bench) -> None:
    """Whatever an origin hands over is compared with what it lists."""

    class Lying(DirectoryCopySource):
        """Lists other digests than those of its files."""

        def project(self, name: ProjectName) -> Project:
            from dataclasses import replace

            project = super().project(name)
            files = [replace(file, sha256="00" * 32) for file in project.files]
            return replace(project, files=tuple(sorted(files, key=file_order)))

    digests = DigestCache("/nonexistent", str(bench.staging))
    lying = Lying(PackageDirectory(str(bench.staging)), digests, "staging", examiner=InProcessExaminer())
    with pytest.raises(NotCopied, match="is not the file that staging lists: its sha256 is"):
        bench.copy(origin=lying)
    assert bench.there() == {}
