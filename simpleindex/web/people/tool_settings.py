"""Settings of each tool for one index, as ``/-/setup/`` shows them, and the commands that install a release. Pure.

``docs/clients.md`` has the same for an index that is called ``host``.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simpleindex.core.files import File

_NAME: Final = "mine"
"""The index's name in the settings of tools that need one."""


@dataclass(frozen=True, slots=True)
class IndexAddress:
    """Where an index is, and what clients need to use it.

    Attributes:
        url: With a final slash: ``https://host/``, or of a view ``https://host/stable/``.
        upload_url: Where uploads go; None if nothing can be uploaded.
        ca_url: Where the private CA's certificate is; None if clients need none.
        needs_login: Whether reading needs a login.
    """

    url: str
    upload_url: str | None = None
    ca_url: str | None = None
    needs_login: bool = False

    @property
    def simple(self) -> str:
        """The URL that installers take."""
        return f"{self.url}simple/"

    @property
    def with_login(self) -> str:
        """The same with a place for a login, if reading needs one."""
        scheme, _, rest = self.simple.partition("://")
        return f"{scheme}://__token__:TOKEN@{rest}" if self.needs_login else self.simple


@dataclass(frozen=True, slots=True)
class Snippet:
    """Text to copy."""

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolSettings:
    """The settings of one tool.

    Attributes:
        tool: Its name, as a heading.
        read: How it installs from the index.
        publish: How it uploads; empty if it does not, or nothing can be uploaded.
        test: A command that shows that it works.
    """

    tool: str
    read: tuple[Snippet, ...] = ()
    publish: tuple[Snippet, ...] = ()
    test: str = ""

    @property
    def anchor(self) -> str:
        """Its name in the page's URL."""
        return self.tool.lower().replace(" ", "-")


def trust_command(index: IndexAddress) -> Snippet | None:
    """Return how a client gets the private CA's certificate; None if it needs none."""
    if index.ca_url is None:
        return None
    return _shell(
        f"curl --insecure {index.ca_url} --output ca.pem",
        "openssl x509 -in ca.pem -noout -fingerprint -sha256   # compare it with the server's log",
    )


def settings_of_tools(index: IndexAddress) -> tuple[ToolSettings, ...]:
    """Return the settings of every tool."""
    return tuple(make(index) for make in _TOOLS if index.upload_url is not None or make not in _ONLY_UPLOADS)


def _pip(index: IndexAddress) -> ToolSettings:
    lines = ["[global]", f"index-url = {index.with_login}"]
    cert = ""
    if index.ca_url is not None:
        lines.append("cert = /path/to/ca.pem")
        cert = "--cert ca.pem "
    return ToolSettings(
        "pip",
        (
            _shell(f"pip install {cert}--index-url {index.with_login} NAME"),
            Snippet("~/.config/pip/pip.conf", "\n".join(lines)),
        ),
        test=f"pip index versions {cert}--index-url {index.with_login} NAME",
    )


def _uv(index: IndexAddress) -> ToolSettings:
    trust = "SSL_CERT_FILE=ca.pem " if index.ca_url is not None else ""
    read = [
        Snippet(
            "pyproject.toml",
            f'[[tool.uv.index]]\nname = "{_NAME}"\nurl = "{index.simple}"\ndefault = true',
        )
    ]
    environment = ["export SSL_CERT_FILE=/path/to/ca.pem"] if index.ca_url is not None else []
    if index.needs_login:
        environment += [
            f"export UV_INDEX_{_NAME.upper()}_USERNAME=__token__",
            f"export UV_INDEX_{_NAME.upper()}_PASSWORD=TOKEN",
        ]
    if environment:
        read.append(_shell(*environment))
    publish = (
        (_shell(f"uv publish --publish-url {index.upload_url} --check-url {index.simple} --token TOKEN"),)
        if index.upload_url
        else ()
    )
    return ToolSettings(
        "uv",
        tuple(read),
        publish,
        test=f"echo NAME | {trust}uv pip compile --default-index {index.with_login} -",
    )


def _poetry(index: IndexAddress) -> ToolSettings:
    commands = [f"poetry source add --priority primary {_NAME} {index.simple}"]
    if index.ca_url is not None:
        commands.append(f"poetry config certificates.{_NAME}.cert /path/to/ca.pem")
    if index.needs_login:
        commands.append(f"poetry config http-basic.{_NAME} __token__ TOKEN")
    publish = (
        (
            _shell(
                f"poetry config repositories.{_NAME} {index.upload_url}",
                f"poetry publish --build -r {_NAME} -u __token__ -p TOKEN",
            ),
        )
        if index.upload_url
        else ()
    )
    return ToolSettings("poetry", (_shell(*commands),), publish, test="poetry add --dry-run NAME")


def _pdm(index: IndexAddress) -> ToolSettings:
    # Of this name, the source takes the place of the public index.
    source = Snippet("pyproject.toml", f'[[tool.pdm.source]]\nname = "pypi"\nurl = "{index.simple}"')
    commands = ["pdm config pypi.ca_certs /path/to/ca.pem"] if index.ca_url is not None else []
    if index.needs_login:
        commands += ["pdm config pypi.username __token__", "pdm config pypi.password TOKEN"]
    ca_certs = " --ca-certs ca.pem" if index.ca_url is not None else ""
    publish = (
        (
            _shell(
                f"pdm publish --repository {index.upload_url} --username __token__ --password TOKEN{ca_certs}"
            ),
        )
        if index.upload_url
        else ()
    )
    return ToolSettings(
        "pdm", (source, *([_shell(*commands)] if commands else [])), publish, test="pdm add --dry-run NAME"
    )


def _pipenv(index: IndexAddress) -> ToolSettings:
    url = index.simple
    if index.needs_login:
        scheme, _, rest = url.partition("://")
        url = f"{scheme}://${{INDEX_USER}}:${{INDEX_TOKEN}}@{rest}"
    read = [Snippet("Pipfile", f'[[source]]\nname = "{_NAME}"\nurl = "{url}"\nverify_ssl = true')]
    exports = [
        f"export {name}=/path/to/ca.pem" for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE") if index.ca_url
    ]
    if index.needs_login:
        exports += ["export INDEX_USER=__token__", "export INDEX_TOKEN=TOKEN"]
    if exports:
        read.append(_shell(*exports))
    return ToolSettings("pipenv", tuple(read), test="pipenv install NAME")


def _hatch(index: IndexAddress) -> ToolSettings:
    exports = [f"export {name}={index.with_login}" for name in ("UV_DEFAULT_INDEX", "PIP_INDEX_URL")]
    if index.ca_url is not None:
        exports += [f"export {name}=/path/to/ca.pem" for name in ("SSL_CERT_FILE", "PIP_CERT")]
    ca = "HATCH_INDEX_CA_CERT=ca.pem " if index.ca_url is not None else ""
    publish = (
        (_shell(f"{ca}hatch publish -r {index.upload_url} -u __token__ -a TOKEN"),)
        if index.upload_url
        else ()
    )
    return ToolSettings("hatch", (_shell(*exports),), publish, test="hatch dep show table")


def _twine(index: IndexAddress) -> ToolSettings:
    cert = " --cert ca.pem" if index.ca_url is not None else ""
    file = "\n".join(
        (
            *("[distutils]", f"index-servers = {_NAME}", "", f"[{_NAME}]"),
            *(f"repository = {index.upload_url}", "username = __token__", "password = TOKEN"),
        )
    )
    return ToolSettings(
        "twine",
        publish=(Snippet("~/.pypirc", file), _shell(f"twine upload -r {_NAME}{cert} dist/*")),
        test="twine check dist/*",
    )


def _conda(index: IndexAddress) -> ToolSettings:
    text = (
        f"dependencies:\n  - python\n  - pip\n  - pip:\n      - --index-url {index.with_login}\n      - NAME"
    )
    ca = "PIP_CERT=/path/to/ca.pem " if index.ca_url is not None else ""
    return ToolSettings(
        "conda",
        (Snippet("environment.yml", text), _shell(f"{ca}conda env create -f environment.yml")),
        test="conda env create --dry-run -f environment.yml",
    )


def _docker(index: IndexAddress) -> ToolSettings:
    lines = ["FROM python:3.12-slim"]
    environment = f"ENV PIP_INDEX_URL={index.simple}"
    if index.ca_url is not None:
        lines.append("COPY ca.pem /etc/ssl/private-ca.pem")
        environment += " PIP_CERT=/etc/ssl/private-ca.pem"
    secret = "--mount=type=secret,id=netrc,target=/root/.netrc " if index.needs_login else ""
    lines += [environment, f"RUN {secret}pip install --no-cache-dir NAME"]
    build = "docker build --secret id=netrc,src=$HOME/.netrc ." if index.needs_login else "docker build ."
    return ToolSettings("Docker", (Snippet("Dockerfile", "\n".join(lines)), _shell(build)))


def _github_actions(index: IndexAddress) -> ToolSettings:
    secret = "${{ secrets.INDEX_TOKEN }}"  # noqa: S105 (the name of one)
    ca = "${{ github.workspace }}/ca.pem" if index.ca_url is not None else None
    url = index.with_login.replace("TOKEN", secret)
    # uv passes over pip's variables.
    lines = ["env:", f"  PIP_INDEX_URL: {url}", f"  UV_DEFAULT_INDEX: {url}"]
    lines += [f"  {name}: {ca}" for name in ("PIP_CERT", "SSL_CERT_FILE") if ca is not None]
    lines += ["steps:", "  - uses: actions/checkout@v4"]
    publish: tuple[Snippet, ...] = ()
    if index.upload_url is not None:
        upload = f'  - run: uv publish --publish-url {index.upload_url} --token "{secret}"'
        steps = ("  - uses: astral-sh/setup-uv@v6", "  - run: uv build", upload)
        publish = (Snippet("a job in .github/workflows/", "\n".join((*lines, *steps))),)
    read = "\n".join((*lines, "  - run: pip install NAME"))
    return ToolSettings("GitHub Actions", (Snippet("a job in .github/workflows/", read),), publish)


def _gitlab_ci(index: IndexAddress) -> ToolSettings:
    variables = ["variables:", f'  PIP_INDEX_URL: "{index.with_login.replace("TOKEN", "$INDEX_TOKEN")}"']
    if index.ca_url is not None:
        variables.append('  PIP_CERT: "$INDEX_CA"')
    read = [*variables, "test:", "  image: python:3.12", "  script:", "    - pip install NAME"]
    publish: tuple[Snippet, ...] = ()
    if index.upload_url is not None:
        cert = ' --cert "$INDEX_CA"' if index.ca_url is not None else ""
        upload = f'    - twine upload --repository-url {index.upload_url}{cert} -u __token__ -p "$INDEX_TOKEN" dist/*'
        job = [
            "publish:",
            "  image: python:3.12",
            "  script:",
            "    - pip install build twine",
            "    - python -m build",
            upload,
        ]
        publish = (Snippet(".gitlab-ci.yml", "\n".join((*variables, *job))),)
    return ToolSettings("GitLab CI", (Snippet(".gitlab-ci.yml", "\n".join(read)),), publish)


def _curl(index: IndexAddress) -> ToolSettings:
    cacert = "--cacert ca.pem " if index.ca_url is not None else ""
    login = "--user __token__:TOKEN " if index.needs_login else ""
    publish: tuple[Snippet, ...] = ()
    if index.upload_url is not None:
        header = '--header "Authorization: Bearer TOKEN"'
        publish = (_shell(f"curl --fail-with-body {cacert}{header} --upload-file FILE {index.url}"),)
    return ToolSettings("curl", (_shell(f"curl {cacert}{login}{index.simple}"),), publish)


_TOOLS: Final[tuple[Callable[[IndexAddress], ToolSettings], ...]] = (
    *(_pip, _uv, _poetry, _pdm, _pipenv, _hatch, _twine),
    *(_conda, _docker, _github_actions, _gitlab_ci, _curl),
)
_ONLY_UPLOADS: Final = frozenset({_twine})


def _shell(*lines: str) -> Snippet:
    return Snippet("shell", "\n".join(lines))


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
    cert = "--cert ca.pem " if index.ca_url is not None else ""
    trust = "SSL_CERT_FILE=ca.pem " if index.ca_url is not None else ""
    hashes = [f"    --hash=sha256:{file.sha256}" for file in files if file.sha256 is not None]
    lines = " \\\n".join((pinned, *hashes))
    requirements = [Snippet("requirements.txt", f"--index-url {index.with_login}\n{lines}")]
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
        ToolSettings("pip", (_shell(f"pip install {cert}--index-url {index.with_login} {quoted}"),)),
        ToolSettings("uv", (_shell(f"{trust}uv pip install --index-url {index.with_login} {quoted}"),)),
        ToolSettings("poetry", (*_poetry(index).read, _shell(f"poetry add --source {_NAME} {quoted}"))),
        ToolSettings("pdm", (*_pdm(index).read, _shell(f"pdm add {quoted}"))),
        ToolSettings(
            "requirements",
            (*requirements, _shell(f"pip install {cert}--index-url {index.with_login} -r requirements.txt")),
        ),
    )
