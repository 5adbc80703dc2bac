"""A job: durable work, whose state everybody may see."""

from dataclasses import dataclass, field

from callvault.domain.ids import Json

STATES = ("queued", "running", "succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    id: str
    workspace_id: str
    kind: str
    created_ms: int
    recording_id: str | None = None
    arguments: dict[str, Json] = field(default_factory=dict)
    state: str = "queued"
    progress: float = 0.0
    priority: int = 0
    """The higher goes first."""
    due_ms: int = 0
    attempts: int = 0
    error_code: str | None = None
    error: str | None = None
    result: dict[str, Json] = field(default_factory=dict)
    started_ms: int | None = None
    ended_ms: int | None = None
    cancel_requested: bool = False
    version: int = 1
