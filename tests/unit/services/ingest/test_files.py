"""Whole files: each channel a lane, the file kept as it came, nothing of one that lies."""

import asyncio
import io
import tracemalloc

import numpy as np
import pytest
from tests.audits import audited
from tests.unit.services.ingest.intakehouse import CALLER, FlakyBlobs, IntakeHouse, speech
from tests.unsure import UnsureStore

from callvault.adapters.spool.memory import MemorySpool
from callvault.domain.errors import AlreadyThere, Malformed, RecordingDisabled, RecordingEnded, StoreUnavailable
from callvault.domain.lane import Lane, OpenSpool, Segment
from callvault.domain.stored import Artifact, StoredObject
from callvault.wire import wav


@pytest.fixture
def house() -> IntakeHouse:
    return IntakeHouse()


def noise(frames: int, channels: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-20_000, 20_000, (frames, channels), np.int16)


def wav_of(samples: np.ndarray, rate: int = 16_000) -> bytes:
    return wav.header(rate, samples.shape[1], len(samples)) + samples.astype("<i2").tobytes()


async def put(house: IntakeHouse, recording: str, data: bytes, **more):
    return await house.intake.files.put(CALLER, recording, io.BytesIO(data), **more)


async def test_the_channels_become_lanes_to_the_sample(house: IntakeHouse) -> None:
    recording = await house.recording()
    samples = noise(100_001, 2)
    filed = await put(house, recording, wav_of(samples), channels=("customer", "assistant"))
    assert (filed.lanes, filed.rate, filed.samples, filed.created) == (("customer", "assistant"), 16_000, 100_001, True)
    assert np.array_equal(await house.heard(recording), samples[:, 0])
    assert np.array_equal(await house.heard(recording, "lane:assistant"), samples[:, 1])
    assert np.array_equal(await house.heard(recording, "stereo"), samples)
    done = await house.intake.completion.complete(CALLER, recording)
    assert (done.status, done.duration_us, done.channels) == ("completed", 6_250_063, 2)


async def test_mixed_is_one_lane_of_all_channels(house: IntakeHouse) -> None:
    recording = await house.recording()
    samples = noise(20_000, 2)
    await put(house, recording, wav_of(samples))
    assert [(lane.name, lane.role) for lane in await house.all(Lane)] == [("mixed", "other")]
    assert np.array_equal(await house.heard(recording, "mono"), samples.mean(axis=1).round().astype(np.int16))


async def test_the_file_is_kept_as_it_was_received(house: IntakeHouse) -> None:
    recording = await house.recording()
    data = wav_of(noise(50_000, 1))
    await put(house, recording, data, media_type="audio/wav")
    artifact = await house.store.get(Artifact, recording, "source")
    stored = await house.store.get(StoredObject, artifact.object_key)
    assert house.blobs.read(stored) == data
    assert (artifact.media_type, artifact.size) == ("audio/wav", len(data))
    assert artifact.metadata["container"] == "wav"


async def test_who_brought_a_file_is_audited(house: IntakeHouse) -> None:
    recording = await house.recording()
    await put(house, recording, wav_of(noise(1000, 2)), channels=("customer", "assistant"))
    (entry,) = [entry for entry in await audited(house.store) if "lanes" in entry.detail]
    assert (entry.actor, entry.detail) == ("key:k", {"lanes": ["customer", "assistant"], "kept": "source"})


async def test_the_same_file_again_is_no_change_and_another_is_refused(house: IntakeHouse) -> None:
    recording = await house.recording()
    data = wav_of(noise(50_000, 2))
    await put(house, recording, data, channels=("customer", "assistant"))
    before = dict(house.blobs.objects)
    assert not (await put(house, recording, data, channels=("customer", "assistant"))).created
    with pytest.raises(AlreadyThere):
        await put(house, recording, wav_of(noise(50_000, 2, seed=2)), channels=("customer", "assistant"))
    with pytest.raises(AlreadyThere):
        await put(house, recording, data, channels=("assistant", "customer"))
    assert house.blobs.objects == before


async def test_the_same_file_twice_at_once_is_one(house: IntakeHouse) -> None:
    recording, data = await house.recording(), wav_of(noise(50_000, 2))
    came = await asyncio.gather(*(put(house, recording, data, channels=("customer", "assistant")) for _ in range(2)))
    assert [one.created for one in came] == [True, False]
    assert len(await house.all(Segment)) == 2


@pytest.mark.parametrize("declared", [0, 0x7FFF_F000, 0xFFFF_FFFF])
async def test_a_wav_whose_header_was_never_finished_has_all_its_samples(house: IntakeHouse, declared: int) -> None:
    recording, samples = await house.recording(), noise(50_000, 2)
    data = wav_of(samples)[:40] + declared.to_bytes(4, "little") + wav_of(samples)[44:]
    filed = await put(house, recording, data, channels=("customer", "assistant"))
    assert (filed.samples, filed.damage) == (50_000, None)
    assert np.array_equal(await house.heard(recording), samples[:, 0])


@pytest.mark.parametrize("declared", [0, 0xFFFF_FFFF])
async def test_a_wav_without_a_sample_is_none_whatever_its_header_says(house: IntakeHouse, declared: int) -> None:
    recording = await house.recording()
    with pytest.raises(Malformed):
        await put(house, recording, wav.header(8000, 1, 0)[:40] + declared.to_bytes(4, "little"))


async def test_a_lane_that_has_sound_is_not_written_over(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(160), ms=0)
    with pytest.raises(AlreadyThere):
        await put(house, recording, wav_of(noise(1000, 2), 8000), channels=("customer", "assistant"))
    assert house.blobs.objects == {}
    await put(house, recording, wav_of(noise(1000, 1), 8000), channels=("assistant",))
    assert {(lane.name, lane.position) for lane in await house.all(Lane)} == {("customer", 0), ("assistant", 1)}


@pytest.mark.parametrize("channels", [("customer",), ("a", "b", "c"), ("a", "a"), ("A", "b")], ids=str)
async def test_each_channel_has_a_name_of_its_own(house: IntakeHouse, channels: tuple[str, ...]) -> None:
    recording = await house.recording()
    with pytest.raises(Malformed):
        await put(house, recording, wav_of(noise(1000, 2)), channels=channels)
    assert (house.blobs.objects, await house.all(Lane)) == ({}, [])


@pytest.mark.parametrize(
    "data",
    [b"", b"<?xml version='1.0'?><Error/>", wav_of(noise(100_000, 1))[:100_000], wav_of(noise(1000, 1), 96_000)],
    ids=["empty", "an error page", "cut off", "96 kHz"],
)
async def test_of_a_file_that_lies_nothing_is_kept(house: IntakeHouse, data: bytes) -> None:
    recording = await house.recording()
    with pytest.raises(Malformed):
        await put(house, recording, data)
    assert (house.blobs.objects, await house.all(Lane), await house.all(Segment)) == ({}, [], [])


async def test_a_file_that_was_cut_off_is_taken_when_that_is_asked_for(house: IntakeHouse) -> None:
    recording = await house.recording()
    samples = noise(100_000, 1)
    filed = await put(house, recording, wav_of(samples)[:100_044], damaged_too=True)
    assert filed.samples == 50_000
    assert filed.damage
    assert np.array_equal(await house.heard(recording, "mono"), samples[:50_000, 0])
    assert (await house.store.get(Artifact, recording, "source")).metadata["damage"] == filed.damage


async def test_when_storage_goes_away_in_the_middle_nothing_is_half_there(house: IntakeHouse) -> None:
    class LeavingBlobs(FlakyBlobs):
        def put(self, key, chunks, **more):
            self.away = len(self.objects) >= 3
            return super().put(key, chunks, **more)

    house = IntakeHouse(blobs=LeavingBlobs())
    recording = await house.recording()
    data = wav_of(noise(8000 * 200, 1), 8000)
    with pytest.raises(Exception, match="storage"):
        await put(house, recording, data)
    assert (house.blobs.objects, await house.all(Lane)) == ({}, [])
    house.blobs = FlakyBlobs()
    house.begin()
    assert (await put(house, recording, data)).samples == 8000 * 200


async def test_a_long_file_takes_no_more_memory_than_a_short_one(house: IntakeHouse) -> None:
    class BottomlessBlobs(FlakyBlobs):
        """Remembers the last object alone, and of a source nothing."""

        def put(self, key, chunks, **more):
            kept = [chunk for chunk in chunks if "/source/" not in key]
            self.last = b"".join(kept)
            return super().put(key, [], **more)

        def read(self, obj, start=0, length=None):
            return self.last

    peaks = []
    for minutes in (3, 12):
        house = IntakeHouse(blobs=BottomlessBlobs())
        recording = await house.recording()
        source = io.BytesIO(wav_of(np.zeros((8000 * 60 * minutes, 2), np.int16), 8000))
        tracemalloc.start()
        await house.intake.files.put(CALLER, recording, source, channels=("customer", "assistant"))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


async def test_no_pause_is_undone_by_a_file(house: IntakeHouse) -> None:
    recording = await house.recording()
    samples = noise(48_000, 1)
    await house.intake.pauses.pause(CALLER, recording, at_us=1_000_000)
    await house.intake.pauses.resume(CALLER, recording, at_us=2_000_000)
    await put(house, recording, wav_of(samples))
    sound = await house.heard(recording, "mono")
    assert np.array_equal(sound[:16_000], samples[:16_000, 0])
    assert not sound[16_000:32_000].any()
    assert np.array_equal(sound[32_000:], samples[32_000:, 0])
    assert await house.store.get(Artifact, recording, "source") is None


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_pause_that_is_asked_for_while_a_file_is_being_decoded_is_cut_out(elsewhere: bool) -> None:
    class AskingBlobs(FlakyBlobs):
        def put(self, key, chunks, **more):
            stored = super().put(key, chunks, **more)
            while asked:
                asyncio.run_coroutine_threadsafe(asked.pop(), loop).result(10)
            return stored

    loop, house = asyncio.get_running_loop(), IntakeHouse(blobs=AskingBlobs())
    here = other = house.intake
    if elsewhere:
        house.begin()
        other = house.intake
    recording, samples = await house.recording(), noise(48_000, 1)
    asked = [
        other.pauses.resume(CALLER, recording, at_us=2_000_000),
        other.pauses.pause(CALLER, recording, at_us=1_000_000),
    ]
    filed = await here.files.put(CALLER, recording, io.BytesIO(wav_of(samples)))
    assert (filed.created, filed.samples) == (True, 48_000)
    sound = await house.heard(recording, "mono")
    assert np.array_equal(sound[:16_000], samples[:16_000, 0])
    assert not sound[16_000:32_000].any()
    assert np.array_equal(sound[32_000:], samples[32_000:, 0])
    assert await house.store.get(Artifact, recording, "source") is None
    kept = b"".join(house.blobs.objects.values())
    assert samples[20_000:20_100].astype("<i2").tobytes() not in kept
    assert {stored.key for stored in await house.all(StoredObject)} == house.blobs.objects.keys()


async def test_doors_that_are_closed_are_closed_to_files(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.workspace("w", recording_enabled=False)
    with pytest.raises(RecordingDisabled):
        await put(house, recording, wav_of(noise(100, 1)))
    await house.workspace("w")
    house.clock.advance(2)
    await house.intake.completion.complete(CALLER, recording)
    with pytest.raises(RecordingEnded):
        await put(house, recording, wav_of(noise(100, 1)))


async def test_a_twenty_channel_conference_is_twenty_lanes(house: IntakeHouse) -> None:
    recording = await house.recording()
    samples = noise(10_000, 20)
    await put(house, recording, wav_of(samples, 8000), channels=tuple(f"seat-{n}" for n in range(20)))
    assert np.array_equal(await house.heard(recording, "lane:seat-13"), samples[:, 13])


async def test_a_file_of_which_nobody_knows_whether_it_was_taken_in_stays_when_it_was(house: IntakeHouse) -> None:
    recording, samples = await house.recording(), noise(50_000, 1)
    house.begin(store := UnsureStore(house.store, Segment))
    store.armed = True
    with pytest.raises(StoreUnavailable):
        await put(house, recording, wav_of(samples))
    assert (await put(house, recording, wav_of(samples))).created is False
    assert np.array_equal(await house.heard(recording, "mono"), samples[:, 0])


async def test_a_file_whose_sender_is_given_up_at_the_last_moment_stays_when_it_was_taken_in() -> None:
    house = IntakeHouse()
    recording, samples = await house.recording(), noise(50_000, 1)
    house.begin(store := SlowStore(house.store))
    sending = asyncio.create_task(put(house, recording, wav_of(samples)))
    await store.asked.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await store.done
    assert (await put(house, recording, wav_of(samples))).created is False
    assert np.array_equal(await house.heard(recording, "mono"), samples[:, 0])


class SlowStore:
    """As any: what it was asked to commit it commits, also when nobody waits for it any more."""

    def __init__(self, store) -> None:
        self.store, self.asked = store, asyncio.Event()

    def __getattr__(self, name: str):
        return getattr(self.store, name)

    async def commit(self, unit) -> None:
        self.done = asyncio.ensure_future(self.store.commit(unit))
        if any(isinstance(write.entity, Segment) for write in unit.writes):
            self.asked.set()
            await asyncio.Event().wait()
        await self.done


async def test_a_worker_that_was_killed_keeps_nobody_waiting(house: IntakeHouse) -> None:
    """It has no spool that would come back to say that it holds nothing."""
    recording = await house.recording()
    server, house.spool = house.intake, MemorySpool(name="")
    house.begin()
    await put(house, recording, wav_of(noise(1000, 1)))
    assert await house.all(OpenSpool) == []
    assert (await server.completion.complete(CALLER, recording)).status == "completed"


async def test_a_worker_takes_no_file_of_what_has_ended(house: IntakeHouse) -> None:
    recording = await house.recording()
    server, house.spool = house.intake, MemorySpool(name="")
    house.begin()
    await house.intake.open.get(recording)
    await server.completion.complete(CALLER, recording)
    with pytest.raises(RecordingEnded):
        await put(house, recording, wav_of(noise(1000, 1)))
