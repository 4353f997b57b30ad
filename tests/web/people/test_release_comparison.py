"""Two releases compared: which distributions, which members, which requirements."""

from __future__ import annotations

import pytest

from simpleindex.archives.contents import Member
from simpleindex.core.files import File
from simpleindex.core.names import Kind
from simpleindex.web.people.project.release_comparison import (
    are_for_the_same,
    compare_fields,
    compare_members,
    compare_requirements,
    fields_of,
    is_metadata,
    pair_of,
    versionless_path,
)


def file(filename: str) -> File:
    kind = Kind.WHEEL if filename.endswith(".whl") else Kind.SDIST
    version = filename.split("-")[1].removesuffix(".tar.gz")
    return File(filename, version, kind, 1, None, None)


@pytest.mark.parametrize(
    ("names", "pair"),
    [
        (
            ["a-1.0-py3-none-any.whl", "a-1.0.tar.gz", "a-2.0-py3-none-any.whl", "a-2.0.tar.gz"],
            ("a-1.0-py3-none-any.whl", "a-2.0-py3-none-any.whl"),
        ),
        (["a-1.0-py3-none-any.whl", "a-1.0.tar.gz", "a-2.0.tar.gz"], ("a-1.0.tar.gz", "a-2.0.tar.gz")),
        (
            [
                "a-1.0-cp312-cp312-win_amd64.whl",
                "a-1.0.tar.gz",
                "a-2.0-cp312-cp312-win_amd64.whl",
                "a-2.0.tar.gz",
            ],
            ("a-1.0-cp312-cp312-win_amd64.whl", "a-2.0-cp312-cp312-win_amd64.whl"),
        ),
        (
            ["a-1.0-cp311-cp311-win_amd64.whl", "a-2.0-cp312-cp312-win_amd64.whl"],
            ("a-1.0-cp311-cp311-win_amd64.whl", "a-2.0-cp312-cp312-win_amd64.whl"),
        ),
        (["a-1.0-py3-none-any.whl", "a-2.0.tar.gz"], None),
        (["a-1.0.tar.gz"], None),
    ],
)
def test_two_files_of_one_kind(names: list[str], pair: tuple[str, str] | None) -> None:
    chosen = pair_of([file(name) for name in names], "1.0", "2.0")
    assert (chosen and tuple(each.filename for each in chosen)) == pair


@pytest.mark.parametrize(
    ("path", "filename", "plain"),
    [
        ("a-1.0/src/a.py", "a-1.0.tar.gz", "a-*/src/a.py"),
        ("a_b-1.0rc1/PKG-INFO", "a_b-1.0rc1.tar.gz", "a_b-*/PKG-INFO"),
        ("a-1.0.dist-info/METADATA", "a-1.0-py3-none-any.whl", "a-*.dist-info/METADATA"),
        ("a-1.0.data/scripts/x", "a-1.0-py3-none-any.whl", "a-*.data/scripts/x"),
        ("a/b-1.py", "a-1.0-py3-none-any.whl", "a/b-1.py"),
        ("a-b/x.py", "a-1.0-py3-none-any.whl", "a-b/x.py"),
        ("README", "a-1.0.tar.gz", "README"),
    ],
)
def test_paths_lose_their_version(path: str, filename: str, plain: str) -> None:
    assert versionless_path(path, file(filename)) == plain


def test_members_are_added_removed_and_changed() -> None:
    older = [Member("a-1.0/x", 1, "1"), Member("a-1.0/y", 1, "1"), Member("a-1.0/z", 1, "1")]
    newer = [Member("a-2.0/x", 1, "1"), Member("a-2.0/y", 1, "2"), Member("a-2.0/new", 1, "1")]
    compared = compare_members((file("a-1.0.tar.gz"), older), (file("a-2.0.tar.gz"), newer))
    assert (compared.added, compared.removed, compared.changed) == (("a-*/new",), ("a-*/z",), ("a-*/y",))
    assert compared.same == 1


def test_requirements_are_those_of_the_head() -> None:
    metadata = "Name: a\nRequires-Dist: b>=1\nrequires-dist: c; extra == 'x'\n\nRequires-Dist: not-this\n"
    assert fields_of(metadata)["requires-dist"] == ("b>=1", "c; extra == 'x'")
    assert compare_requirements(("b>=1", "c"), ("b>=2", "c")) == (("b>=2",), ("b>=1",))
    assert compare_requirements(("Jinja2 >=3.1", "(odd", "z"), ("jinja2>=3.1", "y", "(odd")) == (
        ("y",),
        ("z",),
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a-1.0.dist-info/METADATA", True),
        ("a-1.0/PKG-INFO", True),
        ("a-1.0/a.egg-info/PKG-INFO", False),
        ("METADATA", False),
    ],
)
def test_metadata_is_found(path: str, expected: bool) -> None:
    assert is_metadata(path) is expected


def test_fields_that_changed_without_those_that_have_a_place_of_their_own() -> None:
    before = fields_of(
        "Metadata-Version: 2.1\nName: A\nVersion: 1\nRequires-Python: >=3.8\nLicense: long\n  text\n"
        "Classifier: x\nClassifier: y\nRequires-Dist: a\n\nText\nFake: field\n"
    )
    after = fields_of(
        "Metadata-Version: 2.4\nName: a\nVersion: 2\nRequires-Python: >=3.9\nLicense-Expression: MIT\n"
        "Classifier: z\nClassifier: x\nPROJECT-URL: Docs, https://docs.example/\nDynamic: license-file\n\nOther text\n"
    )
    assert compare_fields(before, after) == (
        (
            "Classifier: z",
            "License-Expression: MIT",
            "Project-URL: Docs, https://docs.example/",
            "Requires-Python: >=3.9",
        ),
        ("Classifier: y", "License: long text", "Requires-Python: >=3.8"),
    )
    assert compare_fields(before, before) == ((), ())
    assert compare_fields({}, {"license": ("x" * 9_000,)})[0] == (f"License: {'x' * 500}",)


def test_fields_without_an_end_are_none() -> None:
    assert fields_of("A: b\n" * 900_000) == {}


def test_distributions_for_the_same_pythons_and_platforms() -> None:
    assert are_for_the_same(file("a-1.0-py3-none-any.whl"), file("a-2.0-py3-none-any.whl"))
    assert are_for_the_same(file("a-1.0.tar.gz"), file("a-2.0.tar.gz"))
    assert not are_for_the_same(file("a-1.0-cp311-cp311-win32.whl"), file("a-2.0-cp312-cp312-win32.whl"))
