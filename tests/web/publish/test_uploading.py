"""Uploads over HTTP: what is judged when, what is answered to whom, and what is left behind."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from simpleindex.access.access_file import parse_access
from simpleindex.access.rights import Access, default_access
from simpleindex.core.errors import CannotStore, Unavailable
from simpleindex.core.faults import Fault
from simpleindex.core.model import Status
from simpleindex.core.names import ProjectName
from simpleindex.web.http.backpressure import Phase
from simpleindex.web.publish.dispatch import private_refusal
from simpleindex.web.publish.sinks import MOST_TEXT
from tests.fixtures.connection import answers
from tests.fixtures.guarded_site import GuardedSiteFixture, bytes_of, form_of, wheel_of

if TYPE_CHECKING:
    from tests.fixtures.connection import Answer
    from tests.fixtures.site import Transport

ACME = ProjectName("acme-app")
WHEEL = wheel_of(ACME, "2.0")

# What uv sends, to the letter.
UV_ACCEPT = "Accept: application/json;q=0.9, text/plain;q=0.8, text/html;q=0.7"

RULES = b"""
[uploads]
max-file-size = "1K"

[[rule]]
projects = ["acme-*"]
upload = ["alice", "bob-listed"]
read = ["alice"]

[[rule]]
projects = ["large-*"]
upload = ["alice"]
max-file-size = "2K"
"""


class UploadTestCase(SynchronousTestCase):
    """One index; requests are sent in pieces."""

    def setUp(self) -> None:
        self.world = GuardedSiteFixture(parse_access(RULES))

    def tearDown(self) -> None:
        self.assertEqual([], self.world.index.failures)

    def begin(self, data: bytes) -> Transport:
        transport = self.world.index.connect()
        transport.protocol.dataReceived(data)
        return transport

    def answer(self, transport: Transport) -> Answer:
        (found,) = answers(transport.take(), b"POST")
        return found

    def post(
        self,
        *headers: str,
        label: str = "alice",
        filename: str = WHEEL,
        target: str = "/legacy/",
        **fields: str,
    ) -> Answer:
        header, body = form_of(filename, fields)
        return self.answer(self.begin(bytes_of("POST", target, label, header, *headers, body=body)))

    def refused(self, answer: Answer, status: int, words: str) -> None:
        """See that a sentence came, as the reason phrase and as the body."""
        self.assertEqual(status, answer.status)
        self.assertIn(words, answer.text)
        self.assertEqual(answer.text.strip(), answer.reason.decode("ascii"))
        self.assertEqual(b"no-store", answer.headers[b"cache-control"])
        self.assertNotIn(b"access-control-allow-origin", answer.headers)


class OrderTests(UploadTestCase):
    """What is judged when: everything as early as it can be."""

    def head(self, *headers: str, label: str = "alice", length: int = 500, form: bool = True) -> bytes:
        kind = ("Content-Type: multipart/form-data; boundary=b0",) if form else ()
        return bytes_of("POST", "/legacy/", label, *kind, f"Content-Length: {length}", *headers)

    def test_a_foreign_page(self) -> None:
        """Before the credentials, which a browser attaches by itself: nobody learns by it whether they are good."""
        for headers in (
            ("Origin: https://evil.example",),
            ("Origin: null",),
            ("Sec-Fetch-Site: cross-site",),
            ("Sec-Fetch-Site: same-site", "Origin: https://index.example"),
        ):
            for label in ("anonymous", "alice"):
                answer = self.answer(self.begin(self.head(*headers, label=label)))
                self.refused(answer, 403, "Another site's page")
        self.assertEqual([], self.world.people.asked)
        for line in ("X-Odd: 1", "Origin: https://index.example", "Sec-Fetch-Site: same-origin"):
            self.assertEqual(200, self.post(line).status)

    def test_the_name_is_reserved_while_it_comes(self) -> None:
        """From the head, where the URL states it, or from the form's file on; and given back however it ends."""
        header, body = form_of(WHEEL, {}, b"bytes" * 100)
        whole = bytes_of("POST", "/legacy/", "alice", header, body=body)
        put = bytes_of("PUT", f"/{WHEEL}", "alice", "Content-Length: 9")
        refused = bytes_of("PUT", f"/{wheel_of('vault')}", "alice", "Content-Length: 9")
        reserved = self.world.publishing.reserved
        for data, rest, names in (
            (put, b"123456789", [ACME]),
            (whole[:-30], whole[-30:], [ACME]),
            (refused, b"", []),
        ):
            for leaves in (True, False):
                transport = self.begin(data)
                self.assertEqual(names, reserved, (data[:40], leaves))
                if leaves:
                    transport.protocol.connectionLost(Failure(ConnectionDone()))
                else:
                    transport.protocol.dataReceived(rest)
                self.assertEqual([], reserved)

    def test_no_credentials(self) -> None:
        """Before anything else that the head tells: 401 with the challenge, whatever is wrong besides."""
        for data in (
            self.head(label="anonymous", length=1 << 40),
            self.head(label="anonymous", form=False),
            self.head("Authorization: Bearer wrong", label="anonymous"),
        ):
            answer = self.answer(self.begin(data))
            self.assertEqual(401, answer.status)
            self.assertEqual(b'Basic realm="simpleindex"', answer.headers[b"www-authenticate"])
        self.assertEqual([], self.world.publishing.sizes)

    def test_too_large_by_the_header(self) -> None:
        """Before a byte of the body, by the largest that any rule allows and room for the fields."""
        answer = self.answer(self.begin(self.head(length=2048 + MOST_TEXT + 1)))
        self.refused(answer, 413, "File too large")
        self.assertEqual([], self.world.publishing.sizes)
        transport = self.begin(self.head(length=2048 + MOST_TEXT))
        self.assertEqual(b"", transport.take())
        self.assertEqual([2048 + MOST_TEXT], self.world.publishing.sizes)
        put = self.begin(bytes_of("PUT", f"/{WHEEL}", "alice", "Content-Length: 2049"))
        self.refused(self.answer(put), 413, "File too large")

    def test_no_form(self) -> None:
        """Told from the head; a form without a boundary is none."""
        for kind in ("text/plain", "multipart/form-data", "application/x-www-form-urlencoded"):
            data = bytes_of("POST", "/legacy/", "alice", f"Content-Type: {kind}", "Content-Length: 9")
            self.refused(self.answer(self.begin(data)), 400, "An upload is a form")

    def test_no_room(self) -> None:
        """A full disk is told before the body; it is no mistake of the client's, and the operator hears of it."""
        self.world.publishing.no_room = CannotStore("The disk of this index is full.", fault=Fault.FULL)
        self.refused(self.answer(self.begin(self.head())), 507, "full")
        (failure,) = self.world.index.failures
        self.assertIsInstance(failure.value, CannotStore)
        self.world.index.failures.clear()

    def test_the_form_names_its_project(self) -> None:
        """Without the right, 403 as soon as the file begins: no byte of it is stored."""
        _, body = form_of(WHEEL, {"name": "vault"}, b"x" * 100)
        transport = self.begin(self.head(length=len(body)) + body[: body.index(b"xxxx")])
        self.refused(self.answer(transport), 403, "vault")
        self.assertEqual([], self.world.publishing.drafts)

    def test_the_file_names_its_project(self) -> None:
        """Where no field has said it yet."""
        _, body = form_of(wheel_of("vault"), {}, b"x" * 100)
        transport = self.begin(self.head(length=len(body)) + body[: body.index(b"xxxx")])
        self.refused(self.answer(transport), 403, "vault")
        put = self.begin(bytes_of("PUT", f"/{wheel_of('vault')}", "alice", "Content-Length: 9") + b"x")
        self.refused(self.answer(put), 403, "vault")
        self.assertEqual([], self.world.publishing.drafts)

    def test_a_form_that_lies(self) -> None:
        """A field names a project that may be uploaded to, and the file is another's: never stored as either."""
        for fields in ({"name": str(ACME)}, {"name": "!"}):
            answer = self.post(filename=wheel_of("vault", "2.0"), **fields)
            self.assertIn(answer.status, (400, 403))
            # The field alone decides nothing, also where it comes behind the file.
            late = form_of(wheel_of("vault", "2.0"))[1].removesuffix(b"--b0--\r\n") + form_of(None, fields)[1]
            answer = self.answer(self.begin(self.head(length=len(late)) + late))
            self.assertIn(answer.status, (400, 403))
        self.assertEqual([], self.world.audited)
        self.assertEqual(2, len(self.world.source.pages["vault"].files))

    def test_too_large_in_the_midst(self) -> None:
        """A length that is not told beforehand is counted."""
        head = bytes_of(
            "POST",
            "/legacy/",
            "alice",
            "Content-Type: multipart/form-data; boundary=b0",
            "Transfer-Encoding: chunked",
        )
        _, body = form_of(WHEEL, {}, b"x" * 2049)
        transport = self.begin(head + b"%x\r\n" % len(body) + body + b"\r\n")
        self.refused(self.answer(transport), 413, "File too large")
        self.assertEqual([1], [draft.discarded for draft in self.world.publishing.drafts])

    def test_too_large_for_its_project(self) -> None:
        """The rules of the project that it is for decide last."""
        header, body = form_of(WHEEL, {}, b"x" * 1025)
        answer = self.answer(self.begin(bytes_of("POST", "/legacy/", "alice", header, body=body)))
        self.refused(answer, 413, "acme-app")

    def test_a_token_that_is_revoked_meanwhile(self) -> None:
        """What was good when the upload began and is not when it ends stores nothing."""
        header, body = form_of(WHEEL)
        transport = self.begin(bytes_of("POST", "/legacy/", "alice", header, body=body)[:-9])
        self.assertEqual(1, len(self.world.publishing.drafts))
        self.world.people.revoked.add("alice")
        transport.protocol.dataReceived(body[-9:])
        self.refused(self.answer(transport), 401, "revoked")
        self.assertEqual(1, self.world.publishing.drafts[0].discarded)
        self.assertEqual([], self.world.audited)

    def test_a_right_that_is_taken_meanwhile(self) -> None:
        """The same with the access file."""
        header, body = form_of(WHEEL)
        transport = self.begin(bytes_of("POST", "/legacy/", "alice", header, body=body)[:-9])
        self.world.access = Access()
        transport.protocol.dataReceived(body[-9:])
        self.refused(self.answer(transport), 403, "acme-app")
        self.assertEqual([], self.world.audited)

    def test_closed_projects(self) -> None:
        """Archived and quarantined ones take none; who may not upload is not told that they are."""
        for status in (Status.ARCHIVED, Status.QUARANTINED):
            self.world.source.put(replace(self.world.source.pages[ACME], status=status))
            self.refused(self.post(), 403, f"is {status.value}")
            self.refused(self.post(label="dave"), 403, "let dave upload")
            late = form_of(WHEEL)[1]
            self.world.access = parse_access(b'[[rule]]\nprojects = ["acme-*"]\nupload = ["owner"]\n')
            self.world.owning.known = {}
            answer = self.answer(self.begin(self.head(length=len(late)) + late))
            self.assertNotIn(status.value.encode(), answer.body)
            self.assertEqual(403, answer.status)
            self.world.access = parse_access(RULES)
        self.world.source.put(replace(self.world.source.pages[ACME], status=Status.DEPRECATED))
        self.assertEqual(200, self.post().status)

    def test_nothing_is_known_now(self) -> None:
        """503 with seconds, which a publisher may try again."""
        self.world.source.error = Unavailable("It is being read.", 7)
        answer = self.post()
        self.refused(answer, 503, "being read")
        self.assertEqual(b"2", answer.headers[b"retry-after"])
        self.world.source.error = None


class AnswerTests(UploadTestCase):
    """What clients are told."""

    def test_success(self) -> None:
        """200 with the warnings and what is listed now, for people who use curl; and the line of the audit."""
        for label, event, warning, state in (
            ("alice-all", "upload", "It is short.\n", "is listed"),
            ("alice", "upload-again", "", "is listed, as it was before"),
        ):
            answer = self.post(label=label)
            text = f"{warning}acme_app 2.0 {state}: {WHEEL}, sha256 {self.world.audited[-1]['digest']}.\n"
            self.assertEqual((200, text.encode()), (answer.status, answer.body))
            self.assertEqual(b"no-store", answer.headers[b"cache-control"])
            self.assertNotIn(b"access-control-allow-origin", answer.headers)
            line = self.world.audited.pop()
            self.assertEqual(event, line["event"])
            self.assertEqual(("alice", "192.0.2.7", ACME), (line["who"], line["address"], line["project"]))
            self.assertEqual("a1a1a1a1" if label == "alice-all" else None, line.get("token"))
            self.assertEqual((WHEEL, 64), (line["filename"], len(line["digest"])))

    def test_conflict(self) -> None:
        """Other bytes under the name: 409, with the words that clients know in both places."""
        self.post()
        header, body = form_of(WHEEL, {}, b"other bytes")
        answer = self.answer(self.begin(bytes_of("POST", "/legacy/", "alice", header, body=body)))
        self.refused(answer, 409, "File already exists")
        self.assertTrue(answer.reason.startswith(b"File already exists"))

    def test_for_uv(self) -> None:
        """A problem in JSON, of which uv prints title and detail; in plain text for who wants that."""
        self.world.access = parse_access(RULES + b'\n[[rule]]\nprojects = ["tool"]\nupload = []\n')
        answer = self.post(UV_ACCEPT, filename=wheel_of("tool", "2.0"))
        text = "Rule 3 of the access file lets nobody upload to tool."
        self.assertEqual(403, answer.status)
        self.assertEqual(b"application/problem+json", answer.headers[b"content-type"])
        self.assertEqual(
            {"type": "about:blank", "title": "Forbidden", "status": 403, "detail": text},
            json.loads(answer.body),
        )
        self.assertEqual(text, answer.reason.decode())
        plain = self.post("Accept: text/plain", filename=wheel_of("tool", "2.0"))
        self.assertEqual(f"{text}\n".encode(), plain.body)
        self.assertEqual(b"text/plain; charset=utf-8", plain.headers[b"content-type"])

    def test_for_uv_without_credentials(self) -> None:
        """The challenge is there in that form too."""
        answer = self.post(UV_ACCEPT, label="anonymous")
        self.assertEqual(401, answer.status)
        self.assertIn(b"www-authenticate", answer.headers)
        self.assertEqual("Unauthorized", json.loads(answer.body)["title"])

    def test_text_of_the_client(self) -> None:
        """What a sentence quotes breaks neither the status line nor the text."""
        answer = self.post(filename="evil\u20ac\x01-1.0.tar.gz")
        self.assertEqual(400, answer.status)
        self.assertNotIn(b"\x01", answer.reason + answer.body)

    def test_no_body(self) -> None:
        """The right is judged first here too."""
        for label, status in (("anonymous", 401), ("alice", 400)):
            for data in (
                bytes_of("POST", "/legacy/", label, "Content-Length: 0"),
                bytes_of("POST", "/", label),
                bytes_of("PUT", f"/{WHEEL}", label, "Content-Length: 0"),
            ):
                self.assertEqual(status, self.answer(self.begin(data)).status)
        self.assertEqual([], self.world.publishing.drafts)

    def test_a_form_without_a_file(self) -> None:
        """Fields alone; and one that ends too early."""
        header, body = form_of(None, {"note": "x"})
        answer = self.answer(self.begin(bytes_of("POST", "/legacy/", "alice", header, body=body)))
        self.refused(answer, 400, "does not have a file")
        answer = self.answer(self.begin(bytes_of("POST", "/legacy/", "alice", header, body=body[:-6])))
        self.refused(answer, 400, "cut off")

    def test_a_bare_file_without_bytes(self) -> None:
        """A length that is not told, and nothing then."""
        head = bytes_of("PUT", f"/{WHEEL}", "alice", "Transfer-Encoding: chunked")
        self.refused(self.answer(self.begin(head + b"0\r\n\r\n")), 400, "does not have a file")

    def test_bare_names(self) -> None:
        """What stands before the file's name does not matter; one that cannot be a file's is refused, and none is no upload."""
        for target, status in {
            f"/{WHEEL}": 200,
            f"/simple/acme-app/{WHEEL}?x=1": 200,
            f"http://index.example/legacy/{WHEEL}": 200,
            "/note.txt": 400,
            "/..%2Facme_app-2.0.tar.gz": 400,
            "/%FF": 405,
            "/simple/acme-app/": 405,
        }.items():
            answer = self.answer(self.begin(bytes_of("PUT", target, "alice", body=b"bytes")))
            self.assertEqual(status, answer.status, target)
        self.assertEqual({ACME, "vault", "tool"}, set(self.world.source.pages))

    def test_a_body_for_nobody(self) -> None:
        """Too long a body where nothing is uploaded: the sentence names the URL that takes it."""
        length = f"Content-Length: {self.world.index.site.max_body + 1}"
        answer = self.answer(self.begin(bytes_of("POST", "/acme-app/", "alice", length)))
        self.refused(answer, 405, "uploads go to /legacy/")


class OwnerTests(UploadTestCase):
    """Who uploads a name first owns it."""

    def setUp(self) -> None:
        super().setUp()
        self.world.access = parse_access(b'[[rule]]\nprojects = ["*"]\nupload = ["owner"]\n')

    def test_the_first_owns_it(self) -> None:
        """And nobody else uploads it from then on."""
        made = wheel_of("fresh")
        self.assertEqual(200, self.post(label="bob", filename=made).status)
        self.assertEqual("bob", self.world.owning.known[ProjectName("fresh")])
        self.assertEqual(403, self.post(label="alice", filename=wheel_of("fresh", "2.0")).status)
        self.assertEqual(200, self.post(label="bob", filename=wheel_of("fresh", "2.0")).status)

    def test_what_lies_there_is_nobodys(self) -> None:
        """A project that was put into the directory by hand cannot be claimed by an upload."""
        self.world.owning.known = {}
        answer = self.post(label="bob", filename=wheel_of("tool", "2.0"))
        self.assertEqual(403, answer.status)
        self.assertEqual({}, self.world.owning.known)

    def test_a_token_without_a_user_owns_nothing(self) -> None:
        """It may upload by rules that list it, and does not become anybody."""
        self.world.access = default_access()
        self.assertEqual(200, self.post(label="robot", filename=wheel_of("fresh")).status)
        self.assertNotIn("fresh", self.world.owning.known)

    def test_who_was_quicker(self) -> None:
        """Of two who publish a name for the first time at once, the second is judged once more."""
        self.world.publishing.before_commit = lambda: (
            self.world.owning.claim(ProjectName("fresh"), "carol") and None
        )
        self.refused(self.post(label="bob", filename=wheel_of("fresh")), 403, "fresh")
        self.assertNotIn("fresh", self.world.source.pages)
        self.assertEqual([], self.world.audited)

    def test_who_was_quicker_where_it_does_not_matter(self) -> None:
        """A right that does not come from owning is not lost."""
        self.world.access = default_access()
        self.world.publishing.before_commit = lambda: (
            self.world.owning.claim(ProjectName("fresh"), "carol") and None
        )
        self.assertEqual(200, self.post(label="bob", filename=wheel_of("fresh")).status)
        self.assertEqual("carol", self.world.owning.known[ProjectName("fresh")])


class LeavingTests(UploadTestCase):
    """Clients who leave."""

    def test_while_the_body_comes(self) -> None:
        """Nothing is left of it."""
        header, body = form_of(WHEEL)
        transport = self.begin(bytes_of("POST", "/legacy/", "alice", header, body=body)[:-9])
        transport.leave()
        self.assertEqual([1], [draft.discarded for draft in self.world.publishing.drafts])
        self.assertEqual([], self.world.audited)

    def test_while_it_is_published(self) -> None:
        """A thread that puts it there cannot be stopped: it is audited, and its draft not taken away meanwhile."""
        waiting: Deferred[None] = Deferred()
        self.world.publishing.before_commit = lambda: waiting
        header, body = form_of(WHEEL)
        transport = self.begin(bytes_of("POST", "/legacy/", "alice", header, body=body))
        transport.leave()
        (draft,) = self.world.publishing.drafts
        self.assertEqual(0, draft.discarded)
        waiting.callback(None)
        self.assertEqual(1, draft.discarded)
        self.assertEqual(["upload"], [line["event"] for line in self.world.audited])

    def test_while_it_is_refused(self) -> None:
        """A refusal that nobody hears is nothing to tell the operator; what should never happen is."""
        for error, told in ((CannotStore("It is read-only."), 0), (KeyError("never"), 1)):
            waiting: Deferred[None] = Deferred()
            self.world.publishing.before_commit = lambda waiting=waiting: waiting
            header, body = form_of(WHEEL)
            transport = self.begin(bytes_of("POST", "/legacy/", "alice", header, body=body))
            transport.leave()
            waiting.errback(error)
            failures, self.world.index.failures[:] = list(self.world.index.failures), []
            self.assertEqual(told, len(failures))
        self.assertEqual([], self.world.audited)

    def test_what_should_never_happen(self) -> None:
        """500 with a sentence, told once, and nothing left behind."""
        waiting: Deferred[None] = Deferred()
        self.world.publishing.before_commit = lambda: waiting
        header, body = form_of(WHEEL)
        transport = self.begin(bytes_of("POST", "/legacy/", "alice", header, body=body))
        waiting.errback(KeyError("never"))
        self.assertEqual(500, self.answer(transport).status)
        self.assertEqual([KeyError], [failure.type for failure in self.world.index.failures])
        self.world.index.failures.clear()
        self.assertEqual([1], [draft.discarded for draft in self.world.publishing.drafts])

    def test_the_connection_goes_on(self) -> None:
        """After a whole upload, taken or refused at its end; a refusal in the midst closes it."""
        header, body = form_of(WHEEL)
        transport = self.begin(bytes_of("POST", "/legacy/", "alice", header, body=body))
        self.assertEqual(200, self.answer(transport).status)
        self.assertIs(Phase.IDLE, transport.channel.phase)
        header, body = form_of(WHEEL, {}, b"other")
        transport.protocol.dataReceived(bytes_of("POST", "/legacy/", "alice", header, body=body))
        self.assertEqual(409, self.answer(transport).status)
        self.assertIs(Phase.IDLE, transport.channel.phase)


def test_what_should_never_happen_has_no_words() -> None:
    """It is the resource's to tell of it."""
    assert private_refusal(KeyError("never")) is None
