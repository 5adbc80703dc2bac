"""From the spool to storage: nothing is lost on the way, nothing comes twice, whatever is away."""

import asyncio

import numpy as np
import pytest
from tests.unit.services.ingest.intakehouse import CALLER, FlakyBlobs, IntakeHouse, speech

from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.adapters.spool.memory import MemorySpool
from callvault.audio.pcm import DECODERS
from callvault.audio.peaks import CELL, fine
from callvault.domain.errors import (
    AlreadyThere,
    BlobCorrupt,
    BlobsUnavailable,
    DiskFull,
    Misconfigured,
    StaleWrite,
    StoreUnavailable,
)
from callvault.domain.lane import OpenSpool, Segment
from callvault.domain.recording import Recording
from callvault.domain.stored import StoredObject
from callvault.domain.unit import Unit
from callvault.services.ingest.mover import READ_BYTES
from callvault.services.ingest.packing import SEGMENT_SAMPLES, SILENCE_SECONDS
from callvault.services.ingest.rounds import EVERY_SECONDS, MOVE_SECONDS, QUIET_SECONDS, Rounds
from callvault.wire.mediatypes import parse
from callvault.wire.runs import parse_runs

ulaw = DECODERS["pcmu"]


@pytest.fixture
def house() -> IntakeHouse:
    return IntakeHouse()


async def storm(house: IntakeHouse, recording: str, count: int, first: int = 0) -> np.ndarray:
    """Takes of 20 ms, one behind the other."""
    bodies = [speech(160, n) for n in range(first, first + count)]
    for n, body in enumerate(bodies, first):
        await house.put(recording, n, body, sample=160 * n)
    return ulaw(b"".join(bodies))


async def test_sound_moves_to_storage_and_leaves_the_spool(house: IntakeHouse) -> None:
    recording = await house.recording()
    sound = await storm(house, recording, 100)
    await house.intake.mover.drain(recording)
    assert list(house.spool.holdings()) == []
    assert np.array_equal(await house.heard(recording), sound)
    assert [mark.take for mark in await house.marks(recording)] == list(range(100))
    assert (await house.found(recording)).sound_version == 1


async def test_takes_that_go_on_are_one_run_and_others_are_not(house: IntakeHouse) -> None:
    recording = await house.recording()
    await storm(house, recording, 10)
    await house.put(recording, 50, speech(160, 50), sample=160 * 10)
    await house.put(recording, 51, speech(320), sample=160 * 11, form=parse("audio/PCMA"))
    await house.intake.mover.drain(recording)
    (segment,) = await house.all(Segment)
    runs = [(int(r["start"]), int(r["samples"]), int(r["take"])) for r in parse_runs(segment.runs)]
    assert runs == [(0, 1600, 9), (1600, 160, 50), (1760, 320, 51)]


async def test_a_segment_brings_its_fine_waveform(house: IntakeHouse) -> None:
    recording = await house.recording()
    body = speech(1000)
    await house.put(recording, 1, body, sample=100)
    await house.put(recording, 2, speech(100, 2), sample=1500)
    await house.intake.mover.drain(recording)
    (segment,) = await house.all(Segment)
    (stored,) = await house.all(StoredObject)
    peaks = np.frombuffer(house.blobs.read(stored, segment.peaks_offset), "<i2").reshape(-1, 2)
    lane = np.concatenate((ulaw(body), np.zeros(400, np.int16), ulaw(speech(100, 2))))
    assert np.array_equal(peaks, fine(lane, 100))
    assert len(peaks) == -(-1600 // CELL) - 100 // CELL


async def test_segments_are_of_bounded_length_wherever_takes_lie(house: IntakeHouse) -> None:
    recording = await house.recording()
    hours = [0, 47, 3, 20]
    for n, hour in enumerate(hours):
        await house.put(recording, n, speech(160, n), sample=hour * 3600 * 8000)
    await house.intake.mover.drain(recording)
    segments = await house.all(Segment)
    assert len(segments) == 4
    assert all(s.end_sample - s.first_sample == 160 for s in segments)
    assert sum(obj.size for obj in await house.all(StoredObject)) < 4 * (160 + 20)


async def test_a_long_recording_is_cut_into_segments_of_bounded_length(house: IntakeHouse) -> None:
    recording = await house.recording()
    minute = 60 * 8000
    for n in range(12):
        await house.put(recording, n, speech(minute, n), sample=minute * n)
    await house.intake.mover.drain(recording)
    lengths = [s.end_sample - s.first_sample for s in await house.all(Segment)]
    assert sum(lengths) == 12 * minute
    assert max(lengths) <= SEGMENT_SAMPLES
    assert len(lengths) == 2
    assert np.array_equal(await house.heard(recording), ulaw(b"".join(speech(minute, n) for n in range(12))))


async def test_a_short_silence_is_within_a_segment_and_a_long_one_is_not(house: IntakeHouse) -> None:
    recording = await house.recording()
    for n, second in enumerate([0, SILENCE_SECONDS, 2 * SILENCE_SECONDS + 1]):
        await house.put(recording, n, speech(160, n), sample=second * 8000)
    await house.intake.mover.drain(recording)
    segments = await house.all(Segment)
    assert [s.end_sample - s.first_sample for s in segments] == [SILENCE_SECONDS * 8000 + 160, 160]


async def test_while_storage_is_away_more_is_taken_in_and_nothing_is_lost(house: IntakeHouse) -> None:
    recording, other = await house.recording(), await house.recording()
    house.blobs.away = True
    sound = []
    for minute in range(60):
        sound.append(await storm(house, recording, 5, first=5 * minute))
        await house.put(other, minute, speech(160, minute), sample=160 * minute)
        house.clock.advance(60)
        await house.intake.rounds.round()
    assert await house.all(Segment) == []
    assert np.array_equal(await house.heard(recording), np.concatenate(sound))
    house.blobs.away = False
    for _ in range(3):
        house.clock.advance(61)
        await house.intake.rounds.round()
    assert list(house.spool.holdings()) == []
    assert np.array_equal(await house.heard(recording), np.concatenate(sound))
    assert len(await house.heard(other)) == 60 * 160


async def test_when_storage_goes_away_between_two_lanes_nothing_is_left_lying_about() -> None:
    class LeavingBlobs(FlakyBlobs):
        def put(self, key, chunks, **more):
            self.away = bool(self.objects) and not self.stays
            return super().put(key, chunks, **more)

        stays = False

    house = IntakeHouse(blobs=LeavingBlobs())
    recording = await house.recording()
    for lane in ("customer", "assistant"):
        await house.put(recording, 1, speech(8000), ms=0, lane=lane)
    with pytest.raises(BlobsUnavailable):
        await house.intake.mover.drain(recording)
    assert house.blobs.objects == {}
    house.blobs.stays = True
    await house.intake.mover.drain(recording)
    assert len(house.blobs.objects) == 2


async def test_while_storage_is_away_one_recording_asks_for_all_whether_it_is_back(house: IntakeHouse) -> None:
    asked = []

    class CountingBlobs(MemoryBlobs):
        def put(self, key, chunks, **more):
            asked.append(key)
            raise BlobsUnavailable(why="it is away")

    house = IntakeHouse(blobs=CountingBlobs())
    for _ in range(10):
        await house.put(await house.recording(), 1, speech(160), ms=0)
    house.clock.advance(MOVE_SECONDS + 1)
    await house.intake.rounds.round()
    house.clock.advance(MOVE_SECONDS + 1)
    await house.intake.rounds.round()
    before = len(asked)
    for _ in range(60):
        house.clock.advance(10)
        await house.intake.rounds.round()
    assert 0 < len(asked) - before <= 15


async def test_sound_waits_half_a_minute_so_that_segments_are_not_tiny(house: IntakeHouse) -> None:
    recording = await house.recording()
    for n in range(40):
        await house.put(recording, n, speech(8000, n), sample=8000 * n)
        await house.intake.rounds.round()
        house.clock.advance(1)
    assert len(await house.all(Segment)) == 1


async def test_much_sound_does_not_wait(house: IntakeHouse) -> None:
    recording = await house.recording()
    form = parse("audio/x-raw;format=S16LE;rate=48000")
    await house.intake.rounds.round()
    await house.put(recording, 1, bytes(7 << 20), sample=0, form=form)
    await house.intake.rounds.round()
    assert len(await house.all(Segment)) == 1


async def test_a_round_takes_one_step_of_a_recording_so_that_moving_leaves_the_disk_to_others(
    house: IntakeHouse,
) -> None:
    recording = await house.recording()
    await much(house, recording)
    for count in (1, 2, 3):
        await house.intake.rounds.round()
        assert len(await house.all(Segment)) == count
    assert list(house.spool.holdings()) == []


async def much(house: IntakeHouse, recording: str) -> None:
    """Three steps of the mover."""
    form = parse("audio/x-raw;format=S16LE;rate=48000")
    for n in range(3):
        await house.put(recording, n, bytes(READ_BYTES - 1000), sample=n * READ_BYTES // 2, form=form)


class Restless(Rounds):
    """Tells how long it would have rested."""

    def __init__(self, house: IntakeHouse, rounds: int) -> None:
        intake = house.intake
        super().__init__(
            house.spool, intake.open, intake.mover, intake.completion, house.clock, behind_bytes=READ_BYTES
        )
        self.rests: list[float] = []
        self._rounds = rounds

    async def stopping(self, seconds: float) -> bool:
        self.rests.append(seconds)
        return len(self.rests) == self._rounds


async def test_when_too_much_has_gathered_it_is_moved_without_a_rest(house: IntakeHouse) -> None:
    await much(house, await house.recording())
    rounds = Restless(house, 3)
    await rounds.until_stopped()
    assert rounds.rests == [0, EVERY_SECONDS, EVERY_SECONDS]
    assert list(house.spool.holdings()) == []


class LosingBlobs(MemoryBlobs):
    """A storage that says that it has what it has not."""

    def put(self, key, chunks, **more):
        stored = super().put(key, chunks, **more)
        self.objects[key] = self.objects[key][:-1] + b"?"
        return stored


async def test_what_storage_does_not_give_back_stays_in_the_spool() -> None:
    house = IntakeHouse(blobs=LosingBlobs())
    recording = await house.recording()
    sound = await storm(house, recording, 5)
    with pytest.raises(BlobCorrupt):
        await house.intake.mover.drain(recording)
    house.clock.advance(MOVE_SECONDS + 1)
    await house.intake.rounds.round()
    assert await house.all(Segment) == []
    assert np.array_equal(await house.heard(recording), sound)


class UnsureStore:
    """A database whose commits fail in a way that leaves open whether they happened; the first one did."""

    def __init__(self, store, error, *, happens: bool) -> None:
        self.store, self.error, self.happens, self.armed = store, error, happens, False

    def __getattr__(self, name: str):
        return getattr(self.store, name)

    async def commit(self, unit) -> None:
        segments = any(isinstance(write.entity, Segment) for write in unit.writes)
        if self.armed and segments:
            self.armed = False
            if self.happens:
                await self.store.commit(unit)
            raise self.error
        await self.store.commit(unit)


@pytest.mark.parametrize("happens", [True, False])
async def test_a_commit_of_which_nobody_knows_whether_it_happened_is_done_once(
    house: IntakeHouse, happens: bool
) -> None:
    store = UnsureStore(house.store, StoreUnavailable(why="the line is dead"), happens=happens)
    house.begin(store)
    recording = await house.recording()
    sound = await storm(house, recording, 20)
    store.armed = True
    with pytest.raises(StoreUnavailable):
        await house.intake.mover.drain(recording)
    await house.intake.mover.drain(recording)
    assert sorted(mark.take for mark in await house.marks(recording)) == list(range(20))
    assert np.array_equal(await house.heard(recording), sound)


async def test_a_commit_for_which_the_disk_has_no_room_leaves_nothing_in_storage(house: IntakeHouse) -> None:
    store = UnsureStore(house.store, DiskFull(path="/"), happens=False)
    house.begin(store)
    recording = await house.recording()
    await storm(house, recording, 20)
    store.armed = True
    with pytest.raises(DiskFull):
        await house.intake.mover.drain(recording)
    assert house.blobs.objects == {}
    await house.intake.mover.drain(recording)
    assert sorted(mark.take for mark in await house.marks(recording)) == list(range(20))


async def test_after_a_crash_between_the_commit_and_the_drop_nothing_is_moved_twice() -> None:
    class ForgetfulSpool(MemorySpool):
        def drop(self, recording_id, through):
            raise RuntimeError

    spool = ForgetfulSpool()
    house = IntakeHouse(spool)
    recording = await house.recording()
    sound = await storm(house, recording, 10)
    with pytest.raises(RuntimeError):
        await house.intake.mover.drain(recording)
    spool.__class__ = MemorySpool
    house.begin()
    await house.intake.recovery.recover()
    more = await storm(house, recording, 5, first=10)
    await house.intake.mover.drain(recording)
    assert [mark.take for mark in await house.marks(recording)] == list(range(15))
    assert np.array_equal(await house.heard(recording), np.concatenate((sound, more)))


@pytest.mark.parametrize("error", [StaleWrite(what="the recording"), AlreadyThere(what="segment")])
async def test_who_loses_a_race_for_the_database_tries_again(house: IntakeHouse, error: Exception) -> None:
    store = UnsureStore(house.store, error, happens=False)
    house.begin(store)
    recording = await house.recording()
    sound = await storm(house, recording, 5)
    store.armed = True
    await house.intake.mover.drain(recording)
    assert np.array_equal(await house.heard(recording), sound)


async def test_the_same_take_sent_to_two_nodes_is_kept_once_and_their_segments_do_not_collide(
    house: IntakeHouse,
) -> None:
    recording = await house.recording()
    here, house.spool = house.intake, MemorySpool()
    house.begin()
    there, house.intake = house.intake, here
    sound = await storm(house, recording, 4)
    house.intake = there
    await storm(house, recording, 2)
    more = await storm(house, recording, 3, first=4)
    await here.mover.drain(recording)
    await there.mover.drain(recording)
    assert sorted(mark.take for mark in await house.marks(recording)) == list(range(7))
    assert np.array_equal(await house.heard(recording), np.concatenate((sound, more)))


async def test_a_deleted_recordings_sound_leaves_the_spool_and_storage_gets_none_of_it(house: IntakeHouse) -> None:
    recording = await house.recording()
    await storm(house, recording, 5)
    await house.recordings.delete(CALLER, recording)
    house.clock.advance(MOVE_SECONDS + 1)
    for _ in range(3):
        await house.intake.rounds.round()
        house.clock.advance(QUIET_SECONDS + 1)
    assert list(house.spool.holdings()) == []
    assert await house.all(OpenSpool) == []
    assert house.blobs.objects == {}


async def test_sound_of_a_recording_that_the_database_does_not_know_is_kept(house: IntakeHouse) -> None:
    recording = await house.recording()
    await storm(house, recording, 5)
    unit = Unit()
    unit.remove(await house.found(recording))
    await house.store.commit(unit)
    house.begin()
    await house.intake.recovery.recover()
    for _ in range(3):
        house.clock.advance(100)
        await house.intake.rounds.round()
    with pytest.raises(Misconfigured):
        await house.intake.mover.drain(recording)
    assert len(house.spool.read(recording)) == 5


async def test_a_recording_deleted_while_its_sound_was_on_its_way_leaves_nothing_in_storage(
    house: IntakeHouse,
) -> None:
    class DeletingBlobs(MemoryBlobs):
        def put(self, key, chunks, **more):
            asyncio.run_coroutine_threadsafe(house.recordings.delete(CALLER, recording), loop).result()
            return super().put(key, chunks, **more)

    loop = asyncio.get_running_loop()
    house.blobs = DeletingBlobs()
    house.begin()
    recording = await house.recording()
    await storm(house, recording, 5)
    await house.intake.mover.drain(recording)
    assert (await house.all(Segment), house.blobs.objects) == ([], {})
    assert list(house.spool.holdings()) == []


async def test_a_quiet_recording_is_let_go_and_taken_up_again(house: IntakeHouse) -> None:
    recording = await house.recording()
    await storm(house, recording, 5)
    await house.intake.mover.drain(recording)
    await house.intake.rounds.round()
    assert len(await house.all(OpenSpool)) == 1
    house.clock.advance(QUIET_SECONDS + 1)
    await house.intake.rounds.round()
    assert await house.all(OpenSpool) == []
    await storm(house, recording, 5, first=5)
    assert len(await house.all(OpenSpool)) == 1
    await house.intake.mover.drain(recording)
    assert len(await house.heard(recording)) == 1600


async def test_at_an_orderly_stop_everything_moves(house: IntakeHouse) -> None:
    recording = await house.recording()
    await storm(house, recording, 5)
    running = asyncio.create_task(house.intake.run())
    await asyncio.sleep(0)
    house.intake.stop()
    await asyncio.wait_for(running, 5)
    assert list(house.spool.holdings()) == []
    assert await house.all(OpenSpool) == []
    assert len(await house.marks(recording)) == 5


async def test_the_recording_knows_when_it_was_last_heard_of(house: IntakeHouse) -> None:
    recording = await house.recording()
    house.clock.advance(100)
    await storm(house, recording, 1)
    heard = house.clock.now_ms()
    house.clock.advance(100)
    await house.intake.mover.drain(recording)
    assert (await house.store.get(Recording, recording)).last_heard_ms == heard
