"""Core metadata: the three values that an index needs, judged.

Only the header block is looked at, by expressions that run over it once. An e-mail parser would copy the whole body, and
an unknown Metadata-Version is no reason to refuse what is only served (docs/protocol.md, "Metadata beside a wheel").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from packaging.specifiers import InvalidSpecifier
from packaging.version import InvalidVersion, Version

from simpleindex.core.errors import InvalidMetadata, InvalidProjectName
from simpleindex.core.names import distribution_suffix, parse_project_name
from simpleindex.core.parsing.version_texts import parse_specifiers, parse_version
from simpleindex.core.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simpleindex.core.names import DistributionName

MAXIMUM_SIZE: Final = 16 * 1024 * 1024
"""Bytes; beyond it a METADATA or PKG-INFO is not read. The largest on the public index have some hundred KiB."""

# Bytes. An expression runs without letting another thread in, and for 16 MiB of tiny lines that would be seconds.
_LONGEST_HEADERS: Final = 2 * 1024 * 1024
_BYTE_ORDER_MARK: Final = "\ufeff".encode()

# The header block ends where e-mail's does for pip: at the first line that is neither a header nor a continuation.
# CR LF, CR and LF all end a line there.
_END_OF_HEADERS: Final = re.compile(rb"(?:\A|\r\n|\r(?!\n)|(?<!\r)\n)(?![!-9;-~]*:|[ \t])")
_LINE_END: Final = re.compile(rb"[\r\n]")
# Possessive, so that a value of a million folded lines costs no memory for ways back.
_WANTED: Final = rb"(?:\A|(?<=[\r\n]))(%s):([^\r\n]*+(?:(?:\r\n|\r|\n)[ \t][^\r\n]*+)*+)"
_HEADER: Final = re.compile(_WANTED % rb"name|version|requires-python", re.IGNORECASE)
_ANY: Final = re.compile(_WANTED % rb"[!-9;-~]+")
_DETAIL: Final = re.compile(_WANTED % rb"metadata-version|license-file", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CoreMetadata:
    """What a distribution's metadata say of it.

    Attributes:
        name: The project's name as it is spelt there.
        version: The version in PEP 440's normal form.
        requires_python: Requires-Python as one line if every installer can parse it, else None (docs/protocol.md).
    """

    name: str
    version: str
    requires_python: str | None


@dataclass(frozen=True, slots=True)
class VerifiedMetadata:
    """The metadata in an upload, as its examination found them."""

    metadata: CoreMetadata
    metadata_version: str


@dataclass(frozen=True, slots=True)
class Details:
    """The fields of core metadata that are checked in uploads only.

    Attributes:
        metadata_version: As it is written there; None if it is missing.
        license_files: Paths, in their order (PEP 639).
    """

    metadata_version: str | None
    license_files: tuple[str, ...]


def read_metadata(data: bytes, name: DistributionName) -> CoreMetadata:
    """Read a METADATA or PKG-INFO file.

    Args:
        data: Its bytes.
        name: What the file name of its distribution says.

    Raises:
        InvalidMetadata: Name or Version are missing, or are not those of the file name; or the headers are endless.
    """
    values = _headers(data)
    for key in ("name", "version"):
        if key not in values:
            raise InvalidMetadata(f"its metadata have no {key.title()}")
    if not states(values["name"], values["version"], name):
        raise _of_another(values["name"], values["version"], name)
    return CoreMetadata(
        values["name"],
        str(Version(values["version"])),
        valid_requires_python(values.get("requires-python", "")),
    )


def read_sdist_metadata(data: bytes, name: DistributionName) -> str | None:
    """Read the PKG-INFO of an sdist that lies in a directory.

    Installers make their own metadata of an sdist by building it. So a PKG-INFO that states no name or version, as very old
    and handmade ones do not, is no reason to withhold what can be built; one that states others is another distribution's.

    Args:
        data: Its bytes.
        name: What the file name of the sdist says.

    Returns:
        Requires-Python, as :class:`CoreMetadata` has it.

    Raises:
        InvalidMetadata: Name or Version are not those of the file name; or the headers are endless.
    """
    values = _headers(data.removeprefix(_BYTE_ORDER_MARK))
    project, version = values.get("name") or name.project, values.get("version") or name.version
    if not states(project, version, name):
        raise _of_another(project, version, name)
    return valid_requires_python(values.get("requires-python", ""))


def _of_another(project: str, version: str, name: DistributionName) -> InvalidMetadata:
    return InvalidMetadata(
        f"its metadata say {shown(project)} {shown(version)}, its name says {name.project} {name.version}"
    )


def read_details(data: bytes) -> Details:
    """Read the rest of what is judged in a METADATA or PKG-INFO file.

    Raises:
        InvalidMetadata: The headers are endless.
    """
    block, end = _header_block(data)
    versions: list[str] = []
    files: list[str] = []
    for match in _DETAIL.finditer(block, 0, end):
        value = " ".join(match[2].decode("utf-8", "backslashreplace").split())
        (files if match[1].lower() == b"license-file" else versions).append(value)
    return Details(versions[0] if versions else None, tuple(files))


def header_fields(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Go through the header fields as e-mail's parser has them, each with what follows its colon, as it is written.

    Raises:
        InvalidMetadata: The headers are endless.
    """
    block, end = _header_block(data)
    return ((match[1], match[2]) for match in _ANY.finditer(block, 0, end))


def description_body(data: bytes) -> bytes:
    """Return what follows the header fields: the description, since Metadata-Version 2.1.

    Raises:
        InvalidMetadata: The headers are endless.
    """
    _, end = _header_block(data)
    return data[end:]


def states(project: str, version: str, name: DistributionName) -> bool:
    """Whether a project's name and version, spelt in whatever way, are those of a distribution (PEP 503, PEP 440)."""
    try:
        return parse_project_name(project) == name.project and parse_version(version) == Version(name.version)
    except (InvalidProjectName, InvalidVersion):
        return False


def sdist_metadata_paths(filename: str) -> tuple[str, ...]:
    """Return where an sdist may have its metadata: its top directory is called as it is, by older tools with hyphens."""
    stem = filename.removesuffix(distribution_suffix(filename) or "")
    return tuple(f"{top}/PKG-INFO" for top in dict.fromkeys((stem, stem.replace("_", "-"))))


def is_sdist_metadata(path: bytes) -> bool:
    """Whether a member of an sdist is its metadata: the PKG-INFO in the top directory (PEP 643)."""
    top, _, rest = path.removeprefix(b"./").partition(b"/")
    return rest == b"PKG-INFO" and top not in {b"", b".", b".."}


def _header_block(data: bytes) -> tuple[bytes, int]:
    """Return the beginning of the metadata, and where in it the headers end."""
    block = data[:_LONGEST_HEADERS]
    end = _END_OF_HEADERS.search(block)
    # A last line that is cut short here could seem to be no header.
    if len(data) > len(block) and not (end and _LINE_END.search(block, end.end())):
        raise InvalidMetadata(f"its metadata have more than {_LONGEST_HEADERS >> 20} MiB of headers")
    return block, end.start() if end else len(block)


def _headers(data: bytes) -> dict[str, str]:
    """Return the wanted headers, unfolded; of several with one name the first, as e-mail's parser has it."""
    block, end = _header_block(data)
    values: dict[str, str] = {}
    for match in _HEADER.finditer(block, 0, end):
        key = match[1].decode("ascii").lower()
        if key not in values:
            # Bytes that are not ASCII stay bad when decoded so, and none of the three may have any.
            values[key] = " ".join(match[2].decode("ascii", "backslashreplace").split())
    return values


def valid_requires_python(text: str) -> str | None:
    """Return a Requires-Python if every installer can parse it, else None (docs/protocol.md, "HTML pages")."""
    if not text:
        return None
    try:
        for specifier in parse_specifiers(text):
            if specifier.operator == "===":
                # Arbitrary equality takes any characters, even markup, for a version; uv then drops the file.
                parse_version(specifier.version)
    except (InvalidSpecifier, InvalidVersion):
        return None
    return text
