"""The examining process: takes requests over a socket, one after the other, until the socket is closed."""

from __future__ import annotations

import codecs
import errno
import gc
import os
import socket
import traceback
from importlib import import_module
from io import FileIO
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.examination import frames
from simpleindex.archives.examination.confinement import allow_opening, allow_seconds, confine
from simpleindex.core.errors import InvalidFilename

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Judgement = Callable[..., Any]

PROTOCOL: Final = 2
"""Raised whenever what is sent changes: a server may run on while another version is installed."""

OUT_OF_MEMORY: Final = 77
"""The exit status of a process that had no memory left."""

_CODECS: Final = (
    *("ascii", "latin-1", "cp437", "cp1252", "idna", "punycode", "unicode-escape", "raw-unicode-escape"),
    *("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7"),
)
"""Python loads what decodes a text when that is first used; while a file is examined nothing can be loaded."""

LARGEST_REQUEST: Final = 16 * 1024 * 1024
_LONGEST_TRACEBACK: Final = 8_000


def main(descriptor: int, module: str, memory: int) -> None:
    """Answer requests.

    Args:
        descriptor: The socket to the server.
        module: Whose ``JUDGEMENTS`` there are, by name.
        memory: Bytes that may be used.
    """
    judgements = import_module(module).JUDGEMENTS
    for name in _CODECS:
        codecs.lookup(name)
    # What is there now stays until the end, and need not be gone through for garbage again and again.
    gc.freeze()
    with socket.socket(fileno=descriptor) as channel:
        confine(memory)
        # What goes wrong from here on is sent to the server.
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            frames.send(channel, PROTOCOL)
            while True:
                request, descriptors = frames.receive_with_descriptors(channel, LARGEST_REQUEST)
                frames.send(channel, _answers(request, descriptors, judgements))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return
        except MemoryError:
            os._exit(OUT_OF_MEMORY)


def _answers(
    request: tuple[int, list[tuple[str, list[Any]]]],
    descriptors: list[int],
    judgements: Mapping[str, Judgement],
) -> list[list[Any]]:
    seconds, items = request
    allow_seconds(seconds)
    allow_opening(False)
    try:
        return [
            _answer(judgements[kind], descriptor, arguments)
            for (kind, arguments), descriptor in zip(items, descriptors, strict=True)
        ]
    finally:
        allow_opening(True)
        for descriptor in descriptors:
            os.close(descriptor)


def _answer(judge: Judgement, descriptor: int, arguments: list[Any]) -> list[Any]:
    """Judge one file; what is wrong with it is an answer too."""
    file: BinaryIO = FileIO(descriptor, closefd=False)
    try:
        return ["value", judge(file, *arguments)]
    except BrokenArchive as error:
        return ["broken", error.reason, error.perhaps_unfinished]
    except InvalidFilename as error:
        return ["name", error.filename, error.reason]
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  (whatever strangers find in a library, the server learns of it)
        # Out of descriptors is who tried to open something, which no judgement should.
        if isinstance(error, OSError) and error.errno != errno.EMFILE:
            return ["system", error.errno or 0]
        return ["surprise", traceback.format_exc()[-_LONGEST_TRACEBACK:]]
