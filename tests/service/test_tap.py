"""What twistd sees: the plugin, the options, the service."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest
from twisted.application.service import IService, IServiceMaker
from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import IPlugin, getPlugins
from zope.interface.verify import verifyObject

from simpleindex import __version__
from simpleindex.config.options import OPTIONS
from simpleindex.records.state_lock import StateLock
from simpleindex.service.service import IndexService
from simpleindex.tap import Options, makeService
from tests.fixtures.output import output_without_reader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def parsed(*words: str) -> Options:
    """The options after such a command line."""
    options = Options()
    options.parseOptions(list(words))
    return options


@pytest.fixture(autouse=True)
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of its own, and no configuration from the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "cache"))
    return tmp_path


def test_twistd_finds_the_plugin() -> None:
    """``twistd simpleindex`` exists, and its modules are named rightly."""
    (maker,) = [plugin for plugin in getPlugins(IPlugin) if getattr(plugin, "tapname", "") == "simpleindex"]
    assert IServiceMaker.providedBy(maker)
    assert maker.options is Options


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_help_names_every_option_and_its_default(option: object) -> None:
    """--help is complete."""
    text = " ".join(str(parsed()).split())
    assert f"--{option.name}" in text  # type: ignore[attr-defined]
    assert option.help.split(";")[0].split(",")[0] in text  # type: ignore[attr-defined]


def test_version_is_that_of_the_index(capsys: pytest.CaptureFixture[str]) -> None:
    """Not that of Twisted, which ``twistd --version`` prints."""
    with pytest.raises(SystemExit) as ended:
        Options().parseOptions(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"simpleindex {__version__}\n")


def test_help_that_nobody_reads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with ``head``: no traceback, now or at the end of the interpreter."""
    with output_without_reader() as output:
        monkeypatch.setattr(sys, "stdout", output)
        with pytest.raises(SystemExit) as ended:
            Options().parseOptions(["--help"])
        output.write("at the end")
    assert ended.value.code == 0


def test_the_command_line_reaches_the_settings(tmp_path: Path) -> None:
    """Repeatable options gather, flags are set, relative paths become absolute before twistd changes directory."""
    root = tmp_path / "packages"
    root.mkdir()
    settings = parsed(
        "--path", "packages", "--http", "8080", "--http", "unix:x.sock", "--immutable-files"
    ).settings
    assert settings.path == root
    assert [listen.text for listen in settings.http] == ["8080", "unix:x.sock"]
    assert settings.immutable_files


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--pth", "x"], "did you mean --path?"),
        (["--path", "missing"], "missing"),
        (["--http", "99999"], "99999"),
        (["--watch", "pol"], "poll"),
    ],
)
def test_a_wrong_command_line_stops_the_start_with_one_sentence(words: list[str], expected: str) -> None:
    """No traceback, no page of usage: SystemExit with what is wrong and the nearest right word."""
    with pytest.raises(SystemExit) as refusal:
        parsed(*words)
    sentence = str(refusal.value)
    assert sentence.startswith("simpleindex: ")
    assert expected in sentence
    assert "\n" not in sentence


def test_the_service_is_one_for_twistd() -> None:
    """What makeService returns provides IService."""
    options = parsed("--http", "0")
    service = IndexService(options.settings, options.resolve, MemoryReactorClock(), (None, None))
    assert verifyObject(IService, service)


@pytest.fixture
def default_sighup() -> Iterator[None]:
    """SIGHUP as a process finds it, and afterwards as it was."""
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, former)


@pytest.mark.usefixtures("default_sighup")
def test_make_service() -> None:
    """A service of the global reactor, whose time is steady; from now on a SIGHUP that comes too early does no harm."""
    from twisted.internet import reactor

    service = makeService(parsed("--http", "0"))
    assert isinstance(service, IndexService)
    assert reactor.seconds == time.monotonic
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    signal.raise_signal(signal.SIGHUP)


@pytest.mark.usefixtures("default_sighup")
def test_the_service_knows_whom_twistd_will_become(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made now must belong to that user."""
    owners = []
    monkeypatch.setattr(
        "simpleindex.service.service.IndexService", lambda *arguments, **_: owners.append(arguments[3])
    )
    options = parsed("--http", "0")
    makeService(options)
    monkeypatch.setattr(options, "parent", {"uid": 7, "gid": 8})
    makeService(options)
    assert owners == [(None, None), (7, 8)]


@pytest.mark.usefixtures("default_sighup")
@pytest.mark.parametrize("words", [["--http", "tpc:80"], ["--https", "443", "--certs", "file"]])
def test_a_service_that_cannot_be_made(words: list[str], tmp_path: Path) -> None:
    """SystemExit with one sentence: twistd would print a traceback of anything else."""
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as refusal:
        makeService(parsed(*words))
    sentence = str(refusal.value)
    assert sentence.startswith("simpleindex: ")
    assert "\n" not in sentence


@pytest.mark.usefixtures("default_sighup")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_start_beside_another_server_leaves_nothing_among_its_certificates(
    workers: str, tmp_path: Path
) -> None:
    """A certificate of another private CA would lie there, and the other server would warn of it from then on."""
    (tmp_path / "certs").mkdir()
    other = StateLock(str(tmp_path / "other"), str(tmp_path / "certs" / "simpleindex-acme"))
    other.claim()
    words = ("--https", "443", "--certs", "certs", "--acme", "none", "--acme-name", "a.example.org")
    try:
        with pytest.raises(SystemExit, match="another server requests certificates into"):
            makeService(parsed(*words, "--workers", workers))
    finally:
        other.release()
    assert [path.name for path in (tmp_path / "certs").iterdir()] == ["simpleindex-acme"]
    assert not (tmp_path / "state").exists()
