"""Publishing into a real directory: judged, stored, and listed before it is answered."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from simpleindex.access.identity import UploadRules
from simpleindex.archives.examination.limits import ExaminationOverrun, NotExamined
from simpleindex.core.errors import CannotStore, NotAllowed, NotHere, Unavailable
from simpleindex.core.faults import Fault, Trouble
from simpleindex.core.model import Status
from simpleindex.core.names import ProjectName, parse_distribution_name
from simpleindex.directory.project_file import InvalidProjectFile
from simpleindex.directory.source import LocalSource
from simpleindex.publishing.errors import AlreadyExists, NameUsed, RefusedUpload
from simpleindex.publishing.local.project_file_writer import ProjectFileWriter
from simpleindex.publishing.local.writer import Space, Writer
from simpleindex.publishing.name_claim import NameClaim
from simpleindex.publishing.publisher import SPARE, LocalPublishing, PublishingContext, spare_of
from simpleindex.publishing.upload.archive_checks import UploadChecks
from simpleindex.publishing.upload.checks import Upload
from simpleindex.publishing.upload.form import StatedDigests
from simpleindex.records.database import RecordsDatabase
from tests.fixtures.deferreds import error, pending, result
from tests.fixtures.distributions import add_wheel, put, sdist_bytes, sdist_name, wheel_bytes, wheel_name
from tests.fixtures.examiner import FailingExaminer
from tests.fixtures.live_directory import ACME, LONG_AFTER_NS, LiveDirectoryFixture
from tests.fixtures.name_claims import ClaimsFixture, RecordedClaim
from tests.fixtures.threads import PausedThreads

if TYPE_CHECKING:
    from pathlib import Path

    from twisted.internet.defer import Deferred

    from simpleindex.publishing.interface import Published

WHEEL = wheel_name()
RULES = UploadRules()


class Place:
    """A served directory, its writing interface, and threads of its own for that."""

    def __init__(self, root: Path, **options: Any) -> None:
        self.world = LiveDirectoryFixture(root).begin()
        self.root = root
        self.writes = PausedThreads()
        self.writer = Writer(self.world.directory)
        self.examiner = FailingExaminer()
        self.publishing = LocalPublishing(
            self.writer,
            ProjectFileWriter(self.world.directory),
            PublishingContext(
                self.world.live,
                LocalSource(self.world.live, self.world.directory, self.world.reads),
                self.writes,
                UploadChecks(self.examiner, **options),
            ),
        )

    def begin(
        self,
        data: bytes,
        filename: str = WHEEL,
        *,
        rules: UploadRules = RULES,
        claim: NameClaim | None = None,
        **stated: Any,
    ) -> Deferred[Published]:
        """Send a file."""
        from twisted.internet.defer import Deferred

        draft = self.publishing.open_draft()
        draft.write(data)
        upload = Upload(parse_distribution_name(filename), **stated)
        work: Deferred[Published] = Deferred.fromCoroutine(
            self.publishing.publish(draft, upload, rules, claim or NameClaim())
        )

        def discard(outcome: Any) -> Any:
            draft.discard()
            return outcome

        return work.addBoth(discard)

    def publish(self, data: bytes, filename: str = WHEEL, **options: Any) -> Published:
        """Send a file, and wait for the answer."""
        published: Published = result(self.begin(data, filename, **options))
        return published

    def refused(self, kind: type[Exception], data: bytes, filename: str = WHEEL, **options: Any) -> str:
        """Send a file that is not taken; nothing of it may be left."""
        before = self.there()
        refusal = error(self.begin(data, filename, **options))
        assert type(refusal) is kind
        assert self.there() == before
        return str(refusal)

    def there(self) -> list[str]:
        """All that lies under the root, but for the folder that uploads begin in."""
        paths = sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*"))
        return [path for path in paths if path != ".simpleindex-uploads"]

    def yanked(self, name: ProjectName = ACME) -> dict[str, str | None]:
        return {file.filename: file.yanked for file in self.world.project(name).files}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty one."""
    return Place(tmp_path / "root")


@pytest.mark.parametrize(
    ("outcome", "kind", "sentence"),
    [
        (
            ExaminationOverrun("examining it takes more than 20 seconds of computing time"),
            RefusedUpload,
            "Invalid distribution file. 'acme-1.0-py3-none-any.whl': examining it takes more than 20 seconds of computing time.",
        ),
        (
            NotExamined("no process can be begun"),
            Unavailable,
            "Uploads cannot be examined now: no process can be begun.",
        ),
        (
            NotExamined(
                "no process can be begun", Trouble(Fault.FORBIDDEN, "Permission denied", "/root/python")
            ),
            CannotStore,
            "Uploads cannot be examined: no process can be begun; the operator of the index has to mend that.",
        ),
        (OSError(errno.EIO, "Input/output error"), CannotStore, "The disk of the index has a fault"),
        (InterruptedError(errno.EINTR, "the service is stopping"), CannotStore, ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_not_examined_to_the_end(
    place: Place, outcome: Exception, kind: type[Exception], sentence: str
) -> None:
    """What overruns is refused for good; our own troubles are not the client's; the next upload is taken."""
    place.examiner.errors[WHEEL] = outcome
    assert place.refused(kind, wheel_bytes()).startswith(sentence)
    other = wheel_name("acme", "2.0")
    assert place.publish(wheel_bytes("acme", "2.0"), other).created
    place.examiner.errors.clear()
    assert place.publish(wheel_bytes()).created


def test_listed_before_it_is_answered(place: Place) -> None:
    """The answer waits for the page: uv looks at it at once."""
    place.world.reads.held = True
    asking = place.begin(wheel_bytes())
    while place.world.reads.calls:
        assert pending(asking)
        place.world.reads.deliver()
    published = result(asking)
    assert published.created
    assert (place.root / "acme" / WHEEL).read_bytes() == wheel_bytes()
    place.world.reads.release()
    (file,) = place.world.project().files
    assert (file.filename, file.sha256) == (WHEEL, published.sha256)
    assert file.metadata is not None
    assert place.world.names() == ["acme"]
    assert place.there() == ["acme", f"acme/{WHEEL}"]


def test_the_answer_waits_for_the_look(place: Place) -> None:
    """While the look that follows the commit is under way there is no answer."""
    place.world.ask()
    place.writes.held = True
    asking = place.begin(wheel_bytes())
    assert place.writes.names() == ["_publish"]
    place.world.reads.held = True
    place.writes.deliver()
    assert (place.root / "acme" / WHEEL).exists()
    assert place.world.reads.calls
    assert pending(asking)
    place.world.reads.release()
    assert result(asking).created


def test_the_same_again(place: Place) -> None:
    """200 with nothing changed, but that a claim is settled."""
    first = place.publish(wheel_bytes())
    before = os.stat(place.root / "acme" / WHEEL)
    again = place.publish(wheel_bytes(), claim=(claim := RecordedClaim()))
    assert claim.calls == ["made", "settled"]
    assert (first.created, again.created) == (True, False)
    assert first.sha256 == again.sha256
    assert os.stat(place.root / "acme" / WHEEL) == before
    # Also where it has not been seen yet: another process has just put it there.
    (place.root / "other").mkdir()
    put(place.root / "other" / wheel_name("other"), wheel_bytes("other"))
    assert not place.publish(wheel_bytes("other"), wheel_name("other")).created


def test_the_same_again_after_a_kill(
    place: Place, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user whose upload was killed before its claim was settled, and who sends the file again, keeps the name without files as well."""
    claims = ClaimsFixture(RecordsDatabase(str(tmp_path_factory.mktemp("state"))))
    with monkeypatch.context() as patch:
        patch.setattr(claims.owners, "settle", Mock(side_effect=Unavailable("The records are away.")))
        place.publish(wheel_bytes(), claim=claims.of("alice"))
    assert claims.owner() == ("alice", None)
    assert not place.publish(wheel_bytes(), claim=claims.of("alice")).created
    assert claims.owner() == ("alice", "alice")
    result(place.publishing.delete(ACME, "1.0", by="alice"))
    with pytest.raises(NotAllowed):
        claims.of("bob")


def test_other_bytes(place: Place) -> None:
    """Refused, with the digest of what is there."""
    first = place.publish(wheel_bytes())
    told = place.refused(AlreadyExists, wheel_bytes("acme", "1.0", "Summary: another"))
    assert first.sha256 in told
    assert place.world.project().files[0].sha256 == first.sha256
    # What lies under another spelling of the name, or in the root, is in the way as well.
    put(place.root / "Loose" / wheel_name("loose"), wheel_bytes("loose"))
    put(place.root / wheel_name("flat"), wheel_bytes("flat"))
    for name in ("loose", "flat"):
        place.refused(AlreadyExists, wheel_bytes(name, "1.0", "Summary: another"), wheel_name(name))


def test_overwriting(place: Place) -> None:
    """Where the rules allow it the new bytes are listed when it is answered."""
    place.publish(wheel_bytes())
    rules = replace(RULES, overwrite=True)
    published = place.publish(wheel_bytes("acme", "1.0", "Summary: another"), rules=rules)
    assert published.created
    assert place.world.project().files[0].sha256 == published.sha256
    assert not place.publish(wheel_bytes("acme", "1.0", "Summary: another"), rules=rules).created


def test_quotas(place: Place) -> None:
    """Of one file, and of all that the project has; what is replaced is not counted twice."""
    data = wheel_bytes()
    told = place.refused(RefusedUpload, data, rules=replace(RULES, max_file_size=len(data) - 1))
    assert "File too large" in told
    place.publish(data, rules=replace(RULES, max_file_size=len(data), max_project_size=len(data)))
    second, name = wheel_bytes("acme", "2.0"), wheel_name("acme", "2.0")
    size = len(data) + len(second)
    told = place.refused(RefusedUpload, second, name, rules=replace(RULES, max_project_size=size - 1))
    assert "Project size too large" in told
    place.publish(second, name, rules=replace(RULES, max_project_size=size))
    other = wheel_bytes("acme", "2.0", "Summary: x")
    rules = replace(RULES, overwrite=True, max_project_size=len(data) + len(other))
    assert place.publish(other, name, rules=rules).created
    # The same again is no more than before.
    assert not place.publish(data, rules=replace(RULES, max_project_size=1)).created


def test_what_is_refused(place: Place) -> None:
    """Wrong digests, broken archives, metadata that say something else, and users without the right: nothing is left."""
    data = wheel_bytes()
    wrong = StatedDigests(sha256="0" * 64)
    assert "digest" in place.refused(RefusedUpload, data, digests=wrong)
    assert "Invalid distribution file" in place.refused(RefusedUpload, data[:-1])
    assert "empty" in place.refused(RefusedUpload, b"")
    stated = wheel_bytes("acme", "1.0", "Requires-Python: >=3.9")
    assert "Requires-Python" in place.refused(RefusedUpload, stated, requires_python=">=3.8")
    claim = RecordedClaim(NotAllowed("Somebody else was quicker."))
    assert place.refused(NotAllowed, data, claim=claim) == "Somebody else was quicker."
    assert place.world.names() == []
    # Whose it is is decided last: what is refused makes nobody its owner.
    place.refused(RefusedUpload, data[:-1], claim=claim)
    place.publish(stated, requires_python="!=3.8,>=3.9".removeprefix("!=3.8,"))


def test_nothing_is_known(place: Place) -> None:
    """Where it cannot be told what is there, nothing is published."""
    place.world.live._guard.suspend("The root is gone.")
    place.refused(Unavailable, wheel_bytes())


def test_no_room(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit, with what others need of the disk, is refused before it comes."""
    monkeypatch.setattr(place.writer, "space", lambda: Space("/srv", SPARE + 10, 1 << 40))
    place.publishing.require_room(10)
    with pytest.raises(CannotStore, match=r"64.0 MiB left, of which 64.0 MiB are kept in reserve") as raised:
        place.publishing.require_room(11)
    assert raised.value.fault is Fault.FULL
    assert "/srv" not in str(raised.value)


@pytest.mark.parametrize(
    ("total", "spare"), [(64 << 20, (64 << 20) // 20), (0, 0), (10 << 30, SPARE), (SPARE * 20, SPARE)]
)
def test_the_reserve_is_small_on_a_small_disk(total: int, spare: int) -> None:
    """Or nothing could ever be uploaded to it."""
    assert spare_of(total) == spare


def test_deleting(place: Place) -> None:
    """A version or a file is gone from the page when it is answered, and its name stays used until it is freed."""
    for data, name in ((wheel_bytes(), WHEEL), (sdist_bytes(), sdist_name())):
        place.publish(data, name)
    place.publish(wheel_bytes("acme", "2.0"), wheel_name("acme", "2.0"))
    deleted = result(place.publishing.delete(ACME, "1.0.0", by="alice"))
    assert list(deleted) == [WHEEL, sdist_name()]
    assert deleted[WHEEL] == sha256(wheel_bytes()).hexdigest()
    assert place.world.files() == [wheel_name("acme", "2.0")]
    place.refused(NameUsed, wheel_bytes(), claim=(claim := RecordedClaim()))
    assert claim.calls == []
    for key in ("1.0", WHEEL, "no version"):
        assert type(error(place.publishing.delete(ACME, key, by="alice"))) is NotHere
    result(place.publishing.free(ACME, WHEEL, by="alice"))
    assert place.publish(wheel_bytes()).created
    for filename in (WHEEL, "acme-7.tar.gz", "../x.whl"):
        assert type(error(place.publishing.free(ACME, filename, by="alice"))) is NotHere
    assert result(place.publishing.delete(ACME, WHEEL, by="alice")) == {
        WHEEL: sha256(wheel_bytes()).hexdigest()
    }
    assert type(error(place.publishing.delete(ProjectName("nothing"), "1.0", by="x"))) is NotHere


def test_restoring_shows_at_once(place: Place) -> None:
    """With the digest of what is there again."""
    place.publish(wheel_bytes())
    result(place.publishing.delete(ACME, WHEEL, by="alice"))
    assert result(place.publishing.undelete(ACME, WHEEL, by="alice")) == sha256(wheel_bytes()).hexdigest()
    assert place.world.files() == [WHEEL]
    assert type(error(place.publishing.undelete(ACME, "acme-7.tar.gz", by="alice"))) is NotHere


def test_deleting_from_several_places(place: Place) -> None:
    """Of one file in two places one name is gone, and it does not come back from the other."""
    add_wheel(place.root)
    add_wheel(place.root, directory="Acme")
    put(place.root / WHEEL, wheel_bytes())
    place.world.live.everything_changed()
    assert result(place.publishing.delete(ACME, WHEEL, by="alice")) == {
        WHEEL: sha256(wheel_bytes()).hexdigest()
    }
    assert place.world.files() == []


def test_yanking_shows_at_once(place: Place) -> None:
    """And back, also within the tick in which a file that somebody else writes could be half there."""
    place.publish(wheel_bytes())
    place.publish(sdist_bytes(), sdist_name())
    path = place.root / "acme" / "simpleindex.toml"
    for _ in range(2):
        result(place.publishing.yank(ACME, "1.0.0", "broken"))
        place.world.just_after(path)
        assert place.yanked() == {WHEEL: "broken", sdist_name(): "broken"}
        result(place.publishing.unyank(ACME, "1.0"))
        assert place.yanked() == {WHEEL: None, sdist_name(): None}
    result(place.publishing.yank(ACME, WHEEL, ""))
    assert place.yanked() == {WHEEL: "", sdist_name(): None}
    assert type(error(place.publishing.unyank(ACME, "9.9"))) is NotHere
    result(place.publishing.unyank(ACME, "1.0"))
    for key in ("9.9", "acme-9.9.tar.gz", "?"):
        assert type(error(place.publishing.yank(ACME, key, ""))) is NotHere


def test_status_shows_at_once(place: Place) -> None:
    """Each of them, with its reason; and back."""
    place.publish(wheel_bytes())
    path = place.root / "acme" / "simpleindex.toml"
    for status in (Status.ARCHIVED, Status.QUARANTINED, Status.DEPRECATED):
        result(place.publishing.set_status(ACME, status, "why"))
        place.world.just_after(path)
        project = place.world.project()
        assert (project.status, project.status_reason) == (status, "why")
    result(place.publishing.set_status(ACME, Status.ACTIVE, None))
    assert place.world.project().status is Status.ACTIVE
    assert type(error(place.publishing.set_status(ProjectName("nothing"), Status.ACTIVE, None))) is NotHere


def test_a_command_beside_the_server(place: Place) -> None:
    """What another process writes shows at the second look at the latest: at the first it may be half there."""
    place.publish(wheel_bytes())
    elsewhere = ProjectFileWriter(place.world.directory)
    for change, expected in (
        (lambda: elsewhere.yank(ACME, "1.0", "broken"), "broken"),
        (lambda: elsewhere.unyank(ACME, "1.0"), None),
    ):
        assert change()
        place.world.just_after(place.root / "acme")
        place.world.live.directories_changed(frozenset({"acme"}))
        place.world.ask()
        place.world.now_ns = LONG_AFTER_NS
        place.world.clock.advance(3)
        assert place.yanked() == {WHEEL: expected}


def test_a_project_file_that_is_broken(place: Place) -> None:
    """It is left alone, and what it said stays in force."""
    place.publish(wheel_bytes())
    path = put(place.root / "acme" / "simpleindex.toml", b"status = ")
    for change in (
        place.publishing.yank(ACME, "1.0", ""),
        place.publishing.unyank(ACME, "1.0"),
        place.publishing.set_status(ACME, Status.ARCHIVED, None),
    ):
        assert type(error(change)) is InvalidProjectFile
    assert path.read_bytes() == b"status = "


def test_provenance_that_cannot_be_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is there by then: it is listed, and the uploader gets a warning."""
    place = Place(tmp_path / "root", provenance=lambda *_: b"{}")

    def refuse(*_: object) -> None:
        raise CannotStore("The disk of this index is full.", fault=Fault.FULL)

    monkeypatch.setattr(place.writer, "put_beside", refuse)
    published = place.publish(wheel_bytes(), attestations="[{}]")
    assert published.created
    assert published.warnings == (
        "The file was published without its provenance: The disk of this index is full.",
    )
    assert place.world.files() == [WHEEL]
