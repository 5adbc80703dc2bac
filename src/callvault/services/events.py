"""Events: the outbox read in the order of commits, by page, or followed as things happen."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from callvault.domain.access import Action, Caller, Principal
from callvault.domain.event import Event
from callvault.domain.query import Query
from callvault.domain.unit import Unit
from callvault.ports.store import Store
from callvault.ports.system import Clock
from callvault.services.access import Access

POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 15.0
AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class EventFilter:
    """None and the empty tuple do not narrow."""

    types: tuple[str, ...] = ()
    recording_id: str | None = None
    call_id: str | None = None


EVERYTHING = EventFilter()


class Events:
    def __init__(
        self,
        store: Store,
        access: Access,
        clock: Clock,
        *,
        poll_seconds: float = POLL_SECONDS,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._store, self._access, self._clock = store, access, clock
        self._poll_seconds, self._heartbeat_seconds = poll_seconds, heartbeat_seconds
        self._happened = asyncio.Event()

    def committed(self, unit: Unit) -> None:
        """To be told of every unit that commits in this process: its followers see the events at once, those of other
        processes within a second."""
        if unit.events:
            self._happened.set()
            self._happened = asyncio.Event()

    async def page(
        self, caller: Caller, wanted: EventFilter = EVERYTHING, after: int = 0, limit: int = AT_ONCE
    ) -> Sequence[Event]:
        """Of the caller's workspace, the oldest first; `after` is the position of the last one of the page before."""
        principal = self._access.permit(caller, Action.READ_EVENTS)
        return await self._store.find(_query(principal, wanted).by("position").page(limit, (after,)))

    async def latest(self, caller: Caller) -> int:
        """The position of the last event of the caller's workspace; 0 before the first."""
        principal = self._access.permit(caller, Action.READ_EVENTS)
        found = await self._store.find(_query(principal, EVERYTHING).by("-position").page(1))
        return found[0].position if found else 0

    async def follow(
        self, caller: Caller, wanted: EventFilter = EVERYTHING, after: int | None = None
    ) -> AsyncIterator[Sequence[Event]]:
        """Events behind a position, then those to come, for ever; without one, those to come alone. Every
        `heartbeat_seconds` without any an empty sequence, for the caller to see whether anybody still listens."""
        last = await self.latest(caller) if after is None else after
        told_at = self._clock.monotonic()
        while True:
            happened = self._happened
            found = await self.page(caller, wanted, last)
            if found:
                last, told_at = found[-1].position, self._clock.monotonic()
                yield found
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(happened.wait(), self._poll_seconds)
            if self._clock.monotonic() - told_at >= self._heartbeat_seconds:
                told_at = self._clock.monotonic()
                yield ()


def _query(principal: Principal, wanted: EventFilter) -> Query[Event]:
    query = Query(Event).where("workspace_id", "=", principal.workspace_id)
    query = query.where("readers", "null or has", principal.member_id)
    if wanted.types:
        query = query.where("type", "in", wanted.types)
    if wanted.recording_id is not None:
        query = query.where("recording_id", "=", wanted.recording_id)
    if wanted.call_id is not None:
        query = query.where("call_id", "=", wanted.call_id)
    return query
