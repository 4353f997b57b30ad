"""Read every distribution to its end once more, and compare it with what is listed of it. Blocking."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final

from simpleindex.core.names import METADATA_SUFFIX
from simpleindex.diagnosis.digests import MetadataBeside, ReadAgain
from simpleindex.directory.layout.package_directory import PackageDirectory
from simpleindex.directory.scan.digest_cache import DigestCache
from simpleindex.service.places import excluded_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simpleindex.archives.archive_info import ArchiveInfo
    from simpleindex.config.settings import Settings

_PIECE: Final = 1 << 20


def read_again(
    settings: Settings, expect: Callable[[int], None], advance: Callable[[int], None]
) -> tuple[list[ReadAgain], list[MetadataBeside]]:
    """Read the files of a directory again whose digests are remembered; those were true when a file was new.

    Args:
        settings: Their ``path`` is the directory.
        expect: Called with the number of bytes that there are.
        advance: Called with the number of bytes that were read.

    Returns:
        The files, and the metadata files that lie beside wheels.
    """
    directory = PackageDirectory(str(settings.path), excluded_paths(settings))
    digests = DigestCache(str(settings.cache), directory.root)
    digests.open()
    try:
        remembered = list(_remembered(directory, digests))
    finally:
        digests.close()
    expect(sum(size for _, _, _, size in remembered))
    files, beside = [], []
    for project, path, facts, _ in remembered:
        now, trouble = _digest(path, advance)
        files.append(ReadAgain(path, project, os.path.basename(path), facts.sha256, now, trouble))
        if (
            facts.sidecar is not None
            and (digest := _digest(f"{path}{METADATA_SUFFIX}", _nothing)[0]) is not None
        ):
            beside.append(MetadataBeside(f"{path}{METADATA_SUFFIX}", digest == facts.sidecar.sha256))
    return files, beside


def _remembered(
    directory: PackageDirectory, digests: DigestCache
) -> Iterator[tuple[str, str, ArchiveInfo, int]]:
    """Yield project, path, facts and size of each file that is in the state in which it was read."""
    survey = directory.survey()
    for project in sorted({*survey.directories, *survey.loose}):
        entries = directory.look(survey.directories.get(project, ()), survey.loose.get(project, ())).entries
        for place in sorted({os.path.dirname(entry.path) for entry in entries}):
            here = [entry for entry in entries if os.path.dirname(entry.path) == place]
            recalled = digests.recall(place, here)
            for entry in here:
                stamp, facts = recalled.get(entry.path, (None, None))
                if facts is not None and stamp is not None and stamp == entry.stamp:
                    yield project, os.path.join(directory.root, entry.path), facts, stamp.size


def _digest(path: str, advance: Callable[[int], None]) -> tuple[str | None, str]:
    """Return the sha256 of a file, or None and why it cannot be read."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
                advance(len(piece))
    except OSError as error:
        return None, f"{error.strerror}."
    return digest.hexdigest(), ""


def _nothing(_: int) -> None:
    """Count nothing."""
