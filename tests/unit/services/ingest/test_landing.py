"""Those who wait for one fsync are woken together, each with what became of his own."""

import asyncio
import threading
from concurrent.futures import Future

import pytest

from callvault.domain.errors import DiskFull
from callvault.services.ingest.landing import Landing


async def test_each_waiter_is_told_what_became_of_his_own() -> None:
    landing = Landing()
    durable: list[Future[None]] = [Future() for _ in range(100)]
    waiting = [landing.wait(one) for one in durable]

    def land() -> None:
        for n, one in enumerate(durable):
            one.set_exception(DiskFull(path="/")) if n % 7 == 0 else one.set_result(None)

    thread = threading.Thread(target=land)
    thread.start()
    told = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
    thread.join()
    assert [isinstance(result, DiskFull) for result in told] == [n % 7 == 0 for n in range(100)]


async def test_who_went_away_is_not_told_and_the_others_are() -> None:
    landing = Landing()
    gone, there = Future[None](), Future[None]()
    first, second = landing.wait(gone), landing.wait(there)
    first.cancel()
    gone.set_result(None)
    there.set_result(None)
    await asyncio.wait_for(second, 5)
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_what_had_landed_before_is_told_too() -> None:
    done: Future[None] = Future()
    done.set_result(None)
    assert await asyncio.wait_for(Landing().wait(done), 5) is None


async def test_of_those_who_wait_for_the_same_each_goes_away_alone_and_what_he_began_is_settled() -> None:
    landing, settled = Landing(), list[str]()
    one, other = Future[None](), Future[None]()
    first, second = (landing.wait(one, lambda name=name: settled.append(name)) for name in ("first", "second"))
    third = landing.wait(other, lambda: settled.append("third"))
    first.cancel()
    one.set_result(None)
    await asyncio.wait_for(second, 5)
    assert settled == ["first", "second"]
    assert not third.done()


async def test_who_comes_when_it_was_told_already_is_told_too() -> None:
    landing, durable = Landing(), Future[None]()
    first = landing.wait(durable)
    durable.set_result(None)
    await asyncio.wait_for(first, 5)
    await asyncio.wait_for(landing.wait(durable), 5)


async def test_what_cannot_be_settled_holds_up_nobody() -> None:
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(str(context["exception"])))
    landing, durable = Landing(), Future[None]()

    def fail() -> None:
        raise MemoryError("settling")

    waiting = [landing.wait(durable, fail), landing.wait(durable, lambda: told.append("settled"))]
    durable.set_result(None)
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert told == ["settling", "settled"]
