"""Wheels that differ from a plain one in one feature, with what pip and uv make of each.

The verdicts of the installers are compared with the real ones end to end, ours without them. A wheel that is taken must install with
both. One that both install may be refused only with a reason, which ``simpleindex/docs/uploads.md`` states in the same words.
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
import struct
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from tests.fixtures.archives import DIST_INFO, WHEEL_TEXT, Part, raw_zip, record_line, wheel_parts

if TYPE_CHECKING:
    from collections.abc import Callable

FILENAME: Final = "acme-1.0-py3-none-any.whl"
BODY: Final = b"version = 1\n" * 100
METADATA: Final = b"Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n"
ENTRY_POINTS: Final = f"{DIST_INFO}/entry_points.txt"
RECORD: Final = f"{DIST_INFO}/RECORD"


@dataclass(frozen=True)
class Blueprint:
    """How a wheel is made.

    Attributes:
        metadata: Content of METADATA.
        wheel: Content of WHEEL; None for none.
        files: More files, which RECORD lists.
        record: Changes RECORD.
        parts: Changes the members.
        comment: Of the zip archive.
        after: Bytes behind its end.
    """

    metadata: bytes = METADATA
    wheel: bytes | None = WHEEL_TEXT
    files: dict[str, bytes] = field(default_factory=dict)
    record: Callable[[str], str] = str
    parts: Callable[[list[Part]], list[Part]] = list
    comment: bytes = b""
    after: bytes = b""

    def build(self) -> bytes:
        """Make it."""
        plain = wheel_parts(metadata=self.metadata, wheel=self.wheel, files=self.files)[-1].data.decode()
        parts = wheel_parts(
            metadata=self.metadata, wheel=self.wheel, files=self.files, record=self.record(plain)
        )
        return raw_zip(*self.parts(parts), comment=self.comment) + self.after


@dataclass(frozen=True)
class Feature:
    """What is odd about a wheel.

    Attributes:
        layer: Which part of it; features of different layers can be in one wheel.
        name: Of the feature.
        change: Of the blueprint.
        pip: Whether the newest pip installs such a wheel.
        uv: Whether the newest uv does, and can read its metadata.
        reason: Why it is refused though both install it, in the words of the documentation.
    """

    layer: str
    name: str
    change: dict[str, Any]
    pip: bool = True
    uv: bool = True
    reason: str | None = None

    @property
    def is_taken(self) -> bool:
        """Whether an upload of it is taken."""
        return self.pip and self.uv and self.reason is None

    def build(self) -> bytes:
        """Make a wheel of this feature alone."""
        return replace(Blueprint(), **self.change).build()


def _digest(algorithm: str, data: bytes = BODY) -> str:
    return urlsafe_b64encode(hashlib.new(algorithm, data).digest()).decode().rstrip("=")


def _row(row: str) -> dict[str, Any]:
    """RECORD has another line for acme.py."""
    line = record_line("acme.py", BODY)
    return {"record": lambda text: text.replace(line, row)}


def _record(old: str, new: str) -> dict[str, Any]:
    return {"record": lambda text: text.replace(old, new)}


def _first(**change: Any) -> dict[str, Any]:
    """The first member, acme.py, is another."""
    return {"parts": lambda parts: [replace(parts[0], **change), *parts[1:]]}


def _more(*parts: Part) -> dict[str, Any]:
    """There are other members in front."""
    return {"parts": lambda those: [*parts, *those]}


def _unlisted(name: str) -> dict[str, Any]:
    """A file that RECORD needs not list, and does not."""
    return _more(Part(f"{DIST_INFO}/{name}".encode(), b"{}"))


def _file(path: str, data: bytes = b"x") -> dict[str, Any]:
    return {"files": {path: data}}


def _wheel(old: str, new: str) -> dict[str, Any]:
    return {"wheel": WHEEL_TEXT.replace(old.encode(), new.encode())}


def _line(text: str) -> dict[str, Any]:
    return {"metadata": METADATA + text.encode() + b"\n"}


def _meta(old: str, new: str) -> dict[str, Any]:
    return {"metadata": METADATA.replace(old.encode(), new.encode())}


def _scripts(text: str) -> dict[str, Any]:
    return {"files": {ENTRY_POINTS: text.encode()}}


def _lzma(data: bytes) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16}]
    packer = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=filters)
    properties = bytes([93]) + struct.pack("<L", 1 << 16)
    return struct.pack("<BBH", 9, 4, len(properties)) + properties + packer.compress(data) + packer.flush()


def _zstandard(data: bytes) -> bytes:
    """One frame with one raw block, of 256 bytes to 64 KiB (RFC 8878)."""
    block = struct.pack("<L", (len(data) << 3) | 1)[:3]
    return b"\x28\xb5\x2f\xfd\x60" + struct.pack("<H", len(data) - 256) + block + data


def _unicode_path(path: bytes) -> bytes:
    from zlib import crc32

    return struct.pack("<2HBL", 0x7075, 5 + len(path), 1, crc32(b"acme.py")) + path


WEAK: Final = "RECORD: a digest by md5, sha1 or sha224, or none"
NOT_FILES: Final = "RECORD: a row that is no file of the archive"
TWICE: Final = "a path that is there twice"
DESCRIPTORS: Final = "zip: data descriptors"
NAMES: Final = "zip: names with a backslash, a drive, `..` or a control character"
TRAILING: Final = "zip: bytes behind the end"
MASKED: Final = "zip: encrypted or masked headers"
TAGS: Final = "WHEEL: other tags than the file name's"
FORMAT: Final = "WHEEL: a version that is not 1.x"
VERSIONS: Final = "METADATA: no Metadata-Version, or none of the form 1.0"
PYTHONS: Final = "METADATA: a Requires-Python that is no set of specifiers"
LICENSES: Final = "METADATA: a License-File that is not there"
NOT_HEADER: Final = "METADATA: a first line that is no field"
NAMED: Final = "a .dist-info or .data directory with another name"
SCRIPTS: Final = "scripts: a blank or a backslash in the name"
SAME: Final = "entry_points.txt: lines that are read differently"
WRONG: Final = "RECORD: a digest or size that is wrong, or no digest at all"

FEATURES: Final = (
    Feature("plain", "plain", {}),
    # RECORD
    *[Feature("record", name, _row(f"acme.py,{name}={_digest(name)},1200\n")) for name in ("sha384", "sha512", "blake2b")],
    *[Feature("record", name, _row(f"acme.py,{name}={_digest(name)},1200\n")) for name in ("sha3_256", "blake2s")],
    Feature("record", "padded", _row(f"acme.py,sha256={_digest('sha256')}=,1200\n")),
    Feature("record", "upper-case-algorithm", _row(f"acme.py,SHA256={_digest('sha256')},1200\n")),
    Feature("record", "no-size", _row(f"acme.py,sha256={_digest('sha256')},\n")),
    Feature("record", "size-with-zero", _row(f"acme.py,sha256={_digest('sha256')},01200\n")),
    Feature("record", "quoted", _row(f'"acme.py","sha256={_digest("sha256")}","1200"\n')),
    Feature("record", "dot", _record("acme.py", "./acme.py")),
    Feature("record", "backslash", {**_file("pkg/a.py"), **_record("pkg/a.py", "pkg\\a.py")}),
    Feature("record", "crlf", _record("\n", "\r\n")),
    Feature("record", "no-last-line-end", {"record": lambda text: text.rstrip("\n")}),
    Feature("record", "byte-order-mark", {"record": lambda text: "\ufeff" + text}),
    Feature("record", "not-itself", _record(f"{RECORD},,\n", "")),
    Feature("record", "jws", _unlisted("RECORD.jws")),
    Feature("record", "p7s", _unlisted("RECORD.p7s")),
    Feature("record", "jws-listed", {**_unlisted("RECORD.jws"), "record": lambda text: f"{text}{RECORD}.jws,,\n"}),
    Feature("record", "compiled", {**_file("a.pyc"), **_record(record_line("a.pyc", b"x"), "a.pyc,,\n")}),
    *[Feature("record", name, _row(f"acme.py,{name}={_digest(name)},1200\n"), reason=WEAK) for name in ("md5", "sha1", "sha224")],
    Feature("record", "no-digest", _row("acme.py,,\n"), reason=WEAK),
    Feature("record", "hexadecimal", _row(f"acme.py,sha256={hashlib.sha256(BODY).hexdigest()},1200\n"), reason=WRONG),
    Feature("record", "wrong-digest", _row(f"acme.py,sha256={_digest('sha256', b'x')},1200\n"), reason=WRONG),
    Feature("record", "wrong-sha512", _row(f"acme.py,sha512={_digest('sha512', b'x')},1200\n"), reason=WRONG),
    Feature("record", "wrong-size", _record(",1200\n", ",1201\n"), reason=WRONG),
    Feature("record", "own-digest", _record("RECORD,,", "RECORD,sha256=x,"), reason=WRONG),
    Feature("record", "directory-row", {**_more(Part(b"pkg/", method=0)), "record": lambda text: text + "pkg/,,\n"}, reason=NOT_FILES),
    Feature("record", "stranger", {"record": lambda text: text + "gone.py,,\n"}, reason=NOT_FILES),
    Feature("record", "empty", {"record": lambda _: ""}, reason=WRONG),
    Feature("record", "row-twice", {"record": lambda text: text + record_line("acme.py", BODY)}, reason=NOT_FILES),
    Feature("record", "size-word", _record(",1200\n", ",x\n"), uv=False),
    Feature("record", "four-columns", _record(",1200\n", ",1200,\n"), uv=False),
    Feature("record", "two-columns", _record(",1200\n", "\n"), uv=False),
    Feature("record", "empty-line", {"record": lambda text: "\n" + text}, pip=False),
    Feature("record", "empty-last-line", {"record": lambda text: text + "\n"}, pip=False),
    Feature("record", "none", {"parts": lambda parts: parts[:-1]}, pip=False, uv=False),
    # zip
    Feature("zip", "stored", _first(method=0)),
    Feature("zip", "directory", _more(Part(b"pkg/", method=0))),
    Feature("zip", "comment", {"comment": b"hello"}),
    Feature("zip", "comment-of-zeros", {"comment": bytes(76)}),
    Feature("zip", "time-field", _first(extra=struct.pack("<2HBL", 0x5455, 5, 1, 0))),
    Feature("zip", "same-unicode-path", _first(extra=_unicode_path(b"acme.py"))),
    Feature("zip", "utf-8", {"parts": lambda parts: [replace(part, flags=0x800) for part in parts], **_file("\u00fc.py")}),
    Feature("zip", "dot-path", _file("./a.py")),
    Feature("zip", "cases", {"files": {"A.py": b"1", "a.py": b"2"}}),
    Feature("zip", "long-part", _file("p/" + "a" * 255)),
    Feature("zip", "odd-characters", {"files": dict.fromkeys(("a*", "a?", "a<b", "~a", "-a", "a ", "a.", "CON", "x/a:b"), b"x")}),
    Feature("zip", "descriptor", {"parts": lambda parts: [replace(part, flags=8, after=b"PK\7\x08" + _sizes(part)) for part in parts]}, reason=DESCRIPTORS),
    Feature("zip", "member-twice", _more(Part(b"acme.py", BODY)), reason=TWICE),
    Feature("zip", "backslash", _file("pkg\\a.py"), reason=NAMES),
    Feature("zip", "inner-dots", _file("pkg/../b.py"), reason=NAMES),
    Feature("zip", "drive", _file("C:a.py"), reason=NAMES),
    Feature("zip", "zeros-behind", {"after": bytes(3)}, reason=TRAILING),
    Feature("zip", "masked", _first(flags=0x2000), reason=MASKED),
    Feature("zip", "line-feed-behind", {"after": b"\n"}, uv=False),
    Feature("zip", "bzip2", _first(method=12, stored=bz2.compress(BODY)), uv=False),
    Feature("zip", "lzma", _first(method=14, stored=_lzma(BODY)), uv=False),
    Feature("zip", "zstandard", _first(method=93, stored=_zstandard(BODY)), pip=False),
    Feature("zip", "encrypted", _first(flags=1), pip=False, uv=False),
    Feature("zip", "between", _first(after=b"hidden"), uv=False),
    Feature("zip", "other-member-twice", _more(Part(b"acme.py", b"other")), pip=True, uv=False),
    Feature("zip", "absolute", _file("/a.py"), pip=False),
    Feature("zip", "dots", _file("../a.py"), pip=False),
    Feature("zip", "unmarked", _more(Part("\u00fc.txt".encode(), b"x")), uv=False),
    Feature("zip", "control", _file("a\tb"), uv=False),
    Feature("zip", "control-of-unicode", {"parts": lambda parts: [replace(part, flags=0x800) for part in parts], **_file("a\x85b")}, uv=False),
    Feature("zip", "other-unicode-path", _first(central_extra=_unicode_path(b"evil.py")), uv=False),
    Feature("zip", "too-long-part", _file("p/" + "a" * 256), pip=False, uv=False),
    Feature("zip", "records-in-comment", {"comment": b"x" * 30 + b"PK\1\2"}, uv=False),
    # WHEEL
    *[Feature("wheel", f"version-{version}", _wheel("1.0", version)) for version in ("1.1", "1.99", "1.0.0")],
    Feature("wheel", "no-tags", _wheel("Tag: py3-none-any\n", "")),
    Feature("wheel", "crlf", _wheel("\n", "\r\n")),
    Feature("wheel", "cr", _wheel("\n", "\r")),
    Feature("wheel", "folded", _wheel(": 1.0", ":\n 1.0")),
    Feature("wheel", "no-blanks", _wheel(": ", ":")),
    Feature("wheel", "garbage-behind", {"wheel": WHEEL_TEXT + b"garbage\n"}),
    Feature("wheel", "version-0.1", _wheel("1.0", "0.1"), reason=FORMAT),
    Feature("wheel", "other-tag", _wheel("py3", "py2"), reason=TAGS),
    Feature("wheel", "more-tags", {"wheel": WHEEL_TEXT + b"Tag: py2-none-any\n"}, reason=TAGS),
    Feature("wheel", "no-tag", _wheel("py3-none-any", "py3"), reason=TAGS),
    Feature("wheel", "version-2.0", _wheel("1.0", "2.0"), pip=False, uv=False),
    Feature("wheel", "version-1", _wheel("1.0", "1"), uv=False),
    Feature("wheel", "version-1.x", _wheel("1.0", "1.x"), pip=False),
    Feature("wheel", "no-version", _wheel("Wheel-Version: 1.0\n", ""), pip=False, uv=False),
    Feature("wheel", "lower-case", _wheel("Wheel-Version", "wheel-version"), uv=False),
    Feature("wheel", "byte-order-mark", {"wheel": b"\xef\xbb\xbf" + WHEEL_TEXT}, pip=False, uv=False),
    Feature("wheel", "blank-first-line", {"wheel": b"\n" + WHEEL_TEXT}, pip=False, uv=False),
    Feature("wheel", "garbage-in-front", {"wheel": b"garbage\n" + WHEEL_TEXT}, pip=False, uv=False),
    Feature("wheel", "latin-1", {"wheel": WHEEL_TEXT + b"X: \xfc\n"}, pip=False, uv=False),
    Feature("wheel", "none", {"wheel": None}, pip=False, uv=False),
    # METADATA
    *[Feature("metadata", f"version-{version}", _meta("2.1", version)) for version in ("1.0", "1.2", "2.4", "2.5", "2.9")],
    Feature("metadata", "crlf", _meta("\n", "\r\n")),
    Feature("metadata", "lower-case", {"metadata": METADATA.lower()}),
    Feature("metadata", "utf-8", _line("Author: J\u00fcrgen\u2028")),
    Feature("metadata", "body", _line("\nRequires-Dist: x=1\n\nName: other")),
    Feature("metadata", "other-spelling", _meta("acme", "ACME")),
    Feature("metadata", "other-version-spelling", _meta("\nVersion: 1.0\n", "\nVersion: v1.0.0\n")),
    Feature("metadata", "folded-summary", _line("Summary: a\n b")),
    *[Feature("metadata", f"needs {text}", _line(f"Requires-Dist: {text}")) for text in (
        "x", "x (>=1)", "x>=1,", "x[a]", "x @ https://e/x.whl", "x @ git+ssh://git@e/r", "x===1.0", "x==1.0+local", "x; extra == 'y'",
        "x; python_version in '2.7 3.6'", "x; os.name=='nt'", "x; platform_release >= '20'", "x<2,>=1,!=1.5.*",
    )],
    *[Feature("metadata", f"python {text}", _line(f"Requires-Python: {text}")) for text in (
        "", ">=3", ">=3.6.*", ">3.6.*,<4.0.*", ">=3,", ">= 3.6, !=3.7.*", ">=3.6.dev", ">=v3.6", "!=3.6+x", "==3.*",
    )],
    *[Feature("metadata", f"version-{version or 'empty'}", _meta("2.1", version), reason=VERSIONS) for version in ("0.9", "x", "2", "2.1.0", "")],
    Feature("metadata", "no-metadata-version", _meta("Metadata-Version: 2.1\n", ""), reason=VERSIONS),
    Feature("metadata", "mailbox", {"metadata": b"From x@y z\n" + METADATA}, reason=NOT_HEADER),
    Feature("metadata", "license", {"metadata": METADATA.replace(b"2.1", b"2.4") + b"License-File: LICENSE\n"}, reason=LICENSES),
    *[Feature("metadata", f"python {text}", _line(f"Requires-Python: {text}"), reason=PYTHONS) for text in ('">=3"', ">=3.6,!=3.6*")],
    *[Feature("metadata", f"python {text}", _line(f"Requires-Python: {text}"), uv=False) for text in (
        "3.6", "None", "py3", ", >=3", ">=3 <4", "~=3", "=>3", ">=3.x", ">=3.6;<4", ">=3.6+local", "(>=3.6)", "*", "^3.6",
        "<999999999999999999999999", "!=3.*.1",
    )],
    *[Feature("metadata", f"needs {text}", _line(f"Requires-Dist: {text}"), pip=False, uv=False) for text in (
        "", "x~=1", "x=>1", "x>=1;", "x; python_version", "x[a,]", "x@", "./x.whl", "a b", "-x", "x>=1.0+local", "x>=foo", "x >= 1 < 2",
        "x; foo=='a'", "x>=2;python_version>=3.8", "x 1.0", "\u00fc", "x; extras == 'a'", "x>=1 # c", "x=1", "x==*",
    )],
    *[Feature("metadata", f"needs {text}", _line(f"Requires-Dist: {text}"), pip=False) for text in (
        "x>=1.0.*", "x<=1.*", "x\u00a0>=1", "x; 'a'=='a'", "x; 'a' in extras", "x; os_name ~= 'a'", "x; python_version ~= '3'",
    )],
    *[Feature("metadata", f"needs {text}", _line(f"Requires-Dist: {text}"), uv=False) for text in (
        "x===foo", "x ()", "x @ ./a", "x @ http://[::1", "x @ https://e:99999/x.whl", "x; python_version === 'foo'", "x>=99999999999999999999999",
    )],
    Feature("metadata", "folded-needs", _line("Requires-Dist: x\n (>=1)"), pip=False),
    Feature("metadata", "latin-1", {"metadata": METADATA + b"Author: J\xfcrgen\n"}, pip=False),
    Feature("metadata", "latin-1-body", {"metadata": METADATA + b"\nJ\xfcrgen\n"}, pip=False),
    Feature("metadata", "blank-behind-name", _meta("Name: acme", "Name: acme "), pip=False, uv=False),
    Feature("metadata", "folded-name", _meta("Name: acme", "Name:\n acme"), pip=False),
    Feature("metadata", "byte-order-mark", {"metadata": b"\xef\xbb\xbf" + METADATA}, pip=False, uv=False),
    Feature("metadata", "blank-first-line", {"metadata": b"\n" + METADATA}, pip=False, uv=False),
    Feature("metadata", "other-name", _meta("acme", "other"), pip=False, uv=False),
    Feature("metadata", "no-version", _meta("Version: 1.0\n", ""), pip=False, uv=False),
    Feature("metadata", "utf-16", {"metadata": METADATA.decode().encode("utf-16")}, pip=False, uv=False),
    # Directories
    Feature("layout", "data", {"files": {f"acme-1.0.data/{name}/x": b"x" for name in ("data", "platlib", "purelib", "scripts")}}),
    Feature("layout", "data-directories", _more(Part(b"acme-1.0.data/", method=0), Part(b"acme-1.0.data/data/", method=0))),
    Feature("layout", "inner-data", _file("pkg/x.data/y")),
    Feature("layout", "inner-dist-info", _file("pkg/other-1.0.dist-info/METADATA")),
    Feature("layout", "other-data", _file("other-1.0.data/scripts/x"), reason=NAMED),
    Feature("layout", "other-spelling", _file("Acme-1.0.data/purelib/x.py"), reason=NAMED),
    Feature("layout", "unknown-place", _file("acme-1.0.data/include/x"), pip=False, uv=False),
    Feature("layout", "file-in-data", _file("acme-1.0.data/x"), pip=False, uv=False),
    Feature("layout", "file-for-place", _file("acme-1.0.data/purelib"), pip=False, uv=False),
    Feature("layout", "file-like-data", _file("x.data"), pip=False),
    Feature("layout", "directory-of-scripts", _file("acme-1.0.data/scripts/sub/x"), uv=False),
    Feature("layout", "interpreter", _file("acme-1.0.data/scripts/python3"), uv=False),
    Feature("layout", "two-dist-infos", _file("other-1.0.dist-info/METADATA"), pip=False, uv=False),
    # Entry points
    *[Feature("scripts", f"leads to {text}", _scripts(f"[console_scripts]\na = {text}\n")) for text in ("b:c", "b.c:d.e", "b:c [x, y]", "class:def")],
    *[Feature("scripts", f"is called {text}", _scripts(f"[console_scripts]\n{text} = b:c\n")) for text in ("a.b", "a-b", "\u00e9", "pip", "python2", "A")],
    Feature("scripts", "crlf", _scripts("[console_scripts]\r\na = b:c\r\n")),
    Feature("scripts", "comments", _scripts("; x\n\n[console_scripts]\n# y\n  a = b:c\n  d = e:f\n[any thing]\nx =\n")),
    Feature("scripts", "blank-in-name", _scripts("[console_scripts]\na b = b:c\n"), reason=SCRIPTS),
    Feature("scripts", "backslash", _scripts("[console_scripts]\na\\b = b:c\n"), reason=SCRIPTS),
    Feature("scripts", "semicolon", _scripts("[console_scripts]\n; c = d:e\n"), reason=SAME),
    Feature("scripts", "deeper", _scripts("[x]\n a = b\n  c = d\n"), reason=SAME),
    Feature("scripts", "behind-bracket", _scripts("[x] # c\na = b\n"), reason=SAME),
    *[Feature("scripts", f"leads to {text}", _scripts(f"[console_scripts]\na = {text}\n"), pip=False, uv=False) for text in ("b", "b:", "b:c [x", "b:c []")],
    *[Feature("scripts", f"leads to {text}", _scripts(f"[console_scripts]\na = {text}\n"), pip=False) for text in ("b : c", "b..c:d", "b:c [x-y, z-w]")],
    *[Feature("scripts", f"leads to {text}", _scripts(f"[console_scripts]\na = {text}\n"), uv=False) for text in ("b:c # x", "b:c()", "b:c d")],
    *[Feature("scripts", f"is called {text}", _scripts(f"[console_scripts]\n{text} = b:c\n"), pip=False, uv=False) for text in ("../a", "/tmp/a", ".")],
    *[Feature("scripts", f"is called {text}", _scripts(f"[console_scripts]\n{text} = b:c\n"), uv=False) for text in ("a/b", "python", "python3.11", "pypy")],
    Feature("scripts", "name-twice", _scripts("[x]\na = b\na = c\n"), uv=False),
    Feature("scripts", "group-twice", _scripts("[x]\na = b\n[x]\nc = d\n"), uv=False),
    Feature("scripts", "continued", _scripts("[x]\na = b\n  c\n"), pip=False),
    Feature("scripts", "default", _scripts("[DEFAULT]\nx = y\n[console_scripts]\na = b:c\n"), uv=False),
    Feature("scripts", "byte-order-mark", _scripts("\ufeff[console_scripts]\na = b:c\n"), uv=False),
    Feature("scripts", "no-group", _scripts("a = b:c\n"), uv=False),
)  # fmt: skip


def _sizes(part: Part) -> bytes:
    """What a data descriptor says of a deflated member."""
    from zlib import crc32

    from tests.fixtures.archives import deflated

    return struct.pack("<3L", crc32(part.data), len(deflated(part.data)), len(part.data))
