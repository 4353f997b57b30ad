"""The report of an import."""

from __future__ import annotations

from simpleindex.migration.plan import RefusedFile
from simpleindex.migration.report import ImportReport, UsersReport, import_lines


def test_texts_of_strangers_stay_on_their_lines() -> None:
    """And the proposed access file comes last."""
    refused = [
        RefusedFile("acme", "a\x1b[31m\nb.whl", "it is\nbad"),
        RefusedFile("other", "", "its page is broken"),
    ]
    report = ImportReport("old", refused=refused, access='[[rule]]\nprojects = ["*"]\n', notes=["A note."])
    assert list(import_lines(report)) == [
        "Not imported: acme/a\\x1b[31m\\nb.whl: it is\\nbad.",
        "Not imported: other: its page is broken.",
        "A note.",
        "Imported 0 files of 0 projects from old; 0 already here; 2 refused.",
        "",
        '[[rule]]\nprojects = ["*"]',
    ]


def test_a_command_that_is_shown_can_be_pasted() -> None:
    users = UsersReport(unusable={"bob": "it has no hash", "$(reboot) x": "it has no hash"})
    lines = list(import_lines(ImportReport("old", users=users)))
    assert lines[0].endswith("Set a password: simpleindex passwd bob")
    assert lines[1].endswith("Set a password: simpleindex passwd '$(reboot) x'")
