"""The blocks of the guides: files parse, and every option of a command is one that the command has."""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from functools import cache
from typing import TYPE_CHECKING

from simpleindex.commands.main import _COMMANDS, main
from simpleindex.config.options import OPTIONS
from tests.fixtures.tables import for_each
from tests.test_documents import CODE, DOCUMENTS, name_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

_FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
_PARSERS: dict[str, Callable[[str], object]] = {
    "toml": tomllib.loads,
    "json": json.loads,
    "python": ast.parse,
}
_TAKE_OPTIONS_OF_THE_SERVER = {"check", "doctor", "systemd-unit"}
_OF_TWISTD = {"nodaemon", "pidfile", "logfile", "uid", "gid", "reactor"}


def command_lines(text: str) -> list[list[str]]:
    """Return the words of each line of a block that runs ``simpleindex``; what a shell does with them is left out."""
    fenced = [block for kind, block in _FENCED.findall(text) if kind in {"", "sh"}]
    lines = "".join([*fenced, *_INDENTED.findall(text)]).replace("\\\n", " ").splitlines()
    found = []
    for line in lines:
        command = re.search(r"(?:^|[\s(/])simpleindex ([a-z-]+ ?.*)", line.strip())
        if command is None or "twistd" in line:
            continue
        try:
            words = shlex.split(re.split(r"[|>)]| {3,}", command[1])[0], comments=True)
        except ValueError:  # a sentence
            continue
        if words and words[0] in _COMMANDS:
            found.append(words)
    return found


@cache
def known_options(command: str, capture: pytest.CaptureFixture[str]) -> frozenset[str]:
    """Return the options that the help of a command names."""
    capture.readouterr()
    main([*command.split(), "--help"])
    own = frozenset(re.findall(r"--([a-z][a-z-]+)", capture.readouterr().out))
    return own | {option.name for option in OPTIONS} if command in _TAKE_OPTIONS_OF_THE_SERVER else own


@for_each("path", DOCUMENTS, ids=name_of)
def test_files_in_guides_parse(path: Path) -> None:
    for kind, block in _FENCED.findall(path.read_text("utf-8")):
        if kind in _PARSERS:
            _PARSERS[kind](block)


def test_every_option_of_a_command_exists(capsys: pytest.CaptureFixture[str]) -> None:
    unknown = []
    for path in DOCUMENTS:
        for words in command_lines(path.read_text("utf-8")):
            name = " ".join(words[:2]) if words[0] in {"token", "cache", "records"} else words[0]
            options = {word[2:].partition("=")[0] for word in words if re.match("--[a-z]", word)}
            if options - known_options(name, capsys):
                unknown.append((name_of(path), words))
    assert not unknown


def test_lines_that_run_commands_are_found() -> None:
    """In the ways that the guides write them."""
    text = 'Words simpleindex yank --x.\n\n    sudo A=b /opt/bin/simpleindex yank acme --reason "a b"   # words --y\n'
    assert command_lines(text) == [["yank", "acme", "--reason", "a b"]]


def test_nothing_installs_a_package_of_strangers() -> None:
    """The program is installed from its clone: what an index of the public calls ``simpleindex`` is another's."""
    wrong = re.compile(r"install (?:-\S+ )*'?(?:twisted-)?simpleindex\b")
    texts = [*DOCUMENTS, *(path for path in CODE if "tests" not in path.parts)]
    assert not [name_of(path) for path in texts if wrong.search(path.read_text("utf-8"))]
