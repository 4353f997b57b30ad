"""The report that an operator reads at the start, and from ``simpleindex check``, as text."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from simpleindex import __version__
from simpleindex.core.addresses import plain_host
from simpleindex.core.names import ProjectName
from simpleindex.core.patterns import matcher
from simpleindex.core.text import human_size, plural
from simpleindex.core.views import LOCAL
from simpleindex.directory.layout.unserved import sum_up
from simpleindex.web.status.status import Readiness, StatusReport

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from simpleindex.directory.live.live_directory import LiveDirectory
    from simpleindex.service.composition.directory import ServedDirectory

_MOST_WITHHELD: Final = 50
"""Withheld files named; a directory of thousands of strays must not bury the lines that matter."""

_MOST_TAKEN: Final = 20
"""Names that a directory without distributions takes and that are named; a checkout has tens of directories."""

_LIKELY_ROOTS: Final = ("simple", "packages")


def catalogue_lines(report: StatusReport, root: str) -> Iterator[str]:
    """Yield lines about what is served and what is not.

    Args:
        report: The state.
        root: The served directory, for "did you mean".
    """
    yield f"{plural(report.projects, 'project')}, {plural(report.files, 'file')}, {human_size(report.size)}."
    for _, _, _, reason in report.withheld[:_MOST_WITHHELD]:
        yield f"Withheld: {reason}"
    if len(report.withheld) > _MOST_WITHHELD:
        yield f"Withheld: {len(report.withheld) - _MOST_WITHHELD} more; /-/status names all of them on this machine."
    yield from map(str, report.passed_over)
    if not report.projects:
        yield (
            meant_root(root) or f"No projects yet: put files at {os.path.join(root, '<project>', '<file>')}."
        )


def meant_root(root: str) -> str | None:
    """Return a sentence with the directory that was probably meant, for a root without projects; None if none seems so."""
    for name in _LIKELY_ROOTS:
        below = os.path.join(root, name)
        if os.path.isdir(below):
            return f"{root} holds no projects; did you mean --path {below}?"
    return None


def install_lines(base_url: str, ca_path: str | None, fingerprint: str | None) -> Iterator[str]:
    """Yield lines about how clients reach the index, and how they trust it.

    Args:
        base_url: The index's URL.
        ca_path: The file of the private CA's certificate on this machine; None if certificates are the user's.
        fingerprint: Of that certificate, SHA-256.
    """
    if ca_path is None:
        host = plain_host(base_url)
        trust = "" if host is None else f"--trusted-host {host} "
        yield f"Install with: pip install {trust}--index-url {base_url}simple/ PACKAGE"
        return
    yield f"Install with: pip install --cert {ca_path} --index-url {base_url}simple/ PACKAGE"
    yield f"The certificate comes from a private CA made for this machine, SHA-256 fingerprint {fingerprint}."
    yield (
        f"Clients elsewhere fetch it from {base_url}-/ca.pem, compare the fingerprint, and trust it with pip --cert FILE, "
        "SSL_CERT_FILE=FILE uv, or poetry config certificates.NAME.cert FILE."
    )


def taken_line(names: Sequence[str], allow_upstream: Sequence[str]) -> str | None:
    """Return the sentence about names that are private only because an entry of that name lies in the directory, or None.

    Args:
        names: The names.
        allow_upstream: Patterns of names that are requested from upstreams all the same.
    """
    taken = [name for name in names if matcher(tuple(allow_upstream)).find(ProjectName(name)) is None]
    if not taken:
        return None
    shown = ", ".join(taken[:_MOST_TAKEN])
    more = f" and {len(taken) - _MOST_TAKEN:,} more" if len(taken) > _MOST_TAKEN else ""
    return (
        f"{shown}{more}: requested from no upstream, because something of that name "
        "lies in the directory, though no distribution. Remove it, or name it in allow-upstream of the sources file, if it is no project "
        "of yours."
    )


def live_report(live: LiveDirectory, watch: str) -> StatusReport:
    """Return the state of a live directory."""
    strays = tuple(("", name, "name", reason) for name, reason in live.strays.items())
    return StatusReport(
        ready=live.complete and live.suspended is None,
        suspended=live.suspended,
        projects=live.snapshots.projects,
        files=live.snapshots.files,
        size=live.snapshots.size,
        withheld=strays
        + tuple((name, item.filename, item.rule, item.reason) for name, item in live.withheld()),
        watch="poll" if live.polling else watch,
        version=__version__,
        passed_over=live.unserved(),
        names_by_entries=live.names_by_entries(),
        stale=live.stale,
    )


def readiness_of(directories: Sequence[ServedDirectory]) -> Readiness:
    """Return whether all local directories have been read, and why one of them keeps everything from being answered."""
    suspended = [(each.name, each.live.suspended) for each in directories if each.live.suspended is not None]
    reason = None
    if suspended:
        name, sentence = suspended[0]
        reason = sentence if name == LOCAL else f"The directory {name}: {sentence}"
    unread = tuple(each.name for each in directories if not each.live.complete)
    return Readiness(not unread, reason, unread if len(directories) > 1 else ())


def report_of(directories: Sequence[ServedDirectory]) -> StatusReport:
    """Return the state of all served directories together."""
    reports = [live_report(each.live, each.choice.method) for each in directories]
    readiness = readiness_of(directories)
    # Several directories may have the same project.
    names = (
        {name for each in directories for name in each.live.snapshots.listed()}
        if len(directories) > 1
        else set()
    )
    return replace(
        reports[0],
        ready=readiness.is_complete and readiness.suspended is None,
        suspended=readiness.suspended,
        projects=len(names) if len(directories) > 1 else reports[0].projects,
        files=sum(report.files for report in reports),
        size=sum(report.size for report in reports),
        withheld=tuple(item for report in reports for item in report.withheld),
        stale=next((report.stale for report in reports if report.stale), None),
        passed_over=sum_up(item for report in reports for item in report.passed_over),
        names_by_entries=tuple(
            sorted({name for report in reports for name in report.names_by_entries} - names)
        ),
    )
