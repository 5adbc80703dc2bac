"""A real S3 server, SeaweedFS, for the tests that ask for it."""

import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import obstore
import psutil
import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store

from tests.keeper import end, free_ports, keep, run_owner, shared

BUCKET = "recordings"
KEY_ID = "test-key-id"
SECRET = "test-secret-that-opens-nothing"
PORTS = (
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "admin.port",
    "admin.port.grpc",
)
"""Each is set: one that is not would be its default, or another one's plus 10000."""
NO_PORTS = {"s3.port.iceberg": 0, "s3.port.lance": 0}


@dataclass
class S3Server:
    port: int
    ports: dict[str, int]
    data: str
    pid: int = 0
    bucket: str = BUCKET
    key_id: str = KEY_ID
    secret: str = SECRET

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def public_endpoint(self) -> str:
        """The same server by the name that only the outside knows."""
        return f"http://localhost:{self.port}"

    def url(self, prefix: str) -> str:
        """What `open_blobs` takes; give each test a prefix of its own."""
        return (
            f"s3://{self.bucket}/{prefix}?region=us-east-1&path_style=true"
            f"&endpoint={self.endpoint}&public_endpoint={self.public_endpoint}"
        )

    @property
    def credentials(self) -> dict[str, str]:
        return {"access_key_id": self.key_id, "secret_access_key": self.secret}

    def start(self, folder: Path, owner: int) -> None:
        Path(self.data).mkdir(exist_ok=True)
        keys = {"AWS_ACCESS_KEY_ID": self.key_id, "AWS_SECRET_ACCESS_KEY": self.secret}
        self.pid = keep(self._command(folder), folder, owner, _sockets(self.ports), **keys)
        if not _answers(self.port, self.pid):
            raise RuntimeError("SeaweedFS does not start: did somebody take one of its ports?")

    def restart(self) -> None:
        """With the same addresses and whatever was on disk."""
        self.start(_folder(), run_owner())

    def kill(self) -> None:
        """As a power cut would."""
        end(self.pid)

    def _command(self, folder: Path) -> list[str]:
        weed = Path(sys.executable).with_name("weed")
        own = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={self.data}", f"-s3.port={self.port}"]
        numbers = [f"-{name}={number}" for name, number in self.ports.items()]
        sockets = [f"-filer.localSocket={folder}/f.sock", f"-s3.localSocket={folder}/s.sock"]
        quiet = ["-master.telemetry=false", "-webdav=false", "-admin.ui=false"]
        strict = ["-s3.autoCreateBucket=false", "-s3.domainName=s3.test", f"-bucket={self.bucket}"]
        return [str(weed), "mini", *own, *numbers, *sockets, *quiet, *strict]


@pytest.fixture(scope="session")
def s3_server() -> S3Server:
    """One for the whole run, shared by all workers."""
    return S3Server(**shared("s3", lambda folder, owner: asdict(_started(folder, folder / "data", owner))))


@pytest.fixture
def own_s3_server(tmp_path: Path) -> Iterator[S3Server]:
    """One for this test alone, which may kill it."""
    server = _started(_folder(), tmp_path / "s3", run_owner())
    yield server
    if psutil.pid_exists(server.pid):
        server.kill()


def _started(folder: Path, data: Path, owner: int) -> S3Server:
    """A port that was free may be somebody else's by the time that the server wants it: then it tries others."""
    for attempt in reversed(range(3)):
        port, *others = free_ports(1 + len(PORTS))
        server = S3Server(port, {**dict(zip(PORTS, others, strict=True)), **NO_PORTS}, str(data))
        try:
            server.start(folder, owner)
            return server
        except RuntimeError:
            server.kill()
            if not attempt:
                raise
            folder.mkdir(exist_ok=True)
    raise AssertionError


def _folder() -> Path:
    """Its keeper removes it."""
    return Path(tempfile.mkdtemp(prefix="callvault-test-s3-"))


def _sockets(ports: dict[str, int]) -> list[str]:
    """What SeaweedFS leaves in /tmp whatever it is told."""
    return [
        f"/tmp/seaweedfs-{name.partition('.')[0]}-grpc-{number}.sock"
        for name, number in ports.items()
        if name.endswith(".grpc")
    ]


def _answers(port: int, pid: int) -> bool:
    store = S3Store(
        BUCKET,
        endpoint=f"http://127.0.0.1:{port}",
        region="us-east-1",
        access_key_id=KEY_ID,
        secret_access_key=SECRET,
        client_options={"allow_http": True, "timeout": timedelta(seconds=5)},
        retry_config={"max_retries": 0},
    )
    until = time.monotonic() + 30
    while time.monotonic() < until and psutil.pid_exists(pid):
        try:
            obstore.put(store, "started", b"x", use_multipart=False)
            return True
        except (BaseError, FileNotFoundError):
            time.sleep(0.1)
    return False
