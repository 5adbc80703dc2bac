"""The worker, and the queue in the jobs' own table, in what only a moved clock or a hostile handler shows."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.fakes import FakeClock, FakeIds
from tests.workhouse import WorkHouse, until

from callvault.adapters.jobs.leased import LeasedJobs
from callvault.adapters.store.memory import MemoryStore
from callvault.domain.errors import Fault, StoreDamaged, StoreUnavailable
from callvault.domain.job import Job, taken
from callvault.domain.query import Query
from callvault.domain.schedule import Firing, Schedule
from callvault.domain.unit import Unit
from callvault.domain.workspace import Member
from callvault.ports.jobs import Duty, JobKind, Progress
from callvault.worker.schedules import Schedules


class MoodyStore(MemoryStore):
    """Is away for the commits that end a job, as often as the test says."""

    away = 0

    async def commit(self, unit: Unit) -> None:
        ends = any(isinstance(write.entity, Job) and write.entity.state == "succeeded" for write in unit.writes)
        if ends and self.away:
            self.away -= 1
            raise StoreUnavailable(why="away")
        await super().commit(unit)


@pytest.fixture
def house() -> WorkHouse:
    store, clock, ids = MoodyStore(), FakeClock(), FakeIds()
    return WorkHouse(store, lambda: LeasedJobs(store, clock, ids, lease_seconds=30, poll_seconds=0.005), clock, ids)


async def nothing(job: Job, progress: Progress) -> None:
    return None


async def test_a_job_whose_lease_has_ended_is_taken_by_another(house: WorkHouse) -> None:
    lost = taken(house.job("n"), "dead", house.clock.now_ms(), house.clock.now_ms() + 30_000)
    await house.enqueue(lost)
    async with house.working(JobKind("n", nothing)):
        await asyncio.sleep(0.03)
        assert (await house.stored(lost)).holder == "dead"
        house.clock.advance(30)
        (ended,) = await house.ended(lost)
    assert (ended.state, ended.attempts) == ("succeeded", 2)


@pytest.mark.parametrize("fault", [StoreUnavailable(why="away"), StoreDamaged(why="is damaged")])
async def test_a_worker_outlives_a_database_that_tells_nothing_for_a_while(fault: Fault) -> None:
    class SilentStore(MemoryStore):
        silent = 3

        async def find(self, query: Query[Job]) -> Sequence[Job]:
            if self.silent:
                self.silent -= 1
                raise fault
            return await super().find(query)

    store, clock, ids = SilentStore(), FakeClock(), FakeIds()
    house = WorkHouse(store, lambda: LeasedJobs(store, clock, ids, lease_seconds=30, poll_seconds=0.005), clock, ids)
    job = house.job("n")
    await house.enqueue(job)
    async with house.working(JobKind("n", nothing)):
        (ended,) = await house.ended(job)
    assert (ended.state, store.silent) == ("succeeded", 0)


async def test_a_job_that_loses_every_worker_is_not_started_for_ever(house: WorkHouse) -> None:
    ran: list[str] = []

    async def note(job: Job, progress: Progress) -> None:
        ran.append(job.id)

    lost = replace(house.job("n"), state="running", holder="dead", attempts=3)
    await house.enqueue(lost)
    async with house.working(JobKind("n", note, attempts=3)):
        (ended,) = await house.ended(lost)
    assert (ended.state, ended.error_code, ran) == ("failed", "worker_lost", [])


async def test_a_lease_is_renewed_while_the_job_runs() -> None:
    store, clock, ids, gate = MemoryStore(), FakeClock(), FakeIds(), asyncio.Event()
    house = WorkHouse(store, lambda: LeasedJobs(store, clock, ids, lease_seconds=0.03, poll_seconds=0.005), clock, ids)

    async def wait(job: Job, progress: Progress) -> None:
        await gate.wait()

    job = house.job("n")

    async def renewed() -> bool:
        return (await house.stored(job)).due_ms == clock.now_ms() + 30

    async with house.working(JobKind("n", wait)):
        await house.enqueue(job)
        await until(renewed)
        clock.advance(0.02)
        await until(renewed)
        gate.set()
        (ended,) = await house.ended(job)
    assert ended.attempts == 1


@pytest.mark.parametrize("fault", [StoreUnavailable(why="is away"), StoreDamaged(why="is damaged")])
async def test_leases_that_cannot_be_renewed_are_told_once_an_outage(
    fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    class LeaselessStore(MemoryStore):
        away, failed, renewed = False, 0, 0

        async def find(self, query: Query[Job]) -> Sequence[Job]:
            if query.terms[0].field == "id":
                self.failed, self.renewed = self.failed + self.away, self.renewed + (not self.away)
                if self.away:
                    raise fault
            return await super().find(query)

    store, clock, ids, gate = LeaselessStore(), FakeClock(), FakeIds(), asyncio.Event()
    engine = LeasedJobs(store, clock, ids, lease_seconds=0.03, poll_seconds=0.005)

    async def wait(job: Job) -> None:
        await gate.wait()

    await store.commit(Unit(jobs=[WorkHouse(store, lambda: engine, clock, ids).job("n")]))
    running = asyncio.create_task(engine.run({"n": JobKind("n", nothing)}, wait))
    for times in (1, 2):
        await until(lambda times=times: asyncio.sleep(0, store.renewed >= times))
        store.away = True
        await until(lambda times=times: asyncio.sleep(0, store.failed >= 3 * times))
        store.away, store.renewed = False, times
    gate.set()
    engine.stop()
    await running
    told = [record.getMessage() for record in caplog.records if "leases" in record.getMessage()]
    assert told == [f"the leases of running jobs are not renewed: {fault}"] * 2


async def test_an_end_that_cannot_be_written_is_reached_again(
    house: WorkHouse, caplog: pytest.LogCaptureFixture
) -> None:
    house.store.away = 1
    job = house.job("n")
    async with house.working(JobKind("n", nothing)):
        await house.enqueue(job)
        await until(lambda: asyncio.sleep(0, house.store.away == 0))
        await asyncio.sleep(0.02)
        assert (await house.stored(job)).state == "running"
        house.clock.advance(31)
        (ended,) = await house.ended(job)
    assert (ended.state, ended.attempts) == ("succeeded", 2)
    assert "StoreUnavailable" in caplog.text


async def test_a_handler_that_gives_up_by_itself_has_failed(house: WorkHouse) -> None:
    async def give_up(job: Job, progress: Progress) -> None:
        raise asyncio.CancelledError

    job = house.job("n")
    async with house.working(JobKind("n", give_up)):
        await house.enqueue(job)
        (ended,) = await house.ended(job)
    assert (ended.state, ended.error_code) == ("failed", "internal_error")


async def test_a_worker_that_is_torn_down_hands_its_jobs_back(house: WorkHouse) -> None:
    started = asyncio.Event()

    async def long(job: Job, progress: Progress) -> None:
        started.set()
        await asyncio.sleep(60)

    job = house.job("n")
    await house.enqueue(job)
    running = asyncio.create_task(house.worker([JobKind("n", long)]).run())
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    back = await house.stored(job)
    assert (back.state, back.attempts, back.holder) == ("queued", 0, None)


async def test_a_job_that_is_handed_back_though_its_cancellation_was_asked_for_is_cancelled(house: WorkHouse) -> None:
    started = asyncio.Event()

    async def long(job: Job, progress: Progress) -> None:
        started.set()
        await asyncio.sleep(60)

    job = house.job("n")
    await house.enqueue(job)
    worker = house.worker([JobKind("n", long)])
    running = asyncio.create_task(worker.run())
    await started.wait()
    unit, stored = Unit(), await house.stored(job)
    unit.change(replace(stored, cancel_requested=True, version=stored.version + 1))
    await house.store.commit(unit)
    await worker.stop(0)
    await running
    assert (await house.stored(job)).state == "cancelled"


async def test_a_step_that_is_stale_for_its_own_reason_says_so_and_the_job_is_tried_again(house: WorkHouse) -> None:
    async def clash(job: Job, progress: Progress) -> None:
        unit = Unit()
        unit.change(Firing(name="not there", slot_ms=0, job_id="", version=2))
        await progress.commit(unit)

    job = house.job("n")

    async def postponed() -> bool:
        stored = await house.stored(job)
        return stored.state == "queued" and stored.error_code == "stale_write"

    async with house.working(JobKind("n", clash)):
        await house.enqueue(job)
        await until(postponed)


async def test_a_step_goes_on_over_a_change_of_its_own_job_by_somebody_who_may(house: WorkHouse) -> None:
    async def step(job: Job, progress: Progress) -> None:
        unit, stored = Unit(), await house.stored(job)
        unit.change(replace(stored, progress=0.5, version=stored.version + 1))
        await house.store.commit(unit)
        effect = Unit()
        effect.add(Member(workspace_id="w", id="effect", created_ms=0))
        await progress.commit(effect)

    job = house.job("n")
    async with house.working(JobKind("n", step)):
        await house.enqueue(job)
        (ended,) = await house.ended(job)
    assert ended.state == "succeeded"
    assert await house.store.get(Member, "w", "effect")


async def test_a_duty_that_fails_is_done_again_and_ends_nothing(
    house: WorkHouse, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[int] = []

    async def work() -> bool:
        done.append(1)
        return len(done) < 3

    async def broken() -> bool:
        raise ValueError("+4915112345678")

    job = house.job("n")
    duties = [Duty("works", work, 0.001), Duty("broken", broken, 0.001)]
    with caplog.at_level(logging.ERROR):
        async with house.working(JobKind("n", nothing), duties=duties):
            await until(lambda: asyncio.sleep(0, len(done) >= 5))
            await house.enqueue(job)
            await house.ended(job)
    assert "the duty 'broken' failed: ValueError" in caplog.text
    assert "4915" not in caplog.text


async def test_a_schedule_makes_no_job_while_its_last_one_has_not_ended(house: WorkHouse) -> None:
    schedules = Schedules([Schedule(name="s", kind="n", every_seconds=60)], house.store, house.clock, house.ids)
    assert await schedules.fire_due()
    house.clock.advance(120)
    assert not await schedules.fire_due()
    (job,) = await house.store.find(Query(Job).by("id"))
    unit = Unit()
    unit.change(replace(job, state="succeeded", version=job.version + 1))
    await house.store.commit(unit)
    assert await schedules.fire_due()
    assert not await schedules.fire_due()
    assert await house.store.count(Query(Job)) == 2


async def test_what_fell_due_many_times_while_nobody_was_there_is_done_once(house: WorkHouse) -> None:
    schedule = Schedule(name="s", kind="n", every_seconds=60)
    async with house.working(JobKind("n", nothing), schedules=[schedule]):

        async def ended(count: int) -> bool:
            return await house.store.count(Query(Job).where("state", "=", "succeeded")) == count

        await until(lambda: ended(1))
        house.clock.advance(86_400)
        await until(lambda: ended(2))
        await asyncio.sleep(0.05)
    assert await house.store.count(Query(Job)) == 2
