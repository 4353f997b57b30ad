"""Read JSON from strangers within bounds.

:func:`json.loads` is linear, but makes an object of some 60 bytes of every two characters, refuses numbers of more than 4,300
digits with another error than its own, and reads nested arrays by recursion, as deep as Python allows.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simpleindex.core.bounds import Bound

_SIGNS = ("[", "{", ",")


def load_json(text: str, values: Bound) -> Any:
    """Read a text whose size was bounded before.

    Args:
        text: The text.
        values: How many values it may have. Signs within strings are counted as well.

    Returns:
        What :func:`json.loads` makes of it.

    Raises:
        ValueError: It is no JSON, or is nested too deeply, or exceeds the bound; the error's text says what.
    """
    if excess := values.excess(sum(map(text.count, _SIGNS)) + 1):
        raise ValueError(excess)
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def text_in(value: object) -> str:
    """Return a value that is a text; empty for every other one."""
    return value if isinstance(value, str) else ""


def texts_in(value: object) -> list[str]:
    """Return the texts in a value that is a list; empty for every other one."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
