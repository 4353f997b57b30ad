"""The systemd units for one command line: those in ``deploy/``, with the settings replaced that depend on it."""

from __future__ import annotations

import argparse
import os
import re
import sys
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from simpleindex.commands.arguments import Parser
from simpleindex.config.layers import from_file
from simpleindex.config.options import OPTIONS
from simpleindex.config.resolution import resolve
from simpleindex.config.values import to_access_log, to_package_place, to_path
from simpleindex.core.errors import InvalidSetting, RefusedStart
from simpleindex.service.places import further_directories

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from simpleindex.config.settings import Settings
    from simpleindex.config.values import ListenAddress

SERVICE: Final = "simpleindex.service"
SOCKET: Final = "simpleindex.socket"

_NAME: Final = "simpleindex"
_STATE: Final = Path("/var/lib") / _NAME
_CACHE: Final = Path("/var/cache") / _NAME

# Where systemd makes directories for a service, and by which setting (systemd.exec(5)).
_MADE_BY_SYSTEMD: Final = {
    "StateDirectory": Path("/var/lib"),
    "CacheDirectory": Path("/var/cache"),
    "LogsDirectory": Path("/var/log"),
    "RuntimeDirectory": Path("/run"),
}
_HOMES: Final = (Path("/home"), Path("/root"), Path("/run/user"))
_TEMPORARY: Final = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - recognised, not written to

_PATHS: Final = tuple(option.name for option in OPTIONS if option.is_path)

# What none of systemd's parsers takes for a quote, an escape, a specifier, a variable or the end of a command.
_PLAIN_WORD: Final = re.compile(r"[A-Za-z0-9_./:=,@+-]+\Z")
_UNESCAPED_COLON: Final = re.compile(r"(?<!\\):")


@dataclass(frozen=True, slots=True)
class UnitOptions:
    """The options of a unit; every path is absolute.

    Attributes:
        arguments: What follows ``simpleindex`` on its command line.
        root: The directory of packages; None for a bucket.
        reads: Other paths that must be visible to the service.
        writes: Directories that it must be able to write.
        privileged: Whether it opens a port below 1024 itself.
        sockets: What systemd listens on in its place, as ``ListenStream`` has it, in the order of their indexes.
        further: Directories of packages that the sources file names.
    """

    twistd: Path
    arguments: tuple[str, ...]
    root: Path | None
    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = (_STATE, _CACHE)
    privileged: bool = False
    sockets: tuple[str, ...] = ()
    further: tuple[Path, ...] = ()


def systemd_unit(words: list[str]) -> int:
    """Print the units for a command line; return the exit status."""
    print(unit_text(words, Path(sys.prefix), Path.cwd()), end="")
    return 0


def unit_text(arguments: Sequence[str], python_prefix: Path, directory: Path) -> str:
    """Return what ``simpleindex systemd-unit`` prints; of two units, each under a comment with its name.

    Args:
        arguments: Its command line: options of the server, and ``--socket``.
        python_prefix: Where the Python environment lies (:data:`sys.prefix`).
        directory: What paths are relative to.

    Raises:
        RefusedStart: The arguments cannot be made a unit.
    """
    units = render_units(read_unit_options(arguments, python_prefix, directory))
    if len(units) == 1:
        return units[SERVICE]
    return "\n".join(f"# ---- {name}\n{text}" for name, text in units.items())


def read_unit_options(arguments: Sequence[str], python_prefix: Path, directory: Path) -> UnitOptions:
    """Return the options of the unit for a command line, and for its configuration file if it names one.

    The environment has no part in this, for the service will have another one.

    Args:
        arguments: Options of the server, and ``--socket`` for socket activation.
        python_prefix: Where the Python environment lies (:data:`sys.prefix`).
        directory: What paths are relative to.

    Raises:
        RefusedStart: The server would refuse the options, or they cannot be written in a unit.
    """
    given = _parse(arguments)
    activated = given.pop("socket", None) is not None
    for name in given.keys() & {*_PATHS, "access-log"}:
        given[name] = [_absolute(name, given[name][-1], directory)]
    if "path" not in given and not ("config" in given and "path" in from_file(Path(given["config"][-1]))):
        given["path"] = [str(directory)]

    own_directories = {"STATE_DIRECTORY": str(_STATE), "CACHE_DIRECTORY": str(_CACHE)}
    # The unit's WorkingDirectory is the state directory, so that our certificate is created there by default.
    settings = resolve(_command_line(given), own_directories, _STATE, root_may_be_gone=True)
    listening = () if settings.defaulted_http else (*settings.https, *settings.http)
    sockets: tuple[str, ...] = ()
    if activated:
        sockets = tuple(_listen_stream(listen) for listen in listening)
        given.update(_adopting(settings))
        listening = ()
        if not sockets:
            raise RefusedStart("--socket: the options name no ports; give --https PORT, --http PORT or both")
    return UnitOptions(
        twistd=python_prefix / "bin" / "twistd",
        arguments=tuple(_words(given)),
        root=None if settings.bucket else settings.path,
        reads=(
            # A virtual environment's interpreter is a link, and may lead into a home directory.
            Path(os.path.realpath(python_prefix / "bin" / "python3")),
            *(path for path in _read_paths(settings) if path),
        ),
        further=tuple(further_directories(settings).values()),
        writes=(
            settings.state,
            settings.cache,
            # Uploads are written beside what they join.
            *((settings.path,) if settings.has_logins and settings.bucket is None else ()),
            *((settings.certs,) if settings.acme is not None else ()),
            *([settings.access_log.parent] if isinstance(settings.access_log, Path) else ()),
            *_socket_directories(listening),
        ),
        privileged=any(0 < port < 1024 for listen in listening for port in _ports(listen)),
        sockets=sockets,
    )


def render_units(options: UnitOptions) -> dict[str, str]:
    """Return the units by file name: the service, and with socket activation the socket before it."""
    service = {SERVICE: render_unit(options)}
    if not options.sockets:
        return service
    listen = "\n".join(f"ListenStream={text}" for text in options.sockets)
    return {SOCKET: _shipped(SOCKET).replace("ListenStream=443", listen), **service}


def render_unit(options: UnitOptions) -> str:
    """Return the service's unit.

    Raises:
        RefusedStart: A word cannot be written in a unit.
    """
    served = (*((options.root,) if options.root else ()), *options.further)
    visible = (options.twistd, *served, *options.reads, *options.writes)
    command = [quote(str(options.twistd)), "-n", "--pidfile=", _NAME]
    capability = "CAP_NET_BIND_SERVICE" if options.privileged else ""
    values = {
        "RequiresMountsFor": " ".join(quote(str(path)) for path in served),
        "ExecStart": " ".join([*command, *(quote(word, variables=True) for word in options.arguments)]),
        "ProtectHome": "read-only" if _any_below(visible, _HOMES) else "yes",
        "PrivateTmp": "no" if _any_below(visible, _TEMPORARY) else "yes",
        "CapabilityBoundingSet": capability,
        "AmbientCapabilities": capability,
        **_writable(options.writes),
    }
    if options.root is None:
        values["WorkingDirectory"] = (
            f"{_STATE}\n# AWS_ACCESS_KEY_ID=... and the like, a line each, with mode 600.\nEnvironmentFile=-/etc/{_NAME}/s3.env"
        )
    if options.sockets:
        # Without its socket the service would be refused its descriptors at every start.
        values["After"] = f"network.target {SOCKET}\nRequires={SOCKET}"
    text = "".join(
        f"{key}={values[key]}\n" if (key := line.partition("=")[0]) in values else line
        for line in _shipped(SERVICE).splitlines(keepends=True)
    )
    return text.replace(f"--now {_NAME}\n", f"--now {SOCKET} {SERVICE}\n") if options.sockets else text


def quote(word: str, *, variables: bool = False) -> str:
    """Write one word so that systemd reads back the same (systemd.syntax(7), systemd.service(5) "COMMAND LINES").

    Args:
        word: Any printable text.
        variables: Whether the setting replaces ``$NAME``, as the arguments of commands do.

    Raises:
        RefusedStart: The word has a line break or the like, for which settings that take paths have no escape.
    """
    if not word.isprintable():
        raise RefusedStart(f"{word!r} has characters that a unit cannot hold; use another name")
    escaped = word.replace("%", "%%")
    if variables:
        escaped = escaped.replace("$", "$$")
    if _PLAIN_WORD.match(escaped):
        return escaped
    escaped = escaped.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_READERS: Final = {"access-log": to_access_log, "path": to_package_place}


def _parse(arguments: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of every option that was given; a flag has an empty one."""
    parser = Parser(
        prog="simpleindex systemd-unit",
        usage="simpleindex systemd-unit [--socket] [options of the server]",
        description="Print a systemd unit for a server with these options (twistd simpleindex --help), best by --config.",
    )
    parser.add_argument(
        "--socket", action="append_const", const="", help="print a socket, and the service that it starts"
    )
    for option in OPTIONS:
        kind: dict[str, str] = (
            {"action": "append_const", "const": ""} if option.flag else {"action": "append"}
        )
        parser.add_argument(f"--{option.name}", dest=option.name, help=argparse.SUPPRESS, **kind)  # type: ignore[arg-type]
    return {name: values for name, values in vars(parser.parse_args(list(arguments))).items() if values}


def _command_line(given: Mapping[str, Sequence[str]]) -> dict[str, object]:
    """Return the options as :func:`simpleindex.config.resolution.resolve` takes them; the last of several wins if one is allowed."""
    options: dict[str, object] = {}
    for option in OPTIONS:
        if values := given.get(option.name):
            options[option.name] = True if option.flag else tuple(values) if option.repeatable else values[-1]
    return options


def _words(given: Mapping[str, Sequence[str]]) -> Iterable[str]:
    for name, value in _command_line(given).items():
        for text in value if isinstance(value, tuple) else (value,):
            if text is True:
                yield f"--{name}"
            elif text.startswith("-"):
                yield f"--{name}={text}"
            else:
                yield from (f"--{name}", text)


def _absolute(name: str, text: str, directory: Path) -> str:
    """Make a path absolute; a home directory's is refused, for the service has another home."""
    try:
        read = _READERS.get(name, to_path)(text, directory, None)
    except InvalidSetting as invalid:
        raise RefusedStart(f"--{name}: {text!r} {invalid.reason}") from None
    # systemd refuses paths with "..".
    return os.path.normpath(read) if isinstance(read, Path) else text


def _adopting(settings: Settings) -> dict[str, list[str]]:
    """Endpoints for the sockets from systemd, in the order of their ``ListenStream`` lines."""
    endpoints = [
        f"systemd:domain=INET6:index={index}" for index in range(len(settings.https) + len(settings.http))
    ]
    return {"https": endpoints[: len(settings.https)], "http": endpoints[len(settings.https) :]}


def _listen_stream(listen: ListenAddress) -> str:
    if not listen.port:
        raise RefusedStart(f"--socket: systemd listens on ports; give one instead of {listen.text!r}")
    return str(listen.port)


def _ports(listen: ListenAddress) -> list[int]:
    """Return every number in an endpoint that may be a port."""
    fields = (field.removeprefix("port=") for field in _UNESCAPED_COLON.split(listen.text))
    return [int(field) for field in fields if field.isdecimal()]


def _read_paths(settings: Settings) -> tuple[Path | None, ...]:
    return (
        settings.certs,
        settings.acme_webroot,
        settings.acme_eab_key,
        settings.acme_trust,
        settings.config,
        settings.sources,
        settings.users,
        settings.access,
        settings.hooks,
    )


def _socket_directories(listening: Iterable[ListenAddress]) -> list[Path]:
    """Return the directories in which ``unix:`` endpoints create their sockets."""
    split = (_UNESCAPED_COLON.split(listen.text) for listen in listening)
    return [
        Path(fields[1].removeprefix("address=").replace("\\:", ":")).parent
        for fields in split
        if fields[0] == "unix"
    ]


def _any_below(paths: Iterable[Path], places: Sequence[Path]) -> bool:
    return any(path.is_relative_to(place) for path in paths for place in places)


def _writable(paths: Iterable[Path]) -> dict[str, str]:
    """Return the settings that make directories writable; systemd creates those with our name in its places."""
    found: dict[str, list[str]] = {"ReadWritePaths": [], **{setting: [] for setting in _MADE_BY_SYSTEMD}}
    # The unit's working directory is there whatever --state says.
    for path in dict.fromkeys((_STATE, *paths)):
        for setting, place in _MADE_BY_SYSTEMD.items():
            # Under any other name it may be another service's, and systemd would change the owner of all that is in it.
            if path.is_relative_to(place) and "/".join(path.relative_to(place).parts[:1]).startswith(_NAME):
                found[setting].append(quote(str(path.relative_to(place))))
                break
        else:
            found["ReadWritePaths"].append(quote(str(path)))
    return {setting: " ".join(words) for setting, words in found.items()}


def _shipped(name: str) -> str:
    return files(_NAME).joinpath("deploy", name).read_text(encoding="utf-8")
