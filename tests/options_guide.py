"""Write the table of options into their guide: ``python -m tests.options_guide``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from simpleindex.config.help_text import OPTION_GROUPS
from simpleindex.config.options import OPTIONS

if TYPE_CHECKING:
    from simpleindex.config.option import Option

GUIDE = Path(__file__).parent.parent / "simpleindex/docs/options.md"


def guide_rows() -> str:
    """Return the tables in docs/options.md, one for each group."""
    rows = {option.name: f"{_guide_row(option)}\n" for option in OPTIONS}
    return "\n".join(
        f"## {title}\n\n| option | default | meaning |\n|---|---|---|\n"
        + "".join(map(rows.__getitem__, names))
        for title, names in OPTION_GROUPS.items()
    )


def _guide_row(option: Option) -> str:
    metavar = f" {option.metavar}" if option.metavar else ""
    name = f"`--{option.name}{metavar}`{' (repeatable)' if option.repeatable else ''}"
    default = option.default_words or "off"
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in (name, default, option.help)) + " |"


def with_current_table(guide: str) -> str:
    """Return the guide with the rows that the program has now."""
    return re.sub(
        r"(?s)(?<=<!-- options -->\n).*(?=<!-- end of options -->)", lambda _: f"\n{guide_rows()}\n", guide
    )


if __name__ == "__main__":
    GUIDE.write_text(with_current_table(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
