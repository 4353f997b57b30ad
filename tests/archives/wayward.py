"""Judgements as no file of ours brings them about, for the processes that examine files: the module that those run in tests."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _content(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode()


def _compute(_: BinaryIO) -> None:
    while True:
        pass


def _eat(_: BinaryIO) -> None:
    eaten = []
    while True:
        eaten.append(bytearray(1 << 20))


def _die(_: BinaryIO, number: int) -> None:
    os.kill(os.getpid(), number)
    signal.pause()


def _die_once(file: BinaryIO, mark: str) -> str:
    if os.path.exists(mark):
        os.unlink(mark)
        _die(file, signal.SIGKILL)
    return _content(file)


def _leave(_: BinaryIO) -> None:
    os._exit(3)


def _talk(_: BinaryIO, raw: str) -> None:
    os.write(json.loads(sys.argv[1])[0], raw.encode("latin-1"))
    signal.pause()


def _return(_: BinaryIO, value: Any, times: int = 1) -> Any:
    return value * times if times > 1 else value


def _raise(_: BinaryIO) -> None:
    raise KeyError("what nobody thought of")


def _wait(_: BinaryIO, mark: str) -> None:
    if os.path.exists(mark):
        os.unlink(mark)
    signal.pause()


def _see(file: BinaryIO) -> dict[str, Any]:
    """What this process is, and what it is refused."""
    refused = {}
    attempts: dict[str, Callable[[], object]] = {
        "open": lambda: os.open("/dev/null", os.O_RDONLY),
        "socket": socket.socket,
        "write": lambda: os.write(file.fileno(), b"more"),
    }
    for name, attempt in attempts.items():
        try:
            attempt()
        except OSError as error:
            refused[name] = error.errno
    return {
        "refused": refused,
        "environment": sorted(os.environ),
        "directory": os.getcwd(),
        "path": sys.path,
        "modules": sorted(sys.modules),
        "limits": {
            name: resource.getrlimit(getattr(resource, name)) for name in ("RLIMIT_NPROC", "RLIMIT_CORE")
        },
    }


JUDGEMENTS: Final[Mapping[str, Callable[..., Any]]] = {
    "content": _content,
    "compute": _compute,
    "eat": _eat,
    "die": _die,
    "die once": _die_once,
    "leave": _leave,
    "talk": _talk,
    "return": _return,
    "raise": _raise,
    "see": _see,
    "wait": _wait,
}
