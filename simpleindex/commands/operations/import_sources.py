"""Open what ``simpleindex import`` imports from: recognize its kind, and make its reader."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from simpleindex.core.errors import InvalidSetting, RefusedStart
from simpleindex.core.text import printable
from simpleindex.migration.htpasswd_people import htpasswd_people
from simpleindex.migration.local_files import SourceDirectory
from simpleindex.migration.package_tree import PackageTree
from simpleindex.system.followed_file import read_text_file
from simpleindex.upstreams.pages.urls import index_url

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from threading import Event

    from simpleindex.migration.people import ImportedPeople
    from simpleindex.migration.source import ImportSource


def open_source(given: argparse.Namespace, stopping: Event) -> ImportSource:
    """Return what is imported from.

    Args:
        given: The options of the command.
        stopping: Set when the import is to end.

    Raises:
        RefusedStart: It is of no kind that is understood.
        InvalidImportSource: It cannot be read.
    """
    if urlsplit(given.source).scheme in ("http", "https"):
        return _over_http(given, stopping)
    if given.kind in HTTP_KINDS:
        raise RefusedStart(f"--kind {given.kind} is for a URL, and --from is none")
    directory = SourceDirectory(given.source)
    return PATH_KINDS[given.kind or _kind_of(directory)](directory, given)


def _over_http(given: argparse.Namespace, stopping: Event) -> ImportSource:
    if given.kind not in (None, *HTTP_KINDS):
        raise RefusedStart(f"--kind {given.kind} is for files on this machine, and --from is a URL")
    try:
        url, credentials = index_url(given.source)
    except InvalidSetting as error:
        raise RefusedStart(f"--from {error.reason}") from None
    if credentials is not None:
        raise RefusedStart("--from: put user:password into a file, and name it with --login-file")
    # Only where it is needed: Twisted's client takes its time.
    from simpleindex.commands.operations.import_http import open_http_source  # noqa: PLC0415

    return open_http_source(url, given, stopping)


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


HTTP_KINDS: Final = ("devpi", "simple")
"""Kinds of servers that are read over HTTP."""

PATH_KINDS: Final = {"pypiserver": _pypiserver}
"""Kinds of servers whose files are read, each with its reader."""
