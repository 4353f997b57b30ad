"""Whether the server runs and says that it is well, and whether real clients install from it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simpleindex.diagnosis.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The status of the running server.

    Attributes:
        url: Its URL.
        refusal: Why it gives no status, as a sentence; None if it does.
        is_running: Whether a connection could be made.
        version: Its version; None if strangers cannot see it.
        installed: The version of this program.
        suspended: Why it answers nothing, as a sentence; None if it answers.
        troubles: What the machine refused to it within the last hour, as sentences.
    """

    url: str
    refusal: str | None = None
    is_running: bool = True
    version: str | None = None
    installed: str = ""
    suspended: str | None = None
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClientTrial:
    """What a real client made of the index.

    Attributes:
        command: The command, without a login.
        failure: The last line that it wrote; None if it succeeded.
    """

    client: str
    command: str
    failure: str | None = None


def judge_server(server: ServerFacts) -> Iterator[Finding]:
    """Yield what is wrong with the running server by its status; one that does not run is a hint."""
    if not server.is_running:
        yield Finding(
            Severity.HINT,
            f"No server answers at {server.url}, so that pip and uv were not tried.",
            "systemctl start simpleindex",
        )
        return
    if server.refusal is not None:
        yield Finding(Severity.ERROR, f"The server at {server.url} cannot be used: {server.refusal}")
    if server.suspended is not None:
        yield Finding(Severity.ERROR, f"The server answers nothing: {server.suspended}")
    if server.version is not None and server.version != server.installed:
        sentence = (
            f"The server that runs is of version {server.version}, and {server.installed} is installed."
        )
        yield Finding(Severity.WARNING, sentence, "systemctl restart simpleindex")
    for trouble in server.troubles:
        yield Finding(Severity.WARNING, f"Within the last hour: {trouble}")


def judge_clients(trials: Sequence[ClientTrial]) -> Iterator[Finding]:
    """Yield the clients that could not install."""
    for each in trials:
        if each.failure is not None:
            yield Finding(
                Severity.ERROR, f"{each.client} cannot install from the index: {each.failure}", each.command
            )


def judge_unread(has_token: bool) -> Iterator[Finding]:
    """Yield a finding for a server that gives no page of a project that could be installed."""
    if has_token:
        sentence = "The token of SIMPLEINDEX_TOKEN reads no project that pip and uv could install, so that they were not tried."
        yield Finding(Severity.WARNING, sentence, "simpleindex access NAME")
    else:
        sentence = "No project is open to everybody, so that pip and uv were not tried: they need a token."
        yield Finding(Severity.HINT, sentence, "export SIMPLEINDEX_TOKEN=TOKEN")
