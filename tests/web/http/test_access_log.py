"""The access log: its lines, and its file."""

from __future__ import annotations

import errno
import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.task import Clock

from simpleindex.web.http.access_log import AccessLog, LogEntry, combined
from tests.fixtures.connection import ConnectionFixture, LinesTestCase

LINE = re.compile(
    r"(?P<address>\S+) - (?P<user>\S+) \[(?P<when>[^]]+)\] "
    r'"(?P<request>[^"]*)" (?P<status>\d+) (?P<size>\d+|-) "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"\n',
    re.ASCII,
)


def line(**changes: Any) -> str:
    """A line like Apache's example, with changes."""
    return combined(
        LogEntry(
            **{
                "address": "192.0.2.1",
                "user": "frank",
                "when": 971_186_136.9,
                "request_line": b"GET /simple/ HTTP/1.1",
                "status": 200,
                "size": 2326,
                "referer": b"https://example.org/start",
                "agent": b"pip/26.1",
                **changes,
            }
        )
    )


def test_combined() -> None:
    """The format as Apache documents it."""
    assert line() == (
        '192.0.2.1 - frank [10/Oct/2000:13:55:36 +0000] "GET /simple/ HTTP/1.1" 200 2326 '
        '"https://example.org/start" "pip/26.1"\n'
    )


def test_combined_empty() -> None:
    """What is not there is a hyphen."""
    assert line(address="", user="", size=0, referer=b"", agent=b"") == (
        '- - - [10/Oct/2000:13:55:36 +0000] "GET /simple/ HTTP/1.1" 200 - "-" "-"\n'
    )


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        (b'a" 200 1 "', r"a\x22 200 1 \x22"),
        (b"a\nb\r", r"a\x0Ab\x0D"),
        (b"\x1b[31m", r"\x1B[31m"),
        (b"back\\slash", r"back\x5Cslash"),
        (b"\xff\x00\x7f", r"\xFF\x00\x7F"),
    ],
)
def test_escapes(agent: bytes, expected: str) -> None:
    """Nothing that a client sends ends a field or a line, or speaks to a terminal."""
    assert line(agent=agent).endswith(f' "{expected}"\n')


@pytest.mark.parametrize(
    ("sent", "logged"),
    [
        (b"GET http://user:secret@host/a HTTP/1.1", "GET http://host/a HTTP/1.1"),
        (b"https://secret@host/?to=http://user:sec@ret@host", "https://host/?to=http://host"),
        (b"GET /a@b//c@d?e=f:/g@h HTTP/1.1", "GET /a@b//c@d?e=f:/g@h HTTP/1.1"),
    ],
)
def test_passwords_in_urls(sent: bytes, logged: str) -> None:
    """They are left out, of the request's target as of the page that led there."""
    entry = LogEntry("192.0.2.1", "", 0.0, sent, 200, 0, sent, b"pip")
    assert combined(entry).count(f'"{logged}"') == 2


def test_user_escapes() -> None:
    """A name has no quotes around it, so its spaces are escaped too."""
    assert " - a\\x20b\\xC3\\xA9\\x0A [" in line(user="a bé\n")
    assert " - \\x5Cudc80 [" in line(user="\udc80")


@given(st.text(), st.text(), st.binary(), st.binary(), st.binary())
def test_one_line_of_nine_fields(
    address: str, user: str, request: bytes, referer: bytes, agent: bytes
) -> None:
    """Whatever comes in, a line that every tool reads comes out."""
    text = line(address=address, user=user, request_line=request, referer=referer, agent=agent)
    match = LINE.fullmatch(text)
    assert match
    assert match["status"] == "200"


@pytest.mark.parametrize("when", [0.0, 4_291_747_200.0, -1.0])
def test_odd_clocks(when: float) -> None:
    """A clock in 1970 or 2106 makes odd times and no errors."""
    assert LINE.fullmatch(line(when=when))


class AccessLogTests(LinesTestCase):
    """The file."""

    def setUp(self) -> None:
        super().setUp()
        self.path = Path(self.mktemp())
        self.clock = Clock()
        self.log = self.open(str(self.path))

    def open(self, path: str) -> AccessLog:
        clock: Any = self.clock
        log = AccessLog(path, clock, trusted=[ip_network("10.0.0.0/8")], now=lambda: 971_186_136.0)
        self.addCleanup(log.close)
        return log

    def record(
        self, count: int = 1, data: bytes = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", peer: Any = None
    ) -> None:
        """Have requests answered by a site that logs here."""
        wire = ConnectionFixture()
        wire.site.request_over = self.log.record
        for _ in range(count):
            transport = wire.connect(peer)
            wire.send(transport, data)
            transport.leave()

    def written(self) -> list[str]:
        return self.path.read_text().splitlines()

    def test_line(self) -> None:
        """A request's line says what was asked and answered."""
        self.record(data=b"GET /a?b HTTP/1.1\r\nHost: a\r\nReferer: https://x/\r\nUser-Agent: uv/1\r\n\r\n")
        self.log.flush()
        self.assertEqual(
            ['192.0.2.7 - - [10/Oct/2000:13:55:36 +0000] "GET /a?b HTTP/1.1" 200 2 "https://x/" "uv/1"'],
            self.written(),
        )

    def test_refused(self) -> None:
        """What was refused has a line too, with as much of the request as was understood."""
        self.record(data=b"nonsense\r\n\r\n")
        self.record(data=b"GET /a HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n")
        self.log.flush()
        for line, request in zip(self.written(), ("- - HTTP/1.1", "GET /a HTTP/1.1"), strict=True):
            self.assertIn(f'"{request}" 400 117 "-" "-"', line)

    def test_behind_a_proxy(self) -> None:
        """The client is the one that a trusted proxy names; others name nobody."""
        data = (
            b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"
        )
        self.record(data=data, peer=IPv4Address("TCP", "10.0.0.1", 1))
        self.record(data=data, peer=UNIXAddress("/run/index.sock"))
        self.record(data=data)
        self.record(peer=UNIXAddress(None))
        self.log.flush()
        self.assertEqual(
            ["203.0.113.9", "203.0.113.9", "192.0.2.7", "-"], [line.split()[0] for line in self.written()]
        )

    def test_written_each_second(self) -> None:
        """Lines wait for a second at most, and nothing ticks without them."""
        self.assertEqual([], self.clock.getDelayedCalls())
        self.record(3)
        self.assertEqual([], self.written())
        self.clock.advance(1)
        self.assertEqual(3, len(self.written()))
        self.assertEqual([], self.clock.getDelayedCalls())
        self.record()
        self.clock.advance(1)
        self.assertEqual(4, len(self.written()))

    def test_written_when_much(self) -> None:
        """Many lines do not wait."""
        self.record(1000)
        self.assertGreater(len(self.written()), 700)
        self.log.close()
        self.assertEqual(1000, len(self.written()))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_reopen(self) -> None:
        """After logrotate moved the file away, lines held go to the old one and later ones to a new one."""
        self.record()
        moved = self.path.rename(f"{self.path}.1")
        self.log.reopen()
        self.record(2)
        self.log.flush()
        self.assertEqual(1, len(moved.read_text().splitlines()))
        self.assertEqual(2, len(self.written()))

    def test_reopen_fails(self) -> None:
        """A file that cannot be opened again is said, and the old one is used on."""
        moved = self.path.rename(f"{self.path}.1")
        self.path.mkdir()
        self.log.reopen()
        self.record()
        self.log.flush()
        self.assertEqual(1, len(moved.read_text().splitlines()))
        self.assertEqual(
            [f"The access log {self.path} cannot be opened (Is a directory); it goes on in the old file."],
            self.lines,
        )

    def test_refuses_to_start(self) -> None:
        """A path that cannot be opened is an error at once."""
        clock: Any = self.clock
        with self.assertRaises(IsADirectoryError):
            AccessLog(".", clock, trusted=())

    def test_full_disk(self) -> None:
        """A full disk costs lines, is said once, and again only after it was better in between."""
        full: Any = mock.Mock()
        full.write.side_effect = OSError(errno.ENOSPC, "No space left on device")
        good, self.log._file = self.log._file, full
        for _ in range(3):
            self.record()
            self.clock.advance(1)
        (said,) = self.lines
        self.assertEqual(
            f"The access log {self.path} cannot be written (No space left on device); its lines are lost until it can.",
            said,
        )
        self.log._file = good
        self.record()
        self.clock.advance(1)
        self.assertEqual(1, len(self.written()))
        self.log._file = full
        self.record()
        self.clock.advance(1)
        self.assertEqual(2, len(self.lines))
        self.log._file = good

    def test_written_in_parts(self) -> None:
        """A short write is gone on with."""
        good = self.log._file
        short: Any = mock.Mock(close=good.close, write=lambda data: good.write(data[:7]))
        self.log._file = short
        self.record(2)
        self.log.flush()
        self.assertEqual(2, len(self.written()))

    def test_full_pipe(self) -> None:
        """A pipe that nobody reads, made non-blocking by somebody else, costs lines and no time."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.set_blocking(writer, False)
        self.log._file.close()
        self.log._file = open(writer, "wb", buffering=0)  # noqa: SIM115
        self.record(1000)
        self.log.flush()
        self.assertEqual(1, len(self.lines))
        self.assertIn("nobody reads it", self.lines[0])

    def test_standard_output(self) -> None:
        """A hyphen is the standard output, which stays open; it has nothing to reopen."""
        with (
            Path(self.mktemp()).open("w+b") as stdout,
            mock.patch("simpleindex.web.http.access_log._STDOUT", stdout.fileno()),
        ):
            self.log = self.open("-")
            self.record()
            self.log.reopen()
            self.record()
            self.log.close()
            stdout.seek(0)
            self.assertEqual(2, len(stdout.readlines()))
