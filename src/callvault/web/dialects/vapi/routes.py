"""Vapi's calls: listed, retrieved, created, renamed, their data deleted."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response, StreamingResponse

from callvault.domain import call as domain
from callvault.domain.access import Action
from callvault.domain.errors import BlobsUnavailable, Misconfigured
from callvault.domain.filters import CallFilter
from callvault.services.callfacts import CallFacts
from callvault.services.pages import Place
from callvault.web.auth import Visiting, needs
from callvault.web.dialects.vapi.errors import NotErased
from callvault.web.dialects.vapi.requests import CreateCall, DeleteCall, UpdateCall, between
from callvault.web.dialects.vapi.schemas import CallParts, call_json, call_pieces
from callvault.web.dialects.vapi.writing import parts_of
from callvault.web.responses import begun, in_chunks, in_turns
from callvault.web.visit import Visit


class Call(BaseModel):
    """Vapi's Call: these four are always there, the others when there is something to tell."""

    model_config = ConfigDict(extra="allow")
    id: str
    orgId: str  # noqa: N815
    createdAt: str  # noqa: N815
    updatedAt: str  # noqa: N815


class Failure(BaseModel):
    message: str | list[str]
    error: str
    statusCode: int  # noqa: N815


CALLS_AT_ONCE: Final = 100
TURNS_AT_ONCE: Final = 50_000
TALKS_AT_ONCE: Final = 5
"""Of calls in which more was said than that."""
LISTEN_SECONDS: Final = 86_400
"""So long after its creation may a call's stream begin."""
FAILURES: Final[dict[int | str, dict[str, Any]]] = {code: {"model": Failure} for code in (400, 401, 403, 404, "4XX")}
router = APIRouter(responses=FAILURES)
Time = Annotated[str | None, Query(max_length=64)]


@router.get("/call", responses={200: {"model": list[Call]}}, response_model=None)
@needs(Action.READ_CALL)
async def list_calls(
    *,
    visit: Visiting,
    id: str | None = None,
    assistant_id: Annotated[str | None, Query(alias="assistantId")] = None,
    phone_number_id: Annotated[str | None, Query(alias="phoneNumberId")] = None,
    limit: Annotated[int, Query(ge=0, le=1000)] = 100,
    created_gt: Annotated[Time, Query(alias="createdAtGt")] = None,
    created_lt: Annotated[Time, Query(alias="createdAtLt")] = None,
    created_ge: Annotated[Time, Query(alias="createdAtGe")] = None,
    created_le: Annotated[Time, Query(alias="createdAtLe")] = None,
    updated_gt: Annotated[Time, Query(alias="updatedAtGt")] = None,
    updated_lt: Annotated[Time, Query(alias="updatedAtLt")] = None,
    updated_ge: Annotated[Time, Query(alias="updatedAtGe")] = None,
    updated_le: Annotated[Time, Query(alias="updatedAtLe")] = None,
) -> StreamingResponse:
    wanted = CallFilter(
        id=id,
        assistant_id=assistant_id,
        phone_number_id=phone_number_id,
        created=between({"gt": created_gt, "lt": created_lt, "ge": created_ge, "le": created_le}),
        updated=between({"gt": updated_gt, "lt": updated_lt, "ge": updated_ge, "le": updated_le}),
    )
    found = await visit.services.calls.find(visit.caller, wanted, Place(limit=limit)) if limit else None
    return StreamingResponse(await begun(_each(visit, found.items if found else ())), media_type="application/json")


@router.post("/call", status_code=201, responses={201: {"model": Call}}, response_model=None)
@needs(Action.CREATE_CALL)
async def create_call(asked: CreateCall, visit: Visiting) -> JSONResponse:
    """The call is registered, and the address of its live stream is told; nobody is dialled."""
    call = await visit.services.calls.create(visit.caller, asked.facts())
    return JSONResponse(call_json(CallParts(call, listen_url=_listen_url(visit, call))), 201)


@router.get("/call/{id}", responses={200: {"model": Call}}, response_model=None)
@needs(Action.READ_CALL)
async def get_call(id: str, visit: Visiting) -> Response:
    return await _written(visit, await visit.services.calls.by_id(visit.caller, id))


@router.patch("/call/{id}", responses={200: {"model": Call}}, response_model=None)
@needs(Action.CHANGE_CALL)
async def update_call(id: str, changes: UpdateCall, visit: Visiting) -> Response:
    facts = CallFacts(name=changes.name) if "name" in changes.model_fields_set else CallFacts()
    return await _written(visit, await visit.services.calls.update(visit.caller, id, facts))


@router.delete("/call/{id}", responses={200: {"model": Call}, 503: {"model": Failure}}, response_model=None)
@needs(Action.DELETE_CALL)
async def delete_call_data(id: str, visit: Visiting, asked: DeleteCall | None = None) -> JSONResponse:
    """Of this call at once; or of all that are named in `ids`, later: then the path's id does not matter."""
    erasures = visit.services.erasures
    if asked and asked.ids:
        return JSONResponse(call_json(CallParts(await erasures.later(visit.caller, asked.ids))))
    try:
        return JSONResponse(call_json(CallParts(await erasures.now(visit.caller, id))))
    except (BlobsUnavailable, Misconfigured) as fault:
        raise NotErased from fault


async def _written(visit: Visit, call: domain.Call) -> Response:
    [parts] = await parts_of(visit.services, visit.caller, [call], visit.base_url)
    return Response(await in_turns(call_pieces(parts)), media_type="application/json")


async def _each(visit: Visit, calls: Sequence[domain.Call]) -> AsyncIterator[bytes]:
    """The list, some calls at a time: each comes with all that was said in it."""
    said = await visit.services.transcripts.count(calls) if calls else 0
    opening, together = b"[", CALLS_AT_ONCE if said <= TURNS_AT_ONCE else TALKS_AT_ONCE
    for at in range(0, len(calls), together):
        for parts in await parts_of(visit.services, visit.caller, calls[at : at + together], visit.base_url):
            yield opening
            async for chunk in in_chunks(call_pieces(parts)):
                yield chunk
            opening = b","
    yield b"[]" if opening == b"[" else b"]"


def _listen_url(visit: Visit, call: domain.Call) -> str | None:
    """Where the call's sound goes in, for whoever has this address; None for a key that may write no sound."""
    services = visit.services
    if call.unrecorded or not services.access.may(visit.caller, Action.WRITE_SOUND, call):
        return None
    leave = services.stream_passes.issue(visit.caller, call, LISTEN_SECONDS)
    return f"ws{visit.base_url.removeprefix('http')}/streams?token={leave}"
