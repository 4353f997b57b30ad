"""Settings of tools for one index: complete, and in the tools' own formats."""

from __future__ import annotations

import configparser
import shlex
import tomllib
from dataclasses import replace
from itertools import product

import pytest

from simpleindex.core.files import File
from simpleindex.core.names import Kind
from simpleindex.web.people.index_address import IndexAddress, Snippet, ToolSettings, trust_command
from simpleindex.web.people.tool_settings import install_commands, settings_of_tools

URL = "https://host.example:8443/stable/"
INDEXES = [
    IndexAddress(
        URL,
        "https://host.example:8443/legacy/" if uploads else None,
        "https://host.example:8443/-/ca.pem" if private_ca else None,
        needs_login,
    )
    for uploads, private_ca, needs_login in product([False, True], repeat=3)
]
EVERYTHING = IndexAddress(
    URL, "https://host.example:8443/legacy/", "https://host.example:8443/-/ca.pem", True
)

each_index = pytest.mark.parametrize(
    "index", INDEXES, ids=lambda index: f"{bool(index.upload_url)}-{bool(index.ca_url)}-{index.needs_login}"
)


def snippets(tool: ToolSettings) -> tuple[Snippet, ...]:
    return (*tool.read, *tool.publish)


def tool(name: str, index: IndexAddress = EVERYTHING) -> ToolSettings:
    return next(each for each in settings_of_tools(index) if each.tool == name)


def test_all_the_tools_of_the_field_are_there() -> None:
    names = [each.tool for each in settings_of_tools(EVERYTHING)]
    assert names == [
        *("pip", "uv", "poetry", "pdm", "pipenv", "hatch", "twine"),
        *("conda", "Docker", "GitHub Actions", "GitLab CI", "curl"),
    ]
    assert "twine" not in [each.tool for each in settings_of_tools(IndexAddress(URL))]
    assert tool("GitLab CI").anchor == "gitlab-ci"


@each_index
def test_each_tool_has_this_index_and_nothing_that_it_does_not_need(index: IndexAddress) -> None:
    for each in settings_of_tools(index):
        text = "\n".join(snippet.text for snippet in snippets(each))
        assert "host.example:8443" in text
        assert index.simple.partition("://")[2] in text or each.tool == "twine"
        assert ("ca.pem" in text or "INDEX_CA" in text) == (index.ca_url is not None), each.tool
        if index.upload_url is None:
            assert not each.publish
            assert "legacy" not in text
        if index.upload_url is None and not index.needs_login:
            assert "TOKEN" not in text + each.test
        # Where clients need no CA they need no advice about one either.
        assert index.ca_url is not None or "ca.pem" not in each.test + each.hint


def test_whose_token_it_is_is_asked_at_the_root_alone() -> None:
    """A view has no such page, and takes no uploads."""
    root = "https://host.example/"
    index = IndexAddress(root, f"{root}legacy/", needs_login=True)
    for name in ("twine", "curl"):
        assert tool(name, index).test.endswith(f" {root}-/api/whoami")
    view = IndexAddress(f"{root}stable/", needs_login=True)
    assert not any("whoami" in each.test for each in settings_of_tools(view))


@each_index
def test_files_are_of_their_format(index: IndexAddress) -> None:
    for each in settings_of_tools(index):
        for snippet in snippets(each):
            if snippet.place in ("pyproject.toml", "Pipfile"):
                tomllib.loads(snippet.text)
            elif snippet.place.endswith((".conf", ".pypirc")):
                configparser.ConfigParser(interpolation=None).read_string(snippet.text)
            elif snippet.place == "shell":
                for line in snippet.text.splitlines():
                    assert shlex.split(line, comments=True)


def test_a_login_is_where_the_tool_reads_it() -> None:
    assert "https://__token__:TOKEN@host.example:8443/stable/simple/" in tool("pip").read[1].text
    assert "UV_INDEX_MINE_PASSWORD=TOKEN" in tool("uv").read[1].text
    assert "poetry config http-basic.mine __token__ TOKEN" in tool("poetry").read[0].text
    assert "${INDEX_USER}:${INDEX_TOKEN}@" in tool("pipenv").read[0].text
    assert "type=secret,id=netrc" in tool("Docker").read[0].text
    assert "${{ secrets.INDEX_TOKEN }}@host" in tool("GitHub Actions").read[0].text


def test_the_private_ca_is_fetched_and_compared() -> None:
    trust = trust_command(EVERYTHING)
    assert trust is not None
    assert "https://host.example:8443/-/ca.pem" in trust.text
    assert "fingerprint" in trust.text
    assert trust_command(IndexAddress(URL)) is None


@each_index
def test_commands_that_install_a_release(index: IndexAddress) -> None:
    file = File("acme-1.0.tar.gz", "1.0", Kind.SDIST, 1, "ab" * 32, None)
    for has_requirements in (False, True):
        tools = install_commands(index, "acme", "1.0", [file], has_requirements=has_requirements)
        assert [each.tool for each in tools] == ["pip", "uv", "poetry", "pdm", "requirements"]
        for each in tools:
            text = "\n".join(snippet.text for snippet in each.read)
            assert "acme==1.0" in text
            assert index.with_login.partition("://")[2] in text or index.simple in text
            assert ("ca.pem" in text) == (index.ca_url is not None), each.tool
            for snippet in each.read:
                if "shell" in snippet.place:
                    assert all(shlex.split(line) for line in snippet.text.splitlines())
        texts = [snippet.text for snippet in tools[-1].read]
        assert texts[0].splitlines()[-1] == f"    --hash=sha256:{'ab' * 32}"
        assert texts[-1].startswith("pip install ")
        assert texts[-1].endswith(" -r requirements.txt")
        # pip wants hashes of everything as soon as it has one.
        assert any("--generate-hashes" in text for text in texts) == has_requirements


@pytest.mark.parametrize("version", ["2.0", "1!2.0", "2.0+local.1"])
def test_a_shell_reads_the_version_that_is_shown(version: str) -> None:
    """The "!" of an epoch stands in quotes: else an interactive shell puts an old command in its place."""
    tools = install_commands(EVERYTHING, "acme", version, (), has_requirements=True)
    lines = [
        line
        for each in tools
        for snippet in each.read
        for line in snippet.text.splitlines()
        if "acme=" in line
    ]
    assert len(lines) == 6
    for line in lines:
        assert f"acme=={version}" in shlex.split(line)
        assert ("'" in line) == ("!" in version and line != f"acme=={version}"), (
            "in requirements it stands as it is"
        )


def pip_like(index: IndexAddress) -> list[str]:
    """What has pip behind it: pip, pdm, pipenv, and environments of others."""
    names = ("pip", "pdm", "pipenv", "hatch", "conda", "Docker", "GitHub Actions", "GitLab CI")
    return ["\n".join(each.text for each in tool(name, index).read) for name in names]


@pytest.mark.parametrize(
    "url", ["http://host.example:8080/", "http://192.0.2.1/", "http://[2001:db8::1]:80/"]
)
def test_pip_is_told_to_trust_another_machine_without_tls(url: str) -> None:
    """It would pass over the index, and find nothing."""
    host = url.removeprefix("http://").removesuffix("/")
    for text in pip_like(IndexAddress(url)):
        assert host in text.replace(url, "") or "verify_ssl = false" in text, text
    commands = install_commands(IndexAddress(url), "acme", "1.0", (), has_requirements=False)
    for name in ("pip", "requirements"):
        assert f"--trusted-host {host}" in next(each.read[0].text for each in commands if each.tool == name)


@pytest.mark.parametrize(
    "url", ["https://host.example:8443/", "http://localhost:8080/", "http://127.0.0.2/", "http://[::1]:8080/"]
)
def test_what_pip_trusts_anyway_needs_no_word(url: str) -> None:
    for text in pip_like(IndexAddress(url)):
        assert "trusted" not in text.lower()
        assert "verify_ssl = false" not in text


@each_index
@pytest.mark.parametrize("has_public_packages", [False, True])
def test_pipelines_are_whole_files(index: IndexAddress, has_public_packages: bool) -> None:
    """Workflows as GitHub needs them, and jobs that fit into one file of GitLab; builds find what they need."""
    yaml = pytest.importorskip("yaml")
    index = replace(index, has_public_packages=has_public_packages)
    for snippet in snippets(tool("GitHub Actions", index)):
        workflow = yaml.load(snippet.text, yaml.BaseLoader)
        (job,) = workflow["jobs"].values()
        assert (bool(workflow["on"]), job["runs-on"], bool(job["steps"])) == (True, "ubuntu-latest", True)
        if "publish" in workflow["jobs"]:
            assert ("env" in job) == has_public_packages
    gitlab = tool("GitLab CI", index)
    jobs = yaml.safe_load("\n".join(each.text for each in snippets(gitlab)))
    assert len(jobs) == len(snippets(gitlab))
    if "publish" in jobs:
        assert ("PIP_INDEX_URL" in jobs["publish"]["variables"]) == has_public_packages
