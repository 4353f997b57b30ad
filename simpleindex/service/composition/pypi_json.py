"""Composition of PyPI's JSON API; imported when it is used first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpleindex.archives.distribution_reader import DistributionReader
from simpleindex.web.metadata_reader import MetadataReader
from simpleindex.web.pages.negotiation import available_encodings
from simpleindex.web.pypi_json import PypiFacts, PypiJson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simpleindex.core.files import File
    from simpleindex.core.names import ProjectName
    from simpleindex.policy.osv import Advisory
    from simpleindex.service.composition.sources import ComposedSources
    from simpleindex.service.runtime import Runtime
    from simpleindex.web.listings import Listings


def compose_pypi_json(runtime: Runtime, sources: ComposedSources, listings: Listings) -> PypiJson:
    """Create what answers for PyPI's JSON API.

    Args:
        runtime: What all parts share.
        sources: What is served.
        listings: The simple pages, which know the URL of the index.
    """

    def serial_of(name: ProjectName) -> int | None:
        serials = (directory.live.serial_of(name) for directory in sources.directories)
        return max((serial for serial in serials if serial is not None), default=None)

    def cached_files(name: ProjectName, files: Sequence[File]) -> Mapping[str, bool]:
        return {} if sources.upstreams is None else sources.upstreams.cached_files(name, files)

    def advisories_about(name: ProjectName, version: str) -> tuple[Advisory, ...]:
        return (
            () if sources.upstreams is None else sources.upstreams.files.lists.advisories_about(name, version)
        )

    reader = DistributionReader(runtime.examination, runtime.threads.wheels)
    facts = PypiFacts(serial_of, advisories_about, cached_files)
    return PypiJson(MetadataReader(reader), listings, available_encodings(), runtime.threads.reads, facts)
