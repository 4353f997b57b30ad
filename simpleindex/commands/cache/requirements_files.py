"""Read a file of requirements and all the files that it names. Blocking."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from simpleindex.commands.cache.lock_file import InvalidLockFile, parse_lock_file
from simpleindex.commands.cache.requirements import Requirements, SkippedLine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.commands.cache.requirements import NestedFile

_LARGEST: Final = 16 << 20
"""Bytes of one file."""

_MOST_FILES: Final = 100


def read_requirements(
    path: str, environment: Mapping[str, str], variables: Mapping[str, str]
) -> Requirements:
    """Read a lock file or a file of requirements, and what its lines with ``-r`` and ``-c`` name.

    Args:
        path: The file.
        environment: The values of markers (PEP 508).
        variables: The environment's, for ``${NAME}``.

    Raises:
        InvalidLockFile: It is no lock file and no file of requirements.
        OSError: It cannot be read.
    """
    return _RequirementsReader(environment, variables).read(path)


class _RequirementsReader:
    """Reads a file and those that it names, each once."""

    def __init__(self, environment: Mapping[str, str], variables: Mapping[str, str]) -> None:
        self._environment = environment
        self._variables = variables
        self._read: set[tuple[str, bool]] = set()

    def read(self, path: str, *, is_constraint: bool = False) -> Requirements:
        self._read.add((os.path.realpath(path), is_constraint))
        with open(path, "rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise InvalidLockFile(f"is larger than {_LARGEST >> 20} MiB")
        requirements = parse_lock_file(content, self._environment, self._variables)
        named = [replace(each, where=f"{path}, {each.where}") for each in requirements.skipped]
        result = replace(requirements, skipped=tuple(named), nested=())
        limits = Requirements()
        for nested in requirements.nested:
            inner = self._nested(path, nested)
            if nested.is_constraint:
                limits = limits.joined(inner)
            else:
                result = result.joined(inner)
        mistakes = tuple(each for each in limits.skipped if each.is_mistake)
        result = result.joined(Requirements(skipped=mistakes))
        return result.constrained(limits.projects)

    def _nested(self, path: str, nested: NestedFile) -> Requirements:
        if "://" in nested.path:
            reason = "names a file at a URL, which is not fetched"
            return Requirements(skipped=(SkippedLine(f"{path}, {nested.where}", reason),))
        inner = os.path.join(os.path.dirname(path), nested.path)
        if (os.path.realpath(inner), nested.is_constraint) in self._read:
            return Requirements()
        if len(self._read) >= _MOST_FILES:
            return self._mistake(path, nested, f"more than {_MOST_FILES} files are named")
        try:
            return self.read(inner, is_constraint=nested.is_constraint)
        except OSError as error:
            return self._mistake(path, nested, f"{inner} cannot be read: {error.strerror}")
        except InvalidLockFile as error:
            return self._mistake(path, nested, f"{inner} {error.reason}")

    @staticmethod
    def _mistake(path: str, nested: NestedFile, reason: str) -> Requirements:
        skipped = SkippedLine(f"{path}, {nested.where}", f"names another file: {reason}", is_mistake=True)
        return Requirements(skipped=(skipped,))
