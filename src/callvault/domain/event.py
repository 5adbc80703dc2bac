"""An event: something that happened to a recording, written with its cause and never changed."""

from dataclasses import dataclass, field

from callvault.domain.ids import Json

RECORDING_EVENTS = (
    "created",
    "processing",
    "completed",
    "failed",
    "updated",
    "deleted",
    "downloaded",
    "transcribed",
    "analyzed",
    "redacted",
    "compressed",
    "expired",
    "autoDeleted",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    id: str
    workspace_id: str
    type: str
    """`recording.completed`, `call.ended`, `webhook_endpoint.disabled` ...: the noun, a dot, what happened."""
    created_ms: int
    recording_id: str | None = None
    call_id: str | None = None
    readers: tuple[str, ...] | None = None
    """The members that it is for, where it is about a private call; None for all."""
    data: dict[str, Json] = field(default_factory=dict)
    position: int = 0
    """Given by the store, rising in the order in which units commit; 0 until then."""
