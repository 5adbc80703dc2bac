"""A recording that takes in sound: paused, resumed, completed."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from callvault.domain.access import Action
from callvault.services.ingest.pauses import LONGEST_SECONDS, REASON_MAX
from callvault.web.auth import Visiting, needs
from callvault.web.native.describing import told
from callvault.web.native.problems import PROBLEMS
from callvault.web.native.recordingschemas import CallRecording
from callvault.web.native.spelling import Asked

router = APIRouter(prefix="/api/v1", tags=["sound in"], responses=PROBLEMS)
At = Annotated[float, Field(ge=0, le=2 * LONGEST_SECONDS, description="Seconds from the start of the call; else now.")]


class Pause(Asked):
    mode: Literal["skip", "silence"] = "silence"
    reason: Annotated[str, Field(max_length=REASON_MAX)] = ""
    resume_after: Annotated[float, Field(gt=0, le=LONGEST_SECONDS, description="Seconds.")] | None = None
    at: At | None = None


class Resumption(Asked):
    at: At | None = None


@router.post("/recordings/{id}/pause")
@needs(Action.WRITE_SOUND)
async def pause_recording(id: str, visit: Visiting, asked: Pause | None = None) -> CallRecording:
    """What is said from now on is not stored at all; that there is a pause, why and by whom, is."""
    asked = asked or Pause()
    paused = await visit.services.intake.pauses.pause(
        visit.caller,
        id.lower(),
        mode=asked.mode,
        reason=asked.reason,
        resume_after=asked.resume_after,
        at_us=_us(asked.at),
    )
    return await told(visit, paused)


@router.post("/recordings/{id}/resume")
@needs(Action.WRITE_SOUND)
async def resume_recording(id: str, visit: Visiting, asked: Resumption | None = None) -> CallRecording:
    at_us = _us(asked.at) if asked else None
    return await told(visit, await visit.services.intake.pauses.resume(visit.caller, id.lower(), at_us=at_us))


@router.post("/recordings/{id}/complete")
@needs(Action.WRITE_SOUND)
async def complete_recording(id: str, visit: Visiting) -> CallRecording:
    """Nothing more is taken in. It is `completed` at once, or soon after when the storage is slow or an uploaded file
    waits to be taken in; doing it again changes nothing."""
    recording = await visit.services.recordings.retrieve(visit.caller, id, Action.WRITE_SOUND)
    if recording.in_progress and await visit.services.uploads.complete_later(recording.id):
        return await told(visit, recording)
    return await told(visit, await visit.services.intake.completion.complete(visit.caller, recording.id))


def _us(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1_000_000)
