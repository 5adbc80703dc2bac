"""AgentPhone's transcripts: read whole, or followed while the call is on."""

import json
from collections.abc import AsyncGenerator
from itertools import chain
from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from callvault.domain.access import Action
from callvault.domain.call import Call
from callvault.web import sse
from callvault.web.auth import Visiting, needs
from callvault.web.dialects.agentphone import schemas
from callvault.web.dialects.agentphone.schemas import FAILURES, Transcript
from callvault.web.parts import Hot
from callvault.web.responses import Answer, in_turns, json_list
from callvault.web.visit import Visit, visit_of

router = APIRouter(responses=FAILURES)


@router.get("/v1/calls/{call_id}/transcript", response_model=Transcript)
@needs(Action.READ_CALL)
async def get_transcript(call_id: str, visit: Visiting) -> Response:
    call = await visit.services.calls.by_public_id(visit.caller, call_id)
    turns = await visit.services.transcripts.of(visit.caller, call)
    told = json_list(schemas.turn_of(call, turn).model_dump_json().encode() for turn in turns)
    head = f'{{"callId":"{call.public_id}","transcript":'.encode()
    return Response(await in_turns(chain([head], told, [b"}"])), media_type="application/json")


@needs(Action.READ_CALL)
async def stream_transcript(request: Request) -> Answer:
    visit = visit_of(request)
    call = await visit.services.calls.by_public_id(visit.caller, request.path_params["call_id"])
    return sse.answer(visit, _events(visit, call))


async def _events(visit: Visit, call: Call) -> AsyncGenerator[bytes, None]:
    services = visit.services
    yield _event("connected", schemas.connected_of(call))
    last_beat = services.clock.monotonic()
    async for turn in services.transcripts.follow(visit.caller, call.id):
        if turn is not None:
            yield _event("turn", schemas.turn_of(call, turn))
        if services.clock.monotonic() - last_beat >= sse.HEARTBEAT_SECONDS:
            last_beat = services.clock.monotonic()
            yield sse.HEARTBEAT
    ended = await services.calls.by_id(visit.caller, call.id)
    yield _event("ended", schemas.ended_of(ended))


def _event(name: str, told: BaseModel) -> bytes:
    """In ASCII: AgentPhone's client takes a stream for Latin-1, and every line end of Unicode for the end of a line."""
    return sse.event(name, json.dumps(told.model_dump(), separators=(",", ":"), ensure_ascii=True))


STREAM: Final = Hot(
    "GET",
    "/v1/calls/{call_id}/transcript/stream",
    stream_transcript,
    docs={
        "summary": "Stream call transcript",
        "description": "Server-sent events: `connected`, then a `turn` for each that was said and is being said, and "
        "`ended` with the call. A comment every 15 seconds keeps proxies awake.",
        "responses": {
            "200": {"description": "Events", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
            **schemas.HOT_FAILURES,
        },
    },
)
