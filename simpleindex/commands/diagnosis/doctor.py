"""``simpleindex doctor``: what is wrong with a server and its machine, how bad it is, and the command that mends it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from simpleindex.commands.arguments import Parser
from simpleindex.commands.diagnosis.doctor_report import ReportWriter
from simpleindex.commands.diagnosis.doctor_subjects import DoctorOptions, examine_subjects
from simpleindex.diagnosis.finding import exit_status
from simpleindex.tap import Options

if TYPE_CHECKING:
    from simpleindex.diagnosis.finding import SubjectReport


class _ServerOptions(Options):
    """The options of a server whose directory may be gone: that is a finding."""

    def postOptions(self) -> None:
        self.settings = self.resolve(root_may_be_gone=True)


def doctor(words: list[str]) -> int:
    """Print what is wrong.

    Returns:
        The exit status: 0 if nothing is wrong, 1 with warnings, 2 with errors.
    """
    parser = Parser(
        prog="simpleindex doctor",
        description="Find out what is wrong with a server and its machine, whether the server runs or not. "
        "Every option of the server can be given too, but --config or SIMPLEINDEX_CONFIG has them.",
        epilog="Exit status 0: nothing is wrong; 1: there are warnings; 2: there are errors.",
    )
    parser.add_argument(
        "--deep",
        action="store_true",
        help="read every file again, and compare its digest with what is listed",
    )
    parser.add_argument("--offline", action="store_true", help="request no upstream")
    parser.add_argument(
        "--as", dest="user", metavar="USER", help="the user of the service [default: who owns --state]"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given, rest = parser.parse_known_args(words)
    options = _ServerOptions()
    options.parseOptions(rest)
    chosen = DoctorOptions(options.settings, given.user, is_deep=given.deep, is_offline=given.offline)
    reports: list[SubjectReport] = []
    writer = None if given.json else ReportWriter(sys.stdout)
    for report in examine_subjects(chosen):
        reports.append(report)
        if writer is not None:
            writer.write(report)
    if writer is None:
        print(json.dumps(_as_json(reports), indent=2))
    else:
        writer.end(reports)
    return exit_status(reports)


def _as_json(reports: list[SubjectReport]) -> dict[str, object]:
    return {
        "status": exit_status(reports),
        "subjects": [
            {
                "subject": report.subject,
                "summary": report.summary,
                "findings": [
                    {**asdict(finding), "severity": finding.severity.name.lower()}
                    for finding in report.findings
                ],
            }
            for report in reports
        ],
    }
