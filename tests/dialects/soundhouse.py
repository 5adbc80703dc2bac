"""Calls with sound over the whole house in memory, told to a client without a socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx

from callvault.adapters.jobs.leased import LeasedJobs
from callvault.domain.recording import Clip, Derivation, EditList, Mask, Recording
from callvault.domain.unit import Unit
from callvault.worker import Worker
from tests.dialects.soundcalls import CAPTURE, FACTS, LOGS, RATE, TURNS, VIDEO, Sounded, noise
from tests.webhouse import WebHouse

KINDS = {
    "video": ("video/mp4", VIDEO),
    "call-logs": ("application/jsonl", LOGS),
    "pcap": ("application/vnd.tcpdump.pcap", CAPTURE),
}


async def begun(
    house: WebHouse, seed: int = 1, *, turns: bool = True, sound: bool = True, headers: Any = None, **facts: Any
) -> Sounded:
    told = await ok(house.client.post("/api/v1/recordings", json={"call": {**FACTS, **facts}}, headers=headers))
    made = Sounded(told["id"], told["call"], noise(seed), noise(seed + 1))
    for lane in ("customer", "assistant") if sound else ():
        place = f"/api/v1/recordings/{made.recording_id}/lanes/{lane}/takes/0?start=0"
        form = {"content-type": f"audio/L16;rate={RATE};channels=1", **(headers or {})}
        await ok(house.client.put(place, content=getattr(made, lane).astype(">i2").tobytes(), headers=form))
    if turns:
        place = f"/api/v1/recordings/{made.recording_id}/transcript"
        await ok(house.client.put(place, json={"turns": TURNS}, headers=headers))
    return made


async def with_artifacts(house: WebHouse, made: Sounded) -> Sounded:
    for kind, (media_type, data) in KINDS.items():
        place = f"/api/v1/recordings/{made.recording_id}/artifacts/{kind}"
        await ok(house.client.put(place, content=data, headers={"content-type": media_type}))
    return made


async def ended(house: WebHouse, made: Sounded, headers: Any = None) -> Sounded:
    await ok(house.client.post(f"/api/v1/recordings/{made.recording_id}/complete", headers=headers))
    return made


@asynccontextmanager
async def working(house: WebHouse) -> AsyncIterator[None]:
    services, adapters = house.services, house.adapters
    engine = LeasedJobs(services.store, adapters.clock, adapters.ids, poll_seconds=0.005)
    kinds = [*services.erasures.kinds(), *services.webhooks.kinds(), *services.purges.kinds()]
    duties = [type(duty)(duty.name, duty.run, 0.005) for duty in services.webhooks.duties()]
    worker = Worker(engine, services.store, kinds, clock=adapters.clock, ids=adapters.ids, duties=duties)
    running = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        await worker.stop(2)
        await running


async def redacted(house: WebHouse, made: Sounded) -> None:
    """What the customer says is masked in a version of its own."""
    original = await house.services.store.get(Recording, made.recording_id)
    assert original is not None
    clip = Clip(recording_id=original.id, start_us=0, end_us=1_500_000)
    mask = Mask(start_us=700_000, end_us=1_200_000, lane="customer")
    version = replace(
        original,
        id=house.services.ids.uuid(),
        version=1,
        operation="redactPII",
        redacted=True,
        derived_from=(original.id,),
        edits=EditList(clips=(clip,), masks=(mask,)),
    )
    unit = Unit()
    unit.add(version)
    unit.add(Derivation(parent_id=original.id, child_id=version.id, workspace_id=original.workspace_id))
    await house.services.store.commit(unit)


async def ok(asked: Any) -> Any:
    answer: httpx.Response = await asked
    assert answer.is_success, answer.text
    return answer.json()
