"""Captures: lanes rebuilt to the sample, whatever the network did to the packets."""

import asyncio
import io
import random

import av
import numpy as np
import pytest
from tests.unit.services.ingest.intakehouse import CALLER, IntakeHouse, speech
from tests.unit.services.ingest.rtpscene import ASSISTANT, CUSTOMER, SWITCH, Sender, invite, scene, udp

from callvault.audio.clock import LaneClock
from callvault.audio.pcm import DECODERS
from callvault.domain.errors import AlreadyThere, Malformed, Refused, TooLarge
from callvault.domain.lane import Lane, Segment
from callvault.domain.stored import Artifact, StoredObject
from callvault.services.ingest.openrecordings import LANES_MOST
from callvault.services.ingest.rtplane import RtpLane
from callvault.wire.g711 import encode_ulaw
from callvault.wire.rtp import STATIC_TYPES, RtpPacket, TelephoneEvent, parse_rtpmap, serialize_event
from callvault.wire.runs import parse_runs

ulaw = DECODERS["pcmu"]
QUIET = b"\xff" * 160


@pytest.fixture
def house() -> IntakeHouse:
    return IntakeHouse()


async def rebuild(house: IntakeHouse, data: bytes, *, direction: str = "inbound", **more):
    recording = await house.recording(direction=direction)
    captured = await house.intake.captures.put(CALLER, recording, io.BytesIO(data), rebuild=True, **more)
    return recording, captured


def talk(sender: Sender, frames: int, seed: int, quiet: int = 0) -> np.ndarray:
    payloads = [QUIET if n < quiet else speech(160, 1000 * seed + n) for n in range(frames)]
    for payload in payloads:
        sender.say(payload)
    return ulaw(b"".join(payloads))


def both(**more) -> tuple[Sender, Sender]:
    return Sender(CUSTOMER, ASSISTANT, ssrc=1, **more), Sender(ASSISTANT, CUSTOMER, ssrc=2, **more)


async def test_two_directions_are_two_lanes_to_the_sample(house: IntakeHouse) -> None:
    one, two = both()
    customer, assistant = talk(one, 200, 1, quiet=50), talk(two, 200, 2)
    recording, captured = await rebuild(house, scene(one, two))
    assert set(captured.lanes) == {"customer", "assistant"}
    assert np.array_equal(await house.heard(recording), customer)
    assert np.array_equal(await house.heard(recording, "lane:assistant"), assistant)
    assert (await house.found(recording)).started_ms == 1_760_000_000_000


@pytest.mark.parametrize(("direction", "first"), [("inbound", "assistant"), ("outbound", "customer")])
async def test_who_was_called_speaks_first(house: IntakeHouse, direction: str, first: str) -> None:
    one, two = both()
    talk(one, 100, 1, quiet=50)
    spoken = talk(two, 100, 2, quiet=10)
    recording, _ = await rebuild(house, scene(one, two), direction=direction)
    assert np.array_equal(await house.heard(recording, f"lane:{first}"), spoken)


@pytest.mark.parametrize(("direction", "caller"), [("inbound", "customer"), ("outbound", "assistant")])
async def test_the_invite_tells_who_called(house: IntakeHouse, direction: str, caller: str) -> None:
    one, two = both()
    sound = talk(one, 100, 1)
    talk(two, 100, 2, quiet=50)
    recording, _ = await rebuild(house, scene(one, two, others=invite(CUSTOMER, ASSISTANT)), direction=direction)
    assert np.array_equal(await house.heard(recording, f"lane:{caller}"), sound)


async def test_who_is_named_is_who_he_is(house: IntakeHouse) -> None:
    one, two = both()
    sound = talk(one, 100, 1)
    talk(two, 100, 2, quiet=50)
    sides = {f"{CUSTOMER[0]}:{CUSTOMER[1]}": "supervisor", ASSISTANT[0]: "customer"}
    recording, _ = await rebuild(house, scene(one, two), sides=sides)
    assert np.array_equal(await house.heard(recording, "lane:supervisor"), sound)
    assert {lane.name for lane in await house.all(Lane)} == {"supervisor", "customer"}


@pytest.mark.parametrize("seed", range(5))
async def test_reordered_doubled_and_lost_packets_leave_every_other_in_its_place(house: IntakeHouse, seed: int) -> None:
    rng = random.Random(seed)
    one, two = both(jitter_us=90_000, rng=rng)
    payloads = [speech(160, n) for n in range(400)]
    lost = {rng.randrange(5, 395) for _ in range(40)}
    for n, payload in enumerate(payloads):
        one.say(payload, lost=n in lost)
        two.say(QUIET)
    doubled = rng.sample(one.sent[:-40], 30)
    one.sent += [(at + 50_000, frame) for at, frame in doubled]
    recording, captured = await rebuild(house, scene(one, two), sides={CUSTOMER[0]: "customer"})
    heard = await house.heard(recording)
    wanted = ulaw(b"".join(payloads)).reshape(-1, 160)
    wanted[sorted(lost)] = 0
    timeline = await house.timelines.timeline(await house.found(recording), live=True)
    first = timeline.lane("customer").layout.end - 400 * 160
    assert 0 <= first <= 90 * 8
    assert np.array_equal(heard[first : first + 400 * 160], wanted.reshape(-1))
    figures = captured.lanes["customer"]
    assert (figures.lost, figures.doubled, figures.packets) == (len(lost), 30, 400 - len(lost) + 30)


async def test_what_was_lost_is_loss_and_where_nobody_spoke_is_silence(house: IntakeHouse) -> None:
    one, two = both()
    talk(one, 50, 1)
    one.pause(100)
    talk(one, 50, 2)
    for _ in range(3):
        one.say(speech(160), lost=True)
    talk(one, 50, 3)
    talk(two, 250, 4)
    recording, _ = await rebuild(house, scene(one, two), sides={CUSTOMER[0]: "customer"})
    timeline = await house.timelines.timeline(await house.found(recording), live=True)
    assert timeline.lane("customer").layout.sound().tolist() == [[0, 200 * 160], [203 * 160, 253 * 160]]


@pytest.mark.parametrize(
    ("before", "marker", "loss"),
    [(2, True, (50, 52)), (0, False, (148, 150)), (2, False, (148, 150))],
    ids=["the last of a word", "the first of a word", "without a mark nobody knows"],
)
async def test_beside_a_silence_only_as_much_as_packets_are_missing_was_lost(
    house: IntakeHouse, before: int, marker: bool, loss: tuple[int, int]
) -> None:
    one, two = both()
    spoken = [talk(one, 50, 1)]
    for n in range(3):
        if n == before:
            one.pause(98)
        if n < 2:
            one.say(speech(160), lost=True)
    one.say(speech(160, 5), marker=marker)
    spoken.append(ulaw(speech(160, 5)))
    spoken.append(talk(one, 49, 2))
    talk(two, 200, 4)
    recording, captured = await rebuild(house, scene(one, two), sides={CUSTOMER[0]: "customer"})
    timeline = await house.timelines.timeline(await house.found(recording), live=True)
    first, end = (160 * packets for packets in loss)
    assert timeline.lane("customer").layout.sound().tolist() == [[0, first], [end, 200 * 160]]
    heard = await house.heard(recording)
    assert np.array_equal(heard, np.concatenate((spoken[0], np.zeros(100 * 160, np.int16), *spoken[1:])))
    assert captured.lanes["customer"].lost == 2


async def test_comfort_noise_and_keys_are_silence_and_keys_are_not_told(house: IntakeHouse) -> None:
    one, two = both()
    before = talk(one, 20, 1)
    one.say(b"\x30", payload_type=13)
    one.pause(29)
    for n in range(10):
        event = serialize_event(TelephoneEvent(code=7, end=n == 9, volume=10, duration=160 * (n + 1)))
        one.say(event, payload_type=101, marker=n == 0)
    after = talk(one, 20, 2)
    talk(two, 80, 3)
    recording, captured = await rebuild(house, scene(one, two), sides={CUSTOMER[0]: "customer"})
    heard = await house.heard(recording)
    assert np.array_equal(heard, np.concatenate((before, np.zeros(40 * 160, np.int16), after)))
    assert captured.lanes["customer"].events == 10
    timeline = await house.timelines.timeline(await house.found(recording), live=True)
    assert timeline.lane("customer").layout.sound().tolist() == [[0, 80 * 160]]


async def test_keys_that_are_told_beside_the_sound_move_none_of_it(house: IntakeHouse) -> None:
    """Every packet of a press has the timestamp of its beginning (RFC 4733), and unknown types may have any."""
    one, two = both()
    heard, pressed = [talk(one, 20, 1)], one.timestamp + 160
    for n in range(20):
        heard.append(talk(one, 1, 100 + n))
        one.press(serialize_event(TelephoneEvent(code=7, end=n > 16, volume=10, duration=160 * (n + 1))), pressed)
    one.press(b"what", pressed + (3 << 30), payload_type=120)
    one.pause(1)
    heard += [np.zeros(160, np.int16), talk(one, 20, 2)]
    talk(two, 61, 3)
    recording, captured = await rebuild(house, scene(one, two), sides={CUSTOMER[0]: "customer"})
    assert np.array_equal(await house.heard(recording), np.concatenate(heard))
    assert (captured.lanes["customer"].events, captured.lanes["customer"].lost) == (20, 0)


async def test_a_new_ssrc_goes_on_with_its_lane(house: IntakeHouse) -> None:
    one, two = both()
    before = talk(one, 100, 1)
    one.ssrc, one.sequence, one.timestamp = 0x2222, 7, 12345
    one.pause(25)
    after = talk(one, 100, 2)
    talk(two, 225, 3)
    recording, _ = await rebuild(house, scene(one, two), sides={CUSTOMER[0]: "customer"})
    assert np.array_equal(await house.heard(recording), np.concatenate((before, np.zeros(25 * 160, np.int16), after)))


async def test_a_capture_of_more_directions_than_a_recording_has_lanes_is_refused(house: IntakeHouse) -> None:
    senders = [Sender((f"10.0.1.{n}", 4000), ("10.0.2.1", 5000 + 2 * n), ssrc=n + 1) for n in range(LANES_MOST + 2)]
    for sender in senders:
        talk(sender, 5, sender.ssrc)
    with pytest.raises(TooLarge):
        await rebuild(house, scene(*senders))
    assert not await house.all(Lane)


def test_a_new_ssrc_waits_for_none_of_thousands_before_it() -> None:
    lane = RtpLane("customer", 8000, None, 0)  # type: ignore[arg-type]
    codec = STATIC_TYPES[0]
    pieces = [
        piece
        for n in range(30_000)
        for piece in lane.feed(20_000 * n, RtpPacket(0, False, 7, 9, n, QUIET), codec, paused=False)
    ]
    pieces += lane.rest()
    assert [piece.start for piece in pieces] == [160 * n for n in range(30_000)]


async def test_a_sender_that_counts_anew_goes_on_with_its_lane(house: IntakeHouse) -> None:
    one, two = both(sequence=20_000)
    before = talk(one, 100, 1)
    one.sequence = 7
    after = talk(one, 100, 2)
    talk(two, 200, 3)
    recording, captured = await rebuild(house, scene(one, two), sides={CUSTOMER[0]: "customer"})
    after[:160] = 0
    assert np.array_equal(await house.heard(recording), np.concatenate((before, after)))
    assert (captured.lanes["customer"].late, captured.lanes["customer"].lost) == (1, 0)


async def test_a_capture_that_says_everything_twice_is_heard_once(house: IntakeHouse) -> None:
    one, two = both(sequence=20_000)
    customer = talk(one, 200, 1)
    talk(two, 200, 2)
    data = scene(one, two)
    recording, _ = await rebuild(house, data + data[24:], sides={CUSTOMER[0]: "customer"})
    assert np.array_equal(await house.heard(recording), customer)


async def test_a_clock_that_begins_anew_goes_on_where_time_is(house: IntakeHouse) -> None:
    one, two = both()
    before = talk(one, 100, 1)
    one.timestamp = 77
    after = talk(one, 100, 2)
    talk(two, 200, 3)
    recording, _ = await rebuild(house, scene(one, two), sides={CUSTOMER[0]: "customer"})
    assert np.array_equal(await house.heard(recording), np.concatenate((before, after)))


async def test_what_the_switch_sends_on_is_not_heard_twice(house: IntakeHouse) -> None:
    one, two = Sender(CUSTOMER, SWITCH, ssrc=1), Sender(ASSISTANT, (SWITCH[0], 7002), ssrc=2)
    copy_one, copy_two = Sender((SWITCH[0], 7002), ASSISTANT, ssrc=3), Sender(SWITCH, CUSTOMER, ssrc=4)
    customer, assistant = talk(one, 100, 1, quiet=20), talk(two, 100, 2)
    talk(copy_one, 100, 1, quiet=20)
    talk(copy_two, 100, 2)
    recording, captured = await rebuild(house, scene(one, two, copy_one, copy_two))
    assert set(captured.lanes) == {"customer", "assistant"}
    assert np.array_equal(await house.heard(recording), customer)
    assert np.array_equal(await house.heard(recording, "lane:assistant"), assistant)


async def test_pcma_and_a_change_of_codec_stay_on_one_lane(house: IntakeHouse) -> None:
    one, two = both()
    before = talk(one, 50, 1)
    one.payload_type = 8
    after = [speech(160, n) for n in range(50)]
    for payload in after:
        one.say(payload)
    talk(two, 100, 2)
    recording, _ = await rebuild(house, scene(one, two), sides={CUSTOMER[0]: "customer"})
    wanted = np.concatenate((before, DECODERS["pcma"](b"".join(after))))
    assert np.array_equal(await house.heard(recording), wanted)


def tone(rate: int, seconds: float, hertz: float = 400) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.int16)


def coded(name: str, rate: int, samples: np.ndarray) -> list[bytes]:
    encoder = av.CodecContext.create(name, "w")
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "s16"
    found, step = [], rate // 50
    for at in range(0, len(samples) - step + 1, step):
        frame = av.AudioFrame.from_ndarray(samples[None, at : at + step], format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, at
        found += [bytes(packet) for packet in encoder.encode(frame)]
    return found


def likeness(wanted: np.ndarray, heard: np.ndarray, within: int) -> float:
    """The correlation at the best shift within so many samples."""
    a, edge = wanted.astype(float), within + 100
    b = np.pad(heard.astype(float), (0, max(len(a) - len(heard), 0)))
    return max(np.corrcoef(a[edge:-edge], b[edge + n : len(a) - edge + n])[0, 1] for n in range(-within, within))


@pytest.mark.parametrize(
    ("encoder", "payload_type", "rate", "clock", "types"),
    [
        ("g722", 9, 16_000, 8000, ""),
        ("libopus", 96, 48_000, 48_000, "a=rtpmap:96 opus/48000/2\r\n"),
        ("libopus", 111, 48_000, 48_000, ""),
    ],
    ids=["G.722", "Opus named in SDP", "Opus told by its clock"],
)
async def test_codecs_with_memory_are_decoded_as_streams(
    house: IntakeHouse, encoder: str, payload_type: int, rate: int, clock: int, types: str
) -> None:
    sound = tone(rate, 3)
    one = Sender(CUSTOMER, ASSISTANT, payload_type=payload_type, step=clock // 50, clock=clock, ssrc=1)
    two = Sender(ASSISTANT, CUSTOMER, ssrc=2)
    for packet in coded(encoder, rate, sound):
        one.say(packet)
    talk(two, 150, 2)
    others = invite(CUSTOMER, ASSISTANT, types) if types else ()
    recording, _ = await rebuild(house, scene(one, two, others=others), sides={CUSTOMER[0]: "customer"})
    (lane,) = [lane for lane in await house.all(Lane) if lane.name == "customer"]
    assert lane.rate == rate
    heard = await house.heard(recording)
    assert abs(len(heard) - len(sound)) <= rate // 25
    assert likeness(sound[: len(heard)], heard, 400) > 0.99


async def test_l16_is_kept_as_it_is_and_a_type_can_be_named(house: IntakeHouse) -> None:
    sound = tone(16_000, 2)
    for payload_type, types in ((97, None), (98, {98: parse_rtpmap("L16/16000")})):
        one = Sender(CUSTOMER, ASSISTANT, payload_type=payload_type, step=320, clock=16_000, ssrc=1)
        two = Sender(ASSISTANT, CUSTOMER, ssrc=2)
        for at in range(0, len(sound), 320):
            one.say(sound[at : at + 320].astype(">i2").tobytes())
        talk(two, 100, 2)
        recording, _ = await rebuild(house, scene(one, two), sides={CUSTOMER[0]: "customer"}, types=types)
        assert np.array_equal(await house.heard(recording), sound)


async def test_a_change_to_a_codec_of_another_rate_is_heard_at_one_rate(house: IntakeHouse) -> None:
    one = Sender(CUSTOMER, ASSISTANT, ssrc=1)
    narrow, wide = tone(8000, 2), tone(16_000, 2)
    for at in range(0, len(narrow), 160):
        one.say(encode_ulaw(narrow[at : at + 160]))
    one.payload_type = 9
    for packet in coded("g722", 16_000, wide):
        one.say(packet)
    two = Sender(ASSISTANT, CUSTOMER, ssrc=2)
    talk(two, 200, 2)
    recording, _ = await rebuild(house, scene(one, two), sides={CUSTOMER[0]: "customer"})
    heard = await house.heard(recording)
    assert len(heard) == pytest.approx(64_000, abs=640)
    assert likeness(wide, heard[:32_000], 40) > 0.99
    assert likeness(wide, heard[32_000:], 40) > 0.99


@pytest.mark.parametrize("ppm", [500, -500])
async def test_a_clock_that_runs_wrong_is_put_right(house: IntakeHouse, ppm: int) -> None:
    rng = random.Random(9)
    one = Sender(CUSTOMER, ASSISTANT, ssrc=1, ppm=ppm, jitter_us=40_000, rng=rng)
    two = Sender(ASSISTANT, CUSTOMER, ssrc=2, jitter_us=40_000, rng=rng)
    for n in range(50 * 600):
        talking = n // 500 % 2 == 0
        if talking:
            one.say(QUIET, lost=rng.random() < 0.05)
        else:
            one.pause(1)
        two.say(QUIET, lost=rng.random() < 0.05)
    await rebuild(house, scene(one, two), sides={CUSTOMER[0]: "customer"})
    lanes = {lane.name: lane for lane in await house.all(Lane)}
    assert lanes["customer"].drift_ppm == pytest.approx(ppm, abs=20)
    assert lanes["assistant"].anchors == ()
    clock = LaneClock(8000, lanes["customer"].anchors)
    for second in range(0, 590, 10):
        true_us = second * 1_000_000 / (1 + ppm / 1e6)
        assert clock.us_at(8000 * second) == pytest.approx(true_us, abs=10_000 + 40_000 * (second < 1))


async def test_a_capture_is_kept_as_it_came_and_the_same_again_is_no_change(house: IntakeHouse) -> None:
    one, two = both()
    talk(one, 50, 1), talk(two, 50, 2)
    data = scene(one, two)
    recording, first = await rebuild(house, data)
    artifact = await house.store.get(Artifact, recording, "pcap")
    assert house.blobs.read(await house.store.get(StoredObject, artifact.object_key)) == data
    again = await house.intake.captures.put(CALLER, recording, io.BytesIO(data), rebuild=True)
    assert (first.created, again.created) == (True, False)
    with pytest.raises(AlreadyThere):
        await house.intake.captures.put(CALLER, recording, io.BytesIO(data[:-500]), rebuild=True)


@pytest.mark.parametrize("rebuild", [True, False])
async def test_the_same_capture_twice_at_once_is_one_and_another_is_refused(house: IntakeHouse, rebuild: bool) -> None:
    one, two = both()
    talk(one, 50, 1), talk(two, 50, 2)
    data, recording = scene(one, two), await house.recording()
    bodies = (data, data, data[: len(data) // 2], data)
    coming = [house.intake.captures.put(CALLER, recording, io.BytesIO(body), rebuild=rebuild) for body in bodies]
    came = await asyncio.gather(*coming, return_exceptions=True)
    assert [isinstance(each, AlreadyThere) or each.created for each in came] == [True, False, True, False]
    assert isinstance(came[2], AlreadyThere)
    objects = [
        *(one.object_key for one in await house.all(Segment)),
        *(a.object_key for a in await house.all(Artifact)),
    ]
    assert sorted(house.blobs.objects) == sorted(objects)


async def test_a_capture_can_be_kept_without_being_rebuilt(house: IntakeHouse) -> None:
    one, two = both()
    talk(one, 50, 1), talk(two, 50, 2)
    recording = await house.recording()
    await house.intake.captures.put(CALLER, recording, io.BytesIO(scene(one, two)))
    assert await house.all(Segment) == []
    assert await house.store.get(Artifact, recording, "pcap")


async def test_a_capture_that_was_only_kept_is_rebuilt_when_it_comes_again_for_it(house: IntakeHouse) -> None:
    one, two = both()
    customer, assistant = talk(one, 50, 1, quiet=10), talk(two, 50, 2)
    data, recording = scene(one, two), await house.recording()
    await house.intake.captures.put(CALLER, recording, io.BytesIO(data))
    rebuilt = await house.intake.captures.put(CALLER, recording, io.BytesIO(data), rebuild=True)
    assert (rebuilt.created, set(rebuilt.lanes)) == (False, {"customer", "assistant"})
    assert np.array_equal(await house.heard(recording), customer)
    assert np.array_equal(await house.heard(recording, "lane:assistant"), assistant)
    before, objects = await house.found(recording), dict(house.blobs.objects)
    for more in ({"rebuild": True}, {"rebuild": True, "sides": {CUSTOMER[0]: "supervisor"}}, {}):
        again = await house.intake.captures.put(CALLER, recording, io.BytesIO(data), **more)
        assert (again.created, again.lanes) == (False, {})
    assert (await house.found(recording), house.blobs.objects) == (before, objects)
    artifact = await house.store.get(Artifact, recording, "pcap")
    assert house.blobs.read(await house.store.get(StoredObject, artifact.object_key)) == data


async def test_a_kept_capture_is_not_rebuilt_onto_lanes_that_are_there(house: IntakeHouse) -> None:
    one, two = both()
    talk(one, 50, 1), talk(two, 50, 2)
    data, recording = scene(one, two), await house.recording()
    await house.intake.captures.put(CALLER, recording, io.BytesIO(data))
    await house.put(recording, 1, speech(160))
    with pytest.raises(AlreadyThere, match="lane customer"):
        await house.intake.captures.put(CALLER, recording, io.BytesIO(data), rebuild=True)
    sides = {CUSTOMER[0]: "supervisor", ASSISTANT[0]: "assistant"}
    named = await house.intake.captures.put(CALLER, recording, io.BytesIO(data), rebuild=True, sides=sides)
    assert set(named.lanes) == {"supervisor", "assistant"}


async def test_a_kept_capture_is_rebuilt_without_what_was_said_during_a_later_pause(house: IntakeHouse) -> None:
    one, two = both()
    talk(one, 150, 1), talk(two, 150, 2)
    data, recording = scene(one, two), await house.recording()
    await house.intake.captures.put(CALLER, recording, io.BytesIO(data))
    await house.intake.pauses.pause(CALLER, recording, at_us=1_000_000)
    await house.intake.pauses.resume(CALLER, recording, at_us=2_000_000)
    await house.intake.captures.put(CALLER, recording, io.BytesIO(data), rebuild=True)
    heard = await house.heard(recording)
    assert heard[:8000].any() and heard[16_000:].any()
    assert not heard[8000:16_000].any()


@pytest.mark.parametrize(
    "data",
    [b"", b"garbage" * 100, scene(), scene(others=[(n, udp(CUSTOMER, ASSISTANT, b"hello")) for n in range(100)])],
    ids=["empty", "garbage", "no packets", "no RTP"],
)
async def test_of_what_holds_no_sound_nothing_is_kept(house: IntakeHouse, data: bytes) -> None:
    with pytest.raises(Malformed):
        await rebuild(house, data)
    assert (house.blobs.objects, await house.all(Lane)) == ({}, [])


async def test_a_capture_full_of_other_things_is_searched_for_its_calls(house: IntakeHouse) -> None:
    rng = random.Random(4)
    one, two = both()
    customer = talk(one, 100, 1, quiet=10)
    talk(two, 100, 2)
    noise = [
        (rng.randrange(2_000_000), udp((f"10.9.{n % 250}.1", 53), CUSTOMER, rng.randbytes(rng.randrange(1, 200))))
        for n in range(500)
    ]
    recording, captured = await rebuild(house, scene(one, two, others=noise))
    assert set(captured.lanes) == {"customer", "assistant"}
    assert np.array_equal(await house.heard(recording), customer)


async def test_no_pause_is_undone_by_a_capture(house: IntakeHouse) -> None:
    one, two = both()
    talk(one, 150, 1), talk(two, 150, 2)
    recording = await house.recording()
    await house.intake.pauses.pause(CALLER, recording, at_us=1_000_000)
    await house.intake.pauses.resume(CALLER, recording, at_us=2_000_000)
    await house.intake.captures.put(CALLER, recording, io.BytesIO(scene(one, two)), rebuild=True)
    heard = await house.heard(recording)
    assert heard[:8000].any()
    assert not heard[8000:16_000].any()
    assert heard[16_000:].any()
    assert await house.store.get(Artifact, recording, "pcap") is None


@pytest.mark.parametrize(
    ("encoder", "payload_type", "rate", "clock"), [("g722", 9, 16_000, 8000), ("libopus", 111, 48_000, 48_000)]
)
async def test_behind_a_pause_a_codec_with_memory_is_heard_as_if_there_had_been_none(
    house: IntakeHouse, encoder: str, payload_type: int, rate: int, clock: int
) -> None:
    one = Sender(CUSTOMER, ASSISTANT, payload_type=payload_type, step=clock // 50, clock=clock, ssrc=1)
    sound = (tone(rate, 3) * np.sin(np.arange(3 * rate) / rate * 9) ** 2).astype(np.int16)
    for packet in coded(encoder, rate, sound):
        one.say(packet)
    two = Sender(ASSISTANT, CUSTOMER, ssrc=2)
    talk(two, 150, 2)
    data, sides = scene(one, two), {CUSTOMER[0]: "customer"}
    whole = await house.heard((await rebuild(house, data, sides=sides))[0])
    recording = await house.recording()
    await house.intake.pauses.pause(CALLER, recording, at_us=1_000_000)
    await house.intake.pauses.resume(CALLER, recording, at_us=2_000_000)
    await house.intake.captures.put(CALLER, recording, io.BytesIO(data), rebuild=True, sides=sides)
    heard = await house.heard(recording)
    assert not heard[rate : 2 * rate].any()
    assert np.array_equal(heard[:rate], whole[:rate])
    assert np.array_equal(heard[2 * rate :], whole[2 * rate :])


async def test_a_capture_of_a_pause_that_shall_only_be_kept_is_refused(house: IntakeHouse) -> None:
    one, two = both()
    talk(one, 50, 1), talk(two, 50, 2)
    recording = await house.recording()
    await house.intake.pauses.pause(CALLER, recording, at_us=0)
    with pytest.raises(Refused, match="paused"):
        await house.intake.captures.put(CALLER, recording, io.BytesIO(scene(one, two)))
    assert house.blobs.objects == {}


async def test_a_stretch_of_packets_is_one_run_a_segment(house: IntakeHouse) -> None:
    one, two = both()
    talk(one, 3000, 1), talk(two, 3000, 2)
    await rebuild(house, scene(one, two))
    assert {len(parse_runs(segment.runs)) for segment in await house.all(Segment)} == {1}
