"""What happened in a watched directory, in a form that one process can send to another. Pure."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simpleindex.directory.watch.interface import ChangeListener

MOST_IN_ONE: Final = 2_000
"""Names of each kind in one message; most take less than 50 bytes."""

MOST_NAMES: Final = 100_000
"""Names that wait to be sent; where more changed, everything is looked at again."""


@dataclass(frozen=True, slots=True)
class DirectoryEvents:
    """What happened since the last report; as in :class:`simpleindex.directory.watch.interface.ChangeListener`.

    Attributes:
        everything: Whether events were lost, or are too many to be named.
        root: Whether entries of the root changed.
        directories: Raw names of first-level directories in which something changed.
        entries: Whether it is a directory, by the raw name of what was made or moved into the root.
        files: Names that something had in a first-level directory, by the directory's raw name.
    """

    everything: bool = False
    root: bool = False
    directories: frozenset[str] = frozenset()
    entries: Mapping[str, bool] = field(default_factory=dict)
    files: Mapping[str, set[bytes]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing happened."""
        return not (self.everything or self.root or self.directories or self.entries or self.files)

    def joined(self, later: DirectoryEvents) -> DirectoryEvents:
        """Return what happened in both, in bounded memory."""
        if self.everything or later.everything:
            return DirectoryEvents(everything=True)
        files = dict(self.files)
        for directory, names in later.files.items():
            files[directory] = files.get(directory, set()) | names
        both = DirectoryEvents(
            root=self.root or later.root,
            directories=self.directories | later.directories,
            entries={**self.entries, **later.entries},
            files=files,
        )
        count = len(both.directories) + len(both.entries) + sum(map(len, files.values()))
        return DirectoryEvents(everything=True) if count > MOST_NAMES else both

    def split(self) -> tuple[DirectoryEvents, DirectoryEvents]:
        """Return what goes into one message, and the rest."""
        first = DirectoryEvents(
            self.everything,
            self.root,
            frozenset(islice(self.directories, MOST_IN_ONE)),
            dict(islice(self.entries.items(), MOST_IN_ONE)),
            dict(islice(self.files.items(), MOST_IN_ONE)),
        )
        entries = dict(islice(self.entries.items(), MOST_IN_ONE, None))
        rest = DirectoryEvents(
            # A survey has to follow on every entry.
            root=self.root and bool(entries),
            directories=self.directories - first.directories,
            entries=entries,
            files=dict(islice(self.files.items(), MOST_IN_ONE, None)),
        )
        return first, rest

    def report_to(self, listener: ChangeListener) -> None:
        """Report to a listener what happened, in the order in which a watch does."""
        if self.everything:
            listener.everything_changed()
            return
        if self.entries or self.files:
            listener.names_heard(self.entries, self.files)
        if self.root:
            listener.root_changed()
        if self.directories:
            listener.directories_changed(self.directories)


def encode_events(events: DirectoryEvents, most_bytes: int) -> str:
    """Return events as text; where it would be too long, that everything changed."""
    files = {name: sorted(map(os.fsdecode, found)) for name, found in events.files.items()}
    content = [events.everything, events.root, sorted(events.directories), dict(events.entries), files]
    # Not more than ASCII: a name on the disk need not be UTF-8, and is then no valid text.
    text = json.dumps(content)
    if 2 * len(text) > most_bytes:
        return encode_events(DirectoryEvents(everything=True), most_bytes)
    return text


def decode_events(text: str) -> DirectoryEvents:
    """Return the events in a text of :func:`encode_events`."""
    everything, root, directories, entries, files = json.loads(text)
    return DirectoryEvents(
        everything,
        root,
        frozenset(directories),
        entries,
        {name: set(map(os.fsencode, found)) for name, found in files.items()},
    )
