"""Microsoft's own emulator of Azure's blob storage, Azurite, for the tests that ask for it; it comes by npm."""

import fcntl
import hmac
import shutil
import subprocess
import time
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.keeper import end, free_ports, keep, shared

PACKAGE = "azurite@3.35.0"
INSTALLED = Path(__file__).parents[1] / "build" / PACKAGE
ACCOUNT = "devstoreaccount1"
KEY = b64encode(b"a key that opens nothing but this").decode()
CONTAINER = "recordings"


@dataclass(frozen=True)
class AzureServer:
    port: int
    pid: int
    account: str = ACCOUNT
    container: str = CONTAINER

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/{self.account}"

    @property
    def public_endpoint(self) -> str:
        """The same server by the name that only the outside knows."""
        return f"http://localhost:{self.port}/{self.account}"

    def url(self, prefix: str) -> str:
        return (
            f"az://{self.container}/{prefix}?account={self.account}"
            f"&endpoint={self.endpoint}&public_endpoint={self.public_endpoint}"
        )

    @property
    def credentials(self) -> dict[str, str]:
        return {"account_key": KEY}


@pytest.fixture(scope="session")
def azure_server() -> AzureServer:
    """One for the whole run, shared by all workers; skipped where npm does not bring it."""
    told = shared("azure", start_azure)
    if "missing" in told:
        pytest.skip(told["missing"])
    return AzureServer(**told)


def start_azure(folder: Path, owner: int) -> dict[str, object]:
    if missing := _install():
        return {"missing": missing}
    for attempt in reversed(range(3)):
        server = _server(folder, owner)
        try:
            _make_container(server)
            return {"port": server.port, "pid": server.pid}
        except RuntimeError:
            end(server.pid)
            if not attempt:
                raise
            folder.mkdir(exist_ok=True)
    raise AssertionError


def _server(folder: Path, owner: int) -> AzureServer:
    """A port that was free may be somebody else's by the time that the server wants it."""
    [port] = free_ports(1)
    program = INSTALLED / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    where = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder)]
    quiet = ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    accounts = f"{ACCOUNT}:{KEY}"
    pid = keep([shutil.which("node") or "node", str(program), *where, *quiet], folder, owner, AZURITE_ACCOUNTS=accounts)
    return AzureServer(port, pid)


def _install() -> str:
    """What is in the way, if anything is. What was installed once is kept for the runs to come."""
    if not (shutil.which("npm") and shutil.which("node")):
        return "Azurite needs npm, which is not here"
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (INSTALLED / "whole").exists():
            return ""
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(INSTALLED), PACKAGE]
        done = subprocess.run(command, capture_output=True, timeout=240, check=False)
        if done.returncode:
            return f"npm does not bring {PACKAGE}: is the network there?"
        (INSTALLED / "whole").touch()
    return ""


def _make_container(server: AzureServer) -> None:
    """By an account SAS, which may create one."""
    facts = {"sp": "c", "ss": "b", "srt": "c", "st": "", "se": "2099-01-01T00:00:00Z", "sip": "", "spr": "https,http"}
    facts["sv"] = "2022-11-02"
    said = "\n".join([ACCOUNT, *facts.values(), "", ""])
    facts["sig"] = b64encode(hmac.digest(b64decode(KEY), said.encode(), "sha256")).decode()
    until = time.monotonic() + 30
    while psutil.pid_exists(server.pid):
        try:
            answer = httpx.put(f"{server.endpoint}/{CONTAINER}", params={"restype": "container", **facts})
            assert answer.status_code == 201, answer.text
            return
        except httpx.TransportError:
            assert time.monotonic() < until
            time.sleep(0.1)
    raise RuntimeError("Azurite does not start")
