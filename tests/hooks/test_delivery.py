"""Deliveries: in order, with bounded retries, going on where they ended, and never in the way of others."""

from __future__ import annotations

import errno
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from simpleindex.core.audit_entry import AuditEntry
from simpleindex.hooks.delivery import DELAYS, LOOK_SECONDS, DeliveryOutcome, HookContext, HookDelivery
from simpleindex.hooks.hooks import Hooks
from simpleindex.hooks.positions import HookPositions
from simpleindex.hooks.settings import HookProgram, HookSettings, parse_hooks
from simpleindex.records.audit.audit import Audit
from simpleindex.records.audit.audit_tail import AuditTail
from simpleindex.system.followed_file import FileKind, FollowedFile
from tests.fixtures.threads import InlineThreads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simpleindex.hooks.notification import Notification
    from tests.fixtures.log import CapturedLog

HOOK = HookSettings("chat", HookProgram(("/x",)), frozenset({"upload", "yank"}))
DOWN = DeliveryOutcome("it answers 503", is_passing=True)
REFUSED = DeliveryOutcome("it answers 400")


class RecordingTarget:
    """Takes what it is notified of, as far as the outcomes say."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.tries = 0
        self.outcomes: list[Any] = []
        self.is_closed = False

    async def notify(self, notification: Notification) -> DeliveryOutcome:
        self.tries += 1
        outcome = self.outcomes.pop(0) if self.outcomes else DeliveryOutcome()
        if isinstance(outcome, Deferred):
            outcome = await outcome
        if outcome.trouble is None:
            self.files.append(json.loads(notification.body)["filename"])
        result: DeliveryOutcome = outcome
        return result

    def close(self) -> None:
        self.is_closed = True


class World:
    """An audit, and what is delivered of it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.clock = Clock()
        self.audit = Audit(str(place), now=lambda: self.clock.seconds() + 1_800_000_000)
        self.target = RecordingTarget()
        self.deliveries: list[HookDelivery] = []
        self.upload(0)

    def upload(self, *numbers: int, event: str = "upload") -> None:
        for number in numbers:
            self.audit.record(AuditEntry(event, project="acme", filename=f"{number}"))

    def context(self) -> HookContext:
        return HookContext(
            InlineThreads(),
            self.clock,
            lambda: self.clock.seconds() + 1_800_000_000,
            HookPositions(str(self.place)),
            lambda: None,
        )

    def start(self) -> HookDelivery:
        delivery = HookDelivery(HOOK, self.target, self.context())
        self.deliveries.append(delivery)
        delivery.start()
        return delivery

    def wait(self, seconds: float = LOOK_SECONDS) -> None:
        self.clock.pump([LOOK_SECONDS] * int(seconds))

    @property
    def files(self) -> str:
        return " ".join(self.target.files)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world that ends without anything that waits."""
    world = World(tmp_path)
    yield world
    for delivery in world.deliveries:
        delivery.stop()
    world.audit.close()
    assert not world.clock.getDelayedCalls()
    assert world.target.is_closed


def test_what_is_new_in_its_order(world: World) -> None:
    """Events of before are not sent to a new hook, nor those that it does not want."""
    world.start()
    assert world.files == ""
    world.upload(1, 2)
    world.upload(3, event="delete")
    world.upload(4, event="yank")
    world.wait()
    assert world.files == "1 2 4"


def test_a_restart_goes_on_where_it_ended(world: World) -> None:
    """Nothing is lost, and nothing comes twice."""
    first = world.start()
    world.upload(1)
    world.wait()
    first.stop()
    world.upload(2)
    os.rename(world.audit.path, f"{world.audit.path}.1")
    world.upload(3)
    world.start()
    world.wait(2)
    assert world.files == "1 2 3"


def test_a_copy_of_the_state_directory(world: World) -> None:
    """It goes on where the original was: nothing comes again, and what was not sent yet is sent."""
    first = world.start()
    world.upload(1)
    world.wait()
    first.stop()
    world.upload(2)
    copy = world.place / "copy"
    copy.write_bytes((world.place / "audit.jsonl").read_bytes())
    copy.replace(world.place / "audit.jsonl")
    world.start()
    world.wait(2)
    assert world.files == "1 2"


def test_an_outage(world: World, log: CapturedLog) -> None:
    """Tries are bounded and come ever later; then the next event has its turn. The log has a line at the begin and the end."""
    world.start()
    world.target.outcomes = [DOWN] * (len(DELAYS) + 2)
    world.upload(1, 2, 3)
    world.wait()
    assert world.target.tries == 1
    world.wait(DELAYS[0])
    assert world.target.tries == 2
    world.wait(sum(DELAYS) + DELAYS[0])
    assert world.files == "2 3"
    assert world.target.tries == len(DELAYS) + 2 + 2
    assert [line.partition(" delivery ")[0] for line in log.lines] == [
        "The hook chat cannot be notified: it answers 503. It is tried again for 7 minutes.",
        "The hook chat was not notified of an event (upload,",
        "The hook chat is notified again.",
    ]


def test_a_refusal_is_not_tried_again(world: World, log: CapturedLog) -> None:
    """The next event is not kept waiting."""
    world.start()
    world.target.outcomes = [REFUSED]
    world.upload(1, 2)
    world.wait()
    assert (world.files, world.target.tries) == ("2", 2)
    assert log.lines[0].endswith(": it answers 400.")


def test_old_events_are_passed_over(world: World, log: CapturedLog) -> None:
    """A server that was off for two days does not send what nobody waits for."""
    world.start().stop()
    first = world.start()
    world.upload(1)
    world.wait()
    first.stop()
    world.upload(2)
    with open(world.audit.path, "ab") as file:
        file.write(b'{"time": "now", "event": "upload", "filename": "3"}\n')
    world.clock.advance(2 * 86_400)
    world.upload(4)
    world.start()
    assert world.files == "1 4"
    assert log.lines == ["The hook chat is not notified of 2 events, which are more than 1 day old."]


def test_a_stop_in_the_middle(world: World) -> None:
    """The event is sent again after the next start; no further try is made before."""
    delivery = world.start()
    waiting: Deferred[DeliveryOutcome] = Deferred(lambda it: it.callback(DOWN))
    world.target.outcomes = [waiting]
    world.upload(1)
    world.wait()
    delivery.stop()
    world.wait(100)
    assert (world.files, world.target.tries) == ("", 1)
    world.start()
    assert world.files == "1"


def test_an_audit_that_cannot_be_read(
    world: World, log: CapturedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line of the log; later events are sent."""
    world.start()

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(AuditTail, "read", fail)
        world.wait(3)
    world.upload(1)
    world.wait()
    assert world.files == "1"
    assert log.lines == [
        "The hook chat is not notified, because the audit cannot be read (Input/output error)."
    ]


def test_positions_that_cannot_be_kept(world: World, log: CapturedLog) -> None:
    """Events are sent all the same; one line of the log."""
    (world.place / "hooks.json.new").mkdir()
    world.start()
    world.upload(1, 2)
    world.wait()
    assert world.files == "1 2"
    assert log.lines == [
        f"{world.place}/hooks.json cannot be written (Is a directory): after a restart hooks are notified again of what they have."
    ]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"chat": [1]}', b'{"chat": ["a", 1]}', b'{"chat": 7}', b"\xff"]
)
def test_damaged_positions(world: World, content: bytes) -> None:
    """They are as good as none."""
    (world.place / "hooks.json").write_bytes(content)
    world.start()
    world.upload(1)
    world.wait()
    assert world.files.endswith("1")


def test_a_file_that_changes(world: World) -> None:
    """A hook that is new begins, one that is gone ends, one that stays is left alone."""
    path = world.place / "hooks.toml"
    path.write_text('[[hook]]\nname = "a"\nrun = "/a"\n[[hook]]\nname = "b"\nrun = "/b"\n')
    file = FollowedFile(str(path), FileKind("hooks", parse_hooks))
    file.open_at_start()
    targets: dict[str, RecordingTarget] = {}

    def target_of(hook: HookSettings) -> RecordingTarget:
        assert hook.name not in targets
        targets[hook.name] = RecordingTarget()
        return targets[hook.name]

    hooks = Hooks(file, target_of, world.context())
    hooks.start()
    path.write_text(
        '[[hook]]\nname = "b"\nrun = "/b"\n[[hook]]\nname = "c"\nrun = "/c"\nevents = ["upload"]\n'
    )
    hooks.follow()
    hooks.reload()
    world.upload(1)
    world.wait()
    hooks.stop()
    assert {name: (target.files, target.is_closed) for name, target in targets.items()} == {
        "a": ([], True),
        "b": (["1"], True),
        "c": (["1"], True),
    }
    assert json.loads((world.place / "hooks.json").read_bytes()).keys() == {"b", "c"}
    world.target.is_closed = True
