"""Trees as bandersnatch writes them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.migration.bandersnatch_tree import BandersnatchTree, is_bandersnatch_tree
from simpleindex.migration.errors import InvalidImportSource, NotImported
from simpleindex.migration.local_files import SourceDirectory
from simpleindex.migration.people import NOBODY
from tests.fixtures.distributions import put, wheel_bytes, wheel_name
from tests.fixtures.imports import ACME, content_of, sha256

if TYPE_CHECKING:
    from pathlib import Path

    from simpleindex.core.files import File

DATA = wheel_bytes()
PLACE = f"packages/03/a4/40/{wheel_name()}"


def page(*links: str) -> bytes:
    head = '<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.0"></head><body>'
    return f"{head}{''.join(links)}</body></html>".encode()


def link(place: str = PLACE, attributes: str = "", prefix: str = "../../") -> str:
    return f'<a href="{prefix}{place}#sha256={sha256(DATA)}"{attributes}>{place.rpartition("/")[2]}</a>'


def json_page(**more: Any) -> bytes:
    file = {"filename": wheel_name(), "url": f"../../{PLACE}", "hashes": {"sha256": sha256(DATA)}, **more}
    return json.dumps({"meta": {"api-version": "1.1"}, "name": "acme", "files": [file]}).encode()


def mirrored(root: Path, **pages: bytes) -> BandersnatchTree:
    """A tree with one wheel, and these pages of acme."""
    put(root / "web" / PLACE, DATA)
    for name, content in pages.items():
        put(root / "web" / "simple" / "acme" / name.replace("_", ".", 1), content)
    return BandersnatchTree(SourceDirectory(str(root)))


def only_file(tree: BandersnatchTree) -> File:
    (file,) = tree.project(ACME).files
    return file


def test_json_has_times_and_html_the_reasons_of_yanks(tmp_path: Path) -> None:
    tree = mirrored(
        tmp_path,
        index_html=page(link(attributes=' data-yanked="bad"')),
        index_v1_json=json_page(**{"size": len(DATA), "upload-time": "2020-01-02T03:04:05Z", "yanked": True}),
    )
    assert tree.projects() == ["acme"]
    file = only_file(tree)
    assert (file.yanked, file.uploaded_ns, file.size) == ("bad", 1_577_934_245_000_000_000, len(DATA))
    assert (file.sha256, file.url) == (sha256(DATA), None)
    assert content_of(tree, ACME, file) == DATA
    assert tree.sha256(ACME, file) == sha256(DATA)
    assert (tree.beside(ACME, file), tree.people()) == ({}, NOBODY)


def test_json_alone(tmp_path: Path) -> None:
    assert only_file(mirrored(tmp_path, index_v1_json=json_page(yanked=True))).yanked == ""


@pytest.mark.parametrize("prefix", ["../../", "https://mirror.example/root/", "/"])
def test_html_alone(tmp_path: Path, prefix: str) -> None:
    """Whatever bandersnatch's root_uri is."""
    file = only_file(mirrored(tmp_path, index_v1_html=page(link(prefix=prefix))))
    assert (file.yanked, file.size) == (None, len(DATA))


def test_a_hashed_index_and_the_web_directory_alone(tmp_path: Path) -> None:
    root = tmp_path / "web"
    put(root / PLACE, DATA)
    put(root / "simple" / "a" / "acme" / "index.html", page(link()))
    put(root / "simple" / "-" / "-" / "index.html", page())
    put(root / "simple" / "index.html", page())
    (root / "simple" / "z" / "empty" / "deeper").mkdir(parents=True)
    put(root / "simple" / "z" / "empty" / "deeper" / "index.html", page())
    assert is_bandersnatch_tree(str(root))
    assert is_bandersnatch_tree(str(tmp_path))
    assert not is_bandersnatch_tree(str(root / "simple"))
    tree = BandersnatchTree(SourceDirectory(str(root)))
    assert tree.projects() == ["acme"]
    assert content_of(tree, ACME, only_file(tree)) == DATA


@pytest.mark.parametrize(
    "place",
    [
        "packages/00/missing-1.0.tar.gz",
        "packages/../../../secret/acme-9.0.tar.gz",
        "packages/%2e%2e/%2e%2e/%2e%2e/secret/acme-9.0.tar.gz",
        "elsewhere/acme-9.0.tar.gz",
    ],
)
def test_links_that_lead_to_nothing_or_out(tmp_path: Path, place: str) -> None:
    put(tmp_path / "secret" / "acme-9.0.tar.gz", b"secret")
    tree = mirrored(tmp_path / "mirror", index_html=page(link(place.replace("missing", "acme"))))
    project = tree.project(ACME)
    assert project.files == ()
    assert [item.filename.startswith("acme-") for item in project.withheld] == [True]


def test_pages_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotImported, match=r"is that of 'other', not of acme"):
        mirrored(tmp_path, index_v1_json=json_page().replace(b'"acme"', b'"other"')).project(ACME)
    tree = mirrored(tmp_path, index_html=page())
    for file in (tmp_path / "web" / "simple" / "acme").iterdir():
        file.unlink()
    with pytest.raises(NotImported, match="its page cannot be read"):
        tree.project(ACME)

    def scandir(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    directory = SourceDirectory(str(tmp_path))
    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(InvalidImportSource, match="simple cannot be read: Permission denied"):
        BandersnatchTree(directory)
