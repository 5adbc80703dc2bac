"""Sound that is made a second at a time, asked for in any pieces."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import numpy as np

from callvault.audio.resample import Samples

_KEPT: Final = 4


class Blocks:
    """Second `n` of the sound is `made(n)`, of `rate` samples; the last few are kept for who goes on from there."""

    def __init__(self, made: Callable[[int], Samples], rate: int) -> None:
        self._made, self._rate = made, rate
        self._kept: OrderedDict[int, Samples] = OrderedDict()

    def fetch(self, start: int, end: int) -> Samples:
        """The samples from one number to another, of any sign."""
        numbers = range(start // self._rate, -(-end // self._rate))
        if not numbers:
            return np.empty(0, np.int16)
        skip = start - numbers[0] * self._rate
        return np.concatenate([self._block(n) for n in numbers])[skip : skip + end - start]

    def _block(self, number: int) -> Samples:
        block = self._kept.pop(number, None)
        if block is None:
            block = self._made(number)
        self._kept[number] = block
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return block
