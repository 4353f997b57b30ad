"""What a built wheel and sdist must and must not hold; used by a test, and by .ci/run on what it built."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

PLUGIN = "twisted/plugins/simpleindex_plugin.py"
REQUIRED = (
    PLUGIN,
    "simpleindex/tap.py",
    "simpleindex/deploy/simpleindex.service",
    "simpleindex/docs/clients.md",
    "simpleindex/docs/decisions/http2.md",
)


def problems(wheel: Path, sdist: Path) -> list[str]:
    """Say what is wrong with the files to be published, one sentence each."""
    names = {wheel.name: _wheel_names(wheel), sdist.name: _sdist_names(sdist)}
    found = [
        f"{archive} lacks {name}" for archive, held in names.items() for name in REQUIRED if name not in held
    ]
    found += [
        f"{archive} lacks the licence" for archive, held in names.items() if not any(map(_is_licence, held))
    ]
    found += [
        f"{archive} holds {name}"
        for archive, held in names.items()
        for name in held
        if name.endswith((".pem", "dropin.cache", ".pyc", ".sqlite3")) or name == "twisted/__init__.py"
    ]
    if "twisted/plugins/__init__.py" in names[wheel.name]:
        found.append("the wheel would make twisted/plugins a package and hide the plugin")
    return found


def _is_licence(name: str) -> bool:
    return name.rpartition("/")[2] == "LICENSE"


def _wheel_names(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def _sdist_names(path: Path) -> set[str]:
    with tarfile.open(path) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def main(directory: Path) -> int:
    """Judge a directory of built files; prints what is wrong and returns the exit status."""
    (wheel,), (sdist,) = directory.glob("*.whl"), directory.glob("*.tar.gz")
    found = problems(wheel, sdist)
    print("\n".join(found) or f"{wheel.name} and {sdist.name} hold what they should.")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
