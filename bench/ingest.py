"""Taking in: takes made durable beside the same disk's own group commit, and live calls in real time on one core.

python -m bench.ingest [calls]
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from pathlib import Path

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
        takes, live = asyncio.run(_measured(Path(folder), calls))
        raw.append(_disk(Path(folder) / "raw-last"))
    rate = sorted(raw)[1]
    return [
        ("what", "figure", "beside the disk's own group commit"),
        (f"the disk alone: {CALLERS} blocks of {TAKE_BYTES // 1024} kB a sync", f"{rate:.0f}/s", "1"),
        *(
            (
                f"takes of {TAKE_BYTES // 1024} kB by {CALLERS} callers, durable, {name}",
                f"{found.rate:.0f}/s, p50 {found.at(0.5):.1f} ms, p99 {found.at(0.99):.1f} ms; "
                f"{found.moved:.0%} of it in storage by then",
                f"{found.rate / rate:.2f}",
            )
            for name, found in takes
        ),
        *live,
    ]


@dataclass(slots=True)
class Latencies:
    seconds: float = 0.0
    each: list[float] = field(default_factory=list)
    moved: float = 0.0
    """What share of the sound was moved to storage in the same time."""

    @property
    def rate(self) -> float:
        return len(self.each) / self.seconds

    def at(self, share: float) -> float:
        return 1000 * sorted(self.each)[int(share * (len(self.each) - 1))]


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


async def _measured(folder: Path, calls: int) -> tuple[list[tuple[str, Latencies]], list[Line]]:
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


async def _takes(services: Services, caller: Caller, lanes: int) -> Latencies:
    recording = (await services.recordings.create(caller, {})).recording.id
    form, numbers, found = parse("audio/PCMU"), [count() for _ in range(lanes)], Latencies()
    body = os.urandom(TAKE_BYTES)
    began = time.monotonic()

    async def send(lane: int) -> None:
        while time.monotonic() < began + SECONDS:
            n = next(numbers[lane])
            start = Start(ms=Decimal(n * TAKE_BYTES) / 8 % 100_000_000)
            sent = time.monotonic()
            await services.intake.takes.put(caller, recording, f"lane-{lane}", n, body, start=start, form=form)
            found.each.append(time.monotonic() - sent)

    await asyncio.gather(*(send(n % lanes) for n in range(CALLERS)))
    found.seconds = time.monotonic() - began
    segments = await services.store.find(Query(Segment).where("recording_id", "=", recording))
    found.moved = sum(segment.peaks_offset for segment in segments) / (TAKE_BYTES * len(found.each))
    await services.recordings.delete(caller, recording)
    await services.intake.mover.drain(recording)
    return found


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
