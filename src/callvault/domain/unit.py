"""A unit of work: changes that commit together or not at all, collected as values."""

from dataclasses import dataclass, field
from typing import Any

from callvault.domain.audit import AuditEntry
from callvault.domain.event import Event
from callvault.domain.job import Job


@dataclass(frozen=True, slots=True)
class Write:
    verb: str
    """`add`, `change`, `put`, `remove` or `bump`."""
    entity: Any
    fields: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Unit:
    """What one use case changes. Nothing happens until the store commits it."""

    writes: list[Write] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    audit: list[AuditEntry] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)

    def add(self, *entities: object) -> None:
        """New entities; `AlreadyThere` on commit when one of them is there."""
        self.writes.extend(Write("add", entity) for entity in entities)

    def change(self, *entities: object) -> None:
        """Entities as they shall be. One with a `version` must be one above the stored one, else `StaleWrite`;
        one without must exist, else `Missing`."""
        self.writes.extend(Write("change", entity) for entity in entities)

    def put(self, *entities: object) -> None:
        """Entities that shall be so, whether they were there or not; without a version check."""
        self.writes.extend(Write("put", entity) for entity in entities)

    def remove(self, *entities: object) -> None:
        """Entities that shall not be; it is no error when one is gone already."""
        self.writes.extend(Write("remove", entity) for entity in entities)

    def bump(self, entity: object, **by: int) -> None:
        """Adds to integer fields where they stand, whatever the version: for counters. What is gone stays gone."""
        self.writes.append(Write("bump", entity, by))

    def tell(self, *events: Event) -> None:
        self.events.extend(events)

    def note(self, *entries: AuditEntry) -> None:
        self.audit.extend(entries)

    def enqueue(self, *jobs: Job) -> None:
        self.jobs.extend(jobs)
