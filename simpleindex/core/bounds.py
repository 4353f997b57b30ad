"""Bounds on input from strangers: each count and length is compared before a pattern or a library sees the input.

Every reader is linear in its input up to these bounds; ``simpleindex/docs/limits.md`` lists the readers. Each number states
its unit and its evidence: what real packages reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Bound:
    """A bound: the most that is read of one kind of input.

    Attributes:
        what: What is counted, as the subject of a sentence: ``a line of its WHEEL file``.
        most: How many units are still read.
        unit: Of the number, in the plural: ``bytes``.
    """

    what: str
    most: int
    unit: str

    def excess(self, size: int) -> str | None:
        """Return a sentence without its full stop that names what is too large, its size and the bound.

        Args:
            size: What was found, in the bound's unit.

        Returns:
            None if it is within the bound.
        """
        if size <= self.most:
            return None
        return f"{self.what} has {size:,} {self.unit}, and at most {self.most:,} are read"


# -- file names ---------------------------------------------------------------------------------------------------------

FILENAME: Final = Bound("its file name", 255, "characters")
"""What Linux's file systems take for a name (NAME_MAX). The longest wheels on the public index have some 200."""

TAGS: Final = Bound("the set of tags that its file name stands for", 1_000, "members")
"""Combinations of Python, ABI and platform. A wheel for several versions of macOS reaches 60, for all of manylinux 30."""

PROJECT_NAME: Final = Bound("the name", 255, "characters")
"""It must fit into :data:`FILENAME`. The longest on the public index have some 80."""

# -- versions and requirements ------------------------------------------------------------------------------------------

VERSION: Final = Bound("the version", 255, "characters")
"""It must fit into :data:`FILENAME`, in its normal form too. Those with a hash of a commit have some 60."""

SPECIFIERS: Final = Bound("the version specifier", 1_000, "characters")
"""The longest Requires-Python in real packages, which exclude single versions, have some 100."""

SPECIFIER_CLAUSES: Final = Bound("the version specifier", 200, "clauses")
"""In a requirement, extras are counted with them; the most known, those of "all" extras, have some 80."""

REQUIREMENT: Final = Bound("the requirement", 4_096, "characters")
"""With a URL (which has some 300, signed ones 1,500) and a marker; poetry writes markers of some 1,000."""

MARKER_CLAUSES: Final = Bound("the environment marker", 200, "clauses")
"""Locks for several Pythons and platforms reach some 40."""

MARKER_DEPTH: Final = Bound("the environment marker", 100, "opening parentheses")
"""All of them, however they are nested. Locks for several platforms have some 20."""

# -- text formats -------------------------------------------------------------------------------------------------------

TOML_KEY: Final = Bound("a dotted key", 64, "dots")
"""Tables of tools have some 5. Many dotted words in one string without a blank count as a key."""

LOCK_LINE: Final = Bound("the line", 256 * 1024, "characters")
"""A requirement with its continuations: the digests of 500 files of a release are 45,000 characters."""

PROVENANCE: Final = Bound("it", 1024 * 1024, "bytes")
"""A provenance file, or a signature: those of the public index have some 10,000 for each attestation."""

PROVENANCE_VALUES: Final = Bound("it", 50_000, "values")
"""An attestation has some 40; the proof of its place in a log some 30 more."""

ATTESTATIONS: Final = Bound("the field attestations", 8, "attestations")
"""There are two kinds, and one of each is useful."""

ATTESTATIONS_TEXT: Final = Bound("the field attestations", 256 * 1024, "characters")
"""Each attestation has some 10,000."""

ATTESTATION_VALUES: Final = Bound("the field attestations", 10_000, "values")
"""As :data:`PROVENANCE_VALUES`, of :data:`ATTESTATIONS`."""

BUILD_URI: Final = Bound("what the certificate says of the build", 2_000, "characters")
"""A URL of a repository with a workflow and a reference, some 150."""

BOUNDARY: Final = Bound("the boundary of the form", 70, "bytes")
"""RFC 2046 section 5.1.1."""

CHARACTER_REFERENCE: Final = Bound("a numeric character reference", 20, "digits")
"""HTML's largest is &#1114111; with some zeros before it. :func:`html.unescape` fails from 4,301 digits on."""

HTTP_DATE: Final = Bound("the date", 100, "characters")
"""RFC 9110's three forms have some 30."""

PAGE_VALUES: Final = Bound("the page", 4_000_000, "values")
"""Of JSON. A file has some 12, a project in the root page 3; a tiny one costs 72 bytes of memory."""

EXPORT_VALUES: Final = Bound("the export", 40_000_000, "values")
"""Of JSON, in a file that the operator made: a release of devpi has some 60, with its metadata and a file."""

PAGE_LINKS: Final = Bound("the page", 1_500_000, "links")
"""Of HTML; the public index has some 700,000 projects, the largest project 30,000 files. Each costs some 500 bytes of memory."""

TAG_ATTRIBUTES: Final = Bound("a tag of the page", 100, "attributes")
"""A link of a listing has some 8."""

PAGE_METAS: Final = Bound("the page", 100, "meta tags of an index")
"""Those that are specified are 5."""

FRAGMENT: Final = Bound("the fragment of a link", 4_096, "characters")
"""A digest and perhaps an egg with extras, some 200. A longer one is as if it stated nothing."""

ADVISORY_VALUES: Final = Bound("the advisory", 200_000, "values")
"""Of JSON; the largest public ones, with thousands of versions, have some 20,000."""

ADVISORY_RANGES: Final = Bound("what the advisory says of a project", 200, "ranges")
"""Each file of the project is compared with each. Those of frameworks with many supported branches have some 20."""

# -- the files in a wheel -----------------------------------------------------------------------------------------------

WHEEL_LINE: Final = Bound("a line of its WHEEL file", 4096, "characters")
"""A line states one tag, which has some 40; a compressed one is not longer than a file name."""

WHEEL_TAGS: Final = Bound("the set of tags that its WHEEL file states", 1_000, "members")
"""All lines together, multiplied out. It is the set of the file name, so no larger than :data:`TAGS`."""

ENTRY_POINTS_LINE: Final = Bound("a line of its entry_points.txt", 4096, "characters")
"""A name, a module, an object and perhaps extras: the longest known have some 200."""

ENTRY_POINTS_LINES: Final = Bound("its entry_points.txt", 20_000, "lines")
"""Collections of plugins (airflow's providers, pygments, salt) have some hundreds, generated SDKs some thousands."""

RECORD_LINE: Final = Bound("a line of its RECORD", 16 * 1024, "bytes")
"""A path (:data:`PATH`), of which each quotation mark is doubled, a digest and a size. The longest known have some 400."""

RECORD_LINES: Final = Bound("its RECORD", 200_000, "lines")
"""One for each of :data:`MEMBERS`, and as many empty ones. torch has 20,000."""

LICENSE_FILES: Final = Bound("the list of License-File in its metadata", 10_000, "entries")
"""Wheels with many vendored libraries state some hundreds."""

REQUIRES_DIST: Final = Bound("the list of Requires-Dist in its metadata", 10_000, "entries")
"""Collections such as apache-airflow, with every extra of theirs, state some thousand."""

# -- members of archives ------------------------------------------------------------------------------------------------

PATH: Final = Bound("the path of a member", 4096, "bytes")
"""Linux takes no longer one (PATH_MAX); the longest in packages, beneath a node_modules, have some 300."""

PATH_PART: Final = Bound("a part of the path of a member", 255, "bytes")
"""NAME_MAX, as :data:`FILENAME`."""

PATH_PARTS: Final = Bound("the path of a member", 128, "parts")
"""The deepest known, beneath a node_modules, have some 30."""

LINK: Final = Bound("the target of a link", 4096, "bytes")
"""PATH_MAX, as :data:`PATH`."""

MEMBERS: Final = Bound("the archive", 100_000, "members")
"""The largest packages known have some 40,000 files; each costs about 200 bytes of memory while it is judged."""

DIRECTORIES: Final = Bound("the archive", 100_000, "directories")
"""As :data:`MEMBERS`: each is kept like a file."""

LINKS: Final = Bound("the archive", 1_000, "symbolic links")
"""Their targets are kept until the end. Test data of tools for file systems have some dozens."""

TAR_HEADERS: Final = Bound("the archive", 500_000, "headers")
"""Of tar, the extended ones included; 40,000 files with such a one each have 80,000. Without data behind them, a million
headers are packed into half a megabyte."""

EXTENSIONS: Final = Bound("what the extended headers say of one member", 1024 * 1024, "bytes")
"""All that precede one member together: long names, and records of pax, which have some 200 bytes. macOS adds extended
attributes of some KiB."""

STREAMS: Final = Bound("its compressed data", 100_000, "streams")
"""A file of 2 GB in streams of 64 KiB has 33,000; each costs a copy of the rest of its chunk."""

# -- looking into archives ----------------------------------------------------------------------------------------------

LISTED_MEMBERS: Final = Bound("the list of the archive's files", 5_000, "files")
"""Shown on one page. Of the 1,000 most downloaded wheels, some thirty have more; the rest of these is counted, not listed."""

LISTED_PATHS: Final = Bound("the list of the archive's files", 512 * 1024, "characters")
"""Paths have some 60 characters, so that 5,000 of them stay below 300 KiB."""

MEMBER_TEXT: Final = Bound("a file of the archive", 256 * 1024, "bytes")
"""What is shown as text. The longest modules that people write have some 200 KiB."""

MEMBER_TEXTS: Final = Bound("the files that are compared", 1024 * 1024, "bytes")
"""All texts of one comparison; it bounds the answer of the examining process too."""

DIFFERENCE_LINES: Final = Bound("a text that is compared", 5_000, "lines")
"""Comparing is quadratic for hostile texts; the examining process's computing time is the other bound."""
