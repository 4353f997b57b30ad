"""The report of an import: as lines for people, and as JSON. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from shlex import quote
from typing import TYPE_CHECKING, Any, Final

from simpleindex.core.text import human_size, plural, printable
from simpleindex.migration.importer import INVALID

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from simpleindex.migration.arrival import ImportedFile
    from simpleindex.migration.plan import ProjectPlan, RefusedFile


_ADVICE: Final = (
    "Files that are no valid distributions are left out as uploads of them would be. Checks of wheels can be relaxed in [uploads] of "
    "the access file: require-record = false, require-matching-tags = false. Or copy what you trust into its project's directory."
)


@dataclass(frozen=True, slots=True)
class UsersReport:
    """What became of the users of the other server.

    Attributes:
        added: Those that are new in the users file, or would be.
        present: Those that were in it already, and keep their passwords.
        unusable: The others, with the reason.
        path: The users file; None if the server has none.
    """

    added: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    unusable: Mapping[str, str] = field(default_factory=dict)
    path: str | None = None


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import came to.

    Attributes:
        plans: What was to be done about each project.
        refused: Files that were not imported, those of the plans too.
        users: What became of users.
        access: The proposed access file; empty without one.
        notes: Further sentences.
        dry_run: Whether nothing was changed.
    """

    source: str
    plans: Sequence[ProjectPlan] = ()
    imported: Sequence[ImportedFile] = ()
    refused: Sequence[RefusedFile] = ()
    users: UsersReport = UsersReport()
    access: str = ""
    notes: Sequence[str] = ()
    dry_run: bool = False


def import_lines(report: ImportReport) -> Iterator[str]:
    """Yield what is printed at the end."""
    if report.dry_run:
        for plan in report.plans:
            for file in plan.fetched:
                yanked = "; yanked" if file.yanked is not None else ""
                yield f"Would import {plan.project.name}/{file.filename}, {_size(file.size)}{yanked}."
    for refused in report.refused:
        where = f"{refused.project}/{refused.filename}" if refused.filename else refused.project
        yield f"Not imported: {printable(where)}: {printable(refused.reason)}."
    if any(refused.reason.startswith(INVALID) for refused in report.refused):
        yield _ADVICE
    yield from _users_lines(report)
    yield from report.notes
    yield _sum(report)
    if report.access:
        yield ""
        yield report.access.rstrip("\n")


def _users_lines(report: ImportReport) -> Iterator[str]:
    users = report.users
    would = "Would add" if report.dry_run else "Added"
    if users.added and users.path:
        yield f"{would} to {printable(users.path)}: {_names(users.added)}, with their passwords."
    elif users.added:
        yield f"No users file takes {_names(users.added)}: name it with --users FILE, and run this again."
    if users.present:
        yield f"Users that keep the passwords they have here: {_names(users.present)}."
    for name, reason in users.unusable.items():
        yield f"{printable(name)} cannot log in yet: {printable(reason)}. Set a password: simpleindex passwd {quote(printable(name))}"


def _sum(report: ImportReport) -> str:
    present = sum(len(plan.present) for plan in report.plans)
    if report.dry_run:
        files = sum(len(plan.fetched) for plan in report.plans)
        size = sum(plan.size for plan in report.plans)
        done = f"Would import {plural(files, 'file')}"
    else:
        new = [file for file in report.imported if file.created]
        present += len(report.imported) - len(new)
        files, size = len(new), sum(file.size for file in new)
        done = f"Imported {plural(files, 'file')}"
    of = f" of {plural(len(report.plans), 'project')} from {report.source}"
    sizes = f", {human_size(size)}" if size else ""
    return f"{done}{of}{sizes}; {present:,} already here; {len(report.refused):,} refused."


def report_json(report: ImportReport) -> dict[str, Any]:
    """Return the report for programs."""
    planned = [(plan.project.name, file) for plan in report.plans for file in plan.fetched]
    return {
        "source": report.source,
        "dry_run": report.dry_run,
        "projects": len(report.plans),
        "planned": [
            {"project": name, "filename": file.filename, "size": file.size, "yanked": file.yanked}
            for name, file in planned
        ],
        "imported": [
            {"project": file.project, "filename": file.filename, "sha256": file.sha256, "size": file.size}
            for file in report.imported
            if file.created
        ],
        "present": [
            *(
                {"project": plan.project.name, "filename": file.filename}
                for plan in report.plans
                for file in plan.present
            ),
            *(
                {"project": file.project, "filename": file.filename}
                for file in report.imported
                if not file.created
            ),
        ],
        "refused": [
            {"project": each.project, "filename": each.filename, "reason": each.reason}
            for each in report.refused
        ],
        "users": {
            "file": report.users.path,
            "added": list(report.users.added),
            "present": list(report.users.present),
            "unusable": dict(report.users.unusable),
        },
        "access": report.access,
        "notes": list(report.notes),
    }


def _names(names: Sequence[str]) -> str:
    return ", ".join(map(printable, names))


def _size(size: int | None) -> str:
    return "of unknown size" if size is None else human_size(size)
