"""Write the reports of ``simpleindex doctor`` for people: one line a subject, and each finding with its remedy."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, Final

from simpleindex.core.text import plural
from simpleindex.diagnosis.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from simpleindex.diagnosis.finding import SubjectReport

_WELL: Final = "ok"
_MARKS: Final = {Severity.HINT: "hint", Severity.WARNING: "warning", Severity.ERROR: "error"}
_SIGNS: Final = {_WELL: "✓", "hint": "i", "warning": "!", "error": "✗"}
_COLOURS: Final = {_WELL: "32", "hint": "36", "warning": "33", "error": "31;1"}
_LONGEST_SUBJECT: Final = 13
_WIDEST: Final = 110


class ReportWriter:
    """Writes reports, with signs and colours on a terminal and with words elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        has_signs = self._is_terminal and (stream.encoding or "").lower().replace("-", "") == "utf8"
        self._words = _SIGNS if has_signs else {word: word for word in _SIGNS}
        self._width = (
            min(shutil.get_terminal_size((_WIDEST, 24)).columns - 1, _WIDEST) if self._is_terminal else 0
        )
        self._margin = 1 if has_signs else max(map(len, _SIGNS))

    def write(self, report: SubjectReport) -> None:
        """Write what is known of a subject."""
        if not report.findings:
            self._line(_WELL, report.subject, report.summary)
        for number, finding in enumerate(report.findings):
            self._line(_MARKS[finding.severity], "" if number else report.subject, finding.sentence)
            if finding.remedy:
                # Never broken, so that it can be copied.
                self._stream.write(f"{self._indent}{self._coloured('$ ' + finding.remedy, '1')}\n")
        self._stream.flush()

    def end(self, reports: Sequence[SubjectReport]) -> None:
        """Write the last line."""
        counts = [
            plural(count, _MARKS[severity])
            for severity in (Severity.ERROR, Severity.WARNING, Severity.HINT)
            if (count := sum(each.severity is severity for report in reports for each in report.findings))
        ]
        self._stream.write(f"\n{', '.join(counts)}.\n" if counts else "\nAll is well.\n")

    def _line(self, mark: str, subject: str, text: str) -> None:
        word = self._coloured(self._words[mark].ljust(self._margin), _COLOURS[mark])
        lines = (
            textwrap.wrap(
                text, self._width - len(self._indent), break_long_words=False, break_on_hyphens=False
            )
            if self._width
            else [text]
        )
        first, *rest = lines or [""]
        self._stream.write(f"{word}  {subject.ljust(_LONGEST_SUBJECT)} {first}".rstrip() + "\n")
        for line in rest:
            self._stream.write(f"{self._indent}{line}\n")

    @property
    def _indent(self) -> str:
        return " " * (self._margin + 2 + _LONGEST_SUBJECT + 1)

    def _coloured(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._is_terminal else text
