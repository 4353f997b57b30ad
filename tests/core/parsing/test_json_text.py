"""JSON is read within bounds."""

from __future__ import annotations

import pytest

from simpleindex.core.bounds import Bound
from simpleindex.core.parsing.json_text import load_json

FEW = Bound("the list", 4, "values")


def test_what_is_within_bounds_is_read() -> None:
    """As the library reads it."""
    assert load_json('{"a": [1, 2]}', FEW) == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[1, 2, 3, 4]", "the list has 5 values, and at most 4 are read"),
        ("[[[[]]]]", "has 5 values"),
        ("[", "Expecting value"),
        ("[" + "1" * 5000 + "]", "digits"),
    ],
)
def test_what_is_not_is_refused(text: str, sentence: str) -> None:
    """With one error."""
    with pytest.raises(ValueError, match=sentence):
        load_json(text, FEW)


def test_what_is_nested_deeply_is_refused() -> None:
    """Within the number of values."""
    with pytest.raises(ValueError, match="it is nested too deeply"):
        load_json("[" * 100_000, Bound("the list", 200_000, "values"))
