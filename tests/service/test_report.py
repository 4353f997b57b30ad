"""What an operator reads: pure text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from simpleindex import __version__
from simpleindex.core.text import human_size
from simpleindex.service.directory_report import catalogue_lines, install_lines, live_report, meant_root
from simpleindex.web.status.status import StatusReport
from tests.fixtures.distributions import add_sdist, add_wheel, put, wheel_name
from tests.fixtures.live_directory import LiveDirectoryFixture

if TYPE_CHECKING:
    from pathlib import Path

REPORT = StatusReport(
    ready=True,
    suspended=None,
    projects=1200,
    files=1,
    size=3 << 20,
    withheld=(),
    watch="inotify",
    version=__version__,
)


def withheld(count: int) -> tuple[tuple[str, str, str, str], ...]:
    """So many withheld files."""
    return tuple(("acme", f"{number}.zip", "name", f"Reason {number}.") for number in range(count))


@pytest.mark.parametrize(
    ("projects", "files", "line"),
    [
        (1, 1, "1 project, 1 file, 3.0 MiB."),
        (1200, 34567, "1,200 projects, 34,567 files, 3.0 MiB."),
        (2, 0, "2 projects, 0 files, 3.0 MiB."),
    ],
)
def test_counts(projects: int, files: int, line: str) -> None:
    """One thing is singular, thousands have separators."""
    assert list(catalogue_lines(replace(REPORT, projects=projects, files=files), "/srv")) == [line]


@pytest.mark.parametrize("count", [1, 50])
def test_withheld_files_are_named(count: int) -> None:
    """Each with its reason, in a line of its own."""
    _, *lines = catalogue_lines(replace(REPORT, withheld=withheld(count)), "/srv")
    assert lines == [f"Withheld: Reason {number}." for number in range(count)]


def test_thousands_of_withheld_files_are_counted() -> None:
    """Beyond fifty they would bury the rest."""
    _, *lines = catalogue_lines(replace(REPORT, withheld=withheld(1051)), "/srv")
    assert lines[49:] == [
        "Withheld: Reason 49.",
        "Withheld: 1001 more; /-/status names all of them on this machine.",
    ]


@pytest.mark.parametrize(
    ("present", "meant"),
    [(("packages", "simple"), "simple"), (("packages",), "packages"), (("other",), None)],
)
def test_a_root_above_the_one_meant(tmp_path: Path, present: tuple[str, ...], meant: str | None) -> None:
    """Without projects, the customary directory below is asked after; without one, the layout is told."""
    for name in present:
        (tmp_path / name).mkdir()
    (tmp_path / "simple.txt").touch()
    *_, line = catalogue_lines(replace(REPORT, projects=0), str(tmp_path))
    if meant is None:
        assert line == f"No projects yet: put files at {tmp_path}/<project>/<file>."
        assert meant_root(str(tmp_path)) is None
    else:
        assert line == f"{tmp_path} holds no projects; did you mean --path {tmp_path / meant}?"


def test_a_file_of_that_name_is_not_meant(tmp_path: Path) -> None:
    """Only a directory can be served."""
    (tmp_path / "simple").touch()
    assert meant_root(str(tmp_path)) is None


def test_how_to_install_with_a_known_certificate() -> None:
    """One line is enough where clients trust the certificate already."""
    assert list(install_lines("https://a.example.com/", None, None)) == [
        "Install with: pip install --index-url https://a.example.com/simple/ PACKAGE"
    ]


def test_pip_passes_over_another_machine_without_tls() -> None:
    """It finds nothing there unless it is told to trust it."""
    assert list(install_lines("http://box:8080/", None, None)) == [
        "Install with: pip install --trusted-host box:8080 --index-url http://box:8080/simple/ PACKAGE"
    ]


def test_how_to_install_with_our_own_certificate() -> None:
    """The line for this machine names the file; the others say where to get it and how to check it."""
    here, whose, elsewhere = install_lines("https://box:8443/", "/state/ca/cert.pem", "AB:CD")
    assert here == (
        "Install with: pip install --cert /state/ca/cert.pem --index-url https://box:8443/simple/ PACKAGE"
    )
    assert whose.endswith("SHA-256 fingerprint AB:CD.")
    assert "https://box:8443/-/ca.pem" in elsewhere
    assert "SSL_CERT_FILE=FILE" in elsewhere


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (5 << 20, "5.0 MiB"),
        (1_500_000_000, "1.4 GiB"),
        (3 << 40, "3.0 TiB"),
        (5 << 50, "5120.0 TiB"),
    ],
)
def test_human_size(size: int, text: str) -> None:
    """The largest unit with something before the point; there is none above TiB."""
    assert human_size(size) == text


def test_the_state_of_a_live_directory(tmp_path: Path) -> None:
    """Offered files are counted, withheld ones and strays are named, before and after the first reading."""
    root = tmp_path / "root"
    world = LiveDirectoryFixture(root)
    before = live_report(world.live, "inotify")
    assert (before.ready, before.projects, before.files, before.size) == (False, 0, 0, 0)
    wheel, sdist = add_wheel(root), add_sdist(root)
    put(root / "acme" / wheel_name("acme", "2.0"), b"no archive")
    put(root / "stray.whl", b"")
    report = live_report(world.begin().live, "inotify")
    assert report.ready
    assert report.suspended is None
    assert (report.projects, report.files) == (1, 2)
    assert report.size == wheel.stat().st_size + sdist.stat().st_size
    assert [item[:2] for item in report.withheld] == [("", "stray.whl"), ("acme", wheel_name("acme", "2.0"))]
    assert (report.watch, report.version) == ("inotify", __version__)


def test_a_lost_watch_is_told(tmp_path: Path) -> None:
    """Whatever was chosen at the start, what is done now counts."""
    world = LiveDirectoryFixture(tmp_path).begin()
    world.live.watch_failed("The limit is reached.")
    assert live_report(world.live, "inotify").watch == "poll"
