"""Links minted a second: Vapi's 302, OSVI's and Gravity Rail's JSON, beside the same server's constants of the same
kind, on one core, over a vault of so many calls.

python -m bench.redirect [--calls 10000000] [--seconds 14] [--keep FOLDER]
"""

import argparse
import asyncio
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import httpx
import psutil
from starlette.requests import Request

from bench import wrk
from callvault.web.auth import public
from callvault.web.parts import Claim, Hot, Part
from callvault.web.responses import Answer, json_answer, redirect

CALLS: Final = 100_000
SECONDS: Final = 14
TURN: Final = 2
"""Seconds of one load: all take turns, so that none has quieter company."""
CONNECTIONS: Final = 8
CHUNK: Final = 500_000
LINK: Final = f"http://127.0.0.1/link/{'x' * 148}"
UUID: Final = "0189ac5e-d2f7-7b3c-8e61-d%02xe%02xf%02xa%02x"
"""Of call n, with its bytes between letters: a row of ten digits, which these ids hardly ever have, costs the log a
look for phone numbers."""
BITS: Final = (24, 16, 8, 0)
HEAD: Final = ("what", "a second", "a server-CPU second", "p50 ms", "p99 ms", "of the constant")
PROGRAM: Final = ("bench.redirect", "--serve")
Line = tuple[str, ...]


@public("a constant for the benchmark")
async def constant_redirect(request: Request) -> Answer:
    return redirect(LINK)


@public("a constant for the benchmark")
async def constant_json(request: Request) -> Answer:
    return json_answer({"success": True, "data": {"recording_url": LINK, "expires_in_seconds": 900}})


PART = Part(
    name="bench",
    title="Constants",
    claims=(Claim("/bench"),),
    hot=(Hot("GET", "/bench/redirect", constant_redirect), Hot("GET", "/bench/json", constant_json)),
)


@dataclass(frozen=True)
class Serving:
    address: str
    process: psutil.Process
    key: str


@dataclass(frozen=True)
class Rate:
    by_clock: float
    by_cpu: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Asked:
    """A path, with the number of a call in it, and the constant that it is held against."""

    name: str
    path: str
    beside: str | None = None


def run(calls: int = CALLS, seconds: float = SECONDS, keep: Path | None = None) -> list[Line]:
    if not wrk.is_there():
        return [HEAD, ("wrk is not there: nothing can be measured", *[""] * 5)]
    with tempfile.TemporaryDirectory(prefix="callvault-bench-") as folder:
        data = keep or Path(folder) / "vault"
        key, workspace, filled = _vault(data, calls)
        with serving(data) as told:
            server = Serving(told.address, told.process, key)
            rounds = [_round(server, _asked(workspace), calls) for _ in range(max(round(seconds / TURN), 1))]
    return [HEAD, *(_line(asked, rounds) for asked in _asked(workspace)), (f"{calls} calls", filled, *[""] * 4)]


def _asked(workspace: str) -> list[Asked]:
    return [
        Asked("a constant 302", "/bench/redirect"),
        Asked("Vapi: 302 of a mono recording", f"/call/{UUID}/mono-recording", "a constant 302"),
        Asked("a constant JSON", "/bench/json"),
        Asked("OSVI: JSON of a recording", f"/v1/call/{UUID}/recording", "a constant JSON"),
        Asked(
            "Gravity Rail: JSON of a recording",
            f"/api/v2/w/{workspace}/recordings/chat/%d/download-url",
            "a constant JSON",
        ),
    ]


def _line(asked: Asked, rounds: list[dict[str, Rate]]) -> Line:
    """Medians; the ratio is taken within each round, in which both had the same company."""
    each = [found[asked.name] for found in rounds]
    cells = (
        f"{median(rate.by_clock for rate in each):.0f}",
        f"{median(rate.by_cpu for rate in each):.0f}",
        f"{median(rate.p50_ms for rate in each):.2f}",
        f"{median(rate.p99_ms for rate in each):.2f}",
    )
    if asked.beside is None:
        return (asked.name, *cells, "")
    ratio = median(found[asked.name].by_cpu / found[asked.beside].by_cpu for found in rounds)
    return (asked.name, *cells, f"{ratio:.2f}")


# -- a vault full of calls ----------------------------------------------------------------------


def _vault(data: Path, calls: int) -> tuple[str, str, str]:
    """The key, the workspace, and how long it took to fill it: one recorded call, copied as often as is wanted."""
    facts = data / "bench.json"
    if facts.exists():
        told = json.loads(facts.read_text())
        return told["key"], told["workspace"], "filled before"
    with serving(data) as server, httpx.Client(base_url=f"http://{server.address}") as client:
        client.headers["authorization"] = f"Bearer {server.key}"
        made = client.post("/api/v1/recordings", json={"call": {"from": "+14155550123"}}).json()
        for lane in ("customer", "assistant"):
            place = f"/api/v1/recordings/{made['id']}/lanes/{lane}/takes/0?start=0"
            client.put(place, content=bytes(16_000), headers={"content-type": "audio/PCMU"}).raise_for_status()
        client.post(f"/api/v1/recordings/{made['id']}/complete").raise_for_status()
        key = server.key
    began = time.monotonic()
    with closing(sqlite3.connect(data / "callvault.db", isolation_level=None)) as database:
        ((workspace,),) = database.execute("SELECT id FROM workspaces")
        _copy(database, calls)
    facts.write_text(json.dumps({"key": key, "workspace": workspace}))
    return key, workspace, f"filled in {time.monotonic() - began:.0f} s"


def _copy(database: sqlite3.Connection, calls: int) -> None:
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -200000"):
        database.execute(f"PRAGMA {pragma}")
    name = f"printf('{UUID}', {', '.join(f'(n >> {bits}) & 255' for bits in BITS)})"
    new = {
        "calls": {"id": name, "public_id": "printf('call_%024d', n)", "chat_id": "n + 2"},
        "recordings": {"id": name, "call_id": name, "chat_id": "n + 2"},
    }
    for table, values in new.items():
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        chosen = ", ".join(values.get(column, f"the.{column}") for column in columns)
        model = f"(SELECT * FROM {table} ORDER BY rowid LIMIT 1)"
        for first in range(0, calls, CHUNK):
            last = min(first + CHUNK, calls) - 1
            numbers = f"numbers(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})"
            database.execute(
                f"WITH RECURSIVE {numbers} INSERT INTO {table} SELECT {chosen} FROM numbers, {model} AS the"
            )


# -- what is measured ---------------------------------------------------------------------------


def _round(server: Serving, asked: list[Asked], calls: int) -> dict[str, Rate]:
    return {one.name: _load(server, one.path, calls) for one in asked}


def _load(server: Serving, path: str, calls: int) -> Rate:
    script = _SCRIPT % {"key": server.key, "path": path, "calls": calls}
    before = _cpu(server.process)
    loaded = wrk.load(server.address, script, connections=CONNECTIONS, seconds=TURN)
    used = _cpu(server.process) - before
    return Rate(loaded.requests / TURN, loaded.requests / used, loaded.p50_ms, loaded.p99_ms)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


_SCRIPT: Final = """
wrk.headers["authorization"] = "Bearer %(key)s"
wrk.headers["api-token"] = "%(key)s"
local path, calls = "%(path)s", %(calls)d
local byte = function(n, place) return math.floor(n / 256 ^ place) %% 256 end
if string.find(path, "%%%%02x") then
  request = function()
    local n = math.random(2, calls - 1)
    return wrk.format("GET", string.format(path, byte(n, 3), byte(n, 2), byte(n, 1), byte(n, 0)))
  end
elseif string.find(path, "%%%%d") then
  request = function() return wrk.format("GET", string.format(path, math.random(2, calls - 1))) end
else
  request = function() return wrk.format("GET", path) end
end
"""


@contextmanager
def serving(data: Path, *, one_core: bool = True, program: Sequence[str] = PROGRAM) -> Iterator[Serving]:
    command = [sys.executable, "-m", *program, str(data)]
    command = wrk.pinned(0, command) if one_core else command
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            told = json.loads(process.stdout.readline())
            yield Serving(told["address"], psutil.Process(process.pid), told["key"])
        finally:
            process.terminate()


async def serve(data: Path) -> None:
    """The vault as `callvault serve` has it, with the constants, on a port of its own; its log goes nowhere."""
    import uvicorn

    from callvault.bootstrap import opened, web_options
    from callvault.cli.connections import ServerConnection
    from callvault.settings import load
    from callvault.web import logs
    from callvault.web.app import all_parts, create_app

    settings = load({}, data=data, requests_per_minute=10**9)
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
        logs.configure("json", "info", Path(os.devnull).open("w"))  # noqa: ASYNC230, SIM115 - before anything is served
        async with opened(settings, node=True) as house:
            first = await house.first_key()
            await house.start(workers=False)
            app = create_app(house.services, web_options(settings), [*all_parts(), PART])
            config = uvicorn.Config(
                app, http=ServerConnection, lifespan="off", log_config=None, access_log=False, server_header=False
            )
            address = "{}:{}".format(*listening.getsockname())
            sys.stdout.write(json.dumps({"address": address, "key": first.key if first else ""}) + "\n")
            sys.stdout.flush()
            house.settle()
            await uvicorn.Server(config).serve([listening])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.redirect", description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each")
    parser.add_argument("--keep", type=Path, help="a data folder to fill, or one that was filled before")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(asked.serve))
        return
    for line in run(asked.calls, asked.seconds, asked.keep):
        print("  ".join((line[0].ljust(34), *(cell.rjust(20) for cell in line[1:]))))


if __name__ == "__main__":
    main()
