"""What the largest real packages reach is taken: the bounds are for what no package has."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest

from simpleindex.access.identity import UploadRules
from simpleindex.archives.verification.verify import examine_strictly
from simpleindex.core.names import parse_distribution_name
from tests.fixtures.archives import record_line
from tests.fixtures.depth import THOROUGH
from tests.fixtures.distributions import metadata_text

SCALE = 1 if THOROUGH else 4
"""One in so many of the files is there: no bound is on their number."""

# Wheels for many versions of macOS were named so; there are wheels for all of manylinux and several Pythons as well.
TAGS = (
    "cp27.cp34.cp35.cp36.cp37.cp38-abi3.none-"
    "macosx_10_6_intel.macosx_10_9_intel.macosx_10_9_x86_64.macosx_10_10_intel.macosx_10_10_x86_64.manylinux1_x86_64."
    "manylinux2010_x86_64.manylinux2014_x86_64"
)


def large_metadata() -> bytes:
    """With hundreds of classifiers, licences and requirements, and a long history as description."""
    lines = [
        *(f"Classifier: Topic :: {i} :: {'x' * 40}" for i in range(400)),
        *(f"Provides-Extra: extra{i}" for i in range(300)),
        *(f'Requires-Dist: name{i}[a,b]>=1.{i},!=1.{i}.1,<2; extra == "extra{i % 300}"' for i in range(3000)),
        "Requires-Python: !=3.0.*,!=3.1.*,!=3.2.*,!=3.3.*,!=3.4.*,>=2.7",
        *(f"License-File: third_party/library{i}/LICENSE" for i in range(300)),
    ]
    return metadata_text("acme", "1.0", *lines, body="* A change.\n" * 200_000)


def large_wheel() -> bytes:
    """With 20,000 files, deep directories, and hundreds of entry points."""
    info = "acme-1.0.dist-info"
    python, abi, platform = (part.split(".") for part in TAGS.split("-"))
    stated = [f"Tag: {a}-{b}-{c}\n" for a in python for b in abi for c in platform]
    files = {
        **{f"acme/{'sub/' * (i % 30)}{'m' * (i % 100)}{i}.py": b"x" for i in range(20_000 // SCALE)},
        f"acme/node_modules/{'@scope/long-name/node_modules/' * 20}index.js": b"x",
        f"{info}/METADATA": large_metadata(),
        f"{info}/WHEEL": ("Wheel-Version: 1.0\nRoot-Is-Purelib: false\n" + "".join(stated)).encode(),
        f"{info}/entry_points.txt": b"[acme.plugins]\n"
        + b"".join(b"plugin%d = acme.plugins.sub:Plugin [extra0]\n" % i for i in range(2_000)),
    }
    record = "".join(record_line(path, data) for path, data in files.items()) + f"{info}/RECORD,,\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path, data in {**files, f"{info}/RECORD": record.encode()}.items():
            archive.writestr(path, data)
    return out.getvalue()


@pytest.mark.no_cover
def test_a_wheel_as_large_as_the_largest() -> None:
    """As torch's, with more of everything."""
    name = parse_distribution_name(f"acme-1.0-{TAGS}.whl")
    assert examine_strictly(io.BytesIO(large_wheel()), name, UploadRules()).metadata.version == "1.0"


def test_an_sdist_as_large_as_the_largest() -> None:
    """With a tree of test data, and links in it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as archive:

        def add(path: str, data: bytes = b"", link: str | None = None) -> None:
            member = tarfile.TarInfo(f"acme-1.0/{path}")
            member.size = len(data)
            if link is not None:
                member.type, member.linkname = tarfile.SYMTYPE, link
            archive.addfile(member, io.BytesIO(data))

        add("PKG-INFO", large_metadata())
        for i in range(10_000 // SCALE):
            add(f"tests/{'deep/' * (i % 25)}{'n' * (i % 120)}{i}", b"x")
        for i in range(200):
            add(f"links/{i}", link=f"../tests/{'deep/' * (i % 25)}{'n' * (i % 120)}{i}")
    name = parse_distribution_name("acme-1.0.tar.gz")
    assert examine_strictly(io.BytesIO(out.getvalue()), name, UploadRules()).metadata.name == "acme"
