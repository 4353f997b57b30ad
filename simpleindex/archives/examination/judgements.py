"""The judgements that an examining process knows, by name, with arguments and results in JSON.

The judgements themselves lie where the formats do: :mod:`simpleindex.archives.inspect` for files of the directory,
:mod:`simpleindex.archives.verification.verify` for uploads, :mod:`simpleindex.archives.contents` for looking inside.
"""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from simpleindex.access.identity import UploadRules
from simpleindex.archives.contents import compare_texts, list_members, read_texts
from simpleindex.archives.examination.confinement import opening_allowed
from simpleindex.archives.inspect import examine_side_file, inspect_distribution, read_wheel_metadata
from simpleindex.archives.verification.verify import examine_strictly
from simpleindex.core.names import ProjectName, parse_distribution_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _distribution(file: BinaryIO, filename: str, project: str | None) -> list[Any]:
    name = parse_distribution_name(filename, None if project is None else ProjectName(project))
    facts = inspect_distribution(file, name)
    sidecar, place = facts.sidecar, facts.place
    return [
        *(facts.version, facts.sha256, facts.requires_python),
        # Not astuple(), which copies deeply and takes as long as reading a tenth of the file.
        sidecar and (sidecar.sha256, sidecar.size),
        place and (place.offset, place.stored_size, place.method),
    ]


def _upload(file: BinaryIO, filename: str, project: str, rules: dict[str, Any]) -> list[Any]:
    name = parse_distribution_name(filename, ProjectName(project))
    examined = examine_strictly(file, name, UploadRules(**rules))
    return [astuple(examined.metadata), examined.metadata_version]


class _Missing(Exception):
    """Bytes that have not been fetched are needed."""


def _wheel_end(file: BinaryIO, filename: str, size: int, parts: list[tuple[int, int]]) -> list[Any]:
    """Read a wheel's metadata from what is known of it, or say what else is needed."""
    wanted = [0, 0]

    def pread(length: int, offset: int) -> bytes:
        if not any(start <= offset and offset + length <= start + known for start, known in parts):
            wanted[:] = offset, length
            raise _Missing
        file.seek(offset)
        return file.read(length)

    try:
        data, requires_python = read_wheel_metadata(pread, size, parse_distribution_name(filename))
    except _Missing:
        return ["missing", *wanted]
    # One character a byte: JSON has no bytes.
    return ["metadata", data.decode("latin-1"), requires_python]


def _members(file: BinaryIO, filename: str) -> list[Any]:
    listed = list_members(file, filename)
    return [[astuple(each) for each in listed.members], listed.is_complete]


def _texts(file: BinaryIO, filename: str, paths: list[str]) -> dict[str, Any]:
    texts = read_texts(file, filename, paths)
    return {path: text and astuple(text) for path, text in texts.items()}


def _description(file: BinaryIO, content_type: str) -> list[Any]:
    # Only with the extra "pages". It loads the highlighter of a language when there is something to highlight.
    with opening_allowed():
        from simpleindex.archives.description import render_description  # noqa: PLC0415

        file.seek(0)
        rendered = render_description(file.read().decode("utf-8", "replace"), content_type)
    return [rendered.html, rendered.has_images]


JUDGEMENTS: Final[Mapping[str, Callable[..., Any]]] = {
    "distribution": _distribution,
    "side file": examine_side_file,
    "upload": _upload,
    "wheel end": _wheel_end,
    "members": _members,
    "texts": _texts,
    "differences": compare_texts,
    "description": _description,
}
