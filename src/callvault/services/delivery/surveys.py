"""Surveys: what is known of a timeline, lane by lane: talk, silence, loss, pause, overlaps, and how the clock ran."""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from callvault.audio.peaks import loud
from callvault.audio.silence import FLOOR, talk
from callvault.audio.spans import Span, laid, seen
from callvault.audio.timeline import Bounds, between, joined
from callvault.domain.lane import Lane
from callvault.domain.lane import Span as Decided
from callvault.domain.recording import Recording
from callvault.services.delivery.finepeaks import fine_peaks
from callvault.services.delivery.views import Views
from callvault.services.timelines import LaneTimeline, Sound, Timeline

SPANS_MAX: Final = 20_000
"""Of a lane that is in more pieces than this, gaps are told together with their neighbours."""


@dataclass(frozen=True, slots=True)
class LaneSurvey:
    lane: Lane
    spans: list[Span]
    """`sound`, `silence`, `loss` and `pause`, in microseconds of the call's clock, without a hole from its start to its
    end. What comes before a lane's first sound and behind its last one is silence, what is missing between is loss."""
    overlaps: list[tuple[int, int]]
    """Where takes lay over each other, in microseconds."""
    lost_us: int


@dataclass(frozen=True, slots=True)
class Survey:
    timeline: Timeline
    length_us: int
    lanes: list[LaneSurvey]


class Surveys:
    def __init__(self, views: Views) -> None:
        self._views = views

    async def of(self, recording: Recording, *, live: bool = False) -> Survey:
        """Of the recording's own timeline: edits show in no survey."""
        timeline = await self._views.timelines.timeline(recording, live=live)
        return await asyncio.to_thread(self._survey, timeline)

    def heard(self, recording: Recording, *, live: bool = False) -> Awaitable[Sound]:
        """What of which timelines is heard in it, and what lies over that."""
        return self._views.timelines.sound(recording, live=live)

    def _survey(self, timeline: Timeline) -> Survey:
        length = timeline.length_us
        lanes = [self._lane(lane, timeline.spans, length) for lane in timeline.lanes]
        return Survey(timeline, length, lanes)

    def _lane(self, lane: LaneTimeline, decided: Iterable[Decided], length_us: int) -> LaneSurvey:
        there = lane.layout.sound()
        pauses = _pauses(lane, decided)
        whole = np.array([[0, max(lane.clock.sample_at(length_us), lane.layout.end)]])
        missing = between(there, int(there[0, 0]), lane.layout.end) if len(there) else there
        shown = _fewer(missing)
        spans = laid([("silence", whole), ("sound", self._talk(lane)), ("loss", shown), ("pause", pauses)])
        numbers, bounds = seen([missing, pauses])
        lost = lane.clock.times(bounds[numbers == 0].ravel()).reshape(-1, 2)
        us_at = lane.clock.us_at
        return LaneSurvey(
            lane.lane,
            [(kind, us_at(start), us_at(end)) for kind, start, end in spans],
            [(us_at(start), us_at(end)) for start, end in _fewer(lane.layout.overlaps).tolist()],
            int((lost[:, 1] - lost[:, 0]).sum()),
        )

    def _talk(self, lane: LaneTimeline) -> Bounds:
        found = [loud(peaks, cell, FLOOR) for cell, peaks in fine_peaks(lane, self._views.blobs, self._views.takes)]
        bounds = np.concatenate(found) if found else np.empty((0, 2), np.int64)
        # Peaks end with their cell, sound ends where it ends.
        bounds = np.minimum(bounds[np.argsort(bounds[:, 0], kind="stable")], lane.layout.end)
        return talk(bounds, lane.lane.rate)


def _pauses(lane: LaneTimeline, decided: Iterable[Decided]) -> Bounds:
    clock, name = lane.clock, lane.lane.name
    bounds = [
        (clock.sample_at(span.start_us), clock.sample_at(span.end_us))
        for span in decided
        if span.kind == "pause" and span.lane in (None, name) and span.end_us is not None
    ]
    return joined(np.array(sorted(bounds), np.int64).reshape(-1, 2))


def _fewer(bounds: Bounds) -> Bounds:
    """No more stretches than can be told, those that are nearest to each other taken as one."""
    apart = 1
    while len(bounds) > SPANS_MAX:
        bounds, apart = joined(bounds, apart), apart * 2
    return bounds
