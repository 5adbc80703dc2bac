"""The log of deliveries: what was told to whom and how they answered; and the telling of it once more."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from callvault.domain.access import Action, Caller, Thing
from callvault.domain.errors import Malformed, Missing, Refused, StaleWrite
from callvault.domain.event import Event
from callvault.domain.filters import EVER, Between
from callvault.domain.ids import Json
from callvault.domain.job import Job
from callvault.domain.query import Query
from callvault.domain.schedule import DAY_SECONDS, Schedule
from callvault.domain.unit import Unit
from callvault.domain.webhook import STATES, Delivery, WebhookEndpoint, message_id
from callvault.ports.jobs import JobKind, Progress
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.access import Access
from callvault.services.audit import Audit
from callvault.services.pages import Page, Place, page_of
from callvault.services.stale import again_when_stale
from callvault.services.webhooks.dialects import MessageForms
from callvault.services.webhooks.endpoints import Endpoints
from callvault.services.webhooks.planning import Planning

REPLAY, SWEEP = "webhooks.replay", "webhooks.sweep"
AT_ONCE = 100
KEPT_DAYS = 30
STUCK_SECONDS = 6 * 3600


class Deliveries:
    def __init__(
        self,
        store: Store,
        endpoints: Endpoints,
        planning: Planning,
        forms: MessageForms,
        *,
        clock: Clock,
        ids: Ids,
        access: Access,
        audit: Audit,
    ) -> None:
        self._store, self._endpoints, self._planning, self._forms = store, endpoints, planning, forms
        self._clock, self._ids, self._access, self._audit = clock, ids, access, audit

    async def get(self, caller: Caller, delivery_id: str) -> Delivery:
        self._access.permit(caller, Action.MANAGE_WEBHOOKS)
        delivery = await self._store.get(Delivery, delivery_id)
        if delivery is None:
            raise Missing(what="delivery")
        thing = Thing(delivery.workspace_id)
        self._access.require(caller, Action.MANAGE_WEBHOOKS, thing, f"delivery:{delivery.id}")
        return delivery

    async def find(
        self, caller: Caller, endpoint_id: str, place: Place, state: str | None = None, made: Between = EVER
    ) -> Page[Delivery]:
        """The newest first."""
        query = await self._query(caller, endpoint_id, state, made)
        return await page_of(self._store, query.by("-created_ms", "-id"), place)

    async def count(self, caller: Caller, endpoint_id: str, state: str | None = None, made: Between = EVER) -> int:
        return await self._store.count(await self._query(caller, endpoint_id, state, made))

    @again_when_stale
    async def replay(self, caller: Caller, delivery_id: str) -> Delivery:
        """Sends it once more, under the same id, with the whole schedule before it."""
        delivery = await self.get(caller, delivery_id)
        endpoint = await self._enabled(caller, delivery.endpoint_id)
        unit, planned = Unit(), delivery.planned(self._clock.now_ms())
        unit.change(planned)
        self._planning.enqueue(unit, planned)
        name = f"webhook_endpoint:{endpoint.id}"
        detail: dict[str, Json] = {"delivery": delivery.id}
        unit.note(self._audit.entry(caller, "webhooks.replay", endpoint.workspace_id, name, "done", **detail))
        await self._store.commit(unit)
        return planned

    async def replay_since(self, caller: Caller, endpoint_id: str, since_ms: int, *, failed_only: bool = False) -> Job:
        """A job that sends once more all that the endpoint wants of what has happened since, whether it was told of it,
        failed to hear it, or was disabled then; or only what it was not told of."""
        endpoint = await self._enabled(caller, endpoint_id)
        now = self._clock.now_ms()
        job = Job(
            id=self._ids.uuid(),
            workspace_id=endpoint.workspace_id,
            kind=REPLAY,
            created_ms=now,
            due_ms=now,
            arguments={"endpoint": endpoint.id, "since_ms": since_ms, "failed_only": failed_only},
        )
        unit = Unit(jobs=[job])
        name = f"webhook_endpoint:{endpoint.id}"
        unit.note(self._audit.entry(caller, "webhooks.replay", endpoint.workspace_id, name, "done", since_ms=since_ms))
        await self._store.commit(unit)
        return job

    def kinds(self) -> list[JobKind]:
        return [JobKind(REPLAY, self._replay_since), JobKind(SWEEP, self._sweep)]

    def schedules(self) -> list[Schedule]:
        return [Schedule(name=SWEEP, kind=SWEEP, every_seconds=3600)]

    async def _query(self, caller: Caller, endpoint_id: str, state: str | None, made: Between) -> Query[Delivery]:
        if state is not None and state not in STATES:
            raise Malformed(what="state", why=f"it is one of {', '.join(STATES)}")
        endpoint = await self._endpoints.get(caller, endpoint_id)
        query = made.narrow(Query(Delivery).where("endpoint_id", "=", endpoint.id), "created_ms")
        return query.where("state", "=", state) if state else query

    async def _enabled(self, caller: Caller, endpoint_id: str) -> WebhookEndpoint:
        endpoint = await self._endpoints.get(caller, endpoint_id)
        if not endpoint.enabled:
            raise Refused(why="the webhook endpoint is disabled: enable it first")
        return endpoint

    async def _replay_since(self, job: Job, progress: Progress) -> dict[str, Json]:
        """In steps of a page; run again, it leaves alone what it has planned already. Events that are not yet planned
        at all are left to the planning."""
        endpoint = await self._store.get(WebhookEndpoint, job.arguments["endpoint"])
        replayed, last = 0, (await self._planning.cursor()).position
        query = Query(Event).where("workspace_id", "=", job.workspace_id).where("position", "<=", last)
        query, after = query.where("created_ms", ">=", job.arguments["since_ms"]).by("position"), None
        while endpoint and (events := await self._store.find(query.page(AT_ONCE, after))):
            after = query.cursor(events[-1])
            replayed += await self._step(job, progress, endpoint, events)
        return {"replayed": replayed}

    @again_when_stale
    async def _step(self, job: Job, progress: Progress, endpoint: WebhookEndpoint, events: Sequence[Event]) -> int:
        wanted = {message_id(endpoint.id, event.id): event for event in events if self._may_hear(endpoint, event)}
        query = Query(Delivery).where("id", "in", list(wanted)).by("id")
        known = {delivery.id: delivery for delivery in await self._store.find(query)} if wanted else {}
        unit, now = Unit(), self._clock.now_ms()
        for name, event in wanted.items():
            if name not in known:
                self._planning.enqueue(unit, self._planning.delivery(unit, endpoint, event))
            elif _to_be_replayed(known[name], job):
                unit.change(planned := known[name].planned(now))
                self._planning.enqueue(unit, planned)
        await progress.commit(unit)
        return len(unit.jobs)

    def _may_hear(self, endpoint: WebhookEndpoint, event: Event) -> bool:
        return endpoint.hears(event) and self._forms.of(endpoint.dialect).wants(event)

    async def _sweep(self, job: Job, progress: Progress) -> dict[str, Json]:
        """Removes old deliveries, and takes up again those whose job has failed for a fault of the program."""
        now, swept, resumed = self._clock.now_ms(), 0, 0
        old = Query(Delivery).where("created_ms", "<", now - KEPT_DAYS * DAY_SECONDS * 1000).by("created_ms", "id")
        while found := await self._store.find(old.page(AT_ONCE)):
            unit = Unit()
            unit.remove(*found)
            await progress.commit(unit)
            swept += len(found)
        stuck = Query(Delivery).where("state", "=", "pending").where("due_ms", "<", now - STUCK_SECONDS * 1000)
        while found := await self._store.find(stuck.by("due_ms", "id").page(AT_ONCE)):
            resumed += await self._resume(found, progress)
        return {"swept": swept, "resumed": resumed}

    async def _resume(self, stuck: Sequence[Delivery], progress: Progress) -> int:
        unit, now = Unit(), self._clock.now_ms()
        for delivery in stuck:
            resumed = replace(delivery, due_ms=now, version=delivery.version + 1)
            unit.change(resumed)
            self._planning.enqueue(unit, resumed)
        with suppress(StaleWrite):
            await progress.commit(unit)
        return len(stuck)


def _to_be_replayed(delivery: Delivery, job: Job) -> bool:
    if delivery.planned_ms >= job.created_ms:
        return False
    return delivery.state == "failed" or not job.arguments["failed_only"]
