"""Messages of an examining process, and what it answers, without a process."""

from __future__ import annotations

import errno
import gc
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.examination import child, frames
from simpleindex.archives.examination.frames import BadFrame, receive, receive_with_descriptors, send
from simpleindex.core.errors import InvalidFilename

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST = 1 << 20
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two ends of one connection."""
    server, process = socket.socketpair()
    with server, process:
        yield server, process


def test_values_and_files_arrive(pair: Pair, tmp_path: Path) -> None:
    """Files come as other descriptors of the same files; a value without any comes without."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with path.open("rb") as file:
        send(pair[0], {"a": [1, None]}, [file.fileno()])
        send(pair[0], "next")
        value, (descriptor,) = receive_with_descriptors(pair[1], MOST)
        assert value == {"a": [1, None]}
        assert descriptor != file.fileno()
        assert os.pread(descriptor, 100, 0) == b"content"
        os.close(descriptor)
    assert receive_with_descriptors(pair[1], MOST) == ("next", [])


def test_a_value_in_pieces(pair: Pair) -> None:
    """Its length too."""
    data = b"\0\0\0\x03123"
    sender = threading.Thread(target=lambda: [pair[0].send(data[at : at + 1]) for at in range(len(data))])
    sender.start()
    assert receive_with_descriptors(pair[1], MOST) == (123, [])
    sender.join()


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0\x05", b"\0\0\0\x0512"])
def test_the_other_side_is_gone(pair: Pair, data: bytes) -> None:
    """Wherever it went."""
    pair[0].sendall(data)
    pair[0].shutdown(socket.SHUT_WR)
    with pytest.raises(EOFError):
        receive_with_descriptors(pair[1], MOST)


@pytest.mark.parametrize("data", [b"\0\x10\0\x01", b"\0\0\0\x02{]", b"\0\0\x75\x30" + b"[" * 30_000])
def test_bad_frames(pair: Pair, data: bytes) -> None:
    """Too long, no JSON, and JSON that is nested too deep to be read."""
    pair[0].sendall(data)
    with pytest.raises(BadFrame):
        receive(pair[1], MOST)


def _raise(file: object, kind: str) -> None:
    raise {
        "broken": BrokenArchive("no zip", perhaps_unfinished=True),
        "name": InvalidFilename("x.whl", "has no version"),
        "read": OSError(errno.EIO, "read"),
        "open": OSError(errno.EMFILE, "open"),
        "surprise": ZeroDivisionError(),
        "memory": MemoryError(),
    }[kind]


JUDGEMENTS: dict[str, Any] = {"content": lambda file: file.read().decode(), "raise": _raise}


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Take down the limits instead of setting them: they would hold for the tests."""
    taken: list[object] = []
    monkeypatch.setattr(child, "confine", taken.append)
    monkeypatch.setattr(child, "allow_seconds", lambda seconds: taken.append(f"{seconds} s"))
    monkeypatch.setattr(child, "allow_opening", lambda allowed: taken.append("open" if allowed else "closed"))
    monkeypatch.setattr(gc, "freeze", lambda: None)
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    monkeypatch.setattr(child, "import_module", lambda _: type("module", (), {"JUDGEMENTS": JUDGEMENTS}))
    return taken


def _serve(process: socket.socket) -> threading.Thread:
    thread = threading.Thread(target=child.main, args=(os.dup(process.fileno()), "judgements", 77))
    thread.start()
    return thread


def test_a_process_answers_until_the_server_is_gone(pair: Pair, limits: list[object], tmp_path: Path) -> None:
    """Each file by itself, and what is wrong with one of them is an answer too; nothing can be opened meanwhile."""
    (tmp_path / "file").write_bytes(b"content")
    thread = _serve(pair[1])
    pair[0].settimeout(30)
    assert receive(pair[0], MOST) == child.PROTOCOL
    items = [["content", []], *(["raise", [kind]] for kind in ("broken", "name", "read", "open", "surprise"))]
    with (tmp_path / "file").open("rb") as file:
        send(pair[0], [5, items], [file.fileno()] * len(items))
        value, broken, name, reading, opening, surprise = receive(pair[0], MOST)
    assert value == ["value", "content"]
    assert broken == ["broken", "no zip", True]
    assert name == ["name", "x.whl", "has no version"]
    assert reading == ["system", errno.EIO]
    # Out of descriptors is a judgement that opens something, which none should.
    assert (opening[0], surprise[0]) == ("surprise", "surprise")
    assert "ZeroDivisionError" in surprise[1]
    assert limits == [77, "5 s", "closed", "open"]
    pair[0].shutdown(socket.SHUT_RDWR)
    thread.join()


def test_a_process_without_memory_ends(
    pair: Pair, limits: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a status that tells why."""
    statuses: list[int] = []
    monkeypatch.setattr(os, "_exit", statuses.append)
    (tmp_path / "file").write_bytes(b"")
    thread = _serve(pair[1])
    receive(pair[0], MOST)
    with (tmp_path / "file").open("rb") as file:
        send(pair[0], [1, [["raise", ["memory"]]]], [file.fileno()])
        thread.join()
    assert statuses == [child.OUT_OF_MEMORY]
    assert limits[-1] == "open"


def test_a_server_that_takes_few_bytes_at_once(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of a message follows."""
    value = "x" * (1 << 20)
    sender = threading.Thread(target=send, args=(pair[0], value, [0]))
    sender.start()
    got, (descriptor,) = receive_with_descriptors(pair[1], 1 << 21)
    os.close(descriptor)
    sender.join()
    assert got == value
    assert frames.MOST_DESCRIPTORS <= 253
