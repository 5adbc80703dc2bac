"""AgentPhone's webhook: set, looked up, tried out and removed, with the log of what it was told."""

from typing import Annotated, Final

from fastapi import APIRouter, Query

from callvault.domain.access import Action, Caller
from callvault.domain.errors import Missing
from callvault.domain.filters import EVER, Between
from callvault.domain.webhook import WebhookEndpoint
from callvault.services.house import Services
from callvault.services.pages import Place
from callvault.web.auth import Asking, House, needs
from callvault.web.dialects.agentphone.schemas import FAILURES
from callvault.web.dialects.agentphone.webhooks import messages, schemas
from callvault.web.dialects.agentphone.webhooks.schemas import (
    AllTime,
    Deleted,
    DeliveryPage,
    Stats,
    Tested,
    TestIn,
    Webhook,
    WebhookIn,
)
from callvault.wire import isotime

HOUR_MS: Final = 3_600_000

router = APIRouter(responses=FAILURES)
Hours = Annotated[int, Query(ge=1, le=168)]


@router.get("/v1/webhooks")
@needs(Action.MANAGE_WEBHOOKS)
async def get_webhook(caller: Asking, services: House) -> Webhook | None:
    endpoint = await _master(caller, services)
    if endpoint is None:
        return None
    return schemas.webhook_of(endpoint, await services.webhooks.endpoints.secret(caller, endpoint.id))


@router.post("/v1/webhooks")
@needs(Action.MANAGE_WEBHOOKS)
async def create_or_update_webhook(asked: WebhookIn, caller: Asking, services: House) -> Webhook:
    """Where there is one, it is changed. It has a new secret each time, and the one before is worth nothing."""
    endpoints, known = services.webhooks.endpoints, await _master(caller, services)
    if known is None:
        made = await endpoints.create(caller, asked.url, description=asked.description, dialect=messages.NAME)
    else:
        changes = {"url": asked.url, "description": asked.description, "enabled": True}
        await endpoints.update(caller, known.id, changes)
        made = await endpoints.rotate(caller, known.id, overlap_seconds=0)
    return schemas.webhook_of(made.endpoint, made.secret)


@router.delete("/v1/webhooks")
@needs(Action.MANAGE_WEBHOOKS)
async def delete_webhook(caller: Asking, services: House) -> Deleted:
    await services.webhooks.endpoints.delete(caller, (await _existing(caller, services)).id)
    return Deleted()


@router.post("/v1/webhooks/test")
@needs(Action.MANAGE_WEBHOOKS)
async def test_webhook(
    *,
    caller: Asking,
    services: House,
    asked: TestIn | None = None,
    agent_id: Annotated[str | None, Query(alias="agentId", max_length=200)] = None,
) -> Tested:
    """Sends a made-up `agent.message`, marked as a test, and says how it was answered."""
    endpoint = await _existing(caller, services)
    body = messages.trial(asked or TestIn.model_validate({}), agent_id, services.clock.now_ms())
    answer = await services.webhooks.endpoints.send(caller, endpoint.id, body)
    well = answer.status is not None and 200 <= answer.status < 300
    return Tested(success=well, httpStatus=answer.status, errorMessage=answer.error)


@router.get("/v1/webhooks/deliveries")
@needs(Action.MANAGE_WEBHOOKS)
async def list_deliveries(
    *,
    caller: Asking,
    services: House,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
    hours: Hours | None = None,
) -> DeliveryPage:
    """The newest first."""
    endpoint, log = await _master(caller, services), services.webhooks.deliveries
    if endpoint is None:
        return DeliveryPage(items=[], total=0, offset=offset, limit=limit)
    made = Between(ge=services.clock.now_ms() - hours * HOUR_MS) if hours else EVER
    found = await log.find(caller, endpoint.id, Place(limit=limit, offset=offset), made=made)
    items = [schemas.delivery_of(delivery) for delivery in found.items]
    total = await log.count(caller, endpoint.id, made=made)
    return DeliveryPage(items=items, total=total, offset=offset, limit=limit)


@router.get("/v1/webhooks/deliveries/stats")
@needs(Action.MANAGE_WEBHOOKS)
async def delivery_stats(caller: Asking, services: House, hours: Hours = 24) -> Stats:
    endpoint, now = await _master(caller, services), services.clock.now_ms()
    since, by_hour = now - hours * HOUR_MS, []
    counts = await _counts(caller, services, endpoint, Between(ge=since))
    for start in range(since // HOUR_MS * HOUR_MS, now + 1, HOUR_MS) if any(counts.values()) else ():
        made = Between(ge=max(start, since), lt=start + HOUR_MS)
        if any((of_hour := await _counts(caller, services, endpoint, made)).values()):
            by_hour.append({"hour": isotime.serialize(start), **of_hour})
    by_type = {schemas.CALL_ENDED: counts} if any(counts.values()) else {}
    return Stats(**schemas.all_time_of(**counts), pending=counts["pending"], byEventType=by_type, byHour=by_hour)


@router.get("/v1/webhooks/deliveries/all-time")
@needs(Action.MANAGE_WEBHOOKS)
async def all_time_stats(caller: Asking, services: House) -> AllTime:
    endpoint = await _master(caller, services)
    return AllTime(**schemas.all_time_of(**await _counts(caller, services, endpoint, EVER)))


async def _master(caller: Caller, services: Services) -> WebhookEndpoint | None:
    """The one that AgentPhone knows: the newest of its kind."""
    found = await services.webhooks.endpoints.find(caller, Place(limit=1), messages.NAME)
    return found.items[0] if found.items else None


async def _existing(caller: Caller, services: Services) -> WebhookEndpoint:
    endpoint = await _master(caller, services)
    if endpoint is None:
        raise Missing(what="webhook")
    return endpoint


async def _counts(
    caller: Caller, services: Services, endpoint: WebhookEndpoint | None, made: Between
) -> dict[str, int]:
    count = services.webhooks.deliveries.count
    states = {"success": "delivered", "failed": "failed", "pending": "pending"}
    if endpoint is None:
        return dict.fromkeys(states, 0)
    return {name: await count(caller, endpoint.id, state, made) for name, state in states.items()}
