"""The one route of the .do form."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, Field
from starlette.requests import Request

from callvault.web.auth import keyed
from callvault.web.dialects.dotdo.envelope import Failure, Success, meta
from callvault.web.dialects.dotdo.operations import ACTIONS, MAKING, operation, read
from callvault.web.mistakes import Proven
from callvault.web.native.once import replied
from callvault.web.parts import Hot
from callvault.web.responses import Answer, bytes_answer
from callvault.web.visit import visit_of


class Command(Proven):
    operation: Annotated[str, Field(max_length=100, description=f"One of {', '.join(ACTIONS)}.")]
    parameters: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict, description="`idempotencyKey`.")


@keyed("each operation asks for what it needs")
async def call_recording(request: Request) -> Answer:
    """The body is JSON, whatever its Content-Type says: `curl -d` says that it is a form."""
    visit = visit_of(request)
    clock = visit.services.clock
    began, command = clock.monotonic(), read(Command, await request.body())
    run = operation(command.operation)
    reply = await replied(
        request, _key(request, command), lambda reserved_id: run(visit, command.parameters, reserved_id), status=200
    )
    told = meta(visit.request_id, clock.now_ms(), clock.monotonic() - began)
    # What is JSON already may be long, and is not read again to be written again.
    body = f'{{"success":true,"data":{reply.body},"meta":{told.model_dump_json()}}}'
    return bytes_answer(body.encode(), b"application/json", reply.status)


def _key(request: Request, command: Command) -> str | None:
    key = request.headers.get("idempotency-key") or command.options.get("idempotencyKey")
    return str(key) if key is not None and command.operation in MAKING else None


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": model.model_json_schema()}}}


COMMAND: Final = Hot(
    "POST",
    "/CallRecording",
    call_recording,
    docs={
        "summary": "Do one of the actions of CallRecording",
        "requestBody": {"required": True, **_json(Command)},
        "responses": {
            "200": {"description": "Done.", **_json(Success)},
            **{
                str(status): {"description": "Not done.", **_json(Failure)}
                for status in (400, 401, 403, 404, 409, 410, 413, 422, 501)
            },
        },
    },
)
