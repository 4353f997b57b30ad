"""Programs by their User-Agent: texts that real clients sent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simpleindex.core.user_agents import ClientProgram, parse_user_agent
from tests.fixtures.tables import for_each

PLATFORM = (
    '{"ci":null,"cpu":"x86_64","distro":{"id":"bookworm","libc":{"lib":"glibc","version":"2.36"},"name":"Debian GNU/Linux",'
    '"version":"12"},"implementation":{"name":"CPython","version":"3.11.7"},"installer":{"name":"pip","version":"26.3"},'
    '"openssl_version":"OpenSSL 3.0.19 27 Jan 2026","python":"3.11.7","rustc_version":"1.95.0","setuptools_version":"84.2.1",'
    '"system":{"name":"Linux","release":"6.18.44"}}'
)

AGENTS = [
    (f"pip/26.3 {PLATFORM}", "pip", "26.3"),
    ('pip/9.0.3 {"cpu":"x86_64","implementation":{"name":"CPython","version":"2.7.18"}}', "pip", "9.0.3"),
    # pipenv runs a pip of its own, which does not say so.
    (f"pip/26.2.2 {PLATFORM}", "pip", "26.2.2"),
    (
        (
            'uv/0.13.9 {"installer":{"name":"uv","version":"0.13.9","subcommand":["pip","install"]},"python":"3.11.7",'
            '"implementation":{"name":"CPython","version":"3.11.7"},"ci":null}'
        ),
        "uv",
        "0.13.9",
    ),
    ("poetry/2.5.1 CPython/3.11.7 Linux/6.18.44", "poetry", "2.5.1"),
    ("pdm/2.28.1 CPython/3.11.7 Linux/6.18.44", "pdm", "2.28.1"),
    ("unearth/0.17.5", "pdm", "0.17.5"),
    ('Hatch/1.18.2 {"implementation":{"name":"CPython"}} HTTPX2/2.16.2', "hatch", "1.18.2"),
    ("twine/7.0.0 CPython/3.11.7", "twine", "7.0.0"),
    (
        "bandersnatch/6.8.0 (cpython 3.11.7-final0, Linux x86_64) (aiohttp 3.14.5)",
        "bandersnatch",
        "6.8.0",
    ),
    ("bandersnatch 6.8.0 aiohttp-xmlrpc-client (Python/3.11)", "bandersnatch", ""),
    ("devpi-client/7.0 (py3.11.7; linux)", "devpi-client", "7.0"),
    ("devpi-server/6.17.0 (py3.11.7; linux)", "devpi-server", "6.17.0"),
    ("simpleindex", "simpleindex", ""),
    ("pypi-simple/1.8.0 requests/2.32.3 CPython/3.11.2", "pypi-simple", "1.8.0"),
    ("setuptools/80.0 Python-urllib/3.11", "setuptools", "80.0"),
    ("curl/7.88.1", "curl", "7.88.1"),
    ("Wget/1.21.3", "wget", "1.21.3"),
    ("python-requests/2.34.2", "requests", "2.34.2"),
    ("Python-urllib/3.11", "urllib", "3.11"),
    ("python-httpx/0.28.1", "httpx", "0.28.1"),
    ("Python/3.11 aiohttp/3.14.5", "aiohttp", "3.14.5"),
    ("Go-http-client/2.0", "go", "2.0"),
    ("RenovateBot/41.0.0 (https://github.com/renovatebot/renovate)", "renovate", "41.0.0"),
    (
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "Firefox",
        "140.0",
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
        "Chrome",
        "138.0.0.0",
    ),
    (
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 "
            "Edg/138.0.3351.55"
        ),
        "Edge",
        "138.0.3351.55",
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
        "Safari",
        "18.5",
    ),
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "robot", ""),
    ("Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)", "browser", ""),
    ("CCBot/2.0 (https://commoncrawl.org/faq/)", "robot", ""),
    ("acme-deploy/1.0", "other", ""),
    ("pip-but-not-really/1.0", "other", ""),
    ("/1.0", "other", ""),
    ("", "unnamed", ""),
    ("  ", "unnamed", ""),
]


@for_each(("text", "name", "version"), AGENTS)
def test_programs(text: str, name: str, version: str) -> None:
    """Each client is named as people call it, with the version that it states."""
    assert parse_user_agent(text) == ClientProgram(name, version)


@given(st.text())
def test_whatever_is_sent_names_one_of_few(text: str) -> None:
    """What strangers write never becomes a name, and a version is short and printable."""
    program = parse_user_agent(text)
    assert program.name in {name for _, name, _ in AGENTS} | {
        "artifactory", "bazel", "conda", "dependabot", "flit", "maturin", "micropip", "nexus", "pip-audit", "pixi", "pulp",
        "pypiserver", "rattler", "rye", "urllib3",
    }  # fmt: skip
    assert len(program.version) <= 31
    assert program.version.isprintable()
