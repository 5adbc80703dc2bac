"""The timeline as it is told: lanes, spans, overlaps, and how each sender's clock ran."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.responses import Response

from callvault.audio.edits import Stretch
from callvault.domain.access import Action
from callvault.domain.errors import Refused
from callvault.domain.lane import Span as Decided
from callvault.domain.recording import Mask, Recording
from callvault.services.delivery.surveys import LaneSurvey, Survey
from callvault.services.timelines import Sound, Timeline
from callvault.web.auth import Visiting, needs
from callvault.web.native.problems import PROBLEMS
from callvault.web.native.spelling import Told, seconds
from callvault.web.visit import Visit

router = APIRouter(prefix="/api/v1", tags=["sound out"], responses=PROBLEMS)
QUICK_SPANS = 200
"""Up to so many are written more quickly than a thread is asked to."""


@dataclass(slots=True)
class SpanOut:
    kind: str
    """`sound`, `silence`, `loss` or `pause`."""
    start: float
    """Seconds from the start of the call."""
    end: float


@dataclass(slots=True)
class OverlapOut:
    start: float
    end: float


class LaneOut(Told):
    name: str
    role: str
    participant: str | None
    rate: int
    spans: Iterable[SpanOut]
    """One behind the other, from the start of the call to its end."""
    overlaps: Iterable[OverlapOut]
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


class HeardOut(Told):
    recording_id: str
    """On whose clock it lies: that of an original."""
    call_id: str
    """Whose transcript has its words."""
    start: float
    end: float
    begins: float
    """Where on that clock the original's first sound lies: of a call that was recorded in parts, what was said before
    is heard in others."""


class MaskOut(Told):
    start: float
    end: float
    lane: str | None
    """None for all."""
    method: str


class TimelineOut(Told):
    recording_id: str
    """Of the original that lanes and pauses are of; their times, and those of the transcript, are on its clock."""
    duration: float
    lanes: list[LaneOut]
    pauses: list[PauseOut]
    heard: list[HeardOut]
    """What the asker hears of the recording that was asked for, one stretch behind the other: without what a pause left
    out or an edit cut."""
    masks: list[MaskOut]
    """What is covered in that, in seconds from its own start."""


@router.get("/recordings/{id}/timeline", response_model=TimelineOut)
@needs(Action.READ_RECORDING)
async def get_timeline(id: str, visit: Visiting, live: bool = False) -> Response:
    """Of the original: what was edited later shows in `heard` alone."""
    asked = recording = await visit.services.recordings.retrieve(visit.caller, id)
    if recording.edits.clips:
        recording = await visit.services.recordings.retrieve(visit.caller, recording.edits.clips[0].recording_id)
    live = live or recording.in_progress
    survey = await visit.services.delivery.surveys.of(recording, live=live)
    sound = await _heard(visit, asked, live)
    spans = len(survey.timeline.spans) + sum(len(lane.spans) + len(lane.overlaps) for lane in survey.lanes)
    quick = spans + (len(sound.stretches) + len(sound.masks) if sound else 0) <= QUICK_SPANS
    body = _written(survey, sound) if quick else await asyncio.to_thread(_written, survey, sound)
    return Response(body, media_type="application/json")


def _written(survey: Survey, sound: Sound | None) -> str:
    """Spans are made one by one while they are written: other threads run in between, and none of them is kept."""
    begins = {timeline.recording_id: timeline.begin_us for timeline in sound.timelines} if sound else {}
    told = TimelineOut(
        recording_id=survey.timeline.recording_id,
        duration=survey.length_us / 1_000_000,
        lanes=[_lane(lane) for lane in survey.lanes],
        pauses=[_pause(span) for span in survey.timeline.spans if span.kind == "pause"],
        heard=[_stretch(stretch, begins) for stretch in sound.stretches] if sound else [],
        masks=[_mask(mask) for mask in sound.masks] if sound else [],
    )
    return told.model_dump_json()


async def _heard(visit: Visit, asked: Recording, live: bool) -> Sound | None:
    """None for those who may hear none of it."""
    try:
        recording = await visit.services.recordings.heard(visit.caller, asked.id, Action.READ_RECORDING)
    except Refused:
        return None
    return await visit.services.delivery.surveys.heard(recording, live=live)


def _stretch(heard: Stretch[Timeline], begins: Mapping[str, int]) -> HeardOut:
    original = heard.timeline
    return HeardOut(
        recording_id=original.recording_id,
        call_id=original.call_id,
        start=heard.start_us / 1e6,
        end=heard.end_us / 1e6,
        begins=begins[original.recording_id] / 1e6,
    )


def _mask(mask: Mask) -> MaskOut:
    return MaskOut(start=mask.start_us / 1e6, end=mask.end_us / 1e6, lane=mask.lane, method=mask.method)


def _lane(survey: LaneSurvey) -> LaneOut:
    lane = survey.lane
    return LaneOut(
        name=lane.name,
        role=lane.role,
        participant=lane.participant_id,
        rate=lane.rate,
        spans=(SpanOut(kind, start / 1e6, end / 1e6) for kind, start, end in survey.spans),
        overlaps=(OverlapOut(start / 1e6, end / 1e6) for start, end in survey.overlaps),
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
