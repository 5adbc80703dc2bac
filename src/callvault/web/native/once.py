"""POST requests with an Idempotency-Key: done once, answered the same each time."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Header
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from callvault.domain.errors import NotAuthenticated
from callvault.services.idempotency import Reply, fingerprint
from callvault.web.visit import visit_of

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=255,
        description="The same request with the same key is done once and gets the same answer for a day.",
    ),
]
Do = Callable[[str], Awaitable[BaseModel]]


async def once(request: Request, key: str | None, do: Do, status: int = 201, *, made_id: str | None = None) -> Response:
    """`do` is handed an id for what it makes: `made_id`, or a new one."""
    reply = await replied(request, key, do, status, made_id=made_id)
    headers = {"idempotent-replayed": "true"} if reply.replayed else None
    return Response(reply.body, reply.status, headers, media_type="application/json")


async def replied(request: Request, key: str | None, do: Do, status: int = 201, *, made_id: str | None = None) -> Reply:
    visit = visit_of(request)

    async def run(reserved_id: str) -> Reply:
        return Reply(status, (await do(reserved_id)).model_dump_json(by_alias=True))

    if key is None:
        return await run(made_id or visit.services.ids.uuid())
    principal = visit.caller.principal
    if principal is None:
        raise NotAuthenticated
    asked = fingerprint(principal, request.method.encode(), request.url.path.encode(), await request.body())
    return await visit.services.idempotency.once(principal.workspace_id, key, asked, run, made_id=made_id)
