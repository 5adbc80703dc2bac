"""OSVI's endpoints."""

from itertools import chain
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from callvault.domain.access import Action
from callvault.domain.errors import Missing
from callvault.domain.filters import Between, CallFilter
from callvault.services.delivery.desk import WHOLE
from callvault.services.pages import Place
from callvault.web.auth import Asking, House, needs
from callvault.web.dialects.osvi import schemas
from callvault.web.dialects.osvi.errors import RecordingNotAvailable
from callvault.web.dialects.osvi.schemas import (
    ActiveAgent,
    CallDetail,
    CallPage,
    Failure,
    RecordingUrl,
    Success,
    Transcript,
)
from callvault.web.parts import Hot
from callvault.web.responses import Answer, in_turns, json_list, model_answer
from callvault.web.visit import visit_of
from callvault.wire import isotime

DAY_MS: Final = 86_400_000
AGENTS_OF_CALLS: Final = 1_000
"""An agent is active that took one of this many newest calls."""

FAILURES: Final[dict[int | str, dict[str, Any]]] = {code: {"model": Failure} for code in (400, 401, 403, 404, 422)}
router = APIRouter(responses=FAILURES)


@router.get("/v1/calls")
@needs(Action.READ_CALL)
async def list_calls(
    *,
    caller: Asking,
    services: House,
    status: str | None = None,
    agent_uuid: str | None = None,
    phone_number: str | None = None,
    call_type: str | None = None,
    start_date: str | None = None,
    end_date: str | None = None,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    per_page: Annotated[int, Query(ge=1, le=100)] = 25,
) -> CallPage:
    wanted = CallFilter(
        status=schemas.STATUSES.get(status, ("",)) if status else (),
        assistant_id=agent_uuid,
        number=phone_number,
        direction=(call_type,) if call_type else (),
        created=Between(ge=_first_ms(start_date), lt=_end_ms(end_date)),
    )
    total = await services.calls.count(caller, wanted)
    found = await services.calls.find(caller, wanted, Place(limit=per_page, offset=(page - 1) * per_page))
    return schemas.page_of(found.items, page, per_page, total)


@router.get("/v1/call/{id}")
@needs(Action.READ_CALL)
async def get_call(id: str, caller: Asking, services: House) -> Success[CallDetail]:
    [call] = await services.transcripts.summed_up(caller, [await services.calls.by_id(caller, id)])
    return Success(data=schemas.detail_of(call))


@router.get("/v1/call/{id}/transcript", response_model=Success[Transcript])
@needs(Action.READ_CALL)
async def get_transcript(id: str, caller: Asking, services: House) -> Response:
    call = await services.calls.by_id(caller, id)
    turns = map(schemas.turn_of, await services.transcripts.of(caller, call))
    told = json_list(turn.model_dump_json().encode() for turn in turns)
    head = f'{{"success":true,"data":{{"call_id":"{call.id}","transcript":'.encode()
    return Response(await in_turns(chain([head], told, [b"}}"])), media_type="application/json")


@router.get("/v1/active_agents")
@needs(Action.READ_CALL)
async def active_agents(caller: Asking, services: House) -> list[ActiveAgent]:
    newest = await services.calls.find(caller, CallFilter(), Place(limit=AGENTS_OF_CALLS))
    names = {call.assistant_id: call.assistant_name for call in reversed(newest.items) if call.assistant_id}
    return [ActiveAgent(agent_id=agent_id, name=name or agent_id) for agent_id, name in names.items()]


@needs(Action.LISTEN)
async def get_recording(request: Request) -> Answer:
    visit, call_id = visit_of(request), request.path_params["id"]
    try:
        recording = await visit.services.recordings.version_of_call(visit.caller, call_id)
        link = await visit.services.delivery.links.secure_url(
            visit.caller,
            recording,
            WHOLE,
            seconds=schemas.RECORDING_SECONDS,
            attachment=True,
            action=Action.LISTEN,
            base_url=visit.base_url,
        )
    except Missing:
        raise RecordingNotAvailable from None
    return model_answer(schemas.recording_of(recording.call_id, link.url, link.seconds))


def _json(description: str, model: type[BaseModel]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": model.model_json_schema()}}}


RECORDING: Final = Hot(
    "GET",
    "/v1/call/{id}/recording",
    get_recording,
    docs={
        "summary": "Get a call recording URL",
        "description": "A short-lived URL of the call's sound; it expires after 15 minutes: fetch it on demand.",
        "responses": {
            "200": _json("The URL.", Success[RecordingUrl]),
            "401": _json("No valid token.", Failure),
            "403": _json("The token may not do this, or recording is turned off.", Failure),
            "404": _json("There is no such call, or it has no recording.", Failure),
        },
    },
)


def _first_ms(date: str | None) -> int | None:
    return None if date is None else isotime.parse(date)


def _end_ms(date: str | None) -> int | None:
    """A day without a time is meant to its end."""
    if date is None:
        return None
    start = isotime.parse(date)
    return start + (DAY_MS if len(date) == len("2026-01-31") else 1)
