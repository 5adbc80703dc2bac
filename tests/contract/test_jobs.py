"""What every job engine must do, with a worker on top of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from callvault.adapters.jobs.leased import LeasedJobs
from callvault.adapters.jobs.procrastinated import ProcrastinateJobs
from callvault.adapters.store.memory import MemoryStore
from callvault.adapters.store.postgres import PostgresStore
from callvault.adapters.store.sqlite import SqliteStore
from callvault.adapters.system import SystemClock, SystemIds
from callvault.domain.errors import BlobMissing, BlobsUnavailable
from callvault.domain.job import Job
from callvault.domain.query import Query
from callvault.domain.schedule import Schedule
from callvault.domain.unit import Unit
from callvault.domain.workspace import Member
from callvault.ports.jobs import JobKind, Progress
from callvault.ports.store import Store
from tests.workhouse import PATIENCE_SECONDS, WorkHouse, until

LEASE_SECONDS = 4.0
"""Longer than any worker is kept from its event loop where much else runs."""


def leased(store: Store) -> WorkHouse:
    clock, ids = SystemClock(), SystemIds()
    return WorkHouse(store, lambda: LeasedJobs(store, clock, ids, lease_seconds=LEASE_SECONDS, poll_seconds=0.05))


def procrastinated(url: str, store: Store) -> WorkHouse:
    clock, ids = SystemClock(), SystemIds()
    quick = {"heartbeat_seconds": LEASE_SECONDS / 4, "lost_seconds": LEASE_SECONDS, "poll_seconds": 0.05}
    return WorkHouse(store, lambda: ProcrastinateJobs(url, store, clock, ids, **quick))


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def house(request: pytest.FixtureRequest) -> AsyncIterator[WorkHouse]:
    if request.param == "memory":
        yield leased(MemoryStore())
        return
    if request.param == "sqlite":
        store: Store = SqliteStore(request.getfixturevalue("sqlite_database"))
        yield leased(store)
    else:
        url = request.getfixturevalue("postgres_database")
        store = PostgresStore(url)
        yield procrastinated(url, store)
    await store.close()


async def nothing(job: Job, progress: Progress) -> None:
    return None


async def test_a_job_is_run_and_its_row_tells_how_it_ended(house: WorkHouse) -> None:
    async def add(job: Job, progress: Progress) -> dict:
        return {"sum": job.arguments["a"] + job.arguments["b"]}

    job = house.job("add", arguments={"a": 2, "b": 3})
    async with house.working(JobKind("add", add)):
        await house.enqueue(job)
        (ended,) = await house.ended(job)
    assert (ended.state, ended.result, ended.progress, ended.attempts) == ("succeeded", {"sum": 5}, 1.0, 1)
    assert ended.started_ms and ended.ended_ms and ended.ended_ms >= ended.started_ms
    assert ended.holder is None


async def test_a_job_enqueued_before_any_worker_came_is_run_by_the_first(house: WorkHouse) -> None:
    jobs = [house.job("n") for _ in range(20)]
    await house.enqueue(*jobs)
    async with house.working(JobKind("n", nothing, at_once=4)):
        assert {job.state for job in await house.ended(*jobs)} == {"succeeded"}


async def test_a_passing_fault_is_tried_again_and_a_while_later(house: WorkHouse) -> None:
    seen: list[int] = []

    async def flaky(job: Job, progress: Progress) -> None:
        seen.append(house.clock.now_ms())
        if len(seen) == 1:
            raise BlobsUnavailable(why="away")

    job = house.job("flaky")
    async with house.working(JobKind("flaky", flaky)):
        await house.enqueue(job)

        async def postponed() -> Job | None:
            stored = await house.stored(job)
            return stored if stored.state == "queued" and stored.error else None

        waiting = await until(postponed)
        assert (waiting.error_code, waiting.attempts) == ("storage_unavailable", 1)
        (ended,) = await house.ended(job)
    assert (ended.state, ended.attempts, ended.error, ended.error_code) == ("succeeded", 2, None, None)
    assert len(seen) == 2
    assert seen[1] >= waiting.due_ms >= seen[0] + 450


async def test_a_passing_fault_fails_the_job_when_it_does_not_pass(house: WorkHouse) -> None:
    async def away(job: Job, progress: Progress) -> None:
        raise BlobsUnavailable(why="away")

    job = house.job("away")
    async with house.working(JobKind("away", away, attempts=2)):
        await house.enqueue(job)
        (ended,) = await house.ended(job)
    assert (ended.state, ended.attempts, ended.error_code) == ("failed", 2, "storage_unavailable")


async def test_any_other_fault_fails_the_job_at_once_with_its_code(
    house: WorkHouse, caplog: pytest.LogCaptureFixture
) -> None:
    async def missing(job: Job, progress: Progress) -> None:
        raise BlobMissing(key="w/one")

    job = house.job("missing")
    async with house.working(JobKind("missing", missing)):
        await house.enqueue(job)
        (ended,) = await house.ended(job)
    assert (ended.state, ended.attempts, ended.error_code) == ("failed", 1, "blob_missing")
    assert "w/one" not in (ended.error or "")
    assert "w/one" in caplog.text


async def test_an_error_of_the_program_fails_the_job_and_tells_nothing_of_what_it_handled(house: WorkHouse) -> None:
    async def broken(job: Job, progress: Progress) -> None:
        raise ValueError("+4915112345678")

    job = house.job("broken")
    async with house.working(JobKind("broken", broken)):
        await house.enqueue(job)
        (ended,) = await house.ended(job)
    assert (ended.state, ended.error_code) == ("failed", "internal_error")
    assert "4915" not in (ended.error or "")


async def test_the_higher_priority_goes_first_and_then_the_older(house: WorkHouse) -> None:
    order: list[str] = []

    async def note(job: Job, progress: Progress) -> None:
        order.append(str(job.arguments["name"]))

    now = house.clock.now_ms()
    named = [("a", 0), ("b", 0), ("c", 5), ("d", -1), ("e", 5)]
    jobs = [house.job("n", priority=p, arguments={"name": n}, due_ms=now - 100 + i) for i, (n, p) in enumerate(named)]
    await house.enqueue(*jobs)
    async with house.working(JobKind("n", note)):
        await house.ended(*jobs)
    assert order == ["c", "e", "a", "b", "d"]


async def test_a_kind_runs_as_often_at_once_as_it_may_and_holds_up_no_other(house: WorkHouse) -> None:
    gate, running, most = asyncio.Event(), 0, 0

    async def slow(job: Job, progress: Progress) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1

    slow_ones, quick = [house.job("slow", priority=9) for _ in range(12)], house.job("quick")
    await house.enqueue(*slow_ones)
    async with house.working(JobKind("slow", slow, at_once=3), JobKind("quick", nothing)):
        await until(lambda: asyncio.sleep(0, running == 3))
        await house.enqueue(quick)
        await house.ended(quick)
        assert running == 3
        gate.set()
        await house.ended(*slow_ones)
    assert most == 3


async def test_a_job_waits_until_it_is_due(house: WorkHouse) -> None:
    ran: list[int] = []

    async def note(job: Job, progress: Progress) -> None:
        ran.append(house.clock.now_ms())

    job = house.job("n", due_ms=house.clock.now_ms() + 700)
    async with house.working(JobKind("n", note)):
        await house.enqueue(job)
        await house.ended(job)
    assert len(ran) == 1
    assert ran[0] >= job.due_ms


async def test_a_job_of_an_unknown_kind_stays_for_a_worker_that_knows_it(house: WorkHouse) -> None:
    strange, known = house.job("strange"), house.job("known")
    async with house.working(JobKind("known", nothing)):
        await house.enqueue(strange, known)
        await house.ended(known)
        assert (await house.stored(strange)).state == "queued"
    async with house.working(JobKind("strange", nothing)):
        await house.ended(strange)


async def test_a_running_job_that_is_cancelled_stops_at_what_it_waits_for(house: WorkHouse) -> None:
    started, cleaned = asyncio.Event(), asyncio.Event()

    async def long(job: Job, progress: Progress) -> None:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.set()

    job = house.job("long")
    async with house.working(JobKind("long", long)):
        await house.enqueue(job)
        await started.wait()
        running = await house.stored(job)
        unit = Unit()
        unit.change(replace(running, cancel_requested=True, version=running.version + 1))
        await house.store.commit(unit)
        (ended,) = await house.ended(job)
    assert (ended.state, ended.holder) == ("cancelled", None)
    assert cleaned.is_set()


async def test_a_job_cancelled_while_it_was_queued_is_never_run(house: WorkHouse) -> None:
    ran: list[str] = []

    async def note(job: Job, progress: Progress) -> None:
        ran.append(job.id)

    doomed, other = house.job("n"), house.job("n")
    await house.enqueue(doomed)
    unit = Unit()
    unit.change(replace(doomed, state="cancelled", cancel_requested=True, version=2))
    await house.store.commit(unit)
    async with house.working(JobKind("n", note)):
        await house.enqueue(other)
        await house.ended(other)
    assert ran == [other.id]
    assert (await house.stored(doomed)).state == "cancelled"


async def test_a_worker_that_stops_waits_for_what_is_quick_and_hands_back_the_rest_uncounted(house: WorkHouse) -> None:
    started = asyncio.Semaphore(0)

    async def sleep(job: Job, progress: Progress) -> None:
        started.release()
        await asyncio.sleep(float(str(job.arguments["seconds"])))

    quick, slow = house.job("s", arguments={"seconds": 0.2}), house.job("s", arguments={"seconds": 60})
    await house.enqueue(quick, slow)
    worker = house.worker([JobKind("s", sleep, at_once=2)])
    running = asyncio.create_task(worker.run())
    await started.acquire()
    await started.acquire()
    await worker.stop(3)
    await asyncio.wait_for(running, PATIENCE_SECONDS)
    assert (await house.stored(quick)).state == "succeeded"
    back = await house.stored(slow)
    assert (back.state, back.attempts, back.holder) == ("queued", 0, None)
    async with house.working(JobKind("s", nothing)):
        (ended,) = await house.ended(slow)
    assert ended.attempts == 1


async def test_who_has_lost_a_job_can_commit_nothing_more_of_it(house: WorkHouse) -> None:
    refused: list[bool] = []

    async def late(job: Job, progress: Progress) -> None:
        thief = replace(await house.stored(job), holder="another", version=job.version + 1)
        unit = Unit()
        unit.change(thief)
        await house.store.commit(unit)
        effect = Unit()
        effect.add(Member(workspace_id="w", id=job.id, created_ms=0))
        try:
            await progress.finish(effect)
        finally:
            refused.append(await house.store.get(Member, "w", job.id) is None)

    job = house.job("late", due_ms=house.clock.now_ms())
    async with house.working(JobKind("late", late)):
        await house.enqueue(job)
        await until(lambda: asyncio.sleep(0, refused))
        stored = await house.stored(job)
    assert refused[0]
    assert (stored.state, stored.holder) == ("running", "another")


async def test_what_finishes_a_job_commits_with_its_end(house: WorkHouse) -> None:
    async def effect(job: Job, progress: Progress) -> None:
        await progress.commit(Unit(writes=[]))
        unit = Unit()
        unit.add(Member(workspace_id="w", id=job.id, created_ms=0))
        await progress.finish(unit, {"made": job.id})

    jobs = [house.job("effect") for _ in range(5)]
    async with house.working(JobKind("effect", effect, at_once=5)):
        await house.enqueue(*jobs)
        ended = await house.ended(*jobs)
    assert [job.result for job in ended] == [{"made": job.id} for job in jobs]
    members = await house.store.find(Query(Member).by("id"))
    assert {member.id for member in members} == {job.id for job in jobs}


async def test_progress_is_seen_while_the_job_runs(house: WorkHouse) -> None:
    gate = asyncio.Event()

    async def long(job: Job, progress: Progress) -> None:
        while not gate.is_set():
            await progress.report(0.4)
            await asyncio.sleep(0.05)

    job = house.job("long")

    async def reported() -> bool:
        return (await house.stored(job)).progress == 0.4

    async with house.working(JobKind("long", long)):
        await house.enqueue(job)
        await until(reported)
        assert (await house.stored(job)).state == "running"
        gate.set()
        (ended,) = await house.ended(job)
    assert ended.progress == 1.0


async def test_a_job_runs_for_longer_than_its_lease_and_nobody_takes_it(house: WorkHouse) -> None:
    starts: list[str] = []

    async def long(job: Job, progress: Progress) -> None:
        starts.append(job.id)
        await asyncio.sleep(LEASE_SECONDS * 1.25)

    job = house.job("long")
    async with house.working(JobKind("long", long)), house.working(JobKind("long", long)):
        await house.enqueue(job)
        (ended,) = await house.ended(job)
    assert (ended.state, ended.attempts, starts) == ("succeeded", 1, [job.id])


async def test_two_workers_share_the_jobs_and_none_is_run_twice(house: WorkHouse) -> None:
    ran: list[str] = []

    async def note(job: Job, progress: Progress) -> None:
        ran.append(job.id)
        await asyncio.sleep(0.002)

    kind = JobKind("n", note, at_once=8)
    jobs = [house.job("n") for _ in range(100)]
    async with house.working(kind), house.working(kind):
        for job in jobs:
            await house.enqueue(job)
        await house.ended(*jobs)
    assert sorted(ran) == sorted(job.id for job in jobs)


async def test_a_schedule_is_obeyed_once_by_all_workers_together(house: WorkHouse) -> None:
    schedule = Schedule(name="daily", kind="n", every_seconds=86_400, arguments={"x": 1})
    kind = JobKind("n", nothing)

    async def fired() -> list[Job]:
        found = await house.store.find(Query(Job).where("kind", "=", "n").by("id"))
        return [job for job in found if job.state == "succeeded"]

    async with house.working(kind, schedules=[schedule]), house.working(kind, schedules=[schedule]):
        (job,) = await until(fired)
        await asyncio.sleep(1.2)
    assert len(await house.store.find(Query(Job).by("id"))) == 1
    assert (job.workspace_id, job.arguments) == ("", {"x": 1})
