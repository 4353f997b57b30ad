"""The text of files in the encodings that old sources have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simpleindex.archives.examination import protocol
from simpleindex.archives.examination.limits import ExaminationLimits
from simpleindex.archives.examination.pool import ExaminationPool
from simpleindex.archives.examination.process import default_program
from simpleindex.archives.member_text import MemberText, decode_member
from tests.archives.test_contents import archive
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from pathlib import Path

RUSSIAN = "# Привет, мир: это комментарий\n"
JAPANESE = "# これはテストです。日本語のファイル\n"
CHINESE = "# 这是一个测试文件，用于中文\n"  # noqa: RUF001
GERMAN = "# Größe “quoted”, naïve café\n"


@for_each(
    ("data", "expected"),
    [
        (b"", MemberText("")),
        ("é\n".encode(), MemberText("é\n")),
        (b"\xef\xbb\xbfmarked", MemberText("marked")),
        ("é€\n".encode("utf-16"), MemberText("é€\n", "utf_16", basis="mark")),
        (b"\xfe\xff" + "é€\n".encode("utf-16-be"), MemberText("é€\n", "utf_16", basis="mark")),
        ("é€\n".encode("utf-32"), MemberText("é€\n", "utf_32", basis="mark")),
        ("é€\n".encode("utf-16-be"), None),
        (b"\xff\xfe\0\xd8", None),
        (b"\xff\xfex\0\0\0", None),
        (b"\x89PNG\r\n\x1a\n\xff", None),
        (b"\xca\xfe\xba\xbe\0", None),
        (b"\x89PNG\xff", None),
        (b"\x81\x8d", None),
        (b"caf\xe9 \xfcber\n", MemberText("café über\n", "cp1252", basis="guess")),
        (GERMAN.encode("cp1252"), MemberText(GERMAN, "cp1252", basis="guess")),
        (RUSSIAN.encode("cp1251"), MemberText(RUSSIAN, "cp1251", basis="guess")),
        (RUSSIAN.encode("koi8-r"), MemberText(RUSSIAN, "koi8_r", basis="guess")),
        (JAPANESE.encode("shift-jis"), MemberText(JAPANESE, "shift_jis", basis="guess")),
        (JAPANESE.encode("euc-jp"), MemberText(JAPANESE, "euc_jp", basis="guess")),
        (CHINESE.encode("gbk"), MemberText(CHINESE, "gb18030", basis="guess")),
    ],
)
def test_text_without_a_stated_encoding(data: bytes, expected: MemberText | None) -> None:
    assert decode_member(data, "a/readme.txt") == expected
    assert decode_member(data, "a/code.py") == expected


@for_each(
    ("data", "encoding", "stated"),
    [
        (b"# -*- coding: latin-1 -*-\n# \x85\xe9", "latin_1", "latin-1"),
        (b"#!/bin/sh\n# vim: set fileencoding=koi8-r :\n# \xc1\xc2", "koi8_r", "koi8-r"),
        (b"\n# coding: Shift_JIS\n# \x82\xa0", "shift_jis", "Shift_JIS"),
        (b"# coding: utf8\n# \xc3\xa9", "utf_8", ""),
        # Only Python insists on what is stated: two bytes of UTF-8 are two characters here.
        (b"# coding: cp1252\n# \xc3\xa9", "cp1252", "cp1252"),
        (b'# coding: iso-2022-jp\n# \x1b$B$"\x1b(B', "iso2022_jp", "iso-2022-jp"),
    ],
)
def test_python_is_read_in_the_encoding_that_it_states(data: bytes, encoding: str, stated: str) -> None:
    found = decode_member(data, "a/b.py")
    assert found == MemberText(data.decode(encoding), encoding, stated, "stated" if stated else "")


@for_each(
    ("line", "hidden"),
    [
        (b"# coding: utf-7\n# +AAo-import os\n", "\nimport os\n"),
        (b"# coding: unicode_escape\n# \\u000aimport os\n", "\nimport os\n"),
        (b"# coding: raw_unicode_escape\n# \\u000aimport os\n", "\nimport os\n"),
    ],
)
def test_code_that_an_encoding_hides_is_shown_as_python_runs_it(line: bytes, hidden: str) -> None:
    found = decode_member(line, "a.py")
    assert found is not None
    assert hidden in found.text
    assert hidden not in getattr(decode_member(line, "a.txt"), "text", "")


@pytest.mark.parametrize(
    "name", ["idna", "punycode", "rot13", "hex", "zlib", "undefined", "mbcs", "os", "__init__"]
)
def test_encodings_that_are_no_encodings_of_text_are_not_used(name: str) -> None:
    """Python's codecs for domain names take quadratic time; others return bytes, or run what they are told."""
    data = f"# coding: {name}\n# \xe9\n".encode("latin-1")
    assert decode_member(data, "a.py") == MemberText(data.decode("latin-1"), "cp1252", name, "guess")
    plain = f"# coding: {name}\n".encode()
    assert decode_member(plain, "a.py") == MemberText(plain.decode(), stated=name)


@for_each(
    ("path", "data", "encoding"),
    [
        ("a.xml", b"<?xml version='1.0' encoding='koi8-r'?>\xc1\xc2", "koi8_r"),
        ("a.html", b'<meta http-equiv=x content="text/html; charset=windows-1251">\xe0', "cp1251"),
        ("a.po", b'"Content-Type: text/plain; charset=ISO-8859-2\\n"\xb1', "iso8859_2"),
        ("a.txt", b"Unlike this coding:\xe9", "cp1252"),
    ],
)
def test_other_files_state_it_too(path: str, data: bytes, encoding: str) -> None:
    found = decode_member(data, path)
    assert found is not None
    assert (found.text, found.encoding) == (data.decode(encoding), encoding)
    assert found.basis == ("stated" if found.stated else "guess")


@for_each(
    ("data", "path"),
    [
        (b"# coding: utf-7\n# +2AA-", "a.py"),
        (b"# coding: unicode_escape\n# \\ud800", "a.py"),
        (b"# coding: raw_unicode_escape\n# \\udfff", "a.py"),
        (b"Summary: \\udfff coding: unicode_escape \xff", "PKG-INFO"),
    ],
)
def test_half_a_character_is_shown_as_none(data: bytes, path: str) -> None:
    """Metadata of a stranger's sdist that nothing could write again ended the search of all other projects."""
    found = decode_member(data, path)
    assert found is not None
    assert found.basis == "stated"
    assert "\N{REPLACEMENT CHARACTER}" in found.text.encode().decode()


@given(
    data=st.one_of(st.binary(max_size=200), st.text("+-\\udU0189A/", max_size=60).map(str.encode)),
    path=st.sampled_from(["a.py", "PKG-INFO"]),
)
def test_no_bytes_are_a_surprise(data: bytes, path: str) -> None:
    for stated in ("", "# coding: utf-7\n", "# coding: gb18030\n", "# coding: unicode_escape \xff\n"):
        found = decode_member(stated.encode("latin-1") + data, path)
        assert found is None or b"\0" not in found.text.encode()


def test_an_examining_process_loads_what_decodes_a_text(tmp_path: Path) -> None:
    """Nothing can be opened there while a file is examined, and Python keeps the codecs of Asia in libraries."""
    path = tmp_path / "a-1.0.tar.gz"
    names = ("shift_jis", "euc_jp", "cp1251", "koi8_r")
    files = {name: (JAPANESE if "j" in name else RUSSIAN).encode(name) for name in names}
    path.write_bytes(archive(path.name, files).getvalue())
    pool = ExaminationPool(default_program(), ExaminationLimits(), 1)
    try:
        with path.open("rb") as file:
            (texts,) = pool.examine(
                [protocol.member_texts(file.fileno(), path.stat().st_size, path.name, names)]
            )
    finally:
        pool.stop()
    assert isinstance(texts, dict)
    assert [each and each.encoding for each in texts.values()] == [*names]
