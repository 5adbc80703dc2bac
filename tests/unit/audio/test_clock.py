import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from callvault.audio.clock import LaneClock, frame_at, frames_until
from callvault.domain.lane import Anchor

DRIFTING = (Anchor(sample=0, clock_us=1000), Anchor(sample=8_000_000, clock_us=1_000_501_000))


def test_an_hour_of_20_ms_frames_ends_at_an_hour() -> None:
    for rate in (8000, 11025, 16000, 22050, 44100, 48000, 192_000):
        clock = LaneClock(rate)
        assert clock.us_at(3600 * rate) == 3_600_000_000
        assert clock.sample_at(3_600_000_000) == 3600 * rate
        assert clock.frames(3600 * rate, 8000) == 3600 * 8000


@given(st.integers(0, 10**12), st.sampled_from([8000, 11025, 44100, 192_000]))
def test_a_frame_is_found_again_from_when_it_ends(frame: int, rate: int) -> None:
    clock = LaneClock(rate)
    assert clock.sample_at(clock.us_at(frame)) in (frame, frame + rate // 1_000_000)
    assert frames_until(clock.us_at(frame), rate) in (frame, frame + 1)
    assert frame_at(clock.us_at(frame), rate) == frame


@given(st.integers(0, 20_000_000))
def test_a_drifting_lane_is_placed_between_its_anchors_and_goes_on_beyond_them(sample: int) -> None:
    at = LaneClock(8000, DRIFTING).us_at(sample)
    assert 0 <= at - (1000 + sample * 125 * 1.0005) < 1.01


@given(st.lists(st.integers(0, 8_300_000_000)), st.sampled_from([(), DRIFTING]))
def test_many_samples_are_placed_as_each_is(samples: list[int], anchors: tuple[Anchor, ...]) -> None:
    clock = LaneClock(48_000, anchors)
    assert clock.times(np.array(samples, np.int64)).tolist() == [clock.us_at(sample) for sample in samples]


def test_one_anchor_shifts_a_lane() -> None:
    clock = LaneClock(8000, (Anchor(sample=800, clock_us=150_000),))
    assert (clock.us_at(800), clock.us_at(1600), clock.sample_at(250_000)) == (150_000, 250_000, 1600)


@given(st.integers(0, 10**9), st.sampled_from([8000, 16000, 44100]))
def test_positions_are_the_clock_the_other_way_round(frame: int, rate: int) -> None:
    clock = LaneClock(8000, DRIFTING)
    (position,) = clock.positions(np.array([frame]), rate).tolist()
    exact_us = frame * 1_000_000 / rate
    assert abs(clock.us_at(round(position)) - exact_us) <= 125 / 2 * 1.001 + 1


def test_positions_do_not_hang_on_which_frames_are_asked_for_together() -> None:
    clock = LaneClock(8000, (*DRIFTING, Anchor(sample=9_000_000, clock_us=1_125_400_000)))
    whole = clock.positions(np.arange(16_000_000, 16_100_000), 16000)
    assert np.array_equal(whole[777:1234], clock.positions(np.arange(16_000_777, 16_001_234), 16000))


def test_of_thousands_of_anchors_those_around_a_place_are_found_in_a_moment() -> None:
    anchors = [Anchor(sample=8000 * n, clock_us=1_000_100 * n) for n in range(50_000)]
    clock = LaneClock(8000, anchors)
    asked = [*range(0, 50_000, 3)]
    assert [clock.us_at(8000 * n + 4000) for n in asked] == [1_000_100 * n + 500_050 for n in asked]
    assert [clock.sample_at(1_000_100 * n) for n in asked] == [8000 * n for n in asked]
