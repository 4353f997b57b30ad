"""Changes of a bucket: the store decides between writers, by conditions on what is there. Blocking.

An upload comes to its key last, after its side files, so that nothing of it is listed before it is whole. Small objects that many
change (the ledger, the project file) are put only in the place of the content that was read, and read again otherwise.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from functools import partial
from hashlib import file_digest
from typing import TYPE_CHECKING, BinaryIO, Final

from simpleindex.bucket.facts import SHA256, object_metadata, publication_mark
from simpleindex.bucket.locks import LONGEST_PUT, lock_change, lock_upload
from simpleindex.bucket.small_objects import change_small_object
from simpleindex.bucket.store_errors import ConditionFailed, MissingObject
from simpleindex.core.distribution_identity import all_spellings, same_distribution
from simpleindex.core.errors import CannotStore, NotHere
from simpleindex.core.faults import Fault
from simpleindex.core.names import (
    LEDGER,
    PROJECT_FILE,
    PROVENANCE_SUFFIX,
    SIDE_FILE_SUFFIXES,
    distribution_suffix,
    parse_distribution_name,
)
from simpleindex.core.text import printable
from simpleindex.directory.ledger import UNKNOWN_DIGEST, used_names, with_deleted, with_freed
from simpleindex.publishing.errors import AlreadyExists, NameUsed
from simpleindex.publishing.local.deletions import DeletedFile
from simpleindex.publishing.local.present_files import StoredFile
from simpleindex.publishing.local.trash import TRASH
from simpleindex.publishing.name_claim import NameClaim
from simpleindex.records.owners import UndecidedClaim
from simpleindex.system.atomic import storing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from simpleindex.archives.archive_info import ArchiveInfo
    from simpleindex.bucket.key_tree import ObjectState
    from simpleindex.bucket.locks import Locks
    from simpleindex.bucket.package_bucket import PackageBucket
    from simpleindex.core.names import DistributionName, ProjectName
    from simpleindex.publishing.local.staging import StagedUpload
    from simpleindex.publishing.project_file_edits import ProjectFileChange

_TRIES: Final = 20
"""How often a small object is read and put again while others change it."""


class BucketWriter:
    """Writes into a bucket; any number of writers may exist, on any number of nodes.

    Args:
        bucket: The bucket.
        locks: Keep writers of one project apart.
        now: Seconds since 1970.
    """

    def __init__(self, bucket: PackageBucket, locks: Locks, now: Callable[[], float] = time.time) -> None:
        self._bucket = bucket
        self._locks = locks
        self._store = bucket.store
        self._now = now

    # -- uploads ----------------------------------------------------------------------------------------------------

    def publish(
        self,
        draft: StagedUpload,
        name: DistributionName,
        info: ArchiveInfo | None,
        side_files: Mapping[str, bytes],
        claim: NameClaim | None = None,
        *,
        overwrite: bool,
    ) -> StoredFile:
        """Put an uploaded file at its key.

        Args:
            draft: The whole file.
            name: Its name.
            info: What its examination found, for other nodes.
            side_files: Their content, by suffix.
            claim: Made under the lock of the project, before the file is put, and settled under it after that.
            overwrite: Whether it may replace another file, and take the name of a deleted one.

        Raises:
            AlreadyExists: Another file has that name, or the distribution exists under another name.
            NameUsed: A deleted file had it, or another spelling of it.
            CannotStore: The store cannot be written to.
        """
        metadata = {SHA256: draft.finish().sha256} if info is None else object_metadata(info)
        put = partial(self._put, draft, metadata, side_files)
        publish = partial(self._publish, draft, name, put, claim or NameClaim(), overwrite=overwrite)
        with storing(f"{name.project}/{name.filename}"):
            with suppress(UndecidedClaim), lock_upload(self._locks, name):
                return publish()
            # Once no other upload has the lock, it has no files only if the one that made the claim was killed, or comes late.
            with lock_change(self._locks, name.project):
                return publish(may_run_for=LONGEST_PUT)

    def _publish(
        self,
        draft: StagedUpload,
        name: DistributionName,
        put: Callable[[str, ObjectState | None], None],
        claim: NameClaim,
        *,
        overwrite: bool,
        may_run_for: float | None = None,
    ) -> StoredFile:
        digests, key = draft.finish(), f"{name.project}/{name.filename}"
        for _ in range(_TRIES):
            present = self._present(name.project)
            if (before := present.get(name.filename)) is None:
                self._require_name(name, present, overwrite=overwrite)
            elif (sha256 := self._digest_of(before)) != digests.sha256 and not overwrite:
                raise AlreadyExists(name.filename, sha256)
            claim.make(partial(bool, [*filter(distribution_suffix, present)]), may_run_for=may_run_for)
            if before is not None and sha256 == digests.sha256:
                claim.settle()  # that of the first time may not be, after a kill or a lost answer
                return StoredFile(before.key, sha256, created=False)
            with suppress(ConditionFailed):
                put(key, before)
                if claim.settle():
                    return StoredFile(key if before is None else before.key, digests.sha256, created=True)
                # The lock ended with its session during a long put, and another user has taken the name: the file is not theirs.
                for suffix in ("", *SIDE_FILE_SUFFIXES):
                    self._store.delete(key + suffix)
                break
        raise CannotStore(f"{key} is being changed by another writer; try again later.", fault=Fault.BUSY)

    def _put(
        self,
        draft: StagedUpload,
        metadata: Mapping[str, str],
        side_files: Mapping[str, bytes],
        key: str,
        before: ObjectState | None,
    ) -> None:
        digests, place = draft.finish(), before.key if before else key
        if before is not None:
            # A missing signature does less harm than one of another file.
            self._delete_side_files(before.key)
        elif PROVENANCE_SUFFIX not in side_files and self._bucket.tree.file(key + PROVENANCE_SUFFIX):
            # Of an upload of other bytes that was killed before its file came.
            self._store.delete(key + PROVENANCE_SUFFIX)
        for suffix, data in side_files.items():
            self._store.overwrite(place + suffix, data)
        metadata = {**metadata, **publication_mark(self._bucket.root, place)}
        with draft.reader() as file:
            if before is None:
                self._store.create(key, file, digests.size, digests.sha256, metadata)
            else:
                self._store.replace(place, file, digests.size, digests.sha256, metadata, before.etag)

    def _present(self, project: ProjectName) -> Mapping[str, ObjectState]:
        """Return the files of a project now, by name; the preferred place of each."""
        self._bucket.list_project(project)
        directories, loose = self._bucket.places_of(project)
        tree = self._bucket.tree
        present = {filename: tree.loose[filename] for filename in loose if filename in tree.loose}
        for raw in reversed(directories):
            present.update(tree.directories.get(raw, {}))
        return present

    def _require_name(
        self, name: DistributionName, present: Mapping[str, ObjectState], *, overwrite: bool
    ) -> None:
        for filename in same_distribution(name, present, formats_may_differ=False):
            raise AlreadyExists(filename, self._digest_of(present[filename]), name.filename)
        if overwrite:
            return
        used = self.used_names(name.project)
        if name.filename in used:
            raise NameUsed(name.filename)
        for filename in same_distribution(name, used, formats_may_differ=False):
            raise NameUsed(filename, name.filename)

    def _digest_of(self, file: ObjectState) -> str:
        _, metadata = self._store.state(file.key)
        if SHA256 in metadata:
            return metadata[SHA256]
        with open(self._bucket.open_file(file.key, file.stamp), "rb") as copy:
            return file_digest(copy, "sha256").hexdigest()

    # -- deletions --------------------------------------------------------------------------------------------------

    def filenames(self, project: ProjectName) -> tuple[str, ...]:
        """Return the names of the stored distribution files.

        Raises:
            NotHere: There is no such project.
            CannotStore: The store cannot be used.
        """
        with storing(project):
            self._bucket.list_project(project)
        places = self._bucket.places_of(project)
        if not any(places):
            raise NotHere(f"project {project}")
        return tuple(sorted({entry.filename for entry in self._bucket.look(*places).entries}))

    def delete(self, project: ProjectName, filenames: Iterable[str], *, who: str) -> tuple[DeletedFile, ...]:
        """Move files of a project into the trash; their names stay used.

        Raises:
            NotHere: One of the files does not exist; then none is deleted.
            CannotStore: The store cannot be written to.
        """
        with storing(project), lock_change(self._locks, project):
            present = self._present(project)
            for filename in (unique := [*dict.fromkeys(filenames)]):
                if filename not in present:
                    raise NotHere(f"file {printable(filename)} of the project {project}")
            keys = [present[filename].key for filename in unique]
            digests = {key: self._store.state(key)[1].get(SHA256, UNKNOWN_DIGEST) for key in keys}
            self._change_ledger(project, partial(self._with_deleted, digests, who))
            return tuple(
                DeletedFile(key, sha256, self._throw_away(project, key)) for key, sha256 in digests.items()
            )

    def _with_deleted(self, digests: Mapping[str, str], who: str, ledger: bytes) -> bytes:
        for key, sha256 in digests.items():
            ledger = with_deleted(ledger, sha256, key.rpartition("/")[2], now=self._now(), who=who)
        return ledger

    def _throw_away(self, project: ProjectName, key: str) -> str:
        moment = datetime.fromtimestamp(self._now(), UTC)
        place = f"{TRASH}/{moment.date().isoformat()}/{project}/{moment.strftime('%H%M%S%f')}"
        filename = key.rpartition("/")[2]
        # Copied before it is deleted: at any moment it is in one of the two places.
        for suffix in ("", *SIDE_FILE_SUFFIXES):
            with suppress(MissingObject):
                self._store.copy(key + suffix, f"{place}/{filename}{suffix}")
        self._store.delete(key)
        self._delete_side_files(key)
        return f"{place}/{filename}"

    def _delete_side_files(self, key: str) -> None:
        for suffix in SIDE_FILE_SUFFIXES:
            if self._bucket.tree.file(key + suffix) is not None:
                self._store.delete(key + suffix)

    def undelete(self, project: ProjectName, filename: str, *, who: str) -> StoredFile:
        """Take a deleted file out of the trash: the one that was deleted last.

        Raises:
            NotHere: There is none in the trash.
            AlreadyExists: A file of that name exists, or the same distribution under another name.
            CannotStore: The store cannot be written to.
        """
        name = parse_distribution_name(filename, project)
        key = f"{project}/{filename}"
        with storing(key), lock_change(self._locks, project), ExitStack() as stack:
            trashed = [
                each
                for each in self._store.list(f"{TRASH}/")
                if each.key.split("/")[2:3] == [project] and each.key.endswith(f"/{filename}")
            ]
            if not trashed:
                raise NotHere(f"deleted file {filename} of the project {project}")
            source = max(trashed, key=lambda each: each.key)
            present = self._present(project)
            content = stack.enter_context(open(self._bucket.download(source), "rb"))
            sha256 = file_digest(content, "sha256").hexdigest()
            for other in (filename, *same_distribution(name, present, formats_may_differ=True)):
                if other not in present:
                    continue
                there = self._digest_of(present[other])
                # The same file is there after an undeletion that was cut off, which this one completes.
                if other != filename or there != sha256:
                    raise AlreadyExists(other, there, None if other == filename else filename)
            if filename not in present:
                self._put_back(source, key, content, sha256)
            self._change_ledger(project, partial(with_freed, filename=filename, now=self._now(), who=who))
            for suffix in ("", *SIDE_FILE_SUFFIXES):
                self._store.delete(source.key + suffix)
            return StoredFile(key, sha256, created=True)

    def _put_back(self, trashed: ObjectState, key: str, content: BinaryIO, sha256: str) -> None:
        _, metadata = self._store.state(trashed.key)
        metadata = {**metadata, **publication_mark(self._bucket.root, key)}
        for suffix in SIDE_FILE_SUFFIXES:
            with suppress(MissingObject):
                self._store.copy(trashed.key + suffix, key + suffix)
        try:
            content.seek(0)
            self._store.create(key, content, trashed.size, sha256, metadata)
        except ConditionFailed:
            raise AlreadyExists(key.rpartition("/")[2], sha256) from None

    def used_names(self, project: ProjectName) -> frozenset[str]:
        """Return the names of a project's deleted files.

        Raises:
            OSError: The store cannot be used.
        """
        try:
            ledger, _ = self._store.read(f"{project}/{LEDGER}")
        except MissingObject:
            return frozenset()
        return used_names(ledger)

    def free_name(self, project: ProjectName, filename: str, *, who: str) -> bool:
        """Let a name be used again, in every spelling that a deleted file had; return whether it was used.

        Raises:
            CannotStore: The store cannot be written to.
        """
        with storing(f"{project}/{LEDGER}"), lock_change(self._locks, project):
            freed = [*all_spellings(filename, project, self.used_names(project))]
            for name in freed:
                self._change_ledger(project, partial(with_freed, filename=name, now=self._now(), who=who))
        return bool(freed)

    def _change_ledger(self, project: ProjectName, change: Callable[[bytes], bytes]) -> None:
        change_small_object(self._store, f"{project}/{LEDGER}", lambda before: change(before or b""))

    # -- yanks and status -------------------------------------------------------------------------------------------

    def edit_project_file(self, project: ProjectName, change: ProjectFileChange) -> bool:
        """Change a project's ``simpleindex.toml``; return whether it changed.

        Args:
            project: The project.
            change: Takes the content, or None without one, and returns the new one; None for none.

        Raises:
            NotHere: There is no such project.
            InvalidProjectFile: The file is not valid, and was not changed.
            CannotStore: The store cannot be written to.
        """
        key = f"{project}/{PROJECT_FILE}"
        with storing(key), lock_change(self._locks, project):
            self._bucket.list_project(project)
            if not any(self._bucket.places_of(project)):
                raise NotHere(f"project {project}")
            return change_small_object(self._store, key, partial(_kept, change))


def _kept(change: ProjectFileChange, before: bytes | None) -> bytes | None:
    """Change a project file so that it stays: an edit must not free a name that is taken, and a deletion has no condition."""
    after = change(before)
    return b'status = "active"\n' if after is None and before is not None else after
