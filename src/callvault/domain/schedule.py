"""Schedules: jobs that fall due again and again, once for all nodes together."""

from dataclasses import dataclass, field

from callvault.domain.ids import Json

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """`Schedule(name="sweep", kind="retention.sweep", every_seconds=DAY_SECONDS, at_seconds=3 * 3600)`: at 3:00 UTC."""

    name: str
    kind: str
    every_seconds: int
    at_seconds: int = 0
    """Where in each period it falls due; periods are counted from the Unix epoch."""
    arguments: dict[str, Json] = field(default_factory=dict)
    priority: int = 0

    def slot_ms(self, now_ms: int) -> int:
        """The last time it fell due, not after `now_ms`."""
        period, offset = self.every_seconds * 1000, self.at_seconds * 1000
        return (now_ms - offset) // period * period + offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """When a schedule was last obeyed, by whichever node was first. What fell due while nobody was there is done
    once when somebody is; while a job of the schedule has not ended, no further one is made."""

    name: str
    slot_ms: int
    job_id: str
    version: int = 1
