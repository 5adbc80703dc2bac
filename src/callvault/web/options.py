"""What the operator decided about the web, as the web needs to know it."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

STALL_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    version: str = ""
    public_url: str | None = None
    """Without it, the host name that the client used."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may read answers; `*` for all."""
    requests_per_minute: int = 0
    """Of one key, and of one address where no key is asked for; 0 is no limit."""
    body_max: int = 1 << 20
    """Bytes of a body, where the route does not say otherwise."""
    stall_seconds: float = STALL_SECONDS
    """A live stream whose sender says nothing for so long is taken to be gone."""
    metrics_token: str | None = field(default=None, repr=False)
    access_log: bool = True
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server begins to stop: streams without an end should end then."""
