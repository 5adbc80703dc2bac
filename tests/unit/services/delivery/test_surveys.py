import numpy as np
import pytest
from tests.unit.services.delivery.house import House
from tests.unit.services.delivery.recorder import Take, noise

from callvault.domain.lane import Anchor, Span
from callvault.services.delivery.surveys import SPANS_MAX, Surveys

SECOND = 1_000_000


@pytest.fixture
def house() -> House:
    return House()


async def test_a_lane_is_told_without_a_hole(house: House) -> None:
    recording = await house.recorder.recording()
    hush = np.zeros(8000, np.int16)
    talk = noise(8000)
    await house.recorder.lane(
        recording,
        "customer",
        [[Take(8000, np.concatenate((talk, hush, talk)), 1)], [Take(40_000, talk, 2), Take(44_000, talk, 3)]],
    )
    await house.recorder.lane(recording, "assistant", [[Take(0, np.zeros(80_000, np.int16))]])
    await house.recorder.add(
        Span(
            id="p",
            recording_id=recording.id,
            workspace_id="w",
            kind="pause",
            start_us=4 * SECOND,
            end_us=4 * SECOND + 500_000,
            mode="silence",
            created_ms=1,
        )
    )
    survey = await Surveys(house.views).of(recording)
    customer = next(lane for lane in survey.lanes if lane.lane.name == "customer")
    assert survey.length_us == 10 * SECOND
    assert customer.spans == [
        ("silence", 0, SECOND),
        ("sound", SECOND, 2 * SECOND),
        ("silence", 2 * SECOND, 3 * SECOND),
        ("sound", 3 * SECOND, 4 * SECOND),
        ("pause", 4 * SECOND, 4_500_000),
        ("loss", 4_500_000, 5 * SECOND),
        ("sound", 5 * SECOND, 6_500_000),
        ("silence", 6_500_000, 10 * SECOND),
    ]
    assert customer.overlaps == [(5_500_000, 6 * SECOND)]
    assert customer.lost_us == 500_000
    assert [kind for lane in survey.lanes if lane is not customer for kind, _, _ in lane.spans] == [
        "silence",
        "pause",
        "silence",
    ]


async def test_a_drifting_lane_is_told_on_the_calls_clock(house: House) -> None:
    recording = await house.recorder.recording()
    anchors = (Anchor(sample=0, clock_us=0), Anchor(sample=8000, clock_us=1_001_000))
    await house.recorder.lane(recording, "customer", [[Take(8000, noise(8000))]], anchors=anchors)
    survey = await Surveys(house.views).of(recording)
    assert survey.lanes[0].spans == [("silence", 0, 1_001_000), ("sound", 1_001_000, 2_002_000)]


async def test_a_recording_without_sound_has_nothing_to_tell(house: House) -> None:
    survey = await Surveys(house.views).of(await house.recorder.recording())
    assert (survey.lanes, survey.length_us) == ([], 0)


async def test_a_lane_in_a_hundred_thousand_pieces_is_told_in_no_more_spans_than_can_be_read(house: House) -> None:
    recording = await house.recorder.recording()
    one = np.full(1, 9000, np.int16)
    for segment in range(5):
        takes = [Take(3 * n, one, n) for n in range(segment * 20_000, (segment + 1) * 20_000)]
        if not segment:
            await house.recorder.lane(recording, "customer", [])
        await house.recorder.segment(recording, "customer", segment, takes)
    survey = await Surveys(house.views).of(recording)
    assert len(survey.lanes[0].spans) <= 2 * SPANS_MAX
    assert abs(survey.lanes[0].lost_us - 2 * 99_999 * 125) < 2
