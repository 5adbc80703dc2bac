"""HTTP: what a key check and a point read cost beside the same server's constant; what it costs to begin at all.

python -m bench.http [seconds each]
"""

import asyncio
import http.client
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import psutil
from fastapi import APIRouter
from starlette.requests import Request

from callvault.domain.access import Action
from callvault.web.auth import needs, public
from callvault.web.parts import Claim, Hot, Part
from callvault.web.responses import Answer, bytes_answer
from callvault.web.visit import visit_of

SECONDS: Final = 5
CONNECTIONS: Final = 16
ROUNDS: Final = 5
CONSTANT: Final = json.dumps({"constant": "x" * 1200}).encode()
"""As many bytes as a recording's facts, more or less."""
Line = tuple[str, ...]

router = APIRouter()


@router.get("/bench/fastapi")
@public("a constant for the benchmark")
async def fast() -> dict[str, str]:
    return {"constant": "x" * 1200}


@public("a constant for the benchmark")
async def constant(request: Request) -> Answer:
    return bytes_answer(CONSTANT, b"application/json")


@needs(Action.READ_RECORDING)
async def keyed(request: Request) -> Answer:
    return bytes_answer(CONSTANT, b"application/json")


@needs(Action.READ_RECORDING)
async def point(request: Request) -> Answer:
    """The key, the recording, whether the one may see the other; no more is told than that."""
    visit = visit_of(request)
    recording = await visit.services.recordings.retrieve(visit.caller, request.path_params["id"])
    return bytes_answer(CONSTANT[: -len(recording.id)] + recording.id.encode(), b"application/json")


PART = Part(
    name="bench",
    title="Constants",
    claims=(Claim("/bench"),),
    routers=(router,),
    hot=(
        Hot("GET", "/bench/constant", constant),
        Hot("GET", "/bench/keyed", keyed),
        Hot("GET", "/bench/{id}/point", point),
    ),
)


def run(seconds: float = SECONDS) -> list[Line]:
    head = ("requests over keep-alive", "of it a second", "a server-CPU second", "of the constant")
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        paths = {
            "a constant": "/bench/constant",
            "a constant, key checked": "/bench/keyed",
            "key check and point read": f"/bench/{server.recording}/point",
            "a constant by FastAPI": "/bench/fastapi",
            "GET /api/v1/recordings/…": f"/api/v1/recordings/{server.recording}",
        }
        rounds = [_round(server, paths, max(round(seconds / ROUNDS), 1)) for _ in range(ROUNDS)]
    lines = [_line(name, rounds) for name in paths]
    return [head, *lines, ("callvault --help", "", f"{_help_seconds():.3f} s of CPU", "")]


def _line(name: str, rounds: list[dict[str, tuple[float, float]]]) -> Line:
    """Medians; the ratio is taken within each round, in which both had the same company."""
    by_clock, by_cpu = (median(each[name][n] for each in rounds) for n in (0, 1))
    ratio = median(each[name][1] / each["a constant"][1] for each in rounds)
    return name, f"{by_clock:.0f}", f"{by_cpu:.0f}", f"{ratio:.2f}"


@dataclass(frozen=True)
class Serving:
    address: str
    process: psutil.Process
    key: str
    recording: str


@contextmanager
def serving(folder: Path) -> Iterator[Serving]:
    command = [sys.executable, "-m", "bench.http", "serve", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            told = json.loads(process.stdout.readline())
            yield Serving(told["address"], psutil.Process(process.pid), told["key"], _recording(told))
        finally:
            process.terminate()


def _recording(told: dict[str, str]) -> str:
    connection = http.client.HTTPConnection(told["address"])
    headers = {"authorization": f"Bearer {told['key']}", "content-type": "application/json"}
    facts = {"call": {"from": "+14155550123", "participants": [{"id": "c", "role": "customer"}]}, "tags": ["bench"]}
    connection.request("POST", "/api/v1/recordings", json.dumps(facts), headers)
    made = json.loads(connection.getresponse().read())
    connection.close()
    return str(made["id"])


def _round(server: Serving, paths: dict[str, str], seconds: float) -> dict[str, tuple[float, float]]:
    """Requests a second, and a second of the server's CPU."""
    rates = {}
    for name, path in paths.items():
        before = _cpu(server.process)
        count = _load(server, path, seconds)
        rates[name] = count / seconds, count / (_cpu(server.process) - before)
    return rates


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _load(server: Serving, path: str, seconds: float) -> int:
    """How many requests were answered, all of them rightly."""
    if not shutil.which("wrk"):
        return asyncio.run(_ask(server, path, seconds))
    script = f'wrk.headers["authorization"] = "Bearer {server.key}"\n'
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script + _TALLY)
        file.flush()
        command = [
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{seconds:.0f}s",
            "-s",
            file.name,
            f"http://{server.address}{path}",
        ]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    requests, wrong = told.splitlines()[-1].split()
    assert wrong == "0", told
    return int(requests)


_TALLY: Final = """
done = function(summary)
  local e = summary.errors
  io.write(string.format("%d %d\\n", summary.requests, e.connect + e.read + e.write + e.status + e.timeout))
end
"""


async def _ask(server: Serving, path: str, seconds: float) -> int:
    """The same from here, where there is no wrk."""
    host, _, port = server.address.partition(":")
    request = f"GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {server.key}\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds

    async def one() -> int:
        reader, writer = await asyncio.open_connection(host, int(port))
        count = 0
        while loop.time() < end:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in head[:20], head
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            count += 1
        writer.close()
        return count

    return sum(await asyncio.gather(*(one() for _ in range(CONNECTIONS))))


def _help_seconds() -> float:
    """The least CPU of several runs of the program's help."""
    program = Path(sys.executable).with_name("callvault")
    used = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([program, "--help"], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(used)


async def _serve(folder: Path) -> None:
    """The vault as `callvault serve` has it, with the constants, on a port of its own; its log goes nowhere."""
    import socket

    import uvicorn

    from callvault.bootstrap import opened, web_options
    from callvault.cli.connections import ServerConnection
    from callvault.settings import load
    from callvault.web import logs
    from callvault.web.app import all_parts, create_app

    settings = load({}, data=folder, requests_per_minute=10**9)
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
        logs.configure("json", "info", Path(os.devnull).open("w"))  # noqa: ASYNC230, SIM115 - before anything is served
        async with opened(settings, node=True) as house:
            first = await house.first_key()
            assert first
            await house.start(workers=False)
            app = create_app(house.services, web_options(settings), [*all_parts(), PART])
            config = uvicorn.Config(
                app, http=ServerConnection, lifespan="off", log_config=None, access_log=False, server_header=False
            )
            address = "{}:{}".format(*listening.getsockname())
            sys.stdout.write(json.dumps({"address": address, "key": first.key}) + "\n")
            sys.stdout.flush()
            house.settle()
            await uvicorn.Server(config).serve([listening])


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(Path(sys.argv[2])))
    else:
        for line in run(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS):
            print("  ".join((line[0].ljust(26), *(cell.rjust(20) for cell in line[1:]))))
