"""One distribution under many names, and many distributions under names that look alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import parse_wheel_filename

from simpleindex.core.distribution_identity import (
    all_spellings,
    identify,
    normalized_filename,
    same_distribution,
)
from simpleindex.core.errors import InvalidFilename
from simpleindex.core.names import DistributionName, ProjectName, parse_distribution_name
from tests.fixtures.tables import for_each

ACME = ProjectName("acme-tools")
WHEEL = "acme_tools-1.0.0-py2.py3-none-any.whl"
SDIST = "acme_tools-1.0.0.tar.gz"


def parsed(filename: str) -> DistributionName:
    """A file of acme-tools."""
    return parse_distribution_name(filename, ACME)


@for_each(
    ("filename", "other", "same"),
    [
        (WHEEL, "Acme_Tools-1.0.0-py2.py3-none-any.whl", True),
        (WHEEL, "acme.tools-1.0.0-py2.py3-none-any.whl", True),
        (WHEEL, "acme_tools-1.0-py2.py3-none-any.whl", True),
        (WHEEL, "acme_tools-1-py2.py3-none-any.whl", True),
        (WHEEL, "acme_tools-v1.0.0-py2.py3-none-any.whl", True),
        (WHEEL, "acme_tools-01.0.0-py2.py3-none-any.whl", True),
        (WHEEL, "acme_tools-0!1.0-py2.py3-none-any.whl", True),
        (WHEEL, "acme_tools-1.0.0-py3.py2-none-any.whl", True),
        (WHEEL, "acme_tools-1.0.0-py2.py3.py2-none-any.whl", True),
        (WHEEL, "acme_tools-1.0.0-PY2.Py3-none-ANY.whl", True),
        (WHEEL, "acme_tools-1.0.0-py3-none-any.whl", False),
        (WHEEL, "acme_tools-1.0.0-py2.py3-none-linux_x86_64.whl", False),
        (WHEEL, "acme_tools-1.0.0-1-py2.py3-none-any.whl", False),
        (WHEEL, "acme_tools-1.0.1-py2.py3-none-any.whl", False),
        (WHEEL, "acme_tools-1.0.0.post0-py2.py3-none-any.whl", False),
        (WHEEL, "acme_tools-1.0.0+local-py2.py3-none-any.whl", False),
        (WHEEL, SDIST, False),
        (WHEEL, "nonsense.whl", False),
        ("acme_tools-1-1-py3-none-any.whl", "acme_tools-1-01-py3-none-any.whl", True),
        ("acme_tools-1-1-py3-none-any.whl", "acme_tools-1-1a-py3-none-any.whl", False),
        ("acme_tools-1-1A-py3-none-any.whl", "acme_tools-1-1a-py3-none-any.whl", False),
        ("acme_tools-1rc1-py3-none-any.whl", "acme_tools-1.0c1-py3-none-any.whl", True),
        ("acme_tools-1+a.1-py3-none-any.whl", "acme_tools-1.0+A_01-py3-none-any.whl", True),
        (SDIST, "acme_tools-1.0.tar.gz", True),
        (SDIST, "Acme-Tools-1.0.0.zip", True),
        (SDIST, "acme-tools-1.tgz", True),
        (SDIST, "acme-tools-1-0.tar.gz", False),
        (SDIST, "acme_tools-1.0.1.tar.gz", False),
        (SDIST, WHEEL, False),
    ],
)
def test_which_names_are_one(filename: str, other: str, same: bool) -> None:
    """PEP 503, PEP 440, PEP 425 and PEP 427 decide, not the text."""
    assert same_distribution(parsed(filename), [filename, other]) == [other] * same


def test_sdists_in_other_formats_can_be_kept_apart() -> None:
    """For an old release that is wanted whole."""
    names = ["acme-tools-1.0.0.tar.gz", "acme-tools-1.0.0.zip"]
    assert same_distribution(parsed(SDIST), names, formats_may_differ=True) == names[:1]


def test_all_spellings_have_their_own_among_them() -> None:
    """Also a name that is none."""
    names = [WHEEL, "Acme_Tools-1.0-py3.py2-none-any.whl", "nonsense.zip", SDIST]
    assert all_spellings("acme_tools-1-py2.py3-none-any.whl", ACME, names) == sorted(names[:2])
    assert all_spellings(WHEEL, ACME, names) == sorted(names[:2])
    assert all_spellings("nonsense.zip", ACME, names) == ["nonsense.zip"]
    assert all_spellings("other.zip", ACME, names) == []


@pytest.mark.parametrize(
    ("filename", "wanted"),
    [
        (WHEEL, WHEEL),
        ("Acme.Tools-01.0-1x-CP39-none-b_platform.a_platform.whl", None),
        ("acme_tools-1.0-rc1.zip", "acme_tools-1.0rc1.tar.gz"),
        ("Acme--Tools-1.0.tar.bz2", "acme_tools-1.0.tar.gz"),
    ],
)
def test_the_name_that_a_build_backend_gives(filename: str, wanted: str | None) -> None:
    """Only name and version have a normal form."""
    wanted = wanted or "acme_tools-1.0-1x-CP39-none-b_platform.a_platform.whl"
    assert normalized_filename(parsed(filename)) == wanted


def test_thousands_of_tags_cost_nothing() -> None:
    """The product of the sets is never made."""
    tags = "-".join(".".join(f"{kind}{number}" for number in range(9)) for kind in ("cp", "abi", "linux"))
    assert len(identify(parsed(f"acme_tools-1.0-{tags}.whl")).tags) == 3


_VERSIONS = st.sampled_from(["1", "1.0", "v1.0.0", "01", "1.1", "1.0a1", "1.0.alpha-1", "1.0+x", "1.0.post1"])
_PARTS = st.lists(st.sampled_from(["py2", "py3", "CP39", "none", "any"]), min_size=1, max_size=3).map(
    ".".join
)
_WHEELS = st.builds(
    lambda name, version, build, *tags: (
        "-".join((name, version.replace("-", "_"), *([build] if build else []), *tags)) + ".whl"
    ),
    st.sampled_from(["acme_tools", "Acme_Tools", "acme.tools"]),
    _VERSIONS,
    st.sampled_from(["", "", "1", "01", "1a"]),
    *[_PARTS] * 3,
)


@given(_WHEELS, _WHEELS)
def test_wheels_are_the_same_where_their_parsed_names_are(one: str, other: str) -> None:
    """As packaging parses them, which is what pip looks at."""
    try:
        pair = parsed(one), parsed(other)
    except InvalidFilename:
        return
    is_same = parse_wheel_filename(one) == parse_wheel_filename(other)
    assert (identify(pair[0]) == identify(pair[1])) == is_same
    assert same_distribution(pair[0], [other]) == ([other] if is_same and one != other else [])
