"""Every reader of what strangers write does at most twice the work for twice the text: counted, not timed.

Each is given texts of the forms that would make it quadratic, within its bounds, where only its code keeps it from that.
"""

from __future__ import annotations

import gc
import io
import json
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from simpleindex.access.access_file import parse_access
from simpleindex.access.identity import UploadRules
from simpleindex.access.logins.credentials import parse_authorization
from simpleindex.archives.entry_points import read_entry_points
from simpleindex.archives.paths import Paths, plain_path
from simpleindex.archives.tar import TarStream, headers
from simpleindex.archives.verification.strict_metadata import judge_installable
from simpleindex.archives.verification.verify import examine_strictly
from simpleindex.archives.verification.wheel_metadata import judge_wheel_file
from simpleindex.archives.verification.wheel_record import judge_record
from simpleindex.commands.cache.lock_file import parse_lock_file
from simpleindex.core.errors import SimpleIndexError
from simpleindex.core.metadata import read_details, read_metadata
from simpleindex.core.names import ProjectName, parse_distribution_name
from simpleindex.core.parsing.toml import load_toml
from simpleindex.core.parsing.version_texts import parse_requirement, parse_specifiers, parse_version
from simpleindex.directory.project_file import parse_project_file
from simpleindex.policy.deny_list import parse_deny_list
from simpleindex.policy.osv import parse_advisory
from simpleindex.upstreams.pages.html import read_html
from simpleindex.upstreams.pages.project_parser import parse_flat, parse_project
from simpleindex.upstreams.pages.roots import parse_root
from simpleindex.web.conditional import not_modified
from simpleindex.web.pages.negotiation import choose_representation
from simpleindex.web.publish.line_feeds import LineFeedForm
from simpleindex.web.publish.sinks import FormSink
from tests.archives.test_tar import header, pax
from tests.fixtures.archives import Part, entry, raw_zip, tar, wheel_parts
from tests.fixtures.counted_work import work_of
from tests.fixtures.depth import THOROUGH
from tests.web.publish.test_sinks import MemoryDraft

if TYPE_CHECKING:
    from collections.abc import Callable

WHEEL = parse_distribution_name("acme-1.0-py3-none-any.whl")
SDIST = parse_distribution_name("acme-1.0.tar")


class Form(NamedTuple):
    """A form of text, and its reader.

    Attributes:
        read: Takes what was made.
        make: Takes how often something is repeated in it.
        times: For the shorter text.
    """

    read: Callable[[Any], object]
    make: Callable[[int], Any]
    times: int = 40 if THOROUGH else 24


def page(*anchors: str) -> bytes:
    """A page of links."""
    return f"<html><title>Links for acme</title>{''.join(anchors)}</html>".encode()


def project_page(body: bytes, content_type: str = "text/html") -> object:
    """Read the page of a project."""
    return parse_project(content_type, body, "https://a.example/acme/", ProjectName("acme"))


def add_all(paths: list[str]) -> None:
    """Note paths as those of an archive's members."""
    noted = Paths()
    for path in paths:
        noted.add(path)


def through_links(parts: int) -> bytes:
    """An sdist with a symbolic link of so many steps."""
    steps = "a/" * parts
    return tar(entry(f"acme-1.0/{steps}l", b"2", f"{'../' * parts}{steps}c"))


def advisory(versions: int) -> bytes:
    """With many versions, and as many events."""
    events = [{("introduced", "last_affected")[i % 2]: f"{i}.0"} for i in range(versions)]
    listed = [f"{i}.5" for i in range(versions)]
    package = {"name": "acme", "ecosystem": "PyPI"}
    affected = {"package": package, "ranges": [{"type": "ECOSYSTEM", "events": events}], "versions": listed}
    return json.dumps({"id": "X-1", "affected": [affected]}).encode()


def fill(body: bytes) -> object:
    """Read a form of fields."""
    sink = FormSink(b"b", lambda _: MemoryDraft(), 0)
    sink.feed(body)
    return sink.finish()


def fields(*texts: str) -> bytes:
    """A form of fields with these texts."""
    head = 'Content-Disposition: form-data; name="comment"'
    return "".join(f"--b\r\n{head}\r\n\r\n{text}\r\n" for text in texts).encode() + b"--b--\r\n"


def examine(name: Any, data: bytes) -> object:
    """Examine an upload."""
    return examine_strictly(io.BytesIO(data), name, UploadRules())


ENTRY = '<a href="acme-{}.tar.gz#sha256=' + "0" * 64 + '" data-requires-python="&gt;=3.{}">x</a>'
FORMS = {
    "entry-points-blanks": Form(read_entry_points, lambda n: "[console_scripts]\na" + " " * n + "b = c\n"),
    "entry-points-lines": Form(read_entry_points, lambda n: "[g]\n" + "a = b\n  c\n\n" * n),
    "wheel-tags": Form(
        partial(judge_wheel_file, name=WHEEL, tags_must_match=False),
        lambda n: b"Wheel-Version: 1.0\n" + b"Tag: py3-none-any\n" * n,
    ),
    "record": Form(
        lambda data: judge_record([data], Paths(), "acme-1.0.dist-info"),
        lambda n: b"acme-1.0.dist-info/RECORD,,\n" * n,
    ),
    "record-empty": Form(lambda data: judge_record([data], Paths(), "d"), lambda n: b"\n" * n),
    "record-quotes": Form(lambda data: judge_record([data], Paths(), "d"), lambda n: b'"' * n + b"\n"),
    "record-pieces": Form(lambda data: judge_record(data, Paths(), "d"), lambda n: [b"x"] * n),
    "line-feeds-headers": Form(
        lambda data: LineFeedForm(b"b").feed(data), lambda n: b"--b\n" + b"a: b\n" * n
    ),
    "line-feeds-data": Form(lambda data: LineFeedForm(b"b").feed(data), lambda n: b"--b\n\n" + b"\n--bx" * n),
    "line-feeds-parts": Form(lambda data: LineFeedForm(b"b").feed(data), lambda n: b"--b\n\nx\n" * n),
    "metadata-folded": Form(
        lambda data: read_metadata(data, WHEEL), lambda n: b"Name: acme\nVersion: 1.0\nX: y\n" + b" z\n" * n
    ),
    "metadata-licences": Form(read_details, lambda n: b"License-File: a/b\n" * n),
    "metadata-names": Form(lambda data: read_metadata(data, WHEEL), lambda n: b"Name: acme\n" * n),
    "metadata-dependencies": Form(
        judge_installable, lambda n: b"Name: acme\n" + b"Requires-Dist: a[b]>=1; os_name == 'nt'\n" * n
    ),
    "metadata-python": Form(judge_installable, lambda n: b"Name: acme\nRequires-Python: " + b">=3.1.*," * n),
    "wheel-layout": Form(
        partial(examine, WHEEL),
        lambda n: raw_zip(*(Part(b"acme-1.0.data/scripts/%d" % i) for i in range(n)), *wheel_parts()),
    ),
    "paths-deep": Form(lambda path: add_all([path, path + "2"]), lambda n: "d/" * n + "f"),
    "paths-many": Form(add_all, lambda n: [f"a/{i}/b" for i in range(n)]),
    "path-plain": Form(plain_path, lambda n: b"a/./" * n + b"b"),
    "sdist-link": Form(partial(examine, SDIST), through_links, 50),
    "sdist-dots": Form(
        partial(examine, SDIST), lambda n: tar(entry("acme-1.0/l", b"2", "./" * n + "c")), 100
    ),
    "sdist-members": Form(
        partial(examine, SDIST), lambda n: tar(*((f"acme-1.0/{i}", b"x") for i in range(n)))
    ),
    "sdist-top": Form(partial(examine, SDIST), lambda n: tar((f"{'-' * n}1.0/PKG-INFO", b"x"))),
    "tar-records": Form(
        lambda data: [*headers(TarStream(iter([data])))],
        lambda n: pax(*(b"%d GNU.sparse.%04d=x\n" % (19, i) for i in range(n))) + header(b"x") + bytes(1024),
    ),
    "tar-headers": Form(
        lambda data: [*headers(TarStream(iter([data])))],
        lambda n: pax(b"9 path=x\n") * n + header(b"x") + bytes(1024),
    ),
    "zip-members": Form(
        partial(examine, WHEEL), lambda n: raw_zip(*(Part(b"acme/%d" % i) for i in range(n)), *wheel_parts())
    ),
    "zip-extra": Form(
        partial(examine, WHEEL), lambda n: raw_zip(Part(b"a", extra=b"\x99\x99\0\0" * n), *wheel_parts())
    ),
    "html-links": Form(project_page, lambda n: page(*(ENTRY.format(i, i % 20) for i in range(n)))),
    "html-quotes": Form(read_html, lambda n: "<a '<a \"" * n),
    "html-attributes": Form(read_html, lambda n: "<a " + "x = " * n + "y>"),
    "html-comments": Form(read_html, lambda n: "<!-- " * n),
    "html-raw": Form(read_html, lambda n: "<script><title>" * n),
    "html-fragment": Form(project_page, lambda n: page(f'<a href="acme-1.0.zip#{"a=b&" * n}">x</a>')),
    "json-files": Form(
        lambda body: project_page(body, "application/vnd.pypi.simple.v1+json"),
        lambda n: json.dumps(
            {"name": "acme", "files": [{"filename": f"acme-{i}.zip", "url": f"{i}"} for i in range(n)]}
        ).encode(),
    ),
    "version-dots": Form(parse_version, lambda n: "1." * n + "x"),
    "specifiers": Form(parse_specifiers, lambda n: ",".join(["!=1.0"] * n)),
    "requirement-extras": Form(parse_requirement, lambda n: f"a[{','.join('x' * n)}]"),
    "requirement-markers": Form(parse_requirement, lambda n: "a; " + " and ".join(["'1' > '1'"] * n)),
    "requirement-parentheses": Form(parse_requirement, lambda n: "a; " + "(" * n + "'1' > '1'" + ")" * n),
    "name-hyphens": Form(parse_distribution_name, lambda n: "a" + "-1" * n + ".zip", 40),
    "name-dots": Form(parse_distribution_name, lambda n: "a-1" + ".1" * n + "-py3-none-any.whl"),
    "toml-key": Form(load_toml, lambda n: ".".join("a" * n) + " = 1", 30),
    "toml-keys": Form(load_toml, lambda n: "".join(f"[a.b.c{i}]\nd.e = '1.2'\n" for i in range(n))),
    "project-file": Form(
        parse_project_file, lambda n: b"[yanked]\n" + b"".join(b"'%d' = true\n" % i for i in range(n))
    ),
    "deny-list": Form(parse_deny_list, lambda n: b"".join(b"acme == %d\n" % i for i in range(n))),
    "deny-list-patterns": Form(parse_deny_list, lambda n: b"".join(b"acme-%d*\n" % i for i in range(n))),
    "requirements": Form(
        lambda data: parse_lock_file(data, {}), lambda n: b"acme == 1.0 \\\n" + b"  --hash=sha256:00 \\\n" * n
    ),
    "lock": Form(
        lambda data: parse_lock_file(data, {}),
        lambda n: b"".join(
            b"[[package]]\nname = 'a%d'\nversion = '1'\nwheels = [{ hash = 'sha256:%064d' }]\n" % (i, i)
            for i in range(n)
        ),
    ),
    "advisory": Form(parse_advisory, advisory),
    "root-html": Form(
        lambda body: parse_root("text/html", body, "https://a.example/"),
        lambda n: page(*(f'<a href="/a{i % 8}/">a{i % 8}</a>' for i in range(n))),
    ),
    "root-json": Form(
        lambda body: parse_root("application/vnd.pypi.simple.v1+json", body, "https://a.example/"),
        lambda n: json.dumps({"projects": [{"name": f"a{i}"} for i in range(n)]}).encode(),
    ),
    "flat": Form(
        lambda body: parse_flat("text/html", body, "https://a.example/"),
        lambda n: page(*(f'<a href="a{i}-1-py3-none-any.whl">x</a>' for i in range(n))),
    ),
    "html-left-out": Form(
        project_page,
        lambda n: page(*('<a href="git+https://a.example/x#egg=x">x</a>' for _ in range(n))),
    ),
    "html-dots": Form(project_page, lambda n: page(f'<a href="{"../x/" * n}acme-1.0.zip">x</a>')),
    "form-fields": Form(fill, lambda n: fields(*["x"] * n)),
    "form-text": Form(fill, lambda n: fields("\r\n--c" * n)),
    "access": Form(
        parse_access,
        lambda n: "".join(f"[[rule]]\nprojects = ['a{i}-*']\nread = ['anyone']\n" for i in range(n)).encode(),
    ),
    "sources": Form(
        load_toml,
        lambda n: "".join(f"[[source]]\nname = 'a{i}'\nurl = 'https://a.example/'\n" for i in range(n)),
    ),
    "accept": Form(lambda text: choose_representation(text, None), lambda n: "text/html;q=" * n),
    "etags": Form(lambda text: not_modified(text, None, '"x"', None), lambda n: '"a", ' * n),
    "authorization": Form(parse_authorization, lambda n: "Basic " + "QUFB" * n),
}


# Coverage has a tracer of its own, which need not take turns with the one that counts.
@pytest.mark.no_cover
@pytest.mark.parametrize("form", FORMS)
def test_twice_the_text_is_at_most_twice_the_work(form: str) -> None:
    """A little more is for numbers that become longer, and for caches that become full."""
    read, make, times = FORMS[form]
    work = []
    # The first fills caches.
    for factor in (1, 1, 2, 4):
        text = make(factor * times)
        work.append(work_of(partial(read, text), errors=(SimpleIndexError, ValueError)))
    _, *work = work
    assert work[2] - work[1] <= 2.5 * (work[1] - work[0]) + 200, work


def test_work_that_grows_faster_is_seen() -> None:
    """Whether the loop is in Python or in C."""

    def by_partition(text: str) -> None:
        while text:
            _, _, text = text.partition(" ")

    def by_loop(text: str) -> int:
        return sum(a == b for a in text for b in text)

    for call in (by_partition, by_loop):
        work = [work_of(partial(call, "a " * (40 * factor))) for factor in (1, 2, 4)]
        assert work[2] - work[1] > 3 * (work[1] - work[0])


def test_garbage_of_other_tests_is_not_counted() -> None:
    """Nor finalized in the middle of the call, with the tracer in the way."""
    finalized: list[int] = []

    class Left:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            finalized.append(1)

    def call() -> None:
        finalized.clear()
        for _ in range(50):
            Left()
        assert not finalized

    before = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        work_of(call)
        Left()
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert len(finalized) > 50
    assert gc.isenabled()
