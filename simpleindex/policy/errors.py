"""Errors of rules."""

from __future__ import annotations

from dataclasses import KW_ONLY  # noqa: TC003  (``dataclass`` looks the name up in the module)

from simpleindex.core.errors import NotAllowed


class FileWithheld(NotAllowed):
    """A rule withholds a requested file (403).

    Attributes:
        rule: The name of the rule.
        source: The name of the source that has it.
        visible_from: When it becomes visible by the passing of time alone, seconds since 1970; None if it does not.
    """

    _: KW_ONLY
    filename: str
    rule: str
    source: str
    visible_from: float | None
