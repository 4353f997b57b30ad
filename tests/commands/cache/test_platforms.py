"""Which wheels a platform takes that a command line names."""

from __future__ import annotations

import pytest

from simpleindex.commands.cache.platforms import supported_tags


def platforms(name: str) -> list[str]:
    """Return the platforms whose wheels run on one, the best first."""
    (tags,) = supported_tags(("3.12",), (name,))
    return [*dict.fromkeys(tag.platform for tag in tags if tag.platform != "any")]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("win_amd64", ["win_amd64"]),
        ("musllinux_1_2_x86_64", ["musllinux_1_2_x86_64", "musllinux_1_1_x86_64", "musllinux_1_0_x86_64"]),
        (
            "manylinux_2_6_x86_64",
            [*(f"manylinux_2_{minor}_x86_64" for minor in range(6, -1, -1)), "manylinux1_x86_64"],
        ),
        (
            "manylinux_2_17_i686",
            [
                *(f"manylinux_2_{minor}_i686" for minor in range(17, -1, -1)),
                "manylinux2014_i686",
                "manylinux2010_i686",
                "manylinux1_i686",
            ],
        ),
        (
            "manylinux_2_17_aarch64",
            [*(f"manylinux_2_{minor}_aarch64" for minor in range(17, -1, -1)), "manylinux2014_aarch64"],
        ),
        ("manylinux_2_5_aarch64", [f"manylinux_2_{minor}_aarch64" for minor in range(5, -1, -1)]),
    ],
)
def test_wheels_for_older_systems_run_on_newer_ones(name: str, expected: list[str]) -> None:
    """By PEP 600 and PEP 656; the older names of manylinux are for the machines that had them."""
    assert platforms(name) == expected
