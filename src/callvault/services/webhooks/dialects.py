"""The forms that messages can have: our own, and those that dialects bring."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from callvault.domain.access import Caller
from callvault.domain.errors import Malformed
from callvault.domain.event import Event
from callvault.domain.ids import Json
from callvault.domain.webhook import WebhookEndpoint
from callvault.services.access import Access

STANDARD = "standard"


@dataclass(frozen=True, slots=True)
class Rendering:
    """What is sent, byte for byte as it is signed; under `domain.webhook.BODY_LIMIT` bytes."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


Renderer = Callable[[Event, WebhookEndpoint], Awaitable[Rendering | None]]
"""Makes the message anew for every attempt, so that links in it are fresh; None when there is nothing to tell."""


@dataclass(frozen=True, slots=True)
class MessageForm:
    """A dialect's messages."""

    dialect: str
    schemes: tuple[str, ...]
    """How they may be signed, the usual way first."""
    wants: Callable[[Event], bool]
    """Whether the dialect has a word for such an event: whether to plan a delivery at all."""
    render: Renderer


class MessageForms:
    def __init__(self, forms: Iterable[MessageForm] = ()) -> None:
        self._forms = {form.dialect: form for form in (OURS, *forms)}

    def learn(self, form: MessageForm) -> None:
        """A dialect writes its messages from the services, which are there before it can."""
        self._forms[form.dialect] = form

    def of(self, dialect: str) -> MessageForm:
        if dialect not in self._forms:
            raise Malformed(what="dialect", why=f"it is one of {', '.join(sorted(self._forms))}")
        return self._forms[dialect]

    def wants(self, endpoint: WebhookEndpoint, event: Event) -> bool:
        form = self._forms.get(endpoint.dialect)
        return endpoint.enabled and form is not None and endpoint.wants(event) and form.wants(event)


async def owner_of(access: Access, endpoint: WebhookEndpoint) -> Caller:
    """Who is told: one who may what the endpoint's member may by any of his keys now."""
    name = f"webhook-{endpoint.id}"
    return Caller(await access.of_member(endpoint.workspace_id, endpoint.member_id, name))


async def ours(event: Event, endpoint: WebhookEndpoint) -> Rendering:
    """As Standard Webhooks says: type, timestamp, data."""
    data: dict[str, Json] = {"id": event.id, "recordingId": event.recording_id, "callId": event.call_id}
    return Rendering(message(event.type, event.created_ms, {**data, **event.data}))


def message(kind: str, at_ms: int, data: Mapping[str, Json]) -> bytes:
    at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": kind, "timestamp": at, "data": dict(data)}, separators=(",", ":")).encode()


OURS = MessageForm(STANDARD, ("v1", "v1a"), lambda event: True, ours)
