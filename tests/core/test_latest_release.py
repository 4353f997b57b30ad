"""Which release of a project is its latest, and which file represents it."""

from __future__ import annotations

import pytest

from simpleindex.core.files import File, Sidecar
from simpleindex.core.names import Kind
from simpleindex.core.selection import default_file, find_version, latest_release


def file(
    version: str, *, yanked: str | None = None, kind: Kind = Kind.SDIST, metadata: Sidecar | None = None
) -> File:
    """A file of a release."""
    suffix = ".tar.gz" if kind is Kind.SDIST else "-py3-none-any.whl"
    return File(f"acme-{version}{suffix}", version, kind, 1, "0" * 64, 1, yanked=yanked, metadata=metadata)


@pytest.mark.parametrize(
    ("files", "latest"),
    [
        ([], None),
        ([file("1.0"), file("1.9"), file("1.10")], "1.10"),
        ([file("1.0"), file("2.0a1")], "1.0"),
        ([file("2.0.dev3"), file("2.0a1")], "2.0a1"),
        ([file("1.0"), file("2.0", yanked="")], "1.0"),
        ([file("1.0", yanked=""), file("2.0", yanked="")], "2.0"),
        ([file("1.0", yanked=""), file("2.0a1")], "2.0a1"),
    ],
)
def test_latest_release(files: list[File], latest: str | None) -> None:
    assert latest_release(files) == latest


def test_a_wheel_with_metadata_represents_a_release() -> None:
    sidecar = Sidecar("0" * 64, 1)
    files = [file("0.9"), file("1.0"), file("1.0", kind=Kind.WHEEL, metadata=sidecar)]
    assert default_file(files) is files[2]
    assert default_file(files[:2]) is files[1]
    assert default_file([]) is None


@pytest.mark.parametrize(
    ("text", "version"),
    [
        *(("1", "1.0"), ("v1.0", "1.0"), ("1.0.0", "1.0.0"), ("1.0.0.0", "1.0"), ("1!0.1", "1!0.1")),
        *(("1.9", None), ("3", None), ("0", None), ("nonsense", None), ("1.10.RC2", "1.10rc2")),
    ],
)
def test_a_version_is_found_in_every_spelling(text: str, version: str | None) -> None:
    assert find_version(("1.0", "1.0.0", "1.10rc2", "1.10", "1!0.1"), text) == version
    assert find_version((), text) is None
