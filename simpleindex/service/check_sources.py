"""The check of a sources file for ``simpleindex check``."""

from __future__ import annotations

import os

from simpleindex.core.text import plural
from simpleindex.policy.lists import NameLists
from simpleindex.service.upstreams import without_upload_times
from simpleindex.system.log import log_to
from simpleindex.upstreams.cache.cache import UpstreamCache
from simpleindex.views.live_sources_file import LiveSourcesFile
from simpleindex.views.name_rules import NameRules


def check_sources(path: str, cache: str) -> tuple[str, tuple[str, ...]]:
    """Read a sources file and what its rules name, as the server would at its start.

    Args:
        path: The sources file.
        cache: The cache's directory, which tells what upstreams state.

    Returns:
        What is in it, in words, and the patterns of ``allow-upstream``.

    Raises:
        RefusedStart: The server would not start with it.
    """
    lines: list[str] = []
    lists = NameLists(os.path.dirname(path))
    policies = LiveSourcesFile(path, open_list=lists.open, allowances=lambda _: ())
    with log_to(lines.append):
        sources_file = policies.open()
    counts = (
        (len(sources_file.upstreams), "upstream"),
        (len(sources_file.directories), "further directory"),
        (len(sources_file.views) - 1, "view"),
        (len(sources_file.rules), "rule"),
    )
    lines += without_upload_times(policies, sources_file.upstreams, UpstreamCache(cache))
    text = "\n".join([f"{path}: {', '.join(plural(number, noun) for number, noun in counts)}.", *lines])
    return text, NameRules(allow_upstream=sources_file.allow_upstream).allow_upstream
