"""Pages: what every client reads from them, and what a person sees."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypi_simple import DistributionPackage, IndexPage, ProjectPage

from simpleindex.core.files import File, Sidecar, file_order
from simpleindex.core.model import Project, ProjectList, Status, Withheld
from simpleindex.core.names import Kind, ProjectName, parse_distribution_name
from simpleindex.web.pages import listing_parts, templates
from simpleindex.web.pages.simple_html import project_html
from simpleindex.web.pages.simple_json import project_json
from tests.fixtures.rendered import root_html, root_json
from tests.fixtures.tables import for_each

ACME = ProjectName("acme")
URL = "https://python.example.com/"
NAMES = [f"{first}{rest}" for first in "a0z" for rest in ("", "1", "-b", "-b-2")]
NOON = 1_763_899_200_000_000_000  # 2025-11-23T12:00:00Z
HOSTILE = '</a>\n<a href="x#egg=y">\r\n\t<script>alert(1)</script> \'&amp;" \u2028 \u202e \0 \ud800 é'


def digest(text: str) -> str:
    """The sha256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def file(filename: str = "acme-1.0-py3-none-any.whl", **facts: Any) -> File:
    """A file as a source would list it."""
    name = parse_distribution_name(filename, ACME)
    return File(
        **{
            "filename": filename,
            "version": name.version,
            "kind": name.kind,
            "size": 1234,
            "sha256": digest(filename),
            "uploaded_ns": NOON,
            **facts,
        }
    )


def project(*files: File, **facts: Any) -> Project:
    """A project as a source would answer it."""
    return Project(ACME, tuple(sorted(files, key=file_order)), **facts)


def entry(one: File, base_url: str | None = URL) -> dict[str, Any]:
    """The only file's JSON."""
    (found,) = json.loads(project_json(project(one), base_url))["files"]
    return dict(found)


class Reader(HTMLParser):
    """Reads a page strictly: every tag but the void ones is closed, in order."""

    VOID = frozenset({"meta", "link", "input"})

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.anchors: list[tuple[str, dict[str, str | None]]] = []
        self.inline: dict[str, str] = {}
        self.shown = ""
        self.feed(page.decode())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "a" not in self.open, "nothing is nested in an anchor"
        self.tags.append((tag, dict(attrs)))
        if tag == "a":
            self.anchors.append(("", dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "a":
            self.anchors[-1] = (self.anchors[-1][0] + data, self.anchors[-1][1])
        if self.open and self.open[-1] in ("style", "script"):
            self.inline[self.open[-1]] = data
        else:
            self.shown += data


def anchor(one: File, base_url: str | None = URL) -> dict[str, str | None]:
    """The only anchor's attributes."""
    ((_, attributes),) = Reader(project_html(project(one), base_url)).anchors
    return attributes


def shown(page: bytes) -> str:
    """What a person reads, white space collapsed."""
    return " ".join(Reader(page).shown.split())


def as_written(text: str) -> str:
    """What of a text reaches a client: all but control characters and lone surrogates."""
    return "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n\r" else c for c in text
    )


# Any text at all, lone surrogates included.
texts = st.text(st.characters(exclude_categories=()), max_size=40) | st.just(HOSTILE)
file_names = st.one_of(
    st.builds(
        "acme-{}{}-py3-none-{}.whl".format,
        st.sampled_from(["1.0", "1!2.0", "1.0+abc.1", "0.9rc1"]),
        # What may follow a build number is anything.
        st.sampled_from(["", "-1", "-1<b>&\"'#?%25"]),
        st.sampled_from(["any", "manylinux_2_17_x86_64.manylinux2014_x86_64"]),
    ),
    st.builds(
        "acme-{}.{}".format,
        st.sampled_from(["1.0", "2.0.dev1+g12", "0.9"]),
        st.sampled_from(["tar.gz", "zip"]),
    ),
)
files = st.builds(
    file,
    file_names,
    size=st.integers(0, 2**50),
    uploaded_ns=st.integers(-(2**80), 2**80),
    requires_python=st.none() | st.sampled_from([">=3.8,!=3.9.0,<4", "===<b>&\"'", "~=3.11"]),
    metadata=st.none()
    | st.builds(Sidecar, st.binary().map(lambda b: hashlib.sha256(b).hexdigest()), st.just(9)),
    yanked=st.none() | texts,
    signatures=st.sampled_from([(), (".asc",), (".sig",), (".asc", ".sig")]),
    provenance=st.booleans(),
)
projects = st.builds(
    lambda files, **facts: project(*files, **facts),
    st.lists(files, max_size=5, unique_by=lambda one: one.filename),
    status=st.sampled_from(Status),
    status_reason=st.none() | texts,
    withheld=st.sampled_from([(), (Withheld("x", HOSTILE, "name"),)]),
)


@given(projects, st.sampled_from([None, URL, "http://python.example.com/"]))
def test_json_parses_back_to_its_project(original: Project, base_url: str | None) -> None:
    """The reference client reads from the JSON exactly what the project says."""
    page = ProjectPage.from_json_data(json.loads(project_json(original, base_url)))
    assert (page.project, page.repository_version) == ("acme", "1.4")
    assert page.versions == list(original.versions)
    assert (page.status or Status.ACTIVE).value == original.status.value
    assert_same_reason(page, original)
    assert [one.filename for one in page.packages] == [one.filename for one in original.files]
    for package, one in zip(page.packages, original.files, strict=True):
        assert_same_file(package, one, base_url)
        assert package.size == one.size
        assert package.is_yanked == (one.yanked is not None)
        assert (package.yanked_reason or "") == as_written(one.yanked or "")
        assert package.has_sig is (True if ".asc" in one.signatures else None)


@given(projects, st.sampled_from([None, URL, "http://python.example.com/"]))
def test_html_parses_back_to_its_project(original: Project, base_url: str | None) -> None:
    """The reference client reads from the HTML exactly what the project says."""
    page = ProjectPage.from_html("acme", project_html(original, base_url))
    assert page.repository_version == "1.4"
    assert (page.status or Status.ACTIVE).value == original.status.value
    assert_same_reason(page, original)
    by_name = {one.filename: one for one in original.files}
    assert sorted(by_name) == sorted(package.filename for package in page.packages)
    signed = any(".asc" in one.signatures for one in original.files)
    for package in page.packages:
        one = by_name[package.filename]
        assert_same_file(package, one, base_url)
        assert package.yanked_reason == (None if one.yanked is None else as_written(one.yanked))
        assert package.has_sig is (".asc" in one.signatures if signed else None)


def assert_same_reason(page: ProjectPage, original: Project) -> None:
    """A status has its reason, an active project none."""
    reason = original.status_reason if original.status is not Status.ACTIVE else None
    assert page.status_reason == (as_written(reason) if reason else None)


def assert_same_file(package: DistributionPackage, one: File, base_url: str | None) -> None:
    """What both forms tell of a file."""
    assert unquote(package.url) == one.filename
    assert package.digests == {"sha256": one.sha256}
    assert package.requires_python == one.requires_python
    assert package.metadata_digests == ({"sha256": one.metadata.sha256} if one.metadata else None)
    if one.provenance and base_url == URL:
        assert package.provenance_url is not None
        assert unquote(package.provenance_url) == f"{URL}simple/acme/{one.filename}.provenance"
    else:
        assert package.provenance_url is None


@given(projects)
def test_html_is_well_formed_and_dull(original: Project) -> None:
    """Tags nest, anchors are files only and hold one line of text, nothing is loaded or runs from outside."""
    page = project_html(original, URL)
    reader = Reader(page)
    by_name = {one.filename: one for one in original.files}
    assert sorted(text for text, _ in reader.anchors) == sorted(by_name)
    for text, attributes in reader.anchors:
        path, _, fragment = str(attributes["href"]).partition("#")
        assert unquote(path) == text
        assert fragment == f"sha256={by_name[text].sha256}"
    lines = page.decode().split("\n")
    assert sum(line.startswith("<a ") and line.endswith("</a>") for line in lines) == len(by_name)
    assert_nothing_foreign(reader)


@given(st.lists(st.sampled_from(NAMES), unique=True, max_size=20))
def test_root_parses_back_to_its_list(names: list[str]) -> None:
    """Both forms of the root name every project once, in order, and nothing else."""
    projects = ProjectList(tuple(map(ProjectName, names)))
    for page in (
        IndexPage.from_html(root_html(projects)),
        IndexPage.from_json_data(json.loads(root_json(projects))),
    ):
        assert (page.projects, page.repository_version) == (names, "1.4")
    reader = Reader(root_html(projects))
    assert reader.anchors == [(name, {"href": f"{name}/"}) for name in names]
    assert_nothing_foreign(reader)


def assert_nothing_foreign(reader: Reader) -> None:
    """No resource, form or base, and nothing inline that the policy does not know."""
    assert {tag for tag, _ in reader.tags}.isdisjoint({"base", "form", "img", "iframe", "object"})
    for tag, attributes in reader.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "src")]
        assert tag in ("a", "link") or "href" not in attributes
        assert tag != "link" or attributes == {"rel": "icon", "href": "data:,"}


@given(st.lists(files, min_size=2, max_size=6, unique_by=lambda one: one.filename), st.randoms())
def test_html_is_independent_of_the_order_in_a_release(some: list[File], random: Any) -> None:
    """Within a release the page sorts: wheels first, then by name."""
    some = [replace(one, version="1.0") for one in some]
    shuffled = random.sample(some, len(some))
    assert project_html(Project(ACME, tuple(some)), URL) == project_html(Project(ACME, tuple(shuffled)), URL)


# What clients break without


@pytest.mark.parametrize(
    ("filename", "path"),
    [
        ("acme-1.0+abc-py3-none-any.whl", "acme-1.0%2Babc-py3-none-any.whl"),
        ("acme-1!1.0.tar.gz", "acme-1%211.0.tar.gz"),
        ('acme-1.0-1#?%&"<-py3-none-any.whl', "acme-1.0-1%23%3F%25%26%22%3C-py3-none-any.whl"),
    ],
)
def test_row_04_file_name_is_the_urls_last_segment(filename: str, path: str) -> None:
    """The URL is the bare name, percent-encoded once, in both forms."""
    assert entry(file(filename))["url"] == path
    assert str(anchor(file(filename))["href"]).split("#")[0] == path


def test_row_05_file_urls_have_no_query() -> None:
    """Clients disagree on a sidecar's URL when the file's has a query."""
    one = file("acme-1.0-1?x=1-py3-none-any.whl", metadata=Sidecar(digest("m"), 9), provenance=True)
    for url in (
        entry(one)["url"],
        entry(one)["provenance"],
        anchor(one)["href"],
        anchor(one)["data-provenance"],
    ):
        assert urlsplit(url).query == ""


def test_row_08_json_has_what_html_lacks() -> None:
    """Size and time of a file are in the JSON; as extras for uv they are in the HTML too."""
    assert {"size": 1234, "upload-time": "2025-11-23T12:00:00Z"}.items() <= entry(file()).items()
    assert anchor(file())["data-size"] == "1234"
    assert anchor(file())["data-upload-time"] == "2025-11-23T12:00:00Z"


def test_row_09_hashes_hold_sha256_only() -> None:
    """Of several hashes pip looks at the first only, and aborts on one that it does not know."""
    assert entry(file())["hashes"] == {"sha256": digest("acme-1.0-py3-none-any.whl")}


def test_row_10_fragments_are_sha256_and_lower_case() -> None:
    """Over another fragment uv loses the whole page, over upper case poetry loses the hash."""
    page = project_html(project(file(), file("acme-1.0.tar.gz")), URL)
    assert len(re.findall(rb"#sha256=[0-9a-f]{64}\"", page)) == 2
    assert not [
        attributes for _, attributes in Reader(page).anchors if "#sha256=" not in str(attributes["href"])
    ]


@given(projects)
def test_row_11_json_has_no_nulls(original: Project) -> None:
    """Over one null uv refuses the whole page."""
    json.loads(project_json(original, None), object_pairs_hook=_no_nulls)


def _no_nulls(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert None not in dict(pairs).values()
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


@pytest.mark.parametrize(
    ("yanked", "in_json", "in_html"),
    [(None, None, None), ("", True, ' data-yanked=""'), ("bad", "bad", ' data-yanked="bad"')],
)
def test_row_12_yanked_is_never_bare_nor_empty(yanked: str | None, in_json: Any, in_html: str | None) -> None:
    """A bare attribute, or an empty string in JSON, is "not yanked" to pip."""
    one = file(yanked=yanked)
    assert entry(one).get("yanked") == in_json
    page = project_html(project(one), URL).decode()
    assert (in_html in page) if in_html else (" data-yanked" not in page)


def test_row_13_core_metadata_is_absent_or_a_hash() -> None:
    """To pip even "false" is "there is one". JSON does without the old key, HTML has both."""
    none, some = file(), file(metadata=Sidecar(digest("m"), 9))
    assert [key for key in {**entry(none), **anchor(none)} if "metadata" in key] == []
    assert entry(some)["core-metadata"] == {"sha256": digest("m")}
    assert "dist-info-metadata" not in entry(some)
    assert (
        anchor(some)["data-core-metadata"]
        == anchor(some)["data-dist-info-metadata"]
        == f"sha256={digest('m')}"
    )


def test_row_16_requires_python_per_file() -> None:
    """Raw in JSON, escaped in HTML, absent when not known."""
    one = file(requires_python=">=3.8,<4")
    assert entry(one)["requires-python"] == ">=3.8,<4"
    assert b'data-requires-python="&gt;=3.8,&lt;4"' in project_html(project(one), URL)
    assert "requires-python" not in entry(file())
    assert "data-requires-python" not in anchor(file())


@pytest.mark.parametrize(
    ("nanoseconds", "time"),
    [
        (NOON, "2025-11-23T12:00:00Z"),
        (NOON + 1_999, "2025-11-23T12:00:00.000001Z"),
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1970-01-01T00:00:00Z"),
        (4_300_000_000 * 10**9, "2106-04-06T12:26:40Z"),
        (2**80, "9998-12-31T23:59:59.999999Z"),
    ],
)
def test_row_17_upload_time_is_always_there(nanoseconds: int, time: str) -> None:
    """UTC with Z and six digits or none, whatever the file system's clock said."""
    assert entry(file(uploaded_ns=nanoseconds))["upload-time"] == time


@given(st.integers())
def test_row_17_upload_time_is_a_time_that_clients_can_move(nanoseconds: int) -> None:
    """Any number becomes a time that can be converted to any zone."""
    time = entry(file(uploaded_ns=nanoseconds))["upload-time"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", time)
    assert datetime(1970, 1, 1, tzinfo=UTC) <= datetime.fromisoformat(time) < datetime(9999, 1, 1, tzinfo=UTC)


def test_row_18_size_and_versions() -> None:
    """Mandatory from 1.1; versions once each, normalized, oldest first."""
    page = json.loads(project_json(project(file(), file("acme-1.0.tar.gz"), file("acme-0.9.0.tar.gz")), URL))
    assert page["versions"] == ["0.9.0", "1.0"]
    assert [one["size"] for one in page["files"]] == [1234] * 3
    assert json.loads(project_json(project(), URL)) == {
        "meta": {"api-version": "1.4"},
        "name": "acme",
        "versions": [],
        "files": [],
    }


def test_row_19_root_links_are_relative_names() -> None:
    """The href without its slash is the name, to poetry."""
    assert b'\n<a href="acme/">acme</a>\n' in root_html(ProjectList((ACME,)))


@given(projects)
def test_row_20_a_regular_expression_finds_each_file(original: Project) -> None:
    """This is how hatch reads listings."""
    found = re.findall(r"<a [^>]+>([^<]+)</a>", project_html(original, URL).decode())
    escaped = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&amp;": "&"}
    assert sorted(re.sub("&[^;]+;", lambda match: escaped[match[0]], name) for name in found) == sorted(
        one.filename for one in original.files
    )


@given(projects)
def test_row_49_no_keys_of_1_2_or_1_5(original: Project) -> None:
    """Rejected and unimplemented parts of the standard are not announced, in no corner of a page."""
    page = json.loads(project_json(original, URL))
    assert page["meta"] == {"api-version": "1.4"}
    assert page.keys() <= {"meta", "name", "project-status", "versions", "files", "_withheld"}
    for one in page["files"]:
        assert one.keys() <= {
            *("filename", "url", "hashes", "size", "upload-time", "requires-python"),
            *("core-metadata", "yanked", "gpg-sig", "provenance"),
        }
    metas = {
        attributes["name"]
        for tag, attributes in Reader(project_html(original, URL)).tags
        if "name" in attributes
    }
    assert metas <= {
        "viewport",
        "pypi:repository-version",
        "pypi:project-status",
        "pypi:project-status-reason",
    }


# What a person sees


@pytest.mark.parametrize(
    "page", [root_html(ProjectList((ACME,))), root_html(ProjectList()), project_html(project(), None)]
)
def test_policy_allows_what_is_inline(page: bytes) -> None:
    """The Content-Security-Policy knows each page's style and script, and nothing else."""
    for tag, text in Reader(page).inline.items():
        source = f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        assert re.search(rf"{tag}-src [^;]*{re.escape(source)}", templates.content_security_policy)
    assert templates.content_security_policy.startswith("default-src 'none'; ")
    assert "unsafe" not in templates.content_security_policy


@pytest.mark.parametrize("text", [templates.STYLE, templates.ROOT_SCRIPT, templates.PROJECT_SCRIPT])
def test_inline_texts_look_like_no_markup(text: str) -> None:
    """A parser that does not know style and script as raw text sees no tag in them."""
    assert "<" not in text
    assert text.isascii()


def test_releases_newest_first_and_wheels_before_sdists() -> None:
    """By version, not by alphabet."""
    names = [
        "acme-1.9.tar.gz",
        "acme-1.10.tar.gz",
        "acme-1.10-py3-none-any.whl",
        "acme-1.10-py2-none-any.whl",
    ]
    reader = Reader(project_html(project(*map(file, names)), URL))
    assert [text for text, _ in reader.anchors] == names[::-1]


@for_each(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1234, "1.23 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (4_520_000, "4.52 MB"),
        (123_400_000_000, "123 GB"),
        (5_000_000_000_000_000, "5,000 TB"),
    ],
)
def test_size_in_human_units(size: int, text: str) -> None:
    """Three digits are enough for a person."""
    assert f" {text}2025-11-23 " in f"{shown(project_html(project(file(size=size)), URL))} "


def test_what_files_share_is_said_once() -> None:
    """A release yanked as a whole says so beside its version; a single file says it itself."""
    files = [
        file(f"acme-1.0-{py}-none-any.whl", yanked="broken", requires_python=">=3.8,<4")
        for py in ("py2", "py3")
    ]
    assert shown(project_html(project(*files), URL)).count("1.0Python >=3.8, <4Yanked: broken") == 1
    assert shown(project_html(project(*files), URL)).count("Yanked") == 1
    mixed = shown(project_html(project(files[0], replace(files[1], yanked="", requires_python=None)), URL))
    assert "2025-11-23Python >=3.8, <4Yanked: broken" in mixed
    assert "2025-11-23Yanked" in mixed


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "No files yet."),
        (
            {"withheld": (Withheld("x", "secret", "name"),)},
            "No files are offered: 1 file withheld: /-/why/acme says why.",
        ),
        ({"status": Status.QUARANTINED}, "No files are offered. Quarantined: It is considered unsafe"),
        (
            {"status": Status.QUARANTINED, "status_reason": "malware"},
            "No files are offered. Quarantined: malware",
        ),
        ({"status": Status.ARCHIVED}, "Archived: No new releases are expected."),
        ({"status": Status.DEPRECATED, "status_reason": "Use <b>"}, "Deprecated: Use <b>"),
    ],
)
def test_a_project_says_why_there_is_nothing(facts: dict[str, Any], text: str) -> None:
    """Empty, withheld and quarantined read differently; reasons for the operator stay with the operator."""
    page = project_html(project(**facts), URL)
    assert text in shown(page)
    assert b"secret" not in page
    assert b"pip install" not in page


def test_a_project_says_how_to_install_it() -> None:
    """Counts and the command are text, never anchors."""
    page = project_html(project(file(), file("acme-2.0.tar.gz"), withheld=(Withheld("x", "y", "name"),)), URL)
    assert "acme 2 releases · 2 files · 1 file withheld: /-/why/acme says why pip install acme" in shown(page)


def test_root_counts_and_tells_where_to_begin() -> None:
    """The root has its count, or says what to do; without script there is no dead filter box."""
    names = tuple(ProjectName(f"p{number}") for number in range(1234))
    assert "1,234 projects" in shown(root_html(ProjectList(names)))
    assert "1 project " in shown(root_html(ProjectList((ACME,))))
    assert "No projects yet. Put a wheel or an sdist at <root>/<project>/<file>" in shown(
        root_html(ProjectList())
    )
    (box,) = (attributes for tag, attributes in Reader(root_html(ProjectList(names))).tags if tag == "input")
    assert "hidden" in box


def test_pages_are_small() -> None:
    """What a page costs beyond its contents, in bytes before compression."""
    assert len(project_html(project(), URL)) < 4352
    one = file(metadata=Sidecar(digest("m"), 9), requires_python=">=3.8")
    other = replace(one, filename=one.filename.replace("py3", "py2"))
    assert len(project_html(project(one, other), URL)) - len(project_html(project(one), URL)) < 600
    names = tuple(ProjectName(f"project-{number:04}") for number in range(1000))
    assert len(root_html(ProjectList(names))) < 5120 + 1000 * (20 + 2 * len("project-0000"))


def test_what_an_upstream_does_not_say_is_left_out() -> None:
    """No size, no time, another hash or none: never a null, and never a guess."""
    file = File("acme-1.0.tar.gz", "1.0", Kind.SDIST, None, None, None, other_hash=("sha512", "ab" * 64))
    bare = File(
        "acme-2.0.tar.gz",
        "2.0",
        Kind.SDIST,
        None,
        None,
        None,
        url="https://files.example/a%20b/acme-2.0.tar.gz",
    )
    dated = File(
        "acme-3.0.tar.gz",
        "3.0",
        Kind.SDIST,
        1,
        "0" * 64,
        0,
        dated_by="first-seen",
        provenance_url="https://p.example/x",
    )
    project = Project(ProjectName("acme"), (file, bare, dated))
    first, second, third = json.loads(project_json(project, None))["files"]
    assert first == {"filename": file.filename, "url": file.filename, "hashes": {"sha512": "ab" * 64}}
    assert second == {"filename": bare.filename, "url": bare.url, "hashes": {}}
    assert third["_upload-time-by"] == "first-seen"
    assert third["provenance"] == "https://p.example/x"
    page = project_html(project, None).decode()
    assert f'<a href="acme-1.0.tar.gz#sha512={"ab" * 64}">' in page
    assert '<a href="https://files.example/a%20b/acme-2.0.tar.gz">' in page
    assert (
        'data-provenance="https://p.example/x" data-size="1" data-upload-time="1970-01-01T00:00:00Z"' in page
    )


@pytest.mark.parametrize("names", [(), ("acme",), ("acme", "other")])
def test_serials_of_the_list(names: tuple[str, ...]) -> None:
    """As PyPI writes them, the largest in the head; none of projects that are not listed, and none where nobody can tell."""
    projects = tuple(map(ProjectName, names))
    serials = {ProjectName("acme"): 7, ProjectName("other"): 9, ProjectName("secret"): 11}
    page = json.loads(root_json(ProjectList(projects, serials=serials)))
    assert {each["name"]: each["_last-serial"] for each in page["projects"]} == {
        name: serials[ProjectName(name)] for name in names
    }
    assert page["meta"]["_last-serial"] == max((serials[name] for name in projects), default=0)
    plain = json.loads(root_json(ProjectList(projects)))
    assert "_last-serial" not in plain["meta"]
    assert plain["projects"] == [{"name": name} for name in names]


def test_a_project_that_is_denied_says_so() -> None:
    """To people and to programs, and nothing of it is markup."""
    denied = project(denied="A rule <b>denies</b> it.")
    assert json.loads(project_json(denied, URL))["_denied"] == "A rule <b>denies</b> it."
    page = project_html(denied, URL)
    assert b"No files are offered: <bdi>A rule &lt;b&gt;denies&lt;/b&gt; it.</bdi>" in page


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 5])
def test_a_list_of_very_many_is_made_in_pieces(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name is there once, in order, whichever piece it is in; no piece is all of a large list."""
    monkeypatch.setattr(listing_parts, "PIECE", 2)
    names = tuple(ProjectName(f"p{each}") for each in range(number))
    page = json.loads(root_json(ProjectList(names, serials=dict.fromkeys(names, 7))))
    assert page["projects"] == [{"name": name, "_last-serial": 7} for name in names]
    assert json.loads(root_json(ProjectList(names)))["projects"] == [{"name": name} for name in names]
    assert re.findall('<a href="(p[0-9])/">', root_html(ProjectList(names)).decode()) == list(names)
    assert b"\0" not in root_html(ProjectList(names))


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_a_page_of_very_many_files_is_made_in_pieces(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the same bytes, whatever a status says."""
    many = project(
        *(file(f"acme-1.{each}.tar.gz") for each in range(number)),
        status=Status.DEPRECATED,
        status_reason='the key "files":[] is empty',
    )
    whole = project_json(many, URL)
    monkeypatch.setattr(listing_parts, "PIECE", 2)
    assert project_json(many, URL) == whole
    assert len(json.loads(whole)["files"]) == number
