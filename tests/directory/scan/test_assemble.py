"""What a project offers, decided from what was found of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from simpleindex.core.files import File
from simpleindex.core.model import Project, Status, Withheld
from simpleindex.core.names import Kind, ProjectName
from simpleindex.directory.project_file import NO_PROJECT_FILE, ProjectFile
from simpleindex.directory.scan.assemble import FileInPlace, assemble_project

ACME = ProjectName("acme")


def file(version: str = "1.0", sha256: str = "aa", suffix: str = ".zip") -> File:
    """A file as it would be listed."""
    return File(f"acme-{version}{suffix}", version, Kind.SDIST, 1, sha256, 0)


def found(outcome: File | Withheld, directory: str = "acme", rank: int = 0) -> FileInPlace:
    """It lies in some directory."""
    return FileInPlace(f"{directory}/{outcome.filename}", rank, outcome)


BROKEN = Withheld("acme-1.0.zip", "It is broken.", "archive")


def test_files_are_sorted_by_version() -> None:
    """PEP 440 decides, not the alphabet; the answer carries where the bytes come from."""
    project, places = assemble_project(
        ACME, [found(file(version)) for version in ("1.10", "1.9", "1.9rc1")], NO_PROJECT_FILE
    )
    assert project.versions == ("1.9rc1", "1.9", "1.10")
    assert places == {f"acme-{version}.zip": f"acme/acme-{version}.zip" for version in project.versions}


def test_the_same_bytes_in_two_places_are_one_file() -> None:
    """Served from the better place, and nothing is said of the other."""
    project, places = assemble_project(ACME, [found(file(), "Acme", 1), found(file())], NO_PROJECT_FILE)
    assert project.files == (file(),)
    assert project.withheld == ()
    assert places == {"acme-1.0.zip": "acme/acme-1.0.zip"}


def test_other_bytes_in_a_worse_place_are_withheld() -> None:
    """The normalized directory's file wins, and the sentence names both."""
    project, _ = assemble_project(
        ACME,
        [found(file(sha256="bb"), "Acme", 1), found(file()), found(file(sha256="bb"), "ACME", 2)],
        NO_PROJECT_FILE,
    )
    assert project.files == (file(),)
    assert [(item.filename, item.rule) for item in project.withheld] == [("acme-1.0.zip", "duplicate")] * 2
    assert {item.reason.split()[0] for item in project.withheld} == {"Acme/acme-1.0.zip", "ACME/acme-1.0.zip"}
    assert all("acme/acme-1.0.zip" in item.reason for item in project.withheld)


def _wheel(name: str, sha256: str) -> File:
    return File(f"{name}-any.whl", str(Version(name.split("-")[1])), Kind.WHEEL, 1, sha256, 0)


@pytest.mark.parametrize(
    ("names", "served"),
    [
        # The normalized name before others, then the first by name.
        (["acme-1.0-py3-none", "Acme-1.0-py3-none"], ["acme-1.0-py3-none"]),
        (["acme-01.0-py3-none", "acme-1.0.0-py3-none"], ["acme-1.0.0-py3-none"]),
        (["acme-1.0.0-py3-none", "acme-1.0-py3-none", "ACME-1-py3-none"], ["acme-1.0-py3-none"]),
        (["acme-1.0-py3.py2-none", "acme-1.0-py2.py3-none"], ["acme-1.0-py2.py3-none"]),
        (["acme-1.0-01-py3-none", "acme-1.0-1-py3-none"], ["acme-1.0-01-py3-none"]),
        # Not the same: another build, other tags, another version.
        (["acme-1.0-py3-none", "acme-1.0-1-py3-none"], ["acme-1.0-1-py3-none", "acme-1.0-py3-none"]),
        (["acme-1.0-py3-none", "acme-1.0-py2-none"], ["acme-1.0-py2-none", "acme-1.0-py3-none"]),
        (["acme-1.0-py3-none", "acme-1.0.1-py3-none"], ["acme-1.0-py3-none", "acme-1.0.1-py3-none"]),
    ],
)
def test_of_two_names_of_a_wheel_one_is_served(names: list[str], served: list[str]) -> None:
    """Installers differ in which they take, so there is no choice; the sentence names both."""
    items = [found(_wheel(name, f"{number:02}")) for number, name in enumerate(names)]
    project, places = assemble_project(ACME, items, NO_PROJECT_FILE)
    assert [file.filename for file in project.files] == [f"{name}-any.whl" for name in served]
    assert set(places) == {f"{name}-any.whl" for name in served}
    assert {item.filename for item in project.withheld} == {
        f"{name}-any.whl" for name in {*names} - {*served}
    }
    for item in project.withheld:
        assert item.rule == "duplicate"
        assert item.reason.startswith(f"acme/{item.filename} is the same distribution as acme/{served[0]}")


def test_the_better_place_decides_between_two_names() -> None:
    """As it does between two files of one name."""
    items = [found(_wheel("Acme-1.0-py3-none", "01")), found(_wheel("acme-1.0-py3-none", "02"), "ACME", 1)]
    project, _ = assemble_project(ACME, items, NO_PROJECT_FILE)
    assert [file.filename for file in project.files] == ["Acme-1.0-py3-none-any.whl"]


def test_the_same_bytes_under_two_names_stay() -> None:
    """Nothing is ambiguous then, and somebody's lock file may have either."""
    items = [found(_wheel(name, "00")) for name in ("acme-1.0-py3-none", "Acme-1.0.0-py3-none")]
    project, _ = assemble_project(ACME, items, NO_PROJECT_FILE)
    assert (len(project.files), project.withheld) == (2, ())


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [
        ("Acme-1.0.tar.gz", "acme-1.0.zip", 2),
        ("acme-1.0.tgz", "acme-1.0.tar.gz", 2),
        ("Acme-1.0.tar.gz", "acme-1.0.tar.gz", 1),
        ("acme-1.0.zip", "acme-1.0.0.zip", 1),
    ],
)
def test_sdists_in_two_formats_stay(one: str, other: str, count: int) -> None:
    """Old releases have them; two in one format cannot be told apart."""
    files = [
        File(name, name[5:].rstrip(".abgiprtz"), Kind.SDIST, 1, f"{number:02}", 0)
        for number, name in enumerate((one, other))
    ]
    project, _ = assemble_project(ACME, map(found, files), NO_PROJECT_FILE)
    assert (len(project.files), len(project.withheld)) == (count, 2 - count)


def test_a_broken_file_does_not_hide_a_whole_one() -> None:
    """Where the better place's file is broken, the worse place's is offered, and the broken one reported."""
    project, places = assemble_project(ACME, [found(BROKEN), found(file(), "Acme", 1)], NO_PROJECT_FILE)
    assert project.files == (file(),)
    assert project.withheld == (BROKEN,)
    assert places == {"acme-1.0.zip": "Acme/acme-1.0.zip"}


def test_a_yanked_file_stays_offered_and_says_so() -> None:
    """PEP 592, by version or by file, with a reason or without."""
    says = ProjectFile(yanked={"1": "bad", "acme-2.0.tgz": ""})
    items = [found(file()), found(file("2.0")), found(file("2.0", suffix=".tgz"))]
    project, _ = assemble_project(ACME, items, says)
    assert [item.yanked for item in project.files] == ["bad", "", None]


def test_a_quarantined_project_offers_nothing() -> None:
    """PEP 792: its files are withheld, each by name, beside what was withheld anyway."""
    says = ProjectFile(Status.QUARANTINED, "malware")
    project, places = assemble_project(
        ACME, [found(file()), found(file("2.0")), found(BROKEN, "Acme", 1)], says
    )
    assert (project.status, project.status_reason) == (Status.QUARANTINED, "malware")
    assert project.files == ()
    assert places == {}
    assert [(item.filename, item.rule) for item in project.withheld] == [
        ("acme-1.0.zip", "archive"),
        ("acme-1.0.zip", "status"),
        ("acme-2.0.zip", "status"),
    ]


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.ARCHIVED, Status.DEPRECATED])
def test_every_other_status_leaves_the_files(status: Status) -> None:
    """A marker, and nothing else."""
    project, _ = assemble_project(ACME, [found(file())], ProjectFile(status))
    assert (project.status, project.files) == (status, (file(),))


def test_nothing_found_is_a_project_without_files() -> None:
    """Whether there is such a project is decided by the caller, who looked."""
    assert assemble_project(ACME, [], NO_PROJECT_FILE) == (Project(ACME), {})


_OUTCOMES: st.SearchStrategy[File | Withheld] = st.one_of(
    st.builds(file, st.sampled_from(("1.0", "1.0.0", "2.0")), st.sampled_from(("aa", "bb"))),
    st.builds(
        Withheld, st.sampled_from(("acme-1.0.zip", "x.whl")), st.text("ab", max_size=2), st.just("archive")
    ),
)


@given(
    st.lists(st.tuples(st.integers(0, 3), _OUTCOMES), max_size=8).flatmap(
        lambda those: st.tuples(
            *[st.permutations([FileInPlace(f"p{i}", r, o) for i, (r, o) in enumerate(those)])] * 2
        )
    ),
    st.sampled_from((NO_PROJECT_FILE, ProjectFile(Status.QUARANTINED), ProjectFile(yanked={"1": "bad"}))),
)
def test_the_order_of_input_does_not_matter(
    orders: tuple[list[FileInPlace], list[FileInPlace]], says: ProjectFile
) -> None:
    """A page depends on what lies there, not on how a directory happens to be listed; and no file is lost."""
    project, places = assemble_project(ACME, orders[0], says)
    assert (project, places) == assemble_project(ACME, orders[1], says)
    offered, withheld = (
        {item.filename for item in project.files},
        {item.filename for item in project.withheld},
    )
    assert offered | withheld == {item.outcome.filename for item in orders[0]}
    assert set(places) == offered
