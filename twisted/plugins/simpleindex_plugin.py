"""Tell twistd of the ``simpleindex`` service; imports nothing of ours, so that a failure there has a clear message."""

from twisted.application.service import ServiceMaker

simpleindex = ServiceMaker(
    "simpleindex",
    "simpleindex.tap",
    "A Python package index over a directory of packages, with HTTPS of its own.",
    "simpleindex",
)
