from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from callvault.audio.peaks import CELL, Envelope, fine, loud, merged, only, summed, without
from callvault.audio.silence import talk


def noise(samples: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-32768, 32768, samples).astype(np.int16)


@given(st.integers(0, 500), st.integers(0, 700))
def test_fine_peaks_are_the_lowest_and_highest_of_every_cell_touched(first: int, samples: int) -> None:
    sound = noise(samples)
    cells = range(first // CELL, -(-(first + samples) // CELL)) if samples else range(0)
    of_cell = [sound[max(c * CELL - first, 0) : (c + 1) * CELL - first] for c in cells]
    assert fine(sound, first).tolist() == [[part.min(), part.max()] for part in of_cell]


@given(st.lists(st.integers(1, 999), max_size=5))
def test_peaks_of_segments_are_the_peaks_of_the_whole(cuts: list[int]) -> None:
    sound, first = noise(1000), 1234
    borders = sorted({0, *cuts, 1000})
    parts = [((first + a) // CELL, fine(sound[a:b], first + a)) for a, b in pairwise(borders)]
    cell, peaks = merged(parts)
    assert cell == first // CELL
    assert np.array_equal(peaks, fine(sound, first))


@given(st.integers(1, 40), st.floats(0.3, 9), st.integers(0, 20))
def test_points_of_any_width_have_each_cell_where_its_middle_lies(points: int, width: float, first: int) -> None:
    peaks = fine(noise(CELL * 60), 0)
    edges = np.arange(points + 1) * width
    picture = Envelope(points)
    for at in range(0, 60, 7):
        picture.lay_scaled(0, edges, first + at, peaks[at : at + 7])
    for n, (low, high) in enumerate(picture.peaks().tolist()):
        start, end = edges[n : n + 2]
        cells = [cell for cell in range(400) if start <= cell + 0.5 < end] or [int((start + end) / 2)]
        under = peaks[[cell - first for cell in cells if 0 <= cell - first < 60]]
        assert (low, high) == ((under[:, 0].min(), under[:, 1].max()) if len(under) else (0, 0))


def test_lanes_together_reach_no_further_than_their_peaks_and_no_further_than_can_be() -> None:
    one, two = np.array([[-30000, 100]], np.int16), np.array([[-30000, 200]], np.int16)
    assert summed([one, two], 1).tolist() == [[-32768, 300]]
    assert summed([], 2).tolist() == [[0, 0], [0, 0]]


def test_where_a_mask_lies_over_a_cell_even_in_part_the_picture_is_flat() -> None:
    peaks = np.full((10, 2), 5, np.int16)
    stretches = np.array([(102 * CELL + 63, 104 * CELL + 1), (0, 100 * CELL), (10**6, 10**7)])
    assert np.flatnonzero(~without(peaks, 100, stretches).any(axis=1)).tolist() == [2, 3, 4]
    picture = Envelope(10)
    picture.lay(0, only(peaks, 100, stretches))
    assert np.flatnonzero(picture.peaks().any(axis=1)).tolist() == [2, 3, 4]


def test_talk_is_what_is_loud_with_its_pauses_for_breath_and_without_clicks() -> None:
    rate = 8000
    sound = np.zeros(rate * 4, np.int16)
    sound[rate : rate + 2000] = 3000
    sound[rate + 3000 : rate * 2] = -3000
    sound[rate * 3] = 20000
    found = talk(loud(fine(sound, 0), 0, floor=260), rate)
    assert found.tolist() == [[rate, rate * 2]]
    assert talk(loud(fine(np.zeros(640, np.int16), 0), 0, floor=260), rate).tolist() == []
