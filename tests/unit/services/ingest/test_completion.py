"""The end of a recording: whole, told once, and by itself when nobody says so."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.audits import audited
from tests.callhouse import caller
from tests.unit.services.ingest.intakehouse import CALLER, PCMU, FlakyBlobs, IntakeHouse, speech

from callvault.adapters.spool.memory import MemorySpool
from callvault.adapters.store.memory import MemoryStore
from callvault.domain.call import Call, Turn
from callvault.domain.errors import BlobsUnavailable, Misconfigured, Missing, RecordingEnded, Refused, StoreUnavailable
from callvault.domain.event import Event
from callvault.domain.lane import OpenSpool, Span
from callvault.domain.recording import Recording
from callvault.domain.stored import StoredObject
from callvault.domain.unit import Unit
from callvault.ports.spool import Piece
from callvault.services.ingest.openrecordings import OpenRecording
from callvault.wire.mediatypes import parse


@pytest.fixture
def house() -> IntakeHouse:
    return IntakeHouse()


async def complete(house: IntakeHouse, recording: str) -> Recording:
    return await house.intake.completion.complete(CALLER, recording)


async def test_a_completed_recording_says_what_it_is(house: IntakeHouse) -> None:
    started = house.clock.now_ms() - 60_000
    recording = await house.recording(started_ms=started)
    await house.put(recording, 1, speech(8000), ms=500)
    await house.put(recording, 1, bytes(64_000), ms=0, lane="assistant", form=parse("audio/L16;rate=16000"))
    done = await complete(house, recording)
    assert (done.status, done.in_progress, done.ended_by, done.failure) == ("completed", False, "completed", None)
    assert (done.duration_us, done.sample_rate, done.channels) == (2_000_000, 16_000, 2)
    assert (done.codec, done.file_size) == ("pcm_s16le", 44 + 2 * 2 * 32_000)
    assert (done.started_ms, done.ended_ms) == (started, started + 2000)
    assert await house.found(recording) == done
    assert await house.all(OpenSpool) == []


async def test_one_lane_is_one_channel(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    done = await complete(house, recording)
    assert (done.channels, done.file_size) == (1, 44 + 16_000)


async def test_it_is_told_once_and_audited(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    first = await complete(house, recording)
    assert await complete(house, recording) == first
    assert [event for event in await house.events(recording) if event == "recording.completed"] == [
        "recording.completed"
    ]
    entries = [e.detail for e in await audited(house.store) if e.detail.get("ended_by")]
    assert entries == [{"ended_by": "completed"}]


async def test_a_recording_without_any_sound_has_failed(house: IntakeHouse) -> None:
    recording = await house.recording()
    done = await complete(house, recording)
    assert (done.status, done.failure, done.duration_us) == ("failed", "no_sound", 0)
    assert (await house.events(recording))[-1] == "recording.failed"


async def test_with_the_last_of_its_sound_a_call_is_over(house: IntakeHouse) -> None:
    recording = await house.recording()
    [call] = await house.all(Call)
    other = (await house.recordings.create(CALLER, call.id)).recording.id
    await house.put(recording, 1, speech(8000), ms=0)
    done = await complete(house, recording)
    [call] = await house.all(Call)
    assert call.status == "in-progress"
    await house.put(other, 1, speech(8000), ms=0)
    await complete(house, other)
    [call] = await house.all(Call)
    assert (call.status, call.started_ms is not None, call.ended_ms is not None) == ("ended", True, True)
    told = [event.type for event in await house.all(Event) if event.call_id == call.id]
    assert told.count("call.ended") == 1 and done.status == "completed"


async def test_only_who_may_write_ends_it(house: IntakeHouse) -> None:
    recording = await house.recording()
    with pytest.raises(Refused):
        await house.intake.completion.complete(caller("recordings:read"), recording)
    with pytest.raises(Missing):
        await house.intake.completion.complete(caller(workspace="other"), recording)
    assert (await house.found(recording)).in_progress


async def test_while_storage_is_away_it_stays_in_processing_and_completes_by_itself(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    house.blobs.away = True
    assert (await complete(house, recording)).status == "processing"
    with pytest.raises(RecordingEnded):
        await house.put(recording, 2, speech(8000), ms=1000)
    house.clock.advance(100)
    await house.intake.rounds.round()
    house.blobs.away = False
    house.clock.advance(100)
    await house.intake.rounds.round()
    done = await house.found(recording)
    assert (done.status, done.duration_us) == ("completed", 1_000_000)
    assert (await house.events(recording)).count("recording.completed") == 1


class HangingBlobs(FlakyBlobs):
    """A storage that takes what it is given and answers nothing, until it goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.goes = threading.Event()

    def put(self, key: str, chunks: Iterable[bytes], **more: Any) -> StoredObject:
        self.goes.wait(10)
        return super().put(key, chunks, **more)


async def test_who_ends_a_recording_does_not_wait_for_a_storage_that_hangs() -> None:
    blobs = HangingBlobs()
    house = IntakeHouse(blobs=blobs)
    house.intake.completion.patience_seconds = 0.05
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    for _ in range(2):
        told = await complete(house, recording)
        assert (told.status, told.in_progress) == ("processing", False)
    blobs.goes.set()
    house.intake.completion.patience_seconds = 5
    assert (await complete(house, recording)).status == "completed"
    assert (await house.events(recording)).count("recording.completed") == 1
    assert len(blobs.objects) == 1


async def test_why_a_recording_could_not_be_brought_in_is_told_though_nobody_waits_any_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class WrongBlobs(HangingBlobs):
        def put(self, key: str, chunks: Iterable[bytes], **more: Any) -> StoredObject:
            self.goes.wait(10)
            raise Misconfigured(problems="the bucket is wrong")

    house = IntakeHouse(blobs=WrongBlobs())
    house.intake.completion.patience_seconds = 0.05
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    assert (await complete(house, recording)).status == "processing"
    [bringing] = house.intake.completion._bringing.values()
    house.blobs.goes.set()
    await asyncio.wait([bringing])
    await asyncio.sleep(0)
    [told] = [record for record in caplog.records if record.exc_info]
    assert told.exc_info and "the bucket is wrong" in str(told.exc_info[1])
    assert (told.levelname, told.recording) == ("ERROR", recording)
    assert not house.intake.completion._bringing


async def test_it_is_not_whole_before_every_node_has_brought_what_it_holds(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    here, house.spool = house.intake, MemorySpool()
    house.begin()
    await house.put(recording, 2, speech(8000, 2), ms=1000)
    there = house.intake
    assert (await here.completion.complete(CALLER, recording)).status == "processing"
    house.clock.advance(2)
    await there.open.get(recording)
    await there.rounds.round()
    done = await house.found(recording)
    assert (done.status, done.duration_us) == ("completed", 2_000_000)
    assert (await house.events(recording)).count("recording.completed") == 1


class UnsureStore:
    """A database that fails when a recording is let go, and leaves open whether that happened."""

    def __init__(self, store: MemoryStore, *, happens: bool) -> None:
        self._store, self._happens, self.failures = store, happens, 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, unit: Unit) -> None:
        lets_go = any(write.verb == "remove" and isinstance(write.entity, OpenSpool) for write in unit.writes)
        if self.failures and lets_go:
            self.failures -= 1
            if self._happens:
                await self._store.commit(unit)
            raise StoreUnavailable(why="the line is dead")
        await self._store.commit(unit)


@pytest.mark.parametrize("happens", [True, False])
async def test_a_recording_that_could_not_be_let_go_at_first_completes_by_itself(
    house: IntakeHouse, happens: bool
) -> None:
    store = UnsureStore(house.store, happens=happens)
    house.begin(store)
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    assert (await complete(house, recording)).status == "processing"
    assert store.failures == 0
    await house.intake.rounds.round()
    assert ((await house.found(recording)).status, await house.all(OpenSpool)) == ("completed", [])


async def test_what_another_node_took_in_at_the_last_moment_is_counted_in(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    await complete(house, recording)
    late = replace(await house.found(recording), in_progress=True)
    unit = Unit()
    unit.change(replace(late, version=late.version + 1))
    await house.store.commit(unit)
    house.begin()
    await house.put(recording, 2, speech(8000, 2), ms=1000)
    done = await complete(house, recording)
    assert (done.status, done.duration_us) == ("completed", 2_000_000)
    assert (await house.events(recording))[-1] == "recording.updated"


class StepsStore:
    """A database that lets something happen between a write and its answer."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.step: Callable[[], None] = lambda: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, unit: Unit) -> None:
        await self._store.commit(unit)
        self.step()


async def test_what_is_said_in_a_pause_is_not_stored_while_the_recording_is_being_ended(house: IntakeHouse) -> None:
    said: list[int] = []

    def say() -> None:
        with suppress(RecordingEnded):
            call.push("inbound", len(said) + 1, 20 * len(said), bytes([len(said) + 1]) * 160)
            said.append(len(said))
            house.clock.ms += 20

    store = StepsStore(house.store)
    house.begin(store)
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    for _ in range(5):
        say()
    await house.intake.live.tick()
    await house.intake.pauses.pause(CALLER, recording)
    say()
    store.step = say
    done = await complete(house, recording)
    await house.intake.live.end(CALLER, call)
    assert len(said) == 7
    assert (done.status, done.paused, done.duration_us) == ("completed", None, 120_000)
    assert [(round(s.start_us, -1), s.end_us) for s in await house.all(Span)] == [(100_000, 120_000)]
    heard = await house.heard(recording)
    assert heard[:800].any() and not heard[800:].any()


async def test_who_ends_a_paused_recording_does_not_wait_for_a_spool_that_hangs() -> None:
    house, goes = IntakeHouse(), threading.Event()
    house.intake.completion.patience_seconds = 0.05
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    house.clock.advance(1)
    await house.intake.pauses.pause(CALLER, recording)
    read = house.spool.read

    def hangs(*args: Any) -> Any:
        goes.wait(10)
        return read(*args)

    house.spool.read = hangs
    told = await complete(house, recording)
    assert (told.status, told.in_progress, told.paused) == ("processing", False, "silence")
    goes.set()
    house.intake.completion.patience_seconds = 5
    done = await complete(house, recording)
    assert (done.status, done.paused) == ("completed", None)


async def test_a_pause_of_a_recording_whose_node_went_down_behind_its_end_ends_where_the_call_stood(
    house: IntakeHouse,
) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    house.clock.advance(1)
    await house.intake.pauses.pause(CALLER, recording)
    house.clock.advance(2)
    house.blobs.away = True
    assert (await complete(house, recording)).status == "processing"
    house.begin()
    house.clock.advance(3600)
    house.blobs.away = False
    await house.intake.mover.drain(recording)
    for _ in range(2):
        done = await house.intake.completion.finish(recording)
        assert (done.status, done.paused, done.duration_us) == ("completed", None, 3_000_000)
        assert [(s.start_us, s.end_us) for s in await house.all(Span)] == [(1_000_000, 3_000_000)]
    assert (await house.events(recording)).count("recording.completed") == 1


async def test_what_a_node_without_a_spool_ended_and_could_not_write_down_completes_by_itself(
    house: IntakeHouse,
) -> None:
    broken, recording = await house.recording(), await house.recording()
    for one in (broken, recording):
        await house.put(one, 1, speech(8000), ms=0)
        await house.intake.mover.drain(one)
        await house.intake.open.release(await house.intake.open.get(one))
    house.spool = MemorySpool(name="")
    house.begin()

    def goes_away() -> None:
        raise StoreUnavailable(why="the line is dead")

    finish, house.intake.completion.finish = house.intake.completion.finish, lambda _: goes_away()
    for one in (broken, recording):
        assert (await complete(house, one)).status == "processing"
    assert await house.all(OpenSpool) == []

    async def finishes(recording_id: str) -> Recording:
        return await finish(recording_id) if recording_id == recording else goes_away()

    house.begin()
    finish, house.intake.completion.finish = house.intake.completion.finish, finishes
    await house.intake.completion.complete_idle()
    assert [(await house.found(one)).status for one in (broken, recording)] == ["processing", "completed"]
    house.intake.completion.finish = finish
    await house.intake.completion.complete_idle()
    await house.intake.completion.complete_idle()
    assert (await house.found(broken)).status == "completed"
    assert (await house.events(broken)).count("recording.completed") == 1


async def test_one_idle_recording_that_cannot_be_ended_keeps_no_other(house: IntakeHouse) -> None:
    broken, other = await house.recording(), await house.recording()
    get = house.intake.open.get

    async def unreadable(recording_id: str, max_age: float = 1.0) -> OpenRecording:
        if recording_id == broken:
            raise BlobsUnavailable(why="the test took it away")
        return await get(recording_id, max_age)

    house.intake.open.get = unreadable
    house.clock.advance(3600)
    await house.intake.completion.complete_idle()
    assert [(await house.found(r)).in_progress for r in (broken, other)] == [True, False]


async def test_a_recording_with_no_word_completes_by_itself(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.workspace("w", idle_complete_seconds=60)
    await house.put(recording, 1, speech(8000), ms=0)
    for _ in range(59):
        house.clock.advance(1)
        await house.intake.completion.complete_idle()
    assert (await house.found(recording)).in_progress
    house.clock.advance(2)
    await house.intake.completion.complete_idle()
    done = await house.found(recording)
    assert (done.status, done.ended_by) == ("completed", "idle")


async def test_every_word_counts_as_one(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.workspace("w", idle_complete_seconds=60)
    for n in range(5):
        await house.put(recording, n, speech(8000), ms=1000 * n)
        house.clock.advance(50)
        await house.intake.completion.complete_idle()
    assert (await house.found(recording)).in_progress


async def test_what_another_node_holds_is_not_ended_here(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    house.spool = MemorySpool()
    house.begin()
    house.clock.advance(3600)
    await house.intake.completion.complete_idle()
    assert (await house.found(recording)).in_progress


async def test_many_idle_recordings_end_in_one_go(house: IntakeHouse) -> None:
    recordings = [await house.recording() for _ in range(450)]
    house.clock.advance(3600)
    await house.intake.completion.complete_idle()
    assert {(await house.found(r)).status for r in recordings} == {"failed"}


async def test_a_take_on_its_way_keeps_the_recording_from_completing(house: IntakeHouse) -> None:
    recording = await house.recording()
    known = await house.intake.open.get(recording)
    known.users += 1
    house.clock.advance(3600)
    await house.intake.completion.complete_idle()
    assert (await house.found(recording)).in_progress


async def test_its_end_tells_of_the_transcript_and_the_analysis_that_are_there(house: IntakeHouse) -> None:
    recording = await house.recording(analysis={"summary": "went well"})
    [call] = await house.all(Call)
    unit = Unit()
    facts = {"role": "customer", "content": "hello", "start_ms": 0, "created_ms": 0}
    unit.add(*(Turn(call_id=call.id, workspace_id="w", seq=n, id=str(n), **facts) for n in range(3)))
    await house.store.commit(unit)
    await house.put(recording, 1, speech(8000), ms=0)
    for _ in range(2):
        await complete(house, recording)
    assert (await house.events(recording))[-3:] == [
        "recording.completed",
        "recording.transcribed",
        "recording.analyzed",
    ]


async def test_two_who_complete_at_once_tell_it_once(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    await asyncio.gather(*(complete(house, recording) for _ in range(5)))
    assert (await house.events(recording)).count("recording.completed") == 1


async def test_what_was_asked_before_the_end_and_answered_after_it_opens_nothing_again(house: IntakeHouse) -> None:
    class SlowAnswer:
        waits: asyncio.Event | None = None

        def __getattr__(self, name: str):
            return getattr(house.store, name)

        async def get(self, kind, *key):
            found = await house.store.get(kind, *key)
            if kind is Recording and self.waits:
                waits, self.waits = self.waits, None
                await waits.wait()
            return found

    store = SlowAnswer()
    house.begin(store)
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    store.waits = answer = asyncio.Event()
    asking = asyncio.create_task(house.intake.open.get(recording, max_age=0))
    await asyncio.sleep(0)
    await complete(house, recording)
    answer.set()
    assert not (await asking).recording.in_progress
    with pytest.raises(RecordingEnded):
        await house.put(recording, 2, speech(8000), ms=1000)


async def test_sound_that_reached_the_disk_after_all_is_counted_in(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    await complete(house, recording)
    piece = Piece("customer", -5, "pcmu", 8000, 8000, 8000, speech(8000, seed=2))
    house.spool.append(recording, (await house.found(recording)).workspace_id, [piece]).result()
    await house.intake.rounds.round()
    assert (await house.found(recording)).duration_us == 2_000_000
    assert await house.all(OpenSpool) == []


async def test_its_sound_is_the_same_before_and_after(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    before = await house.heard(recording)
    await complete(house, recording)
    assert np.array_equal(await house.heard(recording), before)
