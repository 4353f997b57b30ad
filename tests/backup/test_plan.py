"""Plans of restores, outdated backups, and the configuration of a server at another place."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime

import pytest

from simpleindex.backup.elsewhere import moved_paths, options_elsewhere, options_file
from simpleindex.backup.manifest import (
    BackupItem,
    BackupPart,
    InvalidManifest,
    ItemKind,
    ItemOwner,
    Manifest,
    PackagesMode,
)
from simpleindex.backup.plan import RestoreRoot, is_backup_name, oldest_first, plan_restore

STATE = BackupPart("state", "/var/lib/s")
CERTS = BackupPart("certs", "/var/lib/s/certs")
CONFIG = BackupPart("config", "/etc/s/s.toml", is_file=True)
USERS = BackupPart("users", "/etc/s/users", is_file=True)
PACKAGES = BackupPart("packages", "/srv/packages")


def item(part: str, path: str, kind: ItemKind = ItemKind.FILE) -> BackupItem:
    return BackupItem(part, path, kind, 0o600, 5, ItemOwner(0, 0), 0, "ab" * 32)


def top(part: str) -> BackupItem:
    return item(part, "", ItemKind.DIRECTORY)


def manifest(
    parts: tuple[BackupPart, ...], items: tuple[BackupItem, ...], **options: tuple[str, ...]
) -> Manifest:
    return Manifest("simpleindex 1", "now", "host", PackagesMode.LINK, options, parts, items)


WHOLE = manifest(
    (PACKAGES, CONFIG, USERS, CERTS, STATE),
    (
        *(top("packages"), item("packages", "acme", ItemKind.DIRECTORY), item("packages", "acme/a.whl")),
        *(item("config", "s.toml"), item("users", "users")),
        *(top("certs"), item("certs", "a.pem"), item("certs", "live.pem", ItemKind.LINK)),
        *(top("state"), item("state", "records.sqlite3")),
    ),
)


def test_to_the_places_of_the_manifest() -> None:
    """Certificates that lie in the state belong to its root; files of the configuration share their directory."""
    plan = plan_restore(WHOLE)
    assert plan.roots == (
        RestoreRoot("/srv/packages", False, ("acme",)),
        RestoreRoot("/var/lib/s", False, ("certs", "records.sqlite3")),
        RestoreRoot("/etc/s", True, ("s.toml", "users")),
    )
    steps = [(step.root, step.path, step.item.kind.value) for step in plan.steps]
    assert ("/var/lib/s", "certs/a.pem", "file") in steps
    assert ("/etc/s", "users", "file") in steps
    assert steps[-1] == ("/var/lib/s", "certs/live.pem", "link")
    kinds = [kind for _, _, kind in steps]
    assert kinds == sorted(kinds, key=["directory", "file", "link"].index)


def test_below_another_directory() -> None:
    """Everything lies to each other as before."""
    plan = plan_restore(WHOLE, "/tmp/x")
    assert [root.path for root in plan.roots] == ["/tmp/x/srv/packages", "/tmp/x/var/lib/s", "/tmp/x/etc/s"]
    assert plan.target("/srv/packages") == "/tmp/x/srv/packages"


def test_a_configuration_inside_a_directory_of_the_server() -> None:
    """Its directory is no root of its own."""
    inside = BackupPart("config", "/var/lib/s/s.toml", is_file=True)
    plan = plan_restore(manifest((inside, STATE), (item("config", "s.toml"), top("state"))))
    assert plan.roots == (RestoreRoot("/var/lib/s", False, ("s.toml",)),)


@pytest.mark.parametrize(
    ("parts", "items"),
    [
        # A link of one part leads another part out of it.
        (
            (STATE, CERTS),
            (top("state"), item("state", "certs", ItemKind.LINK), top("certs"), item("certs", "a")),
        ),
        ((STATE, CERTS), (top("state"), item("state", "certs"), top("certs"))),
        (
            (STATE, BackupPart("x", "/var/lib/s/a/b", is_file=True)),
            (top("state"), item("state", "a"), item("x", "b")),
        ),
        (
            (STATE, BackupPart("x", "/var/lib/s/a", is_file=True)),
            (top("state"), item("state", "a"), item("x", "a")),
        ),
        (
            (STATE, BackupPart("other", "/var/lib/s")),
            (top("state"), item("state", "a"), top("other"), item("other", "a")),
        ),
    ],
)
def test_parts_that_do_not_fit_together(parts: tuple[BackupPart, ...], items: tuple[BackupItem, ...]) -> None:
    with pytest.raises(InvalidManifest):
        plan_restore(manifest(parts, items))


def test_the_order_of_backups() -> None:
    """By time; those of the future first. Other names are nobody's backups."""
    names = [
        "2026-11-29T05-00-00Z",
        "2026-11-27T05-00-00Z",
        "2099-01-01T00-00-00Z",
        "notes",
        "2026-11-28T05-00-00Z",
        ".simpleindex-unfinished",
    ]
    now = datetime(2026, 11, 29, 5, 0, tzinfo=UTC).timestamp()
    assert oldest_first(names, now) == [names[2], names[1], names[4], names[0]]
    assert oldest_first(names, now - 3600) == [names[0], names[2], names[1], names[4]]
    assert not is_backup_name("2026-11-29T05-00-00Z.part")


def test_options_at_another_place() -> None:
    """Paths move, packages that are not in the backup stay, and logs are not written to their old place."""
    apart = BackupPart("packages", "/srv/packages", is_stored=False)
    made = manifest(
        (apart, STATE),
        (top("state"),),
        **{
            "path": ("/srv/packages",),
            "state": ("/var/lib/s",),
            "https": ("443", "8443"),
            "serve-http": ("true",),
            "title": ('A "title" \\ ü',),
            "access-log": ("/var/log/s",),
            "config": ("/etc/s.toml",),
        },
    )
    options = options_elsewhere(made, plan_restore(made, "/x"))
    assert tomllib.loads(options_file(options)) == {
        "path": "/srv/packages",
        "state": "/x/var/lib/s",
        "https": ["443", "8443"],
        "serve-http": True,
        "title": 'A "title" \\ ü',
    }
    assert tomllib.loads(options_file({"serve-http": ("no",)})) == {"serve-http": False}


def test_paths_in_a_sources_file() -> None:
    """Only whole paths of what is restored are moved, wherever they stand in a value."""
    secret = BackupPart("named-1", "/etc/s/secret", is_file=True)
    made = manifest((PACKAGES, secret), (top("packages"), item("named-1", "secret")))
    text = (
        'path = "/srv/packages/more"\nother = \'/srv/packages\'\ncredentials = "file:/etc/s/secret"\n'
        'not = "/srv/packages-old"\nnor = "relative/srv/packages"\n'
    )
    assert moved_paths(text, made, plan_restore(made, "/x")) == (
        'path = "/x/srv/packages/more"\nother = \'/x/srv/packages\'\ncredentials = "file:/x/etc/s/secret"\n'
        'not = "/srv/packages-old"\nnor = "relative/srv/packages"\n'
    )
