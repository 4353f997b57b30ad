"""What each error number means, for clients and for the operator."""

from __future__ import annotations

import errno
import os

import pytest

from simpleindex.core.faults import PASSING, Fault, Trouble, fault_of
from tests.fixtures.tables import for_each

MEANINGS = [
    ("EMFILE", Fault.DESCRIPTORS, 503),
    ("ENFILE", Fault.DESCRIPTORS, 503),
    ("ENOMEM", Fault.MEMORY, 503),
    ("ENOBUFS", Fault.MEMORY, 503),
    ("EAGAIN", Fault.BUSY, 503),
    ("EINTR", Fault.BUSY, 503),
    ("EBUSY", Fault.BUSY, 503),
    ("ENOLCK", Fault.BUSY, 503),
    ("ENOSPC", Fault.FULL, 507),
    ("EDQUOT", Fault.FULL, 507),
    ("EFBIG", Fault.FULL, 507),
    ("EACCES", Fault.FORBIDDEN, 500),
    ("EPERM", Fault.FORBIDDEN, 500),
    ("EROFS", Fault.READ_ONLY, 500),
    ("EIO", Fault.BROKEN, 500),
    ("ESTALE", Fault.BROKEN, 500),
    ("EUCLEAN", Fault.BROKEN, 500),
    ("ENODEV", Fault.BROKEN, 500),
    ("ENOTDIR", Fault.MISPLACED, 500),
    ("EISDIR", Fault.MISPLACED, 500),
    ("ELOOP", Fault.MISPLACED, 500),
    ("ENOENT", Fault.ABSENT, 500),
    ("EDOM", Fault.UNKNOWN, 500),
]


@for_each(("name", "fault", "status"), MEANINGS)
def test_a_number_has_a_meaning(name: str, fault: Fault, status: int) -> None:
    """Each number is one kind of trouble, and has one status: never one that blames the client."""
    number = getattr(errno, name)
    assert fault_of(number) is fault
    assert Trouble(fault, os.strerror(number)).status == status


@pytest.mark.parametrize("number", [None, 0, -1, 10_000])
def test_no_number_is_unknown(number: int | None) -> None:
    """An error without a number, or with a strange one, is an unknown fault."""
    assert fault_of(number) is Fault.UNKNOWN


@for_each("number", sorted(errno.errorcode))
def test_every_number_has_its_sentences(number: int) -> None:
    """No error is the client's, no client learns a path, and the operator learns it with the cause and a remedy."""
    trouble = Trouble(fault_of(number), os.strerror(number), "/srv/secret/acme")
    assert trouble.status >= 500
    assert trouble.cause in trouble.for_client()
    assert "/srv/secret" not in trouble.for_client()
    assert trouble.for_operator().startswith(f"/srv/secret/acme cannot be used ({trouble.cause}): ")
    assert trouble.for_operator().endswith(".")


@for_each("fault", Fault)
def test_what_passes_asks_to_try_again(fault: Fault) -> None:
    """Trying again is advised where it helps, and nowhere else."""
    trouble = Trouble(fault, "why")
    assert ("try again" in trouble.for_client()) == trouble.is_passing == (fault in PASSING)
    assert (trouble.status == 503) == trouble.is_passing
