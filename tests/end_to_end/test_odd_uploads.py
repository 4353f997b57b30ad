"""An upload that is taken installs with the real pip and uv: what the tables say of those is still true of the newest ones."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from simpleindex.access.identity import UploadRules
from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.inspect import inspect_distribution
from simpleindex.archives.verification.verify import examine_strictly
from simpleindex.core.names import parse_distribution_name
from tests.end_to_end.clients import add_self_building_sdist
from tests.end_to_end.installers import verdicts
from tests.end_to_end.odd_wheels import FEATURES, FILENAME, Blueprint, Feature
from tests.fixtures.depth import every

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

LAYERS: Final = sorted({feature.layer for feature in FEATURES})


def test_what_is_taken_installs(tmp_path: Path) -> None:
    """Every good feature, many of them in one wheel: as many wheels as the largest layer has features."""
    good = {layer: [each for each in FEATURES if each.layer == layer and each.is_taken] for layer in LAYERS}
    wheels: dict[str, tuple[str, bytes]] = {}
    for number in range(max(map(len, good.values()))):
        blueprint, names, changed = Blueprint(), list[str](), set[str]()
        for layer in LAYERS:
            feature = good[layer][number % len(good[layer])]
            if not changed & feature.change.keys():
                blueprint = replace(blueprint, **feature.change)
                changed |= feature.change.keys()
                names.append(f"{layer}-{feature.name}")
            else:
                wheels[f"{layer}-{feature.name}"] = FILENAME, feature.build()
        data = blueprint.build()
        examine_strictly(io.BytesIO(data), parse_distribution_name(FILENAME), UploadRules())
        wheels[", ".join(names)] = FILENAME, data
    found = verdicts(dict(list(wheels.items())[:: every(3)]), tmp_path)
    assert {name for name, verdict in found.items() if verdict != (True, True)} == set()


@pytest.mark.parametrize("layer", sorted({feature.layer for feature in FEATURES if not feature.is_taken}))
def test_what_is_refused(layer: str, tmp_path: Path) -> None:
    """Each feature by itself: where both would install it by now, the refusal needs a reason, or an end."""

    def filed(feature: Feature) -> tuple[str, bytes]:
        return FILENAME, feature.build()

    refused = {each.name: each for each in FEATURES if each.layer == layer and not each.is_taken}
    tried = dict(list(refused.items())[:: every(6)])
    found = verdicts({name: filed(feature) for name, feature in tried.items()}, tmp_path)
    assert found == {name: (feature.pip, feature.uv) for name, feature in tried.items()}


# What follows the archive, whether an upload is taken, whether the directory serves it, and what pip and uv do.
SDISTS: Final = {
    "plain": (".tar.gz", gzip.compress, True, True, True, True),
    "garbage-behind": (".tar.gz", lambda tar: gzip.compress(tar) + b"garbage", False, True, True, True),
    "line-feed-behind": (".tar.gz", lambda tar: gzip.compress(tar) + b"\n", False, True, True, True),
    "zeros-behind": (".tar.gz", lambda tar: gzip.compress(tar) + bytes(512), False, True, True, True),
    "much-behind": (".tar.gz", lambda tar: gzip.compress(tar) + b"x" * 30_000, False, True, True, True),
    "behind-in-gzip": (".tar.gz", lambda tar: gzip.compress(tar + b"x" * 700), False, True, True, True),
    "one-end-block": (".tar.gz", lambda tar: gzip.compress(_with_one_block(tar)), False, True, True, False),
    "two-streams": (
        ".tar.gz",
        lambda tar: gzip.compress(tar[:700]) + gzip.compress(tar[700:]),
        False,
        True,
        True,
        False,
    ),
    "no-check-sum": (".tar.gz", lambda tar: gzip.compress(tar)[:-8] + bytes(8), False, False, True, True),
    "bzip2": (".tar.bz2", lambda tar: bz2.compress(tar) + b"garbage", False, True, True, False),
    "xz": (".tar.xz", lambda tar: lzma.compress(tar) + b"garbage", False, True, True, False),
}


def _with_one_block(tar: bytes) -> bytes:
    content = tar.rstrip(b"\0")
    return content + bytes(-len(content) % 512 + 512)


def test_sdists(tmp_path: Path) -> None:
    """What the directory serves, uploads need not be; and what is taken is built by both."""
    source = add_self_building_sdist(tmp_path, "acme")
    tar = gzip.decompress(source.read_bytes())
    archives = {name: (f"acme-1.0{suffix}", pack(tar)) for name, (suffix, pack, *_) in SDISTS.items()}
    found = verdicts(archives, tmp_path)
    for name, (_, _, is_taken, is_served, *expected) in SDISTS.items():
        assert found[name] == tuple(expected), name
        assert _passes(*archives[name], partial(examine_strictly, rules=UploadRules())) == is_taken, name
        assert _passes(*archives[name], inspect_distribution) == is_served, name
        assert not is_taken or found[name] == (True, True)


def _passes(filename: str, data: bytes, judge: Callable[..., object]) -> bool:
    try:
        judge(io.BytesIO(data), parse_distribution_name(filename))
    except BrokenArchive:
        return False
    return True
