"""Live streams: nothing waits for a frame, nothing of it is lost, and the calls share one fsync."""

import asyncio
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.callhouse import caller
from tests.fakes import FakeClock
from tests.unit.services.ingest.intakehouse import CALLER, PCMU, IntakeHouse, g722, speech
from tests.workhouse import until

from callvault.adapters.spool.memory import MemorySpool
from callvault.audio.pcm import DECODERS
from callvault.domain.errors import (
    DiskFull,
    Malformed,
    Missing,
    RecordingDisabled,
    RecordingEnded,
    Refused,
    ShuttingDown,
    StoreUnavailable,
    TooManyRequests,
)
from callvault.domain.lane import Lane, Segment
from callvault.domain.unit import Unit
from callvault.services.ingest import live
from callvault.services.ingest.livecall import LiveCall
from callvault.wire.mediatypes import parse
from callvault.wire.runs import parse_runs

ulaw = DECODERS["pcmu"]
PCM16 = parse("audio/x-raw;format=S16LE;rate=16000")


@pytest.fixture
def house() -> IntakeHouse:
    return IntakeHouse()


async def say(house: IntakeHouse, call: LiveCall, frames: int, first: int = 0, tracks=("inbound", "outbound")) -> None:
    """In real time, with a tick every 200 ms."""
    for n in range(first, first + frames):
        for seed, track in enumerate(tracks):
            call.push(track, n + 1, 20 * n, speech(160, 2 * n + seed))
        house.clock.ms += 20
        if n % 10 == 9:
            await house.intake.live.tick()


def said(frames: int, seed: int = 0, first: int = 0) -> np.ndarray:
    return ulaw(b"".join(speech(160, 2 * n + seed) for n in range(first, first + frames)))


async def test_a_stream_is_heard_on_both_sides(house: IntakeHouse) -> None:
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    await say(house, call, 100)
    done = await house.intake.live.end(CALLER, call)
    assert (done.status, done.ended_by, done.duration_us, done.channels) == ("completed", "completed", 2_000_000, 2)
    assert np.array_equal(await house.heard(recording), said(100))
    assert np.array_equal(await house.heard(recording, "lane:assistant"), said(100, 1))
    assert len(house.intake.live) == 0


async def test_a_stretch_of_frames_is_one_run(house: IntakeHouse) -> None:
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    await say(house, call, 1000)
    await house.intake.live.end(CALLER, call)
    segments = await house.all(Segment, lane="customer")
    assert [len(parse_runs(segment.runs)) for segment in segments] == [1]
    assert await house.marks(recording) == []


async def test_pushing_asks_nobody_and_lanes_come_with_their_first_sound(house: IntakeHouse) -> None:
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    assert await house.all(Lane) == []
    call.push("outbound", 1, 0, speech(160))
    await house.intake.live.tick()
    assert [(lane.name, lane.role) for lane in await house.all(Lane)] == [("assistant", "assistant")]
    call.push("third-party", 1, 0, speech(160))
    await house.intake.live.tick()
    assert {lane.name for lane in await house.all(Lane)} == {"assistant", "third-party"}


async def test_what_was_pushed_is_durable_with_the_next_tick(house: IntakeHouse) -> None:
    call = await house.intake.live.begin(CALLER, await house.recording(), PCMU)
    await say(house, call, 20)
    assert call.durable == 0 or call.all_saved()
    assert call.all_saved()
    assert call.durable == 20 * 2 * 160


async def test_a_call_whose_start_nobody_told_starts_with_its_stream(house: IntakeHouse) -> None:
    recording = await house.recording()
    house.clock.advance(30)
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    assert (await house.found(recording)).started_ms == house.clock.now_ms()
    await say(house, call, 10)
    await house.intake.live.end(CALLER, call, complete=False)
    assert len(await house.heard(recording)) == 1600


async def test_a_second_stream_lies_where_the_call_stands_by_then(house: IntakeHouse) -> None:
    recording = await house.recording()
    first = await house.intake.live.begin(CALLER, recording, PCMU)
    await say(house, first, 50)
    assert (await house.intake.live.end(CALLER, first, complete=False)).in_progress
    house.clock.advance(4)
    second = await house.intake.live.begin(CALLER, recording, PCMU)
    await say(house, second, 50)
    done = await house.intake.live.end(CALLER, second)
    sound = await house.heard(recording)
    assert np.array_equal(sound[:8000], said(50))
    assert not sound[8000:40_000].any()
    assert np.array_equal(sound[40_000:], said(50))
    assert done.duration_us == 6_000_000


async def test_a_start_that_another_node_wrote_down_just_now_is_the_start(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(160), ms=0, lane="note")
    unit, before = Unit(), await house.found(recording)
    unit.change(replace(before, started_ms=house.clock.now_ms() - 7000, version=before.version + 1))
    await house.store.commit(unit)
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    assert call.place.offset_us == 7_000_000


async def test_the_recording_ends_with_the_last_of_its_streams(house: IntakeHouse) -> None:
    recording = await house.recording()
    one = await house.intake.live.begin(CALLER, recording, PCMU, {"inbound": "customer"})
    two = await house.intake.live.begin(CALLER, recording, PCMU, {"inbound": "supervisor"})
    await say(house, one, 10, tracks=("inbound",))
    await say(house, two, 10, tracks=("inbound",))
    assert (await house.intake.live.end(CALLER, one)).in_progress
    assert (await house.intake.live.end(CALLER, two)).status == "completed"


async def test_an_ended_recording_ends_its_streams_and_has_what_came_before(house: IntakeHouse) -> None:
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    await say(house, call, 25)
    done = await house.intake.completion.complete(CALLER, recording)
    assert (done.status, done.duration_us) == ("completed", 500_000)
    with pytest.raises(RecordingEnded):
        call.push("inbound", 26, 500, speech(160))
    assert await house.intake.live.end(CALLER, call) == done


async def test_where_recording_is_turned_off_streams_neither_begin_nor_go_on(house: IntakeHouse) -> None:
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    await house.workspace("w", recording_enabled=False)
    house.clock.advance(2)
    with pytest.raises(RecordingDisabled):
        await house.intake.live.begin(CALLER, recording, PCMU)
    await house.intake.live.tick()
    with pytest.raises(RecordingDisabled):
        call.push("inbound", 1, 0, speech(160))


async def test_a_deleted_recording_takes_no_more(house: IntakeHouse) -> None:
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    await house.recordings.delete(CALLER, recording)
    house.clock.advance(2)
    await house.intake.live.tick()
    with pytest.raises(Missing):
        call.push("inbound", 1, 0, speech(160))


async def test_only_who_may_write_streams(house: IntakeHouse) -> None:
    recording = await house.recording()
    with pytest.raises(Refused):
        await house.intake.live.begin(caller("recordings:read"), recording, PCMU)
    with pytest.raises(Missing):
        await house.intake.live.begin(caller(workspace="other"), recording, PCMU)


async def test_what_comes_in_during_a_pause_is_not_stored_to_the_frame(house: IntakeHouse) -> None:
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    await say(house, call, 25)
    await house.intake.pauses.pause(CALLER, recording, reason="card")
    await say(house, call, 25, first=25)
    await house.intake.pauses.resume(CALLER, recording)
    await say(house, call, 25, first=50)
    spooled = b"".join(p.payload for s in house.spool.read(recording) for p in s.pieces)
    assert [speech(160, 2 * n) in spooled for n in range(50)] == [True] * 25 + [False] * 25
    await house.intake.live.end(CALLER, call)
    sound = await house.heard(recording)
    assert np.array_equal(sound[: 25 * 160], said(25))
    assert not sound[25 * 160 : 50 * 160].any()
    assert np.array_equal(sound[50 * 160 :], said(25, first=50))


@pytest.mark.parametrize("mode", ["silence", "skip"])
async def test_a_stream_that_is_paused_for_longer_than_the_idle_time_goes_on(house: IntakeHouse, mode: str) -> None:
    recording = await house.recording()
    await house.workspace("w", idle_complete_seconds=10)
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    await say(house, call, 50)
    await house.intake.pauses.pause(CALLER, recording, mode=mode)
    for first in range(50, 1550, 50):
        await say(house, call, 50, first=first)
        await house.intake.completion.complete_idle()
    await house.intake.pauses.resume(CALLER, recording)
    await say(house, call, 50, first=1550)
    assert (await house.found(recording)).in_progress
    done = await house.intake.live.end(CALLER, call)
    assert (done.ended_by, call.durable) == ("completed", 100 * 2 * 160)


async def test_a_stream_that_stalls_while_it_is_paused_is_idle(house: IntakeHouse) -> None:
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    await house.intake.pauses.pause(CALLER, recording)
    await say(house, call, 50)
    house.clock.advance(301)
    await house.intake.live.tick()
    await house.intake.completion.complete_idle()
    assert (await house.found(recording)).ended_by == "idle"


async def test_a_stream_that_is_lost_in_a_pause_was_heard_till_then_by_other_nodes_too(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.workspace("w", idle_complete_seconds=10)
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    await house.intake.pauses.pause(CALLER, recording)
    await say(house, call, 1000)
    await house.intake.live.end(CALLER, call, complete=False)
    await house.intake.rounds.last()
    house.spool = MemorySpool()
    house.begin()
    house.clock.advance(9)
    await house.intake.completion.complete_idle()
    assert (await house.found(recording)).in_progress
    house.clock.advance(2)
    await house.intake.completion.complete_idle()
    assert (await house.found(recording)).ended_by == "idle"


async def test_a_crash_in_a_long_pause_leaves_the_sender_the_time_to_come_again(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.workspace("w", idle_complete_seconds=60)
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    await say(house, call, 50)
    await house.intake.pauses.pause(CALLER, recording)
    for first in range(50, 10_050, 50):
        await say(house, call, 50, first=first)
        await house.intake.rounds.round()
    house.begin()
    await house.intake.recovery.recover()
    house.clock.advance(25)
    await house.intake.completion.complete_idle()
    assert (await house.found(recording)).in_progress
    house.clock.advance(40)
    await house.intake.completion.complete_idle()
    assert (await house.found(recording)).ended_by == "interrupted"


async def test_a_flood_ends_the_stream_and_what_was_taken_stays(house: IntakeHouse) -> None:
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    pushed = 0
    with pytest.raises(TooManyRequests):
        for n in range(100_000):
            call.push("inbound", n + 1, 20 * n, speech(160))
            pushed += 1
    assert 2 * 60 * 50 * 0.8 < pushed < 2 * 60 * 50 * 1.2
    with pytest.raises(TooManyRequests):
        call.push("inbound", 1, 0, b"")
    done = await house.intake.live.end(CALLER, call)
    assert done.duration_us == pushed * 20_000


async def test_a_sender_who_catches_up_after_a_stall_is_no_flood(house: IntakeHouse) -> None:
    call = await house.intake.live.begin(CALLER, await house.recording(), PCMU)
    for n in range(2500):
        call.push("inbound", n + 1, 20 * n, speech(160))
        call.push("outbound", n + 1, 20 * n, speech(160))
    house.clock.advance(50)
    await say(house, call, 2500, first=2500)


async def test_garbage_for_a_track_is_refused_and_hurts_nobody(house: IntakeHouse) -> None:
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    await say(house, call, 10)
    with pytest.raises(Malformed):
        call.push("../../x", 1, 0, speech(160))
    for n in range(60):
        call.push(f"t{n}", 1, 0, speech(1))
    with pytest.raises(Malformed):
        for n in range(60, 80):
            call.push(f"t{n}", 1, 0, speech(1))
    await house.intake.live.end(CALLER, call)
    assert np.array_equal(await house.heard(recording), said(10))


@pytest.mark.parametrize("ms", [315_360_000_000, 40 * 3600 * 1000])
async def test_a_time_that_cannot_be_is_refused_and_hurts_nothing(house: IntakeHouse, ms: int) -> None:
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    await say(house, call, 145)
    for track in ("inbound", "never-heard"):
        with pytest.raises(Malformed, match="timestamp"):
            call.push(track, 146, ms, speech(160))
    await say(house, call, 5, first=145)
    done = await house.intake.live.end(CALLER, call)
    assert (done.duration_us, done.channels) == (3_000_000, 2)
    assert np.array_equal(await house.heard(recording), said(150))


async def test_a_long_gap_and_frames_that_come_late_are_taken(house: IntakeHouse) -> None:
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    await say(house, call, 10)
    ahead_ms = 11 * 3600 * 1000
    house.clock.advance(ahead_ms // 1000)
    call.push("inbound", 12, ahead_ms, speech(160, 22))
    await house.intake.live.tick()
    call.push("inbound", 11, 200, speech(160, 20))
    done = await house.intake.live.end(CALLER, call)
    assert done.duration_us == 1000 * (ahead_ms + 20)
    assert call.figures["inbound"].late == 1


class UnsureSpool(MemorySpool):
    """A disk that is full for a while."""

    full = False

    def append(self, recording_id, workspace_id, pieces):
        if not self.full:
            return super().append(recording_id, workspace_id, pieces)
        failed: Future[None] = Future()
        failed.set_exception(DiskFull(path="/"))
        return failed


async def test_while_the_disk_is_full_frames_wait_and_none_is_lost_or_doubled() -> None:
    house = IntakeHouse(UnsureSpool())
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    await say(house, call, 50)
    house.spool.full = True
    await say(house, call, 100, first=50)
    assert not call.all_saved()
    house.spool.full = False
    await say(house, call, 50, first=150)
    await house.intake.live.end(CALLER, call)
    assert np.array_equal(await house.heard(recording), said(200))
    assert call.durable == 200 * 2 * 160


async def test_the_end_of_a_stream_waits_for_a_disk_that_was_full_just_then() -> None:
    class BrieflyFull(UnsureSpool):
        refusals = 0

        def append(self, recording_id, workspace_id, pieces):
            self.full, self.refusals = self.refusals > 0, self.refusals - 1
            return super().append(recording_id, workspace_id, pieces)

    house = IntakeHouse(BrieflyFull())
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    await say(house, call, 10)
    house.spool.refusals = 2
    call.push("inbound", 11, 200, speech(160))
    done = await house.intake.live.end(CALLER, call)
    assert (done.status, done.duration_us) == ("completed", 11 * 20_000)


async def test_a_stream_whose_last_sound_was_given_up_says_why_and_its_recording_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "TICK_SECONDS", 0)
    house = IntakeHouse(UnsureSpool())
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    await say(house, call, 10)
    house.spool.full = True
    call.push("inbound", 11, 200, speech(160))
    done = await house.intake.live.end(CALLER, call)
    assert isinstance(call.lost, DiskFull)
    assert (done.status, done.in_progress) == ("processing", True)


async def test_streams_that_end_by_an_error_end_the_intake_by_the_same(
    house: IntakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise ValueError("unforeseen")

    monkeypatch.setattr(house.intake.live, "run", fail)
    with pytest.raises(ValueError, match="unforeseen"):
        await asyncio.wait_for(house.intake.run(), 10)


async def test_the_end_of_a_stream_waits_for_a_database_that_was_away_when_it_began(house: IntakeHouse) -> None:
    class BrieflyAway:
        refusals = 2

        def __getattr__(self, name: str):
            return getattr(house.store, name)

        async def commit(self, unit) -> None:
            if self.refusals and any(isinstance(write.entity, Lane) for write in unit.writes):
                self.refusals -= 1
                raise StoreUnavailable(why="the line is dead")
            await house.store.commit(unit)

    house.begin(BrieflyAway())
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    for n in range(5):
        call.push("inbound", n + 1, 20 * n, speech(160))
    done = await house.intake.live.end(CALLER, call)
    assert (done.status, done.duration_us) == ("completed", 5 * 20_000)


class HangingStore:
    """A database that takes what it is asked and answers nothing, until it goes on."""

    def __init__(self, store: Any) -> None:
        self._store, self.goes = store, asyncio.Event()
        self.goes.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def get(self, *asked: Any) -> Any:
        await self.goes.wait()
        return await self._store.get(*asked)

    async def commit(self, unit: Unit) -> None:
        await self.goes.wait()
        await self._store.commit(unit)


async def test_a_database_that_hangs_keeps_no_sound_from_the_disk(house: IntakeHouse) -> None:
    store = HangingStore(house.store)
    house.begin(store)
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    await say(house, call, 10)
    fresh = await house.intake.live.begin(CALLER, await house.recording(), PCMU)
    store.goes.clear()
    house.clock.advance(2)  # from here on what is known is too old
    fresh.push("inbound", 1, 0, speech(160))
    for n in range(2):
        async with asyncio.timeout(5):
            await say(house, call, 10, first=10 + 10 * n)
        assert (call.all_saved(), call.durable) == (True, (20 + 10 * n) * 2 * 160)
    call.push("inbound", 31, 600, speech(160, 60))
    ending = asyncio.create_task(house.intake.live.end(CALLER, call))
    await until(lambda: asyncio.sleep(0, len(house.intake.live) == 1))
    assert call.durable == 30 * 2 * 160 + 160
    store.goes.set()
    await house.intake.live.tick()
    assert fresh.all_saved() and (await ending).status == "completed"
    assert np.array_equal(await house.heard(recording), said(31))


async def test_at_the_end_a_database_that_hangs_keeps_no_streams_sound_from_the_disk(house: IntakeHouse) -> None:
    store = HangingStore(house.store)
    house.begin(store)
    calls = [await house.intake.live.begin(CALLER, await house.recording(), PCMU) for _ in range(5)]
    for call in calls:
        await say(house, call, 10)
    store.goes.clear()
    house.clock.advance(2)
    for call in calls:
        call.push("inbound", 11, 200, speech(160, 20))
    house.intake.live.stop()
    running = asyncio.create_task(house.intake.live.run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [(type(call.ended), call.tracks["inbound"].frames) for call in calls] == [(ShuttingDown, [])] * 5
    async with asyncio.timeout(2.5 * live.PATIENCE_SECONDS):
        await running
    assert all(call.all_saved() for call in calls)
    store.goes.set()


async def test_a_mistake_that_comes_out_late_is_told(
    house: IntakeHouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    goes = asyncio.Event()

    async def mistaken(_: object) -> None:
        await goes.wait()
        raise ZeroDivisionError("somebody's mistake")

    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    monkeypatch.setattr(live, "PATIENCE_SECONDS", 0.001)
    monkeypatch.setattr(house.intake.live, "_check", mistaken)
    await house.intake.live.tick()
    await house.intake.live.flush(call)
    goes.set()
    for _ in range(5):
        await asyncio.sleep(0)
    [told] = [record for record in caplog.records if record.exc_info]
    assert told.exc_info and told.exc_info[0] is ZeroDivisionError and told.recording == recording
    assert "somebody's mistake" not in told.getMessage()
    goes.clear()
    with pytest.raises(ZeroDivisionError):
        await house.intake.live.tick()
    await house.intake.live.tick()


async def test_when_the_disk_stays_full_the_sender_is_told() -> None:
    house = IntakeHouse(UnsureSpool())
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCM16)
    house.spool.full = True
    with pytest.raises(DiskFull):
        for n in range(2000):
            call.push("inbound", n + 1, 1000 * n, bytes(32_000))
            house.clock.advance(1)
            await house.intake.live.tick()
    assert n < 200


async def test_two_streams_that_want_a_lane_at_different_rates_do_not_mix(house: IntakeHouse) -> None:
    recording = await house.recording()
    one = await house.intake.live.begin(CALLER, recording, PCMU)
    two = await house.intake.live.begin(CALLER, recording, PCM16)
    two.push("inbound", 1, 0, bytes(640))
    one.push("inbound", 1, 0, speech(160))
    await house.intake.live.tick()
    with pytest.raises(Malformed):
        two.push("inbound", 2, 20, bytes(640))
    one.push("inbound", 2, 20, speech(160))


async def test_g722_frames_are_decoded_as_one_stream(house: IntakeHouse) -> None:
    tone = (8000 * np.sin(2 * np.pi * 300 * np.arange(32_000) / 16_000)).astype(np.int16)
    frames = g722(tone)
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, parse("audio/G722"))
    for n, coded in enumerate(frames):
        call.push("inbound", n + 1, 20 * n, coded)
    await house.intake.live.end(CALLER, call)
    sound = (await house.heard(recording)).astype(float)
    assert abs(len(sound) - len(tone)) <= 640
    best = max(np.corrcoef(tone[1600:-1600], np.roll(sound, -n)[1600 : len(tone) - 1600])[0, 1] for n in range(40))
    assert best > 0.99


async def test_a_drifting_sender_is_put_on_the_calls_clock(house: IntakeHouse) -> None:
    """A clock 400 ppm fast: what its samples call 600 s is 599.76 s of ours."""
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU, {"inbound": "customer"})
    rng = np.random.default_rng(5)
    began = house.clock.ms
    for n in range(30_000):
        house.clock.ms = began + round(n * 20 / 1.0004 + 30 + rng.exponential(3))
        call.push("inbound", n + 1, 20 * n, b"\xff" * 160)
        if n % 10 == 9:
            await house.intake.live.tick()
        if n % 1500 == 0:
            await house.intake.rounds.round()
    done = await house.intake.live.end(CALLER, call)
    (lane,) = await house.all(Lane)
    assert lane.drift_ppm == pytest.approx(400, abs=30)
    assert lane.anchors
    assert done.duration_us == pytest.approx(600_000_000 / 1.0004, abs=10_000)


async def test_at_an_orderly_stop_everything_that_came_in_is_kept(house: IntakeHouse) -> None:
    recording = await house.recording()
    running = asyncio.create_task(house.intake.run())
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    for n in range(7):
        call.push("inbound", n + 1, 20 * n, speech(160, 2 * n))
    house.intake.stop()
    await asyncio.wait_for(running, 5)
    with pytest.raises(ShuttingDown):
        call.push("inbound", 8, 140, speech(160))
    with pytest.raises(ShuttingDown):
        await house.intake.live.begin(CALLER, recording, PCMU)
    assert np.array_equal(await house.heard(recording), said(7))


async def test_a_stream_that_stalls_does_not_keep_the_recording_open_for_ever(house: IntakeHouse) -> None:
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    await say(house, call, 50)
    house.clock.advance(301)
    await house.intake.completion.complete_idle()
    assert (await house.found(recording)).ended_by == "idle"
    with pytest.raises(RecordingEnded):
        await house.intake.live.tick()
        call.push("inbound", 51, 1000, speech(160))


async def test_a_clock_of_day_that_jumps_moves_no_frame_and_no_pause(house: IntakeHouse) -> None:
    class JumpingClock(FakeClock):
        def monotonic(self) -> float:
            return (self.ms - self.jumped) / 1000

        jumped = 0

        def jump(self, seconds: int) -> None:
            self.jumped += 1000 * seconds
            self.ms += 1000 * seconds

    house.clock = JumpingClock()
    house.begin()
    recording = await house.recording()
    call = await house.intake.live.begin(CALLER, recording, PCMU)
    await say(house, call, 50)
    house.clock.jump(3600)
    await house.intake.pauses.pause(CALLER, recording)
    await say(house, call, 50, first=50)
    house.clock.jump(-7200)
    await house.intake.pauses.resume(CALLER, recording)
    await say(house, call, 50, first=100)
    done = await house.intake.live.end(CALLER, call)
    sound = await house.heard(recording)
    assert done.duration_us == 3_000_000
    assert np.array_equal(sound[:8000], said(50))
    assert not sound[8000:16_000].any()
    assert np.array_equal(sound[16_000:], said(50, first=100))
