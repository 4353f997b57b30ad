"""What twistd sees: the plugin, the options, the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twisted.application.service import IService, IServiceMaker
from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import IPlugin, getPlugins
from zope.interface.verify import verifyObject

from simpleindex.options import OPTIONS
from simpleindex.service import IndexService
from simpleindex.tap import Options

if TYPE_CHECKING:
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
