"""What lies on disk, seen safely: nothing blocks, nothing leads out, nothing takes the rest down."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.core.errors import Changed
from simpleindex.core.names import ProjectName
from simpleindex.core.text import printable
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.directory.project_file import MAXIMUM_SIZE
from simpleindex.system.stamp import YOUNG_NS, Stamp, is_young
from tests.fixtures.trees import OLD_NS, SPECIAL, as_nobody, make_fifo, public_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simpleindex.directory.layout.directory_listings import DirectoryEntry, ProjectListing, RootListing

ACME = ProjectName("acme")
ZIP = "acme-1.0.zip"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with an empty project."""
    (tmp_path / "root" / "acme").mkdir(parents=True)
    return tmp_path / "root"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory beside the root, with a file that looks like a distribution."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / ZIP).write_bytes(b"secret")
    return tmp_path / "outside"


@pytest.fixture
def descriptors() -> Iterator[None]:
    """None may be left open."""
    before = {*os.listdir("/proc/self/fd")}
    yield
    # Fewer are those that other tests left, in garbage that was collected now.
    assert {*os.listdir("/proc/self/fd")} <= before


def survey(root: Path, *excluded: Path) -> RootListing:
    """Look at a root once."""
    return PackageDirectory(str(root), map(str, excluded)).survey()


def look(
    root: Path, *directories: str, loose: tuple[str, ...] = (), excluded: tuple[Path, ...] = ()
) -> ProjectListing:
    """Look at a project once, after a survey, as the live directory does."""
    directory = PackageDirectory(str(root), map(str, excluded))
    directory.survey()
    return directory.look(directories or ("acme",), loose)


def only_entry(seen: ProjectListing) -> DirectoryEntry:
    """The one distribution that was seen."""
    (entry,) = seen.entries
    return entry


def opened(directory: PackageDirectory, path: str, stamp: Stamp) -> bytes:
    """Open a file and read it."""
    descriptor = directory.open_file(path, stamp)
    try:
        return os.read(descriptor, 1000)
    finally:
        os.close(descriptor)


def stamp_of(path: Path) -> Stamp:
    """The state of a file now."""
    return Stamp.of(path.stat())


# -- stamps ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mtime", "ctime", "now", "young"),
    [
        (100, 100, 100, True),
        (100, 0, 102 - 1e-9, True),
        (0, 100, 102 - 1e-9, True),
        (0, 100, 102, False),
        (0, 100, 98 + 1e-9, True),
        # A file from 2106, or a clock that woke in 1970: neither is a change of just now.
        (4_300_000_000, 100, 1_700_000_000, False),
        (1_700_000_000, 1_700_000_000, 5, False),
        (0, 1_700_000_000, 4_300_000_000, False),
    ],
)
def test_what_changed_within_two_seconds_is_young(
    mtime: float, ctime: float, now: float, young: bool
) -> None:
    """By either time, in either direction, and not for ever."""
    stamp = Stamp(1, 1, round(mtime * 10**9), round(ctime * 10**9), 1)
    assert is_young(stamp, round(now * 10**9)) is young
    assert YOUNG_NS == 2 * 10**9


def test_a_stamp_tells_bytes_from_links(root: Path) -> None:
    """A hard link changes ctime and count only; size, time or inode mean other bytes."""
    path = root / ZIP
    path.write_bytes(b"x")
    before = stamp_of(path)
    os.link(path, root / "backup")
    after = stamp_of(path)
    assert before != after
    assert after.same_bytes_as(before)
    for field in ("inode", "size", "mtime_ns"):
        assert not before._replace(**{field: 0}).same_bytes_as(before)


@pytest.mark.parametrize(
    ("change", "may_be"),
    [
        ({}, True),
        ({"ctime_ns": 2, "links": 2}, True),
        ({"ctime_ns": 2}, False),
        ({"mtime_ns": 2, "ctime_ns": 2, "links": 2}, False),
    ],
)
def test_a_new_ctime_needs_a_reason(change: dict[str, int], may_be: bool) -> None:
    """Another link is one; without it, it can be a write whose mtime was set back."""
    stamp = Stamp(1, 1, 1, 1, 1)
    assert stamp._replace(**change).may_be(stamp) is may_be
    assert stamp.may_be(stamp._replace(**change)) is may_be


# -- the root -------------------------------------------------------------------------------------------------------


def test_projects_loose_files_and_strays(root: Path) -> None:
    """Every spelling of a project, the normalized one first; files by the project that they state."""
    for name in ("Acme", "ACME", "b.c", ".hidden", "_no", "caf\xe9", "acme-2.0.zip.d"):
        (root / name).mkdir()
    for name in (
        "other-1.0.zip",
        "Other-0.9.tar.gz",
        "nonsense.whl",
        "README",
        ".x-1.0.zip",
        "simpleindex.toml",
    ):
        (root / name).touch()
    seen = survey(root)
    assert seen.directories == {
        "acme": ("acme", "ACME", "Acme"),
        "b-c": ("b.c",),
        "acme-2-0-zip-d": ("acme-2.0.zip.d",),
    }
    assert seen.loose == {"other": ("Other-0.9.tar.gz", "other-1.0.zip")}
    assert list(seen.strays) == ["nonsense.whl"]
    assert "nonsense.whl is not served: its name is not a wheel's" in seen.strays["nonsense.whl"]
    status = root.stat()
    assert seen.identity == (status.st_dev, status.st_ino) == PackageDirectory(str(root)).identity()
    assert seen.stamp == Stamp.of(status)


def test_a_root_that_is_gone_is_an_error(tmp_path: Path) -> None:
    """Never an empty one."""
    directory = PackageDirectory(str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError):
        directory.survey()
    with pytest.raises(FileNotFoundError):
        directory.identity()


@pytest.mark.parametrize("name", [ZIP, "loop", "loop-1-py3-none-any.whl"])
def test_a_loop_of_links_in_the_root_leaves_the_rest(root: Path, name: str) -> None:
    """Whether it is named like a project or like a file."""
    (root / name).symlink_to(name)
    assert survey(root).directories == {"acme": ("acme",)}


def test_a_link_to_where_nobody_may_look_leaves_the_rest() -> None:
    """It is a file that cannot be read, or no project."""
    with public_directory() as root:
        (root / "closed" / "in").mkdir(parents=True)
        (root / "closed" / ZIP).touch()
        (root / ZIP).symlink_to(f"closed/{ZIP}")
        (root / "project").symlink_to("closed/in")
        (root / "closed").chmod(0)
        with as_nobody():
            seen = survey(root)
            entry = only_entry(look(root, loose=(ZIP,)))
        (root / "closed").chmod(0o700)
    assert (seen.directories, seen.loose) == ({"closed": ("closed",)}, {"acme": (ZIP,)})
    assert entry.trouble == "it cannot be read: Permission denied"


def test_names_that_are_not_text(root: Path) -> None:
    """Bytes that are no UTF-8 make a stray with a printable name, or nothing."""
    raw = os.fsencode(root)
    os.mkdir(raw + b"/acme\xff")
    for name in (b"acme-1.0\xff.zip", b"\xff\n.whl"):
        with open(raw + b"/" + name, "wb"):
            pass
    seen = survey(root)
    assert set(seen.directories) == {"acme"}
    assert set(seen.strays) == {"acme-1.0\\udcff.zip", "\\udcff\\n.whl"}
    assert all(reason.isprintable() for reason in seen.strays.values())


def test_a_root_whose_path_is_not_text(tmp_path: Path) -> None:
    """Its files are found and opened all the same."""
    raw = os.fsencode(tmp_path) + b"/r\xff\xfe"
    os.makedirs(raw + b"/acme")
    with open(raw + b"/acme/acme-1.0.zip", "wb") as file:
        file.write(b"x")
    os.symlink(b"acme-1.0.zip", raw + b"/acme/acme-1.1.zip")
    directory = PackageDirectory(os.fsdecode(raw))
    assert directory.survey().directories == {"acme": ("acme",)}
    entries = directory.look(("acme",), ()).entries
    assert {opened(directory, entry.path, entry.stamp) for entry in entries if entry.stamp} == {b"x"}
    assert [entry.trouble for entry in entries] == [None, None]


def test_the_whole_file_system_can_be_the_root(tmp_path: Path) -> None:
    """Its own slash ends it; a link is inside wherever it leads."""
    path = tmp_path / ZIP
    path.write_bytes(b"x")
    (tmp_path / "link").symlink_to(path)
    directory = PackageDirectory("/")
    assert opened(directory, str(tmp_path / "link")[1:], stamp_of(path)) == b"x"


def test_a_link_to_a_directory_counts_where_it_leads(root: Path, outside: Path) -> None:
    """Inside it is a project, outside or nowhere it is nothing, also through a second link."""
    (root / "inner").symlink_to("acme")
    (root / "outer").symlink_to(outside)
    (root / "second").symlink_to("outer")
    (root / "nothing").symlink_to("nowhere")
    (root / "self").symlink_to(".")
    assert set(survey(root).directories) == {"acme", "inner"}


# -- what is never a project ----------------------------------------------------------------------------------------


def test_the_service_s_own_directories_are_no_projects(root: Path) -> None:
    """Certificates in the root, whatever they are called there, and however the option spelt their path."""
    (root / "certs").mkdir()
    (root / "certs" / "certs-1.0.zip").write_bytes(b"key")
    (root / "alias").symlink_to("certs")
    (root.parent / "elsewhere").symlink_to(root / "certs")
    (root / "acme" / ZIP).symlink_to("../certs/certs-1.0.zip")
    for excluded in (
        root / "certs",
        root.parent / "elsewhere",
        root / "acme" / ".." / "certs",
        root / "alias",
    ):
        assert set(survey(root, excluded).directories) == {"acme"}
        seen = look(root, "acme", "certs", "alias", excluded=(excluded,))
        assert only_entry(seen).trouble == "it is a link that leads out of the root"
    assert set(survey(root, root / "missing", root, root.parent).directories) == {"acme", "alias", "certs"}


def test_what_lies_in_an_excluded_directory_is_out_of_reach(root: Path) -> None:
    """Also further down in it, and for a link that is turned after it was looked at."""
    (root / ".state" / "deep").mkdir(parents=True)
    (root / ".state" / "deep" / ZIP).write_bytes(b"token")
    (root / "deep").symlink_to(".state/deep")
    (root / "acme" / ZIP).symlink_to("../deep/acme-1.0.zip")
    directory = PackageDirectory(str(root), [str(root / ".state")])
    assert set(directory.survey().directories) == {"acme"}
    entry = only_entry(directory.look(("acme", "deep"), ()))
    assert entry.trouble == "it is a link that leads out of the root"
    with pytest.raises(Changed):
        directory.open_file(entry.path, stamp_of(root / "acme" / ZIP))


def test_the_service_s_own_files_are_no_distributions(root: Path) -> None:
    """A configuration that is hard-linked as a signature would be served to everybody."""
    (root / "users.toml").write_bytes(b"password")
    os.link(root / "users.toml", root / "acme" / f"{ZIP}.asc")
    (root / "acme" / ZIP).symlink_to("../users.toml")
    seen = look(root, excluded=(root / "users.toml",))
    assert only_entry(seen).trouble == "it is a link that leads out of the root"
    assert (seen.side_files or {})[f"acme/{ZIP}.asc"].trouble == "it is a file of the service itself"


# -- a project ------------------------------------------------------------------------------------------------------


def test_what_a_project_s_places_hold(root: Path) -> None:
    """Distributions and side files with their rank; hidden and other files are not there."""
    (root / "Acme").mkdir()
    for name in (
        f"acme/{ZIP}",
        f"acme/{ZIP}.asc",
        "acme/notes.txt",
        f"acme/.{ZIP}",
        f"Acme/{ZIP}",
        "acme/a.egg",
    ):
        (root / name).write_bytes(b"x")
    for name in ("acme-2.0.zip", "acme-2.0.zip.provenance", "acme-3.0.zip.sig"):
        (root / name).write_bytes(b"x")
    seen = look(root, "acme", "Acme", loose=("acme-2.0.zip",))
    assert {(entry.path, entry.filename, entry.rank) for entry in seen.entries} == {
        (f"acme/{ZIP}", ZIP, 0),
        (f"Acme/{ZIP}", ZIP, 1),
        ("acme-2.0.zip", "acme-2.0.zip", 2),
    }
    assert {entry.stamp for entry in seen.entries} == {stamp_of(root / entry.path) for entry in seen.entries}
    assert set(seen.side_files or ()) == {f"acme/{ZIP}.asc", "acme-2.0.zip.provenance"}
    assert seen.stamps == {name: stamp_of(root / name) for name in ("acme", "Acme")}
    assert (seen.project_file, seen.project_file_trouble, seen.trouble) == (None, None, None)


def test_a_place_that_vanished_does_not_change_the_ranks(root: Path) -> None:
    """A file in the root stays the last choice."""
    (root / "ACME").mkdir()
    for name in (f"ACME/{ZIP}", ZIP):
        (root / name).touch()
    seen = look(root, "gone", "gone-too", "ACME", loose=(ZIP, "acme-gone.zip"))
    assert [(entry.path, entry.rank) for entry in seen.entries] == [(f"ACME/{ZIP}", 2), (ZIP, 3)]


def test_a_project_that_is_not_there_is_empty(root: Path, outside: Path) -> None:
    """Nothing, a file, a link to nothing and a link that leads out are no directories."""
    (root / "file").touch()
    (root / "nothing").symlink_to("nowhere")
    (root / "outer").symlink_to(outside)
    for name in ("nowhere", "file", "nothing", "outer"):
        seen = look(root, name)
        assert (seen.entries, seen.side_files, seen.project_file, seen.trouble) == ((), {}, None, None)


@pytest.mark.parametrize("name", ["loop", "x" * 300])
def test_a_directory_that_cannot_be_told_of_is_trouble(root: Path, name: str) -> None:
    """Then nothing is known, which is not the same as nothing being there."""
    (root / "loop").symlink_to("loop")
    trouble = look(root, name).trouble
    assert trouble is not None
    assert trouble.startswith(f"The directory {name} cannot be read: ")


def test_a_directory_that_may_not_be_read_is_trouble() -> None:
    """Without leave to list it; without leave to enter it, its files are withheld one by one."""
    with public_directory() as root:
        (root / "acme").mkdir()
        (root / "acme" / ZIP).touch()
        (root / "acme").chmod(0o711)
        with as_nobody():
            unlisted = look(root)
        (root / "acme").chmod(0o744)
        with as_nobody():
            unentered = look(root)
    assert unlisted.trouble == "The directory acme cannot be read: Permission denied."
    entry = only_entry(unentered)
    assert (entry.stamp, entry.trouble) == (None, "it cannot be read: Permission denied")


def test_a_second_spelling_that_links_to_the_first_is_no_second_place(root: Path) -> None:
    """Else each file would be read twice, and its simpleindex.toml contradict itself."""
    (root / "Acme").symlink_to("acme")
    (root / "acme" / ZIP).touch()
    (root / "acme" / "simpleindex.toml").write_bytes(b"#")
    seen = look(root, "acme", "Acme")
    assert only_entry(seen).path == f"acme/{ZIP}"
    assert (seen.project_file, seen.project_file_trouble) == (b"#", None)


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("where", ["acme/", ""])
def test_only_regular_files_are_distributions(root: Path, kind: str, where: str) -> None:
    """Looking at anything else neither blocks nor opens it."""
    SPECIAL[kind](root / where / ZIP)
    entry = only_entry(look(root, loose=() if where else (ZIP,)))
    assert entry.trouble == "it is not a regular file"
    assert entry.stamp == stamp_of(root / where / ZIP)


def test_links_among_the_files(root: Path, outside: Path) -> None:
    """Inside they are files; outside, around in circles or to nothing they are withheld, each with its reason."""
    (root / "acme" / "acme-0.zip").write_bytes(b"x")
    (root / "sub").symlink_to(outside)
    targets = {
        "acme-1.zip": "acme-0.zip",
        "acme-2.zip": str(outside / ZIP),
        "acme-3.zip": f"../sub/{ZIP}",
        "acme-4.zip": "acme-4.zip",
        "acme-5.zip": "nowhere",
        "acme-6.zip": "/nowhere",
        "acme-7.zip": "../../root/acme/acme-0.zip",
    }
    for name, target in targets.items():
        (root / "acme" / name).symlink_to(target)
    seen = {entry.filename: entry for entry in look(root).entries}
    out, good = "it is a link that leads out of the root", stamp_of(root / "acme" / "acme-0.zip")
    assert {name: (entry.trouble, entry.stamp) for name, entry in seen.items()} == {
        "acme-0.zip": (None, good),
        "acme-1.zip": (None, good),
        "acme-2.zip": (out, stamp_of(outside / ZIP)),
        "acme-3.zip": (out, stamp_of(outside / ZIP)),
        "acme-4.zip": ("it cannot be read: Too many levels of symbolic links", None),
        "acme-5.zip": ("it is a link to nothing", None),
        "acme-6.zip": (out, None),
        "acme-7.zip": (None, good),
    }


def test_a_file_that_vanishes_while_it_is_looked_at_is_not_there(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Distribution, signature or simpleindex.toml: listed, and gone a moment later."""
    monkeypatch.setattr(os, "listdir", lambda _path: [ZIP, f"{ZIP}.asc", "simpleindex.toml"])
    seen = look(root)
    assert (seen.entries, seen.side_files, seen.project_file, seen.project_file_trouble) == (
        (),
        {},
        None,
        None,
    )


def test_a_name_that_is_not_text_is_an_entry(root: Path) -> None:
    """It is withheld later by its name; its path still finds it."""
    with open(os.fsencode(root) + b"/acme/acme-1.0\xff.zip", "wb"):
        pass
    entry = only_entry(look(root))
    assert entry.filename == "acme-1.0\udcff.zip"
    assert PackageDirectory(str(root)).stamp(entry.path) == entry.stamp


def test_thousands_of_entries_cost_one_question_each(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that are no distributions a bounded number is asked whether they are directories."""
    for number in range(2_000):
        os.close(os.open(root / "acme" / f"acme-{number}.zip", os.O_CREAT))
        os.close(os.open(root / "acme" / f"notes-{number}.txt", os.O_CREAT))
    directory = PackageDirectory(str(root), [str(root / "certs")])
    directory.survey()
    calls: Counter[str] = Counter()

    def counted(name: str) -> None:
        real = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            calls[name] += 1
            return real(*arguments, **options)

        monkeypatch.setattr(os, name, call)

    for name in ("stat", "lstat", "open", "listdir", "scandir", "readlink"):
        counted(name)
    assert len(directory.look(("acme",), ()).entries) == 2_000
    assert calls == {"lstat": 3_001, "listdir": 1}


# -- simpleindex.toml -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 5, MAXIMUM_SIZE])
def test_the_project_file_is_read(root: Path, size: int) -> None:
    """Up to 64 KiB; its state is noted, so that a sweep sees a change."""
    path = root / "acme" / "simpleindex.toml"
    path.write_bytes(b"#" * size)
    seen = look(root)
    assert (seen.project_file, seen.project_file_trouble) == (b"#" * size, None)
    assert seen.entries == ()
    assert (seen.stamps or {})["acme/simpleindex.toml"] == stamp_of(path)


def test_a_huge_project_file_is_refused(root: Path) -> None:
    """One byte too many, or a terabyte of nothing."""
    path = root / "acme" / "simpleindex.toml"
    for size in (MAXIMUM_SIZE + 1, 2**40):
        path.touch()
        os.truncate(path, size)
        seen = look(root)
        assert (seen.project_file, seen.project_file_trouble) == (None, "is larger than 64 KiB")


@pytest.mark.parametrize(
    ("kind", "trouble"),
    [
        ("FIFO", "is not a regular file"),
        ("socket", "cannot be read: No such device or address"),
        ("device", "is not a regular file"),
        ("directory", "is not a regular file"),
    ],
)
@pytest.mark.usefixtures("descriptors")
def test_a_project_file_must_be_a_regular_file(root: Path, kind: str, trouble: str) -> None:
    """Nothing blocks, and nothing stays open."""
    SPECIAL[kind](root / "acme" / "simpleindex.toml")
    seen = look(root)
    assert (seen.project_file, seen.project_file_trouble) == (None, trouble)


@pytest.mark.parametrize("target", ["real.toml", "simpleindex.toml", "nowhere", "/etc/passwd"])
def test_a_project_file_must_not_be_a_link(root: Path, target: str) -> None:
    """Not even one that stays inside."""
    (root / "acme" / "real.toml").write_bytes(b"#")
    (root / "acme" / "simpleindex.toml").symlink_to(target)
    seen = look(root)
    assert (seen.project_file, seen.project_file_trouble) == (None, "is a link")


def test_two_project_files_are_one_too_many(root: Path) -> None:
    """A second one would be a second opinion."""
    (root / "Acme").mkdir()
    for name in ("acme", "Acme"):
        (root / name / "simpleindex.toml").write_bytes(b"#")
    seen = look(root, "acme", "Acme")
    assert (seen.project_file, seen.project_file_trouble) == (None, "lies in acme and Acme; keep one of them")


def test_a_project_file_in_the_second_spelling_counts(root: Path) -> None:
    """There is one, wherever it lies."""
    (root / "Acme").mkdir()
    (root / "Acme" / "simpleindex.toml").write_bytes(b"#")
    assert look(root, "acme", "Acme").project_file == b"#"


def test_an_unreadable_project_file_shows_when_it_becomes_readable() -> None:
    """A chmod leaves the directory's state alone, so the file's own must be known."""
    with public_directory() as root:
        (root / "acme").mkdir()
        path = root / "acme" / "simpleindex.toml"
        path.write_bytes(b"#")
        path.chmod(0)
        with as_nobody():
            seen = look(root)
        assert seen.project_file_trouble == "cannot be read: Permission denied"
        assert (seen.stamps or {})["acme/simpleindex.toml"] == stamp_of(path)


@pytest.mark.usefixtures("descriptors")
def test_a_disk_that_fails_under_the_project_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be obeyed; nothing stays open."""
    (root / "acme" / "simpleindex.toml").write_bytes(b"#")

    def read(_descriptor: int, _length: int) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "read", read)
    seen = look(root)
    assert (seen.project_file, seen.project_file_trouble) == (None, "cannot be read: Input/output error")


# -- opening --------------------------------------------------------------------------------------------------------


@pytest.fixture
def listed(root: Path) -> tuple[Path, Stamp, PackageDirectory]:
    """A file that was looked at: its path, its state then, and its root."""
    path = root / "acme" / ZIP
    path.write_bytes(b"old")
    os.utime(path, ns=(OLD_NS, OLD_NS))
    directory = PackageDirectory(str(root))
    directory.survey()
    return path, stamp_of(path), directory


@pytest.mark.usefixtures("descriptors")
def test_a_file_in_its_known_state_is_opened(listed: tuple[Path, Stamp, PackageDirectory]) -> None:
    """Also after a hard link, which leaves the bytes; its descriptor does not leak into children."""
    path, stamp, directory = listed
    assert opened(directory, f"acme/{ZIP}", stamp) == b"old"
    os.link(path, path.with_name("backup"))
    assert opened(directory, f"acme/{ZIP}", stamp) == b"old"
    descriptor = directory.open_file(f"acme/{ZIP}", stamp)
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)


def _overwrite(path: Path) -> None:
    path.write_bytes(b"new")


def _overwrite_and_set_back(path: Path) -> None:
    status = path.stat()
    path.write_bytes(b"new")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _replace(path: Path) -> None:
    path.with_name("new").write_bytes(b"new")
    os.utime(path.with_name("new"), ns=(OLD_NS, OLD_NS))
    path.with_name("new").rename(path)


def _block(path: Path) -> None:
    path.unlink()
    make_fifo(path)


def _turn(path: Path) -> None:
    """Move the very file out of the root and link to it."""
    path.rename(path.parents[2] / "moved")
    path.symlink_to("../../moved")


def _turn_directory(path: Path) -> None:
    path.parent.rename(path.parents[2] / "moved")
    path.parent.symlink_to("../moved")


@pytest.mark.parametrize(
    "change",
    [_overwrite, _overwrite_and_set_back, _replace, os.unlink, _block, _turn, _turn_directory],
    ids=lambda change: change.__name__,
)
@pytest.mark.parametrize("has_proc", [True, False])
@pytest.mark.usefixtures("descriptors")
def test_a_file_in_another_state_is_not_opened(
    listed: tuple[Path, Stamp, PackageDirectory], change: Any, has_proc: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written to, replaced, gone, of another kind, or led out of the root by a link turned meanwhile."""
    path, stamp, directory = listed
    change(path)
    if not has_proc:
        _without_proc(monkeypatch)
    with pytest.raises(Changed) as caught:
        directory.open_file(f"acme/{ZIP}", stamp)
    assert caught.value.filename == ZIP


def _without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    readlink = os.readlink

    def elsewhere(path: str, *arguments: Any, **options: Any) -> str:
        if os.fspath(path).startswith("/proc/"):
            raise FileNotFoundError
        return readlink(path, *arguments, **options)

    monkeypatch.setattr(os, "readlink", elsewhere)


@pytest.mark.parametrize("has_proc", [True, False])
def test_a_link_that_stays_inside_is_opened(
    listed: tuple[Path, Stamp, PackageDirectory], has_proc: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file, and of a directory; with exclusions that lie elsewhere."""
    path, stamp, _ = listed
    (path.parents[1] / "link").symlink_to("acme")
    path.with_name("acme-2.0.zip").symlink_to(ZIP)
    (path.parents[1] / "certs").mkdir()
    directory = PackageDirectory(str(path.parents[1]), [str(path.parents[1] / "certs")])
    directory.survey()
    if not has_proc:
        _without_proc(monkeypatch)
    for name in (f"link/{ZIP}", "acme/acme-2.0.zip"):
        assert opened(directory, name, stamp) == b"old"


def test_a_path_that_leads_nowhere_is_an_error(listed: tuple[Path, Stamp, PackageDirectory]) -> None:
    """The caller looks again; a file where the directory was is not the file's own change."""
    path, stamp, directory = listed
    path.unlink()
    path.parent.rmdir()
    path.parent.touch()
    with pytest.raises(NotADirectoryError):
        directory.open_file(f"acme/{ZIP}", stamp)


def test_the_state_of_what_is_not_there_is_none(root: Path) -> None:
    """Whatever keeps it from being there."""
    (root / "loop").symlink_to("loop")
    directory = PackageDirectory(str(root))
    assert directory.stamp("acme") == stamp_of(root / "acme")
    for path in ("nowhere", "loop", "acme/" + "x" * 300, "x/" * 3000):
        assert directory.stamp(path) is None


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a b", "a b"), ("caf\xe9", "caf\xe9"), ("a\nb\x1b\udcff", r"a\nb\x1b\udcff"), ("", "")],
)
def test_a_name_is_made_printable(name: str, shown: str) -> None:
    """No file name writes a second line into a log, or moves a terminal's cursor."""
    assert printable(name) == shown


def test_a_dangling_link_without_a_project_s_name_is_nothing(root: Path) -> None:
    """Neither a project nor reserved."""
    (root / "-no project-").symlink_to("nowhere")
    listing = survey(root)
    assert (listing.reserved, listing.unserved) == ({}, ())
    assert [*listing.directories] == [ACME]
