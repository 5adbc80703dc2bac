"""Pauses: what is said in between is not stored at all, in no form."""

import hashlib

import numpy as np
import pytest
from tests.audits import audited
from tests.callhouse import caller
from tests.unit.services.ingest.intakehouse import CALLER, IntakeHouse, g722, speech

from callvault.audio.pcm import DECODERS
from callvault.domain.errors import Malformed, RecordingEnded, Refused
from callvault.domain.lane import Span
from callvault.ports.spool import Piece
from callvault.services.ingest.cutting import without
from callvault.services.ingest.sound import decoder
from callvault.wire.mediatypes import parse

ulaw = DECODERS["pcmu"]


@pytest.fixture
def house() -> IntakeHouse:
    return IntakeHouse()


async def pause(house: IntakeHouse, recording: str, **more):
    return await house.intake.pauses.pause(CALLER, recording, **more)


async def resume(house: IntakeHouse, recording: str, **more):
    return await house.intake.pauses.resume(CALLER, recording, **more)


def stored_bytes(house: IntakeHouse, recording: str) -> bytes:
    spooled = [p.payload for s in house.spool.read(recording) for p in s.pieces]
    return b"".join([*house.blobs.objects.values(), *spooled])


@pytest.mark.parametrize("mode", ["silence", "skip"])
async def test_what_is_said_during_a_pause_is_nowhere(house: IntakeHouse, mode: str) -> None:
    recording = await house.recording()
    before, card, after = speech(8000, 1), speech(8000, 2), speech(8000, 3)
    await house.put(recording, 1, before, ms=0)
    house.clock.advance(1)
    await pause(house, recording, mode=mode, reason="payment")
    await house.put(recording, 2, card, ms=1000)
    house.clock.advance(1)
    await resume(house, recording)
    await house.put(recording, 3, after, ms=2000)
    assert not (await house.put(recording, 2, card, ms=1000)).created
    await house.intake.mover.drain(recording)
    assert not (await house.put(recording, 2, card, ms=1000)).created
    kept = stored_bytes(house, recording)
    assert before in kept and after in kept
    assert all(card[n : n + 16] not in kept for n in range(0, 8000 - 16))
    sound = await house.heard(recording)
    gap = [np.zeros(8000, np.int16)] if mode == "silence" else []
    assert np.array_equal(sound, np.concatenate((ulaw(before), *gap, ulaw(after))))


async def test_a_take_over_both_ends_of_a_pause_keeps_its_ends(house: IntakeHouse) -> None:
    recording = await house.recording()
    await pause(house, recording, at_us=1_000_000)
    await resume(house, recording, at_us=2_000_000)
    body = speech(24_000)
    assert (await house.put(recording, 1, body, ms=0)).created
    await house.intake.mover.drain(recording)
    assert body[8000:16_000] not in stored_bytes(house, recording)
    sound = await house.heard(recording)
    assert np.array_equal(sound[:8000], ulaw(body[:8000]))
    assert not sound[8000:16_000].any()
    assert np.array_equal(sound[16_000:], ulaw(body[16_000:]))
    (mark,) = await house.marks(recording)
    assert (mark.take, mark.start, mark.digest) == (1, 0, hashlib.sha256(body).digest())


async def test_a_coded_take_is_cut_too(house: IntakeHouse) -> None:
    recording = await house.recording()
    tone = (9000 * np.sin(2 * np.pi * 400 * np.arange(96_000) / 48_000)).astype(np.int16)
    body = b"".join(house.codecs.encode([tone], format="flac", rate=48_000, channels=1))
    await pause(house, recording, at_us=500_000)
    await resume(house, recording, at_us=1_500_000)
    await house.put(recording, 1, body, ms=0, form=parse("audio/flac"))
    sound = await house.heard(recording)
    assert np.array_equal(sound[:24_000], tone[:24_000])
    assert not sound[24_000:72_000].any()
    assert np.array_equal(sound[72_000:], tone[72_000:])


async def test_g722_beside_a_pause_is_heard_as_by_who_heard_all_of_it(house: IntakeHouse) -> None:
    """In the spool, in storage, and where segments meet: its bytes hang on those before them."""
    recording, rng = await house.recording(), np.random.default_rng(4)
    time = np.arange(8 * 16_000) / 16_000
    said = 9000 * np.sin(2 * np.pi * 440 * time) * np.sin(2 * np.pi * 2 * time) ** 2 + rng.normal(0, 200, len(time))
    frames = g722(said.astype(np.int16))
    wanted = np.concatenate([*house.codecs.decode_frames("g722", frames, 16_000)]).reshape(-1)
    await pause(house, recording, at_us=2_600_000)
    await resume(house, recording, at_us=3_400_093)
    for n in range(4):
        body = b"".join(frames[100 * n : 100 * (n + 1)])
        await house.put(recording, n, body, sample=32_000 * n, form=parse("audio/G722;rate=8000"))
        for _ in ("spooled", "stored"):
            heard, end = (await house.heard(recording)).astype(int), 32_000 * (n + 1)
            assert np.array_equal(heard[: min(end, 41_600)], wanted[: min(end, 41_600)])
            assert not heard[41_600:54_402].any()
            assert np.abs(heard[54_402:] - wanted[54_402:end]).max(initial=0) < 0.01 * 9000
            await house.intake.mover.drain(recording)
    card, kept = b"".join(frames[130:170]), stored_bytes(house, recording)
    assert all(card[at : at + 8] not in kept for at in range(len(card) - 8))


async def test_what_was_spooled_before_the_pause_was_known_is_cut_before_it_is_stored(house: IntakeHouse) -> None:
    """As when the pause was asked for on another node."""
    recording = await house.recording()
    await house.put(recording, 1, speech(16_000), ms=0)
    await pause(house, recording, at_us=1_000_000)
    await house.intake.mover.drain(recording)
    kept = stored_bytes(house, recording)
    assert speech(16_000)[:8000] in kept
    assert speech(16_000)[8000:] not in kept


async def test_who_paused_and_why_is_known(house: IntakeHouse) -> None:
    recording = await house.recording()
    house.clock.advance(7)
    paused = await pause(house, recording, mode="skip", reason="card number")
    assert paused.paused == "skip"
    house.clock.advance(5)
    assert (await resume(house, recording)).paused is None
    (span,) = await house.all(Span)
    assert (span.kind, span.mode, span.reason, span.actor) == ("pause", "skip", "card number", "key:k")
    assert (span.start_us, span.end_us) == (7_000_000, 12_000_000)
    assert [e.detail["paused"] for e in await audited(house.store) if "paused" in e.detail] == ["skip", None]
    assert (await house.events(recording)).count("recording.updated") == 2


async def test_pausing_twice_is_one_pause_and_resuming_what_runs_changes_nothing(house: IntakeHouse) -> None:
    recording = await house.recording()
    first = await pause(house, recording)
    house.clock.advance(5)
    assert await pause(house, recording, mode="skip") == first
    assert len(await house.all(Span)) == 1
    resumed = await resume(house, recording)
    assert await resume(house, recording) == resumed


async def test_a_pause_ends_by_itself_on_the_dot(house: IntakeHouse) -> None:
    recording = await house.recording()
    await pause(house, recording, resume_after=1.5)
    body = speech(24_000)
    await house.put(recording, 1, body, ms=0)
    sound = await house.heard(recording)
    assert not sound[:12_000].any()
    assert np.array_equal(sound[12_000:], ulaw(body[12_000:]))
    house.clock.advance(2)
    assert await house.work() == ["resume"]
    assert (await house.found(recording)).paused is None


async def test_a_pause_that_was_ended_by_hand_is_not_ended_again_later(house: IntakeHouse) -> None:
    recording = await house.recording()
    await pause(house, recording, resume_after=10)
    house.clock.advance(2)
    await resume(house, recording)
    house.clock.advance(1)
    await pause(house, recording)
    house.clock.advance(30)
    await house.work()
    assert (await house.found(recording)).paused == "silence"
    assert [(s.start_us, s.end_us) for s in await house.all(Span)] == [(0, 2_000_000), (3_000_000, None)]


@pytest.mark.parametrize(("mode", "length_us"), [("silence", 10_000_000), ("skip", 5_000_000)])
async def test_a_pause_in_an_upload_ends_where_it_was_told_however_soon_all_of_it_came(
    house: IntakeHouse, mode: str, length_us: int
) -> None:
    recording = await house.recording()
    await pause(house, recording, mode=mode, at_us=0)
    await resume(house, recording, at_us=5_000_000)
    await house.put(recording, 1, speech(80_000), ms=0)
    done = await house.intake.completion.complete(CALLER, recording)
    assert [(s.start_us, s.end_us) for s in await house.all(Span)] == [(0, 5_000_000)]
    assert done.duration_us == length_us


@pytest.mark.parametrize(("mode", "length_us"), [("silence", 10_000_000), ("skip", 5_000_000)])
async def test_a_pause_of_a_told_length_in_an_upload_lasts_by_the_calls_clock_and_not_by_the_day(
    house: IntakeHouse, mode: str, length_us: int
) -> None:
    recording, body = await house.recording(), speech(80_000)
    await pause(house, recording, mode=mode, at_us=0, resume_after=5)
    house.clock.advance(0.1)
    await house.put(recording, 1, body, ms=0)
    done = await house.intake.completion.complete(CALLER, recording)
    assert [(s.start_us, s.end_us) for s in await house.all(Span)] == [(0, 5_000_000)]
    assert (done.paused, done.duration_us) == (None, length_us)
    sound = await house.heard(recording)
    assert np.array_equal(sound[-40_000:], ulaw(body[40_000:]))
    assert not sound[:-40_000].any()


async def test_what_lies_in_a_pause_is_not_stored_though_its_recording_ends_sooner(house: IntakeHouse) -> None:
    recording, body = await house.recording(), speech(24_000)
    await house.put(recording, 1, body, ms=0)
    house.clock.advance(1)
    await pause(house, recording, resume_after=3600)
    house.clock.advance(1)
    done = await house.intake.completion.complete(CALLER, recording)
    assert done.duration_us == 2_000_000
    assert [(s.start_us, s.end_us) for s in await house.all(Span)] == [(1_000_000, 2_000_000)]
    assert body[8000:16_000] not in stored_bytes(house, recording)
    assert body[16_000:] not in stored_bytes(house, recording)


async def test_a_call_that_ends_during_a_pause_ends_the_pause(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    house.clock.advance(1)
    await pause(house, recording, resume_after=3600)
    house.clock.advance(4)
    done = await house.intake.completion.complete(CALLER, recording)
    assert (done.paused, done.duration_us) == (None, 5_000_000)
    assert [(s.start_us, s.end_us) for s in await house.all(Span)] == [(1_000_000, 5_000_000)]


async def test_what_makes_no_sense_is_refused(house: IntakeHouse) -> None:
    recording = await house.recording()
    for wrong in ({"mode": "mute"}, {"reason": "x" * 201}, {"resume_after": 0}, {"resume_after": 1e9}, {"at_us": -1}):
        with pytest.raises(Malformed):
            await pause(house, recording, **wrong)
    with pytest.raises(Refused):
        await house.intake.pauses.pause(caller("recordings:read"), recording)
    await house.intake.completion.complete(CALLER, recording)
    with pytest.raises(RecordingEnded):
        await pause(house, recording)
    with pytest.raises(RecordingEnded):
        await resume(house, recording)


def test_cutting_leaves_what_no_pause_touches_as_it_is(house: IntakeHouse) -> None:
    piece = Piece("customer", 1, "pcmu", 8000, 100, 160, speech(160), b"d" * 32)
    decode = decoder(house.codecs)
    for stretches in ([], [(0, 100)], [(260, 300)], [(50, 50)]):
        assert without(piece, stretches, decode) == [piece]
    whole = without(piece, [(0, 1000)], decode)
    assert [(p.samples, p.payload, p.digest) for p in whole] == [(0, b"", piece.digest)]
    parts = without(piece, [(120, 130), (125, 140), (250, 400)], decode)
    assert [(p.start, p.samples) for p in parts] == [(100, 0), (100, 20), (140, 110)]
    assert parts[2].payload == piece.payload[40:150]
