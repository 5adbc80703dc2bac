"""Artifacts, in and out: video, call logs, packet captures, and the source as it was received."""

from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request

from callvault.domain.access import Action
from callvault.domain.errors import Malformed, Missing
from callvault.domain.ids import Json
from callvault.domain.query import Query
from callvault.domain.stored import ARTIFACT_KINDS, STARTS_AT, Artifact
from callvault.services.delivery.desk import Wanted
from callvault.services.ingest.captures import CAPTURE, PCAP
from callvault.services.keeping import CALL_LOGS, GZIP, KINDS, LOGS_MOST, VIDEO, VIDEOS
from callvault.web.auth import Visiting, needs
from callvault.web.native import hotdocs
from callvault.web.native.cursors import Listed
from callvault.web.native.lanes import answered, whole
from callvault.web.native.problems import PROBLEMS
from callvault.web.native.received import received
from callvault.web.native.sound import RANGED, asks
from callvault.web.native.spelling import Metadata, Told, seconds
from callvault.web.parts import Hot
from callvault.web.responses import Answer
from callvault.web.sound import sound_answer
from callvault.web.visit import Visit, visit_of
from callvault.wire.rtp import RtpCodec, parse_rtpmap

router = APIRouter(prefix="/api/v1", tags=["artifacts"], responses=PROBLEMS)
PATH = "/api/v1/recordings/{id}/artifacts/{kind}"
CAPTURE_MOST = 8 << 30
VIDEO_MOST = 64 << 30
MOST = {CALL_LOGS: LOGS_MOST}
NAMED_MOST = 64
LATEST_START_MS = 24 * 3_600_000
MEDIA_TYPES = (*VIDEOS, GZIP, CAPTURE, "application/octet-stream", "*/*")
"""Under which artifacts are handed out; a source under that with which it came, whatever it was."""


class ArtifactOut(Told):
    kind: str
    media_type: str
    size: int
    """As it was put in, before sealing; of call logs, gzipped."""
    created: float
    metadata: Metadata


class KeptOut(Told):
    kind: str
    created: bool
    """False when the very same was there already."""
    lanes: dict[str, Any]
    """Of a capture, what was rebuilt, with its figures."""


@router.get("/recordings/{id}/artifacts")
@needs(Action.READ_RECORDING)
async def list_artifacts(id: str, visit: Visiting) -> Listed[ArtifactOut]:
    """Of the version that the asker hears."""
    recording = await visit.services.recordings.heard(visit.caller, id, Action.READ_RECORDING)
    query = Query(Artifact).where("recording_id", "=", recording.id).by("kind")
    return Listed(data=[_out(artifact) for artifact in await visit.services.store.find(query)])


@needs(Action.WRITE_SOUND, body=None)
async def put_artifact(request: Request) -> Answer:
    visit, kind = visit_of(request), request.path_params["kind"]
    recording_id = request.path_params["id"].lower()
    if kind not in (PCAP, *KINDS):
        raise Missing(what="artifact")
    # Whether it may come in at all is asked before a gigabyte is read.
    if kind == PCAP:
        async with visit.services.intake.admission.receiving(visit.caller, recording_id):
            told = await _capture(visit, request, recording_id)
    else:
        await visit.services.keeping.admitted(visit.caller, recording_id, kind)
        told = await _file(visit, request, recording_id, kind)
    return answered(told, told.created)


@needs(Action.LISTEN)
async def get_artifact(request: Request) -> Answer:
    """Of the version that is heard: what was redacted in the sound is not had from the files beside it."""
    visit, kind = visit_of(request), request.path_params["kind"]
    if kind not in ARTIFACT_KINDS:
        raise Missing(what="artifact")
    recording = await visit.services.recordings.heard(visit.caller, request.path_params["id"])
    return await sound_answer(request, recording, Wanted(artifact=kind))


async def _file(visit: Visit, request: Request, recording_id: str, kind: str) -> KeptOut:
    media_type, facts = request.headers.get("content-type", ""), _facts(request, kind)
    async with received(request, MOST.get(kind, VIDEO_MOST)) as file:
        kept = await visit.services.keeping.put(visit.caller, recording_id, kind, file, media_type, facts=facts)
    return KeptOut(kind=kind, created=kept.created, lanes={})


async def _capture(visit: Visit, request: Request, recording_id: str) -> KeptOut:
    query = request.query_params
    sides = dict(_pair(text, "side") for text in query.getlist("side")[:NAMED_MOST])
    types = dict(_type(text) for text in query.getlist("type")[:NAMED_MOST])
    async with received(request, CAPTURE_MOST) as file:
        captured = await visit.services.intake.captures.put(
            visit.caller, recording_id, file, rebuild=asks(request, "rebuild"), sides=sides, types=types
        )
    lanes = {name: asdict(figures) for name, figures in captured.lanes.items()}
    return KeptOut(kind=PCAP, created=captured.created, lanes=lanes)


def _facts(request: Request, kind: str) -> dict[str, Json]:
    """What a video tells of itself: where on the call's clock it begins."""
    text = request.query_params.get("start") if kind == VIDEO else None
    if text is None:
        return {}
    try:
        ms = Decimal(text) if len(text) <= 40 else Decimal(-1)
    except InvalidOperation:
        ms = Decimal(-1)
    if not (ms.is_finite() and 0 <= ms <= LATEST_START_MS):
        raise Malformed(what="start", why=f"it is 0 to {LATEST_START_MS} milliseconds")
    return {STARTS_AT: seconds(round(ms))}


def _pair(text: str, what: str) -> tuple[str, str]:
    """`10.0.0.5:4000=customer`"""
    name, equals, value = text.partition("=")
    if not equals:
        raise Malformed(what=what, why="it is two words with = between")
    return name, value


def _type(text: str) -> tuple[int, RtpCodec]:
    """`111=opus/48000/2`"""
    number, name = _pair(text, "type")
    return whole("type", number), parse_rtpmap(name)


def _out(artifact: Artifact) -> ArtifactOut:
    return ArtifactOut(
        kind=artifact.kind,
        media_type=artifact.media_type,
        size=artifact.size,
        created=seconds(artifact.created_ms) or 0,
        metadata=artifact.metadata,
    )


_KIND = hotdocs.path("kind", {"enum": [PCAP, *KINDS]})
_WORDS = {"type": "array", "items": {"type": "string"}}

HOT = (
    Hot(
        "GET",
        PATH,
        get_artifact,
        docs=hotdocs.operation(
            "Get an artifact",
            "artifacts",
            "Call logs are gzipped JSONL, and never said to be encoded.",
            parameters=[hotdocs.path("kind", {"enum": list(ARTIFACT_KINDS)})],
            responses={"200": hotdocs.content("The file.", *MEDIA_TYPES), **RANGED},
        ),
    ),
    Hot(
        "PUT",
        PATH,
        put_artifact,
        docs=hotdocs.operation(
            "Put an artifact",
            "artifacts",
            "A video (MP4, QuickTime or WebM), call logs (JSON lines, plain or gzipped), or a packet capture (pcap or "
            "pcapng). What the last two are their bytes tell, whatever the Content-Type says.",
            parameters=[
                _KIND,
                hotdocs.query("rebuild", {"type": "boolean", "default": False}, "Lanes from a capture's RTP."),
                hotdocs.query(
                    "start",
                    {"type": "number", "minimum": 0, "maximum": LATEST_START_MS},
                    "Of a video: the milliseconds of the call at which it begins.",
                ),
                hotdocs.query("side", _WORDS, "Whose an address of a capture is: `10.0.0.5:4000=customer`."),
                hotdocs.query("type", _WORDS, "What a payload type of a capture stands for: `111=opus/48000/2`."),
                hotdocs.header("Content-Digest", "RFC 9530; checked."),
            ],
            body=(*VIDEOS, "application/jsonl", GZIP, CAPTURE),
            responses={
                "201": hotdocs.json(KeptOut, "Kept."),
                "200": hotdocs.json(KeptOut, "The very same was there."),
            },
        ),
    ),
)
