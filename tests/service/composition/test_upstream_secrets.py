"""Credentials and certificates in files, which change while the server runs."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.core.errors import InvalidSetting, RefusedStart
from simpleindex.service.composition.upstream_secrets import Secrets, parse_credentials
from simpleindex.upstreams.pages.urls import BasicCredentials
from simpleindex.upstreams.settings import UpstreamSettings
from tests.fixtures.certificates import issue
from tests.fixtures.deferreds import result
from tests.fixtures.tables import for_each
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from tests.fixtures.log import CapturedLog


def secrets(directory: Path = Path("/nowhere")) -> Secrets:
    """For a sources file in a directory."""
    return Secrets(str(directory), InlineThreads())


def upstream(place: tuple[str, str]) -> UpstreamSettings:
    """An upstream whose credentials are there."""
    return UpstreamSettings("up", "https://up.example/", credentials=place)


@for_each(
    ("content", "expected"),
    [
        (b"me:secret", ("me", "secret")),
        (b"aws:ey:J+/=\n", ("aws", "ey:J+/=")),
        (b"\xef\xbb\xbfme:s\r\n", ("me", "s")),
        ("m\u00e9:p\u00e4\n".encode(), ("m\u00e9", "p\u00e4")),
        (b":token", ("", "token")),
        *((content, None) for content in (b"", b"token", b"a:b\nc:d", b"\xff:x")),
    ],
)
def test_what_is_in_the_file(content: bytes, expected: tuple[str, str] | None) -> None:
    """user:password, and nothing else; what is wrong is not quoted."""
    if expected is not None:
        assert parse_credentials(content) == BasicCredentials(*expected)
        return
    with pytest.raises(InvalidSetting) as caught:
        parse_credentials(content)
    assert "token" not in str(caught.value)


def test_a_file_that_is_renewed(tmp_path: Path, log: CapturedLog) -> None:
    """In place or by a link that leads elsewhere (Kubernetes); what is broken for a moment changes nothing."""
    first, second, link = tmp_path / "1", tmp_path / "2", tmp_path / "login"
    first.write_text("me:one")
    second.write_text("me:two")
    link.symlink_to(first)
    all_of_them = secrets()
    login = all_of_them.login(upstream(("file", str(link))), "the upstream up")
    assert login.credentials() == BasicCredentials("me", "one")
    link.unlink()
    link.symlink_to(second)
    result(login.read_again())
    assert login.credentials() == BasicCredentials("me", "two")
    for broken in ("", "s3cret", None):
        second.unlink()
        if broken is not None:
            second.write_text(broken)
        all_of_them.look()
        assert login.credentials() == BasicCredentials("me", "two")
    second.write_text("me:three")
    all_of_them.look()
    assert login.credentials() == BasicCredentials("me", "three")
    assert any("stays in force" in line for line in log.lines)
    assert not any(secret in line for line in log.lines for secret in ("s3cret", "two", "three"))


def test_paths_are_relative_to_the_sources_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the server is started; a file that is not there is named whole, with the reason."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "login").write_text("me:one")
    monkeypatch.chdir(tmp_path)
    login = secrets(tmp_path / "etc").login(upstream(("file", "login")), "the upstream up")
    assert login.credentials() == BasicCredentials("me", "one")
    with pytest.raises(RefusedStart) as caught:
        secrets(tmp_path / "etc").login(upstream(("file", "../login")), "the upstream up")
    assert str(caught.value) == (
        f"the upstream up has credentials in file:{tmp_path}/login, which cannot be read: No such file or directory"
    )
    with pytest.raises(FileNotFoundError) as missing:
        secrets(tmp_path / "etc").trust("ca.pem")
    assert missing.value.filename == f"{tmp_path}/etc/ca.pem"


def test_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot change, and a missing one ends the start."""
    monkeypatch.setenv("LOGIN", "me:secret")
    login = secrets().login(upstream(("env", "LOGIN")), "the upstream up")
    result(login.read_again())
    credentials = login.credentials()
    assert credentials is not None
    assert base64.b64decode(credentials.header().split()[1]) == b"me:secret"
    monkeypatch.delenv("LOGIN")
    with pytest.raises(RefusedStart, match="env:LOGIN, where there is no user:password"):
        secrets().login(upstream(("env", "LOGIN")), "the upstream up")


class Agent:
    """Takes whom to trust."""

    def __init__(self) -> None:
        self.trusted: list[Any] = []

    def trust(self, tls: Any) -> None:
        self.trusted.append(tls)


def test_certificates_that_are_renewed(tmp_path: Path, log: CapturedLog) -> None:
    """The agent gets each new set; one without certificates is not taken."""
    path = tmp_path / "ca.pem"
    path.write_bytes(issue("one.example").chain_pem)
    all_of_them = secrets()
    trust = all_of_them.trust(str(path))
    agent: Any = Agent()
    trust.give_to(agent)
    path.write_text("nothing")
    all_of_them.look()
    assert not agent.trusted
    assert "no certificates" in log.lines[-1]
    path.write_bytes(issue("two.example").chain_pem)
    all_of_them.look()
    assert agent.trusted == [trust.policy]
