"""Open what ``simpleindex import`` imports from: recognize its kind, and make its reader."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from simpleindex.config.bucket_location import parse_location
from simpleindex.core.errors import InvalidSetting, RefusedStart
from simpleindex.core.text import printable
from simpleindex.migration.bandersnatch_tree import BandersnatchTree, is_bandersnatch_tree
from simpleindex.migration.devpi_export import DATA_INDEX, DevpiExport
from simpleindex.migration.local_files import SourceDirectory
from simpleindex.migration.package_tree import PackageTree
from simpleindex.migration.people import htpasswd_people
from simpleindex.migration.pypicloud_people import is_pypicloud_dump, pypicloud_people
from simpleindex.system.extras import missing
from simpleindex.system.followed_file import read_text_file
from simpleindex.upstreams.pages.urls import index_url

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from threading import Event

    from simpleindex.migration.interface import ImportSource
    from simpleindex.migration.people import ImportedPeople


def open_source(given: argparse.Namespace, stopping: Event) -> ImportSource:
    """Return what is imported from.

    Raises:
        RefusedStart: It is of no kind that is understood.
        InvalidImportSource: It cannot be read.
    """
    if not given.source:
        # It would be the working directory; a variable of a script is empty.
        raise RefusedStart("--from is empty; name a URL, a directory or a bucket")
    try:
        scheme = urlsplit(given.source).scheme
    except ValueError:
        # A bracket of an IPv6 address is missing.
        raise RefusedStart("--from is no http or https URL of an index") from None
    if given.index and scheme:
        raise RefusedStart(_NO_EXPORT)
    if scheme in ("http", "https"):
        return _over_http(given, stopping)
    if scheme == "s3":
        return _in_bucket(given)
    if scheme == "gs":
        raise RefusedStart(
            f"--from: {printable(given.source)} is a bucket of Google's; copy it to a disk first (gsutil rsync -r BUCKET DIR), and "
            "import DIR"
        )
    if given.kind in HTTP_KINDS:
        raise RefusedStart(f"--kind {given.kind} is for a URL, and --from is none")
    if "://" in given.source:
        raise RefusedStart(
            f"--from: {printable(given.source)} is none of http://, https:// and s3://; else name a directory"
        )
    directory = SourceDirectory(given.source)
    kind = given.kind or _kind_of(directory)
    if given.index and kind != _EXPORT:
        raise RefusedStart(_NO_EXPORT)
    return PATH_KINDS[kind](directory, given)


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
    from simpleindex.commands.migration.import_http import open_http_source  # noqa: PLC0415

    return open_http_source(url, given, stopping)


def _in_bucket(given: argparse.Namespace) -> ImportSource:
    if given.kind not in (None, "pypicloud"):
        raise RefusedStart(f"--kind {given.kind} is not for a bucket; leave it out")
    try:
        location = parse_location(given.source)
    except InvalidSetting as error:
        raise RefusedStart(f"--from {error.reason}") from None
    try:
        # Only where it is needed: boto3 takes its time, and an extra brings it.
        from simpleindex.migration.bucket_tree import BucketTree, SourceBucket  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise RefusedStart(f"--from {printable(given.source)}: {missing(error.name, 's3')}") from None
    return BucketTree(SourceBucket(location), str(location))


def _kind_of(directory: SourceDirectory) -> str:
    if os.path.isfile(os.path.join(directory.root, DATA_INDEX)):
        return _EXPORT
    return "bandersnatch" if is_bandersnatch_tree(directory.root) else "pypiserver"


def read_people(source: ImportSource, path: str | None) -> ImportedPeople:
    """Return the users and rights of the other server, and those in a file of it.

    Args:
        source: The other server.
        path: An htpasswd file or an access dump of pypicloud, whose users come before those of the source; None without one.

    Raises:
        RefusedStart: The file cannot be read.
        InvalidImportSource: The users of the source cannot be read.
    """
    people = source.people()
    if path is None:
        return people
    try:
        content = read_text_file(path)
    except OSError as error:
        raise RefusedStart(f"--users-from: {printable(path)} cannot be read: {error.strerror}") from None
    return (pypicloud_people(content) if is_pypicloud_dump(content) else htpasswd_people(content)).joined(
        people
    )


_EXPORT: Final = "devpi-export"
_NO_EXPORT: Final = (
    "--index is for what devpi-export writes; of a running devpi server, name the index in the URL"
)

HTTP_KINDS: Final = ("devpi", "simple")
"""Kinds of servers that are read over HTTP."""

PATH_KINDS: Final[dict[str, Callable[[SourceDirectory, argparse.Namespace], ImportSource]]] = {
    _EXPORT: lambda directory, given: DevpiExport(directory, given.index),
    "bandersnatch": lambda directory, _: BandersnatchTree(directory),
    "pypiserver": lambda directory, _: PackageTree(directory, directory.root),
    "pypicloud": lambda directory, _: PackageTree(directory, directory.root),
}
"""Kinds of servers whose files are read, each with its reader."""
