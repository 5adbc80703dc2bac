"""Transcripts: put whole, appended turn by turn, read, and followed while the call is on."""

from collections.abc import AsyncGenerator, Sequence

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from callvault.domain.access import Action
from callvault.domain.call import Call, Turn
from callvault.web import sse
from callvault.web.auth import Asking, House, needs
from callvault.web.native import hotdocs
from callvault.web.native.describing import text_of, transcript_pieces, turn_out
from callvault.web.native.problems import PROBLEMS
from callvault.web.native.recordingschemas import CallTranscript, TurnOut
from callvault.web.native.turns import BODY, TurnsIn, said_in
from callvault.web.parts import Hot
from callvault.web.responses import Answer, in_turns
from callvault.web.visit import Visit, visit_of

router = APIRouter(prefix="/api/v1", tags=["transcripts"], responses=PROBLEMS)
_TURNS = {"requestBody": {"required": True, "content": {"application/json": {"schema": TurnsIn.model_json_schema()}}}}


@router.get("/recordings/{id}/transcript", response_model=CallTranscript)
@needs(Action.READ_RECORDING)
async def get_transcript(id: str, caller: Asking, services: House) -> Response:
    """As the asker hears the call: what is masked in the sound is masked here."""
    call = await _call(services, caller, id, Action.READ_RECORDING)
    return await _whole(call, await services.transcripts.of(caller, call))


@router.put("/recordings/{id}/transcript", response_model=CallTranscript, openapi_extra=_TURNS)
@needs(Action.CHANGE_CALL, body=BODY)
async def put_transcript(id: str, request: Request, caller: Asking, services: House) -> Response:
    """The whole transcript anew. What was said while the recording was paused is not stored."""
    said = await said_in(await request.body())
    call = await _call(services, caller, id, Action.CHANGE_RECORDING)
    return await _whole(call, await services.transcripts.replace(caller, call.id, said))


@router.post("/recordings/{id}/transcript/turns", status_code=201)
@needs(Action.CHANGE_CALL)
async def append_turns(id: str, asked: TurnsIn, caller: Asking, services: House) -> list[TurnOut]:
    call = await _call(services, caller, id, Action.CHANGE_RECORDING)
    return [turn_out(turn) for turn in await services.transcripts.append(caller, call.id, asked.said())]


@needs(Action.READ_RECORDING)
async def stream_transcript(request: Request) -> Answer:
    visit = visit_of(request)
    call = await _call(visit.services, visit.caller, request.path_params["id"], Action.READ_RECORDING)
    last = request.headers.get("last-event-id", "")
    return sse.answer(visit, _turns(visit, call, int(last) if last.isdecimal() and len(last) < 9 else -1))


async def _turns(visit: Visit, call: Call, after: int) -> AsyncGenerator[bytes, None]:
    clock = visit.services.clock
    silent_since = clock.monotonic()
    async for turn in visit.services.transcripts.follow(visit.caller, call.id, after):
        if turn is not None:
            silent_since = clock.monotonic()
            yield sse.event("turn", turn_out(turn).model_dump_json(), turn.seq)
        elif clock.monotonic() - silent_since >= sse.HEARTBEAT_SECONDS:
            silent_since = clock.monotonic()
            yield sse.HEARTBEAT
    yield sse.event("ended", {"callId": call.id})


STREAM = Hot(
    "GET",
    "/api/v1/recordings/{id}/transcript/stream",
    stream_transcript,
    docs=hotdocs.operation(
        "Follow what is being said",
        "transcripts",
        "Server-sent events: `turn`, those that were said first, then `ended`. `Last-Event-ID` goes on from a turn.",
        responses={"200": hotdocs.content("Events.", "text/event-stream")},
    ),
)


async def _whole(call: Call, turns: Sequence[Turn]) -> Response:
    told = transcript_pieces(call.id, text_of(turns), map(turn_out, turns))
    return Response(await in_turns(told), media_type="application/json")


async def _call(services: House, caller: Asking, recording_id: str, action: Action) -> Call:
    recording = await services.recordings.retrieve(caller, recording_id, action)
    return await services.calls.by_id(caller, recording.call_id, Action.READ_CALL if _reads(action) else action)


def _reads(action: Action) -> bool:
    return action is Action.READ_RECORDING
