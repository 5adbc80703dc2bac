"""A process that raises intakes and kills them: each takes in sound over the same data folder until its end comes.

python -m tests.unit.services.ingest.nursery FOLDER KILLS
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path

import numpy as np

from callvault.adapters.codecs.pyav import PyAvCodecs
from callvault.audio.pcm import DECODERS
from callvault.bootstrap import opened
from callvault.domain.access import Caller, Principal
from callvault.domain.lane import OpenSpool, Segment
from callvault.domain.query import Query
from callvault.domain.recording import Recording
from callvault.domain.workspace import SCOPES, Workspace
from callvault.services.delivery.takes import CodedTakes
from callvault.services.delivery.views import Views
from callvault.services.house import Services
from callvault.services.ingest.takes import Start
from callvault.settings import Settings
from callvault.wire.mediatypes import parse
from callvault.wire.runs import parse_takes

SAMPLES = 4000
LANES = ("customer", "assistant")
PCMU = parse("audio/PCMU")
LOADED_BEFORE_BIRTH = (
    "callvault.adapters.blobs.opening",
    "callvault.adapters.blobs.sealed",
    "callvault.adapters.keys.master",
    "callvault.adapters.keys.memory",
    "callvault.adapters.spool.disk",
    "callvault.adapters.store.sqlite",
    "callvault.adapters.webhooks.sender",
)
"""What a house loads when it needs it: once, and not in each life anew."""
Work = Callable[[Services, Caller, Path, int], Awaitable[None]]


def body(lane: str, n: int) -> bytes:
    return np.random.default_rng([len(lane), n]).integers(0, 256, SAMPLES, np.uint8).tobytes()


def frame(n: int) -> bytes:
    return bytes([n % 251]) * 160


async def in_house(folder: Path, work: Work, life: int) -> None:
    async with opened(Settings(data=folder / "vault"), node=True) as house:
        services = house.services
        workspaces = await services.store.find(Query(Workspace).by("id"))
        workspace_id = workspaces[0].id if workspaces else (await house.first_key()).row.workspace_id
        await services.sealing.ensure(workspace_id)
        await work(services, Caller(Principal("k", workspace_id, "m", frozenset(SCOPES))), folder, life)


async def begin(services: Services, caller: Caller, folder: Path, life: int) -> None:
    made = await services.recordings.create(caller, {})
    (folder / "recording").write_text(made.recording.id)


async def live(services: Services, caller: Caller, folder: Path, life: int) -> None:
    """Until it is killed: takes by several senders, a live call, and sound on its way to storage all the time."""
    acknowledged = os.open(folder / "acknowledged", os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    recording = (folder / "recording").read_text()
    await services.intake.recovery.recover()

    async def send(lane: str, first: int) -> None:
        for n in range(first, 10_000, 4):
            start = Start(sample=n * SAMPLES)
            await services.intake.takes.put(caller, recording, lane, n, body(lane, n), start=start, form=PCMU)
            os.write(acknowledged, f"take {lane} {n}\n".encode())

    async def stream() -> None:
        made = (await services.recordings.create(caller, {})).recording.id
        call = await services.intake.live.begin(caller, made, PCMU, {"inbound": "customer"})
        for n in range(100_000):
            call.push("inbound", n + 1, 20 * n, frame(n))
            if n % 10 == 9:
                await services.intake.live.tick()
                await asyncio.sleep(0.001)
                call.waiting()
                os.write(acknowledged, f"live {made} {call.durable}\n".encode())

    async def move() -> None:
        while True:
            for name in list(services.intake.open.holding):
                await services.intake.mover.drain(name)
            await asyncio.sleep(0.01)

    known = {line for line in (folder / "acknowledged").read_text().splitlines() if line}
    reached = {lane: 4 * (sum(line.startswith(f"take {lane}") for line in known) // 4) for lane in LANES}
    senders = [send(lane, max(reached[lane] - 40, 0) + k) for lane in LANES for k in range(4)]
    await asyncio.gather(*senders, stream(), move())


async def verify(services: Services, caller: Caller, folder: Path, life: int) -> None:
    """Prints what is wrong; nothing when all that was acknowledged is there, byte for byte and once."""
    await services.intake.recovery.recover()
    told = [line.split() for line in (folder / "acknowledged").read_text().splitlines()]
    recording = (folder / "recording").read_text()
    for row in await services.store.find(Query(OpenSpool).by("recording_id", "node")):
        await services.intake.mover.drain(row.recording_id)
    segments = await services.store.find(Query(Segment).where("recording_id", "=", recording).by("lane", "seq"))
    marks = Counter((segment.lane, mark.take) for segment in segments for mark in parse_takes(segment.takes))
    takes = {(lane, int(n)) for kind, lane, n in told if kind == "take"}
    print(f"{len(takes)} takes acknowledged, {len(marks)} kept, {sum(marks.values())} marks")
    problems = [f"lost {take}" for take in takes if take not in marks]
    problems += [f"doubled {take}" for take, count in marks.items() if count > 1]
    for lane in LANES:
        heard = await lane_of(services, recording, lane)
        for name, n in sorted(marks):
            wanted = DECODERS["pcmu"](body(lane, n))
            if name == lane and not np.array_equal(heard[n * SAMPLES : (n + 1) * SAMPLES], wanted):
                problems.append(f"changed {lane} {n}")
    streams = {name: int(size) for kind, name, size in told if kind == "live"}
    for name, size in streams.items():
        heard = await lane_of(services, name, "customer") if size else np.empty(0, np.int16)
        wanted = DECODERS["pcmu"](b"".join(frame(n) for n in range(len(heard) // 160)))
        if len(heard) < size or not np.array_equal(heard, wanted):
            problems.append(f"stream {name} has {len(heard)} of {size} samples, or others")
    print(f"{sum(streams.values())} samples streamed by {len(streams)} lives")
    print("\n".join(problems[:20]))


async def lane_of(services: Services, recording: str, lane: str) -> np.ndarray:
    found = await services.store.get(Recording, recording)
    views = Views(services.timelines, services.blobs, CodedTakes(PyAvCodecs()))
    view = await views.open(found, f"lane:{lane}", live=True)
    return (await asyncio.to_thread(view.pcm, 0, view.frames))[:, 0]


def raised(folder: Path, work: Work, life: int) -> int:
    child = os.fork()
    if child:
        return child
    asyncio.run(in_house(folder, work, life))
    sys.stdout.flush()
    os._exit(0)


def main(folder: Path, kills: int) -> None:
    for module in LOADED_BEFORE_BIRTH:
        import_module(module)
    rng = random.Random(kills)
    os.waitpid(raised(folder, begin, 0), 0)
    (folder / "acknowledged").touch()
    for life in range(kills):
        child = raised(folder, live, life)
        size = (folder / "acknowledged").stat().st_size
        while (folder / "acknowledged").stat().st_size == size and not os.waitpid(child, os.WNOHANG)[0]:
            time.sleep(0.005)
        time.sleep(rng.random() * 0.25)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    os.waitpid(raised(folder, verify, kills), 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
