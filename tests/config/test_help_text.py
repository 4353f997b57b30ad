"""The help of the server."""

from __future__ import annotations

import pytest

from simpleindex.config.help_text import OPTION_GROUPS, server_usage
from simpleindex.config.options import OPTION_NAMES


def test_every_option_is_in_one_group() -> None:
    names = [name for group in OPTION_GROUPS.values() for name in group]
    assert sorted(names) == sorted(OPTION_NAMES)


@pytest.mark.parametrize("width", [80, 120])
def test_help_fits_a_terminal(width: int) -> None:
    lines = server_usage(width).splitlines()
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if line.endswith("-")]
    assert any(line.startswith("  --path DIR|s3://BUCKET/PREFIX") for line in lines)
