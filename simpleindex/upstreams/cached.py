"""An upstream index, remembered: asked seldom, once for all who ask at a time, and not missed while it is away."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong

from simpleindex.core import severity
from simpleindex.core.errors import (
    FileRefused,
    NotAllowed,
    NotHere,
    SimpleIndexError,
    UpstreamBusy,
    UpstreamFailed,
)
from simpleindex.core.model import FIRST_SEEN, Project, ProjectList, Status, file_order
from simpleindex.core.names import METADATA_SUFFIX
from simpleindex.core.packed import PackedFiles
from simpleindex.policy.messages import no_upload_times
from simpleindex.system.bodies import FileBody
from simpleindex.upstreams.cache.cached_listings import CachedListing
from simpleindex.upstreams.cache.file_keys import UpstreamFileKey
from simpleindex.upstreams.cache.listing_memory import ListingEntry, ListingMemory
from simpleindex.upstreams.fault_rechecker import FaultRechecker
from simpleindex.upstreams.fetch import open_in_thread
from simpleindex.upstreams.fetches import Fetches, facts_of_file
from simpleindex.upstreams.interface import Validators
from simpleindex.upstreams.metadata import MetadataFiles
from simpleindex.upstreams.modification_times import ModificationTimes
from simpleindex.upstreams.pages.enrich import (
    FileFacts,
    Ttls,
    enriched,
    enriched_file,
    files_without_dates,
    files_without_upload_times,
    identity_of,
    metadata_url,
    unchanged_facts,
    wheels_without_metadata,
    with_modification_times,
)
from simpleindex.upstreams.pages.listing_faults import (
    renewed_fault,
    unchanged_faults,
    why_not_offered,
    without_faults,
)
from simpleindex.upstreams.range_metadata_queue import RangeMetadataQueue
from simpleindex.upstreams.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from twisted.python.failure import Failure

    from simpleindex.core.model import File
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Body
    from simpleindex.upstreams.cache.cache import UpstreamCache
    from simpleindex.upstreams.interface import Listing, Upstream
    from simpleindex.upstreams.pages.listing_faults import ListingFault
    from simpleindex.upstreams.wheel_examiner import WheelExaminer

MEMORY: Final = 64 * 1024 * 1024
"""Bytes of listings that each upstream has in memory: those of some 3,000 projects."""


def _no_rules(_: object) -> tuple[str, ...]:
    return ()


def _nothing_seen(*_: object) -> Mapping[str, int]:
    return {}


class CachedSource:
    """A source over an upstream.

    Args:
        upstream: Asked when it must be.
        cache: Where things are kept.
        clock: The reactor.
        in_thread: Calls a blocking function in a thread.
        identity: What makes this index another than one of the same name: its URL, and which credentials it is asked with.
        first_seen: Gives when files were seen here first, of those whose upload time the upstream does not state; blocking.
            Its arguments are those of :meth:`simpleindex.records.first_seen.FirstSeen.times`.
        times: How long answers are good.
        offer: Makes what is offered of what the upstream has; its arguments are those of
            :func:`simpleindex.upstreams.pages.enrich.enriched`.
        removed: Told of files that the upstream had and has no more, with what was kept of their project; blocking.
        tail: Learns of a wheel what its end tells, where an upstream has no sidecars; None where that is not wanted.
        memory: Bytes of listings in memory.
        judges_age: Gives the names of the rules that judge when files of a project were uploaded.
        background: How many files may be waited for although no client does any more.
        wheels: Has wheels examined; None where nothing is to be learnt of them.
        say: Takes a sentence for the operator.
        failed: Told of what should never happen.
    """

    def __init__(
        self,
        upstream: Upstream,
        cache: UpstreamCache,
        clock: Any,
        in_thread: Callable[..., Awaitable[Any]],
        *,
        identity: str,
        first_seen: Callable[[str, ProjectName, Mapping[str, str], int], Mapping[str, int]] = _nothing_seen,
        times: Ttls | None = None,
        offer: Callable[[Project, Mapping[str, FileFacts], Mapping[str, int], int], Project] = enriched,
        removed: Callable[[str, CachedListing, Sequence[File]], None] | None = None,
        tail: Callable[[ProjectName, File], Awaitable[FileFacts]] | None = None,
        memory: int = MEMORY,
        background: int = 8,
        judges_age: Callable[[ProjectName], tuple[str, ...]] = _no_rules,
        wheels: WheelExaminer | None = None,
        say: Callable[[str], None],
        failed: Callable[[Failure], None],
    ) -> None:
        self._upstream = upstream
        self._cache = cache
        self._clock = clock
        self._in_thread = in_thread
        self._identity = identity
        self._first_seen = first_seen
        self._times = times or Ttls()
        self._offer = offer
        self._memory = ListingMemory(memory)
        self._removed = removed
        self._say = say
        self._failed = failed
        self._generations = count(1)
        self._shared = SingleFlight(failed)
        self._list: ProjectList | None = None
        self._list_until = self._unreachable_until = 0.0
        self._is_failing = False
        self._fetches = Fetches(
            upstream.name,
            upstream.open,
            cache,
            clock,
            in_thread,
            index=identity,
            learn=self._learn,
            doubt=self._doubt,
            failing_for=self._times.failing,
            background=background,
            wheels=wheels,
            say=say,
            failed=failed,
        )
        self._judges_age = judges_age
        self._has_told_of_dates = False
        self._dates = ModificationTimes(upstream.modified, clock, self._learn_dates, failed)
        self._tails = None if tail is None else RangeMetadataQueue(tail, clock, self._learn_tails, failed)
        self._sidecars = MetadataFiles(
            upstream.name,
            cache,
            clock,
            in_thread,
            index=identity,
            begin=upstream.open,
            fetches=self._fetches,
            shared=self._shared,
            tails=self._tails,
            found=self._found_metadata,
            say=say,
        )
        self._rechecks = FaultRechecker(self._fetches.probe, self._sidecars.fetch, self._found_again, failed)

    def take(self, times: Ttls) -> None:
        """Let answers be good for as long as this from now on; those that are fresh stay so for their time."""
        self._times = times

    def keeping(self) -> list[Deferred[None]]:
        """Return a Deferred for each file that is whole, which fires once it is kept."""
        return self._fetches.keeping()

    def stop(self) -> None:
        """Give up whatever is being fetched."""
        self._fetches.stop()

    # -- projects ---------------------------------------------------------------------------------------------------

    async def projects(self) -> ProjectList:
        """Every project of the upstream."""
        listed = self.projects_now()
        if listed is None:
            listed = await self._shared.do("projects", self._ask_for_list)
        return listed

    def projects_now(self) -> ProjectList | None:
        """The same, while that is fresh."""
        is_fresh = self._list is not None and self._clock.seconds() < self._list_until
        return self._list if is_fresh else None

    async def _ask_for_list(self) -> ProjectList:
        try:
            names = await self._upstream.projects()
        except UpstreamFailed as error:
            self._cannot(error)
            if self._list is None:
                raise
            return replace(self._list, stale=True)
        self._can()
        if self._list is None or self._list.names != names:
            self._list = ProjectList(names, next(self._generations))
        self._list_until = self._clock.seconds() + self._times.projects
        return self._list

    # -- one project ------------------------------------------------------------------------------------------------

    async def project(self, name: ProjectName) -> Project:
        """One project, as the upstream has it, or had it while it cannot be asked."""
        entry, stale = await self._current(name)
        return entry.project(stale=stale)

    def project_now(self, name: ProjectName) -> Project | None:
        """The same, while that is fresh."""
        entry = self._memory.get(name)
        if entry is not None and self._is_fresh(entry):
            self._memory.use(name)
            return entry.shown
        if self._clock.seconds() < self._memory.absent_until(name):
            raise NotHere(f"project {name}")
        return None

    async def _current(self, name: ProjectName) -> tuple[ListingEntry, bool]:
        """A project's entry, and whether it is stale."""
        if self.project_now(name) is not None:
            return self._memory.known(name), False
        entry = self._memory.get(name)
        asking: Deferred[tuple[ListingEntry, bool]] = Deferred.fromCoroutine(
            self._shared.do(name, lambda: self._ask(name))
        )
        if entry is not None:
            # Half of what pip waits for an answer.
            asking.addTimeout(self._times.patience, self._clock)
        try:
            return await asking
        except TookTooLong:
            assert entry is not None
            return entry, True

    async def _ask(self, name: ProjectName) -> tuple[ListingEntry, bool]:
        entry = self._memory.get(name) or await self._recall(name)
        now = self._clock.seconds()
        if entry is not None:
            if self._is_fresh(entry):
                return entry, False
            if now < max(entry.failing_until, self._unreachable_until):
                return entry, True
        try:
            listing = await self._ask_upstream(name, entry)
        except NotHere:
            self._can()
            await self._forget(name)
            raise
        except UpstreamFailed as error:
            self._cannot(error)
            if entry is None:
                raise
            # Its place may have been taken by one of which more is known.
            entry = self._memory.get(name) or entry
            entry.failing_until = self._clock.seconds() + self._times.failing
            return entry, True
        self._can()
        if listing is None:
            assert entry is not None
            entry = self._memory.get(name) or entry
            entry.fresh_until = self._fresh_until(entry.kept.fresh_for)
        else:
            entry = await self._place(name, listing, entry)
        self._memory.put(name, entry)
        self._begin_tails(name)
        if (now := self._memory.get(name)) is not None:
            self._rechecks.begin(now.kept.project, now.kept.faults, self._clock.seconds())
        if await self._read_dates(name):
            entry = self._memory.get(name) or entry
        return entry, False

    async def _ask_upstream(self, name: ProjectName, entry: ListingEntry | None) -> Listing | None:
        known = None if entry is None else Validators(entry.kept.etag, entry.kept.last_modified)
        listing = await self._upstream.project(name, known)
        if listing is None and entry is None:
            raise UpstreamFailed(
                self._upstream.name, "it says that nothing changed, of what was never asked for."
            )
        if listing is not None and listing.project.name != name:
            raise UpstreamFailed(self._upstream.name, f"it tells of {listing.project.name}, not of {name}.")
        return listing

    async def _recall(self, name: ProjectName) -> ListingEntry | None:
        """What is kept on the disk of a project."""
        found = await self._in_thread(self._read, name)
        if found is None:
            return None
        kept, shown = found
        # A clock that was put back must not make it fresh for years.
        is_past = kept.fetched_at <= self._clock.seconds()
        until = kept.fetched_at + self._times.fresh_for(kept.fresh_for) if is_past else 0.0
        entry = ListingEntry(kept, shown, until)
        self._memory.put(name, entry)
        return entry

    def _read(self, name: ProjectName) -> tuple[CachedListing, Project] | None:
        kept = self._cache.listing(self._identity, name)
        if kept is None:
            return None
        return kept, self._repaired(kept)

    def _repaired(self, kept: CachedListing) -> Project:
        now_ns = int(self._clock.seconds() * 1e9)
        seen = self._first_seen(
            self._identity, kept.project.name, files_without_upload_times(kept.project), now_ns
        )
        listed = with_modification_times(
            without_faults(kept.project, kept.faults), kept.file_facts, kept.modified
        )
        return self._offer(listed, kept.file_facts, seen, next(self._generations))

    async def _place(self, name: ProjectName, listing: Listing, entry: ListingEntry | None) -> ListingEntry:
        """Take a new listing in place of the one before."""
        fetched_at = self._clock.seconds()
        while True:
            before = self._memory.get(name) or entry
            file_facts = (
                {}
                if before is None
                else unchanged_facts(before.kept.file_facts, before.kept.project, listing.project)
            )
            validators = listing.validators
            kept = CachedListing(
                listing.project,
                validators.etag,
                validators.last_modified,
                listing.fresh_for,
                fetched_at,
                file_facts,
                {}
                if before is None
                else unchanged_faults(before.kept.faults, before.kept.project, listing.project),
                {}
                if before is None
                else unchanged_facts(before.kept.modified, before.kept.project, listing.project),
            )
            if before is not None:
                await self._tell_removed(before.kept, listing.project)
            kept, shown = await self._in_thread(self._keep, kept, before and before.shown)
            # Meanwhile something may have been learnt of one of its files.
            if (self._memory.get(name) or entry) is before:
                return ListingEntry(kept, shown, self._fresh_until(listing.fresh_for))

    def _keep(self, kept: CachedListing, before: Project | None) -> tuple[CachedListing, Project]:
        files = PackedFiles(sorted(kept.project.files, key=file_order))
        kept = replace(kept, project=replace(kept.project, files=files))
        self._cache.keep_listing(self._identity, kept)
        shown = self._repaired(kept)
        return kept, before if before is not None and before == shown else shown

    async def _forget(self, name: ProjectName) -> None:
        entry = self._memory.forget(name, self._clock.seconds() + self._times.absent)
        if entry is not None:
            await self._tell_removed(entry.kept, None)
            await self._in_thread(self._cache.drop_listing, self._identity, name)

    async def _tell_removed(self, before: CachedListing, now: Project | None) -> None:
        if self._removed is not None:
            left = set() if now is None else {file.filename for file in now.files}
            gone = [file for file in before.project.files if file.filename not in left]
            if gone:
                await self._in_thread(self._removed, self._identity, before, gone)

    def _is_fresh(self, entry: ListingEntry) -> bool:
        return bool(self._clock.seconds() < entry.fresh_until)

    def _fresh_until(self, said: float | None) -> float:
        return float(self._clock.seconds() + self._times.fresh_for(said))

    def _cannot(self, error: UpstreamFailed) -> None:
        if isinstance(error, UpstreamBusy):
            # It is not away.
            return
        if error.timed_out:
            # Else each of a hundred projects would be waited for as long.
            self._unreachable_until = self._clock.seconds() + self._times.failing
        if not self._is_failing:
            self._is_failing = True
            self._say(severity.warning(f"{error} What is kept of it here, if anything, is served meanwhile."))

    def _can(self) -> None:
        if self._is_failing:
            self._is_failing = False
            self._say(f"The upstream index {self._upstream.name} answers again.")
        self._unreachable_until = 0.0

    # -- files ------------------------------------------------------------------------------------------------------

    async def file(self, name: ProjectName, filename: str) -> Body:
        """A file, from the cache, or while it is fetched; or a wheel's metadata."""
        file, shown = await self._listed(name, filename)
        try:
            return await self._body(name, filename, file, shown)
        except (NotHere, FileRefused):
            # Signed links live for some minutes; pip and uv ask for the page each time they run.
            renewed = await self._listed_anew(name, filename, file)
            if renewed is None:
                raise
        return await self._body(name, filename, *renewed)

    async def _body(self, name: ProjectName, filename: str, file: File, shown: File) -> Body:
        if filename != file.filename:
            return await self._sidecars.body(name, file, shown)
        body = await self._held(name, file, shown)
        return body or await self._fetches.body(name, file, shown)

    async def location(self, name: ProjectName, filename: str) -> str:
        """Where the upstream has a file, or a wheel's metadata."""
        file, shown = await self._listed(name, filename)
        assert file.url is not None
        if filename == file.filename:
            return file.url
        if shown.metadata is None:
            raise NotHere(f"file {filename}")
        return metadata_url(file.url)

    async def _listed(self, name: ProjectName, filename: str) -> tuple[File, File]:
        """The distribution that is asked for by itself or by its sidecar, as the upstream has it and as it is offered."""
        entry, _ = await self._current(name)
        if entry.kept.project.status is Status.QUARANTINED:
            raise NotAllowed(f"The project {name} is quarantined; no file of it is offered.")
        distribution = filename.removesuffix(METADATA_SUFFIX)
        file = _file(entry.kept.project, distribution)
        shown = _file(entry.shown, distribution)
        if file is not None and shown is None and distribution in entry.kept.faults:
            # It may be right by now, and a client that has its URL from elsewhere is answered truly either way.
            shown = enriched_file(file, entry.kept.file_facts.get(distribution))
        if file is None or shown is None or file.url is None:
            # The reason of what is withheld here is for whoever may read the project, if it is public.
            reasons = (
                item.reason for item in entry.shown.withheld if item.public and item.filename == distribution
            )
            if (reason := next(reasons, None)) is not None:
                raise NotAllowed(reason)
            raise NotHere(f"file {filename}")
        return file, shown

    async def _listed_anew(self, name: ProjectName, filename: str, file: File) -> tuple[File, File] | None:
        """As :meth:`_listed`, after the listing was asked for once more; None if the file has no other URL there."""
        entry = self._memory.get(name)
        if entry is not None:
            now = _file(entry.kept.project, file.filename)
            if now is not None and now.url == file.url:
                entry.fresh_until = 0.0
        try:
            found = await self._listed(name, filename)
        except SimpleIndexError:
            return None
        return None if found[0].url == file.url else found

    async def _held(self, name: ProjectName, file: File, shown: File) -> Body | None:
        """The file, if the cache has it."""
        sha256, key = shown.sha256, UpstreamFileKey(self._identity, name, file.filename)
        if sha256 is None or self._fetches.is_under_way(name, file) or not self._cache.files.may_have(key):
            return None
        found = await open_in_thread(lambda: self._cache.files.open(key, sha256), self._in_thread)
        if found is None:
            return None
        descriptor, facts = found
        body = FileBody(descriptor, file.filename, sha256, self._in_thread)
        if shown.size is None or (facts.sidecar is not None and shown.metadata is None):
            assert body.size is not None
            entry = self._memory.get(name)
            before = None if entry is None else entry.kept.file_facts.get(file.filename)
            modified_ns = None if before is None else before.modified_ns
            learning = self._learn(name, file, facts_of_file(facts, body.size, modified_ns))
            Deferred.fromCoroutine(learning).addErrback(self._failed)
        body.modified_ns = shown.uploaded_ns
        return body

    # -- what the ends of wheels tell --

    def _begin_tails(self, name: ProjectName) -> None:
        """Read the ends of the newest wheels, while nobody waits for it."""
        entry = self._memory.get(name)
        if self._tails is None or entry is None:
            return
        kept = entry.kept
        if kept.project.status is not Status.QUARANTINED:
            listed = without_faults(kept.project, kept.faults)
            self._tails.begin(name, wheels_without_metadata(listed, kept.file_facts))

    async def _learn_tails(self, name: ProjectName, file_facts: Mapping[File, FileFacts]) -> None:
        while (entry := self._memory.get(name)) is not None:
            # What whole files taught meanwhile, and what has changed upstream, counts.
            more = {
                file.filename: each
                for file, each in file_facts.items()
                if file.filename not in entry.kept.file_facts
                and _file(entry.kept.project, file.filename) == file
            }
            if not more or await self._replace(name, entry, {**entry.kept.file_facts, **more}):
                return

    async def _doubt(self, name: ProjectName, file: File, error: SimpleIndexError) -> None:
        """What a listing says of a file is not so: ask for it anew before it is believed again, and offer the file no more."""
        entry = self._memory.get(name)
        if entry is None:
            return
        entry.fresh_until = 0.0
        known = entry.kept.file_facts.get(file.filename)
        if known is not None and None in (file.sha256, known.sha256):
            # What was known of the file before may be what is not so.
            file_facts = {key: value for key, value in entry.kept.file_facts.items() if key != file.filename}
            await self._replace(name, entry, file_facts)
            return
        await self._note(name, file, file.filename, why_not_offered(self._upstream.name, file, error))

    async def _found_metadata(
        self, name: ProjectName, file: File, error: SimpleIndexError | None, file_facts: FileFacts | None
    ) -> None:
        """Offer metadata no more that are not there, but those that the wheel itself has."""
        if file_facts is not None:
            await self._learn_tails(name, {file: file_facts})
        reason = (
            None if error is None else f"{file.filename} is listed with metadata that are not there: {error}"
        )
        await self._note(name, file, file.filename + METADATA_SUFFIX, reason)

    async def _note(self, name: ProjectName, file: File, key: str, reason: str | None) -> None:
        """Note what is wrong with a listed file or its metadata; None if it is right."""
        while (entry := self._memory.get(name)) is not None:
            before = entry.kept.faults.get(key)
            listed = _file(entry.kept.project, file.filename)
            if (
                listed is None
                or identity_of(listed) != identity_of(file)
                or (before is None and reason is None)
            ):
                return
            faults = {other: fault for other, fault in entry.kept.faults.items() if other != key}
            if reason is not None:
                faults[key] = renewed_fault(before, reason, self._clock.seconds())
                if before is not None and before == faults[key]:
                    return
            if await self._replace(name, entry, entry.kept.file_facts, faults):
                return

    async def _read_dates(self, name: ProjectName) -> bool:
        """Ask when files were modified that have no upload time, if a rule will judge that; return whether any was asked about."""
        entry = self._memory.get(name)
        rules = self._judges_age(name)
        if entry is None or not rules:
            return False
        kept = entry.kept
        files = files_without_dates(kept.project, kept.file_facts, kept.modified)
        if files and not self._has_told_of_dates:
            self._has_told_of_dates = True
            self._say(severity.warning(no_upload_times(self._upstream.name, rules)))
        if files:
            await self._dates.read(name, files)
        return bool(files)

    async def _learn_dates(self, name: ProjectName, found: Mapping[str, int]) -> None:
        while (entry := self._memory.get(name)) is not None:
            there = {file.filename for file in entry.kept.project.files}
            more = {
                key: time for key, time in found.items() if key in there and key not in entry.kept.modified
            }
            kept = replace(entry.kept, modified={**entry.kept.modified, **more})
            if not more or await self._put(name, entry, kept):
                return

    async def _found_again(
        self, name: ProjectName, file: File, key: str, error: SimpleIndexError | None
    ) -> None:
        """Note what came of another look."""
        reason = None if error is None else why_not_offered(self._upstream.name, file, error)
        await self._note(name, file, key, reason)

    async def _learn(self, name: ProjectName, file: File, file_facts: FileFacts) -> None:
        """Say from now on what a file itself taught."""
        while (entry := self._memory.get(name)) is not None:
            if _file(entry.kept.project, file.filename) != file:
                return
            shown = _file(entry.shown, file.filename)
            seen = shown.uploaded_ns if shown is not None and shown.dated_by == FIRST_SEEN else None
            if enriched_file(file, file_facts, seen) == shown and file.filename not in entry.kept.faults:
                return
            before = entry.kept.file_facts.get(file.filename)
            if before is not None and before.sha256 is None and before.sidecar != file_facts.sidecar:
                self._say(
                    severity.warning(
                        f"{file.filename} of {self._upstream.name} has other metadata than a part of it that was read before had."
                    )
                )
            more = {**entry.kept.file_facts, file.filename: file_facts}
            faults = {key: fault for key, fault in entry.kept.faults.items() if key != file.filename}
            if await self._replace(name, entry, more, faults):
                return

    async def _replace(
        self,
        name: ProjectName,
        entry: ListingEntry,
        file_facts: Mapping[str, FileFacts],
        faults: Mapping[str, ListingFault] | None = None,
    ) -> bool:
        """Put an entry in the place of one of which less was known, unless somebody else has done so."""
        faults = entry.kept.faults if faults is None else faults
        return await self._put(name, entry, replace(entry.kept, file_facts=file_facts, faults=faults))

    async def _put(self, name: ProjectName, entry: ListingEntry, now: CachedListing) -> bool:
        kept, shown = await self._in_thread(self._keep, now, entry.shown)
        if self._memory.get(name) is not entry:
            return False
        self._memory.put(name, ListingEntry(kept, shown, entry.fresh_until, entry.failing_until))
        return True


def _file(project: Project, filename: str) -> File | None:
    return next((file for file in project.files if file.filename == filename), None)
