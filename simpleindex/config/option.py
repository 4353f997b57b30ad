"""One option: its name, help, what it takes, and its default (the table: ``options.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE_PREFIX: Final = "SIMPLEINDEX_"
"""How the environment variables of options begin."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Attributes:
        name: As on the command line after ``--``, and as the key in the configuration file.
        help: One sentence that says what follows from giving it.
        metavar: What it takes, in capitals; empty for a flag.
        parse: Reads its text; by default as a path if it takes a directory or a file.
        default: What applies without the option, as a text of it.
        otherwise: The same in words, where no text of it means that; if both are empty there is none, and a flag is off.
        repeatable: Whether it can be given several times (an array in the file, split at white space in the environment).
        number: Whether the configuration file may give it as a bare number.
        restart_needed: Whether a change needs a restart, and does not apply on SIGHUP.
    """

    name: str
    help: str
    metavar: str = ""
    parse: Callable[..., Any] = str
    default: str = ""
    otherwise: str = ""
    empty: Any = None
    repeatable: bool = False
    number: bool = False
    restart_needed: bool = False

    @property
    def flag(self) -> bool:
        """Whether it takes no value on the command line."""
        return not self.metavar

    @property
    def is_path(self) -> bool:
        """Whether its value is always a path."""
        return self.metavar.partition("|")[0] in ("DIR", "FILE")

    @property
    def field(self) -> str:
        """Its attribute's name in :class:`simpleindex.config.settings.Settings`."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return VARIABLE_PREFIX + self.field.upper()

    @property
    def default_words(self) -> str:
        """What applies without the option, for people."""
        return self.default or self.otherwise or ("" if self.flag else "none")
