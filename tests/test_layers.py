"""The import rule of the house: inward only (core <- store <- sources <- web <- the rest)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import simpleindex

HOUSE = Path(simpleindex.__file__).parent
LAYERS = {"core": 0, "store": 1, "outgoing": 1, "sources": 2, "web": 3}
OUTERMOST = 4
MODULES = sorted(HOUSE.rglob("*.py"))


def layer_of(module: str) -> int:
    """The layer of a dotted module name of ours."""
    parts = module.split(".")
    return LAYERS.get(parts[1], OUTERMOST) if len(parts) > 1 else 0


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            base = node.module or ""
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def dotted(path: Path) -> str:
    """A file's module name."""
    return ".".join(("simpleindex", *path.relative_to(HOUSE).with_suffix("").parts))


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_go_inward_only(path: Path) -> None:
    """No module imports from a layer further out than its own."""
    own = layer_of(dotted(path))
    outward = {name for name in imports_of(path) if name.startswith("simpleindex.") and layer_of(name) > own}
    assert not outward


@pytest.mark.parametrize("path", sorted((HOUSE / "core").rglob("*.py")), ids=dotted)
def test_core_is_pure(path: Path) -> None:
    """The core knows neither Twisted nor the file system nor the network nor the clock."""
    forbidden = {"twisted", "os", "pathlib", "socket", "time", "io", "threading", "sqlite3", "subprocess"}
    assert not {name.partition(".")[0] for name in imports_of(path)} & forbidden


@pytest.mark.parametrize("path", sorted((HOUSE / "sources").glob("*.py")), ids=dotted)
def test_sources_do_not_import_one_another(path: Path) -> None:
    """Sources are put together in the composition root; they know only the interface."""
    others = {name.split(".")[2] for name in imports_of(path) if name.startswith("simpleindex.sources.")}
    assert others <= {"interface"}


@pytest.mark.parametrize("path", sorted((HOUSE / "store").rglob("*.py")), ids=dotted)
def test_the_store_never_sees_a_request(path: Path) -> None:
    """Bytes at rest know nothing of HTTP."""
    assert not {name for name in imports_of(path) if name.startswith("twisted.web")}


@pytest.mark.parametrize("path", sorted((HOUSE / "web").rglob("*.py")), ids=dotted)
def test_the_web_never_sees_a_path(path: Path) -> None:
    """HTTP knows names, not places; only the access log is a file of its own."""
    allowed = {"access_log"}
    assert path.stem in allowed or not {name.partition(".")[0] for name in imports_of(path)} & {
        "os",
        "pathlib",
    }


def test_only_tap_imports_the_global_reactor() -> None:
    """The reactor is a parameter everywhere else, and even tap imports it inside a function."""
    importers = {
        dotted(path)
        for path in MODULES
        if "twisted.internet.reactor" in imports_of(path)
        or "twisted.internet.threads.deferToThread" in imports_of(path)
    }
    assert importers == {"simpleindex.tap"}
    tree = ast.parse((HOUSE / "tap.py").read_text(encoding="utf-8"))
    top_level = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert "reactor" not in top_level
