"""Real publishers against the installed server, over real TLS: upload, then install at once; and everything that is refused.

What the place of packages and records may change runs over both; what is about one client only, over a directory.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.clients import pip, poetry, sha256, uv, version_in
from tests.end_to_end.publishing import (
    Publishing,
    curl,
    flit,
    hatch,
    make_dist,
    start_publishing,
    twine,
)
from tests.end_to_end.running import Server, wait_until
from tests.end_to_end.storages import BUCKET, DIRECTORY, make_storage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.end_to_end.running import Installed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest, installed: Installed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Publishing]:
    """A server with people, for all tests over one storage: they keep to projects of their own."""
    home = tmp_path_factory.mktemp("publish")

    def new_server(*options: str, name: str) -> Server:
        return Server(installed, home / name, home / "packages", options)

    made = start_publishing(new_server, storage=make_storage(request))
    yield made
    made.server.stop()


@pytest.fixture
def publishing(running: Publishing) -> Iterator[Publishing]:
    """That server, which leaves no secret behind after any test."""
    yield running
    running.server.assert_clean()
    running.assert_no_secret_was_told()


ON_DIRECTORY = pytest.mark.parametrize("running", [DIRECTORY], indirect=True)
ON_BOTH_STORAGES = pytest.mark.parametrize("running", [DIRECTORY, BUCKET], indirect=True)


def names(publishing: Publishing, project: str) -> list[str]:
    """What lies in the storage for a project."""
    return [name for name in publishing.storage.names() if name.startswith(f"{project}/")]


def install(publishing: Publishing, directory: Path, name: str, *, by: str = "pip") -> str:
    """Install a project at once, and tell which version came."""
    directory.mkdir(exist_ok=True)
    target = directory / "target"
    if by == "pip":
        client = pip(directory, publishing.server.ca)
        client(
            "install",
            "--no-deps",
            "--index-url",
            publishing.server.simple,
            "--target",
            target,
            "--upgrade",
            name,
        )
    else:
        client = uv(directory, publishing.server.ca)
        client(
            "pip",
            "install",
            "--no-deps",
            "--index-url",
            publishing.server.simple,
            "--target",
            target,
            "--upgrade",
            name,
        )
    return version_in(target, name.replace("-", "_"))


def listed(publishing: Publishing, name: str) -> dict[str, str]:
    """The digests of a project's files."""
    return {each["filename"]: each["hashes"]["sha256"] for each in publishing.server.project(name)["files"]}


@ON_BOTH_STORAGES
def test_twine(publishing: Publishing, tmp_path: Path) -> None:
    """Upload, install with pip, upload the same again, other bytes, a wrong password."""
    made = make_dist(tmp_path, "tw-app")
    client = twine(tmp_path, publishing.server.ca)
    login = ("--repository-url", publishing.legacy, "-u", "alice", "-p")
    right = publishing.passwords["alice"]
    client(*login, right, *made)
    assert listed(publishing, "tw-app") == {path.name: sha256(path) for path in made}
    assert install(publishing, tmp_path / "pip", "tw-app") == "1.0"
    client(*login, right, *made)
    other = make_dist(tmp_path / "other", "tw-app")[1]
    other.write_bytes(other.read_bytes() + b"x")
    refused = client.try_to(*login, right, made[0], other)
    assert refused.returncode != 0
    # Its archive is not whole, which is said before anything else.
    assert "400" in refused.stdout + refused.stderr
    refused = client.try_to(*login, "wrong", *made)
    assert "401" in refused.stdout + refused.stderr
    assert "wrong" in refused.stdout + refused.stderr


@ON_DIRECTORY
def test_conflict(publishing: Publishing, tmp_path: Path) -> None:
    """Other bytes under a name that is there: 409 with the words that clients know; poetry skips it when told to."""
    from tests.fixtures.distributions import wheel_bytes, wheel_name

    first = make_dist(tmp_path / "first", "cf-app")[0]
    second = tmp_path / "second" / wheel_name("cf-app")
    second.parent.mkdir()
    second.write_bytes(wheel_bytes("cf-app", files={"other.py": b""}))
    client = twine(tmp_path, publishing.server.ca)
    login = ("--repository-url", publishing.legacy, "-u", "alice", "-p", publishing.passwords["alice"])
    client(*login, first)
    refused = client.try_to(*login, second)
    told = " ".join((refused.stdout + refused.stderr).split())
    assert "409" in told, told
    assert "File already exists" in told, told
    assert listed(publishing, "cf-app") == {first.name: sha256(first)}


@ON_BOTH_STORAGES
def test_uv_publish(publishing: Publishing, tmp_path: Path) -> None:
    """With a token; --check-url skips what is there; a conflict is shown in our words."""
    made = make_dist(tmp_path, "uv-app")
    token = publishing.token()
    client = uv(tmp_path, publishing.server.ca)
    arguments = ("publish", "--publish-url", publishing.legacy, "--token", token)
    client(*arguments, *made)
    assert listed(publishing, "uv-app") == {path.name: sha256(path) for path in made}
    assert install(publishing, tmp_path / "uv", "uv-app", by="uv") == "1.0"
    again = client.try_to(*arguments, "--check-url", publishing.server.simple, *made)
    assert again.returncode == 0, again.stderr
    assert "already exist" in again.stderr.lower() or "skipping" in again.stderr.lower()
    client(*arguments, *made)


@ON_BOTH_STORAGES
def test_files_of_another_program(publishing: Publishing, tmp_path: Path) -> None:
    """Beside what was uploaded: listed with their digests, installed, kept from uploads; gone when they are removed."""
    storage, token = publishing.storage, publishing.token()
    first, second = make_dist(tmp_path, "by-hand"), make_dist(tmp_path, "by-hand", "2.0")
    client = uv(tmp_path, publishing.server.ca)
    upload = ("publish", "--publish-url", publishing.legacy, "--token", token)
    client(*upload, *first)
    for path in second:
        storage.put(f"by-hand/{path.name}", path.read_bytes())
    wait_until(lambda: len(listed(publishing, "by-hand")) == 4, "they are listed")
    assert listed(publishing, "by-hand") == {path.name: sha256(path) for path in (*first, *second)}
    assert names(publishing, "by-hand") == sorted(f"by-hand/{path.name}" for path in (*first, *second))
    assert install(publishing, tmp_path / "uv", "by-hand", by="uv") == "2.0"
    client(*upload, *second)
    for path in second:
        storage.remove(f"by-hand/{path.name}")
    wait_until(lambda: len(listed(publishing, "by-hand")) == 2, "they are gone")
    assert storage.litter() == []


@ON_BOTH_STORAGES
def test_tokens(publishing: Publishing, tmp_path: Path) -> None:
    """Without the right, for another project, expired, revoked: each refused, while the server runs on."""
    made = make_dist(tmp_path, "tk-app")[0]
    client = uv(tmp_path, publishing.server.ca)

    def publish(token: str) -> str:
        ended = client.try_to("publish", "--publish-url", publishing.legacy, "--token", token, made)
        return "" if ended.returncode == 0 else ended.stderr

    assert "403" in publish(publishing.token(can="read"))
    assert "403" in publish(publishing.token("--projects", "other-*"))
    assert "401" in publish("sidx-" + "A" * 43)
    revoked = publishing.token("--note", "revoked")
    listing = json.loads(publishing.run("token", "list", "--json"))
    (newest,) = [each["id"] for each in listing if each["note"] == "revoked"]
    publishing.run("token", "revoke", newest)
    assert "401" in publish(revoked)
    assert publish(publishing.token("--projects", "tk-*", "--expires", "1h", "--note", "ci")) == ""


POETRY_PROJECT = """\
[project]
name = "po-app"
version = "1.0"
requires-python = ">=3.11"

[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""


@ON_DIRECTORY
def test_poetry(publishing: Publishing, tmp_path: Path) -> None:
    """Publish with a password; again, with --skip-existing over other bytes."""
    from tests.fixtures.distributions import wheel_bytes

    made = make_dist(tmp_path, "po-app")
    (tmp_path / "pyproject.toml").write_text(POETRY_PROJECT)
    client = poetry(tmp_path)
    client("config", "--local", "repositories.mine", publishing.legacy)
    client("config", "--local", "certificates.mine.cert", str(publishing.server.ca))
    login = ("--repository", "mine", "--username", "alice", "--password", publishing.passwords["alice"])
    client("publish", *login)
    assert listed(publishing, "po-app") == {path.name: sha256(path) for path in made}
    before = listed(publishing, "po-app")
    made[0].write_bytes(wheel_bytes("po-app", files={"other.py": b""}))
    refused = client.try_to("publish", *login)
    assert refused.returncode != 0
    assert "File already exists" in refused.stdout + refused.stderr
    client("publish", *login, "--skip-existing")
    assert listed(publishing, "po-app") == before


@ON_DIRECTORY
def test_hatch(publishing: Publishing, tmp_path: Path) -> None:
    """Hatch looks for what is there first, and shows our reason where it fails."""
    made = make_dist(tmp_path, "ha-app")
    client = hatch(tmp_path, publishing.server.ca)
    login = ("--repo", publishing.legacy, "--user", "alice", "--auth", publishing.passwords["alice"])
    client(*login, *made)
    assert listed(publishing, "ha-app") == {path.name: sha256(path) for path in made}
    refused = client.try_to(*login[:-1], "wrong", *make_dist(tmp_path / "two", "ha-app", "2.0"))
    assert refused.returncode != 0
    assert "401" in refused.stdout + refused.stderr


FLIT_PROJECT = """\
[project]
name = "fl_app"
version = "1.0"
description = "tests"

[build-system]
requires = ["flit_core"]
build-backend = "flit_core.buildapi"
"""


@ON_DIRECTORY
def test_flit(publishing: Publishing, tmp_path: Path) -> None:
    """Flit builds and publishes; its URL without the slash at the end is an upload too."""
    (tmp_path / "pyproject.toml").write_text(FLIT_PROJECT)
    (tmp_path / "fl_app.py").write_text('"""tests"""\n__version__ = "1.0"\n' + "version = '1.0'\n")
    password = publishing.passwords["alice"]
    client = flit(tmp_path, publishing.server.ca, publishing.legacy.rstrip("/"), "alice", password)
    client("publish")
    assert len(listed(publishing, "fl-app")) == 2
    assert install(publishing, tmp_path / "pip", "fl-app") == "1.0"


@ON_DIRECTORY
def test_curl(publishing: Publishing, tmp_path: Path) -> None:
    """Both ways that users of hosted services know, with a user and with a bearer token; and a stranger."""
    wheel, sdist = make_dist(tmp_path, "cu-app")
    client = curl(tmp_path, publishing.server.ca)
    user = f"alice:{publishing.passwords['alice']}"
    assert client("--user", user, "-F", f"package=@{wheel}", f"{publishing.server.url}/").endswith("200")
    bearer = f"Authorization: Bearer {publishing.token()}"
    assert client("-H", bearer, "-T", str(sdist), f"{publishing.server.url}/").endswith("200")
    assert listed(publishing, "cu-app") == {path.name: sha256(path) for path in (wheel, sdist)}
    stranger = client("-F", f"package=@{wheel}", publishing.legacy)
    assert stranger.endswith("401")
    # The reason phrase says it too, which is all that some clients show.
    note = tmp_path / "note.txt"
    note.write_text("no distribution")
    refused = client("--user", user, "--include", "-F", f"x=@{note}", publishing.legacy)
    assert "HTTP/1.1 400 The field 'x' should not be a file" in refused, refused
    foreign = client(
        "--user", user, "-H", "Origin: https://evil.example", "-F", f"package=@{wheel}", publishing.legacy
    )
    assert foreign.endswith("403")


@ON_BOTH_STORAGES
def test_a_private_project(publishing: Publishing, tmp_path: Path) -> None:
    """Alice's secret is for alice: absent from the list, 401 to strangers, 403 to bob; pip and uv install it with her login."""
    made = make_dist(tmp_path, "secret-app")
    login = ("--repository-url", publishing.legacy, "-u", "alice", "-p", publishing.passwords["alice"])
    twine(tmp_path, publishing.server.ca)(*login, *made)
    server = publishing.server
    assert b"secret-app" not in server.get("/simple/").body
    assert server.get("/simple/secret-app/").status == 401
    assert server.get("/simple/no-such-thing/").status == 404
    reader = curl(tmp_path, server.ca)
    for path in ("", made[0].name, f"{made[0].name}.metadata"):
        url = f"{server.simple}secret-app/{path}"
        assert reader("--output", "/dev/null", url) == "401"
        assert reader("--output", "/dev/null", "--user", f"bob:{publishing.passwords['bob']}", url) == "403"
    if publishing.storage.records is not None:
        return  # What clients do with a login does not depend on the storage.
    target = tmp_path / "target"
    quoted = publishing.passwords["alice"].replace(" ", "%20")
    with_login = server.simple.replace("https://", f"https://alice:{quoted}@")
    pip(tmp_path, server.ca)("install", "--no-deps", "--index-url", with_login, "-t", target, "secret-app")
    assert version_in(target, "secret_app") == "1.0"
    refused = pip(tmp_path, server.ca).try_to(
        "install", "--index-url", server.simple, "-t", target, "secret-app"
    )
    assert refused.returncode != 0
    (tmp_path / ".netrc").write_text(
        f'machine localhost login alice password "{publishing.passwords["alice"]}"\n'
    )
    (tmp_path / ".netrc").chmod(0o600)
    by_netrc = pip(tmp_path, server.ca)
    by_netrc("install", "--no-deps", "--index-url", server.simple, "-t", tmp_path / "netrc", "secret-app")
    (tmp_path / ".netrc").unlink()
    by_uv = uv(tmp_path, server.ca)
    by_uv("pip", "install", "--no-deps", "--index-url", with_login, "--target", tmp_path / "uv", "secret-app")
    env = {"UV_INDEX_MINE_USERNAME": "alice", "UV_INDEX_MINE_PASSWORD": publishing.passwords["alice"]}
    named = uv(tmp_path, server.ca)
    object.__setattr__(named, "environment", {**named.environment, **env})
    named(
        "pip",
        "install",
        "--no-deps",
        "--default-index",
        f"mine={server.simple}",
        "--target",
        tmp_path / "uv2",
        "secret-app",
    )


@ON_BOTH_STORAGES
def test_changes(publishing: Publishing, tmp_path: Path) -> None:
    """Yank, status, delete: by command on a directory and over HTTPS with a token; they show at once."""
    server = publishing.server
    make_dist(tmp_path, "ch-app", "1.0")
    make_dist(tmp_path, "ch-app", "2.0")
    login = ("--repository-url", publishing.legacy, "-u", "alice", "-p", publishing.passwords["alice"])
    twine(tmp_path, server.ca)(*login, *sorted((tmp_path / "dist").iterdir()))
    run = publishing.run
    token = tmp_path / "token"
    token.write_text(publishing.token(can="yank,delete,admin"))
    there = ("--index-url", server.simple, "--cert", str(server.ca), "--token-file", str(token))
    run("yank", "ch-app", "2.0", "--reason", "broken", *(publishing.storage.options_of_commands() or there))
    yanked = {each["filename"]: each.get("yanked") for each in server.project("ch-app")["files"]}
    assert {name for name, reason in yanked.items() if reason} == {
        "ch_app-2.0-py3-none-any.whl",
        "ch_app-2.0.tar.gz",
    }
    assert install(publishing, tmp_path / "pip", "ch-app") == "1.0"
    run("unyank", "ch-app", "2.0", *there)
    assert install(publishing, tmp_path / "uv", "ch-app", by="uv") == "2.0"
    run("delete", "ch-app", "2.0", *there)
    assert install(publishing, tmp_path / "uv2", "ch-app", by="uv") == "1.0"
    refused = twine(tmp_path, server.ca).try_to(*login, *sorted((tmp_path / "dist").glob("*2.0*")))
    assert "previously used" in refused.stdout + refused.stderr
    run("status", "ch-app", "archived", "--reason", "done", *there)
    assert server.project("ch-app")["project-status"] == {"status": "archived", "reason": "done"}
    refused = twine(tmp_path, server.ca).try_to(*login, *make_dist(tmp_path / "new", "ch-app", "3.0"))
    assert "403" in refused.stdout + refused.stderr
    left = ("ch_app-1.0-py3-none-any.whl", "ch_app-1.0.tar.gz", "simpleindex.toml")
    assert names(publishing, "ch-app") == [f"ch-app/{filename}" for filename in left]
    audit = [json.loads(line) for line in (server.home / "state" / "audit.jsonl").read_text().splitlines()]
    assert [line["event"] for line in audit if line.get("project") == "ch-app"] == [
        *["upload"] * 4,
        "yank",
        "unyank",
        *["delete"] * 2,
        "upload-refused",
        "status",
        "upload-refused",
    ]
