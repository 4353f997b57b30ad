"""Notifications of hooks: an entry of the audit as JSON, its id, its signature. Pure."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from simpleindex.core.audit_entry import EVENTS
from simpleindex.core.names import ProjectName
from simpleindex.core.patterns import ALL, matcher

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.hooks.settings import HookSettings

CONTENT_TYPE: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Notification:
    """The notification of one event, as a hook gets it.

    Attributes:
        delivery: Its id: the same in every try, so that receivers may pass over what they have.
    """

    event: str
    delivery: str
    body: bytes

    def headers(self, secret: bytes | None) -> dict[str, str]:
        """Return the headers of a request: type, event, id, and the signature as GitHub's webhooks have it.

        Args:
            secret: The key of the signature; None for no signature.
        """
        headers = {
            "Content-Type": CONTENT_TYPE,
            "X-Simpleindex-Event": self.event,
            "X-Simpleindex-Delivery": self.delivery,
        }
        if secret is not None:
            headers["X-Hub-Signature-256"] = (
                f"sha256={hmac.new(secret, self.body, hashlib.sha256).hexdigest()}"
            )
        return headers


def is_for(hook: HookSettings, entry: Mapping[str, Any]) -> bool:
    """Return whether a hook is notified of an entry of the audit."""
    if entry["event"] not in hook.events:
        return False
    if ALL in hook.projects:
        return True
    return "project" in entry and matcher(hook.projects).find(ProjectName(entry["project"])) is not None


def notification_of(entry: Mapping[str, Any], index: str | None) -> Notification:
    """Return what is sent of an entry of the audit.

    Args:
        entry: The entry, whose fields are sent as they are.
        index: The URL of the index; None if it is not certain.
    """
    facts = json.dumps(entry, sort_keys=True).encode()
    delivery = str(UUID(bytes=hashlib.sha256(facts).digest()[:16], version=4))
    content = {
        "delivery": delivery,
        "text": sentence_of(entry),
        **({"index": index} if index else {}),
        **entry,
    }
    return Notification(entry["event"], delivery, json.dumps(content).encode("ascii"))


def sentence_of(entry: Mapping[str, Any]) -> str:
    """Return an entry of the audit as a line for people, as chat services show it."""
    what = entry.get("filename") or " ".join(filter(None, (entry.get("project"), entry.get("version"))))
    who = entry.get("who") or (f"token {entry['token']}" if "token" in entry else "")
    meaning = EVENTS.get(entry["event"], entry["event"])
    line = f"{what}: {meaning}" if what else f"{meaning[:1].upper()}{meaning[1:]}"
    line = f"{line}, by {who}" if who else line
    return f"{line} ({entry['detail']})" if entry.get("detail") else line
