"""Forms, bare files and little texts, however they are cut into pieces."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.publishing.errors import RefusedUpload
from simpleindex.web.publish import sinks
from simpleindex.web.publish.sinks import FileSink, FormSink, TextSink, boundary_of

if TYPE_CHECKING:
    from simpleindex.publishing.upload.incoming_upload import IncomingUpload


class MemoryDraft:
    """A draft that keeps its bytes."""

    def __init__(self) -> None:
        self.data = b""
        self.is_discarded = False

    def write(self, data: bytes) -> None:
        self.data += data

    def finish(self) -> Any:
        raise NotImplementedError

    def discard(self) -> None:
        self.is_discarded = True


def part(name: str, content: bytes, filename: str | None = None, content_type: str | None = None) -> bytes:
    """One part of a form."""
    end = f'; filename="{filename}"' if filename is not None else ""
    kind = f"Content-Type: {content_type}\r\n" if content_type else ""
    head = f'Content-Disposition: form-data; name="{name}"{end}\r\n{kind}\r\n'
    return b"--b0\r\n" + head.encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    """A whole form."""
    return b"".join(parts) + b"--b0--\r\n"


def read(body: bytes, *, most: int = 0, cuts: tuple[int, ...] = ()) -> tuple[IncomingUpload, MemoryDraft]:
    """Feed a form in pieces."""
    draft = MemoryDraft()
    sink = FormSink(b"b0", lambda _: draft, most)
    edges = [0, *sorted({cut % (len(body) + 1) for cut in cuts}), len(body)]
    for start, stop in itertools.pairwise(edges):
        sink.feed(body[start:stop])
    return sink.finish(), draft


TWINE = form(
    part("name", b"acme"),
    part("version", b"1.0"),
    part("classifiers", b"A"),
    part("classifiers", b"B"),
    part("content", b"\x00PK\r\n--b\r\n", "acme-1.0-py3-none-any.whl", "application/octet-stream"),
    part("gpg_signature", b"sig", "acme.whl.asc"),
    part(":action", "file_upload é".encode()),
)


@given(st.lists(st.integers(0, 2000), max_size=8))
def test_a_form_however_it_is_cut(cuts: list[int]) -> None:
    """Fields in any order, several of one name, a file whose bytes look like a boundary, a signature passed over."""
    received, draft = read(TWINE, cuts=tuple(cuts))
    assert received.fields == {
        "name": ["acme"],
        "version": ["1.0"],
        "classifiers": ["A", "B"],
        ":action": ["file_upload é"],
        "gpg_signature": ["sig"],
    }
    assert received.filename == "acme-1.0-py3-none-any.whl"
    assert received.content_type == "application/octet-stream"
    assert draft.data == b"\x00PK\r\n--b\r\n"
    assert received.size == len(draft.data)
    assert received.file_fields == set()


def distutils_form(fields: list[tuple[str, bytes]], filename: str, data: bytes) -> bytes:
    """A form as Python 2.7.8 wrote it: line feeds alone, and one before the first delimiter."""
    parts = [
        b'\n--b0\nContent-Disposition: form-data; name="%s"\n\n%s' % (name.encode(), text)
        for name, text in fields
    ]
    head = f'\n--b0\nContent-Disposition: form-data; name="content";filename="{filename}"\n\n'
    return b"".join(parts) + head.encode() + data + b"\n--b0--\n"


_PIECES = st.lists(
    st.sampled_from(
        [b"\n", b"\r", b"\r\n", b"--", b"--b", b"--b0", b"-", b"b0", b"x", b"\0", b"\n\n", b"\n--b1"]
    )
).map(b"".join)
_DATA = _PIECES.filter(lambda data: b"\n--b0" not in b"\n" + data)


@given(_DATA, _DATA, st.lists(st.integers(0, 400), max_size=8), st.sampled_from([b"", b"\n", b"later"]))
def test_a_form_of_line_feeds(text: bytes, data: bytes, cuts: list[int], epilogue: bytes) -> None:
    """It is what the same form with CR LF is, however it is cut, to the last byte of the file."""
    body = distutils_form([("name", b"acme"), ("comment", text), ("pyversion", b"")], "acme-1.0.tar.gz", data)
    received, draft = read(body + epilogue, cuts=tuple(cuts))
    assert received.fields == {
        "name": ["acme"],
        "comment": [text.decode("utf-8", "replace")],
        "pyversion": [""],
    }
    assert (received.filename, received.size, draft.data) == ("acme-1.0.tar.gz", len(data), data)


@given(_DATA, st.lists(st.integers(0, 400), max_size=8))
def test_line_feeds_in_other_forms_stay(data: bytes, cuts: list[int]) -> None:
    """Only the first delimiter's end decides."""
    if b"\r\n--b0" not in b"\r\n" + data:
        assert read(form(part("content", data, "acme.whl")), cuts=tuple(cuts))[1].data == data


def test_a_form_of_nothing_but_line_feeds() -> None:
    """It is refused as any other that is cut off, and not copied at every line."""
    for body in (b"\n" * 300_000, b"--b0\n" + b"a\n" * 300_000, b"--b0\n" + b"a" * 300_000):
        with pytest.raises(RefusedUpload):
            read(body)


def test_what_curl_calls_a_file() -> None:
    """A file under any field's name is the distribution if it is called like one."""
    received, draft = read(form(part("package", b"x", "acme-1.0.tar.gz")))
    assert (received.filename, draft.data) == ("acme-1.0.tar.gz", b"x")


def test_names_in_any_script() -> None:
    """What stands in a part's head is UTF-8, and no error of ours whatever it is."""
    received, _ = read(form(part("content", b"x", "日本-1.0.tar.gz"), part("名", b"y")))
    assert received.filename == "日本-1.0.tar.gz"
    received, _ = read(form(part("content", b"x", "@")).replace(b"@", b"\xff\xfe"))
    assert received.filename == "\ufffd\ufffd"


def test_a_text_that_comes_as_a_file() -> None:
    """Another field with a file name is named, so that the judgement can refuse it."""
    received, _ = read(form(part("summary", b"x", "summary.txt")))
    assert received.file_fields == {"summary"}
    assert received.filename is None


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "malformed or cut off"),
        (b"--b0", 400, "malformed or cut off"),
        (b"--b0\n", 400, "malformed or cut off"),
        (b'--b0\nContent-Disposition: form-data; name="x"\n\nx\n--b0', 400, "malformed or cut off"),
        (TWINE[:-6], 400, "malformed or cut off"),
        (b"nothing of the kind", 400, "malformed or cut off"),
        (b"--b0\r\nX: y\r\n\r\nvalue\r\n--b0--\r\n", 400, "malformed or cut off"),
        (form(part("content", b"1", "a.whl"), part("content", b"2", "b.whl")), 400, "more than one file"),
    ],
)
def test_refused_forms(body: bytes, status: int, words: str) -> None:
    """What is no whole form is refused with a sentence."""
    with pytest.raises(RefusedUpload, match=words) as caught:
        read(body)
    assert caught.value.status == status


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files, texts and the number of parts are bounded while they come."""
    with pytest.raises(RefusedUpload, match="File too large") as caught:
        read(form(part("content", b"12345", "a-1.tar.gz")), most=4)
    assert caught.value.status == 413
    monkeypatch.setattr(sinks, "MOST_TEXT", 4)
    with pytest.raises(
        RefusedUpload, match=r"fields of the form are longer .* longest is 'description'"
    ) as caught:
        read(form(part("name", b"1"), part("description", b"123"), part("version", b"1")))
    assert caught.value.status == 413
    monkeypatch.setattr(sinks, "MOST_PARTS", 1)
    with pytest.raises(RefusedUpload, match="more than 1 fields"):
        read(form(part("a", b""), part("b", b"")))


def test_a_refused_draft() -> None:
    """A refusal before the file's first byte leaves nothing open; closing discards what is."""

    def refuse(_: IncomingUpload) -> MemoryDraft:
        raise RefusedUpload(403, "No.")

    sink = FormSink(b"b0", refuse, 0)
    with pytest.raises(RefusedUpload, match="No"):
        sink.feed(TWINE)
    sink.close()
    draft = MemoryDraft()
    sink = FormSink(b"b0", lambda _: draft, 0)
    sink.feed(TWINE)
    sink.close()
    assert draft.is_discarded


def test_a_bare_file() -> None:
    """As ``curl -T`` sends it: the body is the file; an empty one opens nothing."""
    draft = MemoryDraft()
    sink = FileSink("a-1.tar.gz", lambda _: draft, 4)
    sink.feed(b"ab")
    sink.feed(b"cd")
    assert (sink.finish().filename, draft.data) == ("a-1.tar.gz", b"abcd")
    with pytest.raises(RefusedUpload, match="File too large"):
        sink.feed(b"e")
    sink.close()
    assert draft.is_discarded
    empty = FileSink("a-1.tar.gz", lambda _: draft, 0)
    assert empty.finish().draft is None
    empty.close()


def test_a_little_text() -> None:
    """JSON is bounded."""
    sink = TextSink(4)
    sink.feed(b"1234")
    assert sink.content == b"1234"
    with pytest.raises(RefusedUpload, match="longer than"):
        sink.feed(b"5")
    sink.close()


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('multipart/form-data; boundary="a b"', b"a b"),
        ("Multipart/Form-Data; charset=utf-8; BOUNDARY=abc", b"abc"),
        (None, None),
        ("application/json", None),
        ("multipart/form-data", None),
        ("multipart/mixed; boundary=abc", None),
    ],
)
def test_boundaries(content_type: str | None, boundary: bytes | None) -> None:
    """The boundary comes from the type, and every other type is refused with what to do."""
    if boundary is None:
        with pytest.raises(RefusedUpload, match="multipart/form-data"):
            boundary_of(content_type)
    else:
        assert boundary_of(content_type) == boundary


def test_a_boundary_is_bounded_by_its_specification() -> None:
    """RFC 2046 section 5.1.1: each piece of the body is compared with it."""
    assert len(boundary_of(f"multipart/form-data; boundary={'a' * 70}")) == 70
    with pytest.raises(RefusedUpload, match="the boundary of the form has 71 bytes, and at most 70 are read"):
        boundary_of(f"multipart/form-data; boundary={'a' * 71}")


@given(st.binary(max_size=400), st.binary(max_size=200))
def test_anything(start: bytes, end: bytes) -> None:
    """Whatever comes, it is a form or it is refused."""
    for body in (start, TWINE[:300] + start, b"--b0\r\n" + start + b"\r\n--b0\r\n" + end + b"\r\n--b0--\r\n"):
        try:
            read(body)
        except RefusedUpload as refused:
            assert 400 <= refused.status < 500  # noqa: PT017
