"""The sources file, followed while the server runs, with the lists and allowances that its rules depend on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import InvalidSources, Unavailable
from simpleindex.core.text import plural
from simpleindex.core.views import LOCAL
from simpleindex.policy.judgement import Policy
from simpleindex.system.clocks import SYSTEM_CLOCKS
from simpleindex.system.followed_file import FileKind, FollowedFile
from simpleindex.system.log import logger
from simpleindex.views.sources_file import effective_after_reload, effective_at_once, parse_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.policy.judgement import Allowance
    from simpleindex.policy.rules import NamesList
    from simpleindex.system.clocks import Clocks
    from simpleindex.views.sources_file import Sources

_log: Final = logger(__name__)

_LOOK_SECONDS: Final = 1.0
"""Seconds between two checks of all files; every request reads the rules."""

_CORRECTION_SECONDS: Final = 60.0
"""By which the date may be set back without another judgement; time daemons correct by less, and often."""


class LiveSourcesFile:
    """The sources and rules that are in force.

    What cannot be read again stays as it was; allowances end all the same.

    Args:
        path: The sources file.
        open_list: Opens a list by its key and returns a function for its content, the same object as long as it is equal.
        allowances: Returns the allowances that hold at a time, in seconds since 1970.
        clocks: The clocks.

    Attributes:
        sources: The part of the file that is in force.
        changed: Called when that has changed in anything but rules.
    """

    sources: Sources
    changed: Callable[[Sources], None]

    def __init__(
        self,
        path: str,
        *,
        open_list: Callable[[str], Callable[[], NamesList]],
        allowances: Callable[[float], tuple[Allowance, ...]],
        clocks: Clocks = SYSTEM_CLOCKS,
    ) -> None:
        self._open_list = open_list
        self._read_allowances = allowances
        self._clocks = clocks
        self._file = FollowedFile(
            path, FileKind("sources", self._parse), changed=self._apply_change, clocks=clocks
        )
        self._is_open = False
        self.changed = lambda _: None
        self._lists: dict[str, Callable[[], NamesList]] = {}
        self._allowances: tuple[Allowance, ...] = ()
        self._next_look = 0.0
        self._date = 0.0
        self._policy: tuple[Sources, tuple[Allowance, ...], Mapping[str, NamesList], Policy] | None = None

    @property
    def file(self) -> FollowedFile[Sources]:
        """The file itself."""
        return self._file

    def open(self) -> Sources:
        """Read the file for the first time.

        Raises:
            RefusedStart: It, or something that it names, cannot be used.
        """
        self._file.open_at_start()
        self.sources = self._file.value
        self._is_open = True
        return self.sources

    def current(self) -> Policy:
        """Return the rules of all views; the same object as long as nothing changed, nor the date was set back.

        Then what was judged by its age is judged again: it may have passed a rule as if days had gone by.
        """
        seconds = self._clocks.seconds()
        if self._policy is not None and seconds < self._next_look:
            return self._policy[3]
        self._next_look = seconds + _LOOK_SECONDS
        sources, allowances = self._file.current(), self._current_allowances()
        lists = {key: self._lists[key]() for rule in sources.rules for key in rule.lists}
        before, latest, self._date = self._policy, self._date, self._clocks.now()
        if (
            before is not None
            and self._date > latest - _CORRECTION_SECONDS
            and before[0] is sources
            and before[1] is allowances
            and _are_same(before[2], lists)
        ):
            return before[3]
        policy = Policy(sources.rules, allowances, lists)
        self._policy = sources, allowances, lists, policy
        return policy

    def of_views(self, views: frozenset[str]) -> Callable[[], Policy]:
        """Return a function like :meth:`current` for the rules that hold in one of these views."""
        cached: list[tuple[Policy, Policy]] = []

        def current() -> Policy:
            policy = self.current()
            if not cached or cached[0][0] is not policy:
                cached[:] = [(policy, policy.for_views(views))]
            return cached[0][1]

        return current

    def reload(self) -> None:
        """Apply all of the file that can be in force without a restart (SIGHUP)."""
        file = self._file.reload()
        self._put_in_force(effective_after_reload(file, self.sources))
        if self.sources != file:
            _log.warn("Other changes in {file} need a restart.", file=self._file.shown.lower())

    def _current_allowances(self) -> tuple[Allowance, ...]:
        try:
            allowances = self._read_allowances(self._clocks.now())
        except Unavailable:
            # The records log the reason. Allowances that were read before end in their time.
            return self._allowances
        if allowances != self._allowances:
            self._allowances = allowances
        return self._allowances

    def _parse(self, content: bytes) -> Sources:
        sources = parse_sources(content)
        if self._is_open:
            self._require_running(sources)
        for rule in sources.rules:
            for key in rule.lists:
                if key not in self._lists:
                    self._lists[key] = self._open_list(key)
        return sources

    def _require_running(self, sources: Sources) -> None:
        """Refuse rules about sources and views that are not running: none would hold for those that are.

        Raises:
            InvalidSources: There is such a rule.
        """
        places = {LOCAL, *(each.name for each in self.sources.directories)}
        places |= {each.name for each in self.sources.upstreams}
        views = {each.name for each in self.sources.views}
        for rule in sources.rules:
            unknown = sorted(((rule.sources or frozenset()) - places) | ((rule.views or frozenset()) - views))
            if unknown:
                raise InvalidSources(f"has the rule {rule.name} about {unknown[0]}, which needs a restart")

    def _apply_change(self, sources: Sources) -> None:
        count = len(sources.rules)
        _log.info(
            "{file} was read again: {count} in force.",
            file=self._file.shown,
            count=plural(count, "rule"),
        )
        self._put_in_force(effective_at_once(sources, self.sources))
        if self.sources != sources:
            _log.warn("Its other changes take effect with SIGHUP, or with a restart where that says so.")

    def _put_in_force(self, sources: Sources) -> None:
        before, self.sources = self.sources, sources
        if replace(sources, rules=()) != replace(before, rules=()):
            self.changed(sources)
            _log.info(
                "The index's own names, and the names and times of its upstreams, are as the file has them."
            )


def _are_same(before: Mapping[str, NamesList], lists: Mapping[str, NamesList]) -> bool:
    return before.keys() == lists.keys() and all(before[key] is value for key, value in lists.items())
