"""The three layers, and the sentence for each thing that may be wrong in one."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from simpleindex.config.layers import Layers, OptionTexts, from_command_line, from_environment, from_file
from simpleindex.config.values import to_records
from simpleindex.core.errors import InvalidSetting, RefusedStart

HERE = Path("/work")
SEE_HELP = "; see twistd simpleindex --help"


def test_the_command_line() -> None:
    """Texts, flags and repetitions arrive as texts."""
    given = {
        "path": "a b",
        "https": ("443", "8443"),
        "http": "80",
        "immutable-files": True,
        "serve-http": False,
    }
    assert from_command_line(given, HERE) == {
        "path": OptionTexts("--path", ("a b",), HERE),
        "https": OptionTexts("--https", ("443", "8443"), HERE),
        "http": OptionTexts("--http", ("80",), HERE),
        "immutable-files": OptionTexts("--immutable-files", ("true",), HERE),
        "serve-http": OptionTexts("--serve-http", ("false",), HERE),
    }


def test_the_environment() -> None:
    """Only our variables count, and repeatable ones are split at white space, not at commas."""
    environment = {
        "PATH": "/bin",
        "SIMPLEINDEX_PATH": "/a b",
        "SIMPLEINDEX_HTTPS": " 443\n systemd:domain=INET,x:index=0 ",
        "SIMPLEINDEX_SERVE_HTTP": "yes",
    }
    assert from_environment(environment, HERE) == {
        "path": OptionTexts("SIMPLEINDEX_PATH", ("/a b",), HERE),
        "https": OptionTexts("SIMPLEINDEX_HTTPS", ("443", "systemd:domain=INET,x:index=0"), HERE),
        "serve-http": OptionTexts("SIMPLEINDEX_SERVE_HTTP", ("yes",), HERE),
    }


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("SIMPLEINDEX_SERVICE_HOST", "10.0.0.1"),
        ("SIMPLEINDEX_SERVICE_PORT", "443"),
        ("SIMPLEINDEX_SERVICE_PORT_HTTPS", "443"),
        ("SIMPLEINDEX_PORT", "tcp://10.0.0.1:443"),
        ("SIMPLEINDEX_PORT_443_TCP", "tcp://10.0.0.1:443"),
        ("SIMPLEINDEX_PORT_443_TCP_PORT", "443"),
        ("SIMPLEINDEX_PORT_443_TCP_PROTO", "tcp"),
        ("SIMPLEINDEX_WEB_PORT", "tcp://10.0.0.1:443"),
    ],
)
def test_what_kubernetes_sets_is_not_ours(variable: str, text: str) -> None:
    """A service called simpleindex does not keep its own pods from starting."""
    assert from_environment({variable: text}, HERE) == {}


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        (
            "SIMPLEINDEX_POLL_INTERVALL",
            "s3cret",
            "unknown environment variable 'SIMPLEINDEX_POLL_INTERVALL'; did you mean 'SIMPLEINDEX_POLL_INTERVAL'?",
        ),
        (
            "SIMPLEINDEX_path",
            "x",
            "unknown environment variable 'SIMPLEINDEX_path'; did you mean 'SIMPLEINDEX_PATH'?",
        ),
        (
            "SIMPLEINDEX_ZZZZZZZZZZZZZ",
            "x",
            f"unknown environment variable 'SIMPLEINDEX_ZZZZZZZZZZZZZ'{SEE_HELP}",
        ),
        ("SIMPLEINDEX_PATH", "", "SIMPLEINDEX_PATH: the value is empty; give one or unset the variable"),
        ("SIMPLEINDEX_HTTP", " ", "SIMPLEINDEX_HTTP: the value is empty; give one or unset the variable"),
    ],
)
def test_refused_variables(variable: str, text: str, sentence: str) -> None:
    """A variable that cannot be obeyed is never passed over."""
    with pytest.raises(RefusedStart) as caught:
        from_environment({variable: text}, HERE)
    assert str(caught.value) == sentence


def test_port_in_the_environment_is_a_mistake() -> None:
    """SIMPLEINDEX_PORT=443 is no service link but a person who is told so."""
    with pytest.raises(RefusedStart, match="unknown environment variable 'SIMPLEINDEX_PORT'"):
        from_environment({"SIMPLEINDEX_PORT": "443"}, HERE)


def test_unknown_command_line_option() -> None:
    """A caller without twistd's own check gets the sentence too."""
    with pytest.raises(RefusedStart) as caught:
        from_command_line({"htps": "443"}, HERE)
    assert str(caught.value) == "unknown option '--htps'; did you mean 'https'?"


def test_the_file(tmp_path: Path) -> None:
    """TOML's own types are taken; a single value does for an array; paths start at the file's directory."""
    file = tmp_path / "s.toml"
    file.write_text(
        'path = "pkgs"\nhttps = [443, "unix:/run/x y"]\nhttp = 80\nserve-http = true\n'
        'poll-interval = 0.5\npage-cache = 1_000\ntrusted-proxy = []\nmax-connections-per-address = "9"\n'
    )
    texts = {name: given.texts for name, given in from_file(file).items()}
    assert texts == {
        "path": ("pkgs",),
        "https": ("443", "unix:/run/x y"),
        "http": ("80",),
        "serve-http": ("true",),
        "poll-interval": ("0.5",),
        "page-cache": ("1000",),
        "trusted-proxy": (),
        "max-connections-per-address": ("9",),
    }
    assert from_file(file)["path"] == OptionTexts(f"{file}: path", ("pkgs",), tmp_path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("poll-intervall = 2", "unknown key 'poll-intervall'; did you mean 'poll-interval'?"),
        ("poll_interval = 2", "unknown key 'poll_interval'; did you mean 'poll-interval'?"),
        ("[simple]\npath = '.'", f"unknown key 'simple'{SEE_HELP}"),
        ("config = 'x'", "config: one configuration file cannot name another"),
        ("serve-http = 'yes'", "serve-http: must be true or false, not a string"),
        ("serve-http = 1", "serve-http: must be true or false, not a number"),
        ("path = 5", "path: must be a string, not a number"),
        ("path = ['.']", "path: must be a string, not an array"),
        ("path = 2024-01-01", "path: must be a string, not a date or a time"),
        ("https = true", "https: must be a number or a string, not true or false"),
        ("https = [[443]]", "https: must be a number or a string, not an array"),
        ("[https]", "https: must be a number or a string, not a table"),
        ("trusted-proxy = [1]", "trusted-proxy: must be a string, not a number"),
        ("page-cache = 0x" + "f" * 9000, "page-cache: the number is too large"),
        ("poll-interval = inf", "poll-interval: the number is too large"),
        ("path = '.'\npath = 'x'\n", "is not valid TOML: Cannot overwrite a value (at line 2, column 11)"),
        ("\nhttps = [443,", "is not valid TOML: Invalid value (at line 2, the end)"),
        ("\nwatch = poll", "is not valid TOML: Invalid value (at line 2, column 9)"),
        (
            "page-cache = " + "9" * 9000,
            "is not valid TOML: it has a number that is too long",
        ),
        ("https = " + "[" * 5000, "is not valid TOML: it is nested too deeply"),
        ("#" * ((1 << 20) + 1), "the configuration is larger than 1048576 bytes"),
        (b"\n# caf\xe9", "is not UTF-8 text: line 2 has other bytes; save it as UTF-8"),
    ],
    ids=range(22),
)
def test_refused_files(tmp_path: Path, content: str | bytes, sentence: str) -> None:
    """Each refusal names the file, the key and what was expected."""
    file = tmp_path / "s.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RefusedStart) as caught:
        from_file(file)
    assert str(caught.value) == f"{file}: {sentence}"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a FIFO (which would block for ever), a directory and a loop of links each have their sentence."""
    fifo, loop = tmp_path / "fifo", tmp_path / "loop"
    os.mkfifo(fifo)
    loop.symlink_to(loop)
    for file, sentence in [
        (tmp_path / "none.toml", "there is no such configuration file"),
        (fifo, "the configuration is not a regular file"),
        (tmp_path, "the configuration is not a regular file"),
        (loop, "the configuration cannot be read: Too many levels of symbolic links"),
    ]:
        with pytest.raises(RefusedStart) as caught:
            from_file(file)
        assert str(caught.value) == f"{file}: {sentence}"


def refuse(text: str) -> str:
    """Read like the reader of an option that takes nothing."""
    raise InvalidSetting("is wrong")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "'plain'"),
        ("two\nlines", r"'two\nlines'"),
        ("https://user:s3cret@h/", "'...@h/'"),
        ("https://user:s3?cr@et@h/", "'...@h/'"),
        ("user:s3cret@h", "'...@h'"),
        ("postgresql://user:s3cret/db", "'postgresql://user:.../db'"),
        ("https://h:80x/", "'https://h:.../'"),
        ("https://[::1]/x y", "'https://[::1]/x y'"),
        ("https://h/?token=s3cret\ns3cret", "'https://h/?...'"),
        ("https://h/#s3cret", "'https://h/#...'"),
    ],
)
def test_values_are_quoted_without_secrets(text: str, shown: str) -> None:
    """What may be a password or a token is left out of the sentence, and of the exception that carries it."""
    with pytest.raises(RefusedStart, match=f"^{re.escape(f'--x: {shown} is wrong')}$") as caught:
        OptionTexts("--x", (text,), HERE).read(refuse)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "rest",
    [
        "u:s3cret@db/x",
        "u:12/s3cret@db/x",
        "u:12/x?s3cret=@db/y",
        "u:12/x#s3cret@db/y",
        "u@example.org:12/s3cret@db/x",
        "db/x#?password=s3cret",
        "db/x?scram_client_key=s3cret",
        "db/x?scram_server_key=s3cret",
    ],
)
def test_a_password_for_the_records_is_refused_and_not_shown(rest: str) -> None:
    """Also where libpq takes what is in front of its slash for a host and a port."""
    with pytest.raises(RefusedStart, match="passfile") as refused:
        OptionTexts("--records", (f"postgresql://{rest}",), HERE).read(to_records)
    assert "s3cret" not in str(refused.value)


def test_an_empty_value() -> None:
    """Nothing takes an empty text."""
    with pytest.raises(RefusedStart, match=r"^--x: the value is empty$"):
        OptionTexts("--x", ("",), HERE).read(str)


def test_lower_layers_are_checked_too() -> None:
    """An error does not lie in wait until the option above it is removed."""
    layers = Layers(
        ({"x": OptionTexts("file: x", ("bad",), HERE)}, {"x": OptionTexts("--x", ("7",), HERE)}), None
    )

    def whole(text: str) -> int:
        if not text.isdecimal():
            raise InvalidSetting("is no number")
        return int(text)

    with pytest.raises(RefusedStart, match=r"^file: x: 'bad' is no number$"):
        layers.one("x", whole, 0)


def test_where_a_value_came_from() -> None:
    """Sentences about the value in force name the layer that gave it, or the option if none did."""
    low, high = OptionTexts("file: x", ("a",), HERE), OptionTexts("--x", ("b",), HERE)
    assert Layers(({"x": low}, {"x": high}), None).where("x") == "--x"
    assert Layers(({"x": low}, {}), None).where("x") == "file: x"
    assert Layers(({}, {}), None).where("x") == "--x"
