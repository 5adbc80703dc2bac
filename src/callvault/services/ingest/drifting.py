"""A lane's drift while it is streamed: one fit for each stream, told together as the lane's anchors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from callvault.audio.clock import SECOND_US, LaneClock
from callvault.audio.drift import ClockFit, Drift
from callvault.domain.lane import Anchor, Lane
from callvault.ports.spool import Piece

WORTH_US = 1_000
"""A lane that was put right is put right anew when its end moved by so much."""
FIRST_WORTH_US = 3_000
"""And for the first time by so much: less may as well be the load of a machine, and two lanes that are left alone stay
within 10 ms of each other."""
WORTH_PPM = 1.0
WORTH_CONFIDENCE = 0.05
"""What is told of a clock is told anew when it differs by so much."""


@dataclass(slots=True)
class _Stream:
    """What one sender's clock did from its first sample to its last."""

    fit: ClockFit
    first: int
    end: int
    drift: Drift | None = None
    """As it was told last, while nothing was heard since: of a call whose sender came again a thousand times, nearly
    all streams are over."""

    def told(self) -> Drift:
        self.drift = self.drift or self.fit.drift()
        return self.drift


@dataclass(slots=True)
class LaneDrift:
    streams: dict[int, _Stream] = field(default_factory=dict)
    """By the number under which a stream's sound is stored."""

    def heard(self, pieces: Iterable[Piece]) -> None:
        """Frames with the times at which they came in."""
        by_stream: dict[int, list[Piece]] = {}
        for piece in pieces:
            if piece.arrived_us is not None:
                by_stream.setdefault(piece.take, []).append(piece)
        for number, timed in by_stream.items():
            starts, end = [p.start for p in timed], max(p.start + p.samples for p in timed)
            stream = self.streams.setdefault(number, _Stream(ClockFit(timed[0].rate), min(starts), end))
            stream.first, stream.end = min(stream.first, *starts), max(stream.end, end)
            stream.fit.add(np.array(starts), np.array([p.arrived_us for p in timed]))
            stream.drift = None

    def fitted(self, lane: Lane) -> Lane | None:
        """The lane with what is known now of its clock; None when that is what it says already."""
        streams = sorted(self.streams.values(), key=lambda stream: stream.first)
        if not streams:
            return None
        drifts = [stream.told() for stream in streams]
        longest = max(zip(streams, drifts, strict=True), key=lambda pair: pair[0].end - pair[0].first)[1]
        anchors = _anchors(lane, streams, drifts)
        if anchors == lane.anchors and _is_told(lane, longest):
            return None
        return with_drift(lane, anchors, longest.ppm, longest.confidence)


def _anchors(lane: Lane, streams: Sequence[_Stream], drifts: Sequence[Drift]) -> tuple[Anchor, ...]:
    """Those that it has, when they are as good as any."""
    if not any(drift.anchors for drift in drifts):
        return lane.anchors
    found = list(_before(lane.anchors, streams[0].first))
    for stream, drift in zip(streams, drifts, strict=True):
        found += drift.anchors or _steady(stream, lane.rate)
    rising = tuple(_rising(found))
    end = max(stream.end for stream in streams)
    moved_us = abs(LaneClock(lane.rate, rising).us_at(end) - LaneClock(lane.rate, lane.anchors).us_at(end))
    return rising if moved_us >= (WORTH_US if lane.anchors else FIRST_WORTH_US) else lane.anchors


def _is_told(lane: Lane, drift: Drift) -> bool:
    near = abs(drift.ppm - lane.drift_ppm) < WORTH_PPM
    return near and abs(drift.confidence - lane.drift_confidence) < WORTH_CONFIDENCE


def with_drift(lane: Lane, anchors: Sequence[Anchor], ppm: float, confidence: float) -> Lane:
    return replace(lane, anchors=tuple(anchors), drift_ppm=ppm, drift_confidence=confidence, version=lane.version + 1)


def _before(anchors: Sequence[Anchor], first: int) -> Sequence[Anchor]:
    """What an earlier run of the program found out; without any, the lane went with our clock until then."""
    known = [anchor for anchor in anchors if anchor.sample < first]
    return known or ([Anchor(sample=0, clock_us=0)] if first > 0 else [])


def _steady(stream: _Stream, rate: int) -> tuple[Anchor, ...]:
    return tuple(Anchor(sample=n, clock_us=n * SECOND_US // rate) for n in (stream.first, stream.end))


def _rising(anchors: Iterable[Anchor]) -> list[Anchor]:
    rising: list[Anchor] = []
    for anchor in anchors:
        if not rising or (anchor.sample > rising[-1].sample and anchor.clock_us > rising[-1].clock_us):
            rising.append(anchor)
    return rising
