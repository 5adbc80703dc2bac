"""Taking in: takes made durable, in process and by HTTP, beside the same disk's own group commit; live calls in real
time on one core.

python -m bench.ingest [calls]
"""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Final

import httpx
import uvloop

from bench.redirect import serving
from callvault.bootstrap import opened
from callvault.domain.access import Caller, Principal
from callvault.domain.lane import Segment
from callvault.domain.query import Query
from callvault.domain.workspace import SCOPES
from callvault.services.house import Services
from callvault.services.ingest.livecall import LiveCall
from callvault.services.ingest.takes import Start
from callvault.settings import Settings
from callvault.wire.mediatypes import parse

CALLERS = 8
TAKE_BYTES = 32 * 1024
SECONDS = 4.0
CALLS = 400
LIVE_SECONDS = 40.0
ENDING_AT_ONCE = 20
FRAME = b"\x7e" * 160
Line = tuple[str, ...]


def run(calls: int = CALLS) -> list[Line]:
    with tempfile.TemporaryDirectory(prefix="callvault-bench-", dir=os.environ.get("TMPDIR")) as folder:
        raw = [_disk(Path(folder) / f"raw-{n}") for n in range(2)]
        takes, live = uvloop.run(_measured(Path(folder), calls))
        if uploads := _uploads(Path(folder) / "uploads"):
            takes.append(("by HTTP", uploads))
        raw.append(_disk(Path(folder) / "raw-last"))
    rate = sorted(raw)[1]
    return [
        ("what", "figure", "beside the disk's own group commit"),
        (f"the disk alone: {CALLERS} blocks of {TAKE_BYTES // 1024} kB a sync", f"{rate:.0f}/s", "1"),
        *(
            (
                f"takes of {TAKE_BYTES // 1024} kB by {CALLERS} callers, durable, {name}",
                found.told,
                f"{found.rate / rate:.2f}",
            )
            for name, found in takes
        ),
        *live,
    ]


@dataclass(frozen=True)
class Taken:
    rate: float
    p50_ms: float
    p99_ms: float
    moved: float
    """What share of the sound was moved to storage in the same time."""

    @property
    def told(self) -> str:
        return (
            f"{self.rate:.0f}/s, p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms; "
            f"{self.moved:.0%} of it in storage by then"
        )


# -- the disk by itself -------------------------------------------------------------------------


def _disk(path: Path) -> float:
    """How many blocks a second the disk takes when every sync serves as many callers as there can be waiting."""
    group = [os.urandom(TAKE_BYTES)] * CALLERS
    file = os.open(path, os.O_CREAT | os.O_WRONLY)
    began, done = time.monotonic(), 0
    while time.monotonic() < began + SECONDS / 2:
        os.writev(file, group)
        os.fdatasync(file)
        done += CALLERS
    os.close(file)
    return done / (time.monotonic() - began)


# -- the intake ---------------------------------------------------------------------------------


async def _measured(folder: Path, calls: int) -> tuple[list[tuple[str, Taken]], list[Line]]:
    """Takes and calls each in a vault of its own: what the takes leave to be moved would be measured with the calls."""
    async with _vault(folder / "takes") as (services, caller):
        takes = [
            ("one lane each", await _takes(services, caller, lanes=CALLERS)),
            ("all into one lane", await _takes(services, caller, lanes=1)),
        ]
    async with _vault(folder / "live") as (services, caller):
        live = [await _live(services, caller, calls, audible=audible) for audible in (False, True)]
    return takes, live


@asynccontextmanager
async def _vault(data: Path) -> AsyncIterator[tuple[Services, Caller]]:
    async with opened(Settings(data=data), node=True) as house:
        key = await house.first_key()
        assert key
        await house.start(workers=False)
        yield house.services, Caller(Principal(key.row.id, key.row.workspace_id, "bench", frozenset(SCOPES)))


async def _takes(services: Services, caller: Caller, lanes: int) -> Taken:
    recording = (await services.recordings.create(caller, {})).recording.id
    form, numbers, each = parse("audio/PCMU"), [count() for _ in range(lanes)], list[float]()
    body = os.urandom(TAKE_BYTES)
    began = time.monotonic()

    async def send(lane: int) -> None:
        while time.monotonic() < began + SECONDS:
            n = next(numbers[lane])
            start = Start(ms=Decimal(n * TAKE_BYTES) / 8 % 100_000_000)
            sent = time.monotonic()
            await services.intake.takes.put(caller, recording, f"lane-{lane}", n, body, start=start, form=form)
            each.append(time.monotonic() - sent)

    await asyncio.gather(*(send(n % lanes) for n in range(CALLERS)))
    rate = len(each) / (time.monotonic() - began)
    segments = await services.store.find(Query(Segment).where("recording_id", "=", recording))
    moved = sum(segment.peaks_offset for segment in segments) / (TAKE_BYTES * len(each))
    await services.recordings.delete(caller, recording)
    await services.intake.mover.drain(recording)
    p50, p99 = (1000 * sorted(each)[int(share * (len(each) - 1))] for share in (0.5, 0.99))
    return Taken(rate, p50, p99, moved)


def _uploads(data: Path) -> Taken | None:
    """The same by HTTP, over as many connections, each with its lane."""
    if not shutil.which("wrk"):
        return None
    with serving(data, one_core=False) as server, httpx.Client(base_url=f"http://{server.address}") as client:
        client.headers["authorization"] = f"Bearer {server.key}"
        recording = client.post("/api/v1/recordings", json={}).json()["id"]
        script = data / "takes.lua"
        script.write_text(_SCRIPT % {"key": server.key, "recording": recording, "bytes": TAKE_BYTES, "lanes": CALLERS})
        command = ["wrk", "-t1", f"-c{CALLERS}", f"-d{SECONDS:.0f}s", "-s", str(script), f"http://{server.address}"]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        with closing(sqlite3.connect(data / "callvault.db")) as database:
            ((moved,),) = database.execute("SELECT coalesce(sum(peaks_offset), 0) FROM segments")
    requests, wrong, p50, p99 = told.splitlines()[-1].split()
    assert wrong == "0", told
    return Taken(int(requests) / SECONDS, float(p50) / 1000, float(p99) / 1000, moved / TAKE_BYTES / int(requests))


_SCRIPT: Final = """
wrk.method = "PUT"
wrk.headers["authorization"] = "Bearer %(key)s"
wrk.headers["content-type"] = "audio/PCMU"
local noise = {}
for n = 1, %(bytes)d do noise[n] = string.char(math.random(0, 255)) end
wrk.body = table.concat(noise)
local n = -1
request = function()
  n = n + 1
  local lane, take = n %% %(lanes)d, math.floor(n / %(lanes)d)
  local start = take * %(bytes)d %% 1000000000
  local path = "/api/v1/recordings/%(recording)s/lanes/lane-%%d/takes/%%d?startSample=%%d"
  return wrk.format(nil, string.format(path, lane, take, start))
end
done = function(summary, latency)
  local e = summary.errors
  local wrong = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format("%%d %%d %%f %%f\\n", summary.requests, wrong, latency:percentile(50), latency:percentile(99)))
end
"""


async def _live(services: Services, caller: Caller, calls: int, *, audible: bool) -> Line:
    """Two lanes of 20 ms frames a call, pushed as the clock says; with it the moving to storage, or not."""
    form = parse("audio/PCMU")
    streams: list[LiveCall] = []
    for _ in range(calls):
        recording = (await services.recordings.create(caller, {})).recording.id
        streams.append(await services.intake.live.begin(caller, recording, form))
    seconds = LIVE_SECONDS if audible else LIVE_SECONDS / 4
    worst, used = await _speak(streams, seconds)
    frames = sum(figures.frames for stream in streams for figures in stream.figures.values())
    ending = time.monotonic()
    for at in range(0, len(streams), ENDING_AT_ONCE):
        await asyncio.gather(*(services.intake.live.end(caller, stream) for stream in streams[at:][:ENDING_AT_ONCE]))
    told = [await services.recordings.retrieve(caller, stream.known.id) for stream in streams]
    others = [done for done in told if done.duration_us != round(seconds * 50) * 20_000]
    why = "".join(f"; {done.status}, {done.duration_us} µs" for done in others[:5])
    return (
        f"{calls} two-lane G.711 calls for {seconds:.0f} s, {'moved to storage' if audible else 'spooled'}",
        f"{frames / seconds:.0f} frames/s, {used:.0%} of a core, durable after {worst:.2f} s at most",
        f"{calls - len(others)} of {calls} whole, ended in {time.monotonic() - ending:.1f} s{why}",
    )


async def _speak(streams: list[LiveCall], seconds: float) -> tuple[float, float]:
    """The longest that pushed sound was not durable, and the share of a core that it took."""
    began, cpu = time.monotonic(), time.process_time()
    worst = 0.0
    pushed_at: list[tuple[int, float]] = []
    frames = round(seconds * 50)
    for n in range(frames):
        for stream in streams:
            stream.push("inbound", n + 1, 20 * n, FRAME)
            stream.push("outbound", n + 1, 20 * n, FRAME)
        pushed_at.append((2 * 160 * (n + 1), time.monotonic()))
        durable = min(stream.durable for stream in streams[:: max(len(streams) // 20, 1)])
        while pushed_at and pushed_at[0][0] <= durable:
            worst = max(worst, time.monotonic() - pushed_at.pop(0)[1])
        await asyncio.sleep(max(began + 0.02 * (n + 1) - time.monotonic(), 0))
    return worst, (time.process_time() - cpu) / (time.monotonic() - began)


if __name__ == "__main__":
    for line in run(*map(int, sys.argv[1:])):
        print(" | ".join(line))
