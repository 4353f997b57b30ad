"""Which changes of a project's files were made by nodes, which have recorded them, and not by hand. Blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.bucket.facts import is_published_by_node
from simpleindex.bucket.store_errors import MissingObject
from simpleindex.core.names import LEDGER
from simpleindex.directory.ledger import used_names

if TYPE_CHECKING:
    from simpleindex.bucket.package_bucket import PackageBucket
    from simpleindex.core.names import ProjectName
    from simpleindex.directory.live.listing_changes import FileChanges


def files_changed_by_nodes(
    bucket: PackageBucket, project: ProjectName, files: FileChanges
) -> frozenset[tuple[bool, str]]:
    """Return whether it went, and the name, of each file that a node has uploaded or deleted.

    Args:
        bucket: The bucket, in which the change is listed.
        project: The project.
        files: What changed.

    Raises:
        OSError: The store cannot be used.
    """
    made = {
        (False, each) for each in (*files.changed, *files.appeared) if _is_uploaded(bucket, project, each)
    }
    if files.vanished:
        deleted = _deleted(bucket, project)
        made |= {(True, each) for each in files.vanished if each in deleted}
    return frozenset(made)


def _is_uploaded(bucket: PackageBucket, project: ProjectName, filename: str) -> bool:
    directories, _ = bucket.places_of(project)
    for key in (*(f"{raw}/{filename}" for raw in directories), filename):
        if bucket.tree.file(key) is None:
            continue
        try:
            _, metadata = bucket.store.state(key)
        except MissingObject:
            continue
        if is_published_by_node(metadata, bucket.root, key):
            return True
    return False


def _deleted(bucket: PackageBucket, project: ProjectName) -> frozenset[str]:
    try:
        ledger, _ = bucket.store.read(f"{project}/{LEDGER}")
    except MissingObject:
        return frozenset()
    return used_names(ledger)
