"""Exports of devpi servers, whole and hostile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.migration.devpi_export import DevpiExport
from simpleindex.migration.errors import InvalidImportSource, NotImported
from simpleindex.migration.local_files import SourceDirectory
from tests.fixtures.distributions import put, wheel_bytes, wheel_name
from tests.fixtures.imports import ACME, content_of, sha256

if TYPE_CHECKING:
    from pathlib import Path

DATA = wheel_bytes()
PATH = f"alice/dev/acme/1.0/{wheel_name()}"
LOG = [{"what": "upload", "when": [2020, 1, 2, 3, 4, 5], "who": "alice"}]


def entry(path: str = PATH, **more: Any) -> dict[str, Any]:
    return {
        "type": "releasefile",
        "projectname": "acme",
        "version": "1.0",
        "relpath": path,
        "entrymapping": {"hash_spec": f"sha256={sha256(DATA)}"},
        "log": LOG,
        **more,
    }


def export(root: Path, *files: Any, index: str | None = None, **more: Any) -> DevpiExport:
    """An export with these files in alice/dev."""
    put(root / PATH, DATA)
    projects = {"acme": {"1.0": {"name": "acme", "yanked": "bad"}}}
    data = {
        "dumpversion": "2",
        "users": {"alice": {"pwhash": "$argon2id$x"}, "bob": {"pwhash": 7}, "carol": None},
        "indexes": {
            "alice/dev": {
                "indexconfig": {"type": "stage", "acl_upload": ["alice"]},
                "projects": projects,
                "files": [*files],
            },
            "root/pypi": {"indexconfig": {"type": "mirror"}},
        },
        **more,
    }
    put(root / "dataindex.json", json.dumps(data).encode())
    return DevpiExport(SourceDirectory(str(root)), index)


def test_an_export(tmp_path: Path) -> None:
    source = export(tmp_path, entry())
    assert source.label == f"{tmp_path} (alice/dev)"
    assert source.projects() == ["acme"]
    (file,) = source.project(ACME).files
    assert (file.sha256, file.size, file.yanked) == (sha256(DATA), len(DATA), "bad")
    assert file.uploaded_ns == 1_577_934_245_000_000_000
    assert content_of(source, ACME, file) == DATA
    assert source.sha256(ACME, file) == sha256(DATA)
    assert source.beside(ACME, file) == {}
    people = source.people()
    assert [(user.name, user.hash) for user in people.users] == [("alice", "$argon2id$x"), ("bob", "")]
    assert people.rules[0].who["upload"] == ("alice",)


def test_what_is_no_release_is_left_out(tmp_path: Path) -> None:
    """Documentation and test results; and what a damaged file may have."""
    source = export(
        tmp_path,
        entry(),
        entry("alice/dev/acme-1.0.doc.zip", type="doczip"),
        entry(7),  # type: ignore[arg-type]
        entry(projectname="-"),
        entry(projectname=None),
        entry("alice/dev/acme/2.0/acme.whl"),
        entry("alice/dev/acme/3.0/acme-3.0.tar.gz", entrymapping=None, log=None),
        "nonsense",
    )
    assert source.projects() == ["acme"]
    project = source.project(ACME)
    assert [file.filename for file in project.files] == [wheel_name(), "acme-3.0.tar.gz"]
    assert [item.filename for item in project.withheld] == ["acme.whl"]
    with pytest.raises(NotImported, match="No such file"):
        source.open(ACME, project.files[1])
    assert source.people().notes[-1] == (
        "Documentation and test results are not imported; the export has 1 of them."
    )


def test_no_path_leads_out(tmp_path: Path) -> None:
    put(tmp_path / "secret" / "acme-9.0.tar.gz", b"secret")
    source = export(tmp_path / "export", entry("../secret/acme-9.0.tar.gz"), entry("/etc/acme-8.0.tar.gz"))
    for file in source.project(ACME).files:
        with pytest.raises(NotImported, match="leads out"):
            source.open(ACME, file)


def test_which_index(tmp_path: Path) -> None:
    config: dict[str, Any] = {"files": [entry()], "indexconfig": None}
    indexes = {"alice/dev": config, "alice/prod": config, "bob/dev": {"files": []}}
    with pytest.raises(InvalidImportSource, match="choose one with --index: alice/dev, alice/prod"):
        export(tmp_path, indexes=indexes)
    chosen = export(tmp_path, indexes=indexes, index="alice/prod")
    assert chosen.projects() == ["acme"]
    assert chosen.people().rules[0].who["upload"] == ()
    with pytest.raises(InvalidImportSource, match="did you mean 'alice/dev'"):
        export(tmp_path, indexes=indexes, index="alice/de")
    with pytest.raises(InvalidImportSource, match="has no index with files"):
        export(tmp_path, indexes={"bob/dev": {"files": []}})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{", "is no JSON that can be read"),
        (b"\xff", "is no JSON that can be read"),
        (b"[]", "is not in the format"),
        (b'{"dumpversion": "9"}', "is not in the format"),
        (None, "No such file"),
    ],
)
def test_what_is_no_export(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    if content is not None:
        put(tmp_path / "dataindex.json", content)
    with pytest.raises(InvalidImportSource, match=sentence):
        DevpiExport(SourceDirectory(str(tmp_path)), None)
