"""Cursors: where a list goes on, as text that clients hand back and need not understand."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from itertools import chain
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel
from starlette.responses import Response

from callvault.domain.errors import Malformed
from callvault.services.pages import Place
from callvault.web.native.spelling import Told
from callvault.web.responses import in_turns, json_list

T = TypeVar("T")
LIMIT = 50
LIMIT_MAX = 200

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="How many at most.")]
Cursor = Annotated[str | None, Query(max_length=500, description="The `nextCursor` of the page before.")]


class Listed(Told, Generic[T]):
    data: list[T]
    next_cursor: str | None = None
    """Where the next page begins; null at the end."""


async def listed(entries: Iterable[BaseModel], cursor: tuple[Any, ...] | None) -> Response:
    """The page as a `Listed`, of entries that may be large: each is made and written when its turn has come."""
    told = json_list(entry.model_dump_json(by_alias=True).encode() for entry in entries)
    last = json.dumps(serialize(cursor)).encode()
    body = await in_turns(chain([b'{"data":'], told, [b',"nextCursor":', last, b"}"]))
    return Response(body, media_type="application/json")


def serialize(cursor: tuple[Any, ...] | None) -> str | None:
    if cursor is None:
        return None
    return urlsafe_b64encode(json.dumps(cursor, separators=(",", ":")).encode()).rstrip(b"=").decode()


def parse(text: str | None, *types: type) -> tuple[Any, ...] | None:
    """`types` of what the list is ordered by."""
    if text is None:
        return None
    try:
        values = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        values = None
    if not isinstance(values, list) or [type(value) for value in values] != list(types):
        raise Malformed(what="cursor", why="it is not one that was handed out for this list")
    if any(isinstance(value, int) and abs(value) >= 2**63 for value in values):
        raise Malformed(what="cursor", why="it is not one that was handed out for this list")
    return tuple(values)


def newest_first(limit: int, cursor: str | None) -> Place:
    return Place(limit=limit, after=parse(cursor, int, str))
