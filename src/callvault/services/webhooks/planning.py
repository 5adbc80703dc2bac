"""Plans deliveries: of every event to each endpoint that wants it, once, in the unit that moves the cursor."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from callvault.domain.errors import AlreadyThere, StaleWrite
from callvault.domain.event import Event
from callvault.domain.job import Job
from callvault.domain.query import Query
from callvault.domain.unit import Unit
from callvault.domain.webhook import Delivery, OutboxCursor, WebhookEndpoint, message_id
from callvault.ports.jobs import Duty
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.webhooks.dialects import MessageForms

CURSOR = "webhooks"
SEND = "webhooks.send"
AT_ONCE = 100
EVERY_SECONDS = 0.25


class Planning:
    def __init__(self, store: Store, forms: MessageForms, *, clock: Clock, ids: Ids) -> None:
        self._store, self._forms, self._clock, self._ids = store, forms, clock, ids

    def duties(self) -> list[Duty]:
        return [Duty("webhooks", self.plan, EVERY_SECONDS)]

    async def plan(self) -> bool:
        """Whether there may be more. Nodes that come to the same events have the store's check of versions between
        them: one of them plans."""
        cursor = await self.cursor()
        events = await self._store.find(Query(Event).by("position").page(AT_ONCE, (cursor.position,)))
        if not events:
            return False
        unit = Unit()
        for endpoint, event in await self._wanted(events):
            self.enqueue(unit, self.delivery(unit, endpoint, event))
        self._move(unit, cursor, events[-1].position)
        try:
            await self._store.commit(unit)
        except (StaleWrite, AlreadyThere):
            return True
        return len(events) == AT_ONCE

    async def cursor(self) -> OutboxCursor:
        return await self._store.get(OutboxCursor, CURSOR) or OutboxCursor(name=CURSOR, position=0, version=0)

    def delivery(self, unit: Unit, endpoint: WebhookEndpoint, event: Event) -> Delivery:
        now = self._clock.now_ms()
        delivery = Delivery(
            id=message_id(endpoint.id, event.id),
            workspace_id=endpoint.workspace_id,
            endpoint_id=endpoint.id,
            event_id=event.id,
            event_type=event.type,
            created_ms=now,
            planned_ms=now,
            due_ms=now,
        )
        unit.add(delivery)
        return delivery

    def enqueue(self, unit: Unit, delivery: Delivery) -> None:
        """The job of the next attempt, for the delivery as it is in this unit; a change of it makes the job void."""
        job = Job(
            id=self._ids.uuid(),
            workspace_id="",
            kind=SEND,
            created_ms=self._clock.now_ms(),
            due_ms=delivery.due_ms,
            arguments={"delivery": delivery.id, "version": delivery.version},
        )
        unit.enqueue(job)

    async def _wanted(self, events: Sequence[Event]) -> list[tuple[WebhookEndpoint, Event]]:
        workspaces = {event.workspace_id for event in events}
        query = Query(WebhookEndpoint).where("workspace_id", "in", sorted(workspaces)).by("id")
        of: defaultdict[str, list[WebhookEndpoint]] = defaultdict(list)
        for endpoint in await self._store.find(query):
            of[endpoint.workspace_id].append(endpoint)
        pairs = [(endpoint, event) for event in events for endpoint in of[event.workspace_id]]
        return [(endpoint, event) for endpoint, event in pairs if self._forms.wants(endpoint, event)]

    def _move(self, unit: Unit, cursor: OutboxCursor, position: int) -> None:
        moved = replace(cursor, position=position, version=cursor.version + 1)
        if cursor.version:
            unit.change(moved)
        else:
            unit.add(moved)
