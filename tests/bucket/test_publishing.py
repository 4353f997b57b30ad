"""Uploads and other changes of a bucket: the store decides between writers, nothing is ever half, nothing is lost."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from simpleindex.bucket import object_store
from simpleindex.bucket.store_errors import ConditionFailed
from simpleindex.core.errors import CannotStore, NotAllowed, NotHere
from simpleindex.core.model import Status
from simpleindex.core.names import LEDGER, PROJECT_FILE, ProjectName
from simpleindex.publishing.errors import AlreadyExists, NameUsed, RefusedUpload
from simpleindex.publishing.upload.archive_checks import UploadChecks
from tests.fixtures.bucket import ACME
from tests.fixtures.deferreds import error, result
from tests.fixtures.distributions import wheel_bytes, wheel_name
from tests.fixtures.name_claims import RecordedClaim

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fixtures.bucket import BucketNode

WHEEL = wheel_name()
DATA = wheel_bytes()
DIGEST = sha256(DATA).hexdigest()
OTHER_DATA = wheel_bytes(files={"more.py": b"x"})
OTHER_DIGEST = sha256(OTHER_DATA).hexdigest()
NO_RETRY: Any = {"HTTPStatusCode": 403, "RetryAttempts": 0}


@pytest.fixture
def served(node: BucketNode) -> BucketNode:
    """A node that has listed an empty bucket."""
    return node.begin()


def test_an_upload(served: BucketNode) -> None:
    """Listed when it is answered; the same bytes again are no mistake, others are; nothing else lies there."""
    published = result(served.upload(DATA, WHEEL))
    assert (published.sha256, published.created) == (DIGEST, True)
    assert served.files() == {WHEEL: DIGEST}
    assert served.download(WHEEL) == DATA
    assert not result(served.upload(DATA, WHEEL)).created
    refused = error(served.upload(OTHER_DATA, WHEEL))
    assert isinstance(refused, AlreadyExists)
    assert refused.sha256 == DIGEST
    assert served.keys_below() == {f"acme/{WHEEL}"}


def test_a_broken_upload(served: BucketNode) -> None:
    """Never reaches the bucket."""
    assert isinstance(error(served.upload(DATA[:-10], WHEEL)), RefusedUpload)
    assert served.keys_below() == set()


def test_the_same_distribution_under_another_name(served: BucketNode) -> None:
    result(served.upload(DATA, WHEEL))
    spelled = "acme-1.0.0-py3-none-any.whl"
    refused = error(served.upload(wheel_bytes("acme", "1.0.0"), spelled))
    assert isinstance(refused, AlreadyExists)
    assert refused.offered == spelled


def test_overwriting_nothing(served: BucketNode) -> None:
    """Is an upload."""
    assert result(served.upload(DATA, WHEEL, overwrite=True)).created
    assert served.files() == {WHEEL: DIGEST}


def test_overwriting(served: BucketNode) -> None:
    """In place of the file that lies there, from any uploader, and without its signature."""
    served.put(f"Acme/{WHEEL}", DATA)
    served.put(f"Acme/{WHEEL}.asc", b"-----BEGIN PGP SIGNATURE-----")
    served.list_again()
    assert result(served.upload(OTHER_DATA, WHEEL, overwrite=True)).created
    assert served.files() == {WHEEL: OTHER_DIGEST}
    assert served.keys_below() == {f"Acme/{WHEEL}"}


def test_provenance_comes_before_its_file(served: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the file is never listed without it."""
    served.publishing._checks = UploadChecks(served.examiner, lambda *_: b"{}")
    order: list[str] = []
    for method in ("create", "overwrite"):
        monkeypatch.setattr(served.store, method, _noted(getattr(served.store, method), order))
    result(served.upload(DATA, WHEEL, attestations="[]"))
    assert order == [f"acme/{WHEEL}.provenance", f"acme/{WHEEL}"]


def test_provenance_of_a_killed_upload(served: BucketNode) -> None:
    """Does not come beside other bytes that are uploaded later without any; a signature put by hand stays."""
    served.put(f"acme/{WHEEL}.provenance", b"{}")
    served.put(f"acme/{WHEEL}.asc", b"-----BEGIN PGP SIGNATURE-----")
    served.list_again()
    result(served.upload(DATA, WHEEL))
    assert served.keys_below() == {f"acme/{WHEEL}", f"acme/{WHEEL}.asc"}


def _noted(put: Callable[..., None], order: list[str]) -> Callable[..., None]:
    """A method of the store that notes its key first."""

    def noted(key: str, *rest: Any) -> None:
        order.append(key)
        put(key, *rest)

    return noted


def overtake(one: BucketNode, two: BucketNode, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one node upload a file just before the next object of another one comes."""
    create = one.store.create

    def overtaken(key: str, *rest: Any) -> None:
        monkeypatch.setattr(one.store, "create", create)
        result(two.upload(data, WHEEL))
        create(key, *rest)

    monkeypatch.setattr(one.store, "create", overtaken)


def test_two_nodes_upload_one_name(
    new_node: Callable[[str], BucketNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store decides: one of them, also when neither saw the other before."""
    one, two = new_node("one").begin(), new_node("two").begin()
    overtake(one, two, OTHER_DATA, monkeypatch)
    refused = error(one.upload(DATA, WHEEL))
    assert isinstance(refused, AlreadyExists)
    assert refused.sha256 == OTHER_DIGEST
    assert one.download(WHEEL) == OTHER_DATA


def test_the_same_bytes_by_two_nodes(
    new_node: Callable[[str], BucketNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both uploads are answered 200."""
    one, two = new_node("one").begin(), new_node("two").begin()
    overtake(one, two, DATA, monkeypatch)
    assert not result(one.upload(DATA, WHEEL)).created


def test_a_file_without_a_digest_in_its_metadata(served: BucketNode) -> None:
    """Of another tool: it is read to compare it."""
    served.put(f"acme/{WHEEL}", DATA)
    assert not result(served.upload(DATA, WHEEL)).created


def test_a_name_that_is_always_overtaken(served: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends after some tries."""

    def fail(*_: object) -> None:
        raise ConditionFailed

    monkeypatch.setattr(served.store, "create", fail)
    assert isinstance(error(served.upload(DATA, WHEEL)), CannotStore)
    monkeypatch.setattr(served.store, "put_text", fail)
    served.put(f"acme/{WHEEL}", DATA)
    served.list_again()
    assert isinstance(error(served.publishing.yank(ACME, "1.0", "")), CannotStore)
    assert isinstance(error(served.publishing.delete(ACME, "1.0", by="alice")), CannotStore)


def test_yanks_and_status(served: BucketNode) -> None:
    """In the project file, with what others write into it at the same time."""
    result(served.upload(DATA, WHEEL))
    put_text = served.store.put_text

    def overtaken(key: str, data: bytes, etag: str | None) -> None:
        served.store.put_text = put_text  # type: ignore[method-assign]
        put_text(key, b'status = "deprecated"\n', None)
        put_text(key, data, etag)

    served.store.put_text = overtaken  # type: ignore[method-assign]
    result(served.publishing.yank(ACME, "1.0", "broken"))
    assert served.project().files[0].yanked == "broken"
    assert served.project().status is Status.DEPRECATED
    result(served.publishing.unyank(ACME, "1.0"))
    result(served.publishing.unyank(ACME, "1.0"))
    assert served.project().files[0].yanked is None
    assert result(served.publishing.set_status(ACME, Status.ARCHIVED, None))
    assert not result(served.publishing.set_status(ACME, Status.ARCHIVED, None))
    result(served.publishing.set_status(ACME, Status.ACTIVE, None))
    assert f"acme/{PROJECT_FILE}" in served.keys_below()
    assert served.project().status is Status.ACTIVE
    for change in (
        served.publishing.yank(ACME, "2.0", ""),
        served.publishing.unyank(ACME, "2.0"),
        served.publishing.set_status(ProjectName("none"), Status.ARCHIVED, None),
        served.publishing.yank(ProjectName("none"), "1.0", ""),
    ):
        assert isinstance(error(change), NotHere)


def test_delete_and_undelete(served: BucketNode) -> None:
    """The name stays used; what was deleted last comes back, with its signature; a freed name can be used again."""
    result(served.upload(DATA, WHEEL))
    served.put(f"acme/{WHEEL}.asc", b"-----BEGIN PGP SIGNATURE-----\nx\n-----END PGP SIGNATURE-----\n")
    served.list_again()
    assert result(served.publishing.delete(ACME, "1.0", by="alice")) == {WHEEL: DIGEST}
    assert served.files() == {}
    assert served.names() == ["acme"]
    assert isinstance(error(served.upload(OTHER_DATA, WHEEL)), NameUsed)
    assert isinstance(
        error(served.upload(wheel_bytes("acme", "1.0.0"), "acme-1.0.0-py3-none-any.whl")), NameUsed
    )
    assert result(served.publishing.undelete(ACME, WHEEL, by="alice")) == DIGEST
    assert served.files() == {WHEEL: DIGEST}
    assert served.keys_below() == {f"acme/{WHEEL}", f"acme/{WHEEL}.asc", f"acme/{LEDGER}"}
    assert isinstance(error(served.publishing.undelete(ACME, WHEEL, by="alice")), NotHere)
    result(served.publishing.delete(ACME, WHEEL, by="alice"))
    result(served.publishing.free(ACME, WHEEL, by="alice"))
    assert isinstance(error(served.publishing.free(ACME, WHEEL, by="alice")), NotHere)
    assert result(served.upload(OTHER_DATA, WHEEL)).created
    assert isinstance(error(served.publishing.undelete(ACME, WHEEL, by="alice")), AlreadyExists)
    assert isinstance(error(served.publishing.delete(ACME, "2.0", by="alice")), NotHere)


def test_undelete_is_overtaken(served: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an upload of that name: the file that is there stays."""
    result(served.upload(DATA, WHEEL))
    result(served.publishing.delete(ACME, WHEEL, by="alice"))

    def fail(*_: object) -> None:
        raise ConditionFailed

    monkeypatch.setattr(served.store, "create", fail)
    assert isinstance(error(served.publishing.undelete(ACME, WHEEL, by="alice")), AlreadyExists)


def test_undelete_of_a_large_file(served: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes by the disk: in memory it would take as much as it has bytes."""
    result(served.upload(DATA, WHEEL))
    result(served.publishing.delete(ACME, WHEEL, by="alice"))
    read = served.store.read

    def read_ledger(key: str, *further: Any) -> Any:
        assert key.endswith(LEDGER)
        return read(key, *further)

    monkeypatch.setattr(served.store, "read", read_ledger)
    result(served.publishing.undelete(ACME, WHEEL, by="alice"))
    assert served.files() == {WHEEL: DIGEST}


def test_a_file_that_goes_while_it_is_deleted(served: BucketNode) -> None:
    """The writer names files; one that is not there is named."""
    result(served.upload(DATA, WHEEL))
    with pytest.raises(NotHere, match="other"):
        served.writer.delete(ACME, [WHEEL, "other.whl"], who="alice")
    assert served.files() == {WHEEL: DIGEST}
    assert served.writer.filenames(ACME) == (WHEEL,)


def test_a_store_that_is_away(served: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client hears that nothing was stored; nothing is."""

    def away(*_: object) -> Any:
        raise TimeoutError(110, "the store cannot be reached")

    monkeypatch.setattr(served.store, "create", away)
    assert isinstance(error(served.upload(DATA, WHEEL)), CannotStore)
    assert served.keys_below() == set()


@pytest.mark.parametrize(
    ("failing", "cause"),
    [
        ("PutObject", ClientError({"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {}}, "")),
        ("PutObject", ReadTimeoutError(endpoint_url="https://store")),
        ("CreateMultipartUpload", ReadTimeoutError(endpoint_url="https://store")),
        ("UploadPart", ReadTimeoutError(endpoint_url="https://store")),
        ("CompleteMultipartUpload", ReadTimeoutError(endpoint_url="https://store")),
    ],
)
def test_a_claim_is_not_settled(
    failing: str, cause: Exception, served: BucketNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the file is not put, or no answer says that it is; the next upload settles its own."""
    if failing != "PutObject":
        monkeypatch.setattr(object_store, "SINGLE_PUT_BYTES", 0)
    call = served.client._make_api_call

    def fail(name: str, parameters: Any) -> Any:
        if name == failing:
            raise cause
        return call(name, parameters)

    claim = RecordedClaim()
    with monkeypatch.context() as patch:
        patch.setattr(served.client, "_make_api_call", fail)
        assert isinstance(error(served.upload(DATA, WHEEL, claim=claim)), CannotStore)
    assert claim.calls == ["made"]
    result(served.upload(DATA, WHEEL, claim=claim))
    assert claim.calls == ["made", "made", "settled"]


def test_a_put_without_an_answer(served: BucketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the store made of it is listed at once; the client hears whose trouble it is, the operator where and what to do."""
    call = served.client._make_api_call

    def lose(name: str, parameters: Any) -> Any:
        answer = call(name, parameters)
        if name == "PutObject":
            raise ReadTimeoutError(endpoint_url="https://store")
        return answer

    monkeypatch.setattr(served.client, "_make_api_call", lose)
    refusal = error(served.upload(DATA, WHEEL))
    assert isinstance(refusal, CannotStore)
    assert str(refusal) == (
        "The index cannot use a server that it needs (the store cannot be reached (ReadTimeoutError)); try again in a moment."
    )
    assert refusal.trouble is not None
    assert refusal.trouble.status == 503
    assert refusal.trouble.for_operator() == (
        f"s3://packages/py/acme/{WHEEL} cannot be used (the store cannot be reached (ReadTimeoutError)): "
        "see that the server runs, and lets this machine in."
    )
    assert served.files() == {WHEEL: DIGEST}
    assert not result(served.upload(DATA, WHEEL)).created


def test_a_read_only_bucket(served: BucketNode) -> None:
    """Uploads and changes are refused with the reason."""
    result(served.upload(DATA, WHEEL))

    def refuse() -> None:
        raise NotAllowed("The store lies, so this index is read-only.")

    served.publishing.require_writable = refuse
    with pytest.raises(NotAllowed, match="read-only"):
        served.publishing.require_room(10)
    assert isinstance(error(served.publishing.yank(ACME, "1.0", "")), NotAllowed)


def test_room(served: BucketNode) -> None:
    """On the local disk, where an upload is checked."""
    served.publishing.require_room(10)
    with pytest.raises(CannotStore, match="The disk of this node is full"):
        served.publishing.require_room(1 << 60)


def test_names_are_kept_while_they_are_uploaded(served: BucketNode) -> None:
    release = served.publishing.reserve(ProjectName("coming"))
    assert served.live.claims(ProjectName("coming"))
    release()
    assert not served.live.claims(ProjectName("coming"))
