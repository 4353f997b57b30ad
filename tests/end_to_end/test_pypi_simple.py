"""The client library of the field against the installed server, over real TLS."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import requests
from pypi_simple import ACCEPT_HTML_ONLY, ACCEPT_JSON_ONLY, PyPISimple

from tests.end_to_end.running import Server
from tests.fixtures.distributions import add_sdist, add_wheel, metadata_text, put, wheel_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.end_to_end.running import Installed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with what pages can say."""
    home = tmp_path_factory.mktemp("pypi-simple")
    server = Server(installed, home / "server", home / "packages")
    os.utime(add_wheel(server.root, "acme", "1.0", "Requires-Python: >=3.8"), (1_700_000_000, 1_700_000_000))
    add_sdist(server.root, "acme", "2.0+local.1")
    put(server.root / "acme" / "simpleindex.toml", b'[yanked]\n"1.0" = "a <b> & \\"c\\""\n')
    add_wheel(server.root, "Odd.Name", "1.0", directory="Odd.Name")
    (server.root / "hidden").mkdir()
    yield server.start()
    server.stop()


@pytest.mark.parametrize("accept", [ACCEPT_JSON_ONLY, ACCEPT_HTML_ONLY], ids=["json", "html"])
@pytest.mark.parametrize("place", ["/simple/", "/"])
def test_parses_every_page(place: str, accept: str, server: Server) -> None:
    """The root and every project, in both forms, at both places, say what lies on the disk."""
    wheel = server.root / "acme" / wheel_name("acme")
    with requests.Session() as session:
        # Otherwise the machine's REQUESTS_CA_BUNDLE would be believed instead.
        session.trust_env = False
        session.verify = str(server.ca)
        with PyPISimple(f"{server.url}{place}", session=session, accept=accept) as client:
            assert client.get_index_page().projects == ["acme", "odd-name"]
            packages = {each.filename: each for each in client.get_project_page("acme").packages}
            found, sdist = packages[wheel.name], packages["acme-2.0+local.1.tar.gz"]
            assert (found.version, found.requires_python) == ("1.0", ">=3.8")
            assert (found.is_yanked, found.yanked_reason) == (True, 'a <b> & "c"')
            assert found.has_metadata
            assert (
                client.get_package_metadata(found)
                == metadata_text("acme", "1.0", "Requires-Python: >=3.8").decode()
            )
            assert (sdist.version, sdist.package_type) == ("2.0+local.1", "sdist")
            assert [each.version for each in client.get_project_page("Odd_Name").packages] == ["1.0"]
            if accept == ACCEPT_JSON_ONLY:
                assert found.size == wheel.stat().st_size
                assert found.upload_time is not None
                assert found.upload_time.timestamp() == 1_700_000_000
