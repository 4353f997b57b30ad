"""Uploads judged in their order, without HTTP: each case has every fault from its own on, and the first one is answered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest
from twisted.internet.defer import Deferred

from simpleindex.access.access_file import parse_access
from simpleindex.access.identity import Action, Identity, TokenLimits, UploadRules
from simpleindex.access.rights import Access, default_access
from simpleindex.core.errors import CannotStore, NotAllowed, SimpleIndexError, Unavailable
from simpleindex.core.model import Status
from simpleindex.core.names import ProjectName
from simpleindex.publishing.errors import AlreadyExists, RefusedUpload
from simpleindex.publishing.upload.acceptance import AcceptedUpload, UploadAcceptance, Uploader, largest_file
from simpleindex.publishing.upload.incoming_upload import IncomingUpload
from tests.fixtures.deferreds import error, result
from tests.fixtures.distributions import wheel_name
from tests.fixtures.guarded_site import MemoryPublishing, Owning
from tests.fixtures.stub_source import StubSource

if TYPE_CHECKING:
    from simpleindex.core.audit_entry import AuditEntry

ACME = ProjectName("acme")
WHEEL = wheel_name("acme", "1.0")
RULES = b"""
[uploads]
max-file-size = "1K"

[[rule]]
projects = ["acme"]
upload = ["alice"]
max-file-size = "2K"

[[rule]]
projects = ["*"]
upload = ["alice", "bob"]
"""


class Rights:
    """The rights of an access file and of owners."""

    def __init__(self, access: Access, owning: Owning) -> None:
        self.access = access
        self._owning = owning

    def require(self, identity: Identity, action: Action, name: ProjectName, *, exists: bool = False) -> None:
        self._decide(identity, action, name, self._owning.owner(name), exists=exists)

    def require_upload(
        self, identity: Identity, name: ProjectName, owner: str | None, *, exists: bool
    ) -> None:
        self._decide(identity, Action.UPLOAD, name, owner, exists=exists)

    def _decide(
        self, identity: Identity, action: Action, name: ProjectName, owner: str | None, *, exists: bool
    ) -> None:
        decision = self.access.decide(identity, action, name, owner or (":" if exists else None))
        if not decision.allowed:
            raise NotAllowed(decision.why)


class AcceptanceFixture:
    """What accepts uploads, over stores in memory.

    Attributes:
        subjects: What uploads turned out to be for, in order.
        audited: The entries of the audit.
    """

    def __init__(self, access: Access | None = None) -> None:
        self.source = StubSource()
        self.publishing = MemoryPublishing(self.source)
        self.owning = Owning({})
        self.subjects: list[tuple[str, str | None]] = []
        self.audited: list[AuditEntry] = []
        self.acceptance = UploadAcceptance(
            self.publishing,
            self.source,
            Rights(access or parse_access(RULES), self.owning),
            self.owning,
            self.audited.append,
            lambda: 0.0,
        )

    def uploader(self, user: str = "alice") -> Uploader:
        """Return the sender of an upload."""
        token = TokenLimits("ab12cd34", frozenset(Action), ("*",))
        return Uploader(
            Identity(user, token), "192.0.2.7", lambda name, file: self.subjects.append((name, file))
        )

    def accept(self, upload: IncomingUpload, user: str = "alice") -> Deferred[AcceptedUpload]:
        return Deferred.fromCoroutine(self.acceptance.accept(self.uploader(user), upload))

    def upload(self, data: bytes | None = b"a wheel", filename: str = WHEEL) -> IncomingUpload:
        """Return an upload that has arrived."""
        upload = IncomingUpload(filename=filename)
        if data is not None:
            upload.draft = self.acceptance.open_draft(self.uploader(), upload)
            upload.write(data, 0)
        return upload


def test_an_upload_is_published_and_audited() -> None:
    """The first one makes its user the owner; the second one of the same file says that it was there."""
    site = AcceptanceFixture()
    first = result(site.accept(site.upload()))
    assert first.published.created
    assert first.lines[0] == "It is short."
    assert first.lines[1].startswith(f"acme 1.0 is listed: {WHEEL}, sha256 ")
    assert site.owning.owner(ACME) == "alice"
    second = result(site.accept(site.upload()))
    assert second.lines[0].startswith(f"acme 1.0 is listed, as it was before: {WHEEL}, sha256 ")
    assert [
        (entry.event, entry.who, entry.token, entry.project, entry.filename) for entry in site.audited
    ] == [(event, "alice", "ab12cd34", "acme", WHEEL) for event in ("upload", "upload-again")]
    assert {entry.digest for entry in site.audited} == {first.published.sha256}


@pytest.mark.parametrize(
    ("first", "kind", "sentence"),
    [
        (0, RefusedUpload, "Invalid file extension"),
        (1, RefusedUpload, "Unknown protocol version"),
        (2, NotAllowed, "bob"),
        (3, NotAllowed, "The project acme is archived: it takes no uploads."),
        (4, RefusedUpload, "Upload payload does not have a file."),
        (5, AlreadyExists, "File already exists"),
    ],
)
def test_the_order_of_judgements(first: int, kind: type[SimpleIndexError], sentence: str) -> None:
    """Name, form, rights, status, file, and what is there already; a refused upload is not in the audit."""
    site = AcceptanceFixture()
    site.source.add(WHEEL, b"other bytes")
    upload = site.upload(None if first <= 4 else b"a wheel")
    if first <= 3:
        site.source.put(replace(site.source.pages[ACME], status=Status.ARCHIVED))
    if first <= 0:
        upload.filename = "acme-1.0.exe"
    if first <= 1:
        upload.fields["protocol_version"] = ["9"]
    refusal = error(site.accept(upload, "bob" if first <= 2 else "alice"))
    assert type(refusal) is kind
    assert sentence in str(refusal)
    assert site.audited == []


def test_before_the_body() -> None:
    """The length is judged by the largest file of any rule, and the room by the store."""
    site = AcceptanceFixture()
    assert site.acceptance.judge_length(2048) == 2048
    with pytest.raises(RefusedUpload, match=r"File too large. The limit here is 2,048 bytes"):
        site.acceptance.judge_length(2049)
    site.publishing.no_room = CannotStore("The disk is full.")
    with pytest.raises(CannotStore):
        site.acceptance.require_room(7)
    assert site.publishing.sizes == [7]


def test_before_the_files_first_byte() -> None:
    """The project has to be there and the uploader allowed; its name is reserved once, until the upload is closed."""
    site = AcceptanceFixture()
    with pytest.raises(RefusedUpload, match="does not have a file"):
        site.acceptance.open_draft(site.uploader(), IncomingUpload())
    with pytest.raises(NotAllowed):
        site.acceptance.open_draft(site.uploader("bob"), IncomingUpload(fields={"name": ["acme"]}))
    assert (site.publishing.drafts, site.publishing.reserved) == ([], [])
    upload = IncomingUpload(filename=WHEEL)
    assert site.acceptance.reserve_name(site.uploader(), upload)
    assert site.acceptance.reserve_name(site.uploader(), upload)
    assert site.publishing.reserved == [ACME]
    upload.draft = site.acceptance.open_draft(site.uploader(), upload)
    upload.close()
    assert site.publishing.reserved == []
    assert site.publishing.drafts[0].discarded == 1
    assert site.subjects == [("acme", None), ("acme", WHEEL)]


@pytest.mark.parametrize(("upload", "is_refused"), [("owner", True), ("alice", False)])
def test_another_user_was_quicker(upload: str, is_refused: bool) -> None:
    """The name was free when the upload was judged; once another user owns it, the rights decide once more."""
    site = AcceptanceFixture(parse_access(b'[[rule]]\nprojects = ["*"]\nupload = ["%s"]\n' % upload.encode()))
    incoming = site.upload()
    site.publishing.before_commit = lambda: site.owning.claim(ACME, "carol") and None
    accepting = site.accept(incoming)
    if is_refused:
        assert isinstance(error(accepting), NotAllowed)
    else:
        assert result(accepting).published.created
    assert bool(site.audited) is not is_refused
    assert site.owning.owner(ACME) == "carol"


@pytest.mark.parametrize("is_away", [False, True])
def test_a_claim_is_settled(is_away: bool) -> None:
    """Once the file is published; the upload is accepted also if the records went away just then."""
    site = AcceptanceFixture()
    settle = Mock(side_effect=Unavailable("The records are away.") if is_away else None)
    site.owning.settle = settle  # type: ignore[method-assign]
    assert result(site.accept(site.upload())).published.created
    settle.assert_called_once_with(ACME, "alice")


def test_a_claim_that_was_left_unsettled() -> None:
    """Is settled with the next upload of its owner, where the first one was killed after its file came."""
    site = AcceptanceFixture()
    result(site.accept(site.upload()))
    site.owning.settle = settle = Mock()  # type: ignore[method-assign]
    result(site.accept(site.upload(filename="acme-1.0-1-py3-none-any.whl")))
    settle.assert_not_called()
    site.owning.undecided = {ACME}
    result(site.accept(site.upload(filename="acme-1.0-2-py3-none-any.whl")))
    settle.assert_called_once_with(ACME, "alice")


def test_nothing_is_published() -> None:
    """No claim is settled."""
    site = AcceptanceFixture()
    site.publishing.trouble = CannotStore("The disk is full.")
    site.owning.settle = settle = Mock()  # type: ignore[method-assign]
    assert error(site.accept(site.upload())) is site.publishing.trouble
    settle.assert_not_called()


def test_the_largest_file() -> None:
    """Of all rules; no bound anywhere is none."""
    assert largest_file(parse_access(RULES)) == 2048
    assert largest_file(default_access()) == UploadRules().max_file_size
    assert largest_file(parse_access(RULES.replace(b'"2K"', b"0"))) == 0
    assert largest_file(parse_access(RULES.replace(b'"1K"', b"0"))) == 0
