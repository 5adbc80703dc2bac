"""The call's clock and a lane's own: samples, frames and microseconds, converted in whole numbers."""

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from callvault.domain.lane import Anchor

SECOND_US = 1_000_000


def frame_at(at_us: int, rate: int) -> int:
    """The last frame that begins no later than a time."""
    return at_us * rate // SECOND_US


def frames_until(end_us: int, rate: int) -> int:
    """How many frames it takes to reach a time."""
    return -(-end_us * rate // SECOND_US)


class LaneClock:
    """Where a lane's samples lie on the call's clock: sample n at n/rate seconds, unless anchors say otherwise."""

    def __init__(self, rate: int, anchors: Sequence[Anchor] = ()) -> None:
        self.rate = rate
        if len(anchors) == 1:
            only = anchors[0]
            anchors = (only, Anchor(sample=only.sample + rate, clock_us=only.clock_us + SECOND_US))
        self._samples = [a.sample for a in anchors]
        self._us = [a.clock_us for a in anchors]

    @property
    def is_steady(self) -> bool:
        return not self._samples

    def us_at(self, sample: int) -> int:
        """When a sample sounds, rounded up, so that a lane's last sample is never beyond its end."""
        if self.is_steady:
            return -(-sample * SECOND_US // self.rate)
        n = self._stretch(self._samples, sample)
        samples, us = self._samples[n + 1] - self._samples[n], self._us[n + 1] - self._us[n]
        return self._us[n] - (self._samples[n] - sample) * us // samples

    def times(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        """The same of many samples."""
        if self.is_steady:
            return -(-samples * SECOND_US // self.rate)
        return np.array([self.us_at(sample) for sample in samples.tolist()], np.int64)

    def sample_at(self, at_us: int) -> int:
        """The last sample that begins no later than a time."""
        if self.is_steady:
            return at_us * self.rate // SECOND_US
        n = self._stretch(self._us, at_us)
        samples, us = self._samples[n + 1] - self._samples[n], self._us[n + 1] - self._us[n]
        return self._samples[n] + (at_us - self._us[n]) * samples // us

    def frames(self, end_sample: int, rate: int) -> int:
        """How many frames of a view at `rate` it takes to hold the lane up to a sample."""
        if self.is_steady:
            return -(-end_sample * rate // self.rate)
        return frames_until(self.us_at(end_sample), rate)

    def positions(self, frames: NDArray[np.int64], rate: int) -> NDArray[np.float64]:
        """For frames of a view at `rate`, where in the lane (in its samples) each of them is heard."""
        if self.is_steady:
            return frames * self.rate / rate
        samples, us = np.array(self._samples, np.float64), np.array(self._us, np.float64)
        times = frames * SECOND_US / rate
        stretch = np.searchsorted(us[1:-1], times, side="right")
        slope = np.diff(samples) / np.diff(us)
        return np.asarray(samples[stretch] + (times - us[stretch]) * slope[stretch])

    @staticmethod
    def _stretch(points: list[int], at: int) -> int:
        """Between which two points a value lies; beyond the outer ones their neighbours' slope goes on."""
        return bisect_right(points, at, 1, len(points) - 1) - 1
