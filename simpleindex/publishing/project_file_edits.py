"""Edit the text of a ``simpleindex.toml``; everything else in it stays as it was written.

Needs tomlkit (the extra ``publish``), which is imported only when something is changed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simpleindex.core.errors import InvalidSetting
from simpleindex.core.model import Status
from simpleindex.core.names import PROJECT_FILE
from simpleindex.core.parsing.text_files import InvalidText, decode_utf8
from simpleindex.core.text import shown
from simpleindex.directory.project_file import (
    MAXIMUM_SIZE,
    NO_PROJECT_FILE,
    InvalidProjectFile,
    ProjectFile,
    parse_project_file,
    yank_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    ProjectFileChange = Callable[[bytes | None], bytes | None]
    """Takes the content of a project file, None without one, and returns the new one; None for none."""


def with_yank(data: bytes | None, key: str, reason: str) -> bytes:
    """Yank a version or a file.

    Args:
        data: The file's content; None if there is none.
        key: A version or a file name.
        reason: Why; may be empty.

    Returns:
        The new content; ``data`` itself if nothing changes.

    Raises:
        InvalidSetting: The key or the reason is not valid.
        InvalidProjectFile: The file is not valid, and must be corrected by hand first.
    """
    spelling, key = key.strip(), _checked_key(key)
    before = _parsed(data)
    after = replace(before, yanked={**before.yanked, key: _checked_reason(reason)})

    def change(document: Any) -> None:
        from tomlkit.items import KeyType, SingleKey  # noqa: PLC0415  (an extra)

        table = _yanked_table(document)
        written = next((raw for raw in table if yank_key(raw) == key), None)
        # A new key is quoted: the bare key 1.0 is a table.
        table[SingleKey(spelling, t=KeyType.Basic) if written is None else written] = reason or True

    return _changed(data, before, after, change) or b""


def without_yank(data: bytes | None, key: str) -> bytes | None:
    """Remove a yank; arguments and errors as in :func:`with_yank`.

    Returns:
        The new content, or None if nothing is left in it.
    """
    key = _checked_key(key)
    before = _parsed(data)
    after = replace(before, yanked=_without(before.yanked, key))

    def change(document: Any) -> None:
        table = document["yanked"]
        for raw in [raw for raw in table if yank_key(raw) == key]:
            del table[raw]
        if not table and "#" not in table.as_string():
            del document["yanked"]

    return _changed(data, before, after, change)


def with_status(data: bytes | None, status: Status, reason: str | None = None) -> bytes | None:
    """Set a project's status; errors as in :func:`with_yank`.

    Args:
        data: The file's content; None if there is none.
        status: The status; ``active`` is what a project is without any.
        reason: Why, or None.

    Returns:
        The new content, or None if nothing is left in it.
    """
    before = _parsed(data)
    after = replace(before, status=status, reason=_checked_reason(reason or "") or None)

    def change(document: Any) -> None:
        for key, value in (("status", status.value), ("reason", after.reason)):
            if value is None or value == Status.ACTIVE.value:
                document.pop(key, None)
            elif document.get(key) != value:
                document[key] = value

    return _changed(data, before, after, change)


def _changed(
    data: bytes | None, before: ProjectFile, after: ProjectFile, change: Callable[[Any], None]
) -> bytes | None:
    if before == after:
        return data
    from tomlkit import dumps, parse  # noqa: PLC0415  (an extra)
    from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415

    try:
        document = parse(decode_utf8(data or b""))
        change(document)
        result = dumps(document).encode()
        if after == NO_PROJECT_FILE and b"#" not in result:
            return None
        is_right = parse_project_file(result) == after
    except (TOMLKitError, InvalidProjectFile, InvalidText, ValueError, TypeError, AttributeError, KeyError):
        # TOML that tomlkit does not edit well.
        is_right, result = False, b""
    if not is_right:
        raise InvalidProjectFile("is written in a way that cannot be changed here; change it by hand")
    if len(result) > MAXIMUM_SIZE:
        raise InvalidProjectFile(f"would become larger than {MAXIMUM_SIZE // 1024} KiB")
    return result


def _yanked_table(document: Any) -> Any:
    from tomlkit import table  # noqa: PLC0415  (an extra)

    if "yanked" not in document:
        document["yanked"] = table()
    return document["yanked"]


def _parsed(data: bytes | None) -> ProjectFile:
    return NO_PROJECT_FILE if data is None else parse_project_file(data)


def _checked_key(key: str) -> str:
    try:
        # A text that TOML cannot hold is not a name or a version either.
        key.encode()
        return yank_key(key.strip())
    except (InvalidProjectFile, ValueError):
        raise InvalidSetting(f"{shown(key)} is neither a version nor a distribution's file name.") from None


def _checked_reason(reason: str) -> str:
    try:
        reason.encode()
    except ValueError:
        raise InvalidSetting(f"{shown(reason)} is not a text that {PROJECT_FILE} can hold.") from None
    return reason


def _without(yanked: Mapping[str, str], key: str) -> Mapping[str, str]:
    return {each: reason for each, reason in yanked.items() if each != key}
