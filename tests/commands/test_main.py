"""The ``simpleindex`` command, in this process."""

from __future__ import annotations

import os
import re
import runpy
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from simpleindex import __version__
from simpleindex.commands import main as main_module
from simpleindex.commands.main import _COMMANDS, USAGE, main
from simpleindex.directory.layout.package_directory import PackageDirectory
from tests.fixtures.distributions import add_wheel, put, wheel_name
from tests.fixtures.output import output_without_reader
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from pathlib import Path

    Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory that is served, and no configuration from the environment."""
    root = tmp_path / "root"
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "cache"))
    return root


@pytest.mark.parametrize(("words", "status"), [([], 2), (["-h"], 0), (["--help"], 0), (["help"], 0)])
def test_usage(words: list[str], status: int, capsys: Captured) -> None:
    """It is asked for, or it is what was missing."""
    assert main(words) == status
    assert capsys.readouterr() == (USAGE, "")
    assert max(map(len, USAGE.splitlines())) <= 80


def test_version(capsys: Captured) -> None:
    """The name and the number."""
    assert main(["--version"]) == 0
    assert capsys.readouterr() == (f"simpleindex {__version__}\n", "")


def test_unknown_command(capsys: Captured) -> None:
    """One sentence with the commands that there are."""
    assert main(["chek"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    sentence, _, commands = err.partition("; the commands are ")
    assert sentence == "simpleindex: there is no command 'chek'"
    assert commands.endswith(".\n")
    assert {"check", "token", "yank", "undelete"} <= set(commands.removesuffix(".\n").split(", "))


def test_check_of_a_good_directory(root: Path, capsys: Captured) -> None:
    """Everything is served: one line, status 0, and the digests are remembered for the server."""
    size = add_wheel(root).stat().st_size + add_wheel(root, "other").stat().st_size
    assert main(["check"]) == 0
    assert capsys.readouterr() == (f"2 projects, 2 files, {size / 1024:.1f} KiB.\n", "")
    assert (root.parent / "cache" / "digests.sqlite3").exists()


def test_check_of_what_is_withheld(root: Path, capsys: Captured) -> None:
    """Each thing is named with its reason: a broken archive, a stray, a project that cannot be answered for."""
    add_wheel(root)
    put(root / "acme" / wheel_name("acme", "2.0"), b"no archive")
    put(root / "stray.whl", b"")
    put(root / "other" / "simpleindex.toml", b"[")
    assert main(["check", "--path", str(root)]) == 1
    out, err = capsys.readouterr()
    _, *lines = out.splitlines()
    assert err == ""
    assert all(line.startswith("Withheld: ") for line in lines)
    stray, broken, trouble = lines
    assert "stray.whl" in stray
    assert "acme-2.0" in broken
    assert "other cannot be answered for: other/simpleindex.toml is" in trouble


def test_check_of_an_empty_directory(root: Path, capsys: Captured) -> None:
    """Nothing is withheld, and it is said what to do."""
    (root / "simple").mkdir()
    assert main(["check"]) == 0
    assert "did you mean --path" in capsys.readouterr().out


def test_check_of_further_directories(root: Path, tmp_path: Path, capsys: Captured) -> None:
    """Each is read too, and named; one that cannot be is a sentence."""
    add_wheel(root)
    staging = tmp_path / "staging"
    add_wheel(staging, "other")
    sources = tmp_path / "sources.toml"
    sources.write_text('[[directory]]\nname = "staging"\npath = "staging"\n')
    assert main(["check", "--sources", str(sources)]) == 0
    out = capsys.readouterr().out
    assert f"\n{staging}: 1 project, 1 file, " in out
    put(staging / "other" / wheel_name("other", "2.0"), b"no archive")
    assert main(["check", "--sources", str(sources)]) == 1
    assert f"{staging}: Withheld: " in capsys.readouterr().out
    staging.rename(tmp_path / "away")
    assert main(["check", "--sources", str(sources)]) == 2
    assert f"{staging} cannot be read: No such file" in capsys.readouterr().err


def test_check_without_a_cache(root: Path, capsys: Captured) -> None:
    """That costs time and a line, not the answer."""
    add_wheel(root)
    (root.parent / "file").touch()
    assert main(["check", "--cache", str(root.parent / "file" / "cache")]) == 0
    assert "Digests cannot be remembered" in capsys.readouterr().err


def test_check_of_what_cannot_be_read(monkeypatch: pytest.MonkeyPatch, root: Path, capsys: Captured) -> None:
    """A directory that fails underway is a sentence and status 2."""

    def refuse(_: PackageDirectory) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(PackageDirectory, "survey", refuse)
    assert main(["check"]) == 2
    assert capsys.readouterr() == ("", f"simpleindex: {root} cannot be read: Permission denied.\n")


@pytest.mark.parametrize("words", [["--path", "missing"], ["--pth", "x"], ["--watch", "pol"]])
def test_check_with_wrong_options(words: list[str], capsys: Captured) -> None:
    """Status 2, for 1 says that the directory was read."""
    assert main(["check", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("simpleindex: ")
    assert err.count("\n") == 1


@for_each("command", list(_COMMANDS))
def test_every_command_has_help_of_its_own(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """That fits a terminal, and breaks no line within an option."""
    monkeypatch.setenv("COLUMNS", "80")
    with suppress(SystemExit):
        main([command, "--help"])
    out, err = capsys.readouterr()
    assert out.startswith(f"usage: simpleindex {command} ")
    assert err == ""
    assert max(map(len, out.splitlines())) <= 80
    assert not re.search(r"[a-z]-$", out, re.MULTILINE)


def test_check_tells_its_options(capsys: Captured) -> None:
    """It says where they are listed; asking for them is no mistake."""
    assert main(["check", "--help"]) == 0
    assert "twistd simpleindex --help" in capsys.readouterr().out


def test_systemd_unit(root: Path, capsys: Captured) -> None:
    """The unit for these options goes to standard output as it is."""
    assert main(["systemd-unit", "--path", str(root), "--https", "443"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith(("#", "[Unit]"))
    assert f"RequiresMountsFor={root}" in out
    assert os.path.join(sys.prefix, "bin", "twistd") in out


def test_systemd_unit_with_wrong_options(capsys: Captured) -> None:
    """A unit that would not start is not printed."""
    assert main(["systemd-unit", "--watch", "pol"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("simpleindex: ")


def test_as_a_module(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """``python -m simpleindex`` is the command, and its status the process's."""
    monkeypatch.setattr(sys, "argv", ["simpleindex", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("simpleindex", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"simpleindex {__version__}\n"


def test_a_missing_module_of_this_program_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sentence about an extra hides it."""

    def fail(*_: object) -> int:
        raise ModuleNotFoundError(name="simpleindex.core.gone")

    monkeypatch.setattr("simpleindex.commands.main._run", fail)
    with pytest.raises(ModuleNotFoundError):
        main(["docs"])


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["docs"], ["docs", "--help"], ["docs", "options"]]
)
def test_a_reader_that_has_read_enough(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is raised then, nor at the end of the interpreter, which writes out what is left."""
    with output_without_reader() as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert main(words) == 1
        output.write("at the end")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("is_ignored", [False, True])
def test_a_command_that_is_told_to_end(
    number: int, is_ignored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends as by ^C, so that it removes what is unfinished; unless nohup had the signal ignored."""
    cleared: list[str] = []

    def work(_: list[str]) -> int:
        try:
            signal.raise_signal(number)
        finally:
            cleared.append("all of it")
        return 0

    monkeypatch.setattr(main_module, "_command", lambda _: work)
    before = signal.signal(number, signal.SIG_IGN if is_ignored else signal.SIG_DFL)
    try:
        assert main(["backup"]) == (0 if is_ignored else 130)
        assert signal.getsignal(number) == (signal.SIG_IGN if is_ignored else signal.SIG_DFL)
    finally:
        signal.signal(number, before)
    assert cleared == ["all of it"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["backup", "there", "--keep", "0"],
            "argument --keep: '0' is not a whole number from 1 to 999999999; see ",
        ),
        (
            ["backup", "there", "--keep", "some"],
            "argument --keep: 'some' is not a whole number from 1 to 999999999; see ",
        ),
        (
            ["backup", "there", "--packages", "all"],
            "argument --packages: invalid choice: 'all' (choose from ",
        ),
        (["log", "--limit", "-1"], "argument --limit: '-1' is not a whole number from 0 to 999999999; see "),
        (["log", "--limit", "9" * 5000], "is not a whole number from 0 to 999999999; see "),
    ],
)
def test_values_that_are_none(words: list[str], said: str, capsys: Captured) -> None:
    """The sentence says what is wanted, and names nothing that only our code knows, such as a function."""
    assert main(words) == 2
    assert said in capsys.readouterr().err
