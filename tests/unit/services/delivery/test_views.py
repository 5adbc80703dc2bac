import tracemalloc
import wave
from dataclasses import replace
from io import BytesIO
from itertools import chain

import numpy as np
import pytest
from tests.unit.services.delivery.house import House
from tests.unit.services.delivery.recorder import Take, cut, noise, speechlike

from callvault.audio.pcm import Samples
from callvault.domain.errors import BlobMissing, Malformed, Missing, RecordingInProgress
from callvault.domain.lane import Anchor, Span
from callvault.domain.recording import Clip, EditList, Mask, Recording
from callvault.ports.spool import Piece
from callvault.wire import wav


@pytest.fixture
def house() -> House:
    return House()


def painted(takes: list[Take], length: int) -> Samples:
    out = np.zeros(length, np.int16)
    for take in sorted(takes, key=lambda take: take.number):
        out[take.start : take.start + len(take.sound)] = take.heard()
    return out


def summed(*lanes: Samples) -> Samples:
    return np.clip(sum(lane.astype(np.int64) for lane in lanes), -32768, 32767).astype(np.int16)


async def conversation(house: House) -> tuple[Recording, Samples, Samples]:
    """Two lanes with gaps, overlaps and all plain codecs, in several segments each."""
    recording = await house.recorder.recording()
    customer = [
        [Take(0, noise(5000, 1, 32000), 1, "pcmu"), Take(3000, noise(6000, 2, 32000), 5, "s16le")],
        [Take(8000, noise(4000, 3, 32000), 2, "pcma"), Take(20_000, noise(3000, 4, 32000), 3, "l16")],
    ]
    assistant = [[Take(2000, noise(15_000, 5, 32000), 1, "l16")], cut(noise(6000, 6), 160, "pcmu", start=19_000)]
    await house.recorder.lane(recording, "customer", customer)
    await house.recorder.lane(recording, "assistant", assistant)
    return recording, painted([*chain(*customer)], 25_000), painted([*chain(*assistant)], 25_000)


async def test_mono_is_the_saturated_sum_of_the_lanes_as_their_takes_lie(house: House) -> None:
    recording, customer, assistant = await conversation(house)
    assert np.array_equal((await house.sound(recording))[:, 0], summed(customer, assistant))


async def test_stereo_has_the_customer_left_the_assistant_right_and_others_on_both(house: House) -> None:
    recording, customer, assistant = await conversation(house)
    supervisor = noise(4000, 9)
    await house.recorder.lane(recording, "supervisor", [[Take(1000, supervisor)]])
    both = painted([Take(1000, supervisor)], 25_000)
    expected = np.stack((summed(customer, both), summed(assistant, both)), axis=1)
    assert np.array_equal(await house.sound(recording, "stereo"), expected)


async def test_one_side_and_one_lane_are_as_long_as_the_call(house: House) -> None:
    recording, customer, assistant = await conversation(house)
    assert np.array_equal((await house.sound(recording, "customer"))[:, 0], customer)
    assert np.array_equal((await house.sound(recording, "lane:assistant"))[:, 0], assistant)


async def test_the_file_is_a_wav_that_others_can_read(house: House) -> None:
    recording, customer, assistant = await conversation(house)
    view = await house.view(recording, "stereo")
    content = view.read(0, view.length)
    assert len(content) == view.length
    with wave.open(BytesIO(content)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 8000, 25_000)
        sound = np.frombuffer(file.readframes(25_000), "<i2").reshape(-1, 2)
    assert np.array_equal(sound, np.stack((customer, assistant), axis=1))


async def everything(house: House) -> Recording:
    """Lanes of three rates, one with a drifting clock, coded takes, clips of two calls and masks on them."""
    recorder = house.recorder
    one = await recorder.recording()
    await recorder.lane(one, "customer", [cut(speechlike(8000 * 9, 8000, 1), 7777, "pcmu")])
    drift = (Anchor(sample=0, clock_us=0), Anchor(sample=16000 * 1000, clock_us=1_000_500_000))
    await recorder.lane(one, "assistant", [cut(speechlike(16000 * 8, 16000, 2), 50_000)], 16000, anchors=drift)
    filed = speechlike(11025 * 6, 11025, 3)
    await recorder.lane(one, "music", [[Take(999, filed, 1, "file", filed.tobytes())]], 11025)
    two = await recorder.recording()
    await recorder.lane(two, "customer", [[Take(4000, speechlike(30_000, 8000, 4))]])
    clips = (
        Clip(recording_id=one.id, start_us=1_234_567, end_us=6_000_001),
        Clip(recording_id=two.id, start_us=0, end_us=4_250_000),
        Clip(recording_id=one.id, start_us=7_000_000, end_us=99_000_000),
    )
    masks = (
        Mask(start_us=500_000, end_us=900_123, method="beep"),
        Mask(start_us=2_000_000, end_us=7_000_000, lane="customer"),
        Mask(start_us=8_000_000, end_us=8_100_000, lane="assistant", method="beep"),
    )
    return await recorder.recording(edits=EditList(clips=clips, masks=masks))


@pytest.mark.parametrize(("view", "rate"), [("mono", 0), ("stereo", 8000), ("lane:music", 44100), ("mono", 12345)])
async def test_bytes_are_the_same_however_they_are_asked_for(house: House, view: str, rate: int) -> None:
    recording = await everything(house)
    made = await house.view(recording, view, rate)
    whole = made.read(0, made.length)
    assert len(whole) == made.length > 100_000
    rng = np.random.default_rng(1)
    again = await house.view(recording, view, rate)
    for start in (0, 1, 43, 44, 45, *rng.integers(0, made.length, 40).tolist()):
        size = int(rng.integers(1, 60_000))
        assert again.read(start, size) == whole[start : start + size]
        assert (await house.view(recording, view, rate)).read(start, 3) == whole[start : start + 3]
    assert b"".join([piece async for piece in again.stream()]) == whole
    assert b"".join(again.pieces(777, made.length - 7)) == whole[777:-7]


async def test_compaction_changes_no_byte_and_no_etag() -> None:
    sound, houses = noise(80_000, 3), [House(), House()]
    made = []
    for house, seconds in zip(houses, (1, 10), strict=True):
        recording = await house.recorder.recording()
        takes = cut(sound, 160, "pcmu")
        segments = [takes[at : at + 50 * seconds] for at in range(0, len(takes), 50 * seconds)]
        await house.recorder.lane(recording, "customer", segments)
        made.append(await house.view(recording, rate=16000))
    assert made[0].etag == made[1].etag
    assert made[0].read(0, made[0].length) == made[1].read(0, made[1].length)


async def test_a_lane_at_another_rate_is_the_same_sound(house: House) -> None:
    recording = await house.recorder.recording()
    await house.recorder.lane(recording, "customer", [cut(speechlike(80_000, 8000, 5), 8000)])
    await house.recorder.lane(recording, "assistant", [cut(speechlike(160_000, 16000, 6), 16000)], 16000)
    customer = (await house.sound(recording, "customer", 16000))[:, 0].astype(float)
    assert (await house.view(recording)).rate == 16000
    assert np.corrcoef(customer, speechlike(160_000, 16000, 5))[0, 1] > 0.99999
    assert np.array_equal((await house.sound(recording, "assistant"))[:, 0], speechlike(160_000, 16000, 6))


async def test_lanes_with_wrong_clocks_are_heard_in_step(house: House) -> None:
    """The same click train on two senders whose clocks run 500 ppm fast and slow, a minute in: 60 ms apart if left."""
    recording = await house.recorder.recording()
    for name, ppm in (("customer", 500), ("assistant", -500)):
        true_rate = 8000 * (1 + ppm * 1e-6)
        places = np.arange(int(62 * true_rate)) / true_rate
        sound = np.rint(12_000 * np.sin(2 * np.pi * 300 * places) * (places % 1 < 0.1)).astype(np.int16)
        anchors = (Anchor(sample=0, clock_us=0), Anchor(sample=8000 * 10**6, clock_us=round(1e12 / (1 + ppm * 1e-6))))
        await house.recorder.lane(recording, name, [cut(sound, 8000)], anchors=anchors)
    left, right = (await house.sound(recording, "stereo"))[60 * 8000 : 61 * 8000].T.astype(float)
    assert np.corrcoef(left, right)[0, 1] > 0.999


async def test_a_view_beyond_4_gib_is_known_and_read_from_the_index_alone(house: House) -> None:
    rate, apart = 48_000, 10 * 3600 * 48_000
    recording = await house.recorder.recording()
    first, last = noise(rate, 1), noise(rate, 2)
    await house.recorder.lane(recording, "customer", [[Take(0, first)], [Take(apart, last)]], rate)
    await house.recorder.lane(recording, "assistant", [[Take(0, last)]], rate)
    view = await house.view(recording, "stereo")
    assert view.length == 80 + (apart + rate) * 4 > 1 << 32
    header = wav.parse(view.read(0, 80), view.length)
    assert (header.channels, header.rate, header.frames, header.lies) == (2, rate, apart + rate, ())
    assert house.blobs.reads == []
    assert view.read(5 << 30, 100_000) == bytes(100_000)
    assert house.blobs.reads == []
    tail = np.frombuffer(view.read(view.length - rate * 4, rate * 4), "<i2").reshape(-1, 2)
    assert np.array_equal(tail[:, 0], last) and not tail[:, 1].any()


async def test_the_last_minute_costs_what_the_first_one_costs(house: House) -> None:
    recording = await house.recorder.recording()
    minute = noise(60 * 8000)
    for lane in ("customer", "assistant"):
        await house.recorder.lane(recording, lane, [[Take(n * len(minute), minute, n)] for n in range(240)])
    costs = []
    for number in (1, 235):
        house.blobs.reads.clear()
        view = await house.view(recording)
        assert len(view.read(44 + number * len(minute) * 2, 65_536)) == 65_536
        costs.append([length for _, _, length in house.blobs.reads])
    assert costs[0] == costs[1] == [65_536, 65_536]


async def test_a_long_view_is_streamed_in_constant_memory(house: House) -> None:
    recording = await house.recorder.recording()
    minute = noise(60 * 16000)
    await house.recorder.lane(recording, "customer", [[Take(n * len(minute), minute, n)] for n in range(3)], 16000)
    await house.recorder.lane(recording, "assistant", [[Take(3600 * 16000, minute)]], 16000)
    view = await house.view(recording, rate=24000)
    tracemalloc.start()
    size = sum(map(len, view.pieces()))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size == view.length > 170_000_000
    assert peak < 12 << 20


async def test_pieces_of_a_whole_file_end_with_segments_where_they_are_near(house: House) -> None:
    recording = await house.recorder.recording()
    segment = noise(950_000)
    takes = [[Take(n * len(segment), segment, n)] for n in range(6)]
    await house.recorder.lane(recording, "customer", takes, 16000)
    await house.recorder.lane(recording, "assistant", [[Take(0, segment[:100])]], 16000)
    view = await house.view(recording)
    ends = np.cumsum([len(piece) for piece in view.pieces()])
    assert (ends[4:] - 44).tolist() == [2 * n * len(segment) for n in range(1, 7)]
    other = await house.view(recording, rate=8000)
    assert b"".join(other.pieces()) == other.read(0, other.length)


async def test_a_lane_of_a_far_higher_rate_takes_no_more_memory(house: House) -> None:
    recording = await house.recorder.recording()
    second = noise(192_000)
    for name in ("customer", "assistant"):
        takes = [[Take(n * len(second), second, n)] for n in range(40)]
        await house.recorder.lane(recording, name, takes, 192_000)
    view = await house.view(recording, rate=8000)
    whole = view.pcm(0, view.frames)
    tracemalloc.start()
    assert sum(map(len, view.pieces())) == view.length
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 << 20
    assert np.array_equal(np.frombuffer(view.read(44, view.length), "<i2"), whole[:, 0])


async def test_takes_in_pieces_of_one_sample_are_heard(house: House) -> None:
    recording = await house.recorder.recording()
    sound = noise(5000, 3)
    order = np.random.default_rng(4).permutation(5000).tolist()
    takes = [Take(at, sound[at : at + 1], n, "pcmu" if at % 3 else "l16") for n, at in enumerate(order)]
    await house.recorder.lane(recording, "customer", [takes[:2000], takes[2000:]])
    assert np.array_equal((await house.sound(recording))[:, 0], painted(takes, 5000))
    assert len(house.blobs.reads) <= 4


async def test_a_coded_take_is_decoded_once_for_who_listens_on(house: House) -> None:
    recording = await house.recorder.recording()
    sound = noise(300_000, 1)
    await house.recorder.lane(recording, "customer", [[Take(500, sound, 1, "file", sound.tobytes())]])
    view = await house.view(recording)
    assert b"".join(view.pieces())[44 + 1000 :] == sound.tobytes()
    again = await house.view(recording)
    assert again.read(44 + 1000 + 400_000, 2000) == sound.tobytes()[400_000:402_000]
    assert house.codecs.decodings == 1


async def test_a_coded_take_is_heard_from_anywhere_in_any_order(house: House) -> None:
    recording = await house.recorder.recording()
    sound = noise(2_000_000, 2)
    await house.recorder.lane(recording, "customer", [[Take(0, sound, 1, "g722", sound.tobytes())]], 16000)
    view = await house.view(recording)
    for start in (1_900_000, 3, 1_200_000, 65_535, 1_999_000):
        assert np.array_equal(view.pcm(start, start + 1000)[:, 0], sound[start : start + 1000])


async def test_a_coded_take_that_holds_less_than_was_promised_ends_in_silence(house: House) -> None:
    recording = await house.recorder.recording()
    sound = noise(1000)
    await house.recorder.lane(recording, "customer", [[Take(0, sound, 1, "file", sound[:600].tobytes())]])
    heard = (await house.sound(recording))[:, 0]
    assert np.array_equal(heard[:600], sound[:600]) and not heard[600:].any() and len(heard) == 1000


async def test_a_recording_without_lanes_is_an_empty_file(house: House) -> None:
    view = await house.view(await house.recorder.recording(), "stereo")
    assert (view.rate, view.frames, view.length, view.read(0, 99)) == (8000, 0, 44, view.wav_header)


async def test_what_is_not_there_is_missing_and_what_makes_no_sense_is_malformed(house: House) -> None:
    recording = await house.recorder.recording()
    await house.recorder.lane(recording, "music", [[Take(0, noise(10))]])
    for view, error in (("customer", Missing), ("lane:nobody", Missing), ("quadro", Malformed)):
        with pytest.raises(error):
            await house.view(recording, view)
    for rate in (-1, 7, 3999, 192_001):
        with pytest.raises(Malformed):
            await house.view(recording, rate=rate)
    with pytest.raises(Missing):
        await house.view(replace(recording, deleted_ms=5))
    with pytest.raises(Missing):
        await house.view(replace(recording, status="failed"))


# -- live -----------------------------------------------------------------------------------------


def frame(lane: str, start: int, sound: Samples, take: int = -1) -> Piece:
    return Piece(lane, take, "s16le", 8000, start, len(sound), sound.tobytes())


async def test_a_recording_in_progress_is_heard_up_to_now_by_those_who_ask_for_it(house: House) -> None:
    recording = await house.recorder.recording(in_progress=True, status="processing")
    sound = noise(4000)
    await house.recorder.lane(recording, "customer", [[Take(0, sound[:1600], -1)]])
    frames = [frame("customer", at, sound[at : at + 160]) for at in range(1600, 4000, 160)]
    house.spool.append(recording.id, "w", frames)
    house.spool.append(recording.id, "w", [frame("assistant", 800, sound[:160])])
    with pytest.raises(RecordingInProgress):
        await house.view(recording)
    view = await house.view(recording, live=True)
    assert np.array_equal(view.pcm(0, 4000)[:, 0], summed(sound, painted([Take(800, sound[:160])], 4000)))


async def test_what_moves_to_storage_while_somebody_listens_is_neither_lost_nor_doubled(house: House) -> None:
    recording = await house.recorder.recording(in_progress=True, status="processing")
    sound = noise(3200)
    house.spool.append(recording.id, "w", [frame("customer", 0, sound)])
    before = await house.view(recording, live=True)
    await house.recorder.lane(recording, "customer", [[Take(0, sound, -1)]])
    during = await house.view(recording, live=True)
    house.spool.drop(recording.id, 99)
    after = await house.view(recording, live=True)
    assert before.read(0, 9999) == during.read(0, 9999) == after.read(0, 9999)
    house.spool.append(recording.id, "w", [frame("customer", 3200, sound)])
    assert (await house.view(recording, live=True)).etag != after.etag


async def test_a_take_that_comes_to_lie_over_others_changes_the_etag(house: House) -> None:
    recording = await house.recorder.recording(in_progress=True, status="processing")
    seen = {}
    for take in range(3):
        piece = frame("customer", 0, noise(1600, seed=take), take)
        house.spool.append(recording.id, "w", [piece])
        view = await house.view(recording, live=True)
        seen[view.etag] = view.read(0, 9999)
        assert (await house.view(recording, live=True)).etag == view.etag
    assert len(set(seen.values())) == len(seen) == 3


# -- edits ----------------------------------------------------------------------------------------


async def test_clips_are_the_same_samples_in_another_order(house: House) -> None:
    original, customer, assistant = await conversation(house)
    whole = summed(customer, assistant)
    clips = tuple(
        Clip(recording_id=original.id, start_us=a * 125, end_us=b * 125) for a, b in ((9001, 20_000), (5, 77))
    )
    edited = await house.recorder.recording(edits=EditList(clips=clips))
    assert np.array_equal((await house.sound(edited))[:, 0], np.concatenate((whole[9001:20_000], whole[5:77])))


async def test_masks_lie_on_the_clock_of_what_is_heard(house: House) -> None:
    original, customer, assistant = await conversation(house)
    clips = (Clip(recording_id=original.id, start_us=1_000_000, end_us=2_000_000),)
    masks = (
        Mask(start_us=100_000, end_us=200_000, lane="customer"),
        Mask(start_us=500_000, end_us=600_000),
        Mask(start_us=900_000, end_us=950_000, method="beep"),
    )
    edited = await house.recorder.recording(edits=EditList(clips=clips, masks=masks))
    customer, assistant = customer[8000:16_000].copy(), assistant[8000:16_000]
    customer[800:1600] = 0
    expected, heard = summed(customer, assistant), (await house.sound(edited))[:, 0]
    expected[4000:4800] = 0
    assert np.array_equal(heard[:7200], expected[:7200]) and np.array_equal(heard[7600:], expected[7600:])
    tone = np.abs(np.fft.rfft(heard[7200:7600]))
    assert tone.argmax() == 1000 * 400 // 8000 and np.abs(heard[7200:7600]).max() == 6000


async def test_masks_alone_lie_over_the_recordings_own_timeline(house: House) -> None:
    recording, _, assistant = await conversation(house)
    masked = replace(recording, edits=EditList(masks=(Mask(start_us=0, end_us=10**9, lane="customer"),)))
    assert np.array_equal((await house.sound(masked))[:, 0], assistant)


async def test_an_edit_list_reaches_no_other_workspace(house: House) -> None:
    other = await house.recorder.recording(workspace_id="theirs")
    clips = (Clip(recording_id=other.id, start_us=0, end_us=1),)
    with pytest.raises(Missing):
        await house.view(await house.recorder.recording(edits=EditList(clips=clips)))


async def pause(house: House, recording: Recording, mode: str, start: int, end: int) -> None:
    facts = {"recording_id": recording.id, "workspace_id": "w", "kind": "pause", "created_ms": 1}
    await house.recorder.add(
        Span(id=f"{mode}{start}", mode=mode, start_us=start * 125, end_us=end * 125, **facts)  # type: ignore[arg-type]
    )


async def test_a_pause_is_silence_or_is_skipped_as_was_asked(house: House) -> None:
    recording = await house.recorder.recording()
    before, after = noise(8000, 1), noise(8000, 2)
    await house.recorder.lane(recording, "customer", [[Take(0, before), Take(16_000, after)]])
    await pause(house, recording, "silence", 8000, 12_000)
    await pause(house, recording, "skip", 12_000, 16_000)
    assert np.array_equal((await house.sound(recording))[:, 0], np.concatenate((before, np.zeros(4000), after)))


async def test_a_pause_at_the_end_is_as_long_as_it_was(house: House) -> None:
    recording = await house.recorder.recording()
    await house.recorder.lane(recording, "customer", [[Take(0, noise(8000))]])
    await pause(house, recording, "silence", 8000, 20_000)
    assert (await house.view(recording)).frames == 20_000


# -- etags ----------------------------------------------------------------------------------------


async def test_an_etag_names_the_sound_the_view_and_the_rate(house: House) -> None:
    recording, _, _ = await conversation(house)
    mask = EditList(masks=(Mask(start_us=0, end_us=5),))
    made = [
        await house.view(recording),
        await house.view(recording, "stereo"),
        await house.view(recording, rate=16000),
        await house.view(replace(recording, sound_version=2)),
        await house.view(replace(recording, edits=mask)),
    ]
    etags = [view.etag for view in made]
    assert len(set(etags)) == 5
    assert all(etag.startswith('"') and etag.endswith('"') and etag.isascii() for etag in etags)
    assert (await house.view(recording)).etag == etags[0]
    assert (await house.view(replace(recording, tags=("x",), version=9))).etag == etags[0]


async def test_an_object_that_storage_has_lost_is_told_as_missing(house: House) -> None:
    recording, _, _ = await conversation(house)
    view = await house.view(recording)
    for key, _ in list(house.recorder.blobs.list()):
        house.recorder.blobs.delete(key)
    with pytest.raises(BlobMissing):
        view.read(0, 1000)
