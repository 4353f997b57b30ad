"""Chromium without a window, driven through its pipe (``--remote-debugging-pipe``, the Chrome DevTools Protocol)."""

from __future__ import annotations

import fcntl
import json
import os
import select
import subprocess
import tempfile
import time
from itertools import count
from typing import TYPE_CHECKING, Any, Self

from tests.end_to_end.running import PATIENCE, bare_environment, wait_until

if TYPE_CHECKING:
    from pathlib import Path

_COMMANDS, _ANSWERS = 3, 4
"""The descriptors on which Chromium takes commands and answers."""


class Browser:
    """One page of a browser that trusts every certificate.

    Attributes:
        requests: The URLs of all requests so far.
        complaints: What went wrong in pages so far: exceptions, errors in the console (also of the content policy), dialogs.
    """

    def __init__(self, program: str, home: Path) -> None:
        commands, self._writer = os.pipe()
        self._reader, answers = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (commands, answers)]

        def take_ends() -> None:
            for end, number in zip(ends, (_COMMANDS, _ANSWERS), strict=True):
                os.dup2(end, number)

        options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors")
        self._process = subprocess.Popen(
            [program, *options, "--remote-debugging-pipe", f"--user-data-dir={home / 'chromium'}"],
            close_fds=False,
            preexec_fn=take_ends,  # noqa: PLW1509  (the browser wants these numbers; nothing but dup2 is called)
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # A socket lies in it, whose path may have no more than 107 bytes.
            env=bare_environment(home) | {"TMPDIR": tempfile.gettempdir()},
        )
        for end in (commands, answers, *ends):
            os.close(end)
        self._numbers = count(1)
        self._received = b""
        self._session: str | None = None
        self.requests: list[str] = []
        self.complaints: list[str] = []

    def __enter__(self) -> Self:
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.do(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)
        os.close(self._writer)
        os.close(self._reader)

    def do(self, method: str, **parameters: Any) -> Any:
        """Send a command and return its result."""
        message = self._answer_to(method, parameters)
        assert "error" not in message, message
        return message["result"]

    def _answer_to(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            command["sessionId"] = self._session
        os.write(self._writer, json.dumps(command).encode() + b"\0")
        while True:
            message = self._next_message()
            if message.get("id") == number:
                return message

    def open(self, url: str) -> None:
        """Open a page and wait until it is loaded."""
        self.do("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete'")

    def value(self, expression: str) -> Any:
        """Return what an expression of JavaScript comes to, in the page."""
        answer = self.do("Runtime.evaluate", **_evaluation(expression))
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until an expression is true; a page that is left meanwhile gives no answer."""

        def is_true() -> bool:
            answer = self._answer_to("Runtime.evaluate", _evaluation(expression))
            return bool(answer.get("result", {}).get("result", {}).get("value"))

        wait_until(is_true, expression)

    def type(self, text: str) -> None:
        """Type a text where the focus is, character by character."""
        for character in text:
            self.do("Input.insertText", text=character)

    def press_enter(self) -> None:
        """Press the Enter key."""
        for kind in ("keyDown", "keyUp"):
            self.do("Input.dispatchKeyEvent", type=kind, key="Enter", windowsVirtualKeyCode=13, text="\r")

    def click(self, selector: str) -> None:
        """Click an element and wait for the page that it leads to."""
        before = self.value("document.URL")
        self.value(f"document.querySelector({json.dumps(selector)}).click()")
        self.wait_for(f"document.URL !== {json.dumps(before)} && document.readyState === 'complete'")

    def show_as(self, width: int, scheme: str) -> None:
        """Change the width of the window, and whether it is light or dark."""
        self.do(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False
        )
        self.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def _next_message(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE
        while b"\0" not in self._received:
            assert select.select([self._reader], [], [], max(0.0, end - time.monotonic()))[0], "no answer"
            data = os.read(self._reader, 1 << 16)
            assert data, "the browser has ended"
            self._received += data
        line, _, self._received = self._received.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, facts: dict[str, Any]) -> None:
        match event:
            case "Network.requestWillBeSent":
                self.requests.append(facts["request"]["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(facts["exceptionDetails"]))
            case "Log.entryAdded" if facts["entry"]["level"] == "error":
                self.complaints.append(f"{facts['entry']['text']} {facts['entry'].get('url')}")
            case "Page.javascriptDialogOpening":
                self.complaints.append(f"dialog: {facts['message']}")


def _evaluation(expression: str) -> dict[str, Any]:
    return {"expression": expression, "returnByValue": True, "awaitPromise": True}
