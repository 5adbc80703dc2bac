"""API keys of the asker's workspace."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from callvault.domain.access import Action
from callvault.domain.errors import NotAuthenticated
from callvault.domain.workspace import SCOPES, ApiKey
from callvault.web.auth import Asking, House, needs
from callvault.web.native import cursors
from callvault.web.native.cursors import Cursor, Limit, Listed
from callvault.web.native.problems import PROBLEMS
from callvault.web.native.spelling import Asked, Moment, Told, seconds

router = APIRouter(prefix="/api/v1", tags=["keys"], responses=PROBLEMS)


class KeyIn(Asked):
    scopes: Annotated[list[str], Field(max_length=len(SCOPES), description="None: all that the asker may give.")] = (
        Field(default_factory=list)
    )
    member: Annotated[str, Field(max_length=200, description="As whom it acts; else as a member of its own.")] = ""
    kind: Literal["private", "public"] = "private"
    label: Annotated[str, Field(max_length=200)] = ""
    expires_at: Moment | None = None


class KeyOut(Told):
    id: str
    prefix: str
    kind: str
    label: str
    member: str
    scopes: list[str]
    created: float
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None


class NewKeyOut(KeyOut):
    key: str
    """Told this once."""


@router.post("/keys", status_code=201)
@needs(Action.MANAGE_KEYS)
async def create_key(asked: KeyIn, caller: Asking, services: House) -> NewKeyOut:
    """An Idempotency-Key is not heeded here: the answer has a secret, and secrets are not kept."""
    made = await services.keys.create(
        caller,
        own(caller),
        member_id=asked.member,
        scopes=asked.scopes,
        kind=asked.kind,
        label=asked.label,
        expires_ms=asked.expires_at,
    )
    return NewKeyOut(**_out(made.row).model_dump(), key=made.key)


@router.get("/keys")
@needs(Action.MANAGE_KEYS)
async def list_keys(
    caller: Asking, services: House, limit: Limit = cursors.LIMIT, cursor: Cursor = None
) -> Listed[KeyOut]:
    """The newest first."""
    after = cursors.parse(cursor, int, str)
    found = await services.keys.page(caller, own(caller), after and (after[0], after[1]), limit)
    last = (found[-1].created_ms, found[-1].id) if len(found) == limit else None
    return Listed(data=[_out(key) for key in found], next_cursor=cursors.serialize(last))


@router.delete("/keys/{id}")
@needs(Action.MANAGE_KEYS)
async def revoke_key(id: str, caller: Asking, services: House) -> KeyOut:
    return _out(await services.keys.revoke(caller, id))


def own(caller: Asking) -> str:
    """The asker's workspace."""
    if caller.principal is None:
        raise NotAuthenticated
    return caller.principal.workspace_id


def _out(key: ApiKey) -> KeyOut:
    return KeyOut(
        id=key.id,
        prefix=key.prefix,
        kind=key.kind,
        label=key.label,
        member=key.member_id,
        scopes=list(key.scopes),
        created=seconds(key.created_ms) or 0,
        expires_at=seconds(key.expires_ms),
        revoked_at=seconds(key.revoked_ms),
        last_used_at=seconds(key.last_used_ms),
    )
