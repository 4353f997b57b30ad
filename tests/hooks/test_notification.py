"""Notifications: for whom, what they say, and the signature that a receiver verifies."""

from __future__ import annotations

import json

import pytest

from simpleindex.hooks.notification import is_for, notification_of, sentence_of
from simpleindex.hooks.settings import HookProgram, HookSettings

UPLOAD = {
    "time": "2026-11-29T06:30:00.000+00:00",
    "event": "upload",
    "who": "alice",
    "project": "acme",
    "filename": "acme-1.0.zip",
}
LOGIN = {"time": "2026-11-29T06:30:00.000+00:00", "event": "login-failed", "address": "192.0.2.1"}


def test_for_whom() -> None:
    """By event and project; an event about no project is for hooks of all projects."""
    hook = HookSettings("a", HookProgram(("/x",)))
    of_acme = HookSettings("a", HookProgram(("/x",)), projects=("acme-*", "acme"))
    of_yanks = HookSettings("a", HookProgram(("/x",)), frozenset({"yank"}))
    assert [is_for(each, UPLOAD) for each in (hook, of_acme, of_yanks)] == [True, True, False]
    assert [is_for(each, LOGIN) for each in (hook, of_acme)] == [True, False]
    assert not is_for(of_acme, {**UPLOAD, "project": "other"})


def test_the_body_and_the_headers() -> None:
    """The body is the entry with an id, a sentence and the index; the same entry has the same id."""
    notification = notification_of(UPLOAD, "https://packages.example/")
    body = json.loads(notification.body)
    assert body == {
        "delivery": notification.delivery,
        "text": "acme-1.0.zip: a file was uploaded, by alice",
        "index": "https://packages.example/",
        **UPLOAD,
    }
    assert notification_of(UPLOAD, None).delivery == notification.delivery
    assert notification_of(LOGIN, None).delivery != notification.delivery
    assert "index" not in json.loads(notification_of(UPLOAD, None).body)
    assert notification.headers(None) == {
        "Content-Type": "application/json",
        "X-Simpleindex-Event": "upload",
        "X-Simpleindex-Delivery": notification.delivery,
    }


def test_the_signature_is_github_s() -> None:
    """The example of GitHub's guide "Validating webhook deliveries"."""
    notification = notification_of(UPLOAD, None)
    object.__setattr__(notification, "body", b"Hello, World!")
    assert notification.headers(b"It's a Secret to Everybody")["X-Hub-Signature-256"] == (
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (
            {"event": "yank", "project": "acme", "version": "1.0", "detail": "broken"},
            "acme 1.0: a version or file was yanked (broken)",
        ),
        ({"event": "login-failed"}, "A login failed"),
        (
            {"event": "status", "project": "acme", "token": "ab12"},
            "acme: a project's status was set, by token ab12",
        ),
        ({"event": "of-tomorrow", "project": "acme"}, "acme: of-tomorrow"),
    ],
)
def test_sentences(entry: dict[str, str], sentence: str) -> None:
    """One line for people."""
    assert sentence_of(entry) == sentence
