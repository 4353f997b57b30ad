"""Real uv against the installed server, over real TLS."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.clients import Client, add_self_building_sdist, sha256, uv, version_in
from tests.fixtures.distributions import add_wheel, put

if TYPE_CHECKING:
    from pathlib import Path

    from tests.end_to_end.running import Server

pytestmark = pytest.mark.slow


@pytest.fixture
def client(index: Server, tmp_path: Path) -> Client:
    """A uv that trusts the index by SSL_CERT_FILE."""
    return uv(tmp_path, index.ca)


@pytest.fixture
def install(index: Server, tmp_path: Path) -> tuple[str | Path, ...]:
    """How to install, but for what."""
    return ("pip", "install", "--index-url", index.simple, "--target", tmp_path / "target")


@pytest.fixture
def compile_(index: Server) -> tuple[str, ...]:
    """How to resolve the requirements of a file that is named afterwards."""
    return ("pip", "compile", "--no-header", "--no-annotate", "--index-url", index.simple)


def test_installs_by_name_with_dependencies(
    client: Client, index: Server, install: tuple[str | Path, ...], tmp_path: Path
) -> None:
    """A name is enough; what it requires comes along."""
    add_wheel(index.root, "uv-lib", "1.4")
    add_wheel(index.root, "uv-lib", "2.0")
    add_wheel(index.root, "uv-app", "1.0", "Requires-Dist: Uv_Lib<2")
    client(*install, "uv.app")
    assert version_in(tmp_path / "target", "uv_app") == "1.0"
    assert version_in(tmp_path / "target", "uv_lib") == "1.4"


def test_trusts_the_private_ca_only_when_told(
    index: Server, install: tuple[str | Path, ...], tmp_path: Path
) -> None:
    """Without SSL_CERT_FILE the very same command is refused, so the certificate is really verified."""
    add_wheel(index.root, "uv-trust")
    refused = uv(tmp_path, None).try_to(*install, "uv-trust")
    assert refused.returncode != 0
    assert "certificate" in refused.stderr.lower()
    uv(tmp_path, index.ca)(*install, "uv-trust")


def test_resolves_from_sidecars_without_touching_wheels(
    client: Client, index: Server, compile_: tuple[str, ...], tmp_path: Path
) -> None:
    """PEP 658: a resolution asks for pages and metadata only, none of it in vain."""
    add_wheel(index.root, "uv-leaf", "3.0")
    add_wheel(index.root, "uv-tree", "1.0", "Requires-Dist: uv-leaf>=2")
    (tmp_path / "in.txt").write_text("uv-tree\n")
    assert client(*compile_, "in.txt").split() == ["uv-leaf==3.0", "uv-tree==1.0"]
    ours = re.compile("uv[-_](leaf|tree)")
    asked = [seen for seen in index.requests() if ours.search(seen.path)]
    paths = {seen.path for seen in asked}
    assert {seen.status for seen in asked} == {200}
    assert not [path for path in paths if path.endswith(".whl")]
    assert len([path for path in paths if path.endswith(".whl.metadata")]) == 2


def test_exclude_newer(client: Client, index: Server, compile_: tuple[str, ...], tmp_path: Path) -> None:
    """The modification time is the upload time that uv compares with (PEP 700)."""
    for version, when in (("1.0", 1_700_000_000), ("2.0", 1_750_000_000)):
        os.utime(add_wheel(index.root, "uv-dated", version), (when, when))
    (tmp_path / "in.txt").write_text("uv-dated\n")
    assert client(*compile_, "--exclude-newer", "2024-06-01", "in.txt").split() == ["uv-dated==1.0"]
    assert client(*compile_, "--exclude-newer", "2025-12-01", "in.txt").split() == ["uv-dated==2.0"]


def test_yanked_is_skipped_unless_pinned(
    client: Client, index: Server, install: tuple[str | Path, ...], tmp_path: Path
) -> None:
    """PEP 592: a yanked version is taken by == only, and its reason is told."""
    add_wheel(index.root, "uv-yanked", "1.0")
    project = add_wheel(index.root, "uv-yanked", "2.0").parent
    put(project / "simpleindex.toml", b'[yanked]\n"2.0" = "eats data"\n')
    client(*install, "uv-yanked")
    assert version_in(tmp_path / "target", "uv_yanked") == "1.0"
    pinned = client.try_to(*install, "uv-yanked==2.0")
    assert version_in(tmp_path / "target", "uv_yanked") == "2.0"
    assert "eats data" in pinned.stderr


def test_requires_python_is_honoured(
    client: Client, index: Server, install: tuple[str | Path, ...], tmp_path: Path
) -> None:
    """A version for a Python of the far future is passed over."""
    add_wheel(index.root, "uv-modern", "1.0", "Requires-Python: >=3.8")
    add_wheel(index.root, "uv-modern", "2.0", "Requires-Python: >=99")
    client(*install, "uv-modern")
    assert version_in(tmp_path / "target", "uv_modern") == "1.0"


def test_hashes(
    client: Client,
    index: Server,
    compile_: tuple[str, ...],
    install: tuple[str | Path, ...],
    tmp_path: Path,
) -> None:
    """Hashes come from the pages, and hold; a wrong one is refused."""
    wheel, locked = add_wheel(index.root, "uv-hashed"), tmp_path / "locked.txt"
    (tmp_path / "in.txt").write_text("uv-hashed\n")
    client(*compile_, "--generate-hashes", "in.txt", "--output-file", locked)
    assert f"--hash=sha256:{sha256(wheel)}" in locked.read_text()
    client(*install, "--require-hashes", "-r", locked)
    assert version_in(tmp_path / "target", "uv_hashed") == "1.0"
    locked.write_text(f"uv-hashed==1.0 --hash=sha256:{'0' * 64}\n")
    refused = client.try_to(*install, "--reinstall", "--no-cache", "--require-hashes", "-r", locked)
    assert (refused.returncode != 0, "ash mismatch" in refused.stderr) == (True, True), refused.stderr


def test_sdist_arrives_byte_for_byte(
    client: Client, index: Server, install: tuple[str | Path, ...], tmp_path: Path
) -> None:
    """A project of nothing but a .tar.gz is built from the very bytes that lie on the disk."""
    sdist, locked = add_self_building_sdist(index.root, "uv_source"), tmp_path / "locked.txt"
    locked.write_text(f"uv_source==1.0 --hash=sha256:{sha256(sdist)}\n")
    client(*install, "--require-hashes", "-r", locked)
    assert version_in(tmp_path / "target", "uv_source") == "1.0"


def test_local_version(
    client: Client, index: Server, install: tuple[str | Path, ...], tmp_path: Path
) -> None:
    """A plus in a file name survives the way through URLs."""
    add_wheel(index.root, "uv-local", "1.0+abc.1")
    client(*install, "uv-local==1.0+abc.1")
    assert version_in(tmp_path / "target", "uv_local") == "1.0+abc.1"


def test_a_replaced_file_installs_for_a_uv_that_cached_the_old_one(
    client: Client, index: Server, install: tuple[str | Path, ...], tmp_path: Path
) -> None:
    """Uv asks for the page anew, sees another hash, and takes the new file when told to refresh."""
    add_wheel(index.root, "uv-replaced", "1.0")
    client(*install, "uv-replaced")
    add_wheel(index.root, "uv-replaced", "1.0", "Summary: new")
    client(*install, "--reinstall", "uv-replaced")
    metadata = tmp_path / "target" / "uv_replaced-1.0.dist-info" / "METADATA"
    assert "Summary: new" in metadata.read_text()
