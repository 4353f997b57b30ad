"""Write the list of all files into the guide to the architecture: ``python -m tests.file_guide``."""

from __future__ import annotations

import ast
import re
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "simpleindex"
GUIDE = PACKAGE / "docs/architecture.md"

_HEADING = re.compile(r"(?s)(?<=<!-- files -->\n).*(?=<!-- end of files -->)")


def file_rows() -> str:
    """Return a line for each module, room by room: the first sentence of its docstring."""
    rooms: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name == "__init__.py":
            continue
        docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        sentence = docstring.partition("\n\n")[0].replace("\n", " ").replace("``", "`").rstrip(".")
        sentence = re.sub(r":(?:mod|class|func|data):`~?([\w.]+)`", r"`\1`", sentence)
        room = path.parent.relative_to(PACKAGE).as_posix()
        rooms.setdefault("" if room == "." else f"{room}/", []).append(f"- `{path.name}`: {sentence}")
    return "".join(
        f"\n### {room or 'the top'}\n\n" + "\n".join(rows) + "\n" for room, rows in sorted(rooms.items())
    )


def with_current_files(guide: str) -> str:
    """Return the guide with the modules that there are now."""
    return _HEADING.sub(lambda _: file_rows(), guide)


if __name__ == "__main__":
    GUIDE.write_text(with_current_files(GUIDE.read_text("utf-8")), "utf-8")
