"""Recordings: begun, retrieved, listed, changed, deleted."""

from typing import Annotated, Any, get_args

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from callvault.domain.access import Action
from callvault.domain.errors import Missing
from callvault.domain.filters import Between, RecordingFilter
from callvault.services.callfacts import CallFacts
from callvault.web.auth import Asking, House, Visiting, needs
from callvault.web.native import cursors, hotdocs
from callvault.web.native.cursors import Cursor, Limit, Listed
from callvault.web.native.describing import listed, pieces_of, told
from callvault.web.native.once import IdempotencyKey, once
from callvault.web.native.problems import PROBLEMS
from callvault.web.native.recordingschemas import STATUSES, CallRecording, RecordingChanges, RecordingRequest
from callvault.web.native.spelling import Moment
from callvault.web.parts import Hot
from callvault.web.responses import Answer, bytes_answer, in_turns
from callvault.web.visit import Visit, visit_of

router = APIRouter(prefix="/api/v1", tags=["recordings"], responses=PROBLEMS)


@router.post("/recordings", status_code=201, response_model=CallRecording)
@needs(Action.CREATE_RECORDING)
async def create_recording(
    *, request: Request, visit: Visiting, asked: RecordingRequest, idempotency_key: IdempotencyKey = None
) -> Response:
    """A recording begins, with a new call or for one that is there; sound may come in from now on."""

    return await once(request, idempotency_key, lambda reserved_id: begun(visit, asked, reserved_id))


async def begun(visit: Visit, asked: RecordingRequest, reserved_id: str) -> CallRecording:
    call, call_id = await _call(visit.services, visit.caller, asked)
    made = await visit.services.recordings.create(
        visit.caller, call, asked.facts(), call_id=call_id, recording_id=reserved_id
    )
    return await told(visit, made.recording, made.call)


@router.get("/recordings", response_model=Listed[CallRecording])
@needs(Action.READ_RECORDING)
async def list_recordings(
    *,
    visit: Visiting,
    limit: Limit = cursors.LIMIT,
    cursor: Cursor = None,
    call_id: Annotated[str | None, Query(alias="callId")] = None,
    status: Annotated[list[STATUSES] | None, Query(max_length=len(get_args(STATUSES)))] = None,
    tag: str | None = None,
    redacted: bool | None = None,
    in_progress: Annotated[bool | None, Query(alias="inProgress")] = None,
    created_after: Annotated[Moment | None, Query(alias="createdAfter")] = None,
    created_before: Annotated[Moment | None, Query(alias="createdBefore")] = None,
    updated_after: Annotated[Moment | None, Query(alias="updatedAfter")] = None,
    updated_before: Annotated[Moment | None, Query(alias="updatedBefore")] = None,
) -> Response:
    """The newest first."""
    wanted = RecordingFilter(
        call_id=call_id,
        status=tuple(status or ()),
        tag=tag,
        redacted=redacted,
        in_progress=in_progress,
        created=Between(gt=created_after, lt=created_before),
        updated=Between(gt=updated_after, lt=updated_before),
    )
    page = await visit.services.recordings.find(visit.caller, wanted, cursors.newest_first(limit, cursor))
    return await cursors.listed(await listed(visit, page.items), page.cursor)


@needs(Action.READ_RECORDING)
async def get_recording(request: Request) -> Answer:
    visit = visit_of(request)
    recording = await visit.services.recordings.retrieve(visit.caller, request.path_params["id"])
    return bytes_answer(await in_turns(pieces_of(await told(visit, recording))), b"application/json")


READ = Hot(
    "GET",
    "/api/v1/recordings/{id}",
    get_recording,
    docs=hotdocs.operation(
        "Get Recording", "recordings", responses={"200": hotdocs.json(CallRecording, "Successful Response")}
    ),
)


@router.patch("/recordings/{id}")
@needs(Action.CHANGE_RECORDING)
async def change_recording(id: str, changes: RecordingChanges, visit: Visiting) -> CallRecording:
    return await told(visit, await visit.services.recordings.update(visit.caller, id, changes.facts()))


@router.delete("/recordings/{id}")
@needs(Action.DELETE_RECORDING)
async def delete_recording(id: str, visit: Visiting) -> CallRecording:
    """With all that was made of it. What is left is a tombstone; sound and files are destroyed soon after."""
    return await told(visit, await visit.services.recordings.delete(visit.caller, id))


async def _call(services: House, caller: Asking, asked: RecordingRequest) -> tuple[Any, str | None]:
    """The id of a call that is there, or the facts of a new one with the id that was chosen for it."""
    facts: CallFacts = asked.call.facts()
    if asked.call.id is None:
        return facts, None
    try:
        return (await services.calls.by_id(caller, asked.call.id, Action.CREATE_RECORDING)).id, None
    except Missing:
        return facts, asked.call.id
