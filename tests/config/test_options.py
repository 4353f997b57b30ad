"""The table of options."""

from __future__ import annotations

import dataclasses

import pytest

from simpleindex.config.option import Option
from simpleindex.config.options import OPTION_NAMES, OPTIONS
from simpleindex.config.settings import Settings
from simpleindex.core.text import nearest
from tests.fixtures.tables import for_each


def test_the_table_and_the_settings_agree() -> None:
    """Every option is a field of Settings and every field but the derived ones is an option, in the same order."""
    fields = [field.name for field in dataclasses.fields(Settings)]
    assert fields == [*(option.field for option in OPTIONS), "bucket", "defaulted_http"]


@for_each("option", OPTIONS, ids=OPTION_NAMES)
def test_every_option_explains_itself(option: Option) -> None:
    """--help has a whole sentence for each, and a default for each that takes a value."""
    assert option.help.endswith(".")
    assert option.help[0].isupper()
    assert bool(option.default_words) is bool(option.metavar) is not option.flag


def test_names_in_other_places() -> None:
    """The variable and the attribute follow from the name."""
    option = Option("max-connections-per-address", "...", metavar="N")
    assert option.variable == "SIMPLEINDEX_MAX_CONNECTIONS_PER_ADDRESS"
    assert option.field == "max_connections_per_address"


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("poll-intervall", "poll-interval"),
        ("poll_interval", "poll-interval"),
        ("POLL-INTERVAL", "poll-interval"),
        ("htps", "https"),
        ("trusted-proxies", "trusted-proxy"),
        ("upstream", None),
        ("", None),
        ("x" * 100_000, None),
    ],
)
def test_nearest_option(word: str, meant: str | None) -> None:
    """A slip of the finger finds its option; anything else finds none."""
    assert nearest(word, OPTION_NAMES) == meant
