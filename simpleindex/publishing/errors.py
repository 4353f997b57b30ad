"""Errors of uploads and of other changes."""

from __future__ import annotations

import re
from typing import Final

from simpleindex.core.errors import SimpleIndexError

_LONGEST_SENTENCE: Final = 500
# Poetry takes these words in a body for an invitation to register the project and to send the file again (docs/protocol.md, "Answers to an upload").
_INVITATION: Final = re.compile("was ever registered", re.IGNORECASE)
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f]")


class RefusedUpload(SimpleIndexError):
    """An upload that is not taken. The sentence is sent twice, as the reason phrase and as the body (docs/protocol.md).

    Attributes:
        status: The HTTP status code, always 4xx: twine sends the whole file again after a 5xx (docs/protocol.md).
        sentence: What is wrong and what to do; one line of printable ISO-8859-1, also where it quotes text of the client.
    """

    template = "{sentence}"
    status: int
    sentence: str

    def __post_init__(self) -> None:
        line = _UNPRINTABLE.sub("?", " ".join(self.sentence.split()))[:_LONGEST_SENTENCE]
        self.sentence = _INVITATION.sub(
            "was_ever_registered", line.encode("latin-1", "replace").decode("latin-1")
        )


class AlreadyExists(SimpleIndexError):
    """A file of that name is there with other bytes, or the same distribution under another name (409; docs/protocol.md).

    Attributes:
        filename: The file that is there.
        sha256: Digest of the bytes that are there.
        offered: The name of the new file where it differs; None where it does not.
    """

    filename: str
    sha256: str
    offered: str | None = None

    def __str__(self) -> str:
        # twine and poetry know the opening words.
        text = f"File already exists ({self.filename!r}, with sha256 hash {self.sha256!r})"
        if self.offered is None:
            return f"{text}. Upload it under a new version; a published file is not replaced."
        if self.offered.endswith(".whl"):
            return f"{text}, and {self.offered!r} is another spelling of its name. Use a new version."
        return f"{text}, and {self.offered!r} is an sdist of the same release, which has only one. Use a new version."


class NameUsed(SimpleIndexError):
    """A deleted file had that name, and installers may still remember its digest (docs/protocol.md).

    Attributes:
        filename: The name of the deleted file.
        offered: The name of the new file, where it is the same distribution's under another spelling; else None.
    """

    filename: str
    offered: str | None = None

    def __str__(self) -> str:
        text = "This filename was previously used by a file that has since been deleted"
        if self.offered is not None:
            text += f" ({self.filename}, which {self.offered} is another name of)"
        return f"{text}. Use a different version."


class NotCopied(SimpleIndexError):
    """A release that is not copied.

    Attributes:
        reason: Why, as a sentence without its end.
    """

    reason: str

    def __str__(self) -> str:
        return f"Nothing was copied: {self.reason.rstrip('.')}."
