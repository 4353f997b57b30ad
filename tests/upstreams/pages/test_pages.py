"""Listings of other indexes: every form and age understood, every fault of theirs kept from our clients."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simpleindex.core import bounds
from simpleindex.core.files import File, Sidecar
from simpleindex.core.model import Project, ProjectList, Status
from simpleindex.core.names import ProjectName, parse_project_name
from simpleindex.upstreams.errors import InvalidUpstreamPage
from simpleindex.upstreams.pages.flat import FLAT_PAGE_NAME
from simpleindex.upstreams.pages.html import read_html
from simpleindex.upstreams.pages.project_parser import parse_flat, parse_project
from simpleindex.upstreams.pages.roots import parse_root
from simpleindex.web.pages.simple_html import project_html
from simpleindex.web.pages.simple_json import project_json
from tests.fixtures.depth import number_of
from tests.fixtures.rendered import root_html, root_json
from tests.fixtures.tables import for_each

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "text/html; charset=utf-8"
URL = "https://up.example/simple/acme/"
ROOT = "https://up.example/simple/"
ACME = parse_project_name("acme")
SHA = "ab" * 32
OTHER = "e" * 64
WHEEL = "acme-1.0-py3-none-any.whl"


def listing(*files: Any, **more: Any) -> bytes:
    """A JSON page."""
    return json.dumps({"meta": {"api-version": "1.4"}, "name": "acme", "files": files, **more}).encode()


def entry(filename: str = WHEEL, /, **more: Any) -> dict[str, Any]:
    """A file of it."""
    return {"filename": filename, "url": f"../../files/{filename}", "hashes": {"sha256": SHA}, **more}


def project(body: bytes, kind: str = JSON, url: str = URL) -> Project:
    """Understand it."""
    return parse_project(kind, body, url, ACME, source="up")


def only(body: bytes, kind: str = JSON, url: str = URL) -> File:
    """The one file of it."""
    (file,) = project(body, kind, url).files
    return file


def test_a_whole_json_entry() -> None:
    """Everything that an upstream can state of a file passes."""
    file = only(
        listing(
            entry(
                WHEEL,
                **{
                    "size": 1337,
                    "upload-time": "2026-11-23T10:00:00.123456Z",
                    "requires-python": ">=3.10",
                    "core-metadata": {"sha256": "CD" * 32},
                    "yanked": "broken",
                    "provenance": "https://up.example/p",
                },
            )
        )
    )
    assert file.filename == WHEEL
    assert file.url == f"https://up.example/files/{WHEEL}"
    assert (file.size, file.sha256, file.version) == (1337, SHA, "1.0")
    assert file.uploaded_ns == 1_795_428_000_123_456_000
    assert file.requires_python == ">=3.10"
    assert file.metadata == Sidecar("cd" * 32, 0)
    assert (file.yanked, file.provenance_url, file.source) == ("broken", "https://up.example/p", "up")


@for_each(
    ("key", "value", "field", "expected"),
    [
        ("size", None, "size", None),
        ("size", -1, "size", None),
        ("size", True, "size", None),
        ("size", 1.5, "size", None),
        ("size", "12", "size", None),
        ("size", 10**400, "size", None),
        ("upload-time", None, "uploaded_ns", None),
        ("upload-time", "yesterday", "uploaded_ns", None),
        ("upload-time", "0001-01-01T00:00:00+23:59", "uploaded_ns", None),
        ("upload-time", "2001-09-09T01:46:40", "uploaded_ns", 10**18),
        ("upload-time", "2001-09-09T03:46:40+02:00", "uploaded_ns", 10**18),
        ("upload-time", 5, "uploaded_ns", None),
        ("requires-python", None, "requires_python", None),
        ("requires-python", "sometimes", "requires_python", None),
        ("requires-python", ">= 3.8,\n <4", "requires_python", ">= 3.8, <4"),
        ("requires-python", "===\u0663", "requires_python", None),
        ("requires-python", [], "requires_python", None),
        ("core-metadata", True, "metadata", None),
        ("core-metadata", False, "metadata", None),
        ("core-metadata", {"md5": "0" * 32}, "metadata", None),
        ("dist-info-metadata", {"sha256": OTHER}, "metadata", Sidecar(OTHER, 0)),
        ("dist-info-metadata", {"sha256": SHA.upper()}, "metadata", None),
        ("data-dist-info-metadata", {"sha256": OTHER}, "metadata", Sidecar(OTHER, 0)),
        ("yanked", None, "yanked", None),
        ("yanked", False, "yanked", None),
        ("yanked", True, "yanked", ""),
        ("yanked", "", "yanked", ""),
        ("yanked", "a\x00\ud800b", "yanked", "a\ufffd\ufffdb"),
        ("yanked", {}, "yanked", None),
        ("provenance", None, "provenance_url", None),
        ("provenance", "http://up.example/p", "provenance_url", None),
        ("provenance", "/p", "provenance_url", None),
        ("provenance", "https://u:p@up.example/p", "provenance_url", None),
        ("hashes", None, "sha256", None),
        ("hashes", {}, "sha256", None),
        ("hashes", {"sha256": "xy" * 32}, "sha256", None),
        ("hashes", {"sha256": SHA.upper()}, "sha256", SHA),
        ("hashes", {"sha256": SHA[:-2]}, "sha256", None),
        ("hashes", {"sha256": SHA, "md5": "0" * 32}, "other_hash", None),
        ("hashes", {"md5": "0" * 32, "sha512": "A" * 128}, "other_hash", ("sha512", "a" * 128)),
        ("hashes", {"md5": "0" * 32}, "other_hash", ("md5", "0" * 32)),
        ("hashes", {"sha1": "0" * 40}, "other_hash", None),
        ("hashes", {"blake2b": "0" * 64}, "other_hash", None),
    ],
)
def test_what_a_client_could_not_bear_is_left_out(key: str, value: Any, field: str, expected: Any) -> None:
    """Nulls, other types and values that are none are as if they had not been stated."""
    assert getattr(only(listing({**entry(), key: value})), field) == expected


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (f"{WHEEL}#sha256=1?x", f"{URL}{WHEEL}"),
        (f"a b/{WHEEL}?token=1&x=%zz", f"{URL}a%20b/{WHEEL}?token=1&x=%25zz"),
        (f"//cdn.example:443/{WHEEL}", f"https://cdn.example/{WHEEL}"),
        (f"http://[2001:DB8::1]:8080/{WHEEL}", f"http://[2001:db8::1]:8080/{WHEEL}"),
        (f"https://CDN.example/a/../{WHEEL}", f"https://cdn.example/{WHEEL}"),
        (f"https://cdn.example/\u00fc/{WHEEL}", f"https://cdn.example/%C3%BC/{WHEEL}"),
    ],
)
def test_urls_are_made_absolute(stated: str, expected: str) -> None:
    """Against where the page came from in the end, without a fragment, as plain ASCII."""
    assert only(listing({**entry(), "url": stated})).url == expected


@for_each(
    "stated",
    [
        None,
        "",
        " ",
        5,
        "javascript:alert(1)",
        "file:///etc/passwd",
        "ftp://up.example/x",
        "https://user:secret@up.example/x",
        "https://up.example\\@evil.example/x",
        "https://[bad/x",
        "https://up.example:99999/x",
        "https://up.example:0/x",
        "https://up\u3002example/x",
        "https://a b/x",
        "x" * 5000,
    ],
)
def test_a_file_that_cannot_be_fetched_is_withheld(stated: Any) -> None:
    """Only http and https, with a host and without credentials; everybody may know why, but not the URL."""
    found = project(listing({**entry(), "url": stated}))
    assert found.files == ()
    (item,) = found.withheld
    assert (item.filename, item.rule, item.public) == (WHEEL, "url", True)
    assert item.reason.startswith(f"{WHEEL} is not offered: it")
    assert "x.org" not in item.reason
    assert len(item.reason) < 200


def test_names_are_judged() -> None:
    """What is no distribution is not there, what is one of another project is withheld, and of two the first counts."""
    found = project(
        listing(
            entry("acme-2.0.tar.gz"),
            entry("Acme-1.00-py3-none-any.whl"),
            entry("acme-2.0.tar.gz", size=5),
            entry("other-1.0.tar.gz"),
            entry("acme-nothing.zip"),
            entry("../acme-1.0.tar.gz"),
            entry("acme-\x00.tar.gz"),
            entry("acme-" + "1" * 300 + ".tar.gz"),
            entry("acme-" + "1" * 5000 + ".tar.gz"),
            entry("acme-1.0.exe"),
            entry("acme-1.0-py3.7.egg"),
            {"filename": None},
            {"url": "acme-3.0.tar.gz"},
            None,
            [],
        )
    )
    assert [(file.filename, file.version, file.size) for file in found.files] == [
        ("Acme-1.00-py3-none-any.whl", "1.0", None),
        ("acme-2.0.tar.gz", "2.0", None),
    ]
    others = {item.filename: item.reason for item in found.withheld if item.rule == "format"}
    assert set(others) == {"acme-1.0.exe", "acme-1.0-py3.7.egg", "a file without a name"}
    assert "no wheel and no sdist" in others["acme-1.0.exe"]
    assert {item.filename[:18] for item in found.withheld if item.rule == "name"} == {
        "other-1.0.tar.gz",
        "acme-nothing.zip",
        "../acme-1.0.tar.gz",
        "acme-\ufffd.tar.gz",
        "acme-1111111111111",
    }


@for_each(
    ("body", "fault"),
    [
        (b"", "no JSON"),
        (b"<html>", "no JSON"),
        (b"\xff\xfe{}", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"files": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "no JSON"),
        (b'{"files": [' + b"1" * 5000 + b"]}", "no JSON"),
        (b"null", "no object"),
        (b"[]", "no object"),
        (b"{}", "no list of files"),
        (b'{"files": null}', "no list of files"),
        (b'{"files": {}}', "no list of files"),
        (b'{"files": [' + b"{}," * 4_000_000 + b"{}]}", "values"),
        (b'{"meta": {"api-version": "2.0"}, "files": []}', "version"),
        (b'{"name": "other", "files": []}', "that of"),
        (b'{"name": "../acme", "files": []}', "that of"),
    ],
    ids=range(15),
)
def test_pages_that_are_no_listing(body: bytes, fault: str) -> None:
    """Half-understood pages are refused, for an empty one would hide the project."""
    with pytest.raises(InvalidUpstreamPage, match=fault):
        project(body)


@pytest.mark.parametrize("kind", ["", "application/zip", "text/plain", "image/png", "x" * 5000])
def test_pages_of_other_types(kind: str) -> None:
    """The type is believed, as clients do."""
    with pytest.raises(InvalidUpstreamPage, match="type"):
        project(listing(), kind)


@pytest.mark.parametrize("kind", [JSON, "Application/JSON ; charset=utf-8"])
def test_json_types(kind: str) -> None:
    """Some servers call it just JSON."""
    assert project(listing(), kind) == Project(ACME)


@pytest.mark.parametrize("more", [{"name": None}, {"name": "ACME"}, {"meta": None}, {"versions": 5}])
def test_faults_around_the_files_do_no_harm(more: dict[str, Any]) -> None:
    """Keys that are not needed may be anything."""
    assert only(listing(entry(), **more)).filename == WHEEL


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"project-status": {"status": "archived", "reason": "done"}}, (Status.ARCHIVED, "done")),
        ({"project-status": {"status": "deprecated"}}, (Status.DEPRECATED, None)),
        (
            {"meta": {"project-status": "archived", "project-status-reason": "r"}},
            (Status.ARCHIVED, "r"),
        ),
        ({"project-status": None}, (Status.ACTIVE, None)),
        ({"project-status": {"status": "Archived"}}, (Status.ACTIVE, None)),
        ({"project-status": {"status": ["archived"], "reason": 5}}, (Status.ACTIVE, None)),
    ],
)
def test_status(more: dict[str, Any], expected: tuple[Status, str | None]) -> None:
    """PEP 792, also where the specification's example has it."""
    found = project(listing(entry(), **more))
    assert (found.status, found.status_reason) == expected
    assert found.files


def test_a_quarantined_project_offers_nothing() -> None:
    """Even where its upstream still lists the files."""
    found = project(listing(entry(), **{"project-status": {"status": "quarantined"}}))
    assert (found.files, found.withheld[0].rule) == ((), "status")


HTML_PAGES = {
    "pep 503": f"""<!DOCTYPE html><html><body><a href="../../files/{WHEEL}#sha256={SHA}" data-requires-python="&gt;=3.8"
        data-yanked data-dist-info-metadata="sha256={OTHER}" data-provenance="https://up.example/p">{WHEEL}</a></body></html>""",
    "1.0": f"<html><head><title>Links for acme</title></head><body><h1>Links for acme</h1>"
    f"<a href='../../files/{WHEEL}#md5={'0' * 32}' rel='internal'>{WHEEL}</a><br/>"
    f"<a href='https://acme.example/' rel='homepage'>1.0 home_page</a></body></html>",
    "nginx autoindex": f"""<html>\r\n<head><title>Index of /simple/acme/</title></head>\r\n<body>
<h1>Index of /simple/acme/</h1><hr><pre><a href="../">../</a>
<a href="../../files/{WHEEL}">acme-1.0-py3-no..&gt;</a>   23-Nov-2026 10:00   1337
</pre><hr></body>\r\n</html>""",
    "base": f"""<html><head><base href="https://up.example/files/"></head><body><a href="{WHEEL}">x</a></body></html>""",
    "devpi": f"""<!DOCTYPE html><html><head><title>root/pypi: links for acme</title></head><body>
<h1>root/pypi: links for acme</h1>
root/pypi <a href="../../files/{WHEEL}#sha256={SHA}" data-requires-python="&gt;=3.8">{WHEEL}</a><br/>
</body></html>""",
    "pypiserver": f"""<!DOCTYPE html><html><head><title>Links for acme</title></head><body><h1>Links for acme</h1>
<a href="/files/{WHEEL}#md5={"0" * 32}">{WHEEL}</a><br></body></html>""",
    "egg fragment": f"<A HREF = ../../files/{WHEEL}#egg=acme-1.0&sha256={SHA}>{WHEEL}</A>",
    "in a comment and a script": f"<!-- <a href='acme-2.0.zip'> --><script>'<a href=\"acme-3.0.zip\">'</script>"
    f"<a href='/files/{WHEEL}'>x</a>",
    "unfinished tags": f"<a <a <a href='/files/{WHEEL}'>x</a><a href='acme-2.0.zip",
}


@for_each("body", HTML_PAGES.values(), ids=HTML_PAGES)
def test_html_of_every_age(body: str) -> None:
    """One file is understood from whatever says it, and nothing else."""
    file = only(body.encode(), HTML)
    assert file.url == f"https://up.example/files/{WHEEL}"
    assert (file.filename, file.size) == (WHEEL, None)


def test_html_attributes() -> None:
    """What anchors say of their files; a bare data-yanked is a yank."""
    file = only(HTML_PAGES["pep 503"].encode(), HTML)
    assert (file.sha256, file.requires_python, file.yanked) == (SHA, ">=3.8", "")
    assert (file.metadata, file.provenance_url) == (Sidecar(OTHER, 0), "https://up.example/p")
    assert only(HTML_PAGES["1.0"].encode(), HTML).other_hash == ("md5", "0" * 32)
    assert only(HTML_PAGES["egg fragment"].encode(), HTML).sha256 == SHA


def test_html_in_other_encodings() -> None:
    """The stated charset is used if there is one of that name, and bytes that are none do no harm."""
    body = f'<a href="{WHEEL}" data-yanked="caf\xe9">x</a>'.encode("latin-1")
    assert only(body, "text/html; charset=iso-8859-1").yanked == "caf\xe9"
    for charset in ("utf-8", "nonsense", "zip", "hex", "rot13", "idna", "unicode_escape", "iso-8859-12"):
        assert only(body, f"text/html; charset={charset}").yanked == "caf\ufffd"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>Please log in: <form action='/login'><a href='/help'>help</a></form></body></html>",
        b"<meta name='pypi:repository-version' content='2.0'>",
    ],
)
def test_html_that_is_no_listing(body: bytes) -> None:
    """A login page or a captive portal would otherwise be a project without files."""
    with pytest.raises(InvalidUpstreamPage):
        project(body, HTML)


def test_html_status() -> None:
    """PEP 792's meta tags."""
    body = b'<meta name="pypi:project-status" content="archived"><meta name="pypi:repository-version" content="1.4">'
    assert project(body, HTML).status is Status.ARCHIVED


def test_a_flat_page() -> None:
    """All files of a --find-links page that are some project's, with the hashes of their fragments, wherever they are."""
    body = f"""<a href='{WHEEL}#sha256={"ab" * 32}'>x</a><a href='Other-1.0.tar.gz#md5={"cd" * 16}'>y</a>
    <a href='acme-junk.zip'>z</a><a href='readme'>r</a><a href='../'>up</a><a href='?C=M;O=A'>sort</a>
    <a href='https://far.example/cu118/torch-2.0.0%2Bcu118-py3-none-any.whl'>t</a>"""
    found = parse_flat(HTML, body.encode(), "https://up.example/dist/links.html", source="up")
    assert found.name == FLAT_PAGE_NAME
    assert [(file.filename, file.url) for file in found.files] == [
        ("Other-1.0.tar.gz", "https://up.example/dist/Other-1.0.tar.gz"),
        (WHEEL, f"https://up.example/dist/{WHEEL}"),
        (
            "torch-2.0.0+cu118-py3-none-any.whl",
            "https://far.example/cu118/torch-2.0.0%2Bcu118-py3-none-any.whl",
        ),
    ]
    assert [file.sha256 for file in found.files] == [None, "ab" * 32, None]
    assert found.files[0].other_hash == ("md5", "cd" * 16)
    assert found.withheld == ()
    assert parse_flat(JSON, listing(entry()), URL).files
    body = (
        f"<a href='https://me:s3cret@far.example/{WHEEL}'>x</a><a href='git+https://far.example/acme'>y</a>"
    )
    found = parse_flat(HTML, body.encode(), URL)
    assert [(item.filename, item.rule) for item in found.withheld] == [(WHEEL, "url"), ("acme", "link")]
    assert "s3cret" not in found.withheld[0].reason


@pytest.mark.parametrize(
    "body",
    [
        "<html><head><title>Index of /wheels/</title></head><body><a href='../'>../</a></body></html>",
        "<title>Directory listing for /</title>",
        '<meta name="pypi:repository-version" content="1.0">',
    ],
)
def test_an_empty_flat_page(body: str) -> None:
    """A directory listing without files is an index without projects."""
    assert parse_flat(HTML, body.encode(), URL).files == ()


@pytest.mark.parametrize("body", ["", "<h1>Log in</h1><a href='/login'>here</a>", "<p>It works!</p>"])
def test_what_is_no_flat_page(body: str) -> None:
    """Any other page would be an index that has let go of all its names."""
    with pytest.raises(InvalidUpstreamPage, match="lists no files"):
        parse_flat(HTML, body.encode(), URL)


def test_projects() -> None:
    """Names from both forms, normalized and sorted; what is none is passed over."""
    body = json.dumps(
        {"projects": [{"name": "B_c"}, {"name": "a"}, {"name": None}, {"name": "-"}, 5, {}]}
    ).encode()
    assert parse_root(JSON, body, ROOT).names == ("a", "b-c")
    pages = {
        "root": '<a href="B_c/">B_c</a><a href="/simple/a/">A</a>',
        "autoindex": '<a href="?C=N;O=D">Name</a><a href="/">Parent Directory</a><a href="../">../</a>'
        '<a href="a/">a/</a><a href="B_c/">B..&gt;</a>',
        "no slash": '<a href="a">a</a><a href="b-c">b-c</a>',
    }
    for page in pages.values():
        assert parse_root(HTML, page.encode(), ROOT).names == ("a", "b-c")


@pytest.mark.parametrize(
    ("kind", "body"),
    [(JSON, b"{}"), (JSON, b'{"projects": {}}'), (JSON, b"x"), (HTML, b""), ("a/b", b"{}")],
)
def test_pages_that_are_no_list_of_projects(kind: str, body: bytes) -> None:
    """They are refused too."""
    with pytest.raises(InvalidUpstreamPage):
        parse_root(kind, body, ROOT)


def test_our_own_pages_are_understood() -> None:
    """Both our forms come back as what they were made from, and again the same from what was made of that."""
    first = project(
        listing(
            entry(
                **{
                    "size": 7,
                    "upload-time": "2026-11-23T10:00:00Z",
                    "yanked": '<&">',
                    "requires-python": ">=3.8",
                }
            ),
            entry("acme-0.9.tar.gz", hashes={"md5": "0" * 32}, **{"core-metadata": {"sha256": SHA}}),
            **{"project-status": {"status": "archived", "reason": "a & b"}},
        )
    )
    assert project(project_json(first, None)) == first
    assert project(project_html(first, None), HTML) == first
    names = ProjectList((ProjectName("a"), ProjectName("b-c")))
    assert parse_root(JSON, root_json(names), ROOT).names == names.names
    assert parse_root(HTML, root_html(names), ROOT).names == names.names


@pytest.mark.no_cover
def test_very_many_files() -> None:
    """A page of a hundred thousand files is understood."""
    count = number_of(100_000)
    files = [{"filename": f"acme-1.{n}.tar.gz", "url": f"acme-1.{n}.tar.gz"} for n in range(count)]
    assert len(project(listing(*files)).files) == count


@for_each(
    "piece", ["<a ", "<a '", '<a "', "<!--", "<script>", "</a ", "<a href=", "<a b= ", "&", "<![CDATA["]
)
def test_html_takes_time_in_proportion_to_its_size(piece: str) -> None:
    """A megabyte of unfinished markup; the library's own parser takes hours for it."""
    text = piece * (1_000_000 // len(piece))
    with pytest.raises(InvalidUpstreamPage):
        project(text.encode(), HTML)


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([SHA, URL, WHEEL]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        "filename",
        "url",
        "hashes",
        "size",
        "upload-time",
        "requires-python",
        "core-metadata",
        "yanked",
        "provenance",
    ]
)
ODD_FILES = st.lists(ODD | st.dictionaries(KEYS, ODD).map(lambda odd: {**entry(), **odd}), max_size=4)
ODD_PAGES = st.fixed_dictionaries(
    {"files": ODD_FILES | ODD},
    optional={"meta": ODD, "name": ODD, "project-status": ODD, "projects": ODD, "versions": ODD},
)


@settings(max_examples=number_of(300))
@given(page=ODD_PAGES | ODD, kind=st.sampled_from([JSON, HTML]))
@example(page={"files": [{**entry(), "url": "http://[::1"}]}, kind=JSON)
def test_whatever_json_says_only_our_error_is_raised(page: Any, kind: str) -> None:
    """And what is understood can be written as a page, without nulls."""
    _is_bounded(kind, json.dumps(page).encode())


MARKUP = st.lists(
    st.sampled_from(
        [
            "<a ",
            "</a>",
            "<",
            ">",
            "href=",
            "'",
            '"',
            " ",
            "#sha256=",
            SHA,
            WHEEL,
            "<!--",
            "-->",
            "<base ",
            "<meta ",
            "&#0;",
            "&lt",
        ]
    )
    | st.text(max_size=5),
    max_size=30,
).map("".join)


@settings(max_examples=number_of(300))
@given(
    text=MARKUP,
    charset=st.sampled_from(["utf-8", "utf-16", "latin-1", "unicode_escape", "punycode", "undefined"]),
)
def test_whatever_html_says_only_our_error_is_raised(text: str, charset: str) -> None:
    """In any encoding."""
    _is_bounded(f"text/html; charset={charset}", text.encode("utf-8", "replace"))


@given(st.binary(max_size=200), st.text(max_size=50))
def test_whatever_bytes_come_only_our_error_is_raised(body: bytes, kind: str) -> None:
    """Of any type."""
    for media_type in (JSON, HTML, kind):
        _is_bounded(media_type, body)


def _is_bounded(kind: str, body: bytes) -> None:
    faults: list[str] = []
    for parse in (
        lambda: project(body, kind),
        lambda: parse_flat(kind, body, URL, source="up"),
    ):
        try:
            found = parse()
        except InvalidUpstreamPage as error:
            faults.append(str(error))
        else:
            assert b":null" not in project_json(found, None)
            project_html(found, None)
            assert all(file.url and file.url.isascii() and file.source == "up" for file in found.files)
            json.dumps([item.reason for item in found.withheld], ensure_ascii=False).encode()
    try:
        parse_root(kind, body, ROOT)
    except InvalidUpstreamPage as error:
        faults.append(str(error))
    assert all(len(fault) < 1000 for fault in faults)


@pytest.mark.parametrize("reference", ["&#" + "1" * 5000 + ";", "&#x" + "0" * 5000 + "41;", "&#99999999;"])
def test_a_character_without_bounds_is_none(reference: str) -> None:
    """Python refuses to make a number of more than 4,300 digits; the rest of the page is as good as before."""
    page = read_html(f'<a href="a.zip" title="{reference}">{reference}b</a>')
    (anchor,) = page.anchors
    assert anchor.text == "\ufffdb"
    assert anchor.attributes["title"] == "\ufffd"


@pytest.mark.parametrize(
    ("name", "most", "body", "size"),
    [
        ("PAGE_LINKS", 2, "<a href=a>" * 3, "3 links"),
        ("TAG_ATTRIBUTES", 2, "<a href=a b c>", "3 attributes"),
        ("PAGE_METAS", 2, "".join(f"<meta name=pypi:{i}>" for i in range(3)), "3 meta tags"),
    ],
)
def test_what_costs_memory_is_bounded(
    monkeypatch: pytest.MonkeyPatch, name: str, most: int, body: str, size: str
) -> None:
    """A page of 64 MB has room for millions of the shortest links, of which each costs fifty times as much memory."""
    monkeypatch.setattr(bounds, name, replace(getattr(bounds, name), most=most))
    with pytest.raises(InvalidUpstreamPage, match=f"has {size}.*, and at most {most} are read"):
        read_html(body)


def test_a_fragment_that_is_too_long_states_nothing() -> None:
    """Not even a digest, which could be any of its parts."""
    html = f'<a href="acme-1.zip#{"a=b&" * 2000}sha256={"0" * 64}">acme-1.zip</a>'.encode()
    project = parse_project("text/html", html, "https://a.example/acme/", ProjectName("acme"))
    (file,) = project.files
    assert file.sha256 is None
