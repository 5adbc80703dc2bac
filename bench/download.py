"""Downloads: a file of 100 MB through a vault link over one connection, beside nginx and beside AES-GCM itself.

python -m bench.download [MB]
"""

import asyncio
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import psutil
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from callvault.adapters.blobs.disk import DiskBlobs
from callvault.bootstrap import opened
from callvault.domain.recording import Recording
from callvault.domain.stored import Rendition, StoredObject
from callvault.domain.unit import Unit
from callvault.settings import load
from callvault.wire.sealed import FRAME

MEGABYTES = 100
ROUNDS = 25
BUFFER = 1 << 18
VIEWS = {"unsealed": "stereo", "sealed": "mono"}
Line = tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A URL and the processes that answer it."""

    url: str
    processes: tuple[psutil.Process, ...]

    def cpu(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self.processes)


def run(megabytes: int = MEGABYTES) -> list[Line]:
    size = megabytes * 1_000_000
    with (
        tempfile.TemporaryDirectory(prefix="callvault-bench-", dir=os.environ.get("TMPDIR")) as place,
        ExitStack() as s,
    ):
        folder = Path(place)
        folder.chmod(0o755)  # for nginx, whose workers are nobody
        sound = secrets.token_bytes(size)
        sources = s.enter_context(vault(folder / "vault", sound))
        if shutil.which("nginx", path=_PATHS):
            sources["nginx"] = s.enter_context(nginx(folder / "nginx", sound))
        took, used = _taken(sources, size)
    speeds = {name: [size / seconds / 1e6 for seconds in each] for name, each in took.items()}
    speeds["AES-GCM"] = [speed / 1e6 for speed in _opening(sound)]
    common = {name: median(each) for name, each in speeds.items()}
    beside = {"sealed": min(common.get("nginx", common["AES-GCM"]), common["AES-GCM"])}
    if "nginx" in common:
        beside["unsealed"] = common["nginx"]
    head = (f"{megabytes} MB, one connection", "MB/s", "at best", "server CPU s", "of its peer")
    return [head, *(_line(name, each, used.get(name), beside.get(name)) for name, each in speeds.items())]


def _line(name: str, speeds: list[float], used: float | None, beside: float | None) -> Line:
    speed = median(speeds)
    cells = (f"{speed:.0f}", f"{max(speeds):.0f}", f"{used:.3f}" if used else "")
    return (name, *cells, f"{speed / beside:.2f}" if beside else "")


# -- what is asked --------------------------------------------------------------------------------


def _taken(sources: dict[str, Source], size: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """The seconds of each round, in which all take turns, and the server's least CPU time. What counts is the median:
    now and then client and server happen to share a core and its cache, and are twice as fast, whoever it is."""
    took: dict[str, list[float]] = {name: [] for name in sources}
    used = dict.fromkeys(sources, float("inf"))
    for _ in range(ROUNDS):
        for name, source in sources.items():
            before, began = source.cpu(), time.perf_counter()
            assert _fetch(source.url) == size, f"{name} gave something else"
            took[name].append(time.perf_counter() - began)
            used[name] = min(used[name], source.cpu() - before)
    return took, used


def _fetch(url: str) -> int:
    """How many bytes the body had; they are read and dropped, with little beside the system's own work."""
    parts = urlsplit(url)
    buffer = memoryview(bytearray(BUFFER))
    with socket.create_connection((parts.hostname or "", parts.port or 80)) as connection:
        connection.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(4096)
        head, _, rest = head.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head[:100]
        count = len(rest)
        while got := connection.recv_into(buffer):
            count += got
    return count


def _opening(sound: bytes) -> list[float]:
    """Bytes a second that the library opens on one core, frame by frame, in each round."""
    cipher, nonce = AESGCM(secrets.token_bytes(32)), bytes(12)
    frames = [cipher.encrypt(nonce, sound[at : at + FRAME], None) for at in range(0, len(sound), FRAME)]
    speeds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for frame in frames:
            cipher.decrypt(nonce, frame, None)
        speeds.append(len(sound) / (time.perf_counter() - began))
    return speeds


# -- who answers ----------------------------------------------------------------------------------


@contextmanager
def vault(folder: Path, sound: bytes) -> Iterator[dict[str, Source]]:
    """`callvault serve` as it is, with links to two renditions of a recording."""
    key, recording = asyncio.run(_filled(folder, sound))
    command = [sys.executable, "-m", "callvault", "serve", "--port", "0", "--data", str(folder), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout
            address = json.loads(process.stdout.readline())["url"]
            server = (psutil.Process(process.pid),)
            yield {kind: Source(_link(address, key, recording, view), server) for kind, view in VIEWS.items()}
        finally:
            process.terminate()


async def _filled(folder: Path, sound: bytes) -> tuple[str, str]:
    async with opened(load({}, data=folder)) as house:
        first = await house.first_key()
        assert first
        services, workspace = house.services, first.row.workspace_id
        unit, name = Unit(), services.ids.uuid()
        recording = Recording(
            id=name,
            workspace_id=workspace,
            call_id=services.ids.uuid(),
            created_ms=1,
            updated_ms=1,
            last_heard_ms=1,
            status="completed",
            in_progress=False,
        )
        unit.add(recording)
        await services.sealing.ensure(workspace)
        bare = DiskBlobs(folder / "objects")
        for kind, blobs in (("unsealed", bare), ("sealed", services.blobs)):
            stored = blobs.put(f"{workspace}/{name}/renditions/{kind}", [sound], workspace_id=workspace)
            unit.add(*_rendition(recording, VIEWS[kind], replace(stored, workspace_id=workspace)))
        await services.store.commit(unit)
        return first.key, name


def _rendition(recording: Recording, view: str, stored: StoredObject) -> tuple[Rendition, StoredObject]:
    rendition = Rendition(
        recording_id=recording.id,
        view=view,
        format="flac",
        rate=8000,
        sound_version=recording.sound_version,
        workspace_id=recording.workspace_id,
        object_key=stored.key,
        size=stored.size,
        created_ms=1,
    )
    return rendition, replace(stored, recording_id=recording.id, created_ms=1)


def _link(address: str, key: str, recording: str, view: str) -> str:
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    body = json.dumps({"view": view, "format": "flac"}).encode()
    asked = urllib.request.Request(f"{address}/api/v1/recordings/{recording}/secure-url", body, headers)
    with urllib.request.urlopen(asked) as answer:
        return str(json.loads(answer.read())["url"])


_PATHS = f"{os.environ.get('PATH', '')}:/usr/sbin"


@contextmanager
def nginx(folder: Path, sound: bytes) -> Iterator[Source]:
    """As it comes, with sendfile, one worker, and no log."""
    folder.mkdir()
    (folder / "sound").write_bytes(sound)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "nginx.conf").write_text(_CONFIGURATION.format(folder=folder, port=port))
    command = [shutil.which("nginx", path=_PATHS) or "nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            _await(port)
            master = psutil.Process(process.pid)
            yield Source(f"http://127.0.0.1:{port}/sound", (master, *master.children()))
        finally:
            process.terminate()


_CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; tcp_nopush on;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}; }}
}}
"""


def _await(port: int) -> None:
    for _ in range(100):
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise AssertionError("nginx does not answer")


if __name__ == "__main__":
    for line in run(*map(int, sys.argv[1:])):
        print("  ".join((line[0].ljust(28), *(cell.rjust(12) for cell in line[1:]))))
