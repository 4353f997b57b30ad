"""``simpleindex doctor`` beside a running server, with the real pip and uv of the tests' environment."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.end_to_end.clients import found
from tests.end_to_end.running import wait_until
from tests.fixtures.distributions import add_wheel

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.end_to_end.running import Server

pytestmark = pytest.mark.slow


def findings(server: Server, *more: str, status: int) -> dict[str, dict[str, Any]]:
    """Run the command; return what it says of each subject."""
    places = {
        "path": server.root,
        "state": server.home / "state",
        "cache": server.cache,
        "certs": server.certs,
    }
    options = [f"--{name}={place}" for name, place in places.items()]
    done = server.installed.run(
        "-m",
        "simpleindex",
        "doctor",
        *options,
        f"--https={server.port}",
        "--json",
        *more,
        home=server.home,
        PATH=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
    )
    assert (done.returncode, done.stderr) == (status, ""), done.stdout + done.stderr
    return {each["subject"]: each for each in json.loads(done.stdout)["subjects"]}


def test_doctor(new_server: Callable[..., Server]) -> None:
    found("uv")
    server = new_server()
    wheel = add_wheel(server.root, "acme", "1.0")
    server.start()
    well = findings(server, "--deep", status=0)
    assert [each["findings"] for each in well.values()] == [[]] * len(well), well
    assert well["clients"]["summary"] == "pip and uv installed acme==1.0 from the server"
    log = server.home / "access.log"
    wait_until(
        lambda: log.read_text().count(f"GET /-/trial/simple/acme/{wheel.name} ") == 3,
        "the doctor, pip and uv have fetched it",
    )
    words = (
        "-m",
        "simpleindex",
        "who",
        "acme",
        "--json",
        f"--state={server.home / 'state'}",
        f"--access-log={log}",
    )
    assert json.loads(server.installed.run(*words, home=server.home).stdout)["downloads"] == []
    assert "answers, version" in well["server"]["summary"]
    assert well["certificates"]["summary"].startswith("1 certificate, ")
    # Without it the private CA is one that nobody trusts.
    ca = server.home / "state" / "ca" / "cert.pem"
    ca.rename(ca.with_name("elsewhere.pem"))
    broken = findings(server, status=2)
    assert "TLS fails" in broken["server"]["findings"][0]["sentence"]
    assert "clients" not in broken
    ca.with_name("elsewhere.pem").rename(ca)
    server.stop()
    wheel.write_bytes(wheel.read_bytes()[:200])
    stopped = findings(server, status=1)
    assert stopped["server"]["findings"][0]["severity"] == "hint"
    assert stopped["packages"]["findings"][0]["remedy"] == f"simpleindex delete acme {wheel.name}"
