"""Settings of each tool for one index, as ``/-/setup/`` shows them, and the commands that install a release. Pure.

``docs/clients.md`` has the same for an index that is called ``host``.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from simpleindex.web.people.index_address import CA_FILE, Snippet, ToolSettings, shell
from simpleindex.web.people.pipeline_settings import conda, docker, github_actions, gitlab_ci

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from simpleindex.core.files import File
    from simpleindex.web.people.index_address import IndexAddress

_NAME: Final = "mine"
"""The index's name in the settings of tools that need one."""


def settings_of_tools(index: IndexAddress) -> tuple[ToolSettings, ...]:
    """Return the settings of every tool."""
    return tuple(make(index) for make in _TOOLS if index.upload_url is not None or make not in _ONLY_UPLOADS)


def _pip_options(index: IndexAddress) -> str:
    cert = f"--cert {CA_FILE} " if index.ca_url is not None else ""
    trust = f"--trusted-host {index.plain_host} " if index.plain_host else ""
    return f"{cert}{trust}--index-url {index.with_login}"


def _pip(index: IndexAddress) -> ToolSettings:
    lines = ["[global]", f"index-url = {index.with_login}"]
    if index.ca_url is not None:
        lines.append(f"cert = {CA_FILE}")
    if index.plain_host:
        lines.append(f"trusted-host = {index.plain_host}")
    return ToolSettings(
        "pip",
        (
            shell(f"pip install {_pip_options(index)} NAME"),
            Snippet("~/.config/pip/pip.conf", "\n".join(lines)),
        ),
        test="pip install --dry-run --ignore-installed NAME",
    )


def _uv(index: IndexAddress) -> ToolSettings:
    read = [
        Snippet(
            "pyproject.toml",
            f'[[tool.uv.index]]\nname = "{_NAME}"\nurl = "{index.simple}"\ndefault = true',
        )
    ]
    login = [(f"UV_INDEX_{_NAME.upper()}_{end}", each) for end, each in _LOGIN if index.needs_login]
    if exports := _exports((*index.trusting("SSL_CERT_FILE"), *login)):
        read.append(exports)
    publish = f"uv publish --publish-url {index.upload_url} --token TOKEN"
    return ToolSettings(
        "uv",
        tuple(read),
        (shell(f"{_before(index, 'SSL_CERT_FILE')}{publish}"),) if index.upload_url else (),
        test="echo NAME | uv pip compile -",
    )


def _poetry(index: IndexAddress) -> ToolSettings:
    commands = [f"poetry source add --priority primary {_NAME} {index.simple}"]
    if index.ca_url is not None:
        commands.append(f"poetry config certificates.{_NAME}.cert {CA_FILE}")
    if index.needs_login:
        commands.append(f"poetry config http-basic.{_NAME} __token__ TOKEN")
    publish = [f"poetry config repositories.{_NAME} {index.upload_url}"]
    if index.ca_url is not None:
        publish.append(f"poetry config certificates.{_NAME}.cert {CA_FILE}")
    publish.append(f"poetry publish --build -r {_NAME} -u __token__ -p TOKEN")
    return ToolSettings(
        "poetry",
        (shell(*commands),),
        (shell(*publish),) if index.upload_url else (),
        test="poetry add --dry-run NAME",
    )


def _pdm(index: IndexAddress) -> ToolSettings:
    # Of this name, the source takes the place of the public index.
    lines = ["[[tool.pdm.source]]", 'name = "pypi"', f'url = "{index.simple}"']
    if index.plain_host:
        lines.append("verify_ssl = false")
    commands = [f"pdm config pypi.ca_certs {CA_FILE}"] if index.ca_url is not None else []
    if index.needs_login:
        commands += ["pdm config pypi.username __token__", "pdm config pypi.password TOKEN"]
    ca_certs = f" --ca-certs {CA_FILE}" if index.ca_url is not None else ""
    publish = f"pdm publish --repository {index.upload_url} --username __token__ --password TOKEN{ca_certs}"
    return ToolSettings(
        "pdm",
        (Snippet("pyproject.toml", "\n".join(lines)), *([shell(*commands)] if commands else [])),
        (shell(publish),) if index.upload_url else (),
        test="pdm add --dry-run NAME",
    )


def _pipenv(index: IndexAddress) -> ToolSettings:
    url = index.simple
    if index.needs_login:
        scheme, _, rest = url.partition("://")
        url = f"{scheme}://${{INDEX_USER}}:${{INDEX_TOKEN}}@{rest}"
    verify = "false" if index.plain_host else "true"
    read = [Snippet("Pipfile", f'[[source]]\nname = "{_NAME}"\nurl = "{url}"\nverify_ssl = {verify}')]
    login = [("INDEX_USER", "__token__"), ("INDEX_TOKEN", "TOKEN")] if index.needs_login else []
    if exports := _exports((*index.trusting("PIP_CERT", "REQUESTS_CA_BUNDLE"), *login)):
        read.append(exports)
    return ToolSettings("pipenv", tuple(read), test="pipenv install NAME")


def _hatch(index: IndexAddress) -> ToolSettings:
    variables = [(name, index.with_login) for name in ("UV_DEFAULT_INDEX", "PIP_INDEX_URL")]
    variables += index.trusting("SSL_CERT_FILE", "PIP_CERT")
    if index.plain_host:
        variables.append(("PIP_TRUSTED_HOST", index.plain_host))
    exports = _exports(variables)
    assert exports is not None
    publish = f"hatch publish -r {index.upload_url} -u __token__ -a TOKEN"
    return ToolSettings(
        "hatch",
        (exports,),
        (shell(f"{_before(index, 'HATCH_INDEX_CA_CERT')}{publish}"),) if index.upload_url else (),
        test="hatch env create",
    )


def _twine(index: IndexAddress) -> ToolSettings:
    cert = f" --cert {CA_FILE}" if index.ca_url is not None else ""
    file = "\n".join(
        (
            *("[distutils]", f"index-servers = {_NAME}", "", f"[{_NAME}]"),
            *(f"repository = {index.upload_url}", "username = __token__", "password = TOKEN"),
        )
    )
    return ToolSettings(
        "twine",
        publish=(Snippet("~/.pypirc", file), shell(f"twine upload -r {_NAME}{cert} dist/*")),
        test=_who_am_i(index),
    )


def _curl(index: IndexAddress) -> ToolSettings:
    cacert = _curl_ca(index)
    login = "--user __token__:TOKEN " if index.needs_login else ""
    header = '--header "Authorization: Bearer TOKEN"'
    upload = f"curl --fail-with-body {cacert}{header} --upload-file FILE {index.url}"
    return ToolSettings(
        "curl",
        (shell(f"curl {cacert}{login}{index.simple}"),),
        (shell(upload),) if index.upload_url else (),
        test=_who_am_i(index) if index.upload_url else "",
    )


def _who_am_i(index: IndexAddress) -> str:
    """Return a command that shows whose the token is, and what it may do."""
    return f"curl --fail-with-body {_curl_ca(index)}--user __token__:TOKEN {index.url}-/api/whoami"


def _curl_ca(index: IndexAddress) -> str:
    return f"--cacert {CA_FILE} " if index.ca_url is not None else ""


_LOGIN: Final = (("USERNAME", "__token__"), ("PASSWORD", "TOKEN"))

_TOOLS: Final[tuple[Callable[[IndexAddress], ToolSettings], ...]] = (
    *(_pip, _uv, _poetry, _pdm, _pipenv, _hatch, _twine),
    *(conda, docker, github_actions, gitlab_ci, _curl),
)
_ONLY_UPLOADS: Final = frozenset({_twine})


def _exports(variables: Iterable[tuple[str, str]]) -> Snippet | None:
    lines = [f"export {name}={value}" for name, value in variables]
    return shell(*lines) if lines else None


def _before(index: IndexAddress, name: str) -> str:
    """Return the private CA's certificate as a variable before a command."""
    return "".join(f"{each}={value} " for each, value in index.trusting(name))


def install_commands(
    index: IndexAddress, project: str, version: str, files: Sequence[File], *, has_requirements: bool
) -> tuple[ToolSettings, ...]:
    """Return the commands that install a release, by tool.

    Args:
        index: The index.
        project: The project.
        version: The version.
        files: The release's files, for requirements with hashes.
        has_requirements: Whether it requires other projects, of which pip then wants hashes too.
    """
    pinned = f"{project}=={version}"
    # A shell takes the "!" of an epoch for a command of its history.
    quoted = shlex.quote(pinned)
    hashes = [f"    --hash=sha256:{file.sha256}" for file in files if file.sha256 is not None]
    options = [f"--index-url {index.with_login}"]
    if index.plain_host:
        options.append(f"--trusted-host {index.plain_host}")
    lines = " \\\n".join((pinned, *hashes))
    requirements = [Snippet("requirements.txt", "\n".join((*options, lines)))]
    trust = _before(index, "SSL_CERT_FILE")
    if has_requirements:
        requirements = [
            Snippet(
                "requirements.txt, if it lists all that this release requires as well", requirements[0].text
            ),
            Snippet(
                "or made with all that it requires, in a shell",
                f"echo {quoted} | {trust}uv pip compile --generate-hashes --index-url {index.with_login} "
                "--output-file requirements.txt -",
            ),
        ]
    return (
        ToolSettings("pip", (shell(f"pip install {_pip_options(index)} {quoted}"),)),
        ToolSettings("uv", (shell(f"{trust}uv pip install --index-url {index.with_login} {quoted}"),)),
        ToolSettings("poetry", (*_poetry(index).read, shell(f"poetry add --source {_NAME} {quoted}"))),
        ToolSettings("pdm", (*_pdm(index).read, shell(f"pdm add {quoted}"))),
        ToolSettings(
            "requirements",
            (*requirements, shell(f"pip install {_pip_options(index)} -r requirements.txt")),
        ),
    )
