"""Profiles and the authority's advice when to renew (RFC 9773), with a real acme2certifier."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from simpleindex.config.acme_values import Identifier
from simpleindex.tls.acme.issuing import names_of
from simpleindex.tls.acme.orders import certificate_id
from simpleindex.tls.acme.settings import AcmeSettings
from tests.end_to_end.acme_place import Place
from tests.end_to_end.acme_servers import ACME2CERTIFIER, Acme2Certifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        ACME2CERTIFIER is None,
        reason="acme2certifier is not installed: pip install it in an environment of its own, whose bin is in PATH",
    ),
    pytest.mark.usefixtures("little_patience"),
]

NAME = "packages.example.org"
ADDRESS = "127.0.0.1"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acme2Certifier]:
    authority = Acme2Certifier(tmp_path_factory.mktemp("acme2certifier")).start()
    yield authority
    authority.stop()


@pytest.fixture
def new_place(authority: Acme2Certifier, tmp_path: Path) -> Callable[..., Place]:
    """Make places for names and addresses."""

    def make(*values: str, profile: str | None = None) -> Place:
        identifiers = tuple(map(Identifier, values))
        return Place(
            tmp_path,
            AcmeSettings(
                "you@example.org", authority.directory, identifiers, profile=profile, trust=authority.trust
            ),
        )

    return make


@pytest.mark.parametrize(
    ("values", "profile", "ordered"),
    [
        ((NAME,), None, None),
        ((ADDRESS,), None, "shortlived"),
        ((NAME, ADDRESS), None, "shortlived"),
        ((NAME,), "classic", "classic"),
        ((ADDRESS,), "classic", "classic"),
    ],
)
def test_addresses_get_the_short_lived_profile_unless_the_operator_chooses(
    authority: Acme2Certifier,
    new_place: Callable[..., Place],
    values: tuple[str, ...],
    profile: str | None,
    ordered: str | None,
) -> None:
    place = new_place(*values, profile=profile)
    assert place.check() == ""
    assert place.certificate is not None
    assert names_of(place.certificate) == set(values)
    assert authority.orders[-1].get("profile") == ordered


def test_a_profile_that_there_is_not(new_place: Callable[..., Place]) -> None:
    sentence = new_place(NAME, profile="nonsense").check()
    assert (
        "does not offer the profile 'nonsense'; it offers classic, shortlived: correct --acme-profile"
        in sentence
    )


def test_the_advice_is_followed_and_the_order_names_what_it_replaces(
    authority: Acme2Certifier, new_place: Callable[..., Place]
) -> None:
    """After 14 hours, where two thirds of the lifetime would be four days."""
    place = new_place(NAME)
    assert place.check() == ""
    first = place.certificate
    assert first is not None
    place.late_by = -timedelta(hours=7)  # the first question is due
    assert place.check() == ""
    status = place.state.read_status().certificate
    assert status is not None
    advised = status.renew_at - first.not_valid_before_utc
    assert timedelta(hours=14) < advised < timedelta(hours=16)
    place.late_by = -timedelta(hours=14)
    assert place.check() == ""
    assert place.certificate == first
    place.late_by = -timedelta(hours=16)
    assert place.check() == ""
    assert place.certificate not in (None, first)
    assert authority.orders[-1]["replaces"] == certificate_id(first.public_bytes(Encoding.PEM))


def test_what_was_replaced_already_is_replaced_without_saying_so(
    authority: Acme2Certifier, new_place: Callable[..., Place]
) -> None:
    """As after a crash between the authority's answer and ours to it: it refuses to replace a certificate twice."""
    place = new_place(NAME)
    assert place.check() == ""
    first, copy = place.certificate, place.copy()
    before = len(authority.orders)
    assert place.renew() == ""
    place.put_back(copy)
    assert place.renew() == ""
    assert place.certificate not in (None, first)
    assert ["replaces" in order for order in authority.orders[before:]] in ([True, True, False], [True, True])
