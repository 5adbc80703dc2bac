"""How much one may ask for."""

import asyncio
from typing import Any

import pytest

from callvault.domain.errors import TooLarge, TooManyRequests
from callvault.web.errors import Stalled
from callvault.web.limits import RateLimit, limited
from tests.fakes import FakeClock


def test_so_many_requests_a_minute_and_then_as_they_flow_in_again() -> None:
    clock = FakeClock()
    limit = RateLimit("key", 6, clock)
    for left in range(5, -1, -1):
        assert limit.take("a")[1][1].decode().startswith(f'"key";r={left};')
    with pytest.raises(TooManyRequests):
        limit.take("a")
    clock.advance(10)
    limit.take("a")
    with pytest.raises(TooManyRequests):
        limit.take("a")
    assert limit.take("b")


def test_a_limit_of_zero_is_none() -> None:
    limit = RateLimit("key", 0, FakeClock())
    assert all(limit.take("a") == [] for _ in range(1000))


def test_few_names_are_kept_however_many_come() -> None:
    limit = RateLimit("address", 2, FakeClock(), most_names=10)
    for n in range(1000):
        limit.take(str(n))
    assert len(limit._buckets) == 10


def body(*chunks: bytes) -> Any:
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages[-1]["more_body"] = False
    waiting = iter([*messages, {"type": "http.disconnect"}])

    async def receive() -> dict[str, Any]:
        return next(waiting)

    return receive


async def read(receive: Any) -> bytes:
    told, more = b"", True
    while more:
        message = await receive()
        told, more = told + message["body"], message["more_body"]
    return told


async def test_a_body_within_the_limit_comes_whole_and_then_the_end() -> None:
    receive = limited(body(b"ab", b"cd"), b"4", 4)
    assert await read(receive) == b"abcd"
    assert (await receive())["type"] == "http.disconnect"


async def test_a_body_that_lies_about_its_length_is_refused_as_it_comes() -> None:
    with pytest.raises(TooLarge):
        await read(limited(body(b"ab", b"cde"), b"4", 4))
    with pytest.raises(TooLarge):
        limited(body(b""), b"5", 4)
    with pytest.raises(TooLarge):
        await read(limited(body(b"x" * 5), b"nonsense", 4))


async def test_a_body_without_a_limit_may_be_of_any_length() -> None:
    assert len(await read(limited(body(b"x" * 10_000), b"10000", None))) == 10_000


async def test_a_body_that_does_not_arrive_is_given_up() -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {}

    with pytest.raises(Stalled):
        await limited(receive, None, None, patience_seconds=0.01)()
