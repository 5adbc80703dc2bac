"""Webhooks: who is told of which events, the delivery of one event to one of them, and when it is tried again."""

import hashlib
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from callvault.domain.event import Event
from callvault.domain.ids import token

STATES = ("pending", "delivered", "failed")
PAUSES_SECONDS = (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Before each attempt: 75 h 35 min 5 s in all."""
JITTER = 0.1
"""By how much of itself a pause may be longer, so that what failed together does not come back together."""
DISABLED_AFTER_MS = 5 * 86_400_000
"""An endpoint that has answered nothing well for so long is not asked any more."""
GONE = 410
UNVERIFIED = "unverified"
DISABLED = "the endpoint is disabled"
"""Why it is sent nothing."""
LOG_LENGTH = 20
BODY_LIMIT = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSecret:
    """What messages are signed with; the secret itself is an object in storage, sealed like every other."""

    object_key: str
    created_ms: int
    public: str | None = None
    """The public half, for signatures that have one."""
    expires_ms: int | None = None
    """Set when a newer one is there: until then both are valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpoint:
    id: str
    workspace_id: str
    member_id: str
    """Who made it, or has last chosen its URL: it is told of private calls if this member takes part in them."""
    url: str
    created_ms: int
    updated_ms: int
    event_types: tuple[str, ...] = ()
    """`recording.completed`, `recording.*` ...; none means all."""
    description: str = ""
    dialect: str = "standard"
    """Whose form and payload its messages have."""
    scheme: str = "v1"
    """How they are signed."""
    secrets: tuple[EndpointSecret, ...] = ()
    """The newest first."""
    from_position: int = 0
    """It is told of events behind this one."""
    enabled: bool = True
    disabled_reason: str | None = None
    """`gone`, `failing`, `unverified` or `manual`."""
    failing_since_ms: int | None = None
    verified_ms: int | None = None
    version: int = 1

    @property
    def public_key(self) -> str | None:
        """The newest, for signatures that have one."""
        return self.secrets[0].public if self.secrets else None

    @property
    def must_verify(self) -> bool:
        """Whether it has answered a challenge, or is told of nothing before it has: at another URL it must anew."""
        return self.verified_ms is not None or self.disabled_reason == UNVERIFIED

    def wants(self, event: Event) -> bool:
        return event.position > self.from_position and self.hears(event)

    def hears(self, event: Event) -> bool:
        """Whether it may be told of it, and asked to be; if need be of what happened before it was there."""
        wanted = not self.event_types or any(fnmatchcase(event.type, wanted) for wanted in self.event_types)
        return wanted and self.may_know(event)

    def may_know(self, event: Event) -> bool:
        return event.readers is None or self.member_id in event.readers

    def valid_secrets(self, now_ms: int) -> tuple[EndpointSecret, ...]:
        return tuple(s for s in self.secrets if s.expires_ms is None or now_ms < s.expires_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    at_ms: int
    milliseconds: int
    status: int | None = None
    """What was answered; None when nothing was."""
    error: str | None = None
    answer: str = ""
    """The beginning of the answer's body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The telling of one event to one endpoint, with its attempts."""

    id: str
    """The message's id: the same in every attempt and replay."""
    workspace_id: str
    endpoint_id: str
    event_id: str
    event_type: str
    created_ms: int
    state: str = "pending"
    planned_ms: int
    """When its schedule began: at the event, or at its last replay."""
    tries: int = 0
    """Since then."""
    due_ms: int = 0
    failure: str | None = None
    attempts: tuple[Attempt, ...] = ()
    """The last `LOG_LENGTH`, the oldest first."""
    version: int = 1

    def planned(self, now_ms: int) -> "Delivery":
        """To be sent as if it never had been."""
        begun = replace(self, state="pending", failure=None, tries=0, planned_ms=now_ms, due_ms=now_ms)
        return replace(begun, version=self.version + 1)

    def after(self, attempt: Attempt) -> "Delivery":
        log = (*self.attempts, attempt)[-LOG_LENGTH:]
        return replace(self, attempts=log, tries=self.tries + 1, version=self.version + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxCursor:
    """How far a reader of the outbox has come; moved in the unit that holds what it made of the events."""

    name: str
    position: int
    version: int = 1


def message_id(endpoint_id: str, event_id: str) -> str:
    digest = hashlib.sha256(f"{endpoint_id}:{event_id}".encode()).digest()
    return f"msg_{token(digest[:16])}"


def next_due_ms(tries: int, now_ms: int, jitter: float, retry_after_seconds: int = 0) -> int | None:
    """When to try again after so many tries, the last of them just now; None when it was the last of all."""
    if tries >= len(PAUSES_SECONDS):
        return None
    seconds = max(PAUSES_SECONDS[tries] * (1 + JITTER * jitter), min(retry_after_seconds, PAUSES_SECONDS[-1]))
    return now_ms + int(seconds * 1000)
