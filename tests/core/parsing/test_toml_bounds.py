"""TOML is read within bounds."""

from __future__ import annotations

import pytest

from simpleindex.core.parsing.toml import load_toml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.b.'c.d' = 1", {"a": {"b": {"c.d": 1}}}),
        ("[a . b]\nc = '" + "x " * 1000 + "'", {"a": {"b": {"c": "x " * 1000}}}),
        (".".join("a" * 3) + " = '''" + "." * 1000 + "'''", {"a": {"a": {"a": "." * 1000}}}),
        ("a = '" + "1.2.3.4, " * 1000 + "'", {"a": "1.2.3.4, " * 1000}),
    ],
)
def test_what_people_write_is_read(text: str, value: object) -> None:
    """Dots in texts are no keys."""
    assert load_toml(text) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (".".join("a" * 100) + " = 1", "a dotted key has 65 dots, and at most 64 are read"),
        ("[" + " . ".join(["'a'"] * 100) + "]", "a dotted key has 65 dots"),
        ("a = { " + '"b".' * 100 + "c = 1 }", "a dotted key has 65 dots"),
        ("a = " + "[" * 5000, "nested too deeply"),
        ("a = " + "1" * 5000, "digits"),
        ("a", "Expected"),
    ],
)
def test_what_is_endless_is_refused(text: str, sentence: str) -> None:
    """With an error that every caller expects."""
    with pytest.raises(ValueError, match=sentence):
        load_toml(text)
