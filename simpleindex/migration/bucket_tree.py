"""The bucket of pypicloud, or any other with distributions in it, read in place. Blocking."""

from __future__ import annotations

import hashlib
import re
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from simpleindex.bucket.object_store import ObjectStore
from simpleindex.bucket.store_errors import ConditionFailed
from simpleindex.core import bounds
from simpleindex.core.names import SIDE_FILE_SUFFIXES
from simpleindex.migration.errors import InvalidImportSource, NotImported
from simpleindex.migration.local_files import LocalContent, TreeFile
from simpleindex.migration.package_tree import PackageTree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import FileIO

    from simpleindex.bucket.key_tree import ObjectState
    from simpleindex.config.bucket_location import BucketLocation

_DIGEST_KEY: Final = "hash_sha256"
"""Under which pypicloud notes a digest in an object's metadata."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class SourceBucket:
    """The objects of another server, as :class:`simpleindex.migration.local_files.SourceDirectory` has its files.

    Raises:
        RefusedStart: It cannot be used.
        InvalidImportSource: It cannot be listed.
    """

    def __init__(self, location: BucketLocation) -> None:
        self._store = ObjectStore(location)
        try:
            self._store.require_bucket()
            self._objects = {each.key: each for each in self._store.list()}
        except OSError as error:
            raise InvalidImportSource(f"{location} cannot be listed: {error.strerror}.") from None

    def walk(self) -> Iterator[TreeFile]:
        """Yield every object; those below a key with a dot in front are a server's own."""
        for key, state in sorted(self._objects.items()):
            if not any(part.startswith(".") for part in key.split("/")):
                yield TreeFile(key, state.size, state.modified_ns)

    def open(self, path: str) -> LocalContent:
        """Fetch an object, and open what was fetched.

        Raises:
            NotImported: It cannot be read.
        """
        state = self._state(path)
        # Closed with the content: the file has no name.
        file: FileIO = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        try:
            with _readable():
                self._store.download(path, state.etag, file)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return LocalContent(file, state.modified_ns)

    def sha256(self, path: str) -> str:
        """Return the digest of an object, which is fetched for it; errors as for :meth:`open`."""
        content, digest = self.open(path), hashlib.sha256()
        try:
            while data := content.read():
                digest.update(data)
        finally:
            content.close()
        return digest.hexdigest()

    def stated_sha256(self, path: str) -> str | None:
        """Return the digest in an object's metadata; None if there is none."""
        try:
            with _readable():
                _, metadata = self._store.state(path)
        except NotImported:
            return None
        stated = metadata.get(_DIGEST_KEY, "")
        return stated if _SHA256.fullmatch(stated) else None

    def beside(self, path: str) -> Mapping[str, bytes]:
        """Return signatures and provenance beside an object, by suffix; what cannot be read is left out."""
        found = {}
        for suffix in SIDE_FILE_SUFFIXES:
            state = self._objects.get(path + suffix)
            if state is not None and state.size <= bounds.PROVENANCE.most:
                try:
                    with _readable():
                        found[suffix] = self._store.read(state.key, state.etag)[0]
                except NotImported:
                    continue
        return found

    def _state(self, path: str) -> ObjectState:
        try:
            return self._objects[path]
        except KeyError:
            raise NotImported("it is not in the bucket") from None


class BucketTree(PackageTree):
    """The distributions of a bucket, read as those of a directory."""

    is_local = False


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except ConditionFailed:
        raise NotImported("it changed while it was read; import again") from None
    except OSError as error:
        raise NotImported(f"it cannot be read: {error.strerror}") from None
