"""The pages that look inside distributions, and that compare two versions."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.defer import Deferred

from simpleindex.access.identity import ANYONE
from simpleindex.archives.contents import Member
from simpleindex.archives.distribution_reader import DistributionReader
from simpleindex.core import bounds
from simpleindex.core.errors import NotHere
from simpleindex.core.files import File
from simpleindex.core.model import Project
from simpleindex.core.names import Kind, ProjectName
from simpleindex.system.bodies import BytesBody
from simpleindex.web.http.response import RequestInfo
from simpleindex.web.pages.negotiation import Encoding
from simpleindex.web.people.index_address import IndexAddress
from simpleindex.web.people.page_request import PageRequest
from simpleindex.web.people.project.difference_page import DifferencePage
from simpleindex.web.people.project.inside_page import InsidePage, is_entry_points
from simpleindex.web.people.project.project_page import PageServices
from simpleindex.web.people.renderer import PageRenderer
from simpleindex.web.routing.routes import OwnPageRoute
from tests.fixtures.deferreds import error, result
from tests.fixtures.examiner import InProcessExaminer
from tests.fixtures.tables import for_each
from tests.fixtures.threads import InlineThreads, PausedThreads

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = ProjectName("acme")


def wheel(version: str, files: Mapping[str, str | bytes]) -> tuple[File, bytes]:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    data = made.getvalue()
    name = f"acme-{version}-py3-none-any.whl"
    return File(name, version, Kind.WHEEL, len(data), hashlib.sha256(data).hexdigest(), None), data


class Shelf:
    """A source with the distributions of one project."""

    def __init__(self, *distributions: tuple[File, bytes]) -> None:
        self.data = {file.filename: data for file, data in distributions}
        self.listed = Project(NAME, tuple(file for file, _ in distributions))

    async def project(self, name: ProjectName) -> Project:
        if name != NAME:
            raise NotHere(f"project {name}")
        return self.listed

    async def file(self, _: ProjectName, filename: str) -> BytesBody:
        return BytesBody(self.data[filename], "0" * 64, None)


def services() -> PageServices:
    renderer = PageRenderer({}, InlineThreads(), 1 << 20)
    reader = DistributionReader(InProcessExaminer(), InlineThreads())
    return PageServices(renderer, reader, InlineThreads(), lambda _: IndexAddress("https://host/"))


def asking(page: str, source: Any) -> PageRequest:
    info = RequestInfo("GET", f"/-/{page}".encode(), lambda _: None)
    return PageRequest(OwnPageRoute(page), info, ANYONE, source)


def text_of(response: Any) -> str:
    assert response.status == 200
    body: bytes = response.body
    return body.decode()


ENTRY_POINTS = "acme-1.0.dist-info/entry_points.txt"
ONE = wheel(
    "1.0",
    {
        "acme/__init__.py": "x = 1\n<script>alert(1)</script>\n",
        "acme/gone.py": "",
        "acme/picture.png": b"\x89PNG\xff",
        "acme-1.0.dist-info/METADATA": "Name: acme\nRequires-Dist: old>=1\n\n",
        ENTRY_POINTS: "[console_scripts]\nacme = acme:main\n",
    },
)
TWO = wheel(
    "2.0",
    {
        "acme/__init__.py": "x = 2\n<script>alert(1)</script>\n",
        "acme/new.py": "",
        "acme/picture.png": b"\x89PNG\xfe",
        "acme-2.0.dist-info/METADATA": "Name: acme\nRequires-Dist: new>=1\n\n",
    },
)


def test_the_files_of_a_wheel_with_its_entry_points() -> None:
    html = text_of(
        result(InsidePage(services()).answer(asking(f"inside/acme/{ONE[0].filename}", Shelf(ONE))))
    )
    assert "5 files" in html
    assert "acme = acme:main" in html
    assert f'href="../../../-/inside/acme/{ONE[0].filename}/acme/__init__.py"' in html


def test_the_text_of_a_member_with_line_numbers() -> None:
    page = f"inside/acme/{ONE[0].filename}/acme/__init__.py"
    html = text_of(result(InsidePage(services()).answer(asking(page, Shelf(ONE)))))
    assert '<span id="L1">x = 1\n</span>' in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script>alert" not in html


def test_a_member_that_is_no_text() -> None:
    page = f"inside/acme/{ONE[0].filename}/acme/picture.png"
    assert "It is no text" in text_of(result(InsidePage(services()).answer(asking(page, Shelf(ONE)))))


ODD = wheel(
    "1.0",
    {
        "acme/form_feed.py": "a = 1\n\x0c\nb = 2\u2028\n",
        "acme/large.txt": "x" * (bounds.MEMBER_TEXT.most + 1),
        "acme/empty.py": "",
        "acme/two\nlines\u202e.txt": "x",
        "../up.txt": "x",
        "/absolute.txt": "x",
    },
)


def inside(member: str = "", shelf: tuple[File, bytes] = ODD) -> str:
    page = f"inside/acme/{shelf[0].filename}{member and '/'}{member}"
    return text_of(result(InsidePage(services()).answer(asking(page, Shelf(shelf)))))


def test_lines_have_the_numbers_that_python_gives_them() -> None:
    html = inside("acme/form_feed.py")
    assert '<span id="L3">b = 2\u2028\n</span>' in html
    assert 'id="L4"' not in html


def test_why_a_member_is_not_shown() -> None:
    assert "It has 262 kB, and at most 262 kB are shown." in inside("acme/large.txt")
    assert "It is empty." in inside("acme/empty.py")
    assert "It is no text." in inside("acme/picture.png", ONE)


def test_paths_that_a_browser_would_change_are_no_links() -> None:
    html = inside()
    assert "../up.txt</td>" in html
    assert "/absolute.txt</td>" in html
    assert "two\\nlines\\u202e.txt</a>" in html, "no name of a file can look like another"
    assert "two%0Alines%E2%80%AE.txt" in html


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_path_that_is_there_twice_is_marked() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for text in ("harmless", "other"):
            archive.writestr("acme/a.py", text)
        archive.writestr("acme/b.py", "")
    twice = (ODD[0], made.getvalue())
    assert inside(shelf=twice).count("more than once") == 2
    assert "installers use the last" in inside("acme/a.py", twice)
    assert "installers use the last" not in inside("acme/b.py", twice)


@for_each(
    ("path", "is_one"),
    [
        ("a-1.0.dist-info/entry_points.txt", True),
        ("a-1.0/a.egg-info/entry_points.txt", True),
        ("a-1.0/src/a.egg-info/entry_points.txt", True),
        ("a/vendored/a-1.0.dist-info/entry_points.txt", False),
        ("a-1.0/tests/data/x/a.egg-info/entry_points.txt", False),
        ("entry_points.txt", False),
    ],
)
def test_where_entry_points_are(path: str, is_one: bool) -> None:
    assert is_entry_points(Member(path, 1, "")) is is_one


def test_a_broken_archive_is_a_sentence() -> None:
    file, _ = ONE
    html = text_of(
        result(InsidePage(services()).answer(asking(f"inside/acme/{file.filename}", Shelf((file, b"x")))))
    )
    assert "It cannot be looked into: " in html


@for_each(
    "page",
    [
        *(
            "inside",
            "inside/",
            "inside/acme",
            "inside/acme/",
            "inside/other/x.whl",
            "inside/acme/other.whl",
            "inside/-/x",
        ),
        *(
            f"inside/acme/{ONE[0].filename}/none",
            "diff/acme/1.0",
            "diff/acme/1.0/2.0/3.0",
            "diff/-/1/2",
        ),
        "diff/other/1.0/2.0",
    ],
)
def test_what_is_not_there_is_not_here(page: str) -> None:
    answer = (InsidePage if page.startswith("inside") else DifferencePage)(services()).answer
    assert isinstance(error(answer(asking(page, Shelf(ONE, TWO)))), NotHere)


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("other.whl", "There is no file 'other.whl' of the project acme here."),
        (f"{ONE[0].filename}/no\x85ne.py", f"There is no file 'no\\x85ne.py' in {ONE[0].filename} here."),
    ],
)
def test_a_refusal_names_the_file(page: str, sentence: str) -> None:
    refused = error(InsidePage(services()).answer(asking(f"inside/acme/{page}", Shelf(ONE))))
    assert str(refused) == sentence


@pytest.mark.parametrize("versions", ["1.0/2.0", "2.0/1.0", "1/2.0.0"])
def test_what_changed_between_two_versions(versions: str) -> None:
    html = text_of(
        result(DifferencePage(services()).answer(asking(f"diff/acme/{versions}", Shelf(ONE, TWO))))
    )
    assert "1 file added" in html
    assert "2 files removed" in html
    assert "3 files changed" in html
    assert "- old&gt;=1" in html
    assert "+ new&gt;=1" in html
    assert '<span class="minus">-x = 1\n</span>' in html
    assert '<span class="plus">+x = 2\n</span>' in html
    assert "not compared line by line: 1 file" in html
    assert "<script>alert" not in html


@for_each("versions", ["1.0/9", "9/1.0", "x y/1.0", "<b>/9"])
def test_a_version_that_is_not_offered_is_not_compared(versions: str) -> None:
    response: Any = result(
        DifferencePage(services()).answer(asking(f"diff/acme/{versions}", Shelf(ONE, TWO)))
    )
    assert response.status == 404
    html = response.body.decode()
    assert "Only versions that are offered can be compared." in html
    assert 'href="../../../../acme/"' in html
    assert "<b>/" not in html


def test_the_metadata_that_changed_have_a_section() -> None:
    one = wheel("1.0", {"acme-1.0.dist-info/METADATA": "Name: acme\nRequires-Python: >=3.8\n\n"})
    two = wheel("2.0", {"acme-2.0.dist-info/METADATA": "Name: acme\nRequires-Python: >=3.9\n\n"})
    html = text_of(result(DifferencePage(services()).answer(asking("diff/acme/1.0/2.0", Shelf(one, two)))))
    assert "<h2>Metadata</h2>" in html
    assert "- Requires-Python: &gt;=3.8" in html
    assert "+ Requires-Python: &gt;=3.9" in html
    assert "<h2>Dependencies</h2>" not in html
    assert "not for the same Pythons" not in html


def test_wheels_for_other_platforms_are_compared_with_a_warning() -> None:
    file, data = wheel("2.0", {"acme/a.py": "x = 2\n"})
    other = (replace(file, filename="acme-2.0-cp312-cp312-win32.whl"), data)
    html = text_of(result(DifferencePage(services()).answer(asking("diff/acme/1.0/2.0", Shelf(ONE, other)))))
    assert "not for the same Pythons and platforms" in html
    assert "files removed" in html


def test_a_version_is_not_compared_with_itself() -> None:
    html = text_of(result(DifferencePage(services()).answer(asking("diff/acme/1.0/1", Shelf(ONE)))))
    assert "It is the same version." in html
    assert "files added" not in html


def test_a_form_feed_ends_no_line_of_a_difference() -> None:
    shelf = Shelf(wheel("1.0", {"acme/a.py": "a\x0cb\n"}), wheel("2.0", {"acme/a.py": "a\x0cc\n"}))
    html = text_of(result(DifferencePage(services()).answer(asking("diff/acme/1.0/2.0", shelf))))
    assert "3 lines" in html


def test_versions_without_a_common_kind_cannot_be_compared() -> None:
    sdist = File("acme-2.0.tar.gz", "2.0", Kind.SDIST, 1, "0" * 64, None)
    html = text_of(
        result(DifferencePage(services()).answer(asking("diff/acme/1.0/2.0", Shelf(ONE, (sdist, b"")))))
    )
    assert "no wheel and no sdist in both versions" in html


def test_broken_archives_cannot_be_compared() -> None:
    shelf = Shelf(ONE, (TWO[0], b"x"))
    html = text_of(result(DifferencePage(services()).answer(asking("diff/acme/1.0/2.0", shelf))))
    assert "They cannot be compared: " in html


def test_pages_that_strangers_fill_are_rendered_in_threads_and_kept() -> None:
    """A text of 256 KiB that is nothing but ends of lines takes a second to be rendered, whichever character ends them."""
    long = wheel("1.0", {f"acme/{number}.txt": end * 1_000 for number, end in enumerate("\r\n")})
    shelf, made = Shelf(long), services()
    threads = PausedThreads(held=True)
    made = replace(made, renderer=PageRenderer({}, threads, 1 << 20), threads=threads)
    for number in range(2):
        for is_kept in (False, True):
            asked = Deferred.fromCoroutine(
                InsidePage(made).answer(asking(f"inside/acme/{long[0].filename}/acme/{number}.txt", shelf))
            )
            assert asked.called == is_kept
            assert threads.deliver_all() == (0 if is_kept else 1)
            assert text_of(result(asked)).count('<span id="L') == 1_000


def test_a_comparison_is_made_in_threads_and_its_page_kept() -> None:
    """Lists of 5,000 files and of 3,000 dependencies take 50 ms each."""
    shelf = Shelf(*(wheel(version, {"acme/a.txt": version}) for version in ("1.0", "2.0")))
    threads = PausedThreads(held=True)
    made = replace(services(), renderer=PageRenderer({}, threads, 1 << 20), threads=threads)
    counts = []
    for _ in range(2):
        asked = Deferred.fromCoroutine(DifferencePage(made).answer(asking("diff/acme/1.0/2.0", shelf)))
        counts.append(threads.deliver_all())
        assert "acme/a.txt" in text_of(result(asked))
    # The lists, the dependencies, the page; and the page once for both.
    assert counts == [3, 2]


def test_what_a_kept_page_was_made_from_counts_too() -> None:
    """256 KiB of one character are 300 bytes compressed; thousands of such pages would hold on to what they show."""
    shelf, made = Shelf(wheel("1.0", {f"acme/{each}.txt": "x" * 200_000 for each in range(20)})), services()
    renderer = PageRenderer({Encoding.GZIP: gzip.compress}, InlineThreads(), 100_000)
    made = replace(made, renderer=renderer)
    for number in range(20):
        request = asking(f"inside/acme/acme-1.0-py3-none-any.whl/acme/{number}.txt", shelf)
        info = replace(request.info, header={"accept-encoding": "gzip"}.get)
        assert len(result(InsidePage(made).answer(replace(request, info=info))).body) < 2_000
    assert 1 <= len(renderer._pages) <= 100_000 * 8 // 200_000


@for_each(
    ("member", "data", "text", "remark"),
    [
        (
            "a.txt",
            b"un caf\xe9: 2 \x80",
            "un café: 2 €",
            "It is not in UTF-8, and does not state its encoding; shown as cp1252, which is a guess.",
        ),
        ("a.py", b"# coding: sjis\n#\x82\xa0", "あ", "It is in shift-jis, as it states."),
        ("a.txt", "あ".encode("utf-16"), "あ", "It is in utf-16, by the mark that it begins with."),
        ("a.py", b"# coding: idna\n", "idna", "It is not in idna, which it states; shown as utf-8."),
        (
            "a.py",
            b"# coding: <b>\n# coding: ascii\n#\xe9\n",
            "&lt;b&gt;",
            "It is not in ascii, which it states; shown as cp1252, which is a guess.",
        ),
        ("a.py", "# coding: utf-8\né".encode(), "é", ""),
    ],
)
def test_a_text_in_another_encoding_says_so(member: str, data: bytes, text: str, remark: str) -> None:
    html = inside(member, wheel("1.0", {member: data}))
    assert text in html
    assert "<b>" not in html
    assert remark in html
    assert remark or "It is " not in html


def test_links_of_an_sdist_are_listed_and_have_no_page() -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for path, kind, target in (
            ("acme-1.0/one", tarfile.SYMTYPE, "/etc/<passwd>\u202e"),
            ("acme-1.0/two", tarfile.LNKTYPE, "acme-1.0/three"),
        ):
            info = tarfile.TarInfo(path)
            info.type, info.linkname = kind, target
            archive.addfile(info)
        archive.addfile(tarfile.TarInfo("acme-1.0/three"))
    data = made.getvalue()
    name = "acme-1.0.tar.gz"
    sdist = File(name, "1.0", Kind.SDIST, len(data), hashlib.sha256(data).hexdigest(), None), data
    html = inside(shelf=sdist)
    assert "1 file, 2 links, " in html
    assert "symbolic link to</span> /etc/&lt;passwd&gt;\\u202e<" in html
    assert "hard link to</span> acme-1.0/three<" in html
    assert f"{name}/acme-1.0/three" in html
    assert f"{name}/acme-1.0/one" not in html
    page = asking(f"inside/acme/{name}/acme-1.0/one", Shelf(sdist))
    assert isinstance(error(InsidePage(services()).answer(page)), NotHere)
