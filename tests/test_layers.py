"""The house: rooms by subject, each of which imports from the rooms below it and never from one above."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import simpleindex
from tests.fixtures.tables import for_each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HOUSE = Path(simpleindex.__file__).parent
MODULES = sorted(HOUSE.rglob("*.py"))

ROOMS = (
    # From the lowest to the highest: a room may import from itself and from those before it.
    "__init__",  # the version
    "core",
    "system",
    "config",
    "tls",
    "access",
    "policy",
    "archives",
    "records",
    "directory",
    "upstreams",
    "publishing",
    "bucket",
    "migration",
    "views",
    "search",
    "hooks",
    "web",
    "metrics",
    "service",
    "backup",
    "diagnosis",
    "tap",
    "commands",
    "__main__",
)

PURE = (
    # Decisions over values outside of core, which is pure as a whole.
    "access.access_file",
    "access.logins.backoff",
    "access.logins.credentials",
    "access.errors",
    "access.logins.htpasswd",
    "access.identity",
    "access.messages",
    "access.rights",
    "access.rules",
    "access.token_options",
    "archives.errors",
    "archives.examination.limits",
    "archives.verification.strict_metadata",
    "backup.errors",
    "backup.manifest",
    "backup.plan",
    "commands.cache.choose_files",
    "commands.cache.lock_file",
    "commands.cache.requirements",
    "diagnosis.accounts",
    "diagnosis.bucket",
    "diagnosis.certificates",
    "diagnosis.configuration",
    "diagnosis.databases",
    "diagnosis.digests",
    "diagnosis.finding",
    "diagnosis.machine",
    "diagnosis.packages",
    "diagnosis.permissions",
    "diagnosis.rules",
    "diagnosis.server",
    "diagnosis.upstreams",
    "directory.scan.assemble",
    "directory.ledger",
    "directory.live.listing_changes",
    "directory.project_file",
    "directory.layout.distribution_like",
    "directory.layout.unserved",
    "hooks.errors",
    "hooks.notification",
    "hooks.settings",
    "metrics.facts",
    "metrics.families",
    "metrics.worker_reports",
    "migration.devpi_pages",
    "migration.errors",
    "migration.people",
    "migration.pypicloud_people",
    "policy.deny_list",
    "policy.judgement",
    "policy.messages",
    "policy.osv",
    "policy.rules",
    "policy.rules_file",
    "publishing.upload.checks",
    "publishing.errors",
    "publishing.upload.form",
    "publishing.upload.acceptance",
    "publishing.upload.incoming_upload",
    "publishing.interface",
    "publishing.name_claim",
    "publishing.project_file_edits",
    "publishing.copying.copy_plan",
    "records.audit.audit_questions",
    "records.lost_records",
    "search.document",
    "search.excerpt",
    "search.folding",
    "search.release_events",
    "search.query",
    "search.ranking",
    "search.visibility",
    "system.path_steps",
    "upstreams.pages.page_formats",
    "upstreams.pages.enrich",
    "upstreams.pages.entries",
    "upstreams.pages.flat",
    "upstreams.http.headers",
    "upstreams.pages.html",
    "upstreams.errors",
    "upstreams.interface",
    "upstreams.pages.links",
    "upstreams.pages.listing_faults",
    "upstreams.http.missing",
    "upstreams.modes",
    "upstreams.pages.project_parser",
    "upstreams.pages.roots",
    "upstreams.settings",
    "upstreams.pages.signed_urls",
    "upstreams.client_options",
    "upstreams.pages.urls",
    "upstreams.http.waits",
    "views.explain",
    "views.name_rules",
    "views.sources_file",
    "web.conditional",
    "web.http.hosts",
    "web.http.problems",
    "web.routing.old_urls",
    "web.pages.explain",
    "web.pages.listing_parts",
    "web.pages.negotiation",
    "web.pages.notes",
    "web.pages.safe_values",
    "web.pages.simple_html",
    "web.pages.simple_json",
    "web.pages.templates",  # reads files of the package at import
    "web.people.badge",
    "web.people.project.download_plot",
    "web.people.feed_document",
    "web.publish.cross_site",
    "web.routing.routes",
    "web.routing.targets",
    "web.status.worker_statuses",
)

_IMPURE = {
    "io",
    "os",
    "pathlib",
    "shutil",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "twisted",
}


def dotted(path: Path) -> str:
    """Return a file's module name below the package: ``web.http.respond``; a package's own is that of its room."""
    parts = path.relative_to(HOUSE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


PATHS = {dotted(path): path for path in MODULES}


@cache
def imports_of(module: str) -> frozenset[str]:
    """Return every module that a module imports, anywhere in it, also for type annotations only."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(PATHS[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports relatively"
            base = node.module or ""
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return frozenset(found)


@cache
def own_imports_of(module: str) -> frozenset[str]:
    """Return the modules of ours that a module imports."""
    found = set()
    for name in imports_of(module):
        package, _, rest = name.partition(".")
        if package != "simpleindex":
            continue
        # "from simpleindex.core.names import ProjectName" imports core.names; "from simpleindex import __version__" the package.
        while rest and rest not in PATHS:
            rest = rest.rpartition(".")[0]
        found.add(rest or "__init__")
    return frozenset(found)


def room_of(module: str) -> str:
    """Return the room that a module lies in."""
    return module.partition(".")[0]


def test_every_room_has_its_place() -> None:
    """Also a new one, and none is listed that there is not."""
    assert {room_of(module) for module in PATHS} == set(ROOMS)


def test_imports_go_down_only() -> None:
    """No module imports from a room above its own."""
    place = {module: ROOMS.index(room_of(module)) for module in PATHS}
    upward = {
        (module, name) for module in PATHS for name in own_imports_of(module) if place[name] > place[module]
    }
    assert upward == set()


def test_there_is_no_circle() -> None:
    """Not between files either: from no module a way of imports leads back to it."""
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join((*way[way.index(module) :], module))
        if module in done:
            return
        for name in sorted(own_imports_of(module)):
            visit(name, (*way, module))
        done.add(module)

    for module in PATHS:
        visit(module, ())


def test_only_core_knows_how_files_are_packed() -> None:
    """Other rooms give a project its files and read them from it."""
    packing = {module for module in PATHS if "core.packed" in own_imports_of(module)}
    assert {room_of(module) for module in packing} == {"core"}


def importing(modules: Iterable[str], is_meant: Callable[[str], bool]) -> set[str]:
    """Return the modules that import something that is meant."""
    return {module for module in modules if any(map(is_meant, imports_of(module)))}


def test_decisions_are_pure() -> None:
    """They know neither Twisted nor the file system, the network or the clock, nor anything of ours that does."""
    pure = {*PURE, *(name for name in PATHS if room_of(name) == "core")}
    assert importing(pure, lambda name: name.partition(".")[0] in _IMPURE) == set()
    assert {(module, name) for module in pure for name in own_imports_of(module) if name not in pure} == set()


def test_only_the_web_sees_requests() -> None:
    """The rooms below it know nothing of a server's HTTP; the clients of upstreams and of webhooks make some."""
    below = {name for name in PATHS if ROOMS.index(room_of(name)) < ROOMS.index("web")}
    seeing = importing(below, lambda name: name.startswith("twisted.web"))
    assert {name for name in seeing if not name.startswith(("upstreams.", "hooks.webhooks"))} == set()


def test_the_web_never_sees_a_path() -> None:
    """HTTP knows names, not places; the access log is a file, and a certificate authority's challenges lie in one."""
    web = {name for name in PATHS if room_of(name) == "web"}
    seeing = importing(web, lambda name: name.partition(".")[0] in {"os", "pathlib"})
    assert seeing <= {"web.http.access_log", "web.acme_challenges"}


def test_only_programs_import_the_global_reactor() -> None:
    """The server, its workers, and commands that make requests; everybody else takes one as a parameter."""
    programs = importing(PATHS, lambda name: name == "twisted.internet.reactor")
    assert programs == {"commands.reactor_thread", "service.workers.worker", "tap"}


@for_each("room", [name for name in ROOMS if (HOUSE / name).is_dir()])
def test_tests_lie_in_rooms_of_the_same_name(room: str) -> None:
    """Who looks for the tests of a room finds them."""
    assert list((Path(__file__).parent / room).glob("test_*.py"))


def test_a_public_name_has_one_meaning() -> None:
    """Two public classes or functions of one name would be two things under one word; each program has its ``main``."""
    names: dict[str, list[str]] = {}
    for module, path in PATHS.items():
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
                names.setdefault(node.name, []).append(module)
    del names["main"]
    assert {name: modules for name, modules in names.items() if len(modules) > 1} == {}
