"""What the configuration file, the environment and the command line each say, in one form: texts, and where they stood.

A value is checked in every layer that gives one, also where a higher layer overrides it: an error must not lie in wait
until the day the override goes.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from simpleindex.config.option import VARIABLE_PREFIX
from simpleindex.config.options import OPTION_NAMES, OPTIONS
from simpleindex.core.errors import InvalidSetting, RefusedStart
from simpleindex.core.parsing.toml import read_toml
from simpleindex.core.text import did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from simpleindex.config.option import Option

T = TypeVar("T")

_BY_NAME: Final = {option.name: option for option in OPTIONS}
_BY_VARIABLE: Final = {option.variable: option for option in OPTIONS}

_LARGEST_FILE: Final = 1 << 20  # bytes; a wheel named by mistake is not read whole

# Kubernetes sets such variables in every pod beside a service called "simpleindex" (its "service links").
# SIMPLEINDEX_PORT=443 in contrast is a person's mistake.
_SERVICE_LINK: Final = re.compile(
    rf"{VARIABLE_PREFIX}(\w+_)?"
    r"((SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=.*|PORT=(tcp|udp|sctp)://.*)",
    re.ASCII | re.DOTALL,
)
# The commands' own: what they show to an index elsewhere.
_NO_OPTION: Final = f"{VARIABLE_PREFIX}TOKEN"
_SEE_HELP: Final = "; see twistd simpleindex --help"

_TYPE_NAMES: Final = {
    bool: "true or false",
    str: "a string",
    int: "a number",
    float: "a number",
    dict: "a table",
    list: "an array",
}


@dataclass(frozen=True, slots=True)
class OptionTexts:
    """The texts that one layer has for one option.

    Attributes:
        where: The place, as the beginning of a sentence.
        texts: The values; exactly one unless the option is repeatable.
        base: What relative paths are relative to there.
    """

    where: str
    texts: tuple[str, ...]
    base: Path

    def read(self, reader: Callable[[str], T]) -> tuple[T, ...]:
        """Turn the texts into values, or refuse to start."""
        return tuple(self._read(reader, text) for text in self.texts)

    def read_located(self, reader: Callable[[str, Path, str | None], T], home: str | None) -> tuple[T, ...]:
        """Do the same with what may be paths."""
        return self.read(lambda text: reader(text, self.base, home))

    def _read(self, reader: Callable[[str], T], text: str) -> T:
        if not text:
            raise RefusedStart(f"{self.where}: the value is empty")
        try:
            return reader(text)
        except InvalidSetting as invalid:
            raise RefusedStart(f"{self.where}: {without_secrets(text)!r} {invalid.reason}") from None


Layer = dict[str, OptionTexts]
"""By option name."""


@dataclass(frozen=True, slots=True)
class Layers:
    """All layers.

    Attributes:
        ascending: The lowest precedence first.
        home: What ``~`` stands for, or None if there is no home directory.
    """

    ascending: tuple[Layer, ...]
    home: str | None

    def one(self, name: str, reader: Callable[[str], T], default: T) -> T:
        """Return the value of an option that is given once."""
        value = default
        for texts in self._all(name):
            (value,) = texts.read(reader)
        return value

    def located(self, name: str, reader: Callable[[str, Path, str | None], T], default: T) -> T:
        """Return the value of an option that may be a path."""
        value = default
        for texts in self._all(name):
            (value,) = texts.read_located(reader, self.home)
        return value

    def many(self, name: str, reader: Callable[[str], T]) -> tuple[T, ...]:
        """Return the values of a repeatable option; a higher layer's list replaces a lower one's."""
        values: tuple[T, ...] = ()
        for texts in self._all(name):
            values = texts.read(reader)
        return values

    def is_given(self, name: str) -> bool:
        """Tell whether a layer gives the option."""
        return bool(self._all(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the texts of the option in the highest layer that gives it; none if no layer does."""
        return next((texts.texts for texts in reversed(self._all(name))), ())

    def where(self, name: str) -> str:
        """Return where the option got its value, as the beginning of a sentence."""
        return next((texts.where for texts in reversed(self._all(name))), f"--{name}")

    def _all(self, name: str) -> list[OptionTexts]:
        return [layer[name] for layer in self.ascending if name in layer]


def from_command_line(command_line: Mapping[str, object], directory: Path) -> Layer:
    """Take over what stood on the command line.

    Args:
        command_line: By option name: a text, True for a flag, a tuple of texts for a repeatable option.
        directory: What relative paths are relative to.
    """
    layer = {}
    for name, value in command_line.items():
        option = _BY_NAME.get(name)
        if option is None:
            raise RefusedStart(f"unknown option {'--' + name!r}{did_you_mean(name, OPTION_NAMES, _SEE_HELP)}")
        layer[name] = OptionTexts(f"--{name}", _texts(f"--{name}", option, value), directory)
    return layer


def from_environment(environment: Mapping[str, str], directory: Path) -> Layer:
    """Take over the ``SIMPLEINDEX_...`` variables.

    Repeatable ones are split at white space and not at commas, which an endpoint string may contain. An empty variable
    is refused, not ignored: ``SIMPLEINDEX_PATH=$FORGOTTEN`` would serve the working directory.
    """
    layer = {}
    for variable, text in environment.items():
        if (
            not variable.startswith(VARIABLE_PREFIX)
            or variable == _NO_OPTION
            or _SERVICE_LINK.fullmatch(f"{variable}={text}")
        ):
            continue
        option = _BY_VARIABLE.get(variable)
        if option is None:
            # Compared without the prefix, which would make every name resemble every other.
            meant = nearest(variable.removeprefix(VARIABLE_PREFIX), (option.field for option in OPTIONS))
            ending = _SEE_HELP if meant is None else f"; did you mean {VARIABLE_PREFIX + meant.upper()!r}?"
            raise RefusedStart(f"unknown environment variable {variable!r}{ending}")
        if not text.strip():
            raise RefusedStart(f"{variable}: the value is empty; give one or unset the variable")
        layer[option.name] = OptionTexts(
            variable, tuple(text.split()) if option.repeatable else (text,), directory
        )
    return layer


def from_file(file: Path) -> Layer:
    """Take over a configuration file."""
    layer = {}
    for key, value in _load(file).items():
        option = _BY_NAME.get(key)
        if option is None:
            raise RefusedStart(f"{file}: unknown key {key!r}{did_you_mean(key, OPTION_NAMES, _SEE_HELP)}")
        where = f"{file}: {key}"
        if option.name == "config":
            raise RefusedStart(f"{where}: one configuration file cannot name another")
        layer[key] = OptionTexts(where, _texts(where, option, value), file.parent)
    return layer


def _load(file: Path) -> dict[str, object]:
    try:
        # Otherwise a FIFO would hold up the start, and later the reactor, for ever.
        if not stat.S_ISREG(os.stat(file).st_mode):
            raise RefusedStart(f"{file}: the configuration is not a regular file")
        with open(file, "rb") as stream:
            content = stream.read(_LARGEST_FILE + 1)
    except FileNotFoundError:
        raise RefusedStart(f"{file}: there is no such configuration file") from None
    except OSError as error:
        raise RefusedStart(f"{file}: the configuration cannot be read: {error.strerror}") from None
    if len(content) > _LARGEST_FILE:
        raise RefusedStart(f"{file}: the configuration is larger than {_LARGEST_FILE} bytes")
    return read_toml(content, lambda reason: RefusedStart(f"{file}: {reason}"))


def _texts(where: str, option: Option, value: object) -> tuple[str, ...]:
    if option.flag:
        if not isinstance(value, bool):
            raise RefusedStart(f"{where}: must be true or false, not {_type_name(value)}")
        return ("true" if value else "false",)
    if option.repeatable and isinstance(value, (list, tuple)):
        return tuple(_text(where, option, item) for item in value)
    return (_text(where, option, value),)


def _text(where: str, option: Option, value: object) -> str:
    if isinstance(value, str):
        return value
    if not option.number or isinstance(value, bool) or not isinstance(value, (int, float)):
        expected = "a number or a string" if option.number else "a string"
        raise RefusedStart(f"{where}: must be {expected}, not {_type_name(value)}")
    # TOML's integers have 64 bits; tomllib reads longer ones, which Python then refuses to write out in decimal.
    if abs(value) >= 1 << 63:
        raise RefusedStart(f"{where}: the number is too large")
    return str(value)


def _type_name(value: object) -> str:
    return _TYPE_NAMES.get(type(value), "a date or a time")


def without_secrets(text: str) -> str:
    """Return the text without what may be a password, before a host or where that was forgotten, or a token after a path."""
    _, at, end = text.rpartition("@")
    scheme, separator, rest = end.partition("://")
    authority, slash, path = rest.partition("/")
    host, colon, port = authority.rpartition(":")
    if colon and not (port.isdecimal() or port.endswith("]")):
        end = f"{scheme}{separator}{host}:...{slash}{path}"
    return re.sub(r"(?s)[?#].+", lambda cut: cut[0][0] + "...", ("..." if at else "") + at + end)
