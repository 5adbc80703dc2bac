"""Live calls in real time on one core.

python -m bench.live [calls]
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from bench.takes import vault
from callvault.domain.access import Caller
from callvault.services.house import Services
from callvault.services.ingest.livecall import LiveCall
from callvault.wire.mediatypes import parse

CALLS = 400
LIVE_SECONDS = 40.0
ENDING_AT_ONCE = 20
FRAME = b"\x7e" * 160
Line = tuple[str, ...]


def run(calls: int = CALLS) -> list[Line]:
    with tempfile.TemporaryDirectory(prefix="callvault-bench-", dir=os.environ.get("TMPDIR")) as folder:
        return [("what", "figure", ""), *uvloop.run(_measured(Path(folder), calls))]


async def _measured(folder: Path, calls: int) -> list[Line]:
    async with vault(folder) as (services, caller):
        return [await _live(services, caller, calls, audible=audible) for audible in (False, True)]


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
