"""Sound heard at fractional places: a lane whose clock runs wrong, laid on the call's clock."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from callvault.audio.clock import LaneClock
from callvault.audio.resample import Fetch, Samples, rounded

Sound = NDArray[np.float32]

REACH = 16
"""Samples on either side of a place that have a say in what is heard there."""

_DEGREE = 5
_BETA = 8.0
_FINENESS = 64


def block(fetch: Fetch, number: int, clock: LaneClock, rate: int) -> Samples:
    """Second `number` of the call's clock, from a lane that was brought to `rate` on its own clock."""
    places = clock.positions(np.arange(number * rate, (number + 1) * rate), rate) * (rate / clock.rate)
    first = int(places[0] // 1) - REACH + 1
    source = fetch(first, int(places[-1] // 1) + REACH + 1)
    if not source.any():
        return np.zeros(rate, np.int16)
    return rounded(interpolated(source, places - (first + REACH - 1)))


def interpolated(samples: Samples, places: NDArray[np.float64]) -> Sound:
    """What is heard at each of the rising places, which count from the sample `REACH - 1` of `samples` on.

    A windowed sinc whose taps are polynomials of the place's fraction: all taps are applied to all samples first,
    one filter for each power, and the fraction is put in afterwards. Each value hangs on its own place and the
    samples around it alone, in a fixed order of additions, so blocks come out the same wherever they are cut.
    """
    whole = np.floor(places).astype(np.intp)
    fraction = (places - whole - 0.5).astype(np.float32)
    powers = _powers(samples.astype(np.float32))
    heard = powers[_DEGREE][whole].copy()
    for power in range(_DEGREE - 1, -1, -1):
        heard *= fraction
        heard += powers[power][whole]
    return heard


def _powers(sound: Sound) -> list[Sound]:
    """For each power of the fraction, the sound through that power's filter; the taps come in mirrored pairs."""
    taps = _taps()
    count = len(sound) - 2 * REACH + 1
    powers = [np.zeros(count, np.float32) for _ in range(_DEGREE + 1)]
    for near in range(REACH):
        left, right = sound[near : near + count], sound[2 * REACH - 1 - near :][:count]
        both, apart = left + right, left - right
        for power in range(_DEGREE + 1):
            powers[power] += taps[near, power] * (apart if power % 2 else both)
    return powers


@cache
def _taps() -> Sound:
    """The left half of the taps as polynomials of the fraction, which runs from -1/2 to 1/2."""
    fraction = np.cos(np.pi * (np.arange(_FINENESS) + 0.5) / _FINENESS) / 2
    distance = np.arange(REACH)[:, None] + 1 - REACH - 0.5 - fraction[None, :]
    window = np.i0(_BETA * np.sqrt(np.clip(1 - (distance / REACH) ** 2, 0, None))) / np.i0(_BETA)
    kernel = np.sinc(distance) * window
    powers = np.vander(fraction, _DEGREE + 1, increasing=True)
    return np.asarray(np.linalg.lstsq(powers, kernel.T, rcond=None)[0].T, np.float32)
