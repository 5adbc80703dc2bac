"""What can be done to a recording: each verb makes a new version beside what it was made of."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import AliasChoices, Field
from starlette.requests import Request
from starlette.responses import Response

from callvault.domain.access import Action
from callvault.domain.recording import Recording
from callvault.services.actions.compress import BITS_MAX, BITS_MIN
from callvault.services.actions.merge import MOST
from callvault.services.actions.redact import Secret
from callvault.web.auth import Visiting, needs
from callvault.web.native.describing import listed
from callvault.web.native.once import IdempotencyKey, once
from callvault.web.native.problems import PROBLEMS
from callvault.web.native.recordingschemas import CallRecording
from callvault.web.native.spelling import Asked
from callvault.web.visit import Visit

router = APIRouter(prefix="/api/v1", tags=["actions"], responses=PROBLEMS)
LONGEST = 10 * 365 * 86_400
SPANS_MAX = 500
Seconds = Annotated[float, Field(ge=0, le=LONGEST, description="Seconds of the recording as it is heard.")]
Channels = Annotated[Literal[1, 2] | None, Field(description="None for as many as there are sides.")]
Id = Annotated[str, Field(max_length=100)]


class TrimRequest(Asked):
    start: Seconds = 0
    end: Annotated[Seconds | None, Field(description="None for the recording's end.")] = None


class MergeRequest(Asked):
    recordings: Annotated[list[Id], Field(min_length=1, max_length=MOST - 1, description="In order, behind this one.")]


class SpanIn(Asked):
    start: Seconds
    end: Seconds
    lane: Annotated[str | None, Field(max_length=100, description="None for all lanes.")] = None
    kind: Annotated[str, Field(max_length=40, description="What it hides: `card`, `name` ...")] = ""

    def secret(self) -> Secret:
        return Secret(start_us=micros(self.start), end_us=micros(self.end), lane=self.lane, kind=self.kind)


class RedactionRequest(Asked):
    spans: Annotated[list[SpanIn], Field(max_length=SPANS_MAX)] = Field(default_factory=list)
    method: Annotated[
        Literal["silence", "beep", "deletion"], Field(validation_alias=AliasChoices("method", "redactionType"))
    ] = "silence"


class ConversionRequest(Asked):
    format: Literal["wav", "mp3", "ogg", "m4a", "flac"]
    rate: Annotated[int, Field(ge=0, le=192_000, description="0 for the best there is.")] = 0
    channels: Channels = None


class CompressionRequest(Asked):
    quality: Literal["low", "medium", "high"] = "medium"
    bitrate: Annotated[
        float | None, Field(ge=BITS_MIN / 1000, le=BITS_MAX / 1000, description="In kbps; instead of a quality.")
    ] = None
    format: Literal["mp3", "ogg", "m4a"] = "mp3"
    channels: Channels = None


@router.post("/recordings/{id}/trim", status_code=201, response_model=CallRecording)
@needs(Action.PROCESS)
async def trim_recording(
    *, id: str, request: Request, visit: Visiting, asked: TrimRequest, idempotency_key: IdempotencyKey = None
) -> Response:
    """A stretch of it as a version of its own, to be heard at once."""
    return await once(request, idempotency_key, lambda version_id: trimmed(visit, id, asked, version_id))


@router.post("/recordings/{id}/merge", status_code=201, response_model=CallRecording)
@needs(Action.PROCESS)
async def merge_recordings(
    *, id: str, request: Request, visit: Visiting, asked: MergeRequest, idempotency_key: IdempotencyKey = None
) -> Response:
    """It and others of the workspace, one behind the other, as a version that belongs to its call."""
    ids = [id, *asked.recordings]
    return await once(request, idempotency_key, lambda version_id: merged(visit, ids, version_id))


@router.post("/recordings/{id}/redact", status_code=201, response_model=CallRecording)
@needs(Action.PROCESS)
async def redact_recording(
    *, id: str, request: Request, visit: Visiting, asked: RedactionRequest, idempotency_key: IdempotencyKey = None
) -> Response:
    """A version without what is said in the spans. From now on it stands in for the original, for every key without
    `recordings:original`: in sound, waveform, transcript and links, those included that were made before."""
    return await once(request, idempotency_key, lambda version_id: redacted(visit, id, asked, version_id))


@router.post("/recordings/{id}/convert", status_code=201, response_model=CallRecording)
@needs(Action.PROCESS)
async def convert_recording(
    *, id: str, request: Request, visit: Visiting, asked: ConversionRequest, idempotency_key: IdempotencyKey = None
) -> Response:
    """A version with a file of another format, rate or number of channels. It is `processing` until the file is there;
    the job that makes it has the version's id."""
    return await once(request, idempotency_key, lambda version_id: converted(visit, id, asked, version_id))


@router.post("/recordings/{id}/compress", status_code=201, response_model=CallRecording)
@needs(Action.PROCESS)
async def compress_recording(
    *, id: str, request: Request, visit: Visiting, asked: CompressionRequest, idempotency_key: IdempotencyKey = None
) -> Response:
    """A version with a smaller file, made as for `convert`."""
    return await once(request, idempotency_key, lambda version_id: compressed(visit, id, asked, version_id))


async def trimmed(visit: Visit, id: str, asked: TrimRequest, version_id: str) -> CallRecording:
    end_us = None if asked.end is None else micros(asked.end)
    trim = visit.services.verbs.trim
    return await _told(visit, await trim(visit.caller, id, version_id, start_us=micros(asked.start), end_us=end_us))


async def merged(visit: Visit, ids: list[str], version_id: str) -> CallRecording:
    return await _told(visit, await visit.services.verbs.merge(visit.caller, ids, version_id))


async def redacted(visit: Visit, id: str, asked: RedactionRequest, version_id: str) -> CallRecording:
    secrets, redact = [span.secret() for span in asked.spans], visit.services.verbs.redact
    return await _told(visit, await redact(visit.caller, id, version_id, secrets=secrets, method=asked.method))


async def converted(visit: Visit, id: str, asked: ConversionRequest, version_id: str) -> CallRecording:
    convert, channels = visit.services.verbs.convert, asked.channels or 0
    made = await convert(visit.caller, id, version_id, format=asked.format, rate=asked.rate, channels=channels)
    return await _told(visit, made)


async def compressed(visit: Visit, id: str, asked: CompressionRequest, version_id: str) -> CallRecording:
    made = await visit.services.verbs.compress(
        visit.caller,
        id,
        version_id,
        quality=asked.quality,
        bits=round(1000 * (asked.bitrate or 0)),
        format=asked.format,
        channels=asked.channels or 0,
    )
    return await _told(visit, made)


def micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


async def _told(visit: Visit, version: Recording) -> CallRecording:
    """As in lists: an answer that is kept for its Idempotency-Key holds neither a signed URL nor what was said."""
    [told] = await listed(visit, [version])
    return told
