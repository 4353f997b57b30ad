"""Attestations of uploads (PEP 740): verified with the real library and its own root of trust, without network."""

from __future__ import annotations

import base64
import json
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simpleindex.archives.inspect import examine_side_file
from simpleindex.core import bounds
from simpleindex.publishing.errors import RefusedUpload
from simpleindex.publishing.upload.attestations import Attestations, load_attestations
from tests.fixtures.depth import number_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ATTESTED = Path(__file__).parent / "attested"
"""Attestations of real files, which anybody can look up in the public log; the third is from its test instance."""

GITHUB, GITHUB_SHA256 = (
    "pypi_attestations-0.0.19.tar.gz",
    "9bb1add04b1b4e182be6b0b80931593f7a291eb49d69b4fd728a5d4cbcdc4bd3",
)
GITLAB, GITLAB_SHA256 = (
    "gitlab_oidc_project-0.0.3.tar.gz",
    "c1ca9b0d85df1606451098233018534497bf584362e10e4a8c21dfaea92c02a8",
)
FOREIGN, FOREIGN_SHA256 = (
    "rfc8785-0.1.2-py3-none-any.whl",
    "c4e92e9ecc828bef2aa7dba1de8ac983511f7532a0df11c770d39099a25cf201",
)


def attested(name: str, kind: str = "publish") -> dict[str, Any]:
    """One of the examples."""
    found: dict[str, Any] = json.loads((ATTESTED / f"{name}.{kind}.attestation").read_text(encoding="utf-8"))
    return found


PUBLISH, SLSA = attested(GITHUB), attested(GITHUB, "slsa")


def no_network(*_: object, **__: object) -> NoReturn:
    """Every connection fails."""
    raise AssertionError("the network was asked")


@pytest.fixture(scope="module")
def attestations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attestations]:
    """The real thing, where there is neither network nor a home that could be written to."""
    nowhere = tmp_path_factory.mktemp("nowhere") / "file"
    nowhere.write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(nowhere))
        patch.setenv("XDG_CACHE_HOME", str(nowhere))
        patch.setenv("XDG_DATA_HOME", str(nowhere))
        patch.setattr(socket, "socket", no_network)
        patch.setattr(socket, "getaddrinfo", no_network)
        loaded = load_attestations()
        assert loaded is not None
        yield loaded


def refusal(
    attestations: Attestations, *items: object, name: str = GITHUB, sha256: str = GITHUB_SHA256
) -> str:
    """Verify what is not valid; return why."""
    with pytest.raises(RefusedUpload) as caught:
        attestations.provenance(json.dumps(items), name, sha256)
    assert caught.value.status == 400
    return caught.value.sentence


def test_valid_attestations_become_provenance(attestations: Attestations, tmp_path: Path) -> None:
    """Of one publisher in one bundle, as clients expect it and as the store takes it."""
    made = attestations.provenance(json.dumps([PUBLISH, SLSA]), GITHUB, GITHUB_SHA256)
    assert made is not None
    provenance = json.loads(made)
    assert provenance["version"] == 1
    (bundle,) = provenance["attestation_bundles"]
    assert bundle["publisher"]["kind"] == "GitHub"
    assert bundle["publisher"]["repository"] == "trailofbits/pypi-attestations"
    assert bundle["publisher"]["workflow"] == "release.yml"
    for given_item, kept in zip([PUBLISH, SLSA], bundle["attestations"], strict=True):
        assert kept["version"] == 1
        for key in ("statement", "signature"):
            assert base64.b64decode(kept["envelope"][key]) == base64.b64decode(given_item["envelope"][key])
    path = tmp_path / f"{GITHUB}.provenance"
    path.write_bytes(made)
    with path.open("rb") as file:
        assert examine_side_file(file, ".provenance")
    assert len(made) * bounds.ATTESTATIONS.most / 2 < bounds.PROVENANCE.most


def test_the_library_of_clients_verifies_the_provenance(attestations: Attestations) -> None:
    """What is stored can be verified again against the publisher that it names."""
    from pypi_attestations import Distribution, GitLabPublisher, Provenance

    made = attestations.provenance(json.dumps([attested(GITLAB)]), GITLAB, GITLAB_SHA256)
    assert made is not None
    (bundle,) = Provenance.model_validate_json(made).attestation_bundles
    assert bundle.publisher == GitLabPublisher(
        repository="facutuesca/gitlab-oidc-project", workflow_filepath=".gitlab-ci.yml"
    )
    again = attestations.provenance(
        json.dumps([json.loads(bundle.attestations[0].model_dump_json())]), GITLAB, GITLAB_SHA256
    )
    assert again == made
    assert Distribution(name=GITLAB, digest=GITLAB_SHA256)


def changed(item: dict[str, Any], key: str, inner: str, value: object) -> dict[str, Any]:
    """An attestation with one value changed."""
    return item | {key: item[key] | {inner: value}}


def test_an_invalid_one_refuses_the_upload(attestations: Attestations) -> None:
    """However many valid ones there are (PEP 740): another file's, another name's, changed, or of an unknown root."""
    assert "another sha256" in refusal(attestations, PUBLISH, sha256="0a" * 32)
    assert "it is about 'pypi_attestations-0.0.19.tar.gz'" in refusal(
        attestations, PUBLISH, name="other-1.0.tar.gz"
    )
    assert refusal(attestations, PUBLISH, attested(GITLAB)).startswith(
        f"Attestation 2 of '{GITHUB}' is not valid"
    )
    assert "is not valid" in refusal(attestations, attested(FOREIGN), name=FOREIGN, sha256=FOREIGN_SHA256)
    forged = base64.b64encode(
        base64.b64decode(PUBLISH["envelope"]["statement"]).replace(GITHUB_SHA256.encode(), b"0a" * 32)
    ).decode()
    forgery = changed(PUBLISH, "envelope", "statement", forged)
    assert "is not valid" in refusal(attestations, forgery, sha256="0a" * 32)
    assert "is not valid" in refusal(attestations, changed(PUBLISH, "envelope", "signature", "AAAA"))
    other_certificate = attested(GITLAB)["verification_material"]["certificate"]
    assert "is not valid" in refusal(
        attestations, changed(PUBLISH, "verification_material", "certificate", other_certificate)
    )
    assert "is not valid" in refusal(
        attestations, changed(PUBLISH, "verification_material", "transparency_entries", [])
    )
    odd: list[object] = [None, 1, [], {}, PUBLISH | {"version": 2}]
    for item in odd:
        assert "Upload without it." in refusal(attestations, item)


@pytest.mark.parametrize("text", ["", "{}", "null", "[", "[" * 100_000, "\ud800"])
def test_a_field_that_is_no_array_is_refused(attestations: Attestations, text: str) -> None:
    """Before any of it is believed."""
    with pytest.raises(RefusedUpload, match="is not a JSON array"):
        attestations.provenance(text, GITHUB, GITHUB_SHA256)


def test_the_number_is_bounded(attestations: Attestations) -> None:
    """Each costs a verification; none is no provenance."""
    assert "has 9 attestations, and at most 8 are read" in refusal(attestations, *[{}] * 9)
    assert attestations.provenance("[]", GITHUB, GITHUB_SHA256) is None


class Believing:
    """A verifier that believes everything; what it returns as signed is the test's."""

    def __init__(self, payload: object, kind: str = "application/vnd.in-toto+json") -> None:
        self._signed = kind, json.dumps(payload).encode()

    def verify_dsse(self, bundle: object, policy: Any) -> tuple[str, bytes]:
        """Believe it."""
        policy.verify(bundle)
        return self._signed


SUBJECT = {"name": GITHUB, "digest": {"sha256": GITHUB_SHA256}}
STATEMENT = {
    "_type": "https://in-toto.io/Statement/v1",
    "predicateType": "https://slsa.dev/provenance/v1",
    "subject": [SUBJECT],
}


@pytest.mark.parametrize(
    ("verifier", "sentence"),
    [
        (Believing(STATEMENT, "text/plain"), "what it signs is no in-toto statement."),
        (Believing([]), "what it signs is no in-toto statement."),
        (Believing(STATEMENT | {"_type": "x"}), "what it signs is no in-toto statement."),
        (Believing(STATEMENT | {"predicateType": "x\ny"}), r"it is of the unknown kind 'x\ny'."),
        (Believing(STATEMENT | {"subject": [SUBJECT, SUBJECT]}), "it has not exactly one subject."),
        (Believing(STATEMENT | {"subject": [GITHUB]}), "it has not exactly one subject."),
        (Believing(STATEMENT | {"subject": [SUBJECT | {"digest": None}]}), "another sha256."),
    ],
)
def test_what_is_signed_must_be_a_statement_about_the_file(verifier: Believing, sentence: str) -> None:
    """Signed by whomever."""
    assert sentence in refusal(Attestations(verifier), PUBLISH)


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"1.3.6.1.4.1.57264.1.8": "https://accounts.example"},
        {"1.3.6.1.4.1.57264.1.8": "https://gitlab.com", "1.3.6.1.4.1.57264.1.18": "https://gitlab.com/a"},
        {
            "1.3.6.1.4.1.57264.1.8": "https://token.actions.githubusercontent.com",
            "1.3.6.1.4.1.57264.1.12": "https://github.com/a/other",
            "1.3.6.1.4.1.57264.1.18": "https://github.com/a/b/.github/workflows/x.yml@refs/heads/main",
        },
    ],
)
def test_valid_ones_of_nobody_who_can_be_named_are_not_published(
    claims: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person who signs by hand, or a builder whose claims contradict each other: taken, and not reported."""
    from pypi_attestations import Attestation

    monkeypatch.setattr(Attestation, "certificate_claims", claims)
    verifier = Attestations(Believing(STATEMENT))
    assert verifier.provenance(json.dumps([PUBLISH]), GITHUB, GITHUB_SHA256) is None


def test_without_the_extra_there_is_nothing_to_verify_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller then ignores the field."""
    monkeypatch.setitem(sys.modules, "sigstore.verify", None)
    assert load_attestations() is None


def test_another_root_of_trust_can_be_named(tmp_path: Path) -> None:
    """The operator's; what the public one vouches for is not valid under it."""
    from importlib.resources import files

    store = files("sigstore").joinpath("_store")
    root = tmp_path / "trusted_root.json"
    for directory in store.iterdir():
        if "sigstage" in directory.name:
            root.write_bytes(directory.joinpath("trusted_root.json").read_bytes())
    own = load_attestations(str(root))
    assert own is not None
    assert "is not valid" in refusal(own, PUBLISH)
    root.write_text("{}")
    with pytest.raises(ValueError, match="it is not a root of trust: 4 validation errors"):
        load_attestations(str(root))
    root.unlink()
    with pytest.raises(FileNotFoundError):
        load_attestations(str(root))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
PATHS = st.sampled_from(
    [
        ("envelope", "statement"),
        ("envelope", "signature"),
        ("verification_material", "certificate"),
        ("verification_material", "transparency_entries"),
        ("verification_material", "x"),
    ]
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=number_of(60), deadline=None
)
@given(PATHS, JSON, st.integers(0, 2000))
def test_whatever_is_sent_is_verified_or_refused(
    attestations: Attestations, path: tuple[str, str], value: object, at: int
) -> None:
    """Never another error, and never provenance of what was changed."""
    key, inner = path
    old = PUBLISH[key].get(inner)
    if isinstance(old, str) and isinstance(value, str):
        at %= len(old)
        value = old[:at] + value + old[at + len(value) :]
    try:
        made = attestations.provenance(
            json.dumps([changed(PUBLISH, key, inner, value)]), GITHUB, GITHUB_SHA256
        )
    except RefusedUpload:
        return
    plain = attestations.provenance(json.dumps([PUBLISH]), GITHUB, GITHUB_SHA256)
    assert made == plain


def test_long_attestations_are_not_parsed(
    attestations: Attestations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound is on the text as it came."""
    monkeypatch.setattr(bounds, "ATTESTATIONS_TEXT", replace(bounds.ATTESTATIONS_TEXT, most=10))
    assert "upload without them" in refusal(attestations, PUBLISH)
