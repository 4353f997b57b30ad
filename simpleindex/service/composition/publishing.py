"""Composition of publishing: uploads and other changes over HTTP; loaded only if somebody can log in."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from simpleindex.core.errors import RefusedStart, Unavailable
from simpleindex.publishing.local.project_file_writer import ProjectFileWriter
from simpleindex.publishing.local.recovery import withdraw_left_claims
from simpleindex.publishing.local.writer import Writer
from simpleindex.publishing.publisher import LocalPublishing, PublishingContext
from simpleindex.publishing.upload.acceptance import UploadAcceptance
from simpleindex.publishing.upload.archive_checks import UploadChecks
from simpleindex.publishing.upload.attestations import Attestations, load_attestations
from simpleindex.system.extras import missing
from simpleindex.system.log import logger
from simpleindex.web.publish.api import JsonApi
from simpleindex.web.publish.dispatch import PublishingDispatcher
from simpleindex.web.publish.upload import Uploads
from simpleindex.web.publish.writers import Writers
from simpleindex.web.refused_log import RefusedChanges

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simpleindex.directory.layout.package_directory import PackageDirectory
    from simpleindex.publishing.interface import Publishing
    from simpleindex.records.owners import OwnerTable
    from simpleindex.service.composition.directory import ServedDirectory
    from simpleindex.service.composition.logins import Logins
    from simpleindex.service.runtime import Runtime
    from simpleindex.system.threads import Threads
    from simpleindex.web.http.response import OwnPageChanges

_log = logger(__name__)


def compose_publishing(
    runtime: Runtime,
    directory: ServedDirectory,
    logins: Logins,
    index_url: Callable[[], str | None],
    forms: Mapping[str, OwnPageChanges],
) -> tuple[Callable[[], list[str]], PublishingDispatcher]:
    """Create what recovers unfinished uploads, and what answers requests for changes.

    Args:
        runtime: What all parts share.
        directory: Where uploads go.
        logins: Who may publish, and the audit.
        index_url: Returns the URL of the index, if it is certain.
        forms: Take the forms of pages for people, by the first segment behind ``/-/``.

    Raises:
        RefusedStart: A library is missing.
    """
    for module in ("multipart", "tomlkit"):
        if find_spec(module) is None:
            raise RefusedStart(missing(module, "publish"))
    threads, admission, audit = runtime.threads.writes, logins.admission, logins.audit
    checks = UploadChecks(runtime.examination, provenance_verifier())
    publishing, recover = _publishing(directory, threads, checks, logins.owners)
    acceptance = UploadAcceptance(
        publishing,
        directory.source,
        admission,
        logins.owners,
        audit.record,
        time.time,
    )
    writers = Writers(admission, index_url)
    changes = PublishingDispatcher(
        admission,
        Uploads(writers, acceptance, threads),
        {"api": JsonApi(publishing, directory.source, admission, writers, audit.record), **forms},
        RefusedChanges(audit.record),
        trusted=lambda: runtime.current().trusted_proxy,
        threads=threads,
    )
    return recover, changes


def _publishing(
    directory: ServedDirectory, threads: Threads, checks: UploadChecks, owners: OwnerTable
) -> tuple[Publishing, Callable[[], list[str]]]:
    if directory.choice.method == "bucket":
        from simpleindex.service.composition.bucket import ServedBucket  # noqa: PLC0415  (only with a bucket)

        assert isinstance(directory, ServedBucket)  # the only kind that is listed so
        return directory.publishing(threads, checks), directory.recover
    writer = Writer(directory.directory)
    project_files = ProjectFileWriter(directory.directory)
    publishing = LocalPublishing(
        writer, project_files, PublishingContext(directory.live, directory.source, threads, checks)
    )
    return publishing, partial(_recover, writer, directory.directory, owners)


def _recover(writer: Writer, directory: PackageDirectory, owners: OwnerTable) -> list[str]:
    sentences = writer.clean()
    with suppress(Unavailable):
        sentences += withdraw_left_claims(directory, owners.unsettled(), owners.withdraw)
    return sentences


def provenance_verifier() -> Callable[[str, str, str], bytes | None] | None:
    """Return what verifies attestations; None without the extra.

    Its libraries take a second to load, so the first upload with attestations does it.
    """
    if find_spec("pypi_attestations") is None or find_spec("sigstore") is None:
        return None
    loaded: list[Attestations] = []

    def provenance(text: str, filename: str, sha256: str) -> bytes | None:
        if not loaded:
            try:
                attestations = load_attestations()
            except (OSError, ValueError) as error:
                _log.warn(
                    "The attestations of {filename} were ignored: the root of trust cannot be used ({error}).",
                    filename=filename,
                    error=error,
                )
                return None
            assert attestations is not None  # both libraries are there
            loaded.append(attestations)
        return loaded[0].provenance(text, filename, sha256)

    return provenance
