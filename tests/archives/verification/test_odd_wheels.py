"""Uploads of odd wheels: taken exactly if pip and uv install them, or refused with a reason that is documented."""

from __future__ import annotations

import io
from dataclasses import replace
from importlib.resources import files
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from simpleindex.access.identity import UploadRules
from simpleindex.archives.errors import BrokenArchive
from simpleindex.archives.verification.verify import examine_strictly
from simpleindex.core.names import parse_distribution_name
from tests.end_to_end.odd_wheels import FEATURES, FILENAME, Blueprint, Feature
from tests.fixtures.tables import for_each

DOCUMENT = files("simpleindex").joinpath("docs/uploads.md").read_text("utf-8")


def refusal(data: bytes) -> str | None:
    """Why an upload of these bytes is refused; None if it is taken."""
    try:
        examine_strictly(io.BytesIO(data), parse_distribution_name(FILENAME), UploadRules())
    except BrokenArchive as error:
        return error.reason
    return None


@for_each("feature", FEATURES, ids=lambda feature: f"{feature.layer}-{feature.name}")
def test_each_oddity(feature: Feature) -> None:
    """What installs is taken, what does not is refused, and every difference is in the documents."""
    why = refusal(feature.build())
    assert (why is None) == feature.is_taken, why
    if feature.reason is not None:
        assert feature.pip
        assert feature.uv
        assert f"| {feature.reason} |" in DOCUMENT


def test_every_documented_reason_is_tried() -> None:
    """No row of the table without a case."""
    rows = [
        line.split("|")[1].strip()
        for line in DOCUMENT.splitlines()
        if line.startswith(("| RECORD:", "| zip:", "| METADATA:"))
    ]
    assert set(rows) <= {feature.reason for feature in FEATURES}


_LAYERS = sorted({feature.layer for feature in FEATURES} - {"plain"})
_OF_LAYERS = [st.sampled_from([each for each in FEATURES if each.layer == layer]) for layer in _LAYERS]


@given(st.tuples(*_OF_LAYERS), st.sets(st.sampled_from(range(len(_LAYERS))), min_size=2, max_size=3))
def test_oddities_together(features: tuple[Feature, ...], chosen: set[int]) -> None:
    """A wheel with several is taken exactly if it would be with each alone, as long as none changes what another does."""
    picked = [features[number] for number in sorted(chosen)]
    if any(one.change.keys() & other.change.keys() for one, other in pairwise([*picked, picked[0]])):
        return
    changes = {key: value for feature in picked for key, value in feature.change.items()}
    why = refusal(replace(Blueprint(), **changes).build())
    if all(feature.is_taken for feature in picked):
        assert why is None
    if not any(feature.is_taken for feature in picked):
        assert why is not None
