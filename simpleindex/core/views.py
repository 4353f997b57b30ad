"""Views: several named indexes of one process, each at a prefix of its own (``/stable/``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from simpleindex.core.model import Strategy

MAIN_VIEW: Final = "main"
"""The index at the root, where no other is named."""

RESERVED: Final = frozenset({MAIN_VIEW, "simple", "legacy"})
"""What no view can be called: first segments that mean something else, and the root's own name."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")

LOCAL: Final = "local"
"""The name of the local directory among the sources."""


@dataclass(frozen=True, slots=True)
class ViewSettings:
    """One view.

    Attributes:
        name: The first segment of its URLs.
        sources: The names of what it shows, in the order in which they answer; those of the views that it builds on are in
            their place.
        strategy: Of its sources.
        rules_of: The views whose rules hold in it: itself, and those that it builds on.
    """

    name: str
    sources: tuple[str, ...]
    strategy: Strategy
    rules_of: frozenset[str]


def is_view_name(text: str) -> bool:
    """Whether a view can be called this: it is a segment of URLs, and shadows the project of its name at the root."""
    return _NAME.fullmatch(text) is not None and not text.endswith("-") and text not in RESERVED
