"""Takes: acknowledged when durable, once each, in any order, and never anything else under their number."""

import asyncio
import hashlib
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal

import numpy as np
import pytest
from tests.audits import audited
from tests.callhouse import caller
from tests.unit.services.ingest.intakehouse import CALLER, PCMU, IntakeHouse, g722, speech

from callvault.adapters.codecs.pyav import PyAvCodecs
from callvault.adapters.spool.memory import MemorySpool
from callvault.audio.pcm import DECODERS
from callvault.audio.peaks import fine
from callvault.domain.call import Participant
from callvault.domain.errors import (
    DigestMismatch,
    DiskFull,
    Malformed,
    Missing,
    RecordingDisabled,
    RecordingEnded,
    Refused,
    TakeConflict,
    TooLarge,
)
from callvault.domain.lane import Lane, OpenSpool, Segment
from callvault.domain.stored import StoredObject
from callvault.services.ingest import form
from callvault.services.ingest.sound import decoder
from callvault.services.ingest.takes import SMALL_BYTES, Start, Takes
from callvault.wire import wav
from callvault.wire.mediatypes import parse

ulaw = DECODERS["pcmu"]


@pytest.fixture
def house() -> IntakeHouse:
    return IntakeHouse()


async def test_a_take_is_heard_where_it_was_put(house: IntakeHouse) -> None:
    recording = await house.recording()
    body = speech(1600)
    taken = await house.put(recording, 1, body, ms="12.5")
    assert (taken.start, taken.samples, taken.rate, taken.created) == (100, 1600, 8000, True)
    sound = await house.heard(recording)
    assert not sound[:100].any()
    assert np.array_equal(sound[100:], ulaw(body))


async def test_the_same_take_again_is_one_take(house: IntakeHouse) -> None:
    recording = await house.recording()
    assert (await house.put(recording, 1, speech(160), ms=0)).created
    assert not (await house.put(recording, 1, speech(160), ms=0)).created
    assert len(house.spool.read(recording)) == 1


async def test_the_same_take_again_is_known_after_it_moved_and_after_a_restart(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(160), ms=0)
    await house.intake.mover.drain(recording)
    assert not (await house.put(recording, 1, speech(160), ms=0)).created
    house.begin()
    assert not (await house.put(recording, 1, speech(160), ms=0)).created
    with pytest.raises(TakeConflict):
        await house.put(recording, 1, speech(160, seed=2), ms=0)
    assert [mark.take for mark in await house.marks(recording)] == [1]


async def test_what_is_only_spooled_is_known_after_a_restart(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(160), ms=0)
    house.begin()
    assert not (await house.put(recording, 1, speech(160), ms=0)).created


async def test_other_bytes_or_another_place_under_the_same_number_are_refused(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(160), ms=0)
    with pytest.raises(TakeConflict):
        await house.put(recording, 1, speech(160, seed=2), ms=0)
    with pytest.raises(TakeConflict, match="or at another start"):
        await house.put(recording, 1, speech(160), ms=20)
    assert (await house.put(recording, 1, speech(160, seed=2), lane="assistant", ms=0)).created


class SlowSpool(MemorySpool):
    """Acknowledges when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Future[None]] = []

    def append(self, recording_id, workspace_id, pieces):
        self.waiting.append(Future())
        super().append(recording_id, workspace_id, pieces)
        return self.waiting[-1]


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


async def test_nobody_is_told_before_the_take_is_durable_neither_who_sends_the_same_meanwhile() -> None:
    spool = SlowSpool()
    house = IntakeHouse(spool)
    recording = await house.recording()
    first = asyncio.create_task(house.put(recording, 1, speech(160), ms=0))
    await until(lambda: spool.waiting)
    second = asyncio.create_task(house.put(recording, 1, speech(160), ms=0))
    other = asyncio.create_task(house.put(recording, 1, speech(160, seed=2), ms=0))
    for _ in range(50):
        await asyncio.sleep(0)
    assert not first.done() and not second.done()
    with pytest.raises(TakeConflict):
        await other
    spool.waiting[0].set_result(None)
    assert (await first).created
    assert not (await second).created
    assert len(spool.waiting) == 1


async def test_those_who_read_a_storage_that_hangs_keep_no_take_from_the_disk(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(160), ms=0)
    house.begin()  # so that it must learn what is spooled
    goes, loop = threading.Event(), asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    reader = loop.run_in_executor(None, goes.wait)
    file = wav.header(8000, 1, 1000) + bytes(2000)
    try:
        async with asyncio.timeout(5):
            assert (await house.put(recording, 2, speech(SMALL_BYTES + 160), ms=20)).created
            await house.intake.pauses.pause(CALLER, recording, at_us=3_600_000_000)
            assert (await house.put(recording, 3, file, ms=60_000, form=parse("audio/wav"))).created
    finally:
        goes.set()
        await reader


async def test_when_the_disk_was_full_the_take_is_taken_from_who_sends_it_next() -> None:
    spool = SlowSpool()
    house = IntakeHouse(spool)
    recording = await house.recording()
    first = asyncio.create_task(house.put(recording, 1, speech(160), ms=0))
    await until(lambda: spool.waiting)
    second = asyncio.create_task(house.put(recording, 1, speech(160), ms=0))
    await asyncio.sleep(0)
    spool.waiting[0].set_exception(DiskFull(path="/"))
    with pytest.raises(DiskFull):
        await first
    await until(lambda: len(spool.waiting) == 2)
    spool.waiting[1].set_result(None)
    assert (await second).created


async def test_a_sender_who_goes_away_leaves_a_take_that_is_known() -> None:
    spool = SlowSpool()
    house = IntakeHouse(spool)
    recording = await house.recording()
    first = asyncio.create_task(house.put(recording, 1, speech(160), ms=0))
    await until(lambda: spool.waiting)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    spool.waiting[0].set_result(None)
    await asyncio.sleep(0)
    assert not (await house.put(recording, 1, speech(160), ms=0)).created
    assert len(spool.waiting) == 1


async def test_takes_come_in_any_order_and_the_later_number_is_heard_where_they_overlap(house: IntakeHouse) -> None:
    recording = await house.recording()
    one, two, three = speech(800, 1), speech(800, 2), speech(800, 3)
    await house.put(recording, 3, three, sample=1200)
    await house.put(recording, 1, one, sample=0)
    await house.put(recording, 2, two, sample=600)
    for _ in range(2):
        sound = await house.heard(recording)
        assert np.array_equal(sound, np.concatenate((ulaw(one)[:600], ulaw(two)[:600], ulaw(three))))
        await house.intake.mover.drain(recording)


async def test_milliseconds_become_the_nearest_sample_without_rounding_on_the_way() -> None:
    assert Start(ms=Decimal("0.0625")).on(16_000) == 1
    assert Start(ms=Decimal(1_000_000) / 3).on(44_100) == 14_700_000
    hour = [Start(ms=Decimal(20) * n).on(44_100) for n in range(180_000)]
    assert hour == [882 * n for n in range(180_000)]


@pytest.mark.parametrize(
    "start",
    [
        Start(ms=Decimal(-1)),
        Start(ms=Decimal("-0.001")),
        Start(ms=Decimal("1e40")),
        Start(ms=Decimal("NaN")),
        Start(ms=Decimal("Infinity")),
        Start(ms=Decimal(10 * 365 * 86_400_000)),
        Start(sample=-1),
        Start(sample=1 << 70),
        Start(),
        Start(ms=Decimal(0), sample=0),
    ],
    ids=repr,
)
def test_absurd_starts_are_refused(start: Start) -> None:
    with pytest.raises(Malformed):
        start.on(8000)


async def test_a_lane_keeps_the_rate_of_its_first_sound(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(160), ms=0)
    with pytest.raises(Malformed, match="8000"):
        await house.put(recording, 2, bytes(640), ms=20, form=parse("audio/L16;rate=16000"))
    await house.put(recording, 2, bytes(640), ms=20, form=parse("audio/L16;rate=16000"), lane="assistant")
    assert {(lane.name, lane.rate) for lane in await house.all(Lane)} == {("customer", 8000), ("assistant", 16000)}


@pytest.mark.parametrize("name", ["", "Customer", "a/b", "x" * 64, "../etc", "ümlaut", "-x"])
async def test_a_lane_has_a_plain_name(house: IntakeHouse, name: str) -> None:
    with pytest.raises(Malformed):
        await house.put(await house.recording(), 1, speech(160), ms=0, lane=name)


async def test_a_lane_knows_whose_it_is(house: IntakeHouse) -> None:
    people = (
        Participant(id="P1", name="Ann Lee", role="customer"),
        Participant(id="p2", name="Bot", role="assistant"),
        Participant(id="p3", name="Super Visor", role="other"),
    )
    recording = await house.recording(*people)
    for n, lane in enumerate(["customer", "p2", "super-visor", "stranger"]):
        await house.put(recording, n, speech(160), ms=0, lane=lane)
    lanes = {lane.name: (lane.role, lane.participant_id, lane.position) for lane in await house.all(Lane)}
    assert lanes == {
        "customer": ("customer", "P1", 0),
        "p2": ("assistant", "p2", 1),
        "super-visor": ("other", "p3", 2),
        "stranger": ("other", None, 3),
    }


async def test_what_does_not_fit_is_refused(house: IntakeHouse) -> None:
    recording = await house.recording()
    with pytest.raises(Malformed, match="empty"):
        await house.put(recording, 1, b"", ms=0)
    with pytest.raises(Malformed, match="multiple"):
        await house.put(recording, 1, bytes(3), ms=0, form=parse("audio/L16;rate=8000"))
    with pytest.raises(Malformed, match="channels"):
        await house.put(recording, 1, bytes(4), ms=0, form=parse("audio/L16;rate=8000;channels=2"))
    with pytest.raises(Malformed, match="samples a second"):
        await house.put(recording, 1, bytes(4), ms=0, form=parse("audio/L16;rate=96000"))
    with pytest.raises(TooLarge, match="bytes"):
        await house.put(recording, 1, bytes(form.TAKE_BYTES + 1), ms=0)
    with pytest.raises(TooLarge, match="seconds"):
        await house.put(recording, 1, bytes(8000 * 601), ms=0)
    with pytest.raises(Malformed, match="number"):
        await house.put(recording, -1, speech(160), ms=0)
    assert await house.all(Lane) == []
    assert list(house.spool.holdings()) == []


async def test_a_promised_digest_is_checked(house: IntakeHouse) -> None:
    recording = await house.recording()
    body = speech(160)
    right = {"sha-256": hashlib.sha256(body).digest(), "sha-512": hashlib.sha512(body).digest(), "unixsum": b"?"}
    assert (await house.put(recording, 1, body, ms=0, promised=right)).created
    for name in ("sha-256", "sha-512"):
        with pytest.raises(DigestMismatch):
            await house.put(recording, 2, body, ms=20, promised={**right, name: b"wrong"})


def wav_of(samples: np.ndarray, rate: int = 16_000) -> bytes:
    return wav.header(rate, 1, len(samples)) + samples.astype("<i2").tobytes()


def tone(samples: int, rate: int = 16_000) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * 440 * np.arange(samples) / rate)).astype(np.int16)


async def test_a_wav_file_is_taken_as_the_samples_in_it(house: IntakeHouse) -> None:
    recording = await house.recording()
    taken = await house.put(recording, 1, wav_of(tone(1601)), ms=0, form=parse("audio/wav"))
    assert (taken.samples, taken.rate) == (1601, 16_000)
    assert house.spool.read(recording)[0].pieces[0].codec == "s16le"
    assert np.array_equal(await house.heard(recording), tone(1601))


@pytest.mark.parametrize("declared", [0, 0x7FFF_F000, 0xFFFF_FFFF])
async def test_a_wav_whose_header_was_never_finished_is_taken_whole(house: IntakeHouse, declared: int) -> None:
    recording = await house.recording()
    data = bytearray(wav_of(tone(1600)))
    data[40:44] = declared.to_bytes(4, "little")
    assert (await house.put(recording, 1, bytes(data), ms=0, form=parse("audio/wav"))).samples == 1600


@pytest.mark.parametrize(("kind", "container"), [("ogg", "audio/ogg"), ("mp3", "audio/mpeg"), ("flac", "audio/flac")])
async def test_a_coded_file_is_one_take_of_as_many_samples_as_decode(
    house: IntakeHouse, kind: str, container: str
) -> None:
    recording = await house.recording()
    body = b"".join(house.codecs.encode([tone(48_000, 48_000)], format=kind, rate=48_000, channels=1))
    taken = await house.put(recording, 1, body, ms=1000, form=parse(container))
    assert abs(taken.samples - 48_000) < 3000
    sound = (await house.heard(recording))[48_000:].astype(float)
    wanted = tone(48_000, 48_000).astype(float)
    best = max(np.corrcoef(wanted[4800:-4800], np.roll(sound, n)[4800 : len(wanted) - 4800])[0, 1] for n in (0, -1105))
    assert best > 0.99


@pytest.mark.parametrize(
    "body",
    [
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        wav_of(tone(1600))[:30],
        wav_of(tone(16_000))[:20_000],
        b"OggS" + bytes(500),
        wav.header(16_000, 2, 100) + bytes(400),
    ],
    ids=["an error page", "half a header", "cut off", "garbage", "two channels"],
)
async def test_a_file_that_lies_is_refused_before_anything_is_stored(house: IntakeHouse, body: bytes) -> None:
    recording = await house.recording()
    with pytest.raises(Malformed):
        await house.put(recording, 1, body, ms=0, form=parse("audio/wav"))
    assert list(house.spool.holdings()) == []


async def test_g722_has_two_samples_in_a_byte(house: IntakeHouse) -> None:
    recording = await house.recording()
    taken = await house.put(recording, 1, speech(160), ms=20, form=parse("audio/G722;rate=8000"))
    assert (taken.rate, taken.start, taken.samples) == (16_000, 320, 320)


@pytest.mark.parametrize("numbered", [1, 320], ids=["one after the other", "by their places"])
async def test_a_stream_of_g722_is_heard_as_one_however_it_was_cut(house: IntakeHouse, numbered: int) -> None:
    """In the spool, in storage, and over the border between two segments; from anywhere in it."""
    recording, rng = await house.recording(), np.random.default_rng(4)
    time = np.arange(4 * 16_000) / 16_000
    said = 9000 * np.sin(2 * np.pi * 440 * time) * np.sin(2 * np.pi * 2 * time) ** 2 + rng.normal(0, 200, len(time))
    frames = g722(said.astype(np.int16))
    form = parse("audio/G722;rate=8000")
    for part in (range(125), range(125, 200)):
        for n in part:
            await house.put(recording, numbered * n, frames[n], sample=320 * n, form=form)
        wanted = np.concatenate([*house.codecs.decode_frames("g722", frames[: part.stop], 16_000)]).reshape(-1)
        assert np.array_equal(await house.heard(recording), wanted)
        await house.intake.mover.drain(recording)
        assert np.array_equal(await house.heard(recording), wanted)
    one, _ = await house.all(Segment)
    waveform = house.blobs.read(await house.store.get(StoredObject, one.object_key))[one.peaks_offset :]
    assert np.array_equal(np.frombuffer(waveform, "<i2"), fine(wanted[: one.end_sample], 0).reshape(-1))
    view = await house.views.open(await house.found(recording), "lane:customer", live=True)
    for at in (40_100, 39_900, 60_001):
        assert np.array_equal(view.pcm(at, at + 700)[:, 0], wanted[at : at + 700])


async def test_who_may_not_write_is_refused(house: IntakeHouse) -> None:
    recording = await house.recording()
    with pytest.raises(Refused):
        await house.put(recording, 1, speech(160), ms=0, by=caller("recordings:read"))
    with pytest.raises(Missing):
        await house.put(recording, 1, speech(160), ms=0, by=caller(workspace="another"))
    with pytest.raises(Missing):
        await house.put("no-such-recording", 1, speech(160), ms=0)


async def test_where_recording_is_turned_off_nothing_is_taken(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.workspace("w", recording_enabled=False)
    with pytest.raises(RecordingDisabled):
        await house.put(recording, 1, speech(160), ms=0)


async def test_recording_that_another_process_turned_off_is_heeded_a_moment_later(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(160), ms=0)
    await house.workspace("w", recording_enabled=False)
    house.clock.advance(1.1)
    with pytest.raises(RecordingDisabled):
        await house.put(recording, 2, speech(160), ms=20)


async def test_a_recording_that_has_ended_takes_nothing_more(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(160), ms=0)
    await house.intake.completion.complete(CALLER, recording)
    with pytest.raises(RecordingEnded):
        await house.put(recording, 2, speech(160), ms=20)


async def test_it_is_written_down_that_this_node_holds_sound_before_any_is_taken(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(160), ms=0)
    (row,) = await house.all(OpenSpool)
    assert (row.recording_id, row.node) == (recording, house.spool.id)


class CountedStore:
    def __init__(self, store) -> None:
        self.store, self.asked = store, 0

    def __getattr__(self, name: str):
        self.asked += 1
        return getattr(self.store, name)


async def test_takes_after_the_first_ask_the_database_nothing(house: IntakeHouse) -> None:
    recording = await house.recording()
    store = CountedStore(house.store)
    house.begin(store)
    await house.put(recording, 1, speech(160), ms=0)
    asked = store.asked
    for n in range(2, 50):
        await house.put(recording, n, speech(160, n), ms=20 * n)
    assert store.asked == asked
    assert len(house.spool.read(recording)) == 49


async def test_a_lane_with_too_many_takes_is_full_and_keeps_what_it_has(house: IntakeHouse) -> None:
    intake = house.intake
    intake.takes = Takes(
        house.spool,
        intake.open,
        house.codecs,
        admission=intake.admission,
        decode=decoder(house.codecs),
        clock=house.clock,
        takes_most=5,
    )
    recording = await house.recording()
    for n in range(5):
        await house.put(recording, n, b"\xff", sample=n)
    with pytest.raises(TooLarge):
        await house.put(recording, 5, b"\xff", sample=5)
    assert not (await house.put(recording, 4, b"\xff", sample=4)).created


async def test_who_brought_the_first_sound_of_a_lane_is_audited(house: IntakeHouse) -> None:
    recording = await house.recording()
    for n in range(3):
        await house.put(recording, n, speech(160, n), ms=20 * n)
    entries = [entry for entry in await audited(house.store) if "lanes" in entry.detail]
    assert [(e.actor, e.action, e.detail["lanes"]) for e in entries] == [("key:k", "recordings.write", ["customer"])]


async def test_a_lane_of_thousands_of_tiny_takes_in_the_worst_order_is_kept(house: IntakeHouse) -> None:
    recording = await house.recording()
    for n in range(6000):
        await house.put(recording, n, bytes([n % 256]), sample=6000 - n)
    await house.intake.mover.drain(recording)
    assert np.array_equal(
        await house.heard(recording), ulaw(bytes([(6000 - at) % 256 for at in range(6001)])) * (np.arange(6001) > 0)
    )
    assert not (await house.put(recording, 17, bytes([17]), sample=5983)).created


async def test_pcmu_at_another_rate_is_taken_at_that_rate(house: IntakeHouse) -> None:
    taken = await house.put(await house.recording(), 1, speech(320), ms=20, form=parse("audio/PCMU;rate=16000"))
    assert (taken.start, PCMU.rate) == (320, 8000)


@pytest.mark.parametrize("seed", range(6))
async def test_a_stream_of_g722_over_which_something_lies_is_heard_the_same_wherever_it_is(
    house: IntakeHouse, seed: int
) -> None:
    """In the spool, in segments, in larger ones, and in any piece."""
    rng = np.random.default_rng(seed)
    said = b"".join(g722(rng.integers(-9000, 9000, 320 * 60).astype(np.int16)))
    form, recording = parse("audio/G722;rate=8000"), await house.recording()
    cuts = [0, *sorted(rng.choice(np.arange(1, len(said)), 20, replace=False).tolist()), len(said)]
    for take in rng.permutation(21).tolist():
        await house.put(recording, take, said[cuts[take] : cuts[take + 1]], sample=2 * cuts[take], form=form)
    for take in range(30, 33):
        noise, at = rng.bytes(int(rng.integers(1, 300))), int(rng.integers(0, 2 * len(said)))
        await house.put(recording, take, noise, sample=at, form=form)
    before = await house.heard(recording)
    opened = await house.views.open(await house.found(recording), "lane:customer", live=True)
    for at in rng.integers(0, len(before) - 999, 10).tolist():
        assert np.array_equal((await asyncio.to_thread(opened.pcm, at, at + 999))[:, 0], before[at : at + 999])
    while await house.intake.mover.move(recording):
        assert np.array_equal(await house.heard(recording), before)
    await house.intake.completion.complete(CALLER, recording)
    await house.work()
    house.begin()
    assert np.array_equal(await house.heard(recording), before)


class CountedCodecs(PyAvCodecs):
    decoded = 0

    def decode_frames(self, codec, frames, rate):
        given = list(frames)
        self.decoded += sum(map(len, given))
        return super().decode_frames(codec, given, rate)


async def test_a_stream_of_g722_in_thousands_of_takes_is_not_decoded_anew_for_each(house: IntakeHouse) -> None:
    house.codecs = CountedCodecs()
    house.begin()
    recording, form = await house.recording(), parse("audio/G722;rate=8000")
    for n in np.random.default_rng(1).permutation(2000).tolist():
        await house.put(recording, n, bytes([n % 256]), sample=2 * n, form=form)
    assert len(await house.heard(recording)) == 4000
    assert house.codecs.decoded < 3 * 2000
