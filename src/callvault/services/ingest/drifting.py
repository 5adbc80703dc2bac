"""A lane's drift while it is streamed: one fit for each stream, told together as the lane's anchors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from callvault.audio.clock import SECOND_US, LaneClock
from callvault.audio.drift import ClockFit
from callvault.domain.lane import Anchor, Lane
from callvault.ports.spool import Piece

WORTH_US = 1_000
"""A lane is written anew when its end moved by so much."""


@dataclass(slots=True)
class _Stream:
    """What one sender's clock did from its first sample to its last."""

    fit: ClockFit
    first: int
    end: int


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

    def fitted(self, lane: Lane) -> Lane | None:
        """The lane with what is known now of its clock; None when that is what it says already."""
        streams = sorted(self.streams.values(), key=lambda stream: stream.first)
        drifts = [stream.fit.drift() for stream in streams]
        if not any(drift.anchors for drift in drifts):
            return None
        anchors = list(_before(lane.anchors, streams[0].first))
        for stream, drift in zip(streams, drifts, strict=True):
            anchors += drift.anchors or _steady(stream, lane.rate)
        fitted = _rising(anchors)
        end = max(stream.end for stream in streams)
        if abs(LaneClock(lane.rate, fitted).us_at(end) - LaneClock(lane.rate, lane.anchors).us_at(end)) < WORTH_US:
            return None
        longest = max(zip(streams, drifts, strict=True), key=lambda pair: pair[0].end - pair[0].first)[1]
        return with_drift(lane, fitted, longest.ppm, longest.confidence)


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
