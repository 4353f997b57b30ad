"""Decide which indexes a name is requested from, and merge their answers (docs/protocol.md).

The index's own names are requested from no upstream: a request would show the upstream that a private name exists, and might
return somebody else's project of that name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simpleindex.core.files import file_order
from simpleindex.core.model import Project, ProjectList, Status, Strategy, Withheld
from simpleindex.core.patterns import ALL, matcher, matching, parse_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName


@dataclass(frozen=True, slots=True)
class NameRules:
    """The operator's rules about names.

    Attributes:
        strategy: How several sources are combined.
        own: Patterns of names that are requested from no upstream, whether or not they exist here.
        allow_upstream: Patterns of exceptions, which are requested from upstreams.

    Raises:
        InvalidPattern: One of them is not valid; to ignore it would let a name out.
    """

    strategy: Strategy = Strategy.FIRST_INDEX
    own: tuple[str, ...] = ()
    allow_upstream: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("own", "allow_upstream"):
            object.__setattr__(self, field, tuple(map(parse_pattern, getattr(self, field))))


@dataclass(frozen=True, slots=True)
class Scope:
    """The names that are requested from an upstream.

    Raises:
        InvalidPattern: One of them is not valid.
    """

    projects: tuple[str, ...] = (ALL,)
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("projects", "exclude"):
            object.__setattr__(self, field, tuple(map(parse_pattern, getattr(self, field))))

    def has(self, name: ProjectName) -> bool:
        """Tell whether a name is in the scope."""
        return matcher(self.projects).find(name) is not None and matcher(self.exclude).find(name) is None


EVERYTHING: Final = Scope()


def why_not_upstream(name: ProjectName, rules: NameRules, *, is_local: bool, was_used: bool) -> str | None:
    """Return why a name is requested from no upstream; None if it may be.

    Args:
        name: The name.
        rules: The operator's rules.
        is_local: Whether the project exists here, if only with files that are withheld or deleted, or its name is taken here.
        was_used: Whether it ever existed here.
    """
    if rules.strategy is Strategy.ISOLATED:
        return "Nothing is requested from upstreams: the strategy is isolated."
    if matcher(rules.allow_upstream).find(name) is not None:
        return None
    if matcher(rules.own).find(name) is not None:
        return f'{name} is one of this index\'s own names: own has "{matching(rules.own, name)}".'
    if is_local:
        return f"{name} is a name of this index, so it is requested from no upstream."
    if was_used:
        return f"{name} was once a project of this index, so it is requested from no upstream unless allow-upstream names it."
    return None


def owner_of(filename: str, parts: Sequence[Project]) -> int | None:
    """Return the position of the part that a file comes from: the first one that has its name, if it offers the file."""
    for position, part in enumerate(parts):
        if part.file(filename) is not None:
            return position
        if any(item.filename == filename for item in part.withheld):
            break
    return None


def merge(parts: Sequence[Project]) -> Project:
    """Merge what several sources have of one project.

    A file that an earlier source withholds is not taken from a later one either. A project that one of them has quarantined
    is quarantined. Everything else comes from the first source.

    Args:
        parts: The projects, the preferred one first; at least one.
    """
    files: dict[str, File] = {}
    known: set[str] = set()
    for part in parts:
        files.update((file.filename, file) for file in part.files if file.filename not in known)
        known.update(file.filename for file in part.files)
        known.update(item.filename for item in part.withheld)
    withheld = [item for part in parts for item in part.withheld]
    quarantined = next((part for part in parts if part.status is Status.QUARANTINED), None)
    says = quarantined or parts[0]
    if quarantined is not None:
        reason = "is not offered: one of the indexes that have the project has quarantined it."
        withheld += [
            Withheld(name, f"{name} {reason}", "status", file.source) for name, file in files.items()
        ]
        files = {}
    return Project(
        name=parts[0].name,
        files=tuple(sorted(files.values(), key=file_order)),
        withheld=tuple(withheld),
        status=says.status,
        status_reason=says.status_reason,
        valid_until=_soonest(part.valid_until for part in parts),
        stale=any(part.stale for part in parts),
        denied=None if files else next((part.denied for part in parts if part.denied), None),
    )


def merge_lists(
    local: ProjectList,
    others: Iterable[tuple[ProjectList, Scope]],
    is_own: Callable[[ProjectName], bool],
) -> ProjectList:
    """Merge the lists of projects of several sources.

    Args:
        local: The local list.
        others: The list of each upstream, and the scope of its names.
        is_own: Returns whether a name that is not in ``local`` is requested from no upstream.
    """
    names = set(local.names)
    parts = [local]
    for listed, scope in others:
        parts.append(listed)
        names.update(
            name for name in listed.names if name not in names and scope.has(name) and not is_own(name)
        )
    return ProjectList(
        names=tuple(sorted(names)),
        valid_until=_soonest(part.valid_until for part in parts),
        stale=any(part.stale for part in parts),
        view=local.view,
    )


def _soonest(times: Iterable[float | None]) -> float | None:
    return min((time for time in times if time is not None), default=None)
