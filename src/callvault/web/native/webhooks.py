"""Webhook endpoints, their secrets, and the log of what they were told."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field

from callvault.domain.access import Action
from callvault.domain.webhook import Delivery, WebhookEndpoint
from callvault.services.webhooks.dialects import STANDARD
from callvault.services.webhooks.endpoints import LONGEST_OVERLAP_SECONDS, MOST_TYPES, OVERLAP_SECONDS, Made
from callvault.web.auth import Asking, House, needs
from callvault.web.native import cursors
from callvault.web.native.cursors import Cursor, Limit, Listed
from callvault.web.native.jobs import JobOut, job_out
from callvault.web.native.problems import PROBLEMS
from callvault.web.native.spelling import Asked, Moment, Told, seconds

router = APIRouter(prefix="/api/v1", tags=["webhooks"], responses=PROBLEMS)
Types = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=MOST_TYPES)]
State = Literal["pending", "delivered", "failed"]
Secret = Annotated[str, Field(min_length=1, max_length=500)]


class EndpointIn(Asked):
    url: Annotated[str, Field(max_length=2000)]
    event_types: Types = Field(default_factory=list, description="`recording.completed`, `recording.*`; none for all.")
    description: Annotated[str, Field(max_length=500)] = ""
    dialect: Annotated[str, Field(max_length=40, description="Whose form and payload the messages have.")] = STANDARD
    signature: Annotated[str, Field(max_length=40)] | None = None
    secret: Secret | None = None
    verify: bool = False


class EndpointChanges(Asked):
    """What is not there stays as it is."""

    url: Annotated[str, Field(max_length=2000)] = ""
    event_types: Types = Field(default_factory=list)
    description: Annotated[str, Field(max_length=500)] = ""
    enabled: bool = True


class Rotation(Asked):
    secret: Secret | None = None
    overlap_seconds: Annotated[
        int, Field(ge=0, le=LONGEST_OVERLAP_SECONDS, description="So long the secret before stays valid.")
    ] = OVERLAP_SECONDS


class ReplaySince(Asked):
    since: Moment
    failed_only: bool = False


class EndpointOut(Told):
    id: str
    url: str
    event_types: list[str]
    description: str
    dialect: str
    signature: str
    public_key: Annotated[str | None, Field(description="With ed25519, what the messages are verified with.")]
    enabled: bool
    disabled_reason: str | None
    failing_since: float | None
    verified_at: float | None
    created: float
    updated: float


class NewEndpointOut(EndpointOut):
    secret: str
    """Told this once; with ed25519, the public key."""


class VerifiedOut(EndpointOut):
    answered: bool
    why: str


class AttemptOut(Told):
    at: float
    milliseconds: int
    status: int | None
    error: str | None
    answer: str


class DeliveryOut(Told):
    id: str
    endpoint_id: str
    event_id: str
    event_type: str
    state: State
    tries: int
    due_at: float | None
    failure: str | None
    attempts: list[AttemptOut]
    created: float


@router.post("/webhook-endpoints", status_code=201)
@needs(Action.MANAGE_WEBHOOKS)
async def create_endpoint(asked: EndpointIn, caller: Asking, services: House) -> NewEndpointOut:
    """With `verify` it is told of nothing before it has answered the challenge, which is sent at once. An
    Idempotency-Key is not heeded here: the answer has a secret, and secrets are not kept."""
    made = await services.webhooks.endpoints.create(
        caller,
        asked.url,
        event_types=asked.event_types,
        description=asked.description,
        dialect=asked.dialect,
        scheme=asked.signature,
        secret=asked.secret,
        verify=asked.verify,
    )
    return _made(made)


@router.get("/webhook-endpoints")
@needs(Action.MANAGE_WEBHOOKS)
async def list_endpoints(
    caller: Asking, services: House, limit: Limit = cursors.LIMIT, cursor: Cursor = None
) -> Listed[EndpointOut]:
    page = await services.webhooks.endpoints.find(caller, cursors.newest_first(limit, cursor))
    return Listed(data=[_out(endpoint) for endpoint in page.items], next_cursor=cursors.serialize(page.cursor))


@router.get("/webhook-endpoints/{id}")
@needs(Action.MANAGE_WEBHOOKS)
async def get_endpoint(id: str, caller: Asking, services: House) -> EndpointOut:
    return _out(await services.webhooks.endpoints.get(caller, id))


@router.patch("/webhook-endpoints/{id}")
@needs(Action.MANAGE_WEBHOOKS)
async def change_endpoint(id: str, changes: EndpointChanges, caller: Asking, services: House) -> EndpointOut:
    told: dict[str, object] = {name: getattr(changes, name) for name in changes.model_fields_set}
    return _out(await services.webhooks.endpoints.update(caller, id, told))


@router.delete("/webhook-endpoints/{id}", status_code=204)
@needs(Action.MANAGE_WEBHOOKS)
async def delete_endpoint(id: str, caller: Asking, services: House) -> None:
    await services.webhooks.endpoints.delete(caller, id)


@router.post("/webhook-endpoints/{id}/rotate-secret")
@needs(Action.MANAGE_WEBHOOKS)
async def rotate_secret(id: str, caller: Asking, services: House, asked: Rotation | None = None) -> NewEndpointOut:
    asked = asked or Rotation()
    made = await services.webhooks.endpoints.rotate(
        caller, id, overlap_seconds=asked.overlap_seconds, secret=asked.secret
    )
    return _made(made)


@router.post("/webhook-endpoints/{id}/verify")
@needs(Action.MANAGE_WEBHOOKS)
async def verify_endpoint(id: str, caller: Asking, services: House) -> VerifiedOut:
    """Sends the challenge again."""
    verified = await services.webhooks.endpoints.verify(caller, id)
    return VerifiedOut(**_facts(verified.endpoint), answered=verified.answered, why=verified.why)


@router.get("/webhook-endpoints/{id}/deliveries")
@needs(Action.MANAGE_WEBHOOKS)
async def list_deliveries(
    *,
    id: str,
    caller: Asking,
    services: House,
    limit: Limit = cursors.LIMIT,
    cursor: Cursor = None,
    state: State | None = None,
) -> Listed[DeliveryOut]:
    """The newest first, each with its last attempts."""
    page = await services.webhooks.deliveries.find(caller, id, cursors.newest_first(limit, cursor), state)
    return Listed(data=[_delivery(one) for one in page.items], next_cursor=cursors.serialize(page.cursor))


@router.post("/webhook-endpoints/{id}/replay", status_code=202)
@needs(Action.MANAGE_WEBHOOKS)
async def replay_since(id: str, asked: ReplaySince, caller: Asking, services: House) -> JobOut:
    """A job that tells again all that has happened since."""
    job = await services.webhooks.deliveries.replay_since(caller, id, asked.since, failed_only=asked.failed_only)
    return job_out(job)


@router.get("/deliveries/{id}")
@needs(Action.MANAGE_WEBHOOKS)
async def get_delivery(id: str, caller: Asking, services: House) -> DeliveryOut:
    return _delivery(await services.webhooks.deliveries.get(caller, id))


@router.post("/deliveries/{id}/replay", status_code=202)
@needs(Action.MANAGE_WEBHOOKS)
async def replay_delivery(id: str, caller: Asking, services: House) -> DeliveryOut:
    return _delivery(await services.webhooks.deliveries.replay(caller, id))


def _made(made: Made) -> NewEndpointOut:
    return NewEndpointOut(**_facts(made.endpoint), secret=made.secret)


def _out(endpoint: WebhookEndpoint) -> EndpointOut:
    return EndpointOut(**_facts(endpoint))


def _facts(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "event_types": list(endpoint.event_types),
        "description": endpoint.description,
        "dialect": endpoint.dialect,
        "signature": endpoint.scheme,
        "public_key": endpoint.public_key,
        "enabled": endpoint.enabled,
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": seconds(endpoint.failing_since_ms),
        "verified_at": seconds(endpoint.verified_ms),
        "created": seconds(endpoint.created_ms),
        "updated": seconds(endpoint.updated_ms),
    }


def _delivery(delivery: Delivery) -> DeliveryOut:
    attempts: list[AttemptOut] = [
        AttemptOut(
            at=seconds(attempt.at_ms) or 0,
            milliseconds=attempt.milliseconds,
            status=attempt.status,
            error=attempt.error,
            answer=attempt.answer,
        )
        for attempt in delivery.attempts
    ]
    return DeliveryOut(
        id=delivery.id,
        endpoint_id=delivery.endpoint_id,
        event_id=delivery.event_id,
        event_type=delivery.event_type,
        state=delivery.state,  # type: ignore[arg-type]
        tries=delivery.tries,
        due_at=seconds(delivery.due_ms) if delivery.state == "pending" else None,
        failure=delivery.failure,
        attempts=attempts,
        created=seconds(delivery.created_ms) or 0,
    )
