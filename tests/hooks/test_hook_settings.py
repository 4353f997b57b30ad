"""The hooks file: what it may say, and the sentences about mistakes."""

from __future__ import annotations

from importlib.resources import files

import pytest

from simpleindex.core.audit_entry import EVENTS
from simpleindex.hooks.errors import InvalidHooks
from simpleindex.hooks.settings import HookProgram, HookSettings, Webhook, parse_hooks
from tests.fixtures.tables import for_each

FULL = b"""
[[hook]]
name = "chat"
url = "https://chat.example/hooks/T0/secret?thread=1"
secret = "file:chat.secret"
ca-file = "ca.pem"
events = ["upload", "token-*"]
projects = ["Acme_*"]
timeout = "3s"

[[hook]]
run = "/usr/local/bin/mirror --to 'a b'"

[[hook]]
url = "http://10.0.0.1/x"
"""


def test_all_keys() -> None:
    """A webhook with everything, a program with nothing else."""
    assert parse_hooks(FULL) == (
        HookSettings(
            "chat",
            Webhook("https://chat.example/hooks/T0/secret?thread=1", ("file", "chat.secret"), "ca.pem"),
            frozenset({"upload", "token-created", "token-revoked"}),
            ("acme-*",),
            3.0,
        ),
        HookSettings("hook-2", HookProgram(("/usr/local/bin/mirror", "--to", "a b")), frozenset(EVENTS)),
        HookSettings("hook-3", Webhook("http://10.0.0.1/x")),
    )
    assert parse_hooks(b"# none yet\n") == ()


@for_each(
    ("text", "sentence"),
    [
        ("[[hook]", "it is not valid TOML"),
        ("[[hooks]]", "it has the unknown key 'hooks'; did you mean 'hook'?"),
        ("[hook]", "it has a 'hook' that is not a list of tables; write [[hook]] above each"),
        ("[[hook]]\n" * 51, "it has more than 50 hooks"),
        ("[[hook]]", "it has for the hook hook-1 not one of 'url' and 'run'"),
        ('[[hook]]\nurl = "https://a.example/"\nrun = "/x"', "not one of 'url' and 'run'"),
        ('[[hook]]\nurl = "ftp://a.example/"', "a 'url' of the hook hook-1 that is no http or https URL"),
        ('[[hook]]\nurl = "https://me:pw@a.example/"', "no http or https URL, or has a login in it"),
        ('[[hook]]\nurl = "https://a.example/"\nsecret = "s3cret"', 'write "env:NAME" or "file:PATH"'),
        ('[[hook]]\nrun = "/x"\nsecret = "env:S"', "'secret' for the hook hook-1, which runs a program"),
        ('[[hook]]\nrun = "mirror"', "no absolute path of a program"),
        ('[[hook]]\nrun = " "', "no absolute path of a program"),
        ('[[hook]]\nrun = "/x \'y"', "a quotation mark without its partner"),
        (
            '[[hook]]\nrun = "/x"\nevents = ["uplaod"]',
            "the unknown event 'uplaod' for the hook hook-1; did you mean 'upload'?",
        ),
        ('[[hook]]\nrun = "/x"\nevents = []', "no 'events' for the hook hook-1"),
        ('[[hook]]\nrun = "/x"\nprojects = ["a b"]', "for 'projects' of the hook hook-1 the project 'a b'"),
        ('[[hook]]\nrun = "/x"\ntimeout = "6m"', "a 'timeout' of the hook hook-1 that is longer than 5m"),
        ('[[hook]]\nrun = "/x"\nname = "A b"', "calls hook 1 'A b'; a name has small letters"),
        ('[[hook]]\nrun = "/x"\nname = "a"\n' * 2, "two hooks called 'a'"),
        ('[[hook]]\nrun = "/x"\nevent = "a"', "the unknown key 'event' in hook 1; did you mean 'events'?"),
    ],
)
def test_mistakes(text: str, sentence: str) -> None:
    """One sentence, without the secret."""
    with pytest.raises(InvalidHooks) as caught:
        parse_hooks(text.encode())
    assert sentence in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "pw" not in str(caught.value)


def test_the_example_file() -> None:
    """It can be used as it is."""
    example = files("simpleindex").joinpath("deploy/hooks.toml").read_bytes()
    assert [hook.name for hook in parse_hooks(example)] == ["builds", "mirror"]
