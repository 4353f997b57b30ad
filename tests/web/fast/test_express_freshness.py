"""The express lane is as fresh as the source, obeys new settings at once, keeps no secret, and little at all."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from simpleindex.access.access_file import parse_access
from simpleindex.access.identity import ANYONE, Identity
from simpleindex.access.rights import default_access
from simpleindex.core.errors import Changed, NotAllowed, NotHere, Unavailable
from simpleindex.core.model import Status
from simpleindex.core.views import MAIN_VIEW
from simpleindex.directory.live.live_directory import LONGEST_WAIT
from simpleindex.directory.source import LocalSource
from simpleindex.directory.watch.inotify import InotifyWatch
from simpleindex.web.admission import Admission, NoOwners
from simpleindex.web.fast import express as express_module
from simpleindex.web.people.kept_facts import KEPT_SECONDS
from tests.fixtures.connection import answers
from tests.fixtures.depth import THOROUGH
from tests.fixtures.distributions import add_wheel, wheel_name
from tests.fixtures.live_directory import LiveDirectoryFixture
from tests.fixtures.people_site import open_all_people_pages
from tests.fixtures.threads import PausedThreads
from tests.fixtures.two_lanes import (
    CHROME_LINES,
    CURL_LINES,
    PATHS,
    PEOPLE_PATHS,
    PIP_LINES,
    POETRY_LINES,
    SAFARI_LINES,
    Pair,
    get,
    stocked,
    tagged,
)

if TYPE_CHECKING:
    from simpleindex.web.fast.express import Express


class FreshnessTests(SynchronousTestCase):
    """The express lane answers from what the source says now, or not at all."""

    def setUp(self) -> None:
        self.pair = Pair()
        self.pair.warm()

    def test_change(self) -> None:
        """A page that changed is rendered anew, and not answered by its old tag."""
        for path, more in ((b"/acme/", b"acme-2.0.tar.gz"), (b"/", b"other-1.0.tar.gz")):
            tag = answers(self.pair.send(get(path)))[0].headers[b"etag"]
            before = len(self.pair.passed)
            self.pair.source.add(more.decode())
            (answer,) = answers(self.pair.send(get(path, POETRY_LINES, b"If-None-Match: " + tag)))
            self.assertEqual(200, answer.status)
            (answer,) = answers(self.pair.send(get(path, CURL_LINES)))
            self.assertIn(more.partition(b"-")[0], answer.body)
            self.assertEqual(before + 2, len(self.pair.passed))

    def test_errors(self) -> None:
        """What is not an answer is the ordinary lane's: refused, not here, not known now, and a surprise."""
        errors = (
            (NotHere("project acme"), 404),
            (NotAllowed("No."), 403),
            (Unavailable("Later.", retry_after=3), 503),
            (Changed("x"), 503),
            (RuntimeError("surprise"), 500),
        )
        for error, status in errors:
            self.pair.source.error = error
            for path in (b"/", b"/acme/"):
                (answer,) = answers(self.pair.send(get(path)))
                self.assertEqual(status, answer.status)
        self.assertEqual([], self.pair.passed)

    def test_waiting(self) -> None:
        """A source that has to wait is asked by the ordinary lane alone, once."""
        for path in (b"/", b"/acme/"):
            gate = self.pair.source.gate = Deferred()
            self.pair.source.asked.clear()
            self.assertEqual(b"", self.pair.send(get(path)))
            self.assertEqual(2, len(self.pair.source.asked))  # Each side once.
            self.pair.source.gate = None
            gate.callback(None)
            self.assertEqual(200, answers(self.pair.compared())[0].status)
        self.assertEqual([], self.pair.passed)

    def test_stale(self) -> None:
        """What may be outdated is not for keeping, and the ordinary lane's."""
        acme = self.pair.source.pages["acme"]
        self.pair.source.stale = True
        self.pair.source.put(replace(acme, stale=True))
        for _ in range(2):
            for path in (b"/", b"/acme/"):
                (answer,) = answers(self.pair.send(get(path)))
                self.assertEqual(b"no-store", answer.headers[b"cache-control"])
        self.assertEqual([], self.pair.passed)

    def test_quarantine(self) -> None:
        """A project that is shut from one request to the next."""
        self.pair.send(get())
        self.pair.source.put(replace(self.pair.source.pages["acme"], files=(), status=Status.QUARANTINED))
        self.pair.send(get(), get())
        self.assertEqual(3, len(self.pair.passed))

    def test_settings(self) -> None:
        """New settings hold from the next request on."""
        self.pair.send(get(), get(b"/acme/", POETRY_LINES))
        sides = (self.pair.ordinary.index, self.pair.express.index)
        for cors in ("https://a.example", None, "https://100%.example/\N{SNOWMAN}", "*"):
            for side in sides:
                side.resource.cors = cors
            came = self.pair.send(get(), get(b"/acme/", POETRY_LINES, tagged(b"If-None-Match: @JSON-GZIP@")))
            self.assertEqual(cors is not None, b"access-control-allow-origin" in came.lower())
        self.assertEqual(10, len(self.pair.passed))
        for side in sides:
            side.listings.forget(
                base_url="https://new.example/", files_url="https://new.example/", cache_size=1_000_000
            )
        for path in (b"/acme/", b"/"):
            self.pair.send(get(path), get(path))
        self.assertEqual(14, len(self.pair.passed))
        for side in sides:
            side.listings.forget(base_url=None, files_url=None, cache_size=0)
        self.pair.send(get(), get())
        self.assertEqual(16, len(self.pair.passed))

    def test_scripts(self) -> None:
        """What a script requests has whole addresses once files have a URL of their own, whatever it got before."""
        script = (b"Host: a", b"Accept: application/vnd.pypi.simple.v1+json", b"Sec-Fetch-Mode: same-origin")
        self.pair.send(get(b"/acme/", script), get(b"/acme/", script))
        for side in (self.pair.ordinary, self.pair.express):
            side.index.listings.forget(
                base_url=None, files_url="https://files.example/", cache_size=1_000_000
            )
        for _ in range(2):
            (answer,) = answers(self.pair.send(get(b"/acme/", script)))
            self.assertIn(b'"url":"https://', answer.body)
        self.assertEqual([], self.pair.passed)


class _NobodyLogsIn:
    """Knows no users, so that every client is anonymous."""

    async def identify(self, authorization: str | None, address: str, secure: bool) -> Identity:
        return ANYONE


class PeopleFreshnessTests(SynchronousTestCase):
    """The same of the pages for people."""

    def setUp(self) -> None:
        self.pair = Pair(people=open_all_people_pages)
        self.pair.warm((*PATHS, b"/acme/1.0/"))

    def passed_since(self) -> int:
        """How many requests the express lane answered since the last time."""
        number = len(self.pair.passed)
        self.pair.passed.clear()
        return number

    def test_change(self) -> None:
        """A page that changed is rendered anew, by the ordinary lane, and not answered by its old tag."""
        for path, more in ((b"/acme/", "acme-2.0.tar.gz"), (b"/", "other-1.0.tar.gz")):
            (before,) = answers(self.pair.send(get(path, SAFARI_LINES)))
            self.assertEqual(1, self.passed_since())
            self.pair.source.add(more)
            tag = b"If-None-Match: " + before.headers[b"etag"]
            (after,) = answers(self.pair.send(get(path, SAFARI_LINES, tag)))
            self.assertEqual(200, after.status)
            self.assertNotEqual(before.body, after.body)
            for _ in range(2):
                self.assertEqual(after.body, answers(self.pair.send(get(path, SAFARI_LINES)))[0].body)
            self.assertLessEqual(2, self.passed_since())

    def test_errors(self) -> None:
        """What is no page is the ordinary lane's."""
        for error, status in (
            (NotHere("project acme"), 404),
            (NotAllowed("No."), 403),
            (RuntimeError("surprise"), 500),
        ):
            self.pair.source.error = error
            for path in PEOPLE_PATHS:
                (answer,) = answers(self.pair.send(get(path, SAFARI_LINES)))
                self.assertEqual(status, answer.status)
        self.assertEqual(0, self.passed_since())

    def test_stale_and_shut(self) -> None:
        """A project that may be outdated, and one that is shut from one request to the next."""
        acme = self.pair.source.pages["acme"]
        for changed in (replace(acme, stale=True), replace(acme, files=(), status=Status.QUARANTINED), acme):
            self.pair.source.put(changed)
            for _ in range(3):
                self.pair.send(*(get(path, SAFARI_LINES) for path in PEOPLE_PATHS))
        self.assertLess(0, self.passed_since())

    def test_rights(self) -> None:
        """An index that becomes private shows nothing more to who did not log in, and a project that does."""
        rules = [default_access()]
        source = stocked()
        admission = Admission({MAIN_VIEW: source}, lambda: rules[0], _NobodyLogsIn(), NoOwners())
        self.pair = Pair(source, people=open_all_people_pages, admission=admission)
        self.pair.warm((*PATHS, b"/acme/1.0/"))
        for access, statuses in (
            (rules[0], [200] * 4),
            (parse_access(b"private = true"), [401] * 4),
            (parse_access(b'[[rule]]\nprojects = ["acme"]\nread = ["alice"]'), [200, 401, 200, 401]),
        ):
            rules[0] = access
            for _ in range(2):
                came = [answers(self.pair.send(get(path, SAFARI_LINES)))[0].status for path in PEOPLE_PATHS]
                self.assertEqual(statuses, came)
        self.assertLess(0, self.passed_since())

    def test_title(self) -> None:
        """A new name of the index is on the very next page."""
        for title in ("One", "Two", "<b>"):
            for side in (self.pair.ordinary, self.pair.express):
                assert side.index.people is not None
                side.index.people.renderer().rename(title)
            for _ in range(2):
                for path in PEOPLE_PATHS:
                    (answer,) = answers(self.pair.send(get(path, SAFARI_LINES)))
                    self.assertIn(escape(title).encode(), answer.body)
            self.assertEqual(2 * len(PEOPLE_PATHS), self.passed_since())

    def test_settings(self) -> None:
        """What is for a person never carries what lets other sites read it."""
        for cors in ("https://a.example", None, "*"):
            for side in (self.pair.ordinary, self.pair.express):
                side.index.resource.cors = cors
            came = self.pair.send(*(get(path, SAFARI_LINES) for path in PEOPLE_PATHS))
            self.assertNotIn(b"access-control", came.lower())
        self.assertEqual(3 * len(PEOPLE_PATHS), self.passed_since())

    def test_facts_grow_old(self) -> None:
        """When facts on the front page have to be found again, the answer is the same."""
        for _ in range(4):
            self.pair.send(get(b"/", CHROME_LINES), pause=KEPT_SECONDS / 2)
        self.assertLess(0, self.passed_since())

    def held(self) -> list[PausedThreads]:
        """The threads in which the pages of both sides are rendered, which wait from now on."""
        held = []
        for side in (self.pair.ordinary, self.pair.express):
            assert side.index.people is not None
            renderer = side.index.people.renderer()
            renderer.forget()
            renderer._threads = threads = PausedThreads(held=True)
            held.append(threads)
        return held

    def test_rendered_once(self) -> None:
        """A page that is rendered in a thread is begun by the express lane and continued by the ordinary lane."""
        for path in PEOPLE_PATHS:
            held = self.held()
            self.assertEqual(b"", self.pair.send(get(path, SAFARI_LINES)))
            self.assertEqual([1, 1], [len(threads.calls) for threads in held])
            for threads in held:
                threads.release()
            self.assertEqual([200], [answer.status for answer in answers(self.pair.compared())])
            self.assertEqual(0, self.passed_since())
            self.pair.send(get(path, SAFARI_LINES))
            self.assertEqual(1, self.passed_since())
            self.assertEqual([1, 1], [threads.count for threads in held])

    def test_nobody_continues(self) -> None:
        """What was begun, and the ordinary lane does not continue, is dropped, and may fail unheard."""
        self.patch(self.pair.express.transport.channel, "parse", lambda _: None)
        people = self.pair.express.index.people
        assert people is not None
        for path in (*PEOPLE_PATHS, b"/simple/acme/"):
            gate = self.pair.source.gate = Deferred()
            self.pair.express.send(get(path, SAFARI_LINES))
            for begun in (people._in_progress, self.pair.express.index.listings._in_progress):
                self.assertIs(None, begun._kept)
            self.pair.source.gate = None
            gate.errback(RuntimeError("unheard"))

    def test_left_while_it_waits(self) -> None:
        """A client that leaves while its page is rendered leaves nothing behind."""
        for path in PEOPLE_PATHS:
            held = self.held()
            self.pair.send(get(path, SAFARI_LINES))
            self.pair.connect()
            for threads in held:
                threads.release()
            self.pair.send(get(path, SAFARI_LINES), get(path, CHROME_LINES))


class MemoryTests(SynchronousTestCase):
    """What is remembered is bounded, and no secret is."""

    def test_no_secret(self) -> None:
        """A block with a field that is not known is not remembered, nor is a query."""
        pair = Pair(people=open_all_people_pages)
        pair.warm()
        for line in (
            b"Referer: https://elsewhere.example/?token=SECRET",
            b"referer: https://SECRET@elsewhere.example/",
            b"Authorization: Basic SECRET",
            b"authorization: Bearer SECRET",
            b"Cookie: a=SECRET",
            b"Proxy-Authorization: Basic SECRET",
            b"X-Api-Key: SECRET",
            b'If-None-Match: "SECRET"',
            b'If-None-Match: "SECRET", "x"',
            b"Host: SECRET",
            b"Connection: SECRET",
        ):
            for position in (0, 1, len(PIP_LINES)):
                for lines in (PIP_LINES, CHROME_LINES):
                    pair.send(get(b"/acme/", (*lines[:position], line, *lines[position:])))
                    pair.connect()
        pair.send(get(b"/acme/?token=SECRET"), get(b"/acme/#SECRET"), get(b"http://u:SECRET@h/acme/"))
        express = pair.express.express
        assert express is not None
        self.assertNotIn(b"SECRET", held_by(express.lane))
        self.assertIn(b"pip/26.0", held_by(express.lane))

    def test_bounded(self) -> None:
        """Ever new blocks and lines, of every length, hold no more than both memories may, and some fixed things."""
        most = 128 * 1024
        self.patch(express_module, "_MOST_BYTES", most)
        for size in (1, 60, 700, 3_500) if THOROUGH else (60, 3_500):
            pair = Pair(people=open_all_people_pages)
            pair.warm((b"/acme/",))
            express = pair.express.express
            assert express is not None
            express.answer(get())
            tracemalloc.start()
            try:
                for number in range(2 * most // size if size > 100 else 4_000):
                    text = (b"%x" % number).rjust(size, b"x")
                    express.answer(get(b"/", (b"Host: a", b"User-Agent: " + text)))
                    express.answer(get(b"/" + text + b"/", (b"Host: a",)))
                    express.answer(get(b"/acme/" + text + b"/", (b"Host: a",)))
                    express.answer(get(b"/acme/", (*SAFARI_LINES, b"Referer: " + text)))
                    express.passed.clear()
                    pair.source.asked.clear()
                held, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            self.assertLess(held, 2 * most + 100_000, size)


def held_by(express: Express) -> bytes:
    """Whatever an express lane remembers, as text."""
    return repr([value for value in vars(express).values() if isinstance(value, dict)]).encode()


class NoReaders:
    """A reactor that reads nothing: requests drain the events themselves."""

    def addReader(self, reader: object) -> None:
        pass

    def removeReader(self, reader: object) -> None:
        pass


class LiveTests(SynchronousTestCase):
    """Over a real directory."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        self.root.mkdir(parents=True)
        add_wheel(self.root)
        self.world = LiveDirectoryFixture(self.root.absolute())

    def pair_over(self) -> Pair:
        """Two sites over the one live directory, warmed."""
        source = LocalSource(self.world.live, self.world.directory, self.world.reads)
        pair = Pair(source)
        pair.warm((b"/", b"/acme/"))
        return pair

    def listed(self, pair: Pair, path: bytes) -> bytes:
        """The body of a page."""
        (answer,) = answers(pair.send(get(path, CURL_LINES)))
        self.assertEqual(200, answer.status)
        return answer.body

    def test_watched(self) -> None:
        """With the kernel's events a finished copy is in the very next answer."""
        readers: Any = NoReaders()
        watch = InotifyWatch(readers, str(self.world.root), self.world.live)
        watch.start()
        self.addCleanup(watch.stop)
        self.world.watch = watch
        self.world.begin()
        pair = self.pair_over()
        for number in range(2, 12):
            self.assertNotIn(b"acme-%d.0" % number, self.listed(pair, b"/acme/"))
            add_wheel(self.root, "acme", f"{number}.0")
            self.assertIn(b"acme-%d.0" % number, self.listed(pair, b"/acme/"))
        pair.passed.clear()
        for number in range(5):
            self.assertNotIn(b"new%d" % number, self.listed(pair, b"/"))
            add_wheel(self.root, f"new{number}")
            self.assertIn(b"new%d" % number, self.listed(pair, b"/"))
        (self.root / "acme" / wheel_name("acme", "3.0")).unlink()
        self.assertNotIn(b"acme-3.0", self.listed(pair, b"/acme/"))
        self.world.live.stop()

    def test_polled(self) -> None:
        """While the directory is swept the ordinary lane looks, once for each request, and the express lane does not."""
        self.world.live.polling = True
        self.world.begin()
        pair = self.pair_over()
        for path in (b"/", b"/acme/"):
            self.world.reads.held = True
            pair.express.send(get(path, CURL_LINES))
            self.assertEqual(1, len(self.world.reads.calls))
            self.world.reads.release()
            (answer,) = answers(pair.express.transport.take())
            self.assertEqual(200, answer.status)
        self.assertEqual([], pair.passed)
        add_wheel(self.root, "acme", "2.0")
        pair.express.send(get(b"/acme/", CURL_LINES))
        (answer,) = answers(pair.express.transport.take())
        self.assertIn(b"acme-2.0", answer.body)

    def test_not_yet_read(self) -> None:
        """Before the first reading is complete the ordinary lane says so, and nothing of ours goes on behind it."""
        self.world.reads.held = True
        self.world.begin()
        source = LocalSource(self.world.live, self.world.directory, self.world.reads)
        pair = Pair(source)
        for path in (b"/", b"/acme/"):
            pair.send(get(path, CURL_LINES))
            pair.connect()
        self.assertEqual([], pair.passed)
        self.world.clock.advance(LONGEST_WAIT)
        self.world.reads.release()
        self.assertIn(b"acme-1.0", self.listed(pair, b"/acme/"))

    def test_lost_root(self) -> None:
        """A root that is gone is answered with 503 by the ordinary lane."""
        self.world.begin()
        pair = self.pair_over()
        self.listed(pair, b"/acme/")
        self.root.rename(self.root.with_name("elsewhere"))
        self.world.live.everything_changed()
        for path in (b"/", b"/acme/"):
            (answer,) = answers(pair.send(get(path)))
            self.assertEqual(503, answer.status)
        self.assertEqual(1, len(pair.passed))
