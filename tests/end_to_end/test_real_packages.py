"""Some fifty real packages through our index: locked and installed by uv, pip and poetry, cold, warm, and from the cache alone."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.clients import pip, poetry, uv
from tests.end_to_end.real_packages import WANTED, Tree, Upstream, normalised, tree, write_project
from tests.fixtures.depth import THOROUGH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.running import Server

pytestmark = pytest.mark.slow

SOURCES = """
[[upstream]]
name = "real"
url = "http://127.0.0.1:{port}/simple/"
ttl = "10m"
"""

POETRY = """
[tool.poetry]
package-mode = false

[[tool.poetry.source]]
name = "mine"
url = "{url}"
priority = "primary"
"""


@pytest.fixture(scope="module")
def packages() -> Tree:
    """The tree; what needs it is skipped where it cannot be had."""
    found = tree()
    if isinstance(found, str):
        pytest.skip(f"there are no real packages: {found}")
    return found


def installed_in(path: Path) -> dict[str, str]:
    """What is installed in a directory, by name."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "--isolated", "list", "--format=json", "--path", path],
        check=True,
        capture_output=True,
        text=True,
    )
    return {
        each["name"].lower().replace("_", "-").replace(".", "-"): each["version"]
        for each in json.loads(listed.stdout)
    }


class Customer:
    """Who installs the tree, each time anew and with nothing kept from the time before."""

    def __init__(self, front: Server, home: Path) -> None:
        self.front = front
        self.home = home
        home.mkdir()

    def by_uv(self) -> dict[str, str]:
        """Lock, compare nothing, install what was locked."""
        client = uv(self.home, self.front.ca)
        write_project(self.home)
        client("lock", "--no-cache", "--default-index", self.front.simple)
        client("export", "--frozen", "--no-emit-project", "--output-file", "requirements.txt")
        how = ("--no-cache", "--require-hashes", "--index-url", self.front.simple, "--only-binary", ":all:")
        client("pip", "install", *how, "--requirement", "requirements.txt", "--target", self.home / "by-uv")
        return installed_in(self.home / "by-uv")

    def by_pip(self) -> dict[str, str]:
        """Resolve and install."""
        how = ("--no-cache-dir", "--no-compile", "--only-binary", ":all:", "--index-url", self.front.simple)
        pip(self.home, self.front.ca)("install", *how, "--target", self.home / "by-pip", *WANTED)
        return installed_in(self.home / "by-pip")

    def by_poetry(self) -> dict[str, str]:
        """Lock, and install what was locked."""
        project = self.home / "poetry"
        write_project(project)
        with (project / "pyproject.toml").open("a") as file:
            file.write(POETRY.format(url=self.front.simple))
        client = poetry(project)
        client("config", "--local", "certificates.mine.cert", str(self.front.ca))
        client("install")
        (packages,) = (project / ".venv" / "lib").glob("*/site-packages")
        return installed_in(packages)

    def lock(self) -> object:
        """What uv locked."""
        return normalised(tomllib.loads((self.home / "uv.lock").read_text()))


def test_a_tree_of_real_packages(packages: Tree, new_server: Callable[..., Server], tmp_path: Path) -> None:
    """All get the same from us, everything is fetched once, and what was fetched is there when nobody is behind any more."""
    wanted = {each["name"]: each["version"] for each in packages.packages}
    assert len(wanted) >= 40
    front = new_server(name="front")
    with Upstream(packages) as upstream:
        (front.home / "sources.toml").write_text(SOURCES.format(port=upstream.port))
        front.options = ("--sources", str(front.home / "sources.toml"))
        front.start()
        cold = Customer(front, tmp_path / "cold")
        with ThreadPoolExecutor(3) as pool:
            got = [
                each.result()
                for each in [pool.submit(one) for one in (cold.by_uv, cold.by_pip, cold.by_poetry)]
            ]
        assert got == [wanted] * 3
        assert cold.lock() == normalised(packages.lock)
        pages = [path for path in upstream.asked if path.startswith("/simple/")]
        assert sorted(pages) == sorted(f"/simple/{name}/" for name in wanted)
        assert len(upstream.asked) == len(set(upstream.asked))
        asked = len(upstream.asked)
        warm = Customer(front, tmp_path / "warm")
        assert warm.by_uv() == wanted
        assert upstream.asked[asked:] == []
    front.stop()
    front.start()
    alone = Customer(front, tmp_path / "alone")
    ways = (alone.by_uv, alone.by_pip, alone.by_poetry) if THOROUGH else (alone.by_uv,)
    assert [way() for way in ways] == [wanted] * len(ways)
    assert alone.lock() == normalised(packages.lock)
