"""The rules of the sources file, as they are now, with what else they depend on."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from simpleindex.core import severity
from simpleindex.core.errors import InvalidSources, RefusedStart, Unavailable
from simpleindex.core.views import LOCAL
from simpleindex.policy.rules import Policy
from simpleindex.system.followed_file import FollowedFile
from simpleindex.views.reloading import closed, reloaded
from simpleindex.views.sources_file import parse_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.policy.rules import Allowance, NamesList
    from simpleindex.views.sources_file import Sources

_LOOK_SECONDS: Final = 1.0
"""Between two looks at everything, which every request asks for."""


class LiveSourcesFile:
    """What holds now.

    What cannot be read again stays as it was; allowances end all the same.

    Args:
        path: The sources file.
        open_list: Gives what answers with a list of names by its key, the same object as long as it says the same.
        allowances: Gives those that hold at a time, in seconds since 1970.
        log: Takes a sentence for the operator.
        seconds: A clock that only goes on.
        now: The time, seconds since 1970.
        now_ns: The time as files have it, nanoseconds since 1970.

    Attributes:
        sources: What of the file is in force.
        changed: Told when that has changed in anything but rules.
    """

    sources: Sources
    changed: Callable[[Sources], None]

    def __init__(
        self,
        path: str,
        *,
        open_list: Callable[[str], Callable[[], NamesList]],
        allowances: Callable[[float], tuple[Allowance, ...]],
        log: Callable[[str], None],
        seconds: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._path = path
        self._open_list = open_list
        self._read_allowances = allowances
        self._log = log
        self._seconds = seconds
        self._now = now
        self._file = FollowedFile(
            path, "sources", self._parse, taken=self._take, log=log, seconds=seconds, now_ns=now_ns
        )
        self._is_open = False
        self.changed = lambda _: None
        self._lists: dict[str, Callable[[], NamesList]] = {}
        self._allowances: tuple[Allowance, ...] = ()
        self._next_look = 0.0
        self._policy: tuple[Sources, tuple[Allowance, ...], Mapping[str, NamesList], Policy] | None = None

    def open(self) -> Sources:
        """Read the file for the first time.

        Raises:
            RefusedStart: It, or something that it names, cannot be used.
        """
        try:
            self._file.open()
        except OSError as error:
            raise RefusedStart(
                f"The sources file {self._path} cannot be read: {error.strerror or error}."
            ) from None
        except InvalidSources as error:
            raise RefusedStart(f"{self._path}: {error}") from None
        self.sources = self._file.current()
        self._is_open = True
        return self.sources

    def current(self) -> Policy:
        """The rules now, of all views; the same object as long as nothing changed."""
        seconds = self._seconds()
        if self._policy is not None and seconds < self._next_look:
            return self._policy[3]
        self._next_look = seconds + _LOOK_SECONDS
        sources, allowances = self._file.current(), self._current_allowances()
        lists = {key: self._lists[key]() for rule in sources.rules for key in rule.lists}
        known = self._policy
        if (
            known is not None
            and known[0] is sources
            and known[1] is allowances
            and _are_same(known[2], lists)
        ):
            return known[3]
        policy = Policy(sources.rules, allowances, lists)
        self._policy = sources, allowances, lists, policy
        return policy

    def of_views(self, views: frozenset[str]) -> Callable[[], Policy]:
        """Give what gives the rules that hold in one of these views, in the same way."""
        known: list[tuple[Policy, Policy]] = []

        def current() -> Policy:
            policy = self.current()
            if not known or known[0][0] is not policy:
                known[:] = [(policy, policy.for_views(views))]
            return known[0][1]

        return current

    def _current_allowances(self) -> tuple[Allowance, ...]:
        try:
            found = self._read_allowances(self._now())
        except Unavailable:
            # Why has been said. Those that are known end in their time.
            return self._allowances
        if found != self._allowances:
            self._allowances = found
        return self._allowances

    def _parse(self, content: bytes) -> Sources:
        sources = parse_sources(content)
        if self._is_open:
            self._require_known(sources)
        for rule in sources.rules:
            for key in rule.lists:
                if key not in self._lists:
                    self._lists[key] = self._open_list(key)
        return sources

    def _require_known(self, sources: Sources) -> None:
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
                raise InvalidSources(f"has the rule {rule.name} about {unknown[0]}, which takes a restart")

    def reload(self) -> None:
        """Take all of the file that can be in force without a restart, because an operator says so."""
        said = self._file.look_now(repeat=True)
        self._put_in_force(reloaded(said, self.sources))
        if self.sources != said:
            self._log(severity.warning(f"What else {self._file.shown.lower()} says needs a restart."))

    def _take(self, sources: Sources) -> None:
        if not self._is_open:
            return
        count = len(sources.rules)
        self._log(f"{self._file.shown} was read again: {count:,} rule{'' if count == 1 else 's'} in force.")
        self._put_in_force(closed(sources, self.sources))
        if self.sources != sources:
            self._log(
                severity.warning(
                    "What else changed in it waits for SIGHUP, or for a restart where that says so."
                )
            )

    def _put_in_force(self, sources: Sources) -> None:
        before, self.sources = self.sources, sources
        if replace(sources, rules=()) != replace(before, rules=()):
            self.changed(sources)
            self._log("Names of one's own, and what upstreams are asked for and how often, are as it says.")


def _are_same(known: Mapping[str, NamesList], lists: Mapping[str, NamesList]) -> bool:
    return known.keys() == lists.keys() and all(known[key] is value for key, value in lists.items())
