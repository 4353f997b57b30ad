"""Hooks of a whole service in memory: begun with it, changed with their file, and refused where they cannot work."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from simpleindex.core.audit_entry import AuditEntry
from simpleindex.core.errors import RefusedStart
from simpleindex.hooks.webhooks import WebhookTarget
from simpleindex.records.audit.audit import Audit
from simpleindex.service.composition import hooks as composition
from simpleindex.service.regular_work import RULES_INTERVAL
from tests.fixtures.certificates import issue
from tests.fixtures.service import ServiceFixture, service_fixture

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUN = '[[hook]]\nname = "copy"\nrun = "/bin/cp /dev/stdin {}"\n'


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceFixture]:
    yield from service_fixture(tmp_path, monkeypatch)


def hooks_file(world: ServiceFixture, text: str) -> str:
    path = world.place / "hooks.toml"
    path.write_text(text)
    return str(path)


def record(world: ServiceFixture) -> None:
    audit = Audit(str(world.resolve().state))
    audit.record(AuditEntry("upload", "alice", project="acme", filename="acme-1.0.zip"))
    audit.close()


def test_a_program_is_run(world: ServiceFixture) -> None:
    """With the event and the URL of the index; after a change of the file another one."""
    first, second = world.place / "first", world.place / "second"
    world.start(hooks=hooks_file(world, RUN.format(first)))
    assert "Events are sent to 1 hook: copy." in world.taken()
    record(world)
    world.reactor.advance(1)
    body = json.loads(first.read_text())
    assert (body["filename"], body["index"]) == ("acme-1.0.zip", "http://localhost:8080/")
    first.unlink()
    hooks_file(world, RUN.format(second))
    world.reactor.advance(RULES_INTERVAL)
    record(world)
    world.reactor.advance(1)
    assert json.loads(second.read_text())["who"] == "alice"
    assert not first.exists()
    hooks_file(world, "[[hook]]")
    assert any("hooks.toml is not valid now (it has for the hook hook-1" in line for line in world.reload())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "hooks.toml cannot be read: it is empty"),
        ("hook = 1", "hooks.toml is not valid: it has a 'hook' that is not a list of tables"),
        (
            '[[hook]]\nrun = "/nowhere/at/all"',
            "/nowhere/at/all cannot be used: it is not there, or not a program",
        ),
        (
            '[[hook]]\nurl = "https://a.example"\nsecret = "file:none"',
            "a hook hook-1 that cannot be used: its secret in file:none cannot be used: No such file or directory",
        ),
        (
            '[[hook]]\nurl = "https://a.example"\nsecret = "env:NONE"',
            "a hook hook-1 that cannot be used: its secret in env:NONE cannot be used: there is nothing in it",
        ),
        (
            '[[hook]]\nurl = "https://a.example"\nca-file = "none"',
            "/none cannot be used: No such file",
        ),
        (
            '[[hook]]\nurl = "https://a.example"\nca-file = "hooks.toml"',
            "its ca-file or proxy has no certificates",
        ),
    ],
)
def test_refusals(world: ServiceFixture, text: str, sentence: str) -> None:
    """One sentence at the start."""
    with pytest.raises(RefusedStart) as caught:
        world.make(hooks=hooks_file(world, text))
    assert sentence in str(caught.value)


def test_a_webhook(world: ServiceFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its secret and its authorities are beside the hooks file, or in the environment."""
    made: list[WebhookTarget] = []

    def record_target(*arguments: object) -> WebhookTarget:
        made.append(WebhookTarget(*arguments))  # type: ignore[arg-type]
        assert callable(arguments[1])
        secrets.append(arguments[1]())
        return made[-1]

    secrets: list[object] = []
    monkeypatch.setattr(composition, "WebhookTarget", record_target)
    monkeypatch.setenv("HOOK_SECRET", "of the environment")
    (world.place / "secret").write_text("of a file\n")
    (world.place / "ca.pem").write_bytes(issue("a.example").chain_pem)
    urls = ('secret = "file:secret"\nca-file = "ca.pem"', 'secret = "env:HOOK_SECRET"', "")
    text = "".join(f'[[hook]]\nurl = "https://a.example"\n{each}\n' for each in urls)
    world.start(hooks=hooks_file(world, text))
    assert secrets == [b"of a file", b"of the environment", None]


def test_what_cannot_be_used_any_more(world: ServiceFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of an unknown kind is refused at the start."""
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy.example")
    with pytest.raises(RefusedStart, match="hook-1 that cannot be used: its ca-file or proxy of HTTPS_PROXY"):
        world.start(hooks=hooks_file(world, '[[hook]]\nurl = "https://a.example"'))
