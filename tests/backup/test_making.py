"""Backups as they are made: what is in them, what is linked, and what others do meanwhile."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from simpleindex.access.identity import Action
from simpleindex.access.token_options import TokenOptions
from simpleindex.backup import file_copies as files
from simpleindex.backup import making, tree
from simpleindex.backup.checking import Steps
from simpleindex.backup.destination import BackupDestination, read_manifest
from simpleindex.backup.errors import CannotBackUp, CannotRestore, FileVanished
from simpleindex.backup.making import BackupReport, make_backup
from simpleindex.backup.manifest import MANIFEST, ItemKind, ItemOwner, PackagesMode
from simpleindex.backup.places import scope_of
from simpleindex.backup.tree import PartListing
from simpleindex.config.resolution import option_texts, resolve
from simpleindex.core.errors import RefusedStart
from simpleindex.records.database import RecordsDatabase
from simpleindex.records.tokens import TokenTable
from tests.fixtures.backup_world import NO_STEPS, BackupWorld, part_names
from tests.fixtures.distributions import add_wheel, put, wheel_name

WHEEL = f"acme/{wheel_name()}"
FILES = 3
"""Packages of the world."""


def stored(report: BackupReport, path: str) -> Path:
    """Return where a file of a backup is."""
    return Path(report.path) / path


def is_linked(one: Path, other: Path) -> bool:
    return os.path.samefile(one, other)


def test_everything_is_in_it(world: BackupWorld) -> None:
    """Packages by links; state, certificates, configuration and the files that it names; neither cache nor half uploads."""
    report = world.back_up(verifies=True)
    manifest = read_manifest(report.path)
    assert part_names(manifest) == [
        *("packages", "directory-staging", "sources", "users", "config"),
        *("named-1", "named-2", "named-3", "certs", "state"),
    ]
    assert (report.linked, report.copied, report.unchanged) == (FILES, 0, 0)
    assert is_linked(stored(report, f"packages/{WHEEL}"), world.home / "srv" / WHEEL)
    names = {item.stored_path for item in manifest.items if item.kind is ItemKind.FILE}
    assert names >= {
        *("state/records.sqlite3", "state/audit.jsonl", "state/ca/key.pem", "users/users"),
        *("named-1/behind", "named-2/authority.pem", "named-3/denied.txt", "config/simpleindex.toml"),
    }
    assert not [name for name in names if "half" in name or "server.lock" in name or "-wal" in name]
    assert report.others == len(names) - FILES
    assert manifest.options["path"] == (str(world.home / "srv"),)
    assert manifest.options["https"] == ("8443",)
    assert manifest.made == "2016-11-29T05:00:00+00:00"
    assert os.path.basename(report.path) == "2016-11-29T05-00-00Z"
    assert not stored(report, "state/records.sqlite3-wal").exists()


def test_only_its_owner_reads_it(world: BackupWorld) -> None:
    """Whatever the modes of the sources are; the manifest keeps those."""
    report = world.back_up()
    assert stored(report, "").stat().st_mode & 0o777 == 0o700
    for path in ("users/users", "named-1/behind", "state/records.sqlite3", MANIFEST):
        assert stored(report, path).stat().st_mode & 0o777 == 0o600
    (users,) = (item for item in read_manifest(report.path).items if item.part == "users")
    assert users.mode == 0o640


def test_links_of_certificates_are_followed(world: BackupWorld) -> None:
    """As certbot makes them, they lead to another directory."""
    report = world.back_up()
    live = stored(report, "certs/live.pem")
    assert live.is_file()
    assert not live.is_symlink()
    assert live.read_bytes() == b"certificate"


def test_records_at_one_moment(world: BackupWorld) -> None:
    """What a server has written and not yet moved out of its WAL is in the copy; so is every other database."""
    path = world.home / "var" / "downloads.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as server:
        server.execute("PRAGMA journal_mode = WAL")
        server.execute("CREATE TABLE downloads (name TEXT)")
        server.execute("INSERT INTO downloads VALUES ('acme')")
        server.execute("BEGIN IMMEDIATE")
        server.execute("INSERT INTO downloads VALUES ('not yet')")
        report = world.back_up()
    with closing(sqlite3.connect(stored(report, "state/downloads.sqlite3"))) as copy:
        assert copy.execute("SELECT name FROM downloads").fetchall() == [("acme",)]
    assert read_manifest(report.path).items[-1].path.endswith(".sqlite3")


def test_damaged_records(world: BackupWorld) -> None:
    """They are no backup."""
    path = world.home / "var" / "records.sqlite3"
    with path.open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"\xff" * 4096)
    with pytest.raises(CannotBackUp, match="sqlite3"):
        world.back_up()
    assert list(world.backups.iterdir()) == []


@pytest.mark.parametrize("packages", [PackagesMode.LINK, PackagesMode.COPY])
def test_the_next_backup_links_what_is_unchanged(
    world: BackupWorld, packages: PackagesMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the backup before; of a file that is unchanged nothing is read."""
    first = world.back_up(packages)
    assert first.linked + first.copied == FILES
    old = world.home / "srv" / WHEEL
    changed = add_wheel(world.home / "srv", "tool", "3.0")
    read: list[str] = []
    monkeypatch.setattr(making, "read_digest", _noting(read, files.read_digest))
    monkeypatch.setattr(making, "copy_file", _noting(read, files.copy_file))
    second = world.back_up(packages)
    assert second.unchanged == FILES
    assert second.linked + second.copied == 1
    assert [path for path in read if path.endswith(".whl")] == [
        str(changed)
        if packages is PackagesMode.COPY
        else str(world.backups / ".simpleindex-unfinished/packages/tool" / changed.name)
    ]
    assert is_linked(stored(first, f"packages/{WHEEL}"), stored(second, f"packages/{WHEEL}"))
    assert is_linked(old, stored(second, f"packages/{WHEEL}")) == (packages is PackagesMode.LINK)
    assert {item.sha256 for item in read_manifest(first.path).stored_files()} & {
        item.sha256 for item in read_manifest(second.path).stored_files() if item.path == WHEEL
    }


def _noting(read: list[str], function: Any) -> Any:
    def call(path: str, *rest: Any) -> Any:
        read.append(path)
        return function(path, *rest)

    return call


def test_copies_after_links(world: BackupWorld) -> None:
    """A file that is still a link to the server's is copied: the copy is to be out of its reach."""
    world.back_up()
    second = world.back_up(PackagesMode.COPY)
    assert second.copied == FILES
    assert not is_linked(world.home / "srv" / WHEEL, stored(second, f"packages/{WHEEL}"))


def test_a_replaced_file_is_read_again(world: BackupWorld) -> None:
    world.back_up()
    put(world.home / "srv" / WHEEL, b"other bytes")
    second = world.back_up()
    assert second.unchanged == FILES - 1
    assert stored(second, f"packages/{WHEEL}").read_bytes() == b"other bytes"


def test_a_file_that_was_written_in_place(world: BackupWorld) -> None:
    """``rsync --inplace`` changes the linked file in every backup: verification finds it, and keeps no such backup."""
    first = world.back_up()
    path = world.home / "srv" / WHEEL
    times = path.stat()
    with path.open("r+b") as stream:
        stream.write(b"XX")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(CannotBackUp, match=r"size and digest of the manifest.*rsync --inplace"):
        world.back_up(verifies=True)
    assert [each.name for each in world.backups.iterdir()] == [os.path.basename(first.path)]


def test_without_links(world: BackupWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """To another file system, packages are copied."""

    def link(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", link)
    report = world.back_up()
    assert (report.linked, report.copied) == (0, FILES)
    second = world.back_up()
    assert (second.linked, second.copied) == (0, FILES)


def test_by_reference(world: BackupWorld) -> None:
    """Sizes and digests, and no bytes."""
    report = world.back_up(PackagesMode.REFERENCE)
    manifest = read_manifest(report.path)
    assert report.referenced == FILES
    assert {item.path for item in manifest.referenced_files()} >= {WHEEL}
    assert not stored(report, "packages").exists()
    again = world.back_up(PackagesMode.REFERENCE)
    assert list(read_manifest(again.path).referenced_files()) == list(manifest.referenced_files())


def test_without_packages(world: BackupWorld) -> None:
    report = world.back_up(PackagesMode.NONE)
    assert "packages" not in part_names(read_manifest(report.path))


def test_what_is_no_file(world: BackupWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket is left out with a sentence; a link is kept as one."""
    monkeypatch.chdir(world.home / "var")
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind("run.sock")
    os.mkfifo(world.home / "srv" / "pipe")
    (world.home / "srv" / "outside").symlink_to("/etc")
    report = world.back_up()
    assert [note for note in report.notes if "left out" in note] == [
        f"{world.home}/srv/pipe is left out, because it is no file, directory or link.",
        f"{world.home}/var/run.sock is left out, because it is no file, directory or link.",
    ]
    (link,) = (item for item in read_manifest(report.path).items if item.path == "outside")
    assert (link.kind, link.target) == (ItemKind.LINK, "/etc")


def test_a_package_that_vanishes(world: BackupWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was deleted while the backup was made, so it is in none."""
    destination = BackupDestination(str(world.backups))
    request = world.request()
    gone = world.home / "srv" / WHEEL

    def expect(_: int) -> None:
        gone.unlink()

    with destination.writing():
        report = make_backup(destination, request, Steps(expect, lambda: None))
    assert report.linked == FILES - 1
    assert WHEEL not in {item.path for item in read_manifest(report.path).items}


def files_steps(expect: Any) -> Any:
    from simpleindex.backup.checking import Steps

    return Steps(expect, lambda: None)


def test_a_configuration_that_vanishes(world: BackupWorld) -> None:
    """Without it there is no backup."""
    destination = BackupDestination(str(world.backups))
    request = world.request()
    users = world.home / "etc" / "users"
    with destination.writing(), pytest.raises(CannotBackUp, match="users is gone; put it back"):
        make_backup(destination, request, Steps(lambda _: users.unlink(), lambda: None))
    assert list(world.backups.iterdir()) == []


def test_a_file_that_is_named_and_not_there(world: BackupWorld) -> None:
    (world.home / "etc" / "denied.txt").unlink()
    assert world.back_up().notes == [
        f"{world.home}/etc/denied.txt is named by the configuration and is not there."
    ]


def test_a_log_that_grows(world: BackupWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is cut where it was; a file that is rewritten all the time is refused, and one that is rewritten once is not."""
    log = world.home / "var" / "audit.jsonl"
    before = log.read_bytes()
    changes = iter([lambda: log.write_bytes(before + b"more\n")])
    _change_while_copying(monkeypatch, "audit.jsonl", changes)
    assert stored(world.back_up(), "state/audit.jsonl").read_bytes() == before
    _change_while_copying(monkeypatch, "audit.jsonl", iter([lambda: log.write_bytes(b"")]))
    assert stored(world.back_up(), "state/audit.jsonl").read_bytes() == b""
    times = iter([partial(log.write_bytes, data) for data in (b"abcdef", b"abc", b"ab")])
    put(log, b"abcdefgh")
    _change_while_copying(monkeypatch, "audit.jsonl", times)
    with pytest.raises(CannotBackUp, match=r"audit\.jsonl is changed all the time"):
        world.back_up()


def _change_while_copying(monkeypatch: pytest.MonkeyPatch, name: str, changes: Any) -> None:
    real = files._transfer

    def transfer(source: int, target: int | None, most: int | None) -> tuple[int, str]:
        read = real(source, target, most)
        if os.readlink(f"/proc/self/fd/{source}").endswith(name):
            next(changes, lambda: None)()
        return read

    monkeypatch.setattr(files, "_transfer", transfer)


def test_a_package_that_is_still_written(world: BackupWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link to it would change with it, so it is copied as it is."""
    path = world.home / "srv" / WHEEL
    begun = path.read_bytes()
    changes = iter([partial(path.write_bytes, begun + b"." * number) for number in (1, 2, 3)])
    _change_while_copying(monkeypatch, WHEEL, changes)
    report = world.back_up()
    assert (report.linked, report.copied) == (FILES - 1, 1)
    assert not is_linked(path, stored(report, f"packages/{WHEEL}"))


def test_how_far_hooks_have_read(world: BackupWorld) -> None:
    """It is left out: a server that starts from the backup would notify them of all that it finds in the audit again."""
    (world.home / "var" / "hooks.json").write_text('{"ci": [1, 2]}')
    report = world.back_up()
    assert not [*Path(report.path).rglob("hooks.json")]


def test_a_destination_without_a_parent(tmp_path: Path) -> None:
    """As of a disk that is not mounted: nothing is made in its place."""
    destination = BackupDestination(str(tmp_path / "disk" / "backups"))
    with pytest.raises(CannotBackUp, match="mount the disk, or make the directory"), destination.writing():
        pass
    assert not (tmp_path / "disk").exists()


def test_a_package_that_may_still_be_written(world: BackupWorld) -> None:
    """A copy of an hour ago goes on now and then; what changed just before is copied, and linked by the next backup."""
    path = world.home / "srv" / WHEEL
    destination, request = BackupDestination(str(world.backups)), world.request(verifies=True)
    os.utime(path, (request.now.timestamp() - 30,) * 2)
    with destination.writing():
        report = make_backup(destination, request, NO_STEPS)
    assert (report.linked, report.copied, report.unlinked) == (FILES - 1, 1, 0)
    with path.open("ab") as stream:
        stream.write(b".")
    assert stored(report, f"packages/{WHEEL}").read_bytes() == path.read_bytes()[:-1]


def test_two_at_once(world: BackupWorld) -> None:
    """The second one is refused, and changes nothing of the first."""
    one, two = BackupDestination(str(world.backups)), BackupDestination(str(world.backups))
    with one.writing():
        with pytest.raises(CannotBackUp, match="Another simpleindex backup"), two.writing():
            pass
        with pytest.raises(CannotRestore, match="is being made"), two.reading():
            pass
        make_backup(one, world.request(), NO_STEPS)
    with two.reading(), one.reading():
        assert len(one.names()) == 1


def test_two_in_one_second(world: BackupWorld) -> None:
    """Each has a name of its own."""
    destination = BackupDestination(str(world.backups))
    request = world.request()
    with destination.writing():
        names = [os.path.basename(make_backup(destination, request, NO_STEPS).path) for _ in range(2)]
    assert names == ["2016-11-29T05-00-00Z", "2016-11-29T05-00-01Z"]


def test_old_backups_are_removed(world: BackupWorld) -> None:
    """The newest stay; other directories are nobody's backups."""
    for _ in range(3):
        world.back_up()
    (world.backups / "2026-01-01T00-00-00Z").mkdir()
    destination = BackupDestination(str(world.backups))
    assert destination.remove_outdated(2) == ["2016-11-29T05-00-00Z"]
    assert len(destination.names()) == 2
    assert (world.backups / "2026-01-01T00-00-00Z").is_dir()


def test_a_backup_that_cannot_be_read_is_not_built_upon(world: BackupWorld) -> None:
    """A broken manifest of the backup before costs time, and nothing else."""
    first = world.back_up()
    stored(first, MANIFEST).write_text("{")
    assert world.back_up().linked == FILES


def test_what_a_killed_backup_has_left(world: BackupWorld) -> None:
    """It goes with the next one; and a backup before that lost a file is not built upon for that file."""
    put(world.backups / ".simpleindex-unfinished" / "packages" / "half", b"")
    put(world.backups / ".simpleindex-removed-2026-01-01T00-00-00Z" / "half", b"")
    first = world.back_up()
    assert [each.name for each in world.backups.iterdir()] == [os.path.basename(first.path)]
    stored(first, f"packages/{WHEEL}").unlink()
    second = world.back_up()
    assert (second.unchanged, second.linked) == (FILES - 1, 1)


def test_a_manifest_that_is_too_large(world: BackupWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    report = world.back_up()
    monkeypatch.setattr("simpleindex.backup.destination._LARGEST_MANIFEST", 10)
    with pytest.raises(CannotRestore, match="larger than any manifest"):
        read_manifest(report.path)


def test_errors_of_files(world: BackupWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is gone is told from what cannot be read."""
    gone = str(tmp_path / "gone")
    with pytest.raises(FileVanished, match="gone is gone"):
        files.copy_file(gone, str(tmp_path / "copy"))
    with pytest.raises(FileVanished):
        files.link_file(gone, str(tmp_path / "link"))
    with pytest.raises(FileVanished):
        files.copy_database(gone, str(tmp_path / "copy"))
    with pytest.raises(FileVanished):
        files.read_digest(str(tmp_path))
    assert not files.is_database(gone)
    here = put(tmp_path / "here", b"bytes")
    with pytest.raises(FileExistsError):
        files.link_file(str(here), str(here))

    def fail(*_: Any, **__: Any) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO), "here")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(OSError, match="here"):
        files.read_digest(str(here))


def test_owners_without_names(world: BackupWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container files may belong to numbers that have no name."""
    status = os.stat_result((0o100644, 1, 1, 1, 70001, 70002, 5, 0, 0, 0))
    assert tree.item_of("state", "a", status).owner == ItemOwner(70001, 70002)


def test_what_vanishes_while_it_is_listed(world: BackupWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory between its name and its list, a file between its name and its status."""
    real: Any = os.scandir

    def scandir(path: str) -> Any:
        if path == str(world.home / "srv" / "acme"):
            shutil.rmtree(path)
        found = real(path)
        if path == str(world.home / "srv" / "tool"):
            found = closing(_Entries(found))
            shutil.rmtree(path)
        return found

    monkeypatch.setattr(os, "scandir", scandir)
    assert world.back_up().linked == FILES - 2


class _Entries(list[Any]):
    def close(self) -> None:
        pass


def test_other_settings(world: BackupWorld, tmp_path: Path) -> None:
    """A server without TLS has no certificates; a cache inside the packages, and what a rule of the host leaves there, stay out."""
    put(world.home / "srv" / ".cache" / "digests.sqlite3", b"")
    (world.home / "certs" / "there").symlink_to("archive")
    text = (world.home / "etc" / "sources.toml").read_text().replace('ca-file = "authority.pem"\n', "")
    put(world.home / "etc" / "sources.toml", text.encode())
    settings = resolve({**world.command_line, "cache": str(world.home / "srv" / ".cache")}, {}, world.home)
    scope = scope_of(settings, PackagesMode.LINK)
    assert "authority.pem" not in str(scope)
    listing = PartListing(scope.parts[0], scope.excluded)
    assert ".cache" not in {item.path for item in listing.items}
    (link,) = (item for item in PartListing(scope.parts[-2], ()).items if item.path == "there")
    assert link.kind is ItemKind.LINK
    shutil.rmtree(world.home / "certs")
    assert "certs" not in {part.name for part in scope_of(settings, PackagesMode.LINK).parts}


def test_a_backup_of_a_stranger(world: BackupWorld) -> None:
    """Others could have written what is restored."""
    report = world.back_up()
    stored(report, MANIFEST).chmod(0o666)
    with pytest.raises(CannotRestore, match="can be written by others"):
        read_manifest(report.path)
    with pytest.raises(CannotRestore, match="is no backup"):
        read_manifest(str(world.home))


def test_a_server_that_never_ran(world: BackupWorld) -> None:
    settings = world.settings
    for path in (world.home / "var" / "ca" / "key.pem", world.home / "var" / "ca"):
        path.unlink() if path.is_file() else path.rmdir()
    (world.home / "var").rename(world.home / "elsewhere")
    with pytest.raises(RefusedStart, match="No server has used"):
        scope_of(settings, PackagesMode.LINK)


@pytest.mark.parametrize(("content", "reason"), [(b"own = 5", "own"), (None, "cannot be read")])
def test_a_broken_sources_file(world: BackupWorld, content: bytes | None, reason: str) -> None:
    """It may name secrets, so there is no backup without it."""
    path = world.home / "etc" / "sources.toml"
    path.unlink()
    if content is not None:
        put(path, content)
    with pytest.raises(RefusedStart, match=reason):
        scope_of(world.settings, PackagesMode.LINK)


HOOKS = """
[[hook]]
url = "https://ci.example"
secret = "file:hook.secret"
ca-file = "{home}/etc/hook.pem"
[[hook]]
url = "https://ci.example"
secret = "env:SECRET"
[[hook]]
run = "/bin/true"
"""


def test_files_of_hooks(world: BackupWorld, tmp_path: Path) -> None:
    """Secrets and authorities that the hooks file names are in the backup, and named by it in another place too."""
    path = world.home / "etc" / "simpleindex.toml"
    put(path, path.read_bytes() + b'hooks = "hooks.toml"\n')
    put(world.home / "etc" / "hooks.toml", HOOKS.format(home=world.home).encode())
    put(world.home / "etc" / "hook.secret", b"hidden\n")
    put(world.home / "etc" / "hook.pem", b"authority\n")
    report = world.back_up(verifies=True)
    assert stored(report, "named-4/hook.secret").read_bytes() == b"hidden\n"
    assert stored(report, "named-5/hook.pem").read_bytes() == b"authority\n"
    world.restore(report.path, below=tmp_path / "below")
    (moved,) = (tmp_path / "below").rglob("hooks.toml")
    assert f'ca-file = "{tmp_path}/below{world.home}/etc/hook.pem"' in moved.read_text()


@pytest.mark.parametrize(
    ("content", "reason"), [(b"hook = 5", ": it has a 'hook'"), (None, "cannot be read")]
)
def test_a_broken_hooks_file(world: BackupWorld, content: bytes | None, reason: str) -> None:
    """It may name secrets too."""
    path = world.home / "etc" / "simpleindex.toml"
    put(path, path.read_bytes() + b'hooks = "hooks.toml"\n')
    if content is not None:
        put(world.home / "etc" / "hooks.toml", content)
    with pytest.raises(RefusedStart, match=reason):
        scope_of(world.settings, PackagesMode.LINK)


def test_records_in_postgresql(world: BackupWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their rows become the file that a server without PostgreSQL has; the files that its URL names are in the backup."""
    url = f"postgresql://index@db/index?passfile={world.home}/etc/pgpass&sslmode=require&sslkey=relative"
    put(world.home / "etc" / "pgpass", b"db:5432:index:index:hidden\n")
    path = world.home / "etc" / "simpleindex.toml"
    put(path, path.read_bytes() + f'records = "{url}"\n'.encode())
    there = RecordsDatabase(str(tmp_path / "postgresql"))
    TokenTable(there).create("alice", TokenOptions((Action.READ,), ("*",), None, "of PostgreSQL"), 1.0)
    monkeypatch.setattr(making, "open_records", lambda state, opened: there if opened == url else None)
    report = world.back_up(verifies=True)
    here = RecordsDatabase(str(stored(report, "state")))
    assert [token.note for token in TokenTable(here).all()] == ["of PostgreSQL"]
    here.close()
    manifest = read_manifest(report.path)
    assert [item.path for item in manifest.items].count("records.sqlite3") == 1
    assert stored(report, "named-4/pgpass").read_bytes().endswith(b"hidden\n")
    shutil.rmtree(world.home)
    (note,) = world.restore(report.path)
    assert f"simpleindex records copy sqlite:{world.home}/var {url}" in note


@pytest.mark.parametrize("place", ["//{home}/srv", "{home}/linked/../../srv", "{home}/srv//"])
def test_paths_in_odd_spellings(world: BackupWorld, place: str, tmp_path: Path) -> None:
    """What ``--path`` names is what is in the backup, and it can be restored: ``..`` leads from where the link before it leads."""
    (world.home / "deep" / "inner").mkdir(parents=True)
    (world.home / "linked").symlink_to("deep/inner")
    given = {**world.command_line, "path": place.format(home=world.home)}
    settings = resolve(given, {}, world.home)
    destination = BackupDestination(str(world.backups))
    request = replace(
        world.request(verifies=True),
        scope=scope_of(settings, PackagesMode.LINK),
        options=option_texts(given, {}, world.home),
    )
    with destination.writing():
        report = make_backup(destination, request, NO_STEPS)
    manifest = read_manifest(report.path)
    assert manifest.options["path"] == (str(world.home / "srv"),)
    world.restore(report.path, tmp_path / "to")
    assert (tmp_path / f"to{world.home}/srv" / WHEEL).is_file()


def test_a_manifest_that_could_not_be_restored(world: BackupWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verification reads it as a restore does, and keeps no such backup."""
    request = world.request(verifies=True)
    parts = (*request.scope.parts[:-1], replace(request.scope.parts[-1], name="No Part"))
    destination = BackupDestination(str(world.backups))
    request = replace(request, scope=replace(request.scope, parts=parts))
    with (
        destination.writing(),
        pytest.raises(CannotBackUp, match="could not be restored, so it was not kept"),
    ):
        make_backup(destination, request, NO_STEPS)
    assert list(world.backups.iterdir()) == []


def test_linked_directories_of_certificates(world: BackupWorld) -> None:
    """The server follows links to directories of certificates, so they are in the backup; deeper ones it does not read."""
    live = world.home / "live" / "www.example.org"
    put(live / "privkey.pem", b"key")
    (live / "further").symlink_to(world.home / "srv")
    (world.home / "certs" / "www").symlink_to(live)
    report = world.back_up(verifies=True)
    directory = stored(report, "certs/www")
    assert directory.is_dir()
    assert not directory.is_symlink()
    assert (directory / "privkey.pem").read_bytes() == b"key"
    shutil.rmtree(world.home)
    world.restore(report.path)
    assert (world.home / "certs/www/privkey.pem").read_bytes() == b"key"
    assert os.readlink(world.home / "certs/www/further") == str(world.home / "srv")


@pytest.mark.parametrize("target", ["/", "..", ".", "home"])
def test_a_link_of_certificates_to_what_it_is_in(world: BackupWorld, target: str) -> None:
    """The backup does not take all of the disk for certificates."""
    (world.home / "certs" / "all").symlink_to(world.home if target == "home" else target)
    scope = scope_of(resolve(world.command_line, {}, world.home), PackagesMode.LINK)
    listing = PartListing(next(part for part in scope.parts if part.name == "certs"), ())
    items = [item for item in listing.items if item.path.startswith("all")]
    assert [(item.path, item.kind) for item in items] == [("all", ItemKind.LINK)]


def damage(path: Path) -> None:
    """Change bytes as a failing disk does, which leaves the times."""
    times = path.stat()
    with path.open("r+b") as stream:
        stream.write(b"XX")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_the_backup_before_is_damaged(world: BackupWorld) -> None:
    """Its bad copy is not handed on from backup to backup, of which none could be verified."""
    first = world.back_up(PackagesMode.COPY)
    bad = stored(first, f"packages/{WHEEL}")
    damage(bad)
    second = world.back_up(PackagesMode.COPY, verifies=True)
    assert second.notes == [f"{bad} is damaged; the new backup has the server's file instead."]
    assert (second.copied, second.unchanged) == (1, FILES - 1)
    assert stored(second, f"packages/{WHEEL}").read_bytes() == (world.home / "srv" / WHEEL).read_bytes()
    assert world.back_up(PackagesMode.COPY, verifies=True).unchanged == FILES


def test_a_damaged_file_that_is_gone_from_the_server(world: BackupWorld) -> None:
    """There is nothing to copy, so there is no such backup."""
    first = world.back_up(PackagesMode.COPY)
    bad = stored(first, f"packages/{WHEEL}")
    damage(bad)
    gone = world.home / "srv" / WHEEL
    destination = BackupDestination(str(world.backups))
    request = world.request(PackagesMode.COPY, verifies=True)
    with destination.writing(), pytest.raises(CannotBackUp, match="size and digest of the manifest"):
        make_backup(destination, request, Steps(lambda _: None, lambda: gone.unlink(missing_ok=True)))


@pytest.mark.parametrize("packages", [PackagesMode.LINK, PackagesMode.COPY])
def test_a_file_in_a_backup_has_its_time(world: BackupWorld, packages: PackagesMode) -> None:
    """Who takes a single project out of a backup by hand takes the times of its uploads too."""
    report = world.back_up(packages)
    assert stored(report, f"packages/{WHEEL}").stat().st_mtime == 10**9
