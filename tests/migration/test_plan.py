"""The plan of an import."""

from __future__ import annotations

from simpleindex.access.identity import UploadRules
from simpleindex.core.files import file_order
from simpleindex.core.model import Project, Withheld
from simpleindex.migration.plan import FilesHere, plan_project
from tests.fixtures.imports import ACME, listed

RULES = UploadRules(normalized_names=False)


def planned(*names: str, here: FilesHere | None = None, rules: UploadRules = RULES) -> dict[str, list[str]]:
    """What becomes of files of these names."""
    project = Project(ACME, sorted([listed(name, b"12") for name in names], key=file_order))
    plan = plan_project(project, here or FilesHere(), rules)
    assert plan.size == 2 * len(plan.fetched)
    return {
        "fetched": [file.filename for file in plan.fetched],
        "present": [file.filename for file in plan.present],
        "refused": [f"{each.filename}: {each.reason}" for each in plan.refused],
    }


def test_each_file_is_fetched_or_present_or_refused() -> None:
    same = {"acme-1.0.tar.gz": True, "acme-2.0.tar.gz": False, "acme-3.0.tar.gz": None}
    here = FilesHere(same, {"acme-4.0.tar.gz": "it was deleted"})
    assert planned(*same, "acme-4.0.tar.gz", "acme-5.0.tar.gz", here=here) == {
        "fetched": ["acme-3.0.tar.gz", "acme-5.0.tar.gz"],
        "present": ["acme-1.0.tar.gz"],
        "refused": [
            "acme-2.0.tar.gz: another file of that name is here already, with other bytes",
            "acme-4.0.tar.gz: it was deleted",
        ],
    }


def test_one_distribution_under_two_names_comes_once() -> None:
    """An sdist in two formats is two, as old releases have them."""
    wheels = "acme-1.0-py3-none-any.whl", "acme-1.0.0-py3-none-any.whl"
    assert planned(*wheels, "acme-1.0.tar.gz", "acme-1.0.zip") == {
        "fetched": [wheels[0], "acme-1.0.tar.gz", "acme-1.0.zip"],
        "present": [],
        "refused": [f"{wheels[1]}: it is {wheels[0]} under another name"],
    } or planned(*wheels)["refused"] == [f"{wheels[0]}: it is {wheels[1]} under another name"]


def test_rules_of_the_access_file() -> None:
    rules = UploadRules(local_versions=False, max_file_size=1)
    assert planned("acme-1.0+cu1.tar.gz", "acme-2.0.tar.gz", rules=rules)["refused"] == [
        "acme-1.0+cu1.tar.gz: its version 1.0+cu1 has a local part, and the access file refuses these",
        "acme-2.0.tar.gz: it has 2 bytes or more, and max-file-size allows 1 bytes; set it in the access file",
    ]


def test_what_the_source_withholds_is_refused() -> None:
    project = Project(ACME, (), (Withheld("acme-1.0.egg", "acme-1.0.egg: an egg.", "format"),))
    (refused,) = plan_project(project, FilesHere(), RULES).refused
    assert (refused.project, refused.filename, refused.reason) == (
        "acme",
        "acme-1.0.egg",
        "an egg",
    )
