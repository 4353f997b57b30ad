"""Directories of packages as pypiserver and pypicloud keep them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.names import ProjectName
from simpleindex.migration.errors import InvalidImportSource, NotImported
from simpleindex.migration.local_files import SourceDirectory
from simpleindex.migration.package_tree import PackageTree
from simpleindex.migration.people import NOBODY
from tests.fixtures.distributions import put, sdist_bytes, wheel_bytes, wheel_name
from tests.fixtures.imports import ACME, sha256

if TYPE_CHECKING:
    from pathlib import Path


def tree(path: Path) -> PackageTree:
    return PackageTree(SourceDirectory(str(path)), "old")


def listed(tree: PackageTree) -> dict[str, list[str]]:
    return {name: [file.filename for file in tree.project(name).files] for name in tree.projects()}


def test_files_at_any_depth_are_of_the_projects_that_they_name(tmp_path: Path) -> None:
    """A directory decides where the name of an old sdist is split."""
    put(tmp_path / wheel_name(), wheel_bytes())
    put(tmp_path / "6ae2" / "other" / wheel_name("other"), wheel_bytes("other"))
    put(tmp_path / "old-1" / "old-1-2.tar.gz", b"")
    put(tmp_path / ".git" / "acme-3.0.tar.gz", b"")
    put(tmp_path / "acme" / "1.0" / "acme-1.0.tar.gz.meta", b"{}")
    put(tmp_path / "readme.txt", b"")
    (tmp_path / "acme-4.0.tar.gz").mkdir()
    os.symlink("/nonexistent", tmp_path / "acme-5.0.tar.gz")
    os.mkfifo(tmp_path / "acme-6.0.tar.gz")
    found = tree(tmp_path)
    assert listed(found) == {
        "acme": [wheel_name()],
        "old-1": ["old-1-2.tar.gz"],
        "other": [wheel_name("other")],
    }
    file = found.project(ACME).files[0]
    assert (file.size, file.sha256) == (len(wheel_bytes()), None)
    assert found.sha256(ACME, file) == sha256(wheel_bytes())
    assert found.people() == NOBODY


def test_names_that_are_none_and_second_files_of_a_name_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "a" / "acme-1.0.tar.gz", b"1")
    put(tmp_path / "b" / "acme-1.0.tar.gz", b"2")
    put(tmp_path / "_" / "acme.whl", b"")
    put(tmp_path / "stuff" / "nothing.zip", b"")
    found = tree(tmp_path)
    withheld = {
        item.filename: item.reason for name in found.projects() for item in found.project(name).withheld
    }
    assert withheld["b/acme-1.0.tar.gz"] == "a/acme-1.0.tar.gz has the same name and comes first"
    assert set(withheld) == {"b/acme-1.0.tar.gz", "_/acme.whl", "stuff/nothing.zip"}
    assert found.projects() == ["acme", "stuff", "unnamed"]


@pytest.mark.parametrize(
    ("note", "stated"),
    [
        (b'{"hash_sha256": "%s"}' % (b"ab" * 32), "ab" * 32),
        (b'{"hash_sha256": "AB"}', None),
        (b'{"hash_sha256": 7}', None),
        (b"[]", None),
        (b"\xff", None),
        (None, None),
    ],
)
def test_digests_that_pypicloud_has_noted(tmp_path: Path, note: bytes | None, stated: str | None) -> None:
    path = put(tmp_path / "acme" / "1.0" / "acme-1.0.tar.gz", b"")
    if note is not None:
        put(path.with_name(f"{path.name}.meta"), note)
    (file,) = tree(tmp_path).project(ACME).files
    assert file.sha256 == stated


def test_reading(tmp_path: Path) -> None:
    path = put(tmp_path / "acme-1.0.tar.gz", sdist_bytes())
    put(tmp_path / "acme-1.0.tar.gz.asc", b"signed")
    put(tmp_path / "acme-1.0.tar.gz.provenance", b"x" * 2_000_000)
    os.utime(path, ns=(5, 5))
    found = tree(tmp_path)
    (file,) = found.project(ACME).files
    content = found.open(ACME, file)
    assert (content.modified_ns, content.read(), content.read()) == (5, sdist_bytes(), b"")
    content.close()
    assert found.beside(ACME, file) == {".asc": b"signed"}
    path.unlink()
    with pytest.raises(NotImported, match="No such file"):
        found.open(ACME, file)


def test_no_path_leads_out(tmp_path: Path) -> None:
    secret = put(tmp_path / "secret" / "acme-9.0.tar.gz", b"secret")
    (tmp_path / "root").mkdir()
    os.symlink(secret, tmp_path / "root" / "acme-9.0.tar.gz")
    os.mkfifo(tmp_path / "root" / "pipe")
    directory = SourceDirectory(str(tmp_path / "root"))
    for path in ("acme-9.0.tar.gz", "../secret/acme-9.0.tar.gz", str(secret)):
        with pytest.raises(NotImported, match="leads out"):
            directory.open(path)
    with pytest.raises(NotImported, match="no regular file"):
        directory.open("pipe")
    with pytest.raises(NotImported, match="not valid"):
        directory.open("a\0b")
    put(tmp_path / "root" / "small", b"12345")
    assert directory.size("small") == 5
    with pytest.raises(NotImported, match="larger than 4 bytes"):
        directory.text("small", 4)


def test_directories_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidImportSource, match="No such file"):
        tree(tmp_path / "nothing")
    (tmp_path / "below").mkdir()
    real = os.scandir

    def scandir(path: str) -> object:
        if str(path).endswith("below"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(InvalidImportSource, match="below cannot be read: Permission denied"):
        tree(tmp_path)


def test_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "acme-1.0.tar.gz", b"123")
    found = tree(tmp_path)
    (file,) = found.project(ACME).files
    content = found.open(ACME, file)

    class Failing:
        def read(self, _: int) -> bytes:
            raise OSError(5, "Input/output error")

        def close(self) -> None:
            """Nothing."""

    real = content._file
    content._file = Failing()  # type: ignore[assignment]
    with pytest.raises(NotImported, match="Input/output error"):
        content.read()
    real.close()

    def failing(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("simpleindex.migration.local_files.hashlib.file_digest", failing)
    with pytest.raises(NotImported, match="Input/output error"):
        found.sha256(ACME, file)
    assert found.project(ProjectName("nothing")).files == ()
