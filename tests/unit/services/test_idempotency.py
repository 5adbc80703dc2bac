"""A request with an Idempotency-Key is done once."""

import asyncio
from typing import Any

import pytest
from tests.callhouse import CallHouse, caller
from tests.workhouse import until

from callvault.domain.errors import IdempotencyConflict, Malformed, Missing, RequestUnderWay, StoreUnavailable
from callvault.domain.idempotency import IdempotentRequest
from callvault.domain.unit import Unit
from callvault.services.idempotency import CLAIM_MS, KEPT_MS, Idempotency, Reply, fingerprint


class Work:
    """Something that must be done once, with the ids that it was handed."""

    def __init__(self, *faults: Exception) -> None:
        self.ids: list[str] = []
        self.faults = list(faults)
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, reserved: str) -> Reply:
        self.ids.append(reserved)
        await self.go.wait()
        if self.faults:
            raise self.faults.pop(0)
        return Reply(201, f'{{"id":"{reserved}"}}')


@pytest.fixture
def house() -> CallHouse:
    return CallHouse()


@pytest.fixture
def idempotency(house: CallHouse) -> Idempotency:
    return Idempotency(house.store, house.clock, house.ids)


async def test_the_same_request_gets_the_same_answer(idempotency: Idempotency) -> None:
    work = Work()
    first = await idempotency.once("w", "k", "print", work)
    again = await idempotency.once("w", "k", "print", work)
    assert (again.status, again.body, again.replayed) == (first.status, first.body, True)
    assert len(work.ids) == 1 and not first.replayed


async def test_another_request_under_the_same_key_is_refused(idempotency: Idempotency) -> None:
    await idempotency.once("w", "k", "print", Work())
    with pytest.raises(IdempotencyConflict):
        await idempotency.once("w", "k", "other", Work())
    assert await idempotency.once("another workspace", "k", "other", Work())


async def test_of_requests_at_the_same_time_one_is_done_and_all_get_its_answer(idempotency: Idempotency) -> None:
    work = Work()
    work.go.clear()
    asking = [asyncio.create_task(idempotency.once("w", "k", "print", work)) for _ in range(8)]
    await asyncio.sleep(0.02)
    work.go.set()
    replies = await asyncio.gather(*asking)
    assert len(work.ids) == 1 and len({reply.body for reply in replies}) == 1


async def test_a_refused_request_may_be_sent_again_mended(idempotency: Idempotency) -> None:
    work = Work(Missing(what="call"))
    with pytest.raises(Missing):
        await idempotency.once("w", "k", "print", work)
    assert (await idempotency.once("w", "k", "mended", work)).status == 201


async def test_a_request_of_which_nobody_knows_whether_it_was_done_goes_on_with_the_same_id(
    idempotency: Idempotency,
) -> None:
    work = Work(StoreUnavailable(why="gone"))
    with pytest.raises(StoreUnavailable):
        await idempotency.once("w", "k", "print", work)
    await idempotency.once("w", "k", "print", work)
    assert len(work.ids) == 2 and work.ids[0] == work.ids[1]


class LosingStore:
    """A database that is away from a moment on, until it is back."""

    def __init__(self, store: Any) -> None:
        self._store, self.away = store, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, unit: Unit) -> None:
        if self.away:
            raise StoreUnavailable(why="away")
        await self._store.commit(unit)


async def test_a_request_that_lost_its_database_goes_on_as_soon_as_that_is_back(house: CallHouse) -> None:
    store = LosingStore(house.store)
    idempotency = Idempotency(store, house.clock, house.ids, wait_seconds=0.1)  # type: ignore[arg-type]
    ids = []

    async def lost(reserved: str) -> Reply:
        store.away = True
        ids.append(reserved)
        raise StoreUnavailable(why="away")

    with pytest.raises(StoreUnavailable):
        await idempotency.once("w", "k", "print", lost)
    store.away = False
    work = Work()
    assert (await idempotency.once("w", "k", "print", work)).status == 201
    assert work.ids == ids


async def test_what_one_process_could_not_leave_and_another_runs_is_not_run_by_both(house: CallHouse) -> None:
    store = LosingStore(house.store)
    here = Idempotency(store, house.clock, house.ids, wait_seconds=0.1)  # type: ignore[arg-type]
    there = Idempotency(house.store, house.clock, house.ids, wait_seconds=0.1)

    async def lost(reserved: str) -> Reply:
        store.away = True
        raise StoreUnavailable(why="away")

    with pytest.raises(StoreUnavailable):
        await here.once("w", "k", "print", lost)
    store.away = False
    house.clock.advance(CLAIM_MS / 1000)
    work = Work()
    work.go.clear()
    running = asyncio.create_task(there.once("w", "k", "print", work))
    while not work.ids:
        await asyncio.sleep(0)
    with pytest.raises(RequestUnderWay):
        await here.once("w", "k", "print", work)
    work.go.set()
    assert (await running).status == 201 and len(work.ids) == 1


async def test_a_client_that_left_finds_what_it_made(idempotency: Idempotency) -> None:
    work = Work()
    work.go.clear()
    left = asyncio.create_task(idempotency.once("w", "k", "print", work))
    await until(lambda: asyncio.sleep(0, work.ids))
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    work.go.set()
    await idempotency.once("w", "k", "print", work)
    assert work.ids[0] == work.ids[1]


async def test_a_request_whose_process_was_killed_is_finished_by_the_next(
    house: CallHouse, idempotency: Idempotency
) -> None:
    of_the_dead = IdempotentRequest(
        workspace_id="w", key="k", fingerprint="print", reserved_id="made", claimed_ms=house.clock.now_ms()
    )
    unit = Unit()
    unit.add(of_the_dead)
    await house.store.commit(unit)
    work = Work()
    with pytest.raises(RequestUnderWay):
        await Idempotency(house.store, house.clock, house.ids, wait_seconds=0.1).once("w", "k", "print", work)
    house.clock.advance(CLAIM_MS / 1000)
    await idempotency.once("w", "k", "print", work)
    assert work.ids == ["made"]


async def test_after_a_day_the_key_is_forgotten(house: CallHouse, idempotency: Idempotency) -> None:
    await idempotency.once("w", "k", "print", Work())
    await idempotency.once("w", "k2", "print", Work())
    house.clock.advance(KEPT_MS / 1000 + 1)
    assert not (await idempotency.once("w", "k", "other", Work())).replayed
    assert await idempotency.sweep() is False
    assert [row.key for row in await house.all(IdempotentRequest)] == ["k"]


@pytest.mark.parametrize("key", ["", "x" * 256, "ü", "a b"])
async def test_a_key_that_is_none_is_refused(idempotency: Idempotency, key: str) -> None:
    with pytest.raises(Malformed):
        await idempotency.once("w", key, "print", Work())


def test_a_fingerprint_tells_parts_and_askers_apart() -> None:
    me = caller().principal
    other = caller().principal.__class__("k2", "w", "m", frozenset())
    prints = {fingerprint(me, b"a", b"b"), fingerprint(me, b"ab"), fingerprint(other, b"a", b"b")}
    assert len(prints) == 3
