"""What holds for every test: none of them asserts on a clock, so neither does hypothesis."""

from __future__ import annotations

import faulthandler
import gc
import os
import shutil
import sqlite3
import tempfile
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import argon2
import pytest
from hypothesis import HealthCheck, settings

from simpleindex.access.logins import hashes
from simpleindex.system.log import FILTER
from tests.fixtures.databases import UnsyncedConnection
from tests.fixtures.depth import THOROUGH, number_of
from tests.fixtures.log import CapturedLog, release_failures
from tests.fixtures.postgresql import running_postgresql
from tests.order import in_shares

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tests.fixtures.postgresql import PostgreSQL

settings.register_profile(
    "simpleindex",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # The same examples in every run, so that none fails because of one that another run did not try; a thorough run tries others.
    derandomize=not THOROUGH,
    max_examples=number_of(100, least=15),
)
settings.load_profile("simpleindex")


SHARED_DIRECTORY: Final = "TESTS_SHARED_DIRECTORY"
"""The environment variable with a directory that all processes of a parallel run have, and other users can enter."""


class QuickHasher(argon2.PasswordHasher):
    """Hashes passwords with the least that our users file takes, in a tenth of the time."""

    def __init__(
        self, time_cost: int = 2, memory_cost: int = 19_456, parallelism: int = 1, **further: Any
    ) -> None:
        super().__init__(time_cost, memory_cost, parallelism, **further)


def pytest_configure(config: pytest.Config) -> None:
    """Make the shared directory in the process that starts the others, and hash passwords quickly in all of them."""
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    patch.setattr(argon2, "PasswordHasher", QuickHasher)
    # What is verified for an unknown user.
    patch.setattr(hashes, "_DUMMY", "$argon2id$v=19$m=19456,t=2,p=1$")
    if SHARED_DIRECTORY in os.environ:
        return
    path = tempfile.mkdtemp(prefix="simpleindex-tests-")
    Path(path).chmod(0o755)
    os.environ[SHARED_DIRECTORY] = path
    config.add_cleanup(partial(shutil.rmtree, path, ignore_errors=True))
    config.add_cleanup(partial(os.environ.__delitem__, SHARED_DIRECTORY))


def import_part(directory: Path) -> None:
    """Import one of the parts of all tests that the workers of a parallel run share among them.

    They collect everything in one order. Without this, all of them compile each module of a clean checkout at the same time,
    which takes seven seconds of each.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker.startswith("gw"):
        paths = sorted(directory.rglob("test_*.py"))
        for path in paths[int(worker[2:]) :: int(os.environ["PYTEST_XDIST_WORKER_COUNT"])]:
            # What is wrong with a module is reported when it is collected.
            with suppress(Exception, pytest.skip.Exception):
                import_module(".".join(path.relative_to(directory.parent).with_suffix("").parts))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Leave modules and items, which all live until the end, out of the collections of garbage."""
    gc.disable()
    try:
        if session.config.args == [str(name) for name in session.config.getini("testpaths")]:
            import_part(Path(__file__).parent)
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Let a process that has run its tests take some of another's, unless ``--dist`` says otherwise."""
    if getattr(config.option, "numprocesses", None) and config.option.dist == "no":
        config.option.dist = "worksteal"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests so that parallel processes end at the same time."""
    if (count := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:
        items[:] = in_shares(items, count)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Return the number of workers of ``-n auto``.

    Twice as many as processors: tests with real servers and clients wait half of their time (339 of 670 seconds of two
    processors were used).
    """
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return processors if "not slow" in config.option.markexpr else 2 * processors


@pytest.fixture(autouse=True)
def _log_anew() -> Iterator[None]:
    """Let a test see a trouble in the log that another test had less than a minute ago, and only its own failures."""
    FILTER.forget()
    yield
    release_failures()


@pytest.fixture
def log() -> Iterator[CapturedLog]:
    """Collect what the project's modules log during a test."""
    with CapturedLog() as captured:
        yield captured


@pytest.fixture(autouse=True, scope="session")
def _databases_do_not_wait() -> Iterator[None]:
    """Open databases that do not wait for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=UnsyncedConnection))
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_test_ends_this_process() -> Iterator[None]:
    """Refuse the watchdog that ends a process by force: seconds later it would end the tests, in the middle of another one."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a test armed the watchdog of its own process")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faulthandler, "dump_traceback_later", refuse)
        yield


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A server for the tests of one process."""
    # Not in pytest's directory, which is for its user alone.
    directory = Path(tempfile.mkdtemp(prefix="postgresql-"))
    try:
        with running_postgresql(directory) as server:
            yield server
    finally:
        shutil.rmtree(directory, ignore_errors=True)
