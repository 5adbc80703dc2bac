"""Waveforms: the lowest and highest of every 64 samples, and every coarser picture made of those alone."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from callvault.audio.timeline import Bounds

Samples = NDArray[np.int16]
Peaks = NDArray[np.int16]
"""Rows of (lowest, highest)."""

CELL: Final = 64
"""Samples that a fine peak stands for; cells lie on a lane's absolute grid, so segments' peaks fit together."""

_LOWEST, _HIGHEST = -32_768, 32_767


def fine(samples: Samples, first_sample: int) -> Peaks:
    """The peaks of every cell that the samples touch, the first and last from as much of them as there is."""
    if not len(samples):
        return np.empty((0, 2), np.int16)
    heads = np.r_[0, np.arange(CELL - first_sample % CELL, len(samples), CELL)]
    return np.stack((np.minimum.reduceat(samples, heads), np.maximum.reduceat(samples, heads)), axis=1)


def merged(parts: Sequence[tuple[int, Peaks]]) -> tuple[int, Peaks]:
    """Peaks that begin at the given cells as one row from the first on; where parts meet in a cell, of both."""
    if not parts:
        return 0, np.empty((0, 2), np.int16)
    first = min(cell for cell, _ in parts)
    last = max(cell + len(peaks) for cell, peaks in parts)
    picture = Envelope(last - first)
    for cell, peaks in parts:
        picture.lay(cell - first, peaks)
    return first, picture.peaks()


class Envelope:
    """A row of points, each of which takes in any number of peaks; one that took in none is silence."""

    def __init__(self, points: int) -> None:
        self._low = np.full(points, _HIGHEST, np.int16)
        self._high = np.full(points, _LOWEST, np.int16)

    def lay(self, first: int, peaks: Peaks) -> None:
        at = slice(first, first + len(peaks))
        np.minimum(self._low[at], peaks[:, 0], out=self._low[at])
        np.maximum(self._high[at], peaks[:, 1], out=self._high[at])

    def lay_scaled(self, first: int, edges: NDArray[np.float64], cell: int, peaks: Peaks) -> None:
        """Peaks that begin at a cell, on points of which number `first + n` reaches from cell `edges[n]` to the next.

        A cell counts for the point that its middle lies in, so that together points are as wide as they say; one that
        no cell's middle lies in has the cell that its own middle lies in.
        """
        start = max(int(np.searchsorted(edges, cell, side="right")) - 1, 0)
        end = int(np.searchsorted(edges, cell + len(peaks), side="left"))
        near = edges[start : end + 1] - cell
        borders = np.ceil(near - 0.5).astype(np.int64)
        middles = np.floor((near[:-1] + near[1:]) / 2).astype(np.int64)
        narrow = borders[:-1] == borders[1:]
        lows = np.clip(np.where(narrow, middles, borders[:-1]), 0, len(peaks))
        highs = np.clip(np.where(narrow, middles + 1, borders[1:]), 0, len(peaks))
        ranges = np.stack((lows, highs), axis=1)[lows < highs]
        if not len(ranges):
            return
        padded = np.concatenate((peaks, peaks[-1:]))
        low = np.minimum.reduceat(padded[:, 0], ranges.ravel())[::2]
        high = np.maximum.reduceat(padded[:, 1], ranges.ravel())[::2]
        self.lay(first + start + int(np.argmax(lows < highs)), np.stack((low, high), axis=1))

    def peaks(self) -> Peaks:
        empty = self._low > self._high
        return np.where(empty[:, None], np.int16(0), np.stack((self._low, self._high), axis=1))


def summed(lanes: Sequence[Peaks], points: int) -> Peaks:
    """What lanes together can reach at most: the picture of their mix, told without its sound."""
    total = np.zeros((points, 2), np.int32)
    for lane in lanes:
        total += lane
    return np.clip(total, _LOWEST, _HIGHEST).astype(np.int16)


def without(peaks: Peaks, cell: int, stretches: Bounds) -> Peaks:
    """Peaks that begin at a cell, flat wherever a cell lies in one of the stretches of samples, even in part."""
    flat = peaks.copy()
    flat[_touched(len(peaks), cell, stretches)] = 0
    return flat


def only(peaks: Peaks, cell: int, stretches: Bounds) -> Peaks:
    """Peaks that begin at a cell, with those that touch none of the stretches of samples made to count for nothing."""
    counting = peaks.copy()
    counting[~_touched(len(peaks), cell, stretches)] = (_HIGHEST, _LOWEST)
    return counting


def _touched(count: int, cell: int, stretches: Bounds) -> NDArray[np.bool_]:
    first = np.clip(stretches[:, 0] // CELL - cell, 0, count)
    last = np.clip(-(-stretches[:, 1] // CELL) - cell, 0, count)
    change = np.bincount(first, minlength=count + 1) - np.bincount(last, minlength=count + 1)
    return np.asarray(np.cumsum(change)[:count] > 0)


def loud(peaks: Peaks, cell: int, floor: int) -> Bounds:
    """The stretches of samples whose peaks are above the floor, peaks beginning at a cell."""
    above = np.maximum(-(peaks[:, 0].astype(np.int32)), peaks[:, 1]) > floor
    changes = np.flatnonzero(np.diff(np.r_[False, above, False].astype(np.int8)))
    return (changes.reshape(-1, 2) + cell) * CELL
