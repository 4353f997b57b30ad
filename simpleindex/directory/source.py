"""The three questions, answered from a local directory."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred

from simpleindex.archives.archive_info import ArchiveInfo
from simpleindex.archives.errors import BrokenArchive
from simpleindex.core.caches import SizedCache
from simpleindex.core.errors import Changed, NotAllowed, NotHere, NothingYet, Unavailable
from simpleindex.core.model import Status
from simpleindex.core.names import METADATA_SUFFIX, SIDE_FILE_SUFFIXES
from simpleindex.core.source import Delivery, FileOrigin
from simpleindex.core.views import LOCAL
from simpleindex.system.bodies import BytesBody, FileBody
from simpleindex.system.descriptors import keep_reserve
from simpleindex.system.errors import own_trouble

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from simpleindex.core.model import Project, ProjectList
    from simpleindex.core.names import ProjectName
    from simpleindex.core.source import Body
    from simpleindex.directory.layout.package_directory import PackageDirectory
    from simpleindex.directory.live.live_directory import LiveDirectory
    from simpleindex.directory.scan.scanned_files import ScannedFile
    from simpleindex.directory.scan.snapshot import ProjectSnapshot
    from simpleindex.system.stamp import Stamp

SIDECAR_CACHE_SIZE: Final = 16 * 1024 * 1024
"""Bytes of extracted METADATA kept in memory; a resolver asks for many small ones, a few of them often."""


class LocalSource:
    """A source over a live directory.

    Args:
        live: The snapshots.
        directory: Where the bytes are.
        in_read_thread: Calls a short blocking function in a thread.
        slow_opens: Whether opening a file may block for long (a network file system), so that it needs a thread.
        name: The name of the directory among the sources.
    """

    def __init__(
        self,
        live: LiveDirectory,
        directory: PackageDirectory,
        in_read_thread: Callable[..., Awaitable[Any]],
        *,
        slow_opens: bool = False,
        name: str = LOCAL,
    ) -> None:
        self._live = live
        self._directory = directory
        self._in_read_thread = in_read_thread
        self._slow_opens = slow_opens
        self._origin = FileOrigin(name, Delivery.DIRECTORY)
        self._sidecars: SizedCache[str, bytes] = SizedCache(SIDECAR_CACHE_SIZE, len)
        self._passing: set[ProjectName] = set()

    async def projects(self) -> ProjectList:
        """Every project that is offered."""
        return await self._live.project_list()

    async def project(self, name: ProjectName) -> Project:
        """One project."""
        snapshot = await self._live.up_to_date(name)
        if snapshot is None or snapshot.project is None:
            raise self._absent(name)
        return snapshot.project  # Not by _project: this is called with every page.

    @contextmanager
    def in_passing(self, name: ProjectName) -> Iterator[None]:
        """Keep no project in memory that is read within the block, for callers that read each project once."""
        snapshots = self._live.snapshots
        was_at_rest = name not in snapshots.unpacked
        self._passing.add(name)
        try:
            yield
        finally:
            self._passing.discard(name)
            if was_at_rest:
                snapshots.let_rest(name)

    def listing_digest(self, name: ProjectName) -> int | None:
        """Return a number for what is listed of a project, the same after a restart; None while it is not known.

        Usable from any thread, and a tenth of the work that reading the project is.
        """
        return self._live.snapshots.listing_digest(name)

    def claims(self, name: ProjectName) -> bool:
        """Return whether a name is this directory's, or may be, by what is in memory: no upstream's list shows it."""
        return self._live.claims(name)

    async def file(self, name: ProjectName, filename: str) -> Body:
        """One file, its sidecar, or a signature or provenance beside it."""
        snapshot = await self._live.up_to_date(name)
        try:
            return await self._open(name, filename, snapshot)
        except NotHere:
            # Another worker may have listed it already.
            if snapshot is None or not self._live.is_behind(name, snapshot):
                raise
        except (Changed, BrokenArchive, OSError) as error:
            if (trouble := own_trouble(error)) is not None and trouble.is_passing:
                raise
        # The disk is ahead of the snapshot: let it catch up, and answer from what is there then.
        snapshot = await self._live.rescanned(name)
        try:
            return await self._open(name, filename, snapshot)
        except (Changed, BrokenArchive, OSError) as error:
            if own_trouble(error) is not None:
                raise
            raise Unavailable(f"{filename} is changing, or cannot be read now.", retry_after=2) from None

    async def _open(self, name: ProjectName, filename: str, snapshot: ProjectSnapshot | None) -> Body:
        project = self._project(name, snapshot)
        assert snapshot is not None  # else that has raised
        if project.status is Status.QUARANTINED:
            raise NotAllowed(f"The project {name} is quarantined; no file of it is offered.")
        if snapshot.doubtful:
            self._require_unchanged(snapshot, filename)
        if filename.endswith(METADATA_SUFFIX):
            return await self._sidecar(snapshot, filename)
        path = _path(snapshot, filename)
        known = snapshot.known.get(path) if path else None
        if path is None or known is None or known.stamp is None:
            raise NotHere(f"file {filename}")
        if isinstance(known.outcome, ArchiveInfo):
            sha256 = known.outcome.sha256
        elif isinstance(known.outcome, str):
            sha256 = known.outcome
        else:
            raise NotHere(f"file {filename}")
        return await self._file_body(path, known.stamp, filename, sha256)

    def _require_unchanged(self, snapshot: ProjectSnapshot, filename: str) -> None:
        """Raise Changed for a file whose state changed: reading it once more took too long."""
        path = _path(snapshot, filename.removesuffix(METADATA_SUFFIX))
        known = None if path is None else snapshot.known.get(path)
        if path is not None and known is not None and self._directory.stamp(path) != known.stamp:
            raise Changed(filename)

    async def _file_body(self, path: str, stamp: Stamp, filename: str, sha256: str) -> Body:
        body = FileBody(await self._descriptor(path, stamp), filename, sha256, self._in_read_thread)
        body.origin = self._origin
        if not body.stamp.may_be(stamp):
            # Written to between the look at the open file and the state that the body compares with from now on.
            body.close()
            raise Changed(filename)
        return body

    def _project(self, name: ProjectName, snapshot: ProjectSnapshot | None) -> Project:
        if snapshot is None or snapshot.project is None:
            raise self._absent(name)
        return snapshot.project

    def _absent(self, name: ProjectName) -> NotHere | Unavailable:
        reason = self._live.why_own(name)
        return NotHere(f"project {name}") if reason is None else NothingYet(f"project {name}", reason)

    async def _sidecar(self, snapshot: ProjectSnapshot, filename: str) -> Body:
        path = snapshot.chosen.get(filename.removesuffix(METADATA_SUFFIX))
        known = snapshot.known.get(path) if path else None
        if path is None or known is None or known.stamp is None or not isinstance(known.outcome, ArchiveInfo):
            raise NotHere(f"file {filename}")
        facts, stamp = known.outcome, known.stamp
        if facts.sidecar is None:
            raise NotHere(f"file {filename}")
        data = self._sidecars.get(facts.sidecar.sha256)
        if data is not None and not self._slow_opens:
            # The sidecar goes with its wheel: where the wheel is no longer the listed one, neither is served.
            now = self._directory.stamp(path)
            if now is None or not now.may_be(stamp):
                raise Changed(filename)
        else:
            data = await self._in_read_thread(self._extract, path, known)
            if snapshot.project is None or snapshot.project.name not in self._passing:
                self._sidecars.put(facts.sidecar.sha256, data)
        return BytesBody(data, facts.sidecar.sha256, stamp.mtime_ns)

    def _extract(self, path: str, known: ScannedFile) -> bytes:
        """Read the metadata in a wheel that is listed; blocking."""
        assert known.stamp is not None
        assert isinstance(known.outcome, ArchiveInfo)
        from simpleindex.archives.inspect import read_sidecar  # noqa: PLC0415  (7 modules, with the first metadata)

        descriptor = self._directory.open_file(path, known.stamp)
        try:
            return read_sidecar(lambda length, offset: os.pread(descriptor, length, offset), known.outcome)
        finally:
            os.close(descriptor)

    async def _descriptor(self, path: str, stamp: Stamp) -> int:
        if not self._slow_opens:
            return keep_reserve(self._directory.open_file(path, stamp))
        wanted: Deferred[int] = Deferred()

        async def open_in_thread() -> int:
            descriptor: int = await self._in_read_thread(self._directory.open_file, path, stamp)
            return keep_reserve(descriptor)

        def hand_over(descriptor: int) -> None:
            # The client may have left by now, and a thread's result cannot be called back.
            if wanted.called:
                os.close(descriptor)
            else:
                wanted.callback(descriptor)

        Deferred.fromCoroutine(open_in_thread()).addCallbacks(hand_over, wanted.errback)
        return await wanted


def _path(snapshot: ProjectSnapshot, filename: str) -> str | None:
    """Return the path of a listed file, or of a side file next to one; None if it is neither."""
    if filename in snapshot.chosen:
        return snapshot.chosen[filename]
    suffix = next((suffix for suffix in SIDE_FILE_SUFFIXES if filename.endswith(suffix)), None)
    if suffix is None or filename.removesuffix(suffix) not in snapshot.chosen:
        return None
    return snapshot.chosen[filename.removesuffix(suffix)] + suffix
