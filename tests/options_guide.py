"""Write the table of options into their guide: ``python -m tests.options_guide``."""

from __future__ import annotations

import re
from pathlib import Path

from simpleindex.config.options import guide_rows

GUIDE = Path(__file__).parent.parent / "simpleindex/docs/options.md"


def with_current_table(guide: str) -> str:
    """Return the guide with the rows that the program has now."""
    return re.sub(r"(?s)(?<=\|---\|---\|---\|\n).*(?=<!-- end of options -->)", lambda _: guide_rows(), guide)


if __name__ == "__main__":
    GUIDE.write_text(with_current_table(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
