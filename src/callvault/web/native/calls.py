"""Calls: announced, looked up by any of their ids, listed, changed, ended, deleted."""

from typing import Annotated, get_args

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from callvault.domain.access import Action, Caller
from callvault.domain.call import Call
from callvault.domain.errors import AlreadyThere
from callvault.domain.filters import Between, CallFilter
from callvault.services.house import Services
from callvault.web.auth import Asking, House, Visiting, needs
from callvault.web.native import cursors
from callvault.web.native.callschemas import CallChanges, CallIn, CallOut, Direction, Status, call_out
from callvault.web.native.cursors import Cursor, Limit, Listed
from callvault.web.native.once import IdempotencyKey, once
from callvault.web.native.problems import PROBLEMS
from callvault.web.native.spelling import Asked, Moment, Text

router = APIRouter(prefix="/api/v1", tags=["calls"], responses=PROBLEMS)


class Ending(Asked):
    reason: Text | None = None


@router.post("/calls", status_code=201, response_model=CallOut)
@needs(Action.CREATE_CALL)
async def create_call(
    *, request: Request, visit: Visiting, asked: CallIn, idempotency_key: IdempotencyKey = None
) -> Response:
    calls, caller = visit.services.calls, visit.caller

    async def create(reserved_id: str) -> CallOut:
        try:
            return call_out(await calls.create(caller, asked.facts(), reserved_id))
        except AlreadyThere:
            if asked.id is not None:
                raise
            # An earlier run of this very request was cut off behind its commit.
            return call_out(await calls.by_id(caller, reserved_id, Action.CREATE_CALL))

    return await once(request, idempotency_key, create, made_id=asked.id)


@router.get("/calls", response_model=Listed[CallOut])
@needs(Action.READ_CALL)
async def list_calls(
    *,
    caller: Asking,
    services: House,
    limit: Limit = cursors.LIMIT,
    cursor: Cursor = None,
    status: Annotated[list[Status] | None, Query(max_length=len(get_args(Status)))] = None,
    direction: Direction | None = None,
    kind: str | None = None,
    assistant_id: Annotated[str | None, Query(alias="assistantId")] = None,
    phone_number_id: Annotated[str | None, Query(alias="phoneNumberId")] = None,
    number: str | None = None,
    search: Annotated[str | None, Query(max_length=100)] = None,
    created_after: Annotated[Moment | None, Query(alias="createdAfter")] = None,
    created_before: Annotated[Moment | None, Query(alias="createdBefore")] = None,
) -> Response:
    """The newest first. Private calls are in it for their participants alone."""
    wanted = CallFilter(
        status=tuple(status or ()),
        direction=(direction,) if direction else (),
        kind=(kind,) if kind else (),
        assistant_id=assistant_id,
        phone_number_id=phone_number_id,
        number=number,
        search=search,
        created=Between(gt=created_after, lt=created_before),
    )
    page = await services.calls.find(caller, wanted, cursors.newest_first(limit, cursor))
    calls = await services.transcripts.summed_up(caller, page.items)
    return await cursors.listed(map(call_out, calls), page.cursor)


@router.get("/calls/{id}")
@needs(Action.READ_CALL)
async def get_call(id: str, caller: Asking, services: House) -> CallOut:
    """By its uuid, its public id, or its chat id."""
    if id.startswith("call_"):
        return await _told(services, caller, await services.calls.by_public_id(caller, id))
    if id.isascii() and id.isdigit() and len(id) < 20:
        return await _told(services, caller, await services.calls.by_chat_id(caller, int(id), Action.READ_CALL))
    return await _told(services, caller, await services.calls.by_id(caller, id))


@router.get("/calls/by/{system}/{value}")
@needs(Action.READ_CALL)
async def get_call_by_external_id(system: str, value: str, caller: Asking, services: House) -> CallOut:
    return await _told(services, caller, await services.calls.by_external_id(caller, system, value))


@router.patch("/calls/{id}")
@needs(Action.CHANGE_CALL)
async def change_call(id: str, changes: CallChanges, caller: Asking, services: House) -> CallOut:
    return await _told(services, caller, await services.calls.update(caller, id, changes.facts()))


@router.post("/calls/{id}/end")
@needs(Action.CHANGE_CALL)
async def end_call(id: str, caller: Asking, services: House, ending: Ending | None = None) -> CallOut:
    return await _told(services, caller, await services.calls.end(caller, id, ending.reason if ending else None))


@router.delete("/calls/{id}")
@needs(Action.DELETE_CALL)
async def delete_call(id: str, caller: Asking, services: House) -> CallOut:
    """Its sound, artifacts and transcript, and all that was derived. What is left is a tombstone."""
    return call_out(await services.calls.delete(caller, id))


async def _told(services: Services, caller: Caller, call: Call) -> CallOut:
    [readable] = await services.transcripts.summed_up(caller, [call])
    return call_out(readable)
