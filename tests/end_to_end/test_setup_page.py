"""The settings of ``/-/setup/``, copied from the page of a private index and used as they are by the tools that they are for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from base64 import b64encode
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pip
import pytest

from tests.end_to_end.clients import found
from tests.end_to_end.publishing import Publishing, make_dist, start_publishing
from tests.end_to_end.running import Server, bare_environment
from tests.fixtures.distributions import add_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.end_to_end.running import Installed

pytestmark = pytest.mark.slow

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Dest": "document"}

ACCESS = """\
private = true

[[rule]]
projects = ["*"]
upload = ["authenticated"]
"""

PROJECT = """\
[project]
name = "customer"
version = "1.0"
requires-python = ">=3.11"
dependencies = []

[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

"""

BACKEND = '''\
"""Copies distributions that were made before."""
import shutil

def build_wheel(directory, *_):
    return shutil.copy("made/{wheel}", directory).rpartition("/")[2]

def build_sdist(directory, *_):
    return shutil.copy("made/{sdist}", directory).rpartition("/")[2]

def build_editable(directory, *_):
    return build_wheel(directory)
'''


PIP = """\
#!{python}
import sys

sys.path.append("{packages}")
from pip._internal.cli.main import main

sys.exit(main())
"""
"""A script that lends the pip of this environment to another one, in a hundredth of the time that it takes to install it."""


@dataclass
class Section:
    """What the page has for one tool: each block to copy, and the file that it belongs into, or ``shell``."""

    read: list[tuple[str, str]] = field(default_factory=list)
    publish: list[tuple[str, str]] = field(default_factory=list)
    test: list[tuple[str, str]] = field(default_factory=list)


class SetupReader(HTMLParser):
    """Reads the page as a person does: headings, and below them blocks to copy.

    Attributes:
        sections: By their headings.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sections: dict[str, Section] = {}
        self._section = Section()
        self._part = self._section.read
        self._place = "shell"
        self._text: list[str] | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("h2", "h3", "pre") or (tag == "p" and ("class", "place") in attrs):
            self._text = []

    def handle_endtag(self, tag: str) -> None:
        if self._text is None or tag not in ("h2", "h3", "pre", "p"):
            return
        text, self._text = "".join(self._text), None
        if tag == "h2":
            self._section = self.sections.setdefault(text, Section())
            self._part = self._section.read
        elif tag == "h3":
            self._part = {"Publish": self._section.publish, "Test it": self._section.test}[text]
        elif tag == "p":
            self._place = text
        else:
            self._part.append((self._place, text))
            self._place = "shell"

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)


@pytest.fixture(scope="module")
def site(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publishing]:
    """A private index with a private CA."""
    home = tmp_path_factory.mktemp("setup")
    made: list[Server] = []

    def new_server(name: str) -> Server:
        server = Server(installed, home / name, home / "packages")
        add_wheel(server.root, "rockets", "1.0", "Requires-Dist: fuel")
        add_wheel(server.root, "fuel", "1.5")
        made.append(server)
        return server

    yield start_publishing(new_server, access=ACCESS)
    for server in made:
        server.stop()


@pytest.fixture(scope="module")
def sections(site: Publishing) -> dict[str, Section]:
    """What the page shows to alice."""
    login = b64encode(f"alice:{site.passwords['alice']}".encode()).decode()
    answer = site.server.get("/-/setup/", Authorization=f"Basic {login}", **BROWSER)
    assert answer.status == 200
    assert b"sidx-" not in answer.body
    return SetupReader(answer.body.decode()).sections


class Person:
    """Who copies the settings, in a home of its own, with a project of its own.

    Attributes:
        home: The home.
        work: The project's directory.
        project: What the project publishes.
    """

    def __init__(self, site: Publishing, home: Path, project: str) -> None:
        self.site, self.home, self.project = site, home, project
        self.work = home / "work"
        wheel, sdist = make_dist(self.work, project)
        (self.work / "dist").rename(self.work / "made")
        (self.work / "backend.py").write_text(BACKEND.format(wheel=wheel.name, sdist=sdist.name))
        (self.work / "customer.py").write_text("")
        (self.work / "pyproject.toml").write_text(PROJECT.replace("customer", project))
        shutil.copy(site.server.ca, home / "ca.pem")
        venv.create(home / "venv", symlinks=True)
        script = home / "venv" / "bin" / "pip"
        script.write_text(
            PIP.format(python=script.with_name("python"), packages=Path(pip.__file__).parents[1])
        )
        script.chmod(0o755)
        self._token = site.token("--projects", "*", can="read,upload")
        self._exported: list[str] = []
        beside = Path(sys.executable).parent
        self._environment = bare_environment(
            home,
            PATH=f"{home / 'venv' / 'bin'}:{os.environ['PATH']}:{beside}",
            VIRTUAL_ENV=str(home / "venv"),
            PIP_DISABLE_PIP_VERSION_CHECK="1",
            UV_PYTHON_DOWNLOADS="never",
            PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring",
            POETRY_KEYRING_ENABLED="false",
            POETRY_NO_INTERACTION="1",
            PIPENV_IGNORE_VIRTUALENVS="1",
            PIPENV_VENV_IN_PROJECT="1",
            HATCH_INTERACTIVE="0",
        )

    def follow(self, blocks: list[tuple[str, str]]) -> str:
        """Do what some blocks say, in their order; returns what the last command printed."""
        output = ""
        for place, text in blocks:
            filled = re.sub(r"\bNAME\b", "rockets", re.sub(r"\bTOKEN\b", self._token, text))
            if place == "shell":
                output = self.run(filled)
            else:
                path = Path(place.replace("~", str(self.home)))
                self._append(path if path.is_absolute() else self.work / path, filled)
        return output

    def _append(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text() if path.exists() else ""
        path.write_text(f"{before}{text}\n")

    def run(self, lines: str) -> str:
        """Run lines in a shell in which earlier exports hold."""
        exports = [line for line in lines.splitlines() if line.startswith("export ")]
        self._exported += exports
        ended = subprocess.run(
            ["bash", "-euc", "\n".join((*self._exported, lines))],
            cwd=self.work,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert ended.returncode == 0, f"{lines}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout + ended.stderr

    def build(self) -> None:
        """Put what is published where a build leaves it."""
        shutil.copytree(self.work / "made", self.work / "dist", dirs_exist_ok=True)

    def assert_published(self) -> None:
        """See that the index has both distributions."""
        root = self.site.server.root
        assert len([*root.rglob(f"{self.project}-1.0*")]) == 2


@pytest.fixture
def person(site: Publishing, tmp_path: Path, request: pytest.FixtureRequest) -> Person:
    """Somebody with an empty home."""
    return Person(site, tmp_path, f"made{abs(hash(request.node.name)) % 10**9}")


READ: dict[str, Callable[[str], bool]] = {
    "pip": lambda output: "Would install fuel-1.5 rockets-1.0" in output,
    "uv": lambda output: "rockets==1.0" in output,
    "poetry": lambda output: "Installing rockets (1.0)" in output,
    "pdm": lambda output: "rockets 1.0" in output,
    "pipenv": lambda output: "rockets" in output,
    "hatch": lambda output: "Creating environment" in output,
    "curl": lambda output: '"user": "alice"' in output,
}
"""Tools that install, and how one sees that "test it" did: by what the index has."""


@pytest.mark.parametrize("tool", READ)
def test_reading(tool: str, sections: dict[str, Section], person: Person) -> None:
    found(tool)
    person.follow(sections[tool].read)
    assert READ[tool](person.follow(sections[tool].test))
    person.site.server.assert_clean()


@pytest.mark.parametrize("tool", ["uv", "poetry", "pdm", "hatch", "twine"])
def test_publishing(tool: str, sections: dict[str, Section], person: Person) -> None:
    """The blocks for publishing need none of those for reading."""
    found(tool)
    if tool in ("uv", "hatch", "twine"):
        person.build()
    person.follow(sections[tool].publish)
    person.assert_published()
    if tool == "twine":
        assert '"user": "alice"' in person.follow(sections[tool].test)


def test_docker(sections: dict[str, Section], person: Person) -> None:
    """What the Dockerfile runs, with its variables and its secret, but in this system."""
    blocks = dict(sections["Docker"].read)
    person.follow([("~/.netrc", blocks["~/.netrc"])])
    person.run(blocks["shell"].splitlines()[0])
    lines = blocks["Dockerfile"].splitlines()
    (copied,) = [line.split()[1:] for line in lines if line.startswith("COPY ")]
    (variables,) = [line.removeprefix("ENV ") for line in lines if line.startswith("ENV ")]
    (command,) = [line.rpartition("/root/.netrc ")[2] for line in lines if line.startswith("RUN ")]
    assert copied[0] == "ca.pem"
    assert f"PIP_CERT={copied[1]}" in variables
    variables = variables.replace(copied[1], str(person.work / copied[0]))
    output = person.follow([("shell", f"export {variables}"), ("shell", command)])
    assert "Successfully installed fuel-1.5 rockets-1.0" in output


def test_conda(sections: dict[str, Section], person: Person) -> None:
    """The list for pip, which conda writes into a file of requirements."""
    yaml = pytest.importorskip("yaml")
    blocks = dict(sections["conda"].read)
    environment = yaml.safe_load(blocks["environment.yml"])
    assert environment["name"]
    listed: list[str] = environment["dependencies"][-1]["pip"]
    trust = blocks["shell"].partition(" conda env create")[0]
    person.follow([("requirements.txt", "\n".join(listed))])
    assert "Successfully installed" in person.run(f"{trust} pip install -U -r requirements.txt")


def test_gitlab(sections: dict[str, Section], person: Person) -> None:
    """Both jobs fit into one file, and what they run does what it should; builds need nothing here."""
    yaml = pytest.importorskip("yaml")
    shown = sections["GitLab CI"]
    person.follow([*shown.read, *shown.publish])
    jobs: dict[str, Any] = yaml.safe_load((person.work / ".gitlab-ci.yml").read_text())
    own = [("shell", f'export INDEX_TOKEN=TOKEN\nexport INDEX_CA="{person.home / "ca.pem"}"')]
    person.follow(own)
    for job, scripts in (("test", jobs["test"]["script"]), ("publish", jobs["publish"]["script"][2:])):
        person.run("\n".join(f'export {name}="{value}"' for name, value in jobs[job]["variables"].items()))
        person.build()
        for script in scripts:
            person.follow([("shell", script)])
    person.assert_published()


def test_github(sections: dict[str, Section], person: Person) -> None:
    """Each workflow is whole; what it runs does what it should with a secret and a file of the repository."""
    yaml = pytest.importorskip("yaml")
    shown = sections["GitHub Actions"]
    person.run("cp ~/ca.pem .")
    for _, text in (*shown.read, *shown.publish):
        # GitHub reads YAML 1.2, in which "on" is no Boolean.
        (job,) = yaml.load(text, yaml.BaseLoader)["jobs"].values()
        assert job["runs-on"]
        person.build()
        variables = job.get("env", {})
        for step in job["steps"]:
            person.follow([("shell", "\n".join(exports(variables | step.get("env", {}), person)) or "true")])
            if "run" in step and step["run"] != "uv build":
                person.follow([("shell", step["run"])])
    person.assert_published()


def exports(variables: dict[str, str], person: Person) -> list[str]:
    """Variables as GitHub sets them."""
    values = {"${{ secrets.INDEX_TOKEN }}": "TOKEN", "${{ github.workspace }}": str(person.work)}
    lines = []
    for name, value in variables.items():
        filled = value
        for expression, meaning in values.items():
            filled = filled.replace(expression, meaning)
        assert "${{" not in filled
        lines.append(f"export {name}={filled}")
    return lines
