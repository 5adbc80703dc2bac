"""The one route of the .do form."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Header
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse

from callvault.web.auth import Visiting, keyed
from callvault.web.dialects.dotdo.envelope import Failure, Success, meta
from callvault.web.dialects.dotdo.operations import ACTIONS, MAKING, operation
from callvault.web.native.once import replied

router = APIRouter()


class Command(BaseModel):
    operation: Annotated[str, Field(max_length=100, description=f"One of {', '.join(ACTIONS)}.")]
    parameters: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict, description="`idempotencyKey`.")


@router.post(
    "/CallRecording",
    response_model=Success,
    responses={status: {"model": Failure} for status in (400, 401, 403, 404, 409, 422, 501)},
)
@keyed("each operation asks for what it needs")
async def call_recording(
    request: Request,
    visit: Visiting,
    command: Command,
    idempotency_key: Annotated[str | None, Header(alias="Idempotency-Key", max_length=255)] = None,
) -> JSONResponse:
    clock = visit.services.clock
    began, run = clock.monotonic(), operation(command.operation)
    key = idempotency_key or command.options.get("idempotencyKey")
    reply = await replied(
        request,
        str(key) if key is not None and command.operation in MAKING else None,
        lambda reserved_id: run(visit, command.parameters, reserved_id),
        status=200,
    )
    told = meta(visit.request_id, clock.now_ms(), clock.monotonic() - began)
    return JSONResponse(Success(data=json.loads(reply.body), meta=told).model_dump(), reply.status)
