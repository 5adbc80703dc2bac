"""Compaction: fewer and larger objects, and not a byte of any view changed."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.services.ingest.intakehouse import CALLER, CommittingProgress, IntakeHouse, speech
from tests.unsure import UnsureStore

from callvault.adapters.spool.memory import MemorySpool
from callvault.domain.errors import StoreUnavailable
from callvault.domain.job import Job
from callvault.domain.lane import Segment
from callvault.domain.stored import StoredObject
from callvault.domain.unit import Unit
from callvault.services.ingest.compaction import SWEEP_AFTER_MS
from callvault.services.ingest.packing import SEGMENT_BYTES
from callvault.wire.runs import TAKE


@pytest.fixture
def house() -> IntakeHouse:
    return IntakeHouse()


async def scattered(house: IntakeHouse) -> str:
    """Many tiny segments, with overlaps, gaps and two lanes."""
    recording = await house.recording()
    order = np.random.default_rng(7).permutation(40)
    for n in order.tolist():
        lane = "customer" if n % 3 else "assistant"
        await house.put(recording, n, speech(1000, n), sample=700 * n + 5000 * (n > 20), lane=lane)
        await house.intake.mover.drain(recording)
    await house.intake.completion.complete(CALLER, recording)
    return recording


async def everything(house: IntakeHouse, recording: str) -> list[bytes]:
    found = []
    for view in ("mono", "stereo", "lane:customer", "lane:assistant"):
        opened = await house.views.open(await house.found(recording), view, 16_000)
        found.append(opened.etag.encode() + await asyncio.to_thread(opened.read, 0, opened.length))
    return found


async def test_what_is_heard_stays_the_same_to_the_byte(house: IntakeHouse) -> None:
    recording = await scattered(house)
    before, marks = await everything(house, recording), await house.marks(recording)
    assert len(await house.all(Segment)) == 40
    assert await house.work() == ["compact"]
    assert len(await house.all(Segment)) == 2
    assert await everything(house, recording) == before
    assert sorted(m.take for m in await house.marks(recording)) == sorted(m.take for m in marks)


async def test_a_segment_holds_no_more_of_an_index_than_of_sound(house: IntakeHouse) -> None:
    recording = await house.recording()
    for n in range(12):
        await house.put(recording, n, speech(1000, n), sample=1000 * n)
        await house.intake.mover.drain(recording)
    await house.intake.completion.complete(CALLER, recording)
    unit, many = Unit(), SEGMENT_BYTES // 5 // TAKE.itemsize
    unit.put(*(replace(segment, takes=segment.takes * many) for segment in await house.all(Segment)))
    await house.store.commit(unit)
    assert await house.work() == ["compact"]
    indexes = [len(segment.runs) + len(segment.takes) for segment in await house.all(Segment)]
    assert len(indexes) == 3
    assert max(indexes) <= SEGMENT_BYTES


async def test_old_objects_stay_for_those_who_still_read_them_and_then_go(house: IntakeHouse) -> None:
    recording = await scattered(house)
    await house.work()
    assert len(house.blobs.objects) == 42
    house.clock.ms += SWEEP_AFTER_MS + 1
    assert await house.work() == ["sweep", "sweep"]
    assert len(house.blobs.objects) == 2
    assert {obj.key for obj in await house.all(StoredObject)} == set(house.blobs.objects)
    house.begin()
    assert len(await house.heard(recording)) > 0


async def test_what_a_commit_may_have_made_of_segments_stays_when_nobody_knows_whether_it_happened(
    house: IntakeHouse,
) -> None:
    recording = await scattered(house)
    before = await everything(house, recording)
    store = UnsureStore(house.store, Segment)
    store.armed = True
    with pytest.raises(StoreUnavailable):
        await house.work(store)
    await house.work()
    house.clock.ms += SWEEP_AFTER_MS + 1
    await house.work()
    house.begin()
    assert await everything(house, recording) == before


async def test_the_waveform_goes_on_as_it_was(house: IntakeHouse) -> None:
    recording = await house.recording()
    for n in range(12):
        await house.put(recording, n, speech(1000, n), sample=1000 * n)
        await house.intake.mover.drain(recording)
    at_once = await house.recording()
    for n in range(12):
        await house.put(at_once, n, speech(1000, n), sample=1000 * n)
    for name in (recording, at_once):
        await house.intake.completion.complete(CALLER, name)
    await house.work()
    waveforms = []
    for name in (recording, at_once):
        (segment,) = await house.all(Segment, recording_id=name)
        stored = await house.store.get(StoredObject, segment.object_key)
        waveforms.append(house.blobs.read(stored, segment.peaks_offset))
    assert waveforms[0] == waveforms[1]


async def test_few_segments_and_large_ones_are_left_alone(house: IntakeHouse) -> None:
    recording = await house.recording()
    for n in range(8):
        await house.put(recording, n, speech(1000, n), sample=1000 * n)
        await house.intake.mover.drain(recording)
    await house.intake.completion.complete(CALLER, recording)
    assert [job.kind for job in await house.all(Job)] == []


async def test_run_again_it_finds_nothing_to_do(house: IntakeHouse) -> None:
    recording = await scattered(house)
    (job,) = [job for job in await house.all(Job) if job.kind == "compact"]
    await house.work()
    before = await house.all(Segment)
    (compact, *_) = house.intake.kinds()
    assert await compact.run(job, CommittingProgress(house.store)) == {"united": 0, "into": 0}
    assert await house.all(Segment) == before
    assert recording


async def test_a_deleted_recording_is_left_to_its_deletion(house: IntakeHouse) -> None:
    recording = await scattered(house)
    await house.recordings.delete(CALLER, recording)
    await house.work()
    assert len(await house.all(Segment)) == 40


async def test_a_late_take_of_another_node_lies_over_compacted_ones(house: IntakeHouse) -> None:
    recording = await house.recording()
    other, house.spool = house.intake, MemorySpool()
    house.begin()
    house.intake, other = other, house.intake
    for n in range(12):
        await house.put(recording, n, speech(1000, n), sample=1000 * n)
        await house.intake.mover.drain(recording)
    house.intake = other
    await house.put(recording, 99, speech(1000, 99), sample=500)
    await other.mover.drain(recording)
    before = await house.heard(recording)
    await other.completion.complete(CALLER, recording)
    house.clock.advance(1)
    await house.work()
    house.timelines.forget(recording)
    assert np.array_equal(await house.heard(recording), before)
