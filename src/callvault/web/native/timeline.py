"""The timeline as it is told: lanes, spans, overlaps, and how each sender's clock ran."""

from fastapi import APIRouter

from callvault.domain.access import Action
from callvault.domain.lane import Span as Decided
from callvault.services.delivery.surveys import LaneSurvey
from callvault.web.auth import Visiting, needs
from callvault.web.native.problems import PROBLEMS
from callvault.web.native.spelling import Told, seconds

router = APIRouter(prefix="/api/v1", tags=["sound out"], responses=PROBLEMS)


class SpanOut(Told):
    kind: str
    """`sound`, `silence`, `loss` or `pause`."""
    start: float
    """Seconds from the start of the call."""
    end: float


class OverlapOut(Told):
    start: float
    end: float


class LaneOut(Told):
    name: str
    role: str
    participant: str | None
    rate: int
    spans: list[SpanOut]
    """One behind the other, from the start of the call to its end."""
    overlaps: list[OverlapOut]
    """Where takes lay over each other: the one with the higher number is heard."""
    lost: float
    """Seconds."""
    drift_ppm: float
    """How much faster the sender's clock ran than ours."""
    drift_confidence: float


class PauseOut(Told):
    start: float
    end: float | None
    mode: str
    reason: str
    actor: str
    lane: str | None
    created: float


class TimelineOut(Told):
    recording_id: str
    duration: float
    lanes: list[LaneOut]
    pauses: list[PauseOut]


@router.get("/recordings/{id}/timeline")
@needs(Action.READ_RECORDING)
async def get_timeline(id: str, visit: Visiting, live: bool = False) -> TimelineOut:
    """Of the original: what was edited later does not show in it."""
    recording = await visit.services.recordings.retrieve(visit.caller, id)
    if recording.edits.clips:
        recording = await visit.services.recordings.retrieve(visit.caller, recording.edits.clips[0].recording_id)
    survey = await visit.services.delivery.surveys.of(recording, live=live or recording.in_progress)
    return TimelineOut(
        recording_id=recording.id,
        duration=survey.length_us / 1_000_000,
        lanes=[_lane(lane) for lane in survey.lanes],
        pauses=[_pause(span) for span in survey.timeline.spans if span.kind == "pause"],
    )


def _lane(survey: LaneSurvey) -> LaneOut:
    lane = survey.lane
    return LaneOut(
        name=lane.name,
        role=lane.role,
        participant=lane.participant_id,
        rate=lane.rate,
        spans=[SpanOut(kind=kind, start=start / 1e6, end=end / 1e6) for kind, start, end in survey.spans],
        overlaps=[OverlapOut(start=start / 1e6, end=end / 1e6) for start, end in survey.overlaps],
        lost=survey.lost_us / 1e6,
        drift_ppm=lane.drift_ppm,
        drift_confidence=lane.drift_confidence,
    )


def _pause(span: Decided) -> PauseOut:
    return PauseOut(
        start=span.start_us / 1e6,
        end=None if span.end_us is None else span.end_us / 1e6,
        mode=span.mode,
        reason=span.reason,
        actor=span.actor,
        lane=span.lane,
        created=seconds(span.created_ms) or 0,
    )
