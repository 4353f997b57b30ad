"""The documents hold: links lead somewhere, files and commands exist, and citations in code resolve."""

from __future__ import annotations

import re
from pathlib import Path

from simpleindex.commands.main import USAGE
from simpleindex.config.options import OPTIONS
from tests import file_guide
from tests.fixtures.tables import for_each

PROJECT = Path(__file__).parent.parent
PACKAGE = PROJECT / "simpleindex"
GUIDES = PACKAGE / "docs"

DOCUMENTS = [
    PROJECT / "README.md",
    *sorted(GUIDES.rglob("*.md")),
    *sorted((PROJECT / ".github").glob("*.md")),
]
CODE = [*sorted(PACKAGE.rglob("*.py")), *sorted((PROJECT / "tests").rglob("*.py"))]

_CITATION = re.compile(r"docs/((?:[a-z0-9-]+/)?[a-z0-9-]+\.md)`*(?:, \"([^\"]+)\"(?: and \"([^\"]+)\")?)?")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_SECTION_LINK = re.compile(r"\]\(([^)#\s]*)#([^)\s]+)\)")
_FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_WORDS_OF_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_FILE = re.compile(r"`((?:[a-z_]+/)+(?:[a-z_]+\.(?:py|toml|service))?)`")
_COMMAND = re.compile(r"(?:^|[\s/`(])simpleindex ([a-z][a-z-]+)(?: ([a-z]+))?")

_CLIENTS_OPTIONS = re.compile(r"(?<![\w-])--([a-z][a-z-]+)")
"""In a line with ``simpleindex`` or alone in backquotes, an option is one of ours."""

_OUR_DIRECTORIES = {each.name for each in PACKAGE.iterdir() if each.is_dir()}


def headings(path: Path) -> set[str]:
    """Return the headings of a document."""
    return {line.lstrip("#").strip() for line in path.read_text("utf-8").splitlines() if line.startswith("#")}


def slugs(text: str) -> list[str]:
    """Return the anchors of a Markdown file's headings as code hosts make them."""
    seen: dict[str, int] = {}
    found = []
    for words in re.findall(r"^##+ (.*)", _FENCED.sub("", text), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", _WORDS_OF_LINK.sub(r"\1", words).strip().lower()).replace(" ", "-")
        found.append(f"{slug}-{seen[slug]}" if slug in seen else slug)
        seen[slug] = seen.get(slug, 0) + 1
    return found


def name_of(path: Path) -> str:
    """Return a path below the project, as a test's name."""
    return path.relative_to(PROJECT).as_posix()


@for_each("path", DOCUMENTS, ids=name_of)
def test_every_link_leads_to_a_file(path: Path) -> None:
    """Relative to the document, as on the repository's pages."""
    links = [link for link in _LINK.findall(path.read_text("utf-8")) if "://" not in link]
    assert [link for link in links if not (path.parent / link).exists()] == []


@for_each("path", DOCUMENTS, ids=name_of)
def test_every_link_to_a_section_leads_there(path: Path) -> None:
    """By the anchors that code hosts give to headings."""
    links = [link for link in _SECTION_LINK.findall(path.read_text("utf-8")) if "://" not in link[0]]
    targets = [((path.parent / file) if file else path, anchor) for file, anchor in links]
    broken = [f"{file}#{anchor}" for file, anchor in targets if anchor not in slugs(file.read_text("utf-8"))]
    assert broken == []


@for_each("path", DOCUMENTS, ids=name_of)
def test_every_file_that_is_named_exists(path: Path) -> None:
    """``web/files.py`` is below the package, ``tests/...`` below the project."""
    named = [
        name for name in _FILE.findall(path.read_text("utf-8")) if name.partition("/")[0] in _OUR_DIRECTORIES
    ]
    assert [name for name in named if not (PACKAGE / name).exists()] == []
    tests = re.findall(r"`(tests/[a-z_/]+\.py)`", path.read_text("utf-8"))
    assert [name for name in tests if not (PROJECT / name).exists()] == []


def test_every_citation_of_a_document_resolves() -> None:
    """The file is there, and has the heading that is quoted behind it."""
    broken = []
    for path in CODE:
        text = re.sub(r"\n\s*(?:#\s*)?", " ", path.read_text("utf-8"))
        for name, *quoted in _CITATION.findall(text):
            document = GUIDES / name
            if not document.exists() or set(filter(None, quoted)) - headings(document):
                broken.append(f"{name_of(path)}: docs/{name} {quoted}")
    assert broken == []


@for_each("path", DOCUMENTS, ids=name_of)
def test_every_command_exists(path: Path) -> None:
    """A sub-command in a document is one that the program lists."""
    known = set(re.findall(r"^  ([a-z-]+)", USAGE, re.MULTILINE)) | {"unyank", "docs"}
    lines = re.findall(r"^    .*|^[^`\n]*(?=\n)|`[^`\n]+`", path.read_text("utf-8"), re.MULTILINE)
    commands = {
        command
        for line in lines
        if line.startswith(("    ", "`simpleindex"))
        for command, _ in _COMMAND.findall(line)
        if "twistd" not in line and "u simpleindex" not in line
    }
    assert commands - known == set()


@for_each("path", DOCUMENTS, ids=name_of)
def test_every_option_of_the_server_exists(path: Path) -> None:
    """On a line that starts the server."""
    known = {option.name for option in OPTIONS}
    text = path.read_text("utf-8").replace("\\\n", " ")
    used = {
        option
        for line in text.splitlines()
        if "twistd" in line and " simpleindex " in line
        for option in _CLIENTS_OPTIONS.findall(line.partition(" simpleindex ")[2])
        if line.startswith(("    ", ".venv", "twistd"))
    }
    assert used - known == set()


def test_the_list_of_files_is_current() -> None:
    """Mend it with ``python -m tests.file_guide``."""
    guide = file_guide.GUIDE.read_text("utf-8")
    assert file_guide.with_current_files(guide) == guide


def test_every_guide_is_reachable() -> None:
    """From the README, by one link or two."""
    reached: set[Path] = set()
    todo = [PROJECT / "README.md"]
    while todo:
        path = todo.pop().resolve()
        if path in reached or path.suffix != ".md":
            continue
        reached.add(path)
        todo += [
            path.parent / link
            for link in _LINK.findall(path.read_text("utf-8"))
            if (path.parent / link).is_file()
        ]
    decisions = {path.resolve() for path in (GUIDES / "decisions").glob("*.md")}
    assert {path.resolve() for path in GUIDES.rglob("*.md")} - reached - decisions == set()


def test_every_class_of_the_glossary_exists() -> None:
    """A term names the class that bears it."""
    classes = {
        name
        for path in PACKAGE.rglob("*.py")
        for name in re.findall(r"^(?:class )?(\w+)(?: = NewType|[(:])", path.read_text("utf-8"), re.MULTILINE)
    }
    named = set(re.findall(r"`([A-Z][a-z]+[A-Za-z]*)`", GUIDES.joinpath("glossary.md").read_text("utf-8")))
    assert named - classes == set()


def test_nothing_cites_what_a_clone_has_not_got() -> None:
    """No papers that lie elsewhere, and no rows of their tables."""
    forbidden = re.compile(r"\bSPEC\b|\bDESIGN\b|(?i:\btable[ _]?10\b)")
    citing = [path for path in [*CODE, *DOCUMENTS] if forbidden.search(path.read_text("utf-8"))]
    assert [name_of(path) for path in citing if path != Path(__file__)] == []
