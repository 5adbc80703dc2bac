"""Workspaces as they were a moment ago."""

from tests.callhouse import CallHouse

from callvault.adapters.store.telling import TellingStore
from callvault.domain.unit import Unit
from callvault.domain.workspace import Workspace
from callvault.services.recentworkspaces import SECONDS, RecentWorkspaces


async def changed(house: CallHouse, store: object, seconds: int) -> None:
    unit = Unit()
    unit.put(Workspace(id="w", name="w", created_ms=0, link_seconds_max=seconds))
    await store.commit(unit)  # type: ignore[attr-defined]


async def test_a_change_made_here_is_known_at_once() -> None:
    house = CallHouse()
    store = TellingStore(house.store)
    recent = RecentWorkspaces(store, house.clock)
    store.listen(recent.committed)
    for seconds in (60, 120):
        await changed(house, store, seconds)
        found = await recent.get("w")
        assert found is not None and found.link_seconds_max == seconds


async def test_a_change_made_elsewhere_is_known_a_moment_later() -> None:
    house = CallHouse()
    recent = RecentWorkspaces(house.store, house.clock)
    await changed(house, house.store, 60)
    assert (await recent.get("w")).link_seconds_max == 60  # type: ignore[union-attr]
    await changed(house, house.store, 120)
    assert (await recent.get("w")).link_seconds_max == 60  # type: ignore[union-attr]
    house.clock.advance(SECONDS + 0.1)
    assert (await recent.get("w")).link_seconds_max == 120  # type: ignore[union-attr]


async def test_one_that_is_not_there_is_asked_for_again() -> None:
    house = CallHouse()
    recent = RecentWorkspaces(house.store, house.clock)
    assert await recent.get("w") is None
    await house.workspace()
    assert await recent.get("w") is not None
