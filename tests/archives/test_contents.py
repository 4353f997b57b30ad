"""Looking inside distributions: members, texts and differences, in processes with limits and without."""

from __future__ import annotations

import io
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.archives.contents import compare_texts, difference, lines_of, list_members, read_texts
from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.examination import protocol
from simpleindex.archives.member_text import MemberText
from simpleindex.core import bounds
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = (
    "a-1.0-py3-none-any.whl",
    "a-1.0.zip",
    "a-1.0.tar.gz",
    "a-1.0.tar.xz",
    "a-1.0.tar.bz2",
    "a-1.0.tar",
)


def archive(filename: str, files: dict[str, bytes]) -> io.BytesIO:
    """An archive of that name's format."""
    made = io.BytesIO()
    if filename.endswith((".whl", ".zip")):
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as zipped:
            for path, data in files.items():
                zipped.writestr(path, data)
        return made
    with _open_tar(made, filename) as tarred:
        directory = tarfile.TarInfo("a-1.0/docs")
        directory.type = tarfile.DIRTYPE
        tarred.addfile(directory)
        for path, data in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(data)
            tarred.addfile(info, io.BytesIO(data))
    return made


def plain(texts: dict[str, MemberText | None]) -> dict[str, str | None]:
    """Texts alone."""
    return {path: None if each is None else each.text for path, each in texts.items()}


def _open_tar(file: io.BytesIO, filename: str) -> tarfile.TarFile:
    match filename.rpartition(".")[2]:
        case "gz":
            return tarfile.open(fileobj=file, mode="w:gz")
        case "xz":
            return tarfile.open(fileobj=file, mode="w:xz")
        case "bz2":
            return tarfile.open(fileobj=file, mode="w:bz2")
    return tarfile.open(fileobj=file, mode="w:")


FILES = {
    "a-1.0/README": b"Hello\nworld\n",
    "a-1.0/code.py": b"x = 1\n" * 300,
    "a-1.0/empty": b"",
    "a-1.0/picture": b"\x89PNG\0\xff",
    "a-1.0/\xc3\xa9".encode("latin-1").decode(): b"e",
}


@pytest.mark.parametrize("filename", FORMATS)
def test_members_with_sizes_in_every_format(filename: str) -> None:
    listed = list_members(archive(filename, FILES), filename)
    assert listed.is_complete
    assert {each.path: each.size for each in listed.members} == {
        path: len(data) for path, data in FILES.items()
    }


@pytest.mark.parametrize("filename", FORMATS)
def test_equal_bytes_have_equal_fingerprints(filename: str) -> None:
    changed = {**FILES, "a-1.0/code.py": b"x = 2\n" * 300}
    before, after = (
        {each.path: each.fingerprint for each in list_members(archive(filename, files), filename).members}
        for files in (FILES, changed)
    )
    assert {path for path in before if before[path] != after[path]} == {"a-1.0/code.py"}


@pytest.mark.parametrize("filename", FORMATS)
def test_texts_are_read_and_others_are_not(filename: str) -> None:
    paths = [*FILES, "a-1.0/missing"]
    assert plain(read_texts(archive(filename, FILES), filename, paths)) == {
        "a-1.0/README": "Hello\nworld\n",
        "a-1.0/code.py": "x = 1\n" * 300,
        "a-1.0/empty": "",
        "a-1.0/picture": None,
        "a-1.0/\xe9": "e",
    }


@pytest.mark.parametrize("filename", FORMATS)
def test_a_large_file_is_listed_and_not_read(filename: str) -> None:
    files = {"big": b"x" * (bounds.MEMBER_TEXT.most + 1), "small": b"y"}
    assert plain(read_texts(archive(filename, files), filename, ["big", "small"])) == {
        "big": None,
        "small": "y",
    }


@pytest.mark.parametrize("filename", FORMATS)
def test_all_texts_together_are_bounded(filename: str) -> None:
    files = {str(number): b"x" * (bounds.MEMBER_TEXT.most - 1) for number in range(6)}
    read = read_texts(archive(filename, files), filename, list(files))
    assert [path for path, text in read.items() if text is None] == ["4", "5"]


@pytest.mark.parametrize("filename", FORMATS)
def test_a_list_ends_at_its_bound(filename: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "LISTED_MEMBERS", bounds.Bound("the list", 3, "files"))
    listed = list_members(archive(filename, FILES), filename)
    assert not listed.is_complete
    assert len(listed.members) == 3


@pytest.mark.parametrize("filename", FORMATS)
def test_too_many_members_are_refused(filename: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MEMBERS", bounds.Bound("the archive", 3, "members"))
    with pytest.raises(BrokenArchive, match="at most 3 are read"):
        read_texts(archive(filename, FILES), filename, ["none"])


@pytest.mark.parametrize("filename", FORMATS)
@given(cut=st.integers(1, 400))
def test_a_cut_archive_is_broken_and_nothing_else(filename: str, cut: int) -> None:
    data = archive(filename, FILES).getvalue()
    file = io.BytesIO(data[: max(0, len(data) - cut)])
    try:
        list_members(file, filename)
        read_texts(file, filename, list(FILES))
    except BrokenArchive:
        pass


def test_a_damaged_member_is_refused() -> None:
    """Its CRC is wrong, or it unpacks to another size than is stated, or does not unpack at all."""
    data = bytearray(archive("a-1.0.zip", {"a": b"hello" * 50}).getvalue())
    data[data.index(b"a", 20) + 2] ^= 0xFF
    with pytest.raises(BrokenArchive, match="damaged"):
        read_texts(io.BytesIO(bytes(data)), "a-1.0.zip", ["a"])
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as zipped:
        zipped.writestr("a", b"hello")
    broken = stored.getvalue().replace(b"hello", b"hullo", 1)
    with pytest.raises(BrokenArchive, match="damaged"):
        read_texts(io.BytesIO(broken), "a-1.0.zip", ["a"])


def test_differences_of_texts() -> None:
    filename = "a-2.0.zip"
    newer = archive(filename, {"same": b"1\n2\n", "code.py": b"1\ntwo\n3\n", "picture": b"\0"})
    former = {"same": "1\n2\n", "code.py": "1\n2\n3\n", "picture": "text", "gone": "x"}
    assert compare_texts(newer, filename, former) == {
        "same": "",
        "code.py": "@@ -1,3 +1,3 @@\n 1\n-2\n+two\n 3",
    }


def test_long_texts_are_not_compared() -> None:
    assert difference("x\n" * 5_001, "y\n") == ""


def test_by_way_of_an_examining_process(tmp_path: Path) -> None:
    """Requests and answers pass as JSON, with lone surrogates and control characters in them."""
    path = tmp_path / "a-1.0.tar.gz"
    path.write_bytes(archive(path.name, {"a\x01": b"one\n", "b": b"\xff\0"}).getvalue())
    with path.open("rb") as file:
        size, descriptor = path.stat().st_size, file.fileno()
        examiner = InProcessExaminer()
        (members,) = examiner.examine([protocol.members(descriptor, size, path.name)])
        (texts,) = examiner.examine([protocol.member_texts(descriptor, size, path.name, ["a\x01", "b"])])
        (compared,) = examiner.examine(
            [protocol.differences(descriptor, size, path.name, {"a\x01": "two\n"})]
        )
    assert not isinstance(members, Exception)
    assert [each.path for each in members.members] == ["a\x01", "b"]
    assert texts == {"a\x01": MemberText("one\n"), "b": None}
    assert compared == {"a\x01": "@@ -1 +1 @@\n-two\n+one"}


BAD_ANSWERS: list[tuple[protocol.Request[Any], list[object]]] = [
    (
        protocol.members(0, 0, "a-1.0.zip"),
        [
            *(None, [], [[], 1], [[["a", -1, "x", "", ""]], True], [[[1, 1, "x", "", ""]], True]),
            *([[["a", 1]], True], [[["a", 1, "x", 1, ""]], True], [[["a", 1, "x", "", None]], True]),
        ],
    ),
    (
        protocol.member_texts(0, 0, "a-1.0.zip", []),
        [[], {"a": 1}, {"a": ["x", "y", "z"]}, {"a": ["x", 1, "", ""]}, {"a": [1, "x", "", ""]}],
    ),
    (protocol.differences(0, 0, "a-1.0.zip", {}), [[], {"a": None}]),
]


@for_each(("request_", "answer"), [(each, bad) for each, answers in BAD_ANSWERS for bad in answers])
def test_other_answers_are_refused(request_: protocol.Request[Any], answer: object) -> None:
    with pytest.raises(protocol.BadAnswer):
        request_.read(answer)


@pytest.mark.parametrize("end", [512 + 512 + 100, 512 + 512 + 4 + 10, 512 + 512])
def test_an_uncompressed_archive_that_ends_in_a_member_is_broken(end: int) -> None:
    """In its data, in the padding behind them, and before them; the list and the text are both refused."""
    data = archive("a-1.0.tar", {"a": b"x" * 600}).getvalue()[:end]
    with pytest.raises(BrokenArchive):
        list_members(io.BytesIO(data), "a-1.0.tar")
    with pytest.raises(BrokenArchive):
        read_texts(io.BytesIO(data), "a-1.0.tar", ["a"])


def test_members_that_lie_about_themselves_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A local header with another name; deflated data that are none; more packed bytes than are read; links are no texts."""
    good = archive("a-1.0.zip", {"name": b"hello" * 50}).getvalue()
    renamed = good.replace(b"name", b"nome", 1)
    with pytest.raises(BrokenArchive, match="not where the zip directory says"):
        read_texts(io.BytesIO(renamed), "a-1.0.zip", ["name"])
    at = good.index(b"name") + 4
    damaged = good[:at] + b"\xff" * 6 + good[at + 6 :]
    with pytest.raises(BrokenArchive, match="damaged"):
        read_texts(io.BytesIO(damaged), "a-1.0.zip", ["name"])
    monkeypatch.setattr(bounds, "MEMBER_TEXTS", bounds.Bound("the texts", 300, "bytes"))
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as zipped:
        zipped.writestr("name", b"y" * 301)
    assert plain(read_texts(stored, "a-1.0.zip", ["name"])) == {"name": None}


def tar_with_links(*links: tuple[str, bytes, str]) -> io.BytesIO:
    """A tar archive with a file and links: their paths, kinds and targets."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", format=tarfile.PAX_FORMAT) as tarred:
        for path, kind, target in links:
            info = tarfile.TarInfo(path)
            info.type, info.linkname, info.size = kind, target, 10**9
            tarred.addfile(info)
        info = tarfile.TarInfo("a-1.0/file")
        info.size = 4
        tarred.addfile(info, io.BytesIO(b"text"))
    return made


def test_links_are_listed_with_their_targets_and_never_followed() -> None:
    name = "a-1.0.tar.gz"
    made = tar_with_links(
        ("a-1.0/here", tarfile.SYMTYPE, "file"),
        ("a-1.0/out", tarfile.SYMTYPE, "../../../etc/passwd"),
        ("a-1.0/same", tarfile.LNKTYPE, "a-1.0/file"),
        ("a-1.0/odd", tarfile.SYMTYPE, "\x01\u202e\udcff<b>"),
        ("a-1.0/pipe", tarfile.FIFOTYPE, ""),
    )
    listed = list_members(made, name)
    assert listed.is_complete
    assert [(each.path, each.size, each.link, each.target) for each in listed.members] == [
        ("a-1.0/here", 0, "symbolic link", "file"),
        ("a-1.0/out", 0, "symbolic link", "../../../etc/passwd"),
        ("a-1.0/same", 0, "hard link", "a-1.0/file"),
        ("a-1.0/odd", 0, "symbolic link", "\x01\u202e\\xff<b>"),
        ("a-1.0/file", 4, "", ""),
    ]
    paths = [each.path for each in listed.members]
    assert plain(read_texts(made, name, paths)) == {"a-1.0/file": "text"}


def test_targets_of_links_count_in_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "a-1.0.tar.gz"
    long = list_members(tar_with_links(("a-1.0/x", tarfile.SYMTYPE, "y" * 100_000)), name)
    assert [len(each.target) for each in long.members] == [bounds.LINK.most, 0]
    assert (
        long.members[0].fingerprint
        != list_members(tar_with_links(("a-1.0/x", tarfile.SYMTYPE, "y" * 99_999)), name)
        .members[0]
        .fingerprint
    )
    monkeypatch.setattr(bounds, "LISTED_PATHS", bounds.Bound("the list", 30, "characters"))
    few = tar_with_links(("a-1.0/x", tarfile.SYMTYPE, "y" * 10), ("a-1.0/z", tarfile.SYMTYPE, "y" * 10))
    listed = list_members(few, name)
    assert not listed.is_complete
    assert len(listed.members) == 1


@for_each(
    ("text", "lines"),
    [
        ("", []),
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\n\n", ["a", ""]),
        ("a\r\nb\rc\n", ["a", "b", "c"]),
        ("a\x0cb\x0bc\x1cd\x85e\u2028f\n", ["a\x0cb\x0bc\x1cd\x85e\u2028f"]),
    ],
)
def test_lines_are_those_that_an_editor_counts(text: str, lines: list[str]) -> None:
    assert lines_of(text) == lines


def test_a_form_feed_is_no_line_of_a_difference() -> None:
    assert difference("a\n\x0c\nb\n", "a\n\x0c\nc\n").splitlines()[0] == "@@ -1,3 +1,3 @@"
