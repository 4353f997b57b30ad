"""Attestations of uploads: verified and kept beside the file, refused with the upload, or ignored (PEP 740)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simpleindex.access.identity import UploadRules
from simpleindex.core.names import parse_distribution_name
from simpleindex.directory.source import LocalSource
from simpleindex.publishing.errors import RefusedUpload
from simpleindex.publishing.local.project_file_writer import ProjectFileWriter
from simpleindex.publishing.local.writer import Writer
from simpleindex.publishing.name_claim import NameClaim
from simpleindex.publishing.publisher import LocalPublishing, PublishingContext
from simpleindex.publishing.upload.archive_checks import UploadChecks
from simpleindex.publishing.upload.checks import Upload
from tests.fixtures.deferreds import result
from tests.fixtures.distributions import wheel_bytes, wheel_name
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.live_directory import ACME, LiveDirectoryFixture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simpleindex.publishing.interface import Published


class Place:
    """A served directory and its writing interface."""

    def __init__(self, root: Path, provenance: Callable[[str, str, str], bytes | None] | None) -> None:
        self.world = LiveDirectoryFixture(root).begin()
        source = LocalSource(self.world.live, self.world.directory, self.world.reads)
        writer = Writer(self.world.directory)
        self.publishing = LocalPublishing(
            writer,
            ProjectFileWriter(self.world.directory),
            PublishingContext(
                self.world.live, source, self.world.reads, UploadChecks(InProcessExaminer(), provenance)
            ),
        )

    def publish(self, attestations: str | None) -> Published:
        draft = self.publishing.open_draft()
        draft.write(wheel_bytes())
        upload = Upload(parse_distribution_name(wheel_name()), attestations=attestations)
        try:
            published: Published = result(self.publishing.publish(draft, upload, UploadRules(), NameClaim()))
            return published
        finally:
            draft.discard()


def test_verified_ones_are_kept_beside_the_file(tmp_path: Path) -> None:
    """The provenance that is made of them is offered with the file."""
    asked: list[tuple[str, str, str]] = []

    def provenance(text: str, filename: str, sha256: str) -> bytes:
        asked.append((text, filename, sha256))
        return b'{"version": 1}'

    place = Place(tmp_path / "root", provenance)
    published = place.publish("[{}]")
    assert published.warnings == ()
    assert asked == [("[{}]", wheel_name(), published.sha256)]
    (file,) = place.world.project(ACME).files
    assert file.provenance
    assert (tmp_path / "root" / "acme" / f"{wheel_name()}.provenance").read_bytes() == b'{"version": 1}'


def test_a_publisher_that_cannot_be_named_leaves_none(tmp_path: Path) -> None:
    """What is verified and says nothing of use is not stored."""
    place = Place(tmp_path / "root", lambda *_: None)
    assert place.publish("[{}]").warnings == ()
    (file,) = place.world.project(ACME).files
    assert not file.provenance


def test_an_invalid_one_refuses_the_upload(tmp_path: Path) -> None:
    """Nothing is published that was not verified."""

    def provenance(*_: str) -> bytes:
        raise RefusedUpload(400, "Attestation 1 is not valid.")

    place = Place(tmp_path / "root", provenance)
    with pytest.raises(RefusedUpload, match="not valid"):
        place.publish("[{}]")
    assert place.world.names() == []


def test_without_the_extra_they_are_ignored(tmp_path: Path) -> None:
    """The field never refuses an upload by being there; the uploader gets a warning."""
    place = Place(tmp_path / "root", None)
    assert place.publish(None).warnings == ()
    (tmp_path / "root" / "acme" / wheel_name()).unlink()
    place.world.live.directories_changed(frozenset({"acme"}))
    assert place.publish("[{}]").warnings == (
        "The attestations were ignored: this index does not verify any.",
    )
