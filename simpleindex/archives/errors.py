"""Errors of archives."""

from __future__ import annotations

from dataclasses import KW_ONLY  # noqa: TC003  (``dataclass`` looks the name up in the module)

from simpleindex.core.errors import SimpleIndexError


class BrokenArchive(SimpleIndexError):
    """An archive that is not whole, or is not what its name says; perhaps still being written.

    Attributes:
        reason: What is wrong, as a sentence.
        perhaps_unfinished: Whether more bytes could mend it: it is cut off or still being written. Otherwise it was
            never valid.
    """

    reason: str
    _: KW_ONLY
    perhaps_unfinished: bool = False


class CutOff(BrokenArchive):
    """An archive whose end is missing."""

    reason: str = "it is incomplete: cut off, or still being copied"
    _: KW_ONLY
    perhaps_unfinished: bool = True
