"""Which release of a project is its latest, and which file represents it."""

from __future__ import annotations

import pytest

from simpleindex.core.files import File, Sidecar
from simpleindex.core.names import Kind
from simpleindex.core.selection import default_file, latest_release


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
        ([file("1.0"), file("1.10"), file("1.9")], "1.10"),
        ([file("1.0"), file("2.0a1")], "1.0"),
        ([file("2.0a1"), file("2.0.dev3")], "2.0a1"),
        ([file("1.0"), file("2.0", yanked="")], "1.0"),
        ([file("1.0", yanked=""), file("2.0", yanked="")], "2.0"),
        ([file("1.0", yanked=""), file("2.0a1")], "2.0a1"),
    ],
)
def test_latest_release(files: list[File], latest: str | None) -> None:
    assert latest_release(files) == latest


def test_a_wheel_with_metadata_represents_a_release() -> None:
    sidecar = Sidecar("0" * 64, 1)
    files = [file("1.0"), file("1.0", kind=Kind.WHEEL, metadata=sidecar), file("0.9")]
    assert default_file(files) is files[1]
    assert default_file(files[::2]) is files[0]
    assert default_file([]) is None
