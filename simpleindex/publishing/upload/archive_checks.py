"""Checks of an upload's file: its archive is examined in another process, and its attestations are verified. Blocking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.examination import protocol
from simpleindex.archives.examination.limits import NotExamined
from simpleindex.core.errors import CannotStore, Unavailable
from simpleindex.publishing.upload.checks import judge_metadata, refused_archive
from simpleindex.system.atomic import storing

if TYPE_CHECKING:
    from collections.abc import Callable

    from simpleindex.access.identity import UploadRules
    from simpleindex.archives.examination.protocol import Examiner
    from simpleindex.publishing.local.staging import StagedUpload
    from simpleindex.publishing.upload.checks import Upload


@dataclass(frozen=True, slots=True)
class UploadChecks:
    """The checks that need the bytes of a file.

    Attributes:
        examiner: Examines archives.
        provenance: Verifies an upload's attestations and returns the provenance that is stored beside the file (PEP 740);
            takes their text, the file name and its sha256. None to ignore attestations.
    """

    examiner: Examiner
    provenance: Callable[[str, str, str], bytes | None] | None = None

    def examine(self, draft: StagedUpload, upload: Upload, rules: UploadRules) -> None:
        """Refuse an archive that is not sound, or whose metadata contradict the form.

        Raises:
            RefusedUpload: The archive cannot be used.
            CannotStore: It cannot be examined until the operator repairs something.
            Unavailable: It cannot be examined now.
        """
        with draft.reader() as file, storing(draft.staged.path):
            request = protocol.upload(file.fileno(), draft.size, upload.name, rules)
            try:
                examined = protocol.value_of(*self.examiner.examine([request]))
            except BrokenArchive as error:
                raise refused_archive(upload.name, error) from None
            except NotExamined as error:
                if error.trouble is not None:
                    raise CannotStore(
                        f"Uploads cannot be examined: {error}; the operator of the index has to mend that.",
                        trouble=error.trouble,
                    ) from None
                raise Unavailable(f"Uploads cannot be examined now: {error}.", retry_after=2) from None
        judge_metadata(upload, examined.metadata)

    def provenance_of(self, upload: Upload, sha256: str) -> tuple[bytes | None, tuple[str, ...]]:
        """Return the provenance to store beside the file, if any, and warnings for the client.

        Raises:
            RefusedUpload: An attestation is not valid.
        """
        if upload.attestations is None:
            return None, ()
        if self.provenance is None:
            # uv sends every attestation that it finds beside a file, so a refusal would break it (uv-publish `group_files`).
            return None, ("The attestations were ignored: this index does not verify any.",)
        return self.provenance(upload.attestations, upload.name.filename, sha256), ()
