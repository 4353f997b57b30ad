"""A bucket of a real store: filled by another tool, installed from, uploaded to; and a store that breaks its promises."""

from __future__ import annotations

import hashlib
import json
import subprocess
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.clients import pip
from tests.end_to_end.object_stores import BUCKET, MISSING_NANIO, Nanio, SeaweedFS
from tests.end_to_end.publishing import make_dist, start_publishing, twine
from tests.end_to_end.running import wait_until
from tests.end_to_end.uploading import large_wheel, upload
from tests.fixtures.distributions import sdist_bytes, sdist_name, wheel_bytes, wheel_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.end_to_end.running import Server

pytestmark = pytest.mark.slow

LOCATION = f"s3://{BUCKET}/python"


def node(new_server: Callable[..., Server], store: SeaweedFS | Nanio, location: str) -> Callable[..., Server]:
    """Makes servers of a bucket."""

    def make(*options: str, name: str = "server") -> Server:
        server = new_server(*options, name=name)
        server.location, server.environment = location, store.environment()
        return server

    return make


def test_an_index_in_a_bucket(
    seaweedfs: SeaweedFS, new_server: Callable[..., Server], tmp_path: Path
) -> None:
    """What another tool put is served; twine uploads, pip installs; what came and went is so after a start with an empty cache."""
    client = seaweedfs.client()
    client.put_object(Bucket=BUCKET, Key=f"python/Acme/{wheel_name('acme')}", Body=wheel_bytes("acme"))
    client.put_object(Bucket=BUCKET, Key=f"python/acme/{sdist_name('acme')}", Body=sdist_bytes("acme"))
    publishing = start_publishing(node(new_server, seaweedfs, LOCATION), "--poll-interval=1", name="first")
    server = publishing.server
    assert [each["filename"] for each in server.project("acme")["files"]] == [
        wheel_name("acme"),
        sdist_name("acme"),
    ]
    dist = make_dist(tmp_path, "fresh")
    alice = ("--username", "alice", "--password", publishing.passwords["alice"])
    done = twine(tmp_path, server.ca)("--repository-url", publishing.legacy, *alice, *dist)
    assert "View at" in done or "Uploading" in done
    pip(tmp_path, server.ca)(
        "install", "--index-url", server.simple, "--target", tmp_path / "t", "fresh", "acme"
    )
    assert (
        upload(
            server, publishing.token(), "fresh", "1.0", wheel_bytes("fresh", "1.0", "Summary: other")
        ).status
        == 409
    )
    client.put_object(Bucket=BUCKET, Key=f"python/later/{wheel_name('later')}", Body=wheel_bytes("later"))
    wait_until(lambda: server.get("/simple/later/").status == 200, "the next listing finds it")
    client.delete_object(Bucket=BUCKET, Key=f"python/later/{wheel_name('later')}")
    wait_until(lambda: server.get("/simple/later/").status == 404, "and that it is gone")
    before = server.catalogue()
    server.stop()
    again = node(new_server, seaweedfs, LOCATION)(*server.options, name="again").start()
    assert again.catalogue() == before


def test_a_large_file(seaweedfs: SeaweedFS, new_server: Callable[..., Server], tmp_path: Path) -> None:
    """In parts to the store, under one condition; back in ranges, or by a redirect to the store."""
    publishing = start_publishing(
        node(new_server, seaweedfs, f"s3://{BUCKET}/large"), "--redirect-downloads=10m", name="large"
    )
    server = publishing.server
    wheel = large_wheel(tmp_path, "big", 70 * 1024 * 1024)
    assert upload(server, publishing.token(), "big", "1.0", wheel).status == 200
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (file,) = server.project("big")["files"]
    assert file["hashes"]["sha256"] == digest
    assert "Signature" not in json.dumps(file)
    answer = server.get(f"/big/{wheel.name}")
    assert answer.status == 302
    assert answer.headers["Location"].startswith(seaweedfs.environment()["AWS_ENDPOINT_URL"])
    with urllib.request.urlopen(answer.headers["Location"]) as download:
        assert hashlib.file_digest(download, "sha256").hexdigest() == digest
    assert server.get(f"/big/{wheel.name}.metadata").status == 200
    # Without redirects through the node, once more from nothing.
    through = node(new_server, seaweedfs, f"s3://{BUCKET}/large")(name="through").start()
    target = tmp_path / "download"
    subprocess.run(
        ["curl", "-sS", "--fail", "--cacert", through.ca, "-o", target, f"{through.url}/big/{wheel.name}"],
        check=True,
    )
    assert hashlib.sha256(target.read_bytes()).hexdigest() == digest
    assert through.get(f"/big/{wheel.name}", range="bytes=5-8").body == wheel.read_bytes()[5:9]


@pytest.mark.skipif(MISSING_NANIO is not None, reason=str(MISSING_NANIO))
def test_a_store_that_breaks_its_promises(new_server: Callable[..., Server], tmp_path: Path) -> None:
    """Is served read-only, with the sentence which one."""
    store = Nanio(tmp_path / "nanio").start()
    try:
        store.client().put_object(Bucket=BUCKET, Key=f"acme/{wheel_name('acme')}", Body=wheel_bytes("acme"))
        publishing = start_publishing(node(new_server, store, f"s3://{BUCKET}"), name="liar")
        assert (
            "lets a second writer replace an object that was to be new (If-None-Match), so this index is read-only"
            in publishing.server.log
        )
        assert (
            upload(publishing.server, publishing.token(), "acme", "2.0", wheel_bytes("acme", "2.0")).status
            == 403
        )
        pip(tmp_path, publishing.server.ca)(
            "install", "--index-url", publishing.server.simple, "--target", tmp_path / "t", "acme"
        )
    finally:
        store.stop()


@pytest.mark.parametrize(
    ("location", "variables", "sentence"),
    [
        ("s3://missing/python", {}, "there is no bucket 'missing'"),
        (
            LOCATION,
            {"AWS_SECRET_ACCESS_KEY": "wrong"},
            "the store refuses these credentials (SignatureDoesNotMatch)",
        ),
        (
            LOCATION,
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
            "the store at http://127.0.0.1:1 cannot be reached (EndpointConnectionError)",
        ),
    ],
)
def test_refused_starts(
    seaweedfs: SeaweedFS,
    new_server: Callable[..., Server],
    location: str,
    variables: dict[str, str],
    sentence: str,
) -> None:
    """One sentence, which holds no secret."""
    server = node(new_server, seaweedfs, location)()
    server.environment = {**seaweedfs.environment(), **variables}
    refusal = server.refused()
    assert sentence in refusal
    assert not any(
        secret in refusal for secret in (seaweedfs.environment()["AWS_SECRET_ACCESS_KEY"], "wrong")
    )
