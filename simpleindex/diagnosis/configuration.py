"""Whether the server that is examined is the one that is meant. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.diagnosis.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

USUAL_CONFIGURATION: Final = "/etc/simpleindex/simpleindex.toml"
"""Where the guides have the configuration file of a service."""


@dataclass(frozen=True, slots=True)
class ConfigurationFacts:
    """Which server is examined, and who examines it.

    Attributes:
        has_configuration: Whether a configuration file is named, by an option or the environment.
        has_usual: Whether there is one where the guides have it.
        user: The user who runs the command.
        service_user: The user of the service.
        sees_everything: Whether the user is root, or that of the service.
    """

    has_configuration: bool
    has_usual: bool
    user: str
    service_user: str
    sees_everything: bool


def judge_configuration(facts: ConfigurationFacts) -> Iterator[Finding]:
    """Yield findings if another server than the service is examined, or not all of it can be."""
    if not facts.sees_everything:
        sentence = (
            f"{facts.user} runs this command, and {facts.service_user} the service: what only that user or root can read is examined "
            "in part, and may seem to be wrong."
        )
        yield Finding(Severity.WARNING, sentence, "sudo --preserve-env=SIMPLEINDEX_CONFIG simpleindex doctor")
    if facts.has_usual and not facts.has_configuration:
        sentence = (
            f"No configuration file is named, so that the options of {USUAL_CONFIGURATION} were not examined."
        )
        yield Finding(Severity.HINT, sentence, f"export SIMPLEINDEX_CONFIG={USUAL_CONFIGURATION}")
