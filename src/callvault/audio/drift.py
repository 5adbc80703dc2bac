"""How fast a sender's clock really runs, told from when its frames came in."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from callvault.audio.clock import SECOND_US
from callvault.domain.lane import Anchor

Places = NDArray[np.float64]

TOLERATED_PPM: Final = 50.0
"""A clock that is this near to ours is taken to be ours."""

_BINS: Final = 512
_FEWEST_BINS: Final = 8
_SHORTEST_PIECE: Final = 16
_GUARD: Final = 2
"""Bins left out beside a change of rate, for they may hold frames from its other side."""
_UNEVEN_US: Final = 5_000
"""How much lateness above its floor is put down to the network before the rate is taken to have changed."""
_DEEPEST: Final = 3
_PLAINLY: Final = 0.6
_SANE_PPM: Final = 10_000.0
_NEVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Drift:
    """A positive ppm is a sender whose clock runs fast."""

    ppm: float
    confidence: float
    """From 0, nothing is known, to 1, where the error is far below what is tolerated."""
    anchors: tuple[Anchor, ...]
    """For the lane; none where its clock is as good as ours or too little is known."""


class ClockFit:
    """Takes in which sample came when, in constant memory, and tells the sender's clock.

    A frame is never early: it is late by the network's delay, which is at least something and now and then much
    more. What the least late frames say is the clock, so the fit is a line below all of them. Of each stretch of the
    lane the least late frame alone is kept; when the stretches run out, each becomes twice as long.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._width = rate
        self._first: int | None = None
        self._sample = np.zeros(_BINS, np.int64)
        self._late_us = np.full(_BINS, _NEVER, np.int64)

    def add(self, media_sample: ArrayLike, arrived_us: ArrayLike) -> None:
        """Frames' first samples and when they came in, one of each or arrays of one length, in any order."""
        samples = np.atleast_1d(np.asarray(media_sample, np.int64))
        late = np.atleast_1d(np.asarray(arrived_us, np.int64)) - samples * SECOND_US // self.rate
        if not len(samples):
            return
        if self._first is None:
            self._first = int(samples.min())
        while int(samples.max()) - self._first >= _BINS * self._width:
            self._widen()
        at = np.clip((samples - self._first) // self._width, 0, None)
        falling = np.argsort(-late, kind="stable")
        falling = falling[late[falling] < self._late_us[at[falling]]]
        self._late_us[at[falling]], self._sample[at[falling]] = late[falling], samples[falling]

    def drift(self) -> Drift:
        known = self._late_us != _NEVER
        samples, late = self._sample[known].astype(np.float64), self._late_us[known].astype(np.float64)
        if self._first is None or len(samples) < _FEWEST_BINS:
            return Drift(0.0, 0.0, ())
        seconds = samples / self.rate
        lines = _lines(seconds, late, _DEEPEST)
        knots = _knots(lines, self._first / self.rate)
        ppm = _ppm((knots[-1][1] - knots[0][1]) / (knots[-1][0] - knots[0][0]))
        doubt = 2 * max(line.doubt_us for line in lines) / (seconds[-1] - seconds[0])
        confidence = max(0.0, 1.0 - doubt / TOLERATED_PPM)
        off = max(abs(_ppm(line.slope)) for line in lines)
        wrong = TOLERATED_PPM < off < _SANE_PPM and confidence >= 0.5
        return Drift(round(ppm, 3), round(confidence, 3), self._anchors(knots) if wrong else ())

    def anchors(self) -> tuple[Anchor, ...]:
        return self.drift().anchors

    def _widen(self) -> None:
        late, sample = self._late_us.reshape(-1, 2), self._sample.reshape(-1, 2)
        least = late.argmin(axis=1)[:, None]
        self._late_us, self._sample = np.full(_BINS, _NEVER, np.int64), np.zeros(_BINS, np.int64)
        self._late_us[: _BINS // 2] = np.take_along_axis(late, least, 1)[:, 0]
        self._sample[: _BINS // 2] = np.take_along_axis(sample, least, 1)[:, 0]
        self._width *= 2

    def _anchors(self, knots: list[tuple[float, float]]) -> tuple[Anchor, ...]:
        """The lane begins where it was put; from there it goes as its clock went."""
        at_start = knots[0][1]
        return tuple(
            Anchor(sample=round(second * self.rate), clock_us=round(second * SECOND_US + late - at_start))
            for second, late in knots
        )


@dataclass(frozen=True, slots=True)
class _Line:
    """Lateness in µs over media seconds: `late` at `start`, rising by `slope`."""

    start: float
    end: float
    late: float
    slope: float
    above_us: float
    """How far the least late frames lie above it, on the whole."""
    doubt_us: float
    """How far the better half of them do."""

    def at(self, second: float) -> float:
        return self.late + (second - self.start) * self.slope


def _ppm(slope: float) -> float:
    """From how much longer than a second its second lasts."""
    return (1 / (1 + slope / SECOND_US) - 1) * 1e6


def _lines(seconds: Places, late: Places, deepest: int) -> list[_Line]:
    """One line, or two and more where the clock's rate has plainly changed."""
    whole = _floor(seconds, late)
    if deepest == 0 or whole.above_us < _UNEVEN_US or len(seconds) < 2 * _SHORTEST_PIECE:
        return [whole]
    cut = _best_cut(seconds, late)
    left = _lines(seconds[: cut - _GUARD], late[: cut - _GUARD], deepest - 1)
    right = _lines(seconds[cut + _GUARD :], late[cut + _GUARD :], deepest - 1)
    parts = left + right
    above = np.average([part.above_us for part in parts], weights=[part.end - part.start for part in parts])
    return parts if above < whole.above_us * _PLAINLY else [whole]


def _best_cut(seconds: Places, late: Places) -> int:
    """Where two lines lie nearest to the frames: sought in great steps first, then in ever smaller ones."""

    def above(cut: int) -> float:
        left, right = (
            _floor(seconds[: cut - _GUARD], late[: cut - _GUARD]),
            _floor(seconds[cut + _GUARD :], late[cut + _GUARD :]),
        )
        return left.above_us * cut + right.above_us * (len(late) - cut)

    lowest, highest = _SHORTEST_PIECE, len(seconds) - _SHORTEST_PIECE
    step = max((highest - lowest) // 16, 1)
    best = min(range(lowest, highest + 1, step), key=above)
    while step := step // 2:
        best = min((max(best - step, lowest), best, min(best + step, highest)), key=above)
    return best


def _meeting(left: _Line, right: _Line) -> float:
    """Where two lines meet; between them, when they do not meet within their reach."""
    apart = left.slope - right.slope
    meet = left.start + (right.at(left.start) - left.late) / apart if apart else left.start
    return meet if left.start < meet < right.end else (left.end + right.start) / 2


def _floor(seconds: Places, late: Places) -> _Line:
    """The line below all points that is nearest to them: the side of their lower hull that is under their middle."""
    hull: list[tuple[float, float]] = []
    for x, y in zip(seconds.tolist(), late.tolist(), strict=True):
        while len(hull) > 1 and _turns_down(hull[-2], hull[-1], (x, y)):
            hull.pop()
        hull.append((x, y))
    middle = float(seconds.mean())
    side = next(n for n in range(1, len(hull)) if hull[n][0] >= middle)
    (x0, y0), (x1, y1) = hull[side - 1], hull[side]
    slope = (y1 - y0) / (x1 - x0)
    start = float(seconds[0])
    late_at_start = y0 + (start - x0) * slope
    above = late - late_at_start - (seconds - start) * slope
    return _Line(start, float(seconds[-1]), late_at_start, slope, float(above.mean()), float(np.median(above)))


def _turns_down(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) <= (c[0] - a[0]) * (b[1] - a[1])


def _knots(lines: list[_Line], first: float) -> list[tuple[float, float]]:
    """When the clock stood how late: at the lane's first sample, where lines meet, and at the last frame."""
    knots = [(first, lines[0].at(first))]
    for left, right in pairwise(lines):
        meet = _meeting(left, right)
        if meet > knots[-1][0]:
            knots.append((meet, (left.at(meet) + right.at(meet)) / 2))
    return [*knots, (lines[-1].end, lines[-1].at(lines[-1].end))]
