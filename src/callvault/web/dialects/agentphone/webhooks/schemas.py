"""AgentPhone's webhooks and their deliveries, in AgentPhone's spelling."""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from callvault.domain.webhook import Delivery, WebhookEndpoint
from callvault.web.mistakes import Proven
from callvault.wire import isotime

CALL_ENDED: Final = "agent.call_ended"
VOICE: Final = "voice"
CONTEXT_LIMIT: Final = 10
TIMEOUT_SECONDS: Final = 30
_SETTING = re.compile(r"(contextLimit|timeout)=(\d{1,3})")


class WebhookIn(Proven):
    url: Annotated[str, Field(min_length=1, max_length=2083)]
    contextLimit: Annotated[int, Field(ge=0, le=50)] | None = None
    timeout: Annotated[int, Field(ge=5, le=120)] | None = None

    @property
    def description(self) -> str:
        """Neither setting has a meaning here: they are kept where people see them, to be given back."""
        context_limit = CONTEXT_LIMIT if self.contextLimit is None else self.contextLimit
        return f"AgentPhone: contextLimit={context_limit} timeout={self.timeout or TIMEOUT_SECONDS}"


class Webhook(BaseModel):
    id: str
    url: str
    secret: str
    status: Literal["active", "disabled"]
    contextLimit: int
    timeout: int
    createdAt: str


class Deleted(BaseModel):
    success: bool = True


class DeliveryOut(BaseModel):
    id: str
    messageId: str | None
    eventType: str
    channel: str
    status: str
    httpStatus: int | None
    errorMessage: str | None
    responseBody: str | None
    attemptCount: int
    lastAttemptAt: str | None
    nextRetryAt: str | None
    createdAt: str


class DeliveryPage(BaseModel):
    items: list[DeliveryOut]
    total: int
    offset: int
    limit: int


class AllTime(BaseModel):
    total: int
    success: int
    failed: int
    successRate: float


class Stats(AllTime):
    pending: int
    byEventType: dict[str, dict[str, int]]
    byHour: list[dict[str, Any]]


class TestIn(Proven):
    """What the test message says; all of it may be left out."""

    from_: Annotated[str, Field(max_length=64)] | None = Field(None, alias="from")
    to: Annotated[str, Field(max_length=64)] | None = None
    message: Annotated[str, Field(max_length=2_000)] | None = None
    channel: Annotated[str, Field(max_length=32)] | None = None


class Tested(BaseModel):
    """Nobody publishes what a test answers: this is its only place."""

    success: bool
    httpStatus: int | None
    errorMessage: str | None


def webhook_of(endpoint: WebhookEndpoint, secret: str) -> Webhook:
    kept = dict(_SETTING.findall(endpoint.description))
    return Webhook(
        id=endpoint.id,
        url=endpoint.url,
        secret=secret,
        status="active" if endpoint.enabled else "disabled",
        contextLimit=int(kept.get("contextLimit", CONTEXT_LIMIT)),
        timeout=int(kept.get("timeout", TIMEOUT_SECONDS)),
        createdAt=isotime.serialize(endpoint.created_ms),
    )


def delivery_of(delivery: Delivery) -> DeliveryOut:
    last = delivery.attempts[-1] if delivery.attempts else None
    return DeliveryOut(
        id=delivery.id,
        messageId=delivery.event_id,
        eventType=CALL_ENDED,
        channel=VOICE,
        status=delivery.state,
        httpStatus=last.status if last else None,
        errorMessage=delivery.failure or (last.error if last else None),
        responseBody=last.answer if last else None,
        attemptCount=delivery.tries,
        lastAttemptAt=isotime.maybe(last.at_ms if last else None),
        nextRetryAt=isotime.serialize(delivery.due_ms) if delivery.state == "pending" else None,
        createdAt=isotime.serialize(delivery.created_ms),
    )


def all_time_of(success: int, failed: int, pending: int = 0) -> dict[str, Any]:
    over = success + failed
    rate = round(100 * success / over, 2) if over else 100.0
    return {"total": over + pending, "success": success, "failed": failed, "successRate": rate}
