"""Surveys of the root: which projects there are, which must be read, and whether the root is the one that was read before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from twisted.python.failure import Failure

from simpleindex.directory.live.project_places import ProjectPlaces
from simpleindex.directory.live.project_reads import ProjectReads
from simpleindex.directory.live.root_guard import EMPTIED, REPLACED, UNTIL_READ
from simpleindex.directory.live.snapshot_updates import ROOT, SECOND_LOOK
from simpleindex.directory.scan.snapshot import NO_SNAPSHOT
from simpleindex.system.collector import collector_paused
from simpleindex.system.errors import own_trouble
from simpleindex.system.log import logger
from simpleindex.system.stamp import is_young

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from simpleindex.core.names import ProjectName
    from simpleindex.directory.layout.directory_listings import RootListing
    from simpleindex.directory.scan.name_sets import SortedNames

_log = logger(__name__)


class RootSurveys(ProjectReads):
    """Surveys the root, and has the projects read that lie elsewhere than before."""

    async def _survey(self, _: Sequence[str]) -> None:
        await self._watch.begun()
        try:
            survey, places = await self._in_read_thread(
                self._survey_now,
                self.private_names.begin_survey(),
                self._places.base if self._surveyed else self.snapshots.at_rest.base,
            )
        except (OSError, MemoryError) as error:
            self._could_not_survey(error)
            return
        is_successor = False
        if self._guard.identity not in (None, survey.identity):
            is_successor = self.follows_root and self._is_successor(survey.identity, places)
            if not is_successor:
                self._suspend(REPLACED)
                return
            self._follow_root()
        if not places and await self._is_suspiciously_empty():
            self._suspend(EMPTIED)
            return
        self._guard.identity = survey.identity
        # What comes within the same tick of the clock leaves the same stamp, so a young one proves nothing.
        self._root_stamp = None if is_young(survey.stamp, self._reader.now_ns()) else survey.stamp
        self._take_strays(survey.strays)
        if self.private_names.end_survey(survey.reserved) or not places.has_names_of(self._places):
            self._names = None  # Upstreams' names that are taken here are not listed either.
        self._tell_unserved(self._passed_over, survey.unserved)
        self._passed_over = survey.unserved
        self._have_read(places, all_again=self.suspended is not None or is_successor)
        # One that was emptied is back only when all that was there is; see _judge_emptiness.
        if self.suspended and not self._guard.is_emptied:
            self._resume()

    def _have_read(self, places: ProjectPlaces, *, all_again: bool) -> None:
        """Have the projects read that must be because of a survey: at first those that it found, in little memory."""
        is_first, self._surveyed = not self._surveyed, True
        changed: set[ProjectName] = set() if is_first else self._changed_projects(places)
        self._places = places
        if is_first:
            self._first_reads = places.remaining()
            self._finish_first_reads(())
        if all_again:
            self._look_at(sorted({*places, *self.snapshots}))
        elif is_first:
            self._look_at_all(places)
        else:
            self._look_at(sorted(changed))

    def _changed_projects(self, places: ProjectPlaces) -> set[ProjectName]:
        """Return the projects that must be read because of a survey."""
        changed = places.changed(self._places)
        # A directory may have been away just when it was looked at, and be back as if it had never been. What is at rest was
        # read in these very places.
        if self.complete or not self._looks.is_idle:
            # All others are at rest; or very many are yet to be read, and wait for that already.
            unsure = {name for name, _ in self.snapshots.in_flux() if name in places} - changed
        else:
            unsure = places.missing_in(self.snapshots.at_rest) - changed
        return changed.union(name for name in unsure if not self._has_seen(name, places.of(name).directories))

    def _is_successor(self, identity: tuple[int, int], places: ProjectPlaces) -> bool:
        """Whether a root of another identity is like the one that was read."""
        before, now = self._existing_names(), {*places}
        on_same_disk = self._guard.identity is not None and self._guard.identity[0] == identity[0]
        return on_same_disk and not self._guard.is_emptied and 2 * len(before & now) > len(before)

    def _follow_root(self) -> None:
        """Take another directory for the root. What was read in the one before is compared with it, project by project."""
        self._guard.epoch += 1
        self.generation += 1
        self._log.info(
            "Another directory with most of the same projects lies where the root of the index was: it is served from now on."
        )
        self._renew_watch()

    def _could_not_survey(self, error: OSError | MemoryError) -> None:
        trouble = own_trouble(error)
        if trouble is not None:
            _log.failure("", Failure(error))
        if trouble is None or not trouble.is_passing:
            cause = getattr(error, "strerror", None) or error
            reason = f"The root of the index cannot be read ({cause})."
            self._suspend(reason, *(() if trouble is None else (UNTIL_READ,)))
        elif self._root_look is None:
            # The root is as it was; this process was short of what it takes to look.
            self._root_look = self._clock.callLater(SECOND_LOOK, self._look_at_root_again)

    def _look_at_root_again(self) -> None:
        self._root_look = None
        self._surveys.ask(ROOT)

    def _survey_now(self, appeared: Sequence[str], base: SortedNames) -> tuple[RootListing, ProjectPlaces]:
        """Survey the root, and remember names that it takes; blocking.

        Args:
            appeared: As in :meth:`PrivateNames.begin_survey`.
            base: As in :meth:`ProjectPlaces.listed`.

        Returns:
            The survey without what the places are made of, and these.
        """
        directory = self._reader.directory
        with collector_paused():
            survey = directory.survey()
            places = ProjectPlaces.listed(survey, base)
            # What lies where is freed here, in this thread: of 700,000 projects that takes 20 ms.
            survey = replace(survey, directories={}, loose={})
        if self._guard.identity in (None, survey.identity):
            self.private_names.remember_surveyed(directory.vanished(appeared), survey.traced)
        return survey, places

    def _has_seen(self, name: ProjectName, directories: Iterable[str]) -> bool:
        snapshot = self.snapshots.get(name, NO_SNAPSHOT)
        return snapshot.trouble is not None or all(raw in snapshot.stamps for raw in directories)

    async def _is_suspiciously_empty(self) -> bool:
        """Whether an empty root once held something: an unmounted disk is often an empty directory."""
        if self._surveyed or self._guard.ever:
            return bool(self._guard.ever)
        digests = self._reader.digests
        if self._guard.is_accepted:
            await self._in_read_thread(digests.forget_others, ())
            return False
        # A machine that has just started may not have mounted it yet.
        return bool(await self._in_read_thread(digests.remembers_anything))

    def _take_strays(self, strays: Mapping[str, str]) -> None:
        for name, reason in strays.items():
            if name not in self.strays:
                self._log.warn("{reason}", reason=reason)
        self.strays = strays
