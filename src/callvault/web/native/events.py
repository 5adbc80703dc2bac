"""Events: read in the order in which they happened, and followed as they happen."""

from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request

from callvault.domain.access import Action
from callvault.domain.event import Event
from callvault.services.events import EventFilter
from callvault.web import sse
from callvault.web.auth import Asking, House, needs
from callvault.web.native import cursors, hotdocs
from callvault.web.native.cursors import Cursor, Limit, Listed
from callvault.web.native.lanes import whole
from callvault.web.native.problems import PROBLEMS
from callvault.web.native.spelling import Metadata, Told, seconds
from callvault.web.parts import Hot
from callvault.web.responses import Answer
from callvault.web.visit import Visit, visit_of

router = APIRouter(prefix="/api/v1", tags=["events"], responses=PROBLEMS)


class EventOut(Told):
    id: str
    position: int
    """Rises in the order in which things happened."""
    type: str
    created: float
    recording_id: str | None
    call_id: str | None
    data: Metadata


@router.get("/events")
@needs(Action.READ_EVENTS)
async def list_events(
    *,
    caller: Asking,
    services: House,
    limit: Limit = cursors.LIMIT,
    cursor: Cursor = None,
    type: Annotated[list[str] | None, Query(max_length=50)] = None,
    recording_id: Annotated[str | None, Query(alias="recordingId")] = None,
    call_id: Annotated[str | None, Query(alias="callId")] = None,
) -> Listed[EventOut]:
    """The oldest first. The cursor stays valid: at the end of the list it waits for what happens next."""
    after = cursors.parse(cursor, int)
    wanted = EventFilter(tuple(type or ()), recording_id, call_id)
    found = await services.events.page(caller, wanted, after[0] if after else 0, limit)
    last = cursors.serialize((found[-1].position,)) if found else cursor
    return Listed(data=[event_out(event) for event in found], next_cursor=last)


@needs(Action.READ_EVENTS)
async def stream_events(request: Request) -> Answer:
    visit, query = visit_of(request), request.query_params
    wanted = EventFilter(tuple(query.getlist("type")), query.get("recordingId"), query.get("callId"))
    last = request.headers.get("last-event-id") or query.get("after")
    return sse.answer(visit, _events(visit, wanted, whole("Last-Event-ID", last) if last else None))


async def _events(visit: Visit, wanted: EventFilter, after: int | None) -> AsyncGenerator[bytes, None]:
    yield b": connected\n\n"
    async for group in visit.services.events.follow(visit.caller, wanted, after):
        for event in group:
            yield sse.event(event.type, event_out(event).model_dump_json(), event.position)
        if not group:
            yield sse.HEARTBEAT


def event_out(event: Event) -> EventOut:
    return EventOut(
        id=event.id,
        position=event.position,
        type=event.type,
        created=seconds(event.created_ms) or 0,
        recording_id=event.recording_id,
        call_id=event.call_id,
        data=event.data,
    )


STREAM = Hot(
    "GET",
    "/api/v1/events/stream",
    stream_events,
    docs=hotdocs.operation(
        "Follow events",
        "events",
        "Server-sent events, each with its position as its id; `Last-Event-ID` goes on behind one. Without it, what "
        "happens from now on.",
        parameters=[
            hotdocs.header("Last-Event-ID", "The position of the last event that was seen."),
            hotdocs.query("after", {"type": "integer", "minimum": 0}, "The same, where headers cannot be set."),
            hotdocs.query("type", {"type": "array", "items": {"type": "string"}}),
            hotdocs.query("recordingId", {"type": "string"}),
            hotdocs.query("callId", {"type": "string"}),
        ],
        responses={"200": hotdocs.content("Events.", "text/event-stream")},
    ),
)
