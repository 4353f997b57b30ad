"""Open what ``simpleindex import`` imports from: recognize its kind, and make its reader."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from simpleindex.core.errors import RefusedStart
from simpleindex.core.text import printable
from simpleindex.migration.htpasswd_people import htpasswd_people
from simpleindex.migration.local_files import SourceDirectory
from simpleindex.migration.package_tree import PackageTree
from simpleindex.system.followed_file import read_text_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from simpleindex.migration.people import ImportedPeople
    from simpleindex.migration.source import ImportSource

_LARGEST_PEOPLE: Final = 64 << 20
"""Bytes of a file of users."""


def open_source(given: argparse.Namespace) -> ImportSource:
    """Return what is imported from.

    Raises:
        RefusedStart: It is of no kind that is understood.
        InvalidImportSource: It cannot be read.
    """
    directory = SourceDirectory(given.source)
    kind = given.kind or _kind_of(directory)
    return KINDS[kind](directory, given)


def _kind_of(directory: SourceDirectory) -> str:
    del directory
    return "pypiserver"


def _pypiserver(directory: SourceDirectory, given: argparse.Namespace) -> ImportSource:
    return PackageTree(directory, directory.root, _people(given, htpasswd_people))


def _people(
    given: argparse.Namespace, parse: Callable[[bytes], ImportedPeople]
) -> Callable[[], ImportedPeople]:
    return partial(_read_people, given.users_from, parse)


def _read_people(path: str | None, parse: Callable[[bytes], ImportedPeople]) -> ImportedPeople:
    if path is None:
        return parse(b"")
    try:
        return parse(read_text_file(path))
    except OSError as error:
        raise RefusedStart(f"--users-from: {printable(path)} cannot be read: {error.strerror}") from None


KINDS: Final = {"pypiserver": _pypiserver}
"""The reader of each kind."""
