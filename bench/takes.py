"""Takes made durable, by callers in process and by connections, beside the same disk's own group commit: on the disk
as it is, and on one that takes longer by a sleep in each sync.

python -m bench.takes
"""

import asyncio
import os
import sqlite3
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

import httpx
import uvloop

from bench import wrk
from bench.redirect import serve, serving
from callvault.adapters.spool.journal import JournalHead
from callvault.bootstrap import opened
from callvault.domain.access import Caller, Principal
from callvault.domain.lane import Segment
from callvault.domain.query import Query
from callvault.domain.workspace import SCOPES
from callvault.services.house import Services
from callvault.services.ingest.takes import Start
from callvault.settings import Settings
from callvault.wire.mediatypes import parse

CALLERS: Final = 8
TAKE_BYTES: Final = 32 * 1024
SECONDS: Final = 3
DISK_SECONDS: Final = 1.0
ROUNDS: Final = 5
SLOWER_SECONDS: Final = (0.0, 0.002, 0.004)
PROGRAM: Final = ("bench.takes", "--serve")
Line = tuple[str, ...]


@dataclass(frozen=True)
class Rate:
    a_second: float
    beside: float
    """The rate of the disk alone just before."""
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    moved: float = 0.0
    """What share of the sound was moved to storage in the same time."""


def run(rounds: int = ROUNDS) -> list[Line]:
    with tempfile.TemporaryDirectory(prefix="callvault-bench-", dir=os.environ.get("TMPDIR")) as folder:
        found = uvloop.run(_measured(Path(folder), rounds))
    return [
        (f"{TAKE_BYTES // 1024} kB made durable", "a second", "p50 ms", "p99 ms", "moved meanwhile", "of the first"),
        *(_line(name, each) for name, each in found.items()),
    ]


def _line(name: str, each: list[Rate]) -> Line:
    """Medians; the ratio is to the disk alone just before, for it changes from second to second."""
    rate, ratio = median(one.a_second for one in each), median(one.a_second / one.beside for one in each)
    if not each[0].p50_ms:
        return (name, f"{rate:.0f}", "", "", "", f"{ratio:.2f}")
    p50, p99 = median(one.p50_ms for one in each), median(one.p99_ms for one in each)
    return (name, f"{rate:.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{median(one.moved for one in each):.0%}", f"{ratio:.2f}")


async def _measured(folder: Path, rounds: int) -> dict[str, list[Rate]]:
    found: dict[str, list[Rate]] = defaultdict(list)
    async with vault(folder / "vault") as (services, caller):
        for n in range(rounds):
            for slower in SLOWER_SECONDS:
                with _slower(slower):
                    async for name, rate in _round(services, caller, folder / f"{n}-{1000 * slower:g}", slower):
                        found[f"{name}, {1000 * slower:g} ms slower" if slower else name].append(rate)
    return found


async def _round(services: Services, caller: Caller, folder: Path, slower: float) -> AsyncIterator[tuple[str, Rate]]:
    raw = folder.with_suffix(".raw")
    whole = _disk(raw, CALLERS, slower)
    yield f"the disk alone, {CALLERS} blocks a sync", Rate(whole, whole)
    yield f"the disk alone, {CALLERS // 2} blocks a sync", Rate(_disk(raw, CALLERS // 2, slower), whole)
    for name, lanes in (("one lane each", CALLERS), ("all into one lane", 1)):
        beside = _disk(raw, CALLERS, slower)
        yield f"takes by {CALLERS} callers, {name}", await _takes(services, caller, lanes, beside)
    if wrk.is_there():
        beside = _disk(raw, CALLERS, slower)
        uploaded = await asyncio.to_thread(_uploads, folder, beside, slower)
        yield f"takes by HTTP, {CALLERS} connections", uploaded


@contextmanager
def _slower(seconds: float) -> Iterator[None]:
    """So much longer does each sync of a journal take."""
    append = JournalHead.append

    def append_slowly(head: JournalHead, parts: Sequence[bytes]) -> int:
        at = append(head, parts)
        time.sleep(seconds)
        return at

    JournalHead.append = append_slowly if seconds else append  # type: ignore[method-assign]
    try:
        yield
    finally:
        JournalHead.append = append  # type: ignore[method-assign]


def _disk(path: Path, blocks: int, slower: float) -> float:
    """How many blocks a second become durable when so many of them share a sync. All callers at once is the most that
    there can be; half of them is what comes when each sends his next block as soon as he is told of the one before,
    for the others' are being written then."""
    group = [os.urandom(TAKE_BYTES)] * blocks
    file = os.open(path, os.O_CREAT | os.O_WRONLY)
    began, done = time.monotonic(), 0
    while time.monotonic() < began + DISK_SECONDS:
        os.writev(file, group)
        os.fdatasync(file)
        if slower:
            time.sleep(slower)
        done += blocks
    took = time.monotonic() - began
    os.close(file)
    path.unlink()
    return done / took


@asynccontextmanager
async def vault(data: Path) -> AsyncIterator[tuple[Services, Caller]]:
    async with opened(Settings(data=data), node=True) as house:
        key = await house.first_key()
        assert key
        await house.start(workers=False)
        house.settle()
        yield house.services, Caller(Principal(key.row.id, key.row.workspace_id, "bench", frozenset(SCOPES)))


async def _takes(services: Services, caller: Caller, lanes: int, beside: float) -> Rate:
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
    return Rate(rate, beside, p50, p99, moved)


def _uploads(data: Path, beside: float, slower: float) -> Rate:
    """Over as many connections as there are callers, into as many lanes."""
    program = (*PROGRAM, str(slower))
    with (
        serving(data, one_core=False, program=program) as server,
        httpx.Client(base_url=f"http://{server.address}") as client,
    ):
        client.headers["authorization"] = f"Bearer {server.key}"
        recording = client.post("/api/v1/recordings", json={}).json()["id"]
        script = _SCRIPT % {"key": server.key, "recording": recording, "bytes": TAKE_BYTES, "lanes": CALLERS}
        loaded = wrk.load(server.address, script, connections=CALLERS, seconds=SECONDS)
        with closing(sqlite3.connect(data / "callvault.db")) as database:
            ((moved,),) = database.execute("SELECT coalesce(sum(peaks_offset), 0) FROM segments")
    moved_share = moved / TAKE_BYTES / loaded.requests
    return Rate(loaded.requests / SECONDS, beside, loaded.p50_ms, loaded.p99_ms, moved_share)


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
"""


def _serve(slower: float, data: Path) -> None:
    with _slower(slower):
        uvloop.run(serve(data))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        _serve(float(sys.argv[2]), Path(sys.argv[3]))
    else:
        for line in run():
            print(" | ".join(line))
