"""Settings of what makes environments by a file: conda, Docker, and pipelines of GitHub and GitLab. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from simpleindex.web.people.index_address import CA_FILE, Snippet, ToolSettings, shell

if TYPE_CHECKING:
    from simpleindex.web.people.index_address import IndexAddress

_GITHUB_TOKEN: Final = "${{ secrets.INDEX_TOKEN }}"  # noqa: S105  (the name of one)
_GITHUB_CA: Final = "${{ github.workspace }}/ca.pem"
_IN_IMAGE: Final = "/etc/ssl/private-ca.pem"


def conda(index: IndexAddress) -> ToolSettings:
    """Return the settings of conda, whose files have a section for pip."""
    options = [f"--index-url {index.with_login}"]
    if index.plain_host:
        options.append(f"--trusted-host {index.plain_host}")
    lines = ["name: mine", "dependencies:", "  - python", "  - pip", "  - pip:"]
    text = "\n".join((*lines, *(f"      - {each}" for each in (*options, "NAME"))))
    ca = f"PIP_CERT={CA_FILE} " if index.ca_url is not None else ""
    return ToolSettings(
        "conda",
        (Snippet("environment.yml", text), shell(f"{ca}conda env create -f environment.yml")),
        test="conda run --name mine pip show NAME",
    )


def docker(index: IndexAddress) -> ToolSettings:
    """Return a Dockerfile, and how to build from it; no password stays in a layer."""
    lines = ["FROM python:3.12-slim"]
    variables, build = [f"PIP_INDEX_URL={index.simple}"], ["docker build --tag tried ."]
    if index.ca_url is not None:
        lines.append(f"COPY ca.pem {_IN_IMAGE}")
        variables.append(f"PIP_CERT={_IN_IMAGE}")
        build.insert(0, f"cp {CA_FILE} .")
    if index.plain_host:
        variables.append(f"PIP_TRUSTED_HOST={index.plain_host}")
    mount = netrc = ""
    if index.needs_login:
        mount = "--mount=type=secret,id=netrc,target=/root/.netrc "
        netrc = f"machine {index.host} login __token__ password TOKEN"
        build[-1] = "docker build --secret id=netrc,src=$HOME/.netrc --tag tried ."
    lines += [f"ENV {' '.join(variables)}", f"RUN {mount}pip install --no-cache-dir NAME"]
    return ToolSettings(
        "Docker",
        (
            Snippet("Dockerfile", "\n".join(lines)),
            *((Snippet("~/.netrc", netrc),) if netrc else ()),
            shell(*build),
        ),
        test="docker run --rm tried pip show NAME",
    )


def github_actions(index: IndexAddress) -> ToolSettings:
    """Return two workflows: one that installs, and one that publishes when a version is tagged."""
    url = index.with_login.replace("TOKEN", _GITHUB_TOKEN)
    ca = _GITHUB_CA if index.ca_url is not None else None
    # uv passes over pip's variables.
    variables = {
        "PIP_INDEX_URL": url,
        "UV_DEFAULT_INDEX": url,
        "PIP_CERT": ca,
        "SSL_CERT_FILE": ca,
        "PIP_TRUSTED_HOST": index.plain_host,
    }
    environment = ["    env:", *(f"      {name}: {value}" for name, value in variables.items() if value)]
    start = ["    runs-on: ubuntu-latest", "    steps:", "      - uses: actions/checkout@v4"]
    install = ["      - uses: actions/setup-python@v5", "        with:", '          python-version: "3.12"']
    install.append("      - run: pip install NAME")
    test = ["on: push", "jobs:", "  test:", *environment, *start, *install]
    publish = [
        *("on:", "  push:", '    tags: ["v*"]', "jobs:", "  publish:"),
        # What builds need comes from here only if it is here; else from PyPI, which a private CA does not vouch for.
        *(environment if index.has_public_packages else ()),
        *(*start, "      - uses: astral-sh/setup-uv@v6", "      - run: uv build"),
        f"      - run: uv publish --publish-url {index.upload_url}",
        *("        env:", f"          UV_PUBLISH_TOKEN: {_GITHUB_TOKEN}"),
    ]
    if ca is not None:
        publish.append(f"          SSL_CERT_FILE: {ca}")
    return ToolSettings(
        "GitHub Actions",
        (Snippet(".github/workflows/test.yml", "\n".join(test)),),
        (Snippet(".github/workflows/publish.yml", "\n".join(publish)),) if index.upload_url else (),
        hint=_hint(index, "INDEX_TOKEN is a secret of the repository", "ca.pem lies in the repository"),
    )


def gitlab_ci(index: IndexAddress) -> ToolSettings:
    """Return two jobs: one that installs, and one that publishes when a version is tagged."""
    ca = "$INDEX_CA" if index.ca_url is not None else None
    url = index.with_login.replace("TOKEN", "$INDEX_TOKEN")
    variables = {"PIP_INDEX_URL": url, "PIP_CERT": ca, "PIP_TRUSTED_HOST": index.plain_host}
    reading = [f'    {name}: "{value}"' for name, value in variables.items() if value]
    cert = ' --cert "$INDEX_CA"' if ca else ""
    upload = f"    - twine upload --repository-url {index.upload_url}{cert} dist/*"
    test = ["test:", "  image: python:3.12", "  variables:", *reading, "  script:", "    - pip install NAME"]
    publish = [
        *("publish:", "  image: python:3.12", "  rules:", "    - if: $CI_COMMIT_TAG", "  variables:"),
        # As for GitHub.
        *(reading if index.has_public_packages else ()),
        *("    TWINE_USERNAME: __token__", '    TWINE_PASSWORD: "$INDEX_TOKEN"', "  script:"),
        *("    - pip install build twine", "    - python -m build", upload),
    ]
    return ToolSettings(
        "GitLab CI",
        (Snippet(".gitlab-ci.yml", "\n".join(test)),),
        (Snippet(".gitlab-ci.yml", "\n".join(publish)),) if index.upload_url else (),
        hint=_hint(
            index,
            "INDEX_TOKEN is a masked variable of the project",
            "INDEX_CA is one of the type File, with ca.pem",
        ),
    )


def _hint(index: IndexAddress, token: str, ca: str) -> str:
    parts = [token] if index.needs_login or index.upload_url else []
    if index.ca_url is not None:
        parts.append(ca)
    return f"{', '.join(parts)}." if parts else ""
