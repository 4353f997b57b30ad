"""The versions of a project as its page lists them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simpleindex.core.model import Project, Withheld
from simpleindex.core.names import DistributionName, ProjectName, parse_distribution_name
from simpleindex.web.people.project import releases
from simpleindex.web.people.project.releases import Release, Releases
from tests.fixtures.stub_source import StubSource

NAME = ProjectName("many")


def project(number: int) -> Project:
    """A project with a file in each of that many versions, from 0.0 on."""
    source = StubSource()
    for each in range(number):
        source.add(f"many-{each}.0.tar.gz", b"%d" % each)
    return source.pages[NAME]


def versions(rows: tuple[Release, ...]) -> list[str]:
    return [each.version for each in rows]


def test_the_page_of_a_project_lists_all_versions() -> None:
    found = Releases(project(300))
    newest, older, around = found.batches
    assert versions((*newest, *older)) == [f"{each}.0" for each in reversed(range(300))]
    assert not around
    assert found.unlisted == 0
    assert versions(found.choices) == [f"{each}.0" for each in reversed(range(100, 300))]


@pytest.mark.parametrize(
    ("version", "around"),
    [
        ("50.0", range(40, 61)),
        ("5.0", range(16)),
        ("0.0", range(11)),
        ("95.0", range(85, 100)),
        ("99.0", range(89, 100)),
        *(("100.0", range(0)), ("299.0", range(0)), ("", range(0)), ("7.7", range(0))),
    ],
)
def test_the_page_of_a_version_lists_the_newest_and_those_around_it(version: str, around: range) -> None:
    found = Releases(project(300), version)
    newest, older, beside = found.batches
    assert versions((*newest, *older)) == [f"{each}.0" for each in reversed(range(100, 300))]
    assert versions(beside) == [f"{each}.0" for each in reversed(around)]
    assert found.unlisted == 100 - len(around)
    assert versions(found.choices) == versions((*newest, *older, *beside)), "each once"


def test_only_releases_that_are_shown_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def release(_project: Project, version: str, *_: object) -> Release:
        made.append(version)
        return Release(version)

    monkeypatch.setattr(releases, "_release", release)
    found = Releases(project(1000), "5.0")
    assert found.named("5.0") == Release("5.0")
    assert found.named("5.5") is None
    assert found.batches
    assert found.choices
    assert len(made) == len(set(made)) == 200 + 16


def test_of_a_release_with_many_wheels_that_is_not_offered_one_name_is_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed: list[str] = []

    def parse(filename: str, project: ProjectName | None = None) -> DistributionName:
        parsed.append(filename)
        return parse_distribution_name(filename, project)

    monkeypatch.setattr(releases, "parse_distribution_name", parse)
    names = [
        *(f"many-{version}-cp3{minor}-abi3-any.whl" for version in ("2.0", "2.5") for minor in range(50)),
        *("many-2.5-1-py3-none-any.whl", "many-2.5.tar.gz", "many-2.5.whl", "other-2.5-py3-none-any.whl"),
    ]
    withheld = tuple(Withheld(name, f"{name} is old.", "age", public=True) for name in names)
    found = Releases(replace(project(3), withheld=withheld))
    assert found.versions == ("0.0", "1.0", "2.0", "2.5")
    assert [each.filename for each in found.others] == ["many-2.5.whl", "other-2.5-py3-none-any.whl"]
    release = found.named("2.5")
    assert release is not None
    assert (release.files, release.withheld) == (0, 52)
    assert len(parsed) == 5
