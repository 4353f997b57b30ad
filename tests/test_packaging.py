"""The files to be published hold the plugin, and no key."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging import problems

PROJECT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and sdist built from a copy of the tree that also holds what must stay out."""
    copy = tmp_path_factory.mktemp("build") / "tree"
    ignored = shutil.ignore_patterns(
        ".git", ".venv", "*.egg-info", "__pycache__", ".mypy_cache", ".hypothesis"
    )
    shutil.copytree(PROJECT, copy, ignore=ignored)
    for stray in ("certs/privkey.pem", "simpleindex/key.pem", "twisted/plugins/dropin.cache"):
        (copy / stray).parent.mkdir(exist_ok=True)
        (copy / stray).write_bytes(b"secret")
    output = copy / "dist"
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(output), str(copy)]
    subprocess.run(command, check=True, capture_output=True)
    return output


@pytest.mark.slow
def test_wheel_and_sdist_hold_what_they_should(built: Path) -> None:
    """The plugin and the unit are in; certificates, caches and packages over Twisted's own are not."""
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    assert problems(wheel, sdist) == []
