"""``simpleindex copy``: between local directories, and from the cache of an upstream."""

from __future__ import annotations

import builtins
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.commands.main import main
from simpleindex.core.errors import CannotStore
from simpleindex.core.faults import Fault
from simpleindex.core.names import ProjectName
from simpleindex.publishing.local.writer import Writer
from simpleindex.records.database import RecordsDatabase
from tests.fixtures.cached_upstream import CachedUpstreamFixture
from tests.fixtures.distributions import (
    add_sdist,
    add_wheel,
    put,
    sdist_bytes,
    sdist_name,
    wheel_bytes,
    wheel_name,
)

if TYPE_CHECKING:
    from pathlib import Path

    Captured = pytest.CaptureFixture[str]

SOURCES = """
{top}
[[directory]]
name = "staging"
path = "staging"
[[upstream]]
name = "pypi"
url = "https://pypi.example.org/simple/"
{upstream}
{rules}
"""
WHEEL, SDIST = wheel_name(), sdist_name()


class Place:
    """A root, a directory with a release of acme, and an upstream with the releases of acme and of other, of which one is held."""

    def __init__(self, path: Path, capsys: Captured) -> None:
        self.path = path
        self.root, self.staging = path / "root", path / "staging"
        self.root.mkdir()
        self._capsys = capsys
        add_wheel(self.staging)
        add_sdist(self.staging)
        self.write()
        self.world = CachedUpstreamFixture(path / "cache")
        for name in ("acme", "other"):
            for version in ("1.0", "2.0"):
                self.world.upstream.add(wheel_name(name, version), wheel_bytes(name, version))

    def write(self, top: str = "", upstream: str = "", rules: str = "") -> None:
        """The sources file."""
        (self.path / "sources.toml").write_text(SOURCES.format(top=top, upstream=upstream, rules=rules))

    def hold(self, name: str = "other", version: str = "1.0", filename: str = "") -> None:
        """Have the upstream's file fetched."""
        from tests.fixtures.cached_upstream import read
        from tests.fixtures.deferreds import result

        read(result(self.world.source.file(ProjectName(name), filename or wheel_name(name, version))))

    def run(self, *words: str, status: int = 0) -> tuple[str, str]:
        """Run the command; returns what it printed."""
        self._capsys.readouterr()
        assert main(["copy", *words]) == status
        out, err = self._capsys.readouterr()
        assert "Traceback" not in err
        return out, err

    def refused(self, *words: str) -> str:
        """Run it in vain; returns the sentence."""
        out, err = self.run(*words, status=2)
        assert out == ""
        assert err.count("\n") == 1
        return err

    def audited(self) -> list[dict[str, Any]]:
        path = self.path / "state" / "audit.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> Place:
    """One that the environment names."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SIMPLEINDEX_")]:
        monkeypatch.delenv(name)
    for name in ("STATE_DIRECTORY", "CACHE_DIRECTORY", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)
    for name, below in (
        ("PATH", "root"),
        ("STATE", "state"),
        ("CACHE", "cache"),
        ("SOURCES", "sources.toml"),
    ):
        monkeypatch.setenv(f"SIMPLEINDEX_{name}", str(tmp_path / below))
    return Place(tmp_path, capsys)


TO_LOCAL = ("--from", "staging", "--to", "local")
FROM_PYPI = ("--from", "pypi", "--to", "local")


def test_between_directories(place: Place) -> None:
    """What was copied is said, and audited; said once more it is there already."""
    out, err = place.run("Acme==1.0", *TO_LOCAL)
    sha256 = hashlib.sha256(sdist_bytes()).hexdigest()
    lines = out.splitlines()
    assert lines[1].startswith(f"Copied {SDIST} into local, ")
    assert lines[1].endswith(f", sha256 {sha256}.")
    assert (len(lines), err) == (2, "")
    assert (place.root / "acme" / WHEEL).read_bytes() == wheel_bytes()
    events = place.audited()
    assert [(event["event"], event["filename"]) for event in events] == [("copy", WHEEL), ("copy", SDIST)]
    assert events[1]["digest"] == sha256
    assert events[1]["detail"] == "from staging to local"
    assert events[1]["who"].startswith("command:")
    out, _ = place.run("acme==1.0", *TO_LOCAL)
    assert out.splitlines() == [f"{WHEEL} is in local already.", f"{SDIST} is in local already."]
    assert len(place.audited()) == 2


def test_the_disk_is_full_after_the_first_file(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one is here, so it is said and audited all the same."""
    commit = Writer.commit

    def full(self: Writer, draft: Any, name: Any, filename: str, **options: Any) -> Any:
        if filename == SDIST:
            raise CannotStore("The disk is full.", fault=Fault.FULL)
        return commit(self, draft, name, filename, **options)

    monkeypatch.setattr(Writer, "commit", full)
    out, err = place.run("acme==1.0", *TO_LOCAL, status=2)
    assert out.startswith(f"Copied {WHEEL} into local, ")
    assert err == "simpleindex: The disk is full.\n"
    assert [event["filename"] for event in place.audited()] == [WHEEL]


def test_the_other_way(place: Place) -> None:
    """Into any local directory; with what lies beside, and yanks."""
    add_wheel(place.root, "acme", "3.0")
    put(place.root / "acme" / f"{wheel_name('acme', '3.0')}.asc", b"-----BEGIN PGP SIGNATURE-----\n")
    put(place.root / "acme" / "simpleindex.toml", b'[yanked]\n"3.0" = "broken"\n')
    out, _ = place.run("acme==3.0", "--from", "local", "--to", "staging")
    assert f"Copied {wheel_name('acme', '3.0')} into staging, with its .asc, " in out
    assert out.endswith("; it is yanked there too.\n")
    assert "broken" in (place.staging / "acme" / "simpleindex.toml").read_text()


def test_a_dry_run(place: Place) -> None:
    """Says what would be copied, and copies nothing."""
    out, _ = place.run("acme==1.0", *TO_LOCAL, "--dry-run", "--file", SDIST)
    assert out == f"Would copy {SDIST}, {len(sdist_bytes())} bytes.\n"
    assert not (place.root / "acme").exists()
    assert place.audited() == []


def test_from_an_upstream(place: Place) -> None:
    """Its URL is audited; a line says that the name is private from now on, for its other releases are hidden then."""
    place.hold()
    out, _ = place.run("other==1.0", *FROM_PYPI)
    assert out.splitlines()[1] == (
        "other is a local project from now on, so the index no longer asks upstreams for it: its other releases in pypi are "
        "not offered. To merge both, see strategy and allow-upstream."
    )
    url = f"https://files.example.org/other/{wheel_name('other')}"
    assert place.audited()[0]["detail"] == f"from pypi ({url}) to local"
    place.hold(version="2.0")
    out, _ = place.run("other==2.0", *FROM_PYPI)
    assert len(out.splitlines()) == 1


@pytest.mark.parametrize(
    ("full", "begins"),
    [
        (sdist_name("other"), ["Copied ", "other is a local project from now on"]),
        (wheel_name("other"), ["other is a local project from now on"]),
        (None, []),
    ],
)
def test_the_name_is_local_once_its_directory_is_there(
    place: Place, full: str | None, begins: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever becomes of the files."""
    place.world.upstream.add(sdist_name("other"), sdist_bytes("other"))
    place.hold()
    place.hold(filename=sdist_name("other"))
    commit = Writer.commit

    def fill(self: Writer, draft: Any = None, name: Any = None, filename: Any = None, **options: Any) -> Any:
        if filename == full:
            raise CannotStore("The disk is full.", fault=Fault.FULL)
        return commit(self, draft, name, filename, **options)

    monkeypatch.setattr(Writer, "commit" if full else "begin", fill)
    out, err = place.run("other==1.0", *FROM_PYPI, status=2)
    assert err == "simpleindex: The disk is full.\n"
    assert len(out.splitlines()) == len(begins)
    assert all(map(str.startswith, out.splitlines(), begins))


def test_from_an_upstream_where_all_is_merged(place: Place) -> None:
    """Another sentence."""
    place.write(top='strategy = "merge"')
    place.hold()
    out, _ = place.run("other==1.0", *FROM_PYPI)
    assert out.splitlines()[1].endswith("asks upstreams for it unless allow-upstream names it.")


def test_what_is_not_held(place: Place) -> None:
    """Is named, with how to get it."""
    place.hold()
    sentence = place.refused("other==2.0", *FROM_PYPI)
    assert f"of 1 file these are not in the cache: {wheel_name('other', '2.0')}." in sentence
    assert "write other==2.0 into a file and run simpleindex cache warm --all FILE" in sentence
    assert "nothing is kept of what pypi has of acme" in place.refused("acme==1.0", *FROM_PYPI)
    place.write(upstream='mode = "redirect"')
    assert "are not cached, because its mode is redirect" in place.refused("other==2.0", *FROM_PYPI)


def test_rules_warn(place: Place) -> None:
    """What one would have withheld is copied all the same; an operator has decided."""
    place.hold()
    place.write(rules='[[rule]]\nname = "old"\nprojects = ["other"]\nversions = "<2"\naction = "deny"')
    _, err = place.run("other==1.0", *FROM_PYPI, "--dry-run")
    assert "other" in err
    _, err = place.run("other==1.0", *FROM_PYPI)
    assert err.startswith(f"simpleindex: {wheel_name('other')} ")
    assert err.endswith(" It is copied all the same.\n")
    assert (place.root / "other" / wheel_name("other")).exists()
    place.write(rules='[[rule]]\nname = "none"\nprojects = ["acme"]\naction = "deny"')
    place.hold("acme")
    _, err = place.run("acme==1.0", *FROM_PYPI)
    assert err.count("It is copied all the same.") == 1
    RecordsDatabase(str(place.path / "state")).close()


def test_other_bytes_and_used_names(place: Place) -> None:
    """Refused, with what can be done."""
    put(place.root / "acme" / WHEEL, wheel_bytes("acme", "1.0", "Summary: other"))
    assert f"local has {WHEEL} with other bytes, sha256 " in place.refused("acme==1.0", *TO_LOCAL)
    main(["delete", "acme", WHEEL])
    assert f"simpleindex free acme {WHEEL} lets it come back." in place.refused("acme==1.0", *TO_LOCAL)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("acme", *TO_LOCAL), "write NAME==VERSION"),
        (("acme==9", *TO_LOCAL), "staging has no acme 9; it has 1.0."),
        (
            ("acme==1.0", "--from", "stagging", "--to", "local"),
            "no source 'stagging'; did you mean 'staging'?",
        ),
        (
            ("acme==1.0", "--from", "local", "--to", "stagging"),
            "no directory 'stagging'; did you mean 'staging'?",
        ),
        (("acme==1.0", "--from", "local", "--to", "pypi"), "--to: pypi is an upstream; only local and"),
        (("acme==1.0", "--from", "local", "--to", "local"), "--from and --to are both local"),
        (("other==1.0", *TO_LOCAL), "staging has no project other."),
        (("acme==1.0", *TO_LOCAL, "--file", "x.zip"), "staging has no 'x.zip' of acme 1.0, which has "),
        (("acme==1.0", "--from", "staging"), "the following arguments are required: --to"),
    ],
)
def test_refusals(place: Place, words: tuple[str, ...], sentence: str) -> None:
    """One sentence each."""
    assert sentence in place.refused(*words)


def test_without_a_sources_file(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is only local then; and a file that is broken is named."""
    assert "unknown key" in place.refused("acme==1.0", *TO_LOCAL, "--sources", str(broken(place.path)))
    (place.path / "sources.toml").unlink()
    assert "cannot be read: No such file" in place.refused("acme==1.0", *TO_LOCAL)
    monkeypatch.delenv("SIMPLEINDEX_SOURCES")
    assert "there is no source 'staging' (known: local)" in place.refused("acme==1.0", *TO_LOCAL)


def broken(path: Path) -> Path:
    """A sources file that is none."""
    file = path / "broken.toml"
    file.write_text("nonsense = 1")
    return file


def test_a_directory_that_is_gone(place: Place) -> None:
    """As source and as target."""
    place.staging.rename(place.path / "away")
    for words in (TO_LOCAL, ("--from", "local", "--to", "staging")):
        assert "staging cannot be read: No such file" in place.refused("acme==1.0", *words)


def test_without_the_extra(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A yank cannot be written without it."""
    put(place.staging / "acme" / "simpleindex.toml", b'[yanked]\n"1.0" = "broken"\n')
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("tomlkit"):
            raise ModuleNotFoundError("No module named 'tomlkit'", name="tomlkit")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert "the extra 'publish' of simpleindex brings" in place.refused("acme==1.0", *TO_LOCAL)
    assert not (place.root / "acme" / WHEEL).exists()
