"""Manifests: written, read, and refused where they lead out of their parts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from simpleindex.backup.manifest import (
    BackupItem,
    BackupPart,
    InvalidManifest,
    ItemKind,
    ItemOwner,
    Manifest,
    PackagesMode,
    is_absolute,
    manifest_json,
    parse_manifest,
)
from tests.fixtures.tables import for_each

OWNER = ItemOwner(0, 0, "root", "root")


def item(path: str, kind: ItemKind = ItemKind.FILE, part: str = "state", **further: Any) -> BackupItem:
    """Return an item with a size and a digest."""
    if kind is ItemKind.FILE:
        further = {"size": 3, "sha256": "ab" * 32, **further}
    return BackupItem(part, path, kind, 0o600, 5, OWNER, **further)


TOP = item("", ItemKind.DIRECTORY)


def manifest(
    *items: BackupItem, parts: tuple[BackupPart, ...] = (BackupPart("state", "/var/lib/s"),)
) -> Manifest:
    return Manifest(
        "simpleindex 1",
        "2026-11-29T05:00:00+00:00",
        "host",
        PackagesMode.LINK,
        {"path": ("/srv",)},
        parts,
        items,
    )


def test_written_and_read() -> None:
    """Also a name that is no UTF-8."""
    made = manifest(
        TOP,
        item("a", ItemKind.DIRECTORY),
        item("a/b\udc80\n"),
        item("link", ItemKind.LINK, target="../x"),
        item("key.toml", part="config"),
        parts=(
            BackupPart("state", "/var/lib/s"),
            BackupPart("config", "/etc/key.toml", is_file=True),
            BackupPart("packages", "/srv", is_stored=False),
        ),
    )
    text = manifest_json(made)
    assert parse_manifest(text) == made
    assert text.isascii()
    assert made.part("state") == BackupPart("state", "/var/lib/s")
    assert made.part("nothing") is None
    assert [each.path for each in made.stored_files()] == ["a/b\udc80\n", "key.toml"]
    assert not list(made.referenced_files())


@for_each(
    "bad",
    [
        (item("a"),),  # in no directory
        (TOP, item("../a")),
        (TOP, item("..", ItemKind.DIRECTORY)),
        (TOP, item("/etc/passwd")),
        (TOP, item("a//b")),
        (TOP, item("./a")),
        (TOP, item("a/b")),
        (TOP, item("a"), item("a/b")),
        (TOP, item("a", ItemKind.LINK, target="/etc"), item("a/passwd")),
        (TOP, item("a"), item("a")),
        (TOP, TOP),
        (item(""),),
        (TOP, item("a", part="other")),
        (TOP, item("a", sha256="x")),
        (TOP, item("a", size=-1)),
    ],
)
def test_items_that_lead_out(bad: tuple[BackupItem, ...]) -> None:
    """By ``..``, by an absolute path, through a link or a file; and items that are there twice."""
    with pytest.raises(InvalidManifest):
        parse_manifest(manifest_json(manifest(*bad)))


@pytest.mark.parametrize(
    "part",
    [
        BackupPart("State", "/var"),
        BackupPart("..", "/var"),
        BackupPart("a/b", "/var"),
        BackupPart("state", "var"),
        BackupPart("state", "/var/../etc"),
        BackupPart("state", "/var/"),
    ],
)
def test_parts_that_lead_out(part: BackupPart) -> None:
    with pytest.raises(InvalidManifest):
        parse_manifest(manifest_json(manifest(parts=(part,))))


def test_a_part_that_is_a_file_has_its_name_alone() -> None:
    part = BackupPart("config", "/etc/a.toml", is_file=True)
    good = manifest(item("a.toml", part="config"), parts=(part,))
    assert parse_manifest(manifest_json(good)) == good
    for wrong in (item("b.toml", part="config"), item("a.toml", ItemKind.DIRECTORY, part="config")):
        with pytest.raises(InvalidManifest):
            parse_manifest(manifest_json(replace(good, items=(wrong,))))
    with pytest.raises(InvalidManifest, match="not unique"):
        parse_manifest(manifest_json(replace(good, parts=(part, part))))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2}, "newer version"),
        ({"format": None}, "no manifest"),
        ({"packages": "tape"}, "cannot be understood"),
        ({"program": 5}, "cannot be understood"),
        ({"host": "a\0"}, "cannot be understood"),
        ({"items": [{}]}, "cannot be understood"),
        ({"items": 5}, "cannot be understood"),
    ],
)
def test_other_values(change: dict[str, Any], reason: str) -> None:
    table = {**json.loads(manifest_json(manifest())), **change}
    with pytest.raises(InvalidManifest, match=reason):
        parse_manifest(json.dumps(table))


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_what_is_no_manifest(text: str) -> None:
    with pytest.raises(InvalidManifest):
        parse_manifest(text)


def test_absolute_paths() -> None:
    assert is_absolute("/a/b")
    assert not any(map(is_absolute, ("", "a", "/", "/a/", "//a", "/a/..", "/a/./b")))
