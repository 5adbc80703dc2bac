"""The outbox: read in order by those who may, and followed while things happen."""

import asyncio

import pytest
from tests.callhouse import caller
from tests.fakes import FakeClock, FakeIds

from callvault.adapters.store.memory import MemoryStore
from callvault.adapters.store.telling import TellingStore
from callvault.domain.access import Caller, Principal
from callvault.domain.errors import NotAuthenticated, Refused
from callvault.domain.event import Event
from callvault.domain.unit import Unit
from callvault.services.access import Access
from callvault.services.audit import Audit
from callvault.services.events import EventFilter, Events


class House:
    def __init__(self) -> None:
        self.store, self.clock, self.ids = TellingStore(MemoryStore()), FakeClock(), FakeIds()
        self.access = Access(self.store, self.clock, Audit(self.store, self.clock))
        self.events = Events(self.store, self.access, self.clock, poll_seconds=0.02)
        self.store.listen(self.events.committed)

    async def tell(self, *types: str, workspace: str = "w", **fields: object) -> None:
        unit = Unit()
        for kind in types:
            unit.tell(Event(id=self.ids.uuid(), workspace_id=workspace, type=kind, created_ms=1, **fields))
        await self.store.commit(unit)


async def test_events_are_paged_in_the_order_in_which_they_happened() -> None:
    house = House()
    await house.tell("recording.created", "recording.processing")
    await house.tell("recording.completed")
    first = await house.events.page(caller(), limit=2)
    rest = await house.events.page(caller(), after=first[-1].position, limit=2)
    assert [event.type for event in first] == ["recording.created", "recording.processing"]
    assert [event.type for event in rest] == ["recording.completed"]


async def test_events_of_other_workspaces_are_not_seen() -> None:
    house = House()
    await house.tell("recording.created", workspace="other")
    assert await house.events.page(caller()) == []


async def test_events_about_private_calls_are_for_their_participants() -> None:
    house = House()
    await house.tell("recording.created", readers=("ann",))
    assert await house.events.page(caller(member="bob")) == []
    assert len(await house.events.page(caller(member="ann"))) == 1


async def test_events_are_narrowed_by_type_recording_and_call() -> None:
    house = House()
    await house.tell("recording.created", "recording.deleted", recording_id="r", call_id="c")
    await house.tell("recording.created", recording_id="s", call_id="d")

    async def count(**narrow: object) -> int:
        return len(await house.events.page(caller(), EventFilter(**narrow)))

    assert await count(types=("recording.created",)) == 2
    assert await count(types=("recording.created", "recording.deleted"), recording_id="r") == 2
    assert await count(call_id="d") == 1


async def test_reading_events_needs_a_key_with_the_scope() -> None:
    house = House()
    with pytest.raises(NotAuthenticated):
        await house.events.page(Caller(None))
    with pytest.raises(Refused):
        await house.events.page(Caller(Principal("k", "w", "m", frozenset({"chats:read"}))))


async def test_a_follower_gets_what_it_missed_and_then_what_happens() -> None:
    house = House()
    await house.tell("a.one", "a.two", "a.three")
    missed = await house.events.page(caller())
    following = house.events.follow(caller(), after=missed[0].position)
    assert [event.type for event in await anext(following)] == ["a.two", "a.three"]
    waiting = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0)
    await house.tell("a.four")
    assert [event.type for event in await waiting] == ["a.four"]


async def test_a_follower_without_a_position_gets_what_happens_from_now_on() -> None:
    house = House()
    await house.tell("a.old")
    following = house.events.follow(caller())
    waiting = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0.01)
    await house.tell("a.new")
    assert [event.type for event in await waiting] == ["a.new"]


async def test_a_follower_hears_of_other_processes_too_and_of_silence() -> None:
    house = House()
    deaf = Events(house.store, house.access, house.clock, poll_seconds=0.01)
    following = deaf.follow(caller(), after=0)
    waiting = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0)
    house.clock.advance(15)
    assert await waiting == ()
    await house.tell("a.told")
    assert [event.type for event in await anext(following)] == ["a.told"]


async def test_what_happens_elsewhere_is_no_silence() -> None:
    house = House()
    waiting = asyncio.ensure_future(anext(house.events.follow(caller(), after=0)))
    for _ in range(20):
        await house.tell("a.secret", workspace="other")
        await asyncio.sleep(0)
    house.clock.advance(14)
    await house.tell("a.told")
    assert [event.type for event in await waiting] == ["a.told"]
