"""The record beside a cached file: its digest, what reading it showed, and the file's state when its bytes were hashed."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import astuple
from typing import TYPE_CHECKING, Any, Final

from simpleindex.archives.archive_info import ArchiveInfo, MemberSpan
from simpleindex.core.files import Sidecar
from simpleindex.system.stamp import Stamp
from simpleindex.upstreams.cache.cache_space import FACTS_DIRECTORY
from simpleindex.upstreams.cache.packed_records import pack, read_record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simpleindex.upstreams.cache.file_keys import FileKey

_FORMAT: Final = 3
"""Raised with every change of the format. The records of older pins have format 2, without owner and digest."""


def pack_facts(key: FileKey, facts: ArchiveInfo, verified_stamp: Stamp | None) -> bytes:
    """Return the record of a file.

    Args:
        key: The file.
        facts: What reading it showed.
        verified_stamp: Its state when it was hashed; None if it was too young to be known again by it.
    """
    row = (
        *(facts.version, facts.requires_python),
        facts.sidecar and astuple(facts.sidecar),
        facts.place and astuple(facts.place),
        verified_stamp and (_BOOT, *verified_stamp),
    )
    return pack((_FORMAT, key.owner, facts.sha256, *row))


def read_facts(key: FileKey, path: str) -> tuple[ArchiveInfo, Stamp | None] | None:
    """Read the record beside a file; None if there is none, or it is that of another file."""
    record = read_record(path + FACTS_DIRECTORY)
    with suppress(ValueError, TypeError):
        match record:
            case (3, owner, str(sha256), *row) if owner == key.owner:
                return _facts(sha256, row)
            case (2, *row) if key.computed_sha256 is not None:
                return _facts(key.computed_sha256, row)
    return None


def _facts(sha256: str, row: Iterable[Any]) -> tuple[ArchiveInfo, Stamp | None]:
    version, requires_python, sidecar, place, verified_stamp = row
    facts = ArchiveInfo(
        version, sha256, requires_python, sidecar and Sidecar(*sidecar), place and MemberSpan(*place)
    )
    return facts, Stamp(*verified_stamp[1:]) if verified_stamp and verified_stamp[0] == _BOOT else None


def _boot() -> str:
    """Return what identifies the time since the machine started."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return secrets.token_hex(8)


_BOOT: Final = _boot()
