"""Whether the server that is examined is the one that is meant. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.diagnosis.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

USUAL_CONFIGURATION: Final = "/etc/simpleindex/simpleindex.toml"
"""Where the guides have the configuration file of a service."""


def judge_configuration(is_named: bool, has_usual: bool) -> Iterator[Finding]:
    """Yield a finding if a service's configuration file is there, and another server is examined.

    Args:
        is_named: Whether a configuration file is named, by an option or the environment.
        has_usual: Whether there is one where the guides have it.
    """
    if has_usual and not is_named:
        sentence = (
            f"No configuration file is named, so that the options of {USUAL_CONFIGURATION} were not examined."
        )
        yield Finding(Severity.HINT, sentence, f"export SIMPLEINDEX_CONFIG={USUAL_CONFIGURATION}")
