"""Sends deliveries: an attempt, and then the next in its time, until the endpoint has answered or the last is made."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from callvault.domain.access import SYSTEM
from callvault.domain.errors import Fault, PassingFault, StaleWrite, StoreDamaged
from callvault.domain.event import Event
from callvault.domain.ids import Json
from callvault.domain.job import Job
from callvault.domain.unit import Unit
from callvault.domain.webhook import (
    BODY_LIMIT,
    DISABLED,
    DISABLED_AFTER_MS,
    GONE,
    Attempt,
    Delivery,
    WebhookEndpoint,
    next_due_ms,
)
from callvault.ports.jobs import JobKind, Progress
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.ports.webhooks import Answer, Sender
from callvault.services.audit import Audit
from callvault.services.webhooks.dialects import MessageForms, Rendering
from callvault.services.webhooks.endpoints import Endpoints
from callvault.services.webhooks.planning import SEND, Planning

ANSWER_CHARACTERS = 500
AT_ONCE = 64
AT_ONCE_IF_SLOW = 4
SLOW_SECONDS = 1.0
REMEMBERED = 10_000
"""Of so many endpoints, the last ones, it is known how quick they are."""
Conclude = Callable[[Unit, Delivery, WebhookEndpoint], None]


class Sending:
    def __init__(
        self,
        store: Store,
        endpoints: Endpoints,
        planning: Planning,
        sender: Sender,
        forms: MessageForms,
        *,
        clock: Clock,
        ids: Ids,
        audit: Audit,
    ) -> None:
        self._store, self._endpoints, self._planning = store, endpoints, planning
        self._sender, self._forms = sender, forms
        self._clock, self._ids, self._audit = clock, ids, audit
        self._under_way: defaultdict[str, list[float]] = defaultdict(list)
        self._was_quick: dict[str, bool] = {}
        """Of endpoints, whether they took no time to answer when they were last asked."""

    def kinds(self) -> list[JobKind]:
        return [JobKind(SEND, self.send, at_once=AT_ONCE, attempts=100_000)]

    async def send(self, job: Job, progress: Progress) -> dict[str, Json] | None:
        """Sent again, under the same id, when it was cut off between the sending and the writing down."""
        delivery = await self._current(job)
        endpoint = await self._store.get(WebhookEndpoint, delivery.endpoint_id) if delivery else None
        if delivery is None:
            return None
        if endpoint is None:
            unit = Unit()
            unit.remove(delivery)
            await progress.finish(unit)
            return None
        if not self._has_room(endpoint):
            await self._come_back(delivery, progress)
            return None
        with self._counted(endpoint):
            conclude = await self._attempted(delivery, endpoint)
        await self._write(job, progress, delivery, endpoint, conclude)
        return None

    def _has_room(self, endpoint: WebhookEndpoint) -> bool:
        """Endpoints that answer slowly may not keep the others waiting: no one of them, nor all of them together, nor
        with them those of which nothing is known yet."""
        quick = {name: self._is_quick(name) for name in (*self._under_way, endpoint.id)}
        own, is_quick = len(self._under_way.get(endpoint.id, ())), quick[endpoint.id]
        if is_quick:
            return own < AT_ONCE // 2
        slow = sum(len(began) for name, began in self._under_way.items() if quick[name] is False)
        unsure = sum(len(began) for name, began in self._under_way.items() if quick[name] is None)
        return own < AT_ONCE_IF_SLOW and slow + unsure < AT_ONCE * 3 // 4 and (slow < AT_ONCE // 2 or is_quick is None)

    def _is_quick(self, endpoint_id: str) -> bool | None:
        """None when it was not asked yet."""
        began = self._under_way.get(endpoint_id)
        if began and min(began) < self._clock.monotonic() - SLOW_SECONDS:
            return False
        return self._was_quick.get(endpoint_id)

    @contextmanager
    def _counted(self, endpoint: WebhookEndpoint) -> Iterator[None]:
        began = self._clock.monotonic()
        self._under_way[endpoint.id].append(began)
        try:
            yield
        finally:
            self._under_way[endpoint.id].remove(began)
            if not self._under_way[endpoint.id]:
                del self._under_way[endpoint.id]
            self._was_quick.pop(endpoint.id, None)
            self._was_quick[endpoint.id] = self._clock.monotonic() - began <= SLOW_SECONDS
            while len(self._was_quick) > REMEMBERED:
                del self._was_quick[next(iter(self._was_quick))]

    async def _come_back(self, delivery: Delivery, progress: Progress) -> None:
        unit, later = Unit(), 1000 + int.from_bytes(self._ids.secret(2), "big") % 1000
        self._planning.enqueue(unit, replace(delivery, due_ms=self._clock.now_ms() + later))
        await progress.finish(unit)

    async def _current(self, job: Job) -> Delivery | None:
        """The delivery, if it is still as it was when the job was made."""
        delivery = await self._store.get(Delivery, job.arguments["delivery"])
        planned = delivery and delivery.state == "pending" and delivery.version == job.arguments["version"]
        return delivery if planned else None

    async def _attempted(self, delivery: Delivery, endpoint: WebhookEndpoint) -> Conclude:
        """What is to be written down of an attempt, whatever the rows are by then."""
        if not endpoint.enabled:
            return self._closing(DISABLED)
        try:
            rendering = await self._rendered(delivery, endpoint)
            if rendering is None:
                return self._closing("there is nothing to tell any more")
            if len(rendering.body) >= BODY_LIMIT:
                return self._closing("the message is too large")
            headers = await self._endpoints.headers(endpoint, delivery.id, rendering.body)
        except (PassingFault, StoreDamaged):
            raise
        except Fault as fault:
            return self._closing(fault.code)
        answer = await self._sender.send(endpoint.url, {**rendering.headers, **headers}, rendering.body)
        attempt = Attempt(
            at_ms=self._clock.now_ms(),
            milliseconds=answer.milliseconds,
            status=answer.status,
            error=answer.error,
            answer=answer.body.decode(errors="replace").replace("\x00", "")[:ANSWER_CHARACTERS],
        )
        return lambda unit, delivery, endpoint: self._conclude(unit, delivery.after(attempt), endpoint, answer)

    async def _rendered(self, delivery: Delivery, endpoint: WebhookEndpoint) -> Rendering | None:
        """None also when the endpoint has become somebody else's since it was planned, who may not know of it."""
        event = await self._store.get(Event, delivery.event_id)
        if event is None or not endpoint.may_know(event):
            return None
        return await self._forms.of(endpoint.dialect).render(event, endpoint)

    async def _write(
        self, job: Job, progress: Progress, delivery: Delivery, endpoint: WebhookEndpoint, conclude: Conclude
    ) -> None:
        """The attempt is made: when the rows were changed meanwhile it is written on top of that, not made again."""
        while True:
            unit = Unit()
            conclude(unit, delivery, endpoint)
            try:
                return await progress.finish(unit, {"delivery": delivery.id})
            except StaleWrite:
                fresh, there = await self._current(job), await self._store.get(WebhookEndpoint, endpoint.id)
                if fresh is None or there is None:
                    return None  # replayed, or gone with its endpoint
                delivery, endpoint = fresh, there

    def _closing(self, why: str) -> Conclude:
        def close(unit: Unit, delivery: Delivery, endpoint: WebhookEndpoint) -> None:
            unit.change(replace(delivery, state="failed", failure=why, version=delivery.version + 1))

        return close

    def _conclude(self, unit: Unit, delivery: Delivery, endpoint: WebhookEndpoint, answer: Answer) -> None:
        now = self._clock.now_ms()
        if answer.status is not None and 200 <= answer.status < 300:
            unit.change(replace(delivery, state="delivered", failure=None))
            if endpoint.failing_since_ms is not None:
                unit.change(replace(endpoint, failing_since_ms=None, version=endpoint.version + 1))
            return
        if not endpoint.enabled:
            unit.change(replace(delivery, state="failed", failure=DISABLED))
            return
        since_ms = now if endpoint.failing_since_ms is None else endpoint.failing_since_ms
        why = "gone" if answer.status == GONE else "failing" if now - since_ms >= DISABLED_AFTER_MS else None
        if why:
            unit.change(replace(delivery, state="failed", failure=DISABLED))
            self._disable(unit, endpoint, why)
            return
        self._postpone(unit, delivery, answer)
        if endpoint.failing_since_ms is None:
            unit.change(replace(endpoint, failing_since_ms=now, version=endpoint.version + 1))

    def _postpone(self, unit: Unit, delivery: Delivery, answer: Answer) -> None:
        jitter = int.from_bytes(self._ids.secret(2), "big") / 0xFFFF
        due_ms = next_due_ms(delivery.tries, self._clock.now_ms(), jitter, answer.retry_after_seconds)
        if due_ms is None:
            unit.change(replace(delivery, state="failed", failure="every attempt failed"))
        else:
            postponed = replace(delivery, due_ms=due_ms)
            unit.change(postponed)
            self._planning.enqueue(unit, postponed)

    def _disable(self, unit: Unit, endpoint: WebhookEndpoint, why: str) -> None:
        now = self._clock.now_ms()
        unit.change(replace(endpoint, enabled=False, disabled_reason=why, updated_ms=now, version=endpoint.version + 1))
        event = Event(
            id=self._ids.uuid(),
            workspace_id=endpoint.workspace_id,
            type="webhook_endpoint.disabled",
            created_ms=now,
            data={"endpointId": endpoint.id, "reason": why},
        )
        unit.tell(event)
        name = f"webhook_endpoint:{endpoint.id}"
        unit.note(self._audit.entry(SYSTEM, "webhooks.disable", endpoint.workspace_id, name, "done", reason=why))
