import numpy as np
import pytest
import soxr

from callvault.audio.blocks import Blocks
from callvault.audio.clock import LaneClock
from callvault.audio.resample import Samples, block
from callvault.audio.warp import REACH, interpolated
from callvault.audio.warp import block as warped
from callvault.domain.lane import Anchor

RATES = [(8000, 16000), (8000, 48000), (16000, 8000), (44100, 8000), (11025, 48000), (192_000, 8000), (8001, 16000)]


def fetching(sound: Samples):
    def fetch(start: int, end: int) -> Samples:
        out = np.zeros(end - start, np.int16)
        part = sound[max(start, 0) : max(end, 0)]
        out[max(-start, 0) : max(-start, 0) + len(part)] = part
        return out

    return fetch


@pytest.mark.parametrize(("rate", "out_rate"), RATES)
def test_blocks_are_as_if_all_was_resampled_at_once(rate: int, out_rate: int) -> None:
    noise = np.random.default_rng(1).standard_normal(rate * 4 + rate // 3)
    sound = np.rint(np.clip(np.convolve(noise, np.ones(3) / 3, "same") * 9000, -32768, 32767)).astype(np.int16)
    silence = np.zeros(rate, np.int16)
    padded = np.concatenate((silence, sound, silence)).astype(np.float32)
    whole = np.rint(soxr.resample(padded, rate, out_rate, quality="HQ"))[out_rate:]
    made = np.concatenate([block(fetching(sound), second, rate, out_rate) for second in range(5)])
    assert np.abs(made - np.clip(whole[: len(made)], -32768, 32767)).max() <= 1


def test_the_same_rate_is_the_same_samples() -> None:
    sound = np.arange(-8000, 8000, dtype=np.int16)
    assert np.array_equal(block(fetching(sound), 1, 8000, 8000), sound[8000:])


def test_any_piece_of_the_blocks_is_a_piece_of_the_whole() -> None:
    sound = np.random.default_rng(2).integers(-9000, 9000, 8000 * 7).astype(np.int16)
    whole = Blocks(lambda n: block(fetching(sound), n, 8000, 16000), 16000).fetch(-100, 16000 * 8)
    again = Blocks(lambda n: block(fetching(sound), n, 8000, 16000), 16000)
    for start, end in ((99_000, 120_000), (-100, 5), (31_999, 32_001), (5, 5), (0, 90_000)):
        assert np.array_equal(again.fetch(start, end), whole[start + 100 : end + 100])


@pytest.mark.parametrize("hertz", [100, 1000, 3000, 6000])
def test_a_tone_at_fractional_places_is_the_same_tone(hertz: int) -> None:
    rate = 16000
    tone = np.rint(20000 * np.sin(2 * np.pi * hertz * np.arange(-REACH + 1, rate + 64) / rate)).astype(np.int16)
    places = np.arange(rate) * 1.0005 + 0.3
    exact = 20000 * np.sin(2 * np.pi * hertz * places / rate)
    error = interpolated(tone, places) - exact
    assert np.sqrt(np.mean(error**2)) < 20000 / 2**0.5 * 10 ** (-75 / 20)


@pytest.mark.parametrize("ppm", [500, -500, 3200])
def test_a_lane_with_a_wrong_clock_is_heard_in_step(ppm: int) -> None:
    """A second of the sender's clock lasts less than ours when it runs fast; its tone comes out at its true pitch."""
    rate, seconds, hertz = 8000, 20, 440
    fast = 1 + ppm * 1e-6
    sound = np.rint(9000 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds * fast)) / (rate * fast)))
    clock = LaneClock(rate, (Anchor(sample=0, clock_us=0), Anchor(sample=rate * 10**6, clock_us=round(1e12 / fast))))
    for number in (0, 7, 18):
        made = warped(fetching(sound.astype(np.int16)), number, clock, rate)
        exact = 9000 * np.sin(2 * np.pi * hertz * np.arange(number * rate, (number + 1) * rate) / rate)
        assert np.abs(made - exact)[200:].max() < 4


def test_where_a_lane_is_silent_so_is_what_is_made_of_it() -> None:
    assert not block(fetching(np.zeros(0, np.int16)), 3, 8000, 48000).any()
