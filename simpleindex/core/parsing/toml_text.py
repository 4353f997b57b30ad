"""Read TOML within bounds.

:mod:`tomllib` compares each part of a dotted key with all before it, which is quadratic in the key; and it reads nested
arrays by recursion.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

from simpleindex.core import bounds

# Parts with a dot after each; a key has one part more. The same characters within a string cannot be told from a key here.
_DOTTED: Final = re.compile(
    r"""(?<![A-Za-z0-9_-])(?:(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+)++"""
)


def load_toml(text: str) -> dict[str, Any]:
    """Read the tables of a file whose size was bounded before.

    Raises:
        ValueError: It is not valid TOML, is nested too deeply, has a number that is too long, or a key that exceeds a bound.
    """
    for match in _DOTTED.finditer(text):
        if excess := bounds.TOML_KEY.excess(match[0].count(".")):
            raise ValueError(excess)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
