"""Sound at another rate, in blocks of a second that come out the same however they are asked for."""

from collections.abc import Callable
from math import gcd

import numpy as np
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.int16]
Fetch = Callable[[int, int], Samples]
"""The samples from one number to another, both of any sign; silence where there is nothing."""

_CONTEXT = 160
"""Samples of the slower rate on either side of a block: beyond the resampler's reach of about 100."""


def block(fetch: Fetch, number: int, rate: int, out_rate: int) -> Samples:
    """Second `number` of a lane of `rate`, at `out_rate`.

    Every block is made alone from the second's samples and a fixed context, so it hangs on nothing but the sound.
    soxr is given floats, for on integers it dithers with a seed from the time of day.
    """
    if rate == out_rate:
        return fetch(number * rate, (number + 1) * rate)
    around, skip = _context(rate, out_rate)
    source = fetch(number * rate - around, (number + 1) * rate + around)
    if not source.any():
        return np.zeros(out_rate, np.int16)
    sound = soxr.resample(source.astype(np.float32), rate, out_rate, quality="HQ")
    return rounded(sound[skip : skip + out_rate])


def rounded(sound: NDArray[np.float32]) -> Samples:
    return np.clip(np.rint(sound), -32_768, 32_767).astype(np.int16)


def _context(rate: int, out_rate: int) -> tuple[int, int]:
    """Samples before and after a block, and the frames that they become: both whole, at any pair of rates."""
    shared = gcd(rate, out_rate)
    steps = -(-_CONTEXT * shared // min(rate, out_rate))
    return steps * rate // shared, steps * out_rate // shared
