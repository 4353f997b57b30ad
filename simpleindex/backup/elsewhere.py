"""The configuration of a server that is restored to another place: its options, and the paths in its sources file."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from simpleindex.backup.manifest import is_absolute
from simpleindex.config.options import OPTIONS
from simpleindex.config.values import to_flag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.backup.manifest import Manifest
    from simpleindex.backup.plan import RestorePlan

_NOT_ELSEWHERE: Final = frozenset({"access-log", "config", "new-records", "records"})
"""Options that a server which is restored to another place does without: its logs and records are its own."""


def options_elsewhere(manifest: Manifest, plan: RestorePlan) -> dict[str, tuple[str, ...]]:
    """Return the options of a server that is restored to another place; packages that are not in the backup stay where they are."""
    paths = {option.name for option in OPTIONS if option.is_path}
    apart = {part.path for part in manifest.parts if not part.is_stored}
    options = {}
    for name, texts in manifest.options.items():
        if name in _NOT_ELSEWHERE:
            continue
        moves = name in paths and all(is_absolute(text) and text not in apart for text in texts)
        options[name] = tuple(map(plan.target, texts)) if moves else texts
    return options


def options_file(options: Mapping[str, tuple[str, ...]]) -> str:
    """Return a configuration file (TOML) with these options."""
    flags = {option.name for option in OPTIONS if option.flag}
    repeatable = {option.name for option in OPTIONS if option.repeatable}
    lines = []
    for name, texts in options.items():
        quoted = [json.dumps(text, ensure_ascii=False) for text in texts]
        value = (
            str(to_flag(texts[-1])).lower()
            if name in flags
            else f"[{', '.join(quoted)}]"
            if name in repeatable
            else quoted[-1]
        )
        lines.append(f"{name} = {value}\n")
    return "".join(lines)


def moved_paths(text: str, manifest: Manifest, plan: RestorePlan) -> str:
    """Return the text of a sources or hooks file in which the paths of stored parts are those of the restored ones.

    Relative paths need no change, because everything lies to each other as before.
    """
    for part in sorted((part for part in manifest.parts if part.is_stored), key=lambda part: -len(part.path)):
        pattern = rf"""(["':]){re.escape(part.path)}(?=["'/])"""
        text = re.sub(pattern, lambda found, path=part.path: f"{found[1]}{plan.target(path)}", text)  # type: ignore[misc]
    return text
