"""A legal hold: it beats every deletion until it is released."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    id: str
    workspace_id: str
    recording_id: str
    created_ms: int
    actor: str
    reason: str = ""
    released_ms: int | None = None
    released_by: str | None = None
    version: int = 1
