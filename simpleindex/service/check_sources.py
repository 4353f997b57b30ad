"""The check of a sources file for ``simpleindex check`` and ``simpleindex doctor``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simpleindex.core.text import plural
from simpleindex.policy.lists import NameLists
from simpleindex.service.upstreams import without_upload_times
from simpleindex.system.log import log_to
from simpleindex.upstreams.cache.cache import UpstreamCache
from simpleindex.views.live_sources_file import LiveSourcesFile
from simpleindex.views.name_rules import NameRules

if TYPE_CHECKING:
    from simpleindex.views.sources_file import Sources


@dataclass(frozen=True)
class CheckedSources:
    """A sources file that a server would start with.

    Attributes:
        sources: What is in it.
        summary: The same in numbers, as a sentence.
        notes: What the server would log when it reads the file.
        warnings: What will surprise, as sentences.
    """

    sources: Sources
    summary: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def allow_upstream(self) -> tuple[str, ...]:
        """The patterns of ``allow-upstream``."""
        return NameRules(allow_upstream=self.sources.allow_upstream).allow_upstream


def check_sources(path: str, cache: str) -> CheckedSources:
    """Read a sources file and what its rules name, as the server would at its start.

    Args:
        path: The sources file.
        cache: The cache's directory, which tells what upstreams state.

    Raises:
        RefusedStart: The server would not start with it.
    """
    notes: list[str] = []
    warnings: list[str] = []
    lists = NameLists(os.path.dirname(path))
    policies = LiveSourcesFile(path, open_list=lists.open, allowances=lambda _: ())
    with log_to(notes.append, warnings.append):
        policies.open()
    sources = policies.sources
    counts = (
        (len(sources.upstreams), "upstream"),
        (len(sources.directories), "further directory"),
        (len(sources.views) - 1, "view"),
        (len(sources.rules), "rule"),
    )
    summary = ", ".join(plural(number, noun) for number, noun in counts)
    warnings += without_upload_times(policies, sources.upstreams, UpstreamCache(cache))
    return CheckedSources(sources, f"{summary}.", tuple(notes), tuple(warnings))
