import numpy as np
import pytest

from callvault.audio.mix import beep, interleaved, mono, silence


def noise(samples: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-32768, 32768, samples).astype(np.int16)


@pytest.mark.parametrize("lanes", [0, 1, 2, 3, 20])
def test_mono_is_the_sum_that_saturates_and_never_wraps(lanes: int) -> None:
    sounds = [noise(50_001, n) for n in range(lanes)]
    out = np.empty(50_001, np.int16)
    mono(sounds, out)
    exact = sum((s.astype(np.int64) for s in sounds), np.zeros(50_001, np.int64))
    assert np.array_equal(out, np.clip(exact, -32768, 32767))


def test_three_lanes_are_summed_before_the_sum_is_cut() -> None:
    out = np.empty(1, np.int16)
    mono([np.array([n], np.int16) for n in (30000, 30000, -30000)], out)
    assert out[0] == 30000


def test_sides_are_channels() -> None:
    customer, assistant, other = (np.full(3, n, np.int16) for n in (1, 20, 300))
    out = interleaved([customer, assistant, other], (frozenset({0, 2}), frozenset({1, 2})), 3)
    assert out.tolist() == [[301, 320]] * 3


def test_masks_fall_on_the_same_frames_however_the_sound_is_cut() -> None:
    whole = noise(1000, 1)
    parts = [whole[:300].copy(), whole[300:].copy()]
    for cover in (lambda s, at: silence(s, at, [(250, 310)]), lambda s, at: beep(s, at, [(250, 310)], 8000)):
        expected = whole.copy()
        cover(expected, 0)
        cover(parts[0], 0)
        cover(parts[1], 300)
        assert np.array_equal(np.concatenate(parts), expected)
        assert np.array_equal(expected[310:], whole[310:]) and np.array_equal(expected[:250], whole[:250])
    assert np.abs(expected[250:310]).max() == 6000
