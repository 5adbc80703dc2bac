"""The asker's workspace and its audit trail."""

from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request

from callvault.domain.access import Action
from callvault.domain.audit import ChainedEntry
from callvault.domain.workspace import Workspace
from callvault.services.workspaces import BOUNDS, NAME_MAX, WorkspaceSettings
from callvault.web.auth import Asking, House, needs
from callvault.web.native import cursors, hotdocs
from callvault.web.native.cursors import Cursor, Limit, Listed
from callvault.web.native.keys import own
from callvault.web.native.problems import PROBLEMS
from callvault.web.native.spelling import Asked, Metadata, Told, seconds
from callvault.web.parts import Hot
from callvault.web.responses import Answer
from callvault.web.visit import visit_of

router = APIRouter(prefix="/api/v1", tags=["workspace"], responses=PROBLEMS)


class WorkspaceChanges(Asked):
    """What is not there stays as it is."""

    name: str = Field(default_factory=str, min_length=1, max_length=NAME_MAX)
    """Without a default to tell: none is a name."""
    recording_enabled: bool = True
    public_recordings: bool = False
    hipaa: bool = False
    delivery: Literal["vault", "bucket"] = "vault"
    link_seconds_max: Annotated[int, Field(ge=BOUNDS["link_seconds_max"][0], le=BOUNDS["link_seconds_max"][1])] = 86_400
    idle_complete_seconds: Annotated[
        int, Field(ge=BOUNDS["idle_complete_seconds"][0], le=BOUNDS["idle_complete_seconds"][1])
    ] = 300
    retention_days: Annotated[int, Field(ge=BOUNDS["retention_days"][0], le=BOUNDS["retention_days"][1])] | None = None
    customer_public_key: Annotated[str, Field(max_length=10_000)] | None = None

    def settings(self) -> WorkspaceSettings:
        set_elsewhere = {"customer_public_key"}
        return cast(WorkspaceSettings, {name: getattr(self, name) for name in self.model_fields_set - set_elsewhere})


class WorkspaceOut(Told):
    id: str
    name: str
    recording_enabled: bool
    public_recordings: bool
    hipaa: bool
    delivery: str
    link_seconds_max: int
    idle_complete_seconds: int
    retention_days: int | None
    customer_public_key: str | None
    created: float


class AuditOut(Told):
    seq: int
    at: float
    actor: str
    member: str | None
    action: str
    thing: str
    outcome: str
    address: str | None
    request_id: str | None
    detail: Metadata
    block: int
    digest: str


@router.get("/workspace")
@needs(Action.MANAGE_WORKSPACE)
async def get_workspace(caller: Asking, services: House) -> WorkspaceOut:
    return _out(await services.workspaces.get(caller, own(caller)))


@router.patch("/workspace")
@needs(Action.MANAGE_WORKSPACE)
async def change_workspace(changes: WorkspaceChanges, caller: Asking, services: House) -> WorkspaceOut:
    if settings := changes.settings():
        await services.workspaces.set(caller, own(caller), settings)
    if "customer_public_key" in changes.model_fields_set:
        await services.sealing.set_customer_key(caller, own(caller), changes.customer_public_key)
    return _out(await services.workspaces.get(caller, own(caller)))


@router.get("/audit")
@needs(Action.READ_AUDIT)
async def list_audit(
    *,
    caller: Asking,
    services: House,
    limit: Limit = cursors.LIMIT,
    cursor: Cursor = None,
    thing: Annotated[str, Field(max_length=200)] | None = None,
) -> Listed[AuditOut]:
    """The oldest first. `thing` is `recording:<id>`, `call:<id>`, `key:<id>` ...; `block` is the number of the last
    entry with the same `digest`."""
    after = cursors.parse(cursor, int)
    found = await services.audit_trail.page(own(caller), after[0] if after else 0, limit, thing)
    last = (found[-1].seq,) if len(found) == limit else None
    return Listed(data=[_entry(entry) for entry in found], next_cursor=cursors.serialize(last))


@needs(Action.READ_AUDIT)
async def export_audit(request: Request) -> Answer:
    visit = visit_of(request)
    workspace_id = own(visit.caller)
    headers = [
        (b"content-type", b"application/jsonl"),
        (b"content-disposition", b'attachment; filename="audit.jsonl"'),
    ]
    return Answer(200, headers, visit.services.audit_trail.export(workspace_id))


EXPORT = Hot(
    "GET",
    "/api/v1/audit/export",
    export_audit,
    docs=hotdocs.operation(
        "Export the audit trail",
        "workspace",
        "JSONL, one entry a line, with all that the digests are made of.",
        responses={"200": hotdocs.content("Entries.", "application/jsonl")},
    ),
)


def _out(workspace: Workspace) -> WorkspaceOut:
    facts: dict[str, Any] = {name: getattr(workspace, name) for name in WorkspaceOut.model_fields if name != "created"}
    return WorkspaceOut(**facts, created=seconds(workspace.created_ms) or 0)


def _entry(link: ChainedEntry) -> AuditOut:
    entry, block = link.entry, link.block
    at = seconds(entry.at_ms) or 0
    return AuditOut(**entry._asdict(), seq=link.seq, block=block.seq, digest=block.digest, at=at)
