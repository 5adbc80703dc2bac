from collections.abc import Iterable
from dataclasses import replace

import pytest
from tests.fakes import FakeClock
from tests.unit.services.delivery.recorder import Recorder, Take, noise

from callvault.adapters.spool.memory import MemorySpool
from callvault.domain.errors import BlobMissing, Missing
from callvault.domain.lane import Anchor, Segment, Span
from callvault.domain.query import Query
from callvault.domain.recording import Clip, EditList
from callvault.domain.stored import StoredObject
from callvault.domain.unit import Unit
from callvault.ports.spool import Piece
from callvault.services.timelines import Timelines


class House:
    def __init__(self) -> None:
        self.recorder, self.clock, self.spool = Recorder(), FakeClock(), MemorySpool()
        self.unlocked: list[tuple[str, set[str]]] = []
        self.timelines = Timelines(self.recorder.store, self.spool, self.clock, self.unlock)

    async def unlock(self, workspace_id: str, objects: Iterable[StoredObject]) -> None:
        self.unlocked.append((workspace_id, {obj.key for obj in objects}))


@pytest.fixture
def house() -> House:
    return House()


async def test_a_timeline_is_as_long_as_its_longest_lane_to_the_frame(house: House) -> None:
    recording = await house.recorder.recording()
    await house.recorder.lane(recording, "customer", [[Take(0, noise(8001))]], 8000)
    anchors = (Anchor(sample=0, clock_us=500_000), Anchor(sample=16_000, clock_us=1_500_000))
    await house.recorder.lane(recording, "assistant", [[Take(0, noise(7999))]], 16_000, anchors=anchors)
    timeline = await house.timelines.timeline(recording)
    assert [lane.end_us for lane in timeline.lanes] == [999_938, 1_000_125]
    assert (timeline.length_us, timeline.frames(8000), timeline.frames(44_100)) == (1_000_125, 8001, 44_106)
    assert timeline.lane("assistant").lane.rate == 16_000
    with pytest.raises(Missing):
        timeline.lane("nobody")


async def test_a_timeline_knows_whose_it_is_and_where_its_first_sound_lies(house: House) -> None:
    recording = await house.recorder.recording()
    assert (await house.timelines.timeline(recording)).begin_us == 0
    await house.recorder.lane(recording, "customer", [[Take(8000, noise(10))]])
    await house.recorder.lane(recording, "assistant", [[Take(4000, noise(10))]])
    house.timelines.forget(recording.id)
    timeline = await house.timelines.timeline(recording)
    assert (timeline.call_id, timeline.begin_us) == (recording.call_id, 500_000)


async def test_what_is_skipped_is_left_out_and_what_is_silenced_is_not(house: House) -> None:
    recording = await house.recorder.recording()
    await house.recorder.lane(recording, "customer", [[Take(0, noise(80_000))]])
    for n, (mode, start, end, lane) in enumerate(
        [("skip", 2, 3, None), ("silence", 4, 5, None), ("skip", 6, 7, "customer"), ("skip", 9, None, None)]
    ):
        end_us = None if end is None else end * 1_000_000
        facts = {"recording_id": recording.id, "workspace_id": "w", "kind": "pause", "created_ms": 1, "lane": lane}
        await house.recorder.add(Span(id=str(n), mode=mode, start_us=start * 1_000_000, end_us=end_us, **facts))
    sound = await house.timelines.sound(recording)
    assert [(s.start_us, s.end_us) for s in sound.stretches] == [(0, 2_000_000), (3_000_000, 10_000_000)]
    assert sound.length_us == 9_000_000


async def test_keys_are_at_hand_before_sound_is_read_and_when_it_is_known_already(house: House) -> None:
    recording = await house.recorder.recording()
    await house.recorder.lane(recording, "customer", [[Take(0, noise(10))], [Take(10, noise(10))]])
    objects = {segment.object_key for segment in await house.recorder.store.find(Query(Segment))}
    await house.timelines.timeline(recording)
    assert house.unlocked == [("w", set()), ("w", objects)]
    await house.timelines.timeline(recording)
    assert house.unlocked[2:] == [("w", set())]


async def test_an_index_is_loaded_once_and_not_kept_for_long(house: House) -> None:
    recording = await house.recorder.recording()
    await house.recorder.lane(recording, "customer", [[Take(0, noise(10))]])
    first = await house.timelines.timeline(recording)
    assert await house.timelines.timeline(recording) is first
    assert await house.timelines.timeline(replace(recording, sound_version=2)) is not first
    house.clock.advance(61)
    assert await house.timelines.timeline(recording) is not first
    second = await house.timelines.timeline(recording)
    house.timelines.forget(recording.id)
    assert await house.timelines.timeline(recording) is not second


async def test_what_still_grows_is_read_anew_each_time(house: House) -> None:
    recording = await house.recorder.recording(in_progress=True, status="processing")
    await house.recorder.lane(recording, "customer", [[Take(0, noise(10))]])
    assert (await house.timelines.timeline(recording)).length_us == 1250
    await house.recorder.segment(recording, "customer", 1, [Take(10, noise(10))])
    assert (await house.timelines.timeline(recording)).length_us == 2500


async def test_memory_of_indexes_is_bounded(house: House) -> None:
    timelines = Timelines(house.recorder.store, house.spool, house.clock, kept_bytes=12_000)
    recordings = [await house.recorder.recording() for _ in range(4)]
    loaded = [await timelines.timeline(recording) for recording in recordings]
    assert await timelines.timeline(recordings[3]) is loaded[3]
    assert await timelines.timeline(recordings[0]) is not loaded[0]
    for recording in recordings:
        timelines.forget(recording.id)
    loaded = [await timelines.timeline(recording) for recording in recordings[:2]]
    assert [await timelines.timeline(recording) for recording in recordings[:2]] == loaded
    assert await timelines.timeline(recordings[0]) is loaded[0]


async def test_a_timeline_of_many_stretches_is_told_once(house: House) -> None:
    recording = await house.recorder.recording()
    await house.recorder.lane(recording, "customer", [[Take(0, noise(80_000))]])
    clips = tuple(Clip(recording_id=recording.id, start_us=n, end_us=n + 1) for n in range(300))
    edited = await house.recorder.recording(edits=EditList(clips=clips))
    sound = await house.timelines.sound(edited)
    assert len(sound.stretches) == 300
    assert [lane.lane.name for lane in sound.lanes] == ["customer"]


async def test_what_this_node_holds_shows_to_those_who_ask_for_it_alone(house: House) -> None:
    recording = await house.recorder.recording(in_progress=True, status="processing")
    sound = noise(100)
    piece = Piece("customer", 1, "s16le", 16_000, 0, 100, sound.tobytes())
    house.spool.append(recording.id, "w", [piece, piece._replace(start=100, take=2)])
    assert (await house.timelines.timeline(recording)).lanes == ()
    (lane,) = (await house.timelines.timeline(recording, live=True)).lanes
    assert (lane.lane.name, lane.lane.role, lane.lane.rate) == ("customer", "customer", 16_000)
    assert (lane.layout.end, len(lane.layout.pieces)) == (200, 1)


async def test_a_segment_whose_object_has_no_row_is_told(house: House) -> None:
    recording = await house.recorder.recording()
    await house.recorder.lane(recording, "customer", [[Take(0, noise(10))]])
    unit = Unit()
    unit.remove(*await house.recorder.store.find(Query(StoredObject)))
    await house.recorder.store.commit(unit)
    with pytest.raises(BlobMissing):
        await house.timelines.timeline(recording)
