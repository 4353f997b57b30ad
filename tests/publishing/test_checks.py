"""The judgement of an upload's form: what every client sends passes, and each refusal has its sentence."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.access.identity import UploadRules
from simpleindex.archives.errors import BrokenArchive
from simpleindex.core.metadata import CoreMetadata
from simpleindex.core.names import parse_distribution_name, parse_project_name
from simpleindex.publishing.errors import RefusedUpload
from simpleindex.publishing.upload.checks import (
    Upload,
    judge_digests,
    judge_form,
    judge_metadata,
    judge_size,
    refused_archive,
    stated_project,
)
from simpleindex.publishing.upload.form import FileDigests, StatedDigests, UploadForm
from tests.fixtures.tables import for_each

SHA256, BLAKE2, MD5 = "0a" * 32, "1b" * 32, "2c" * 16
MD5_BASE64 = base64.urlsafe_b64encode(bytes.fromhex("fb" * 16)).decode()
WHEEL, SDIST = "acme_tools-1.0-py3-none-any.whl", "acme_tools-1.0.tar.gz"


RULES = UploadRules(max_file_size=0, normalized_names=False)


def fields(**values: str | list[str] | None) -> dict[str, tuple[str, ...]]:
    """A wheel's form, with other values; None leaves a field out. ``action`` stands for ``:action``."""
    every: dict[str, Any] = {
        "action": "file_upload",
        "protocol_version": "1",
        "filetype": "bdist_wheel",
        "pyversion": "py3",
        "metadata_version": "2.4",
        "name": "acme-tools",
        "version": "1.0",
        "sha256_digest": SHA256,
        **values,
    }
    return {
        ":action" if key == "action" else key: tuple(value) if isinstance(value, list) else (value,)
        for key, value in every.items()
        if value is not None
    }


def judge(
    filename: str | None = WHEEL, rules: UploadRules = RULES, **values: str | list[str] | None
) -> Upload:
    """Judge a wheel's form with other values."""
    return judge_form(UploadForm(fields(**values), filename), rules)


def refusal(form: UploadForm, rules: UploadRules = RULES) -> RefusedUpload:
    """Judge a form that is not taken; return why."""
    with pytest.raises(RefusedUpload) as caught:
        judge_form(form, rules)
    return caught.value


COMMON = {
    "summary": "Tools",
    "home_page": "",
    "author": "A. Body",
    "author_email": "UNKNOWN",
    "license": "",
    "license_expression": "MIT",
    "description": "# Tools\n\nall of them: \u00fc \u2713",
    "description_content_type": "text/markdown",
    "keywords": "a,b",
    "requires_python": ">=3.9",
    "classifiers": ["Private :: Do Not Upload", "Made :: Up"],
    "requires_dist": ["x>=1", "y"],
    "project_urls": ["Home, https://acme.example"],
    "provides_extra": ["fast", "small"],
    "dynamic": ["version", "license-file"],
    "platform": ["any", "linux"],
    "license_file": ["LICENSE", "NOTICE"],
}
CLIENTS: dict[str, dict[str, Any]] = {
    "twine": {"blake2_256_digest": BLAKE2, "comment": "", "gpg_signature": None},
    "uv": {
        "blake2_256_digest": BLAKE2,
        "import_names": ["acme", "acme_tools"],
        "import_namespaces": ["ns"],
        "requires_python": "",
        "attestations": "[]",
    },
    "poetry": {
        "blake2_256_digest": BLAKE2,
        "md5_digest": MD5,
        "import_names": ["acme"],
        "comment": "",
    },
    "hatch": {
        "blake2_256_digest": BLAKE2,
        "md5_digest": MD5,
        "import_name": ["acme"],
        "import_namespace": ["n"],
    },
    "flit": {"md5_digest": MD5, "metadata_version": "2.3", "protocol_version": None},
    "pdm": {
        "blake2_256_digest": BLAKE2,
        "md5_digest": MD5,
        "provides_extras": ["fast"],
        "supported_platform": "",
        "author": "",
        "maintainer": "UNKNOWN",
    },
}


@for_each("client", CLIENTS)
@for_each("filetype", ["bdist_wheel", "sdist"])
def test_row_36_row_37_row_47_every_clients_form_is_taken(client: str, filetype: str) -> None:
    """Whatever the client leaves out, sends empty, misspells or sends in addition."""
    pyversion = "py3" if filetype == "bdist_wheel" else None if client == "flit" else "source"
    filename = WHEEL if filetype == "bdist_wheel" else SDIST
    values = COMMON | CLIENTS[client] | {"filetype": filetype, "pyversion": pyversion}
    files = frozenset({"gpg_signature"}) if client in {"twine", "pdm"} else frozenset()
    content_type = None if client in {"uv", "flit"} else "application/octet-stream"
    upload = judge_form(UploadForm(fields(**values), filename, content_type, files), RULES)
    assert upload.name == parse_distribution_name(filename)
    assert upload.digests == StatedDigests(
        SHA256,
        BLAKE2 if "blake2_256_digest" in CLIENTS[client] else None,
        MD5 if "md5_digest" in CLIENTS[client] else None,
    )
    assert upload.requires_python == (None if client == "uv" else ">=3.9")
    assert upload.comment is None
    assert upload.attestations == ("[]" if client == "uv" else None)


@pytest.mark.parametrize("order", range(3))
def test_row_36_the_order_of_fields_does_not_matter(order: int) -> None:
    """Twine sends :action after the metadata."""
    items = list(fields().items())
    assert judge_form(UploadForm(dict(items[order:] + items[:order]), WHEEL), RULES) == judge()


@for_each("filename", [WHEEL, SDIST, "acme_tools-1.0.zip", "Acme.Tools-1.0-py2.py3-none-any.whl"])
@for_each("extra", [{}, {":action": ("file_upload",)}, {"sha256_digest": (SHA256,)}, {"name": ("",)}])
def test_a_plain_file_states_its_name_and_version_itself(
    filename: str, extra: dict[str, tuple[str, ...]]
) -> None:
    """As curl sends it, as a form with one file or as the body itself."""
    upload = judge_form(UploadForm(extra, filename), RULES)
    assert (upload.name.project, upload.name.version, upload.name.filename) == ("acme-tools", "1.0", filename)


@for_each(
    ("filename", "values"),
    [
        (WHEEL, {"name": "Acme_Tools", "version": "1.0.0"}),
        (WHEEL, {"name": ["acme-tools", "acme-tools", ""]}),
        ("Acme.Tools-1.0-py3-none-any.whl", {}),
        ("acme_tools-1.0-1build-cp312-cp312-manylinux_2_17_x86_64.whl", {"pyversion": "cp312"}),
        ("acme-tools-1.0-1.zip", {"filetype": "sdist", "pyversion": "source", "version": "1.0.post1"}),
        ("acme-tools-1.tar.bz2", {"filetype": "sdist", "pyversion": None}),
        (WHEEL, {"sha256_digest": None}),
        (WHEEL, {"sha256_digest": SHA256.upper(), "md5_digest": MD5.upper()}),
        (WHEEL, {"sha256_digest": f" {SHA256}\r\n"}),
        (WHEEL, {"md5_digest": MD5_BASE64}),
        (WHEEL, {"md5_digest": MD5_BASE64.rstrip("=")}),
        (WHEEL, {"sha256_digest": "UNKNOWN", "blake2_256_digest": ""}),
        (WHEEL, {"protocol_version": None, "action": None}),
        (WHEEL, {"gpg_signature": "text", "content": "text", "nothing_known": "x", "": "y"}),
        (
            "acme_tools-1.0+ours.1-py3-none-any.whl",
            {"version": "1.0+ours-1"},
        ),
    ],
)
def test_what_differs_only_in_spelling_is_taken(filename: str, values: dict[str, Any]) -> None:
    """Names are compared normalized (PEP 503), versions by PEP 440, digests whatever their case."""
    assert judge(filename, **values).name.filename == filename


REFUSALS: list[tuple[int, str, str | None, dict[str, Any]]] = [
    (400, "Unknown protocol version.", WHEEL, {"protocol_version": "2"}),
    (410, "The action submit is no more", WHEEL, {"action": "submit"}),
    (410, "The action submit_pkg_info is no more", WHEEL, {"action": "submit_pkg_info"}),
    (410, "The action doc_upload is no more", WHEEL, {"action": "doc_upload"}),
    (400, "The :action 'list_classifiers' is unknown here", WHEEL, {"action": "list_classifiers"}),
    (400, "The field name has 2 different values", WHEEL, {"name": ["acme-tools", "other"]}),
    (400, "The field filetype is missing", WHEEL, {"filetype": None}),
    (400, "The field filetype is missing", WHEEL, {"filetype": " "}),
    (400, "The field metadata_version is missing", WHEEL, {"metadata_version": "UNKNOWN"}),
    (400, "The field name is missing", WHEEL, {"name": ""}),
    (400, "The field version is missing", WHEEL, {"version": " UNKNOWN "}),
    (400, "'bdist_egg' is an invalid value for Filetype. Error:", WHEEL, {"filetype": "bdist_egg"}),
    (400, "The field pyversion is missing", WHEEL, {"pyversion": None}),
    (
        400,
        "'3.9' is an invalid value for Pyversion. Error:",
        SDIST,
        {"filetype": "sdist", "pyversion": "3.9"},
    ),
    (400, "'-acme' is an invalid value for Name. Error:", WHEEL, {"name": "-acme"}),
    (400, "'acme tools' is an invalid value for Name. Error:", WHEEL, {"name": "acme tools"}),
    (400, r"'\u017facme' is an invalid value for Name. Error:", WHEEL, {"name": "\u017facme"}),
    (400, "'one' is an invalid value for Version. Error:", WHEEL, {"version": "one"}),
    (400, "'1111", WHEEL, {"version": "1" * 5000}),
    (400, "'0a' is an invalid value for sha256_digest. Error:", WHEEL, {"sha256_digest": "0a"}),
    (400, "'0a", WHEEL, {"blake2_256_digest": "0a" * 31 + "zz"}),
    (400, "'0a", WHEEL, {"md5_digest": "0a" * 17}),
    (400, "'!!' is an invalid value for md5_digest. Error:", WHEEL, {"md5_digest": "!!"}),
    (400, r"'\u0663' is an invalid value for md5_digest. Error:", WHEEL, {"md5_digest": "\u0663"}),
    (400, "Upload payload does not have a file.", None, {}),
    (400, "Upload payload does not have a file.", "", {}),
    (400, "Cannot upload a file with control characters", f"{WHEEL}\n", {}),
    (400, "Cannot upload a file with control characters", f"\0{WHEEL}", {}),
    (400, "Cannot upload a file with / or \\", f"../{WHEEL}", {}),
    (400, "Cannot upload a file with / or \\", f"C:\\{WHEEL}", {}),
    (
        400,
        "Cannot upload a file with a name of more than 244",
        f"acme_tools-{'1.' * 200}0-py3-none-any.whl",
        {},
    ),
    (400, "Invalid file extension: 'acme_tools-1.0.tar.gz' does not fit; a wheel ends in .whl.", SDIST, {}),
    (400, "Invalid file extension: 'acme-1.0.exe' does not fit; a wheel ends in", "acme-1.0.exe", {}),
    (400, "Invalid file extension: 'acme-1.0.egg'", "acme-1.0.egg", {"filetype": "sdist", "pyversion": None}),
    (400, f"Invalid file extension: '{WHEEL}'", WHEEL, {"filetype": "sdist", "pyversion": None}),
    (400, "Invalid file name 'acme_tools-1.0.whl': its name is not a wheel's", "acme_tools-1.0.whl", {}),
    (400, "Invalid file name", "acme_tools-1.0-py3-n\u00f6ne-any.whl", {}),
    (400, "Invalid file name", "acme_tools-1.0-py3-none-any .whl", {}),
    (400, "Invalid file name", ".simpleindex-1.0.tar.gz", {"filetype": "sdist", "pyversion": None}),
    (
        400,
        f"Invalid file name '{WHEEL}': its name states the project acme-tools, not other",
        WHEEL,
        {"name": "other"},
    ),
    (
        400,
        f"Invalid file name '{WHEEL}': it is version 1.0, and the upload says '2'",
        WHEEL,
        {"version": "2"},
    ),
]


@for_each(("status", "opening", "filename", "values"), REFUSALS)
def test_each_refusal_has_its_sentence(
    status: int, opening: str, filename: str | None, values: dict[str, Any]
) -> None:
    """What is wrong, and with which status; clients show the sentence as it is."""
    refused = refusal(UploadForm(fields(**values), filename))
    assert refused.status == status
    assert refused.sentence.startswith(opening)
    assert str(refused) == refused.sentence


@pytest.mark.parametrize("filename", ["acme.zip", "x.tar.gz", "-1.0.tar.gz", "acme-one-py3-none-any.whl"])
def test_a_plain_file_that_states_nothing_is_refused(filename: str) -> None:
    """Nobody would know where to list it."""
    assert refusal(UploadForm({}, filename)).sentence.startswith("Invalid file name")


def test_a_text_sent_as_a_file_is_refused() -> None:
    """Its value would have to be guessed; a signature is ignored."""
    refused = refusal(UploadForm(fields(), WHEEL, None, frozenset({"name", "gpg_signature"})))
    assert refused.sentence.startswith("The field 'name' should not be a file")


@pytest.mark.parametrize("content_type", ["image/png", " IMAGE/svg+xml"])
def test_an_image_is_refused(content_type: str) -> None:
    """Browsers would show it."""
    assert refusal(UploadForm(fields(), WHEEL, content_type)).sentence.startswith(
        "Invalid distribution file."
    )


@pytest.mark.parametrize(
    ("names", "filename", "project"),
    [
        ((), None, None),
        (("Acme",), None, "acme"),
        (("", "UNKNOWN", "acme", " acme "), None, "acme"),
        (("acme",), "other-1.0.tar.gz", "acme"),
        ((), "other-1.0.tar.gz", "other"),
        (("",), "other-1.0.tar.gz", "other"),
    ],
)
def test_the_project_that_is_stated(
    names: tuple[str, ...], filename: str | None, project: str | None
) -> None:
    """The field decides if it has a value, then the file's name, each as far as it has come."""
    assert stated_project(UploadForm({"name": names}, filename)) == project


@pytest.mark.parametrize(
    ("names", "filename"),
    [
        (("-",), None),
        (("a", "b"), None),
        ((), "x.whl"),
        ((), "x.txt"),
        ((), "../a-1.0.tar.gz"),
        ((), "a-1\0.tar.gz"),
    ],
)
def test_what_states_no_project_is_refused(names: tuple[str, ...], filename: str | None) -> None:
    """It could never be anybody's, so there is no need to wait for its bytes."""
    with pytest.raises(RefusedUpload) as caught:
        stated_project(UploadForm({"name": names}, filename))
    assert caught.value.status == 400


def test_local_versions_are_a_rule() -> None:
    """A private index wants them; a public one cannot have them."""
    form = UploadForm({}, "acme-1.0+ours-py3-none-any.whl")
    assert judge_form(form, RULES).name.version == "1.0+ours"
    assert refusal(form, replace(RULES, local_versions=False)).sentence.startswith(
        "The version '1.0+ours' has a local part"
    )


@for_each(
    ("filename", "taken"),
    [
        ("acme_tools-1.0.tar.gz", True),
        ("acme_tools-1.0-py3-none-any.whl", True),
        ("acme_tools-1.0-1x-py3.py2-none-any.whl", True),
        ("Acme.Tools-1.0-py3-none-any.whl", False),
        ("Acme_tools-1.0-py3-none-any.whl", False),
        ("acme_tools-01.0-py3-none-any.whl", False),
        ("acme_tools-v1.0-1x-py3-none-any.whl", False),
        ("acme-tools-1.0.tar.gz", False),
        ("Acme_tools-1.0.tar.gz", False),
        ("acme_tools-1.0.zip", False),
        ("acme_tools-1.0.tgz", False),
    ],
)
def test_normalized_names_are_a_rule(filename: str, taken: bool) -> None:
    """PEP 625 and the binary distribution format, if the operator wants it."""
    rules = replace(RULES, normalized_names=True)
    assert judge_form(UploadForm({}, filename), RULES).name.filename == filename
    if taken:
        assert judge_form(UploadForm({}, filename), rules).name.filename == filename
    else:
        assert "should be called 'acme_tools-1.0" in refusal(UploadForm({}, filename), rules).sentence


@pytest.mark.parametrize(
    ("size", "others", "rules", "opening"),
    [
        (10**12, 10**15, {}, None),
        (5, 0, {"max_file_size": 5}, None),
        (6, 0, {"max_file_size": 5}, "File too large. The limit for project 'acme' is 5 bytes"),
        (
            101 << 20,
            0,
            {"max_file_size": 100 << 20},
            "File too large. The limit for project 'acme' is 100 MiB",
        ),
        (5, 5, {"max_project_size": 10}, None),
        (6, 5, {"max_project_size": 10}, "Project size too large. The limit for all files of project 'acme'"),
    ],
)
def test_sizes_are_rules(size: int, others: int, rules: dict[str, Any], opening: str | None) -> None:
    """Of a file and of a project; none by default."""
    arguments = parse_project_name("acme"), size, others, replace(RULES, **rules)
    if opening is None:
        judge_size(*arguments)
        return
    with pytest.raises(RefusedUpload) as caught:
        judge_size(*arguments)
    assert (caught.value.status, caught.value.sentence.startswith(opening)) == (413, True)


def compare(upload: Upload, *, sha256: str = SHA256, md5: str = MD5, size: int = 3) -> None:
    """Compare stated digests with what arrived."""
    judge_digests(upload, FileDigests(sha256, BLAKE2, md5, size))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"sha256_digest": None},
        {"sha256_digest": SHA256.upper(), "blake2_256_digest": BLAKE2.upper(), "md5_digest": MD5.upper()},
        {"md5_digest": base64.urlsafe_b64encode(bytes.fromhex(MD5)).decode()},
    ],
)
def test_equal_digests_pass(values: dict[str, Any]) -> None:
    """All, some or none of them, in any case."""
    compare(judge(**values))


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [("sha256_digest", "sha256"), ("blake2_256_digest", "blake2_256"), ("md5_digest", "md5")],
)
def test_every_digest_that_is_supplied_must_match(key: str, algorithm: str) -> None:
    """One that differs is enough, whatever the others say."""
    all_right = {"sha256_digest": SHA256, "blake2_256_digest": BLAKE2, "md5_digest": MD5}
    values: dict[str, Any] = all_right | {key: "9" * len(all_right[key])}
    upload = judge(**values)
    with pytest.raises(
        RefusedUpload, match=f"calculated from the uploaded file: {algorithm} of the 3 bytes"
    ) as caught:
        compare(upload)
    assert caught.value.status == 400
    assert caught.value.sentence.startswith(
        "The digest supplied does not match a digest calculated from the uploaded file"
    )


def test_an_empty_file_is_refused() -> None:
    """Before anything is said of its digests."""
    with pytest.raises(RefusedUpload, match="is empty"):
        compare(judge(), sha256="9" * 64, size=0)


@pytest.mark.parametrize(
    ("form", "archive", "equal"),
    [
        (None, ">=3.9", True),
        (">=3.9", None, True),
        (">=3.9,<4", "<4, >=3.9", True),
        (">=3.9", ">=3.9.0", True),
        (">=3.9", ">=3.10", False),
        ("nonsense", ">=3.9", False),
    ],
)
def test_the_form_may_not_contradict_the_archive(form: str | None, archive: str | None, equal: bool) -> None:
    """What the archive says is served; a form that says otherwise was not made from it."""
    upload, metadata = judge(requires_python=form), CoreMetadata("acme-tools", "1.0", archive)
    judge_metadata(upload, None)
    if equal:
        judge_metadata(upload, metadata)
        return
    with pytest.raises(RefusedUpload, match="The form says Requires-Python"):
        judge_metadata(upload, metadata)


def test_a_broken_archive_is_said_in_one_sentence() -> None:
    """With what to do about it."""
    refused = refused_archive(parse_distribution_name(WHEEL), BrokenArchive("it is not a zip archive"))
    assert refused.status == 400
    assert refused.sentence == (
        f"Invalid distribution file. '{WHEEL}': it is not a zip archive. Build it again."
    )


# Words in an answer by which some client takes the file for one that is there already, or sends another form.
DECEIVING = [
    "already exist",
    "updating asset",
    "already been taken",
    "cannot be updated",
    "overwrite artifact",
    "was ever registered",
]


@for_each(("status", "opening", "filename", "values"), REFUSALS)
def test_row_39_no_sentence_is_taken_for_a_duplicates(
    status: int, opening: str, filename: str | None, values: dict[str, Any]
) -> None:
    """A client that skips existing files would report success."""
    sentence = refusal(UploadForm(fields(**values), filename)).sentence
    assert not [words for words in DECEIVING if words in sentence.lower()]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("two\r\nlines", "two lines"),
        ("\u2713 and \u00fc", "? and \u00fc"),
        ("bell\x07 and \x85", "bell? and"),
        ("x" * 1000, "x" * 500),
        ("The project Was Ever Registered", "The project was_ever_registered"),
    ],
)
def test_row_41_a_sentence_fits_into_a_reason_phrase(given: str, line: str) -> None:
    """One line of printable ISO-8859-1, and never an invitation to register."""
    assert RefusedUpload(400, given).sentence == line


TEXTS = st.text(max_size=30) | st.sampled_from(
    [
        "",
        "UNKNOWN",
        "1",
        "1.0",
        "acme",
        "was ever registered",
        "sdist",
        "bdist_wheel",
        "py3",
        "source",
        SHA256,
        MD5,
    ]
)
KEYS = st.sampled_from([*fields(), "md5_digest", "requires_python", "comment"]) | st.text(max_size=8)
FORMS = st.builds(
    UploadForm,
    st.dictionaries(KEYS, st.lists(TEXTS, max_size=3).map(tuple), max_size=12)
    | st.dictionaries(KEYS, st.tuples(TEXTS), max_size=2).map(lambda other: fields() | other),
    st.none()
    | st.text(max_size=40)
    | st.sampled_from([WHEEL, SDIST, "acme-1.0.tar.gz", "acme-1.0-py3-none-any.whl"]),
    st.none() | st.text(max_size=10),
    st.frozensets(KEYS, max_size=1),
)


def outcome(form: UploadForm, rules: UploadRules) -> Upload | RefusedUpload:
    """Judge a form, whatever comes of it; any other error is the test's."""
    try:
        return judge_form(form, rules)
    except RefusedUpload as refused:
        return refused


@given(FORMS, st.builds(UploadRules, st.booleans(), normalized_names=st.booleans()))
def test_whatever_comes_is_judged(form: UploadForm, rules: UploadRules) -> None:
    """Never anything but an upload whose name is a distribution's, or a sentence that fits into an answer."""
    judged = outcome(form, rules)
    if isinstance(judged, RefusedUpload):
        assert judged.status in {400, 410}
        assert not re.search(r"[^\x20-\x7e\xa0-\xff]", judged.sentence)
        assert "was ever registered" not in judged.sentence.lower()
        return
    assert judged.name == parse_distribution_name(judged.name.filename, judged.name.project)
    assert rules.local_versions or "+" not in judged.name.version
    compare(judged, sha256=judged.digests.sha256 or SHA256, md5=judged.digests.md5 or MD5)
