"""Whether the house is well."""

import asyncio

from callvault.domain.errors import StoreUnavailable
from callvault.web.health import Readiness
from callvault.web.options import Options
from tests.unit.web import sample
from tests.webhouse import webhouse


async def test_a_house_that_runs_says_so() -> None:
    async with webhouse(Options(version="1.2.3"), []) as house:
        assert (await house.client.get("/healthz")).json() == {"status": "ok", "version": "1.2.3"}
        answer = await house.client.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (200, "ok")
        assert set(answer.json()["parts"]) >= {"database", "storage", "disk"}


async def test_the_part_that_is_down_is_named_and_no_more_is_told() -> None:
    async def away() -> None:
        raise StoreUnavailable(why="no route to db.internal")

    async def well() -> None: ...

    async with webhouse(Options(), []) as house:
        house.services.checks = {"database": away, "disk": well}
        answer = await house.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "down",
        "parts": {"database": "store_unavailable", "disk": "ok"},
    }


async def test_a_part_that_does_not_answer_is_not_waited_for_and_is_looked_at_once_for_all_who_ask() -> None:
    looks = 0

    async def stuck() -> None:
        nonlocal looks
        looks += 1
        await asyncio.Event().wait()

    readiness = Readiness(0.01)
    assert await asyncio.gather(*(readiness.trouble("storage", stuck) for _ in range(3))) == ["no_answer"] * 3
    assert await readiness.trouble("storage", stuck) == "no_answer"
    assert looks == 1


async def test_a_part_that_answered_is_looked_at_anew() -> None:
    states = [StoreUnavailable(why="away"), None]

    async def back_again() -> None:
        if state := states.pop(0):
            raise state

    readiness = Readiness()
    assert [await readiness.trouble("database", back_again) for _ in range(2)] == ["store_unavailable", ""]


async def test_a_house_that_stops_takes_no_new_work() -> None:
    options = Options()
    async with webhouse(options, []) as house:
        options.stopping.set()
        answer = await house.client.get("/readyz")
        assert (answer.status_code, answer.json()["parts"]["server"]) == (503, "shutting_down")
        assert (await house.client.get("/healthz")).status_code == 200


async def test_metrics_count_by_route_and_never_by_id() -> None:
    async with webhouse(Options(), [sample.PART]) as house:
        key = await house.bearer()
        for name in ("a", "b"):
            await house.client.get(f"/sample/hot/{name}.json", headers=key)
        await house.client.request("BREW", "/sample/nothing")
        text = (await house.client.get("/metrics")).text
    route = 'part="sample",route="/sample/hot/{name}.json"'
    assert f'callvault_requests_total{{method="GET",{route},status="200"}} 2.0' in text
    assert f"callvault_request_seconds_count{{{route}}} 2.0" in text
    assert 'method="other",part="sample",route="",status="404"' in text
    assert "callvault_audit_entries_waiting 0.0" in text
    assert "a.json" not in text


async def test_metrics_are_shown_to_those_with_the_token_where_there_is_one() -> None:
    async with webhouse(Options(metrics_token="hunter2"), []) as house:
        assert (await house.client.get("/metrics")).status_code == 401
        assert (await house.client.get("/metrics", headers={"authorization": "Bearer x"})).status_code == 401
        assert (await house.client.get("/metrics", headers={"authorization": "Bearer hunter2"})).status_code == 200
