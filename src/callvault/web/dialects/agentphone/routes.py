"""AgentPhone's calls: listed, looked up, waited for, registered, ended."""

import asyncio
from contextlib import suppress
from typing import Annotated, Final

from fastapi import APIRouter, Query

from callvault.domain.access import Action
from callvault.domain.call import Call
from callvault.domain.filters import CallFilter
from callvault.services.calls import OVER
from callvault.services.pages import Place
from callvault.services.streampasses import SECONDS
from callvault.web.auth import Visiting, needs
from callvault.web.dialects.agentphone import schemas, writing
from callvault.web.dialects.agentphone.schemas import (
    FAILURES,
    CallDetail,
    CallPage,
    CreateCall,
    CreateWebCall,
    StartedCall,
    WebCall,
)
from callvault.web.visit import Visit

WAIT_SECONDS: Final = 30
LOOK_SECONDS: Final = 0.5

router = APIRouter(responses=FAILURES)
Limit = Annotated[int, Query(ge=1, le=100)]
Offset = Annotated[int, Query(ge=0, le=1_000_000_000)]
Word = Annotated[str | None, Query(max_length=200)]


@router.get("/v1/calls")
@needs(Action.READ_CALL)
async def list_calls(
    *,
    visit: Visiting,
    limit: Limit = 20,
    offset: Offset = 0,
    status: Word = None,
    direction: Word = None,
    type: Word = None,
    search: Word = None,
) -> CallPage:
    """The newest first."""
    wanted = CallFilter(
        status=schemas.statuses(status), direction=schemas.directions(direction, type), search=search or None
    )
    return await _page(visit, wanted, limit, offset)


@router.get("/v1/numbers/{number_id}/calls")
@needs(Action.READ_CALL)
async def list_calls_for_number(number_id: str, visit: Visiting, limit: Limit = 20, offset: Offset = 0) -> CallPage:
    return await _page(visit, CallFilter(phone_number_id=number_id), limit, offset)


@router.get("/v1/agents/{agent_id}/calls")
@needs(Action.READ_CALL)
async def list_calls_for_agent(agent_id: str, visit: Visiting, limit: Limit = 20, offset: Offset = 0) -> CallPage:
    return await _page(visit, CallFilter(assistant_id=agent_id), limit, offset)


@router.post("/v1/calls")
@needs(Action.CREATE_CALL)
async def create_call(asked: CreateCall, visit: Visiting) -> StartedCall:
    """The call is registered; nobody is dialled. With `disableRecording` no sound of it is ever stored."""
    return schemas.started_of(await visit.services.calls.create(visit.caller, asked.facts()))


@router.post("/v1/calls/web")
@needs(Action.WRITE_SOUND)
async def create_web_call(asked: CreateWebCall, visit: Visiting) -> WebCall:
    """The token lets a browser, without a key, stream the sound of this one call to `streamUrl`."""
    call = await visit.services.calls.create(visit.caller, asked.facts())
    return WebCall(
        accessToken=visit.services.stream_passes.issue(visit.caller, call),
        callId=call.public_id,
        agentId=call.assistant_id,
        expiresInSeconds=SECONDS,
        streamUrl=f"ws{visit.base_url.removeprefix('http')}/streams",
    )


@router.get("/v1/calls/{call_id}")
@needs(Action.READ_CALL)
async def get_call(
    *,
    call_id: str,
    visit: Visiting,
    wait: bool = False,
    patience: Annotated[int, Query(alias="timeout", ge=10, le=300)] = WAIT_SECONDS,
) -> CallDetail:
    """With `wait` it is answered when the call is over, or as the call stands after so many seconds."""
    call = await visit.services.calls.by_public_id(visit.caller, call_id)
    return await writing.detail(visit, await _over(visit, call, patience) if wait else call)


@router.post("/v1/calls/{call_id}/end")
@needs(Action.CHANGE_CALL)
async def end_call(call_id: str, visit: Visiting) -> CallDetail:
    """Its sound ends with it. Ending it again changes nothing."""
    calls = visit.services.calls
    call = await calls.by_public_id(visit.caller, call_id, Action.CHANGE_CALL)
    ended = await calls.end(visit.caller, call.id)
    await visit.services.intake.completion.complete_call(visit.caller, call.id)
    return await writing.detail(visit, ended)


async def _page(visit: Visit, wanted: CallFilter, limit: int, offset: int) -> CallPage:
    calls = visit.services.calls
    total = await calls.count(visit.caller, wanted)
    found = (await calls.find(visit.caller, wanted, Place(limit=limit, offset=offset))).items
    return CallPage(data=await writing.summaries(visit, found), hasMore=offset + len(found) < total, total=total)


async def _over(visit: Visit, call: Call, seconds: int) -> Call:
    clock, stopping = visit.services.clock, visit.options.stopping
    until = clock.monotonic() + seconds
    while call.status not in OVER and clock.monotonic() < until and not stopping.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), LOOK_SECONDS)
        call = await visit.services.calls.by_id(visit.caller, call.id)
    return call
