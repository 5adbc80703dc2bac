"""Jobs as their workspace sees them, and what becomes of old ones."""

from dataclasses import replace

import pytest
from tests.audits import audited
from tests.callhouse import CallHouse, caller

from callvault.domain.errors import Malformed, Missing, Refused
from callvault.domain.job import Job, cancelled, failed, pause_ms, succeeded, taken
from callvault.domain.recording import Recording
from callvault.domain.schedule import Schedule
from callvault.domain.unit import Unit
from callvault.services.jobs import JobFilter, Jobs
from callvault.services.pages import Place

DAY_MS = 86_400_000


class House(CallHouse):
    def __init__(self) -> None:
        super().__init__()
        self.jobs = Jobs(self.store, self.clock, self.audit, self.access)

    async def job(self, **fields: object) -> Job:
        facts = {"id": self.ids.uuid(), "workspace_id": "w", "kind": "n", "created_ms": self.clock.now_ms()}
        job = Job(**{**facts, **fields})
        await self.store.commit(Unit(jobs=[job]))
        return job

    async def private_recording(self, *readers: str) -> str:
        unit, recording_id = Unit(), self.ids.uuid()
        times = {"created_ms": 0, "updated_ms": 0, "last_heard_ms": 0}
        unit.add(Recording(id=recording_id, workspace_id="w", call_id="c", readers=readers, **times))
        await self.store.commit(unit)
        return recording_id


class Step:
    """A `Progress` that commits at once."""

    def __init__(self, house: House) -> None:
        self.commit = house.store.commit


async def test_jobs_are_listed_newest_first_and_narrowed() -> None:
    house = House()
    old = await house.job(kind="convert", recording_id="r")
    house.clock.advance(1)
    new = await house.job()
    await house.job(workspace_id="other")

    async def found(**narrow: str) -> list[str]:
        return [job.id for job in (await house.jobs.find(caller(), JobFilter(**narrow), Place())).items]

    assert await found() == [new.id, old.id]
    assert await found(kind="convert", recording_id="r", state="queued") == [old.id]
    assert await found(state="failed") == []
    with pytest.raises(Malformed):
        await found(state="asleep")


async def test_jobs_of_other_workspaces_and_of_the_house_do_not_exist() -> None:
    house = House()
    for workspace in ("other", ""):
        job = await house.job(workspace_id=workspace)
        with pytest.raises(Missing):
            await house.jobs.get(caller(), job.id)
        with pytest.raises(Missing):
            await house.jobs.cancel(caller(), job.id)


async def test_jobs_on_private_recordings_are_for_the_participants() -> None:
    house = House()
    job = await house.job(recording_id=await house.private_recording("ann"))
    assert (await house.jobs.get(caller(member="ann"), job.id)).id == job.id
    assert len((await house.jobs.find(caller(member="ann"), JobFilter(), Place())).items) == 1
    assert (await house.jobs.find(caller(member="bob"), JobFilter(), Place())).items == []
    with pytest.raises(Refused):
        await house.jobs.get(caller(member="bob"), job.id)


async def test_a_queued_job_is_cancelled_at_once_and_the_act_is_audited() -> None:
    house = House()
    job = await house.job()
    ended = await house.jobs.cancel(caller(), job.id)
    assert (ended.state, ended.ended_ms) == ("cancelled", house.clock.now_ms())
    assert await house.store.get(Job, job.id) == ended
    assert await house.jobs.cancel(caller(), job.id) == ended
    assert [entry.action for entry in await audited(house.store)] == ["jobs.cancel"]


async def test_a_running_job_is_asked_to_end() -> None:
    house = House()
    job = await house.job()
    unit = Unit()
    unit.change(taken(job, "holder", 0, 0))
    await house.store.commit(unit)
    asked = await house.jobs.cancel(caller(), job.id)
    assert (asked.state, asked.cancel_requested, asked.holder) == ("running", True, "holder")


async def test_cancelling_needs_the_scope_to_process() -> None:
    house = House()
    job = await house.job()
    with pytest.raises(Refused):
        await house.jobs.cancel(caller("recordings:read"), job.id)


async def test_the_sweep_removes_what_ended_long_ago_and_keeps_what_has_not_ended() -> None:
    house = House()
    now = house.clock.now_ms()
    kept = [
        await house.job(created_ms=now - 90 * DAY_MS),
        await house.job(state="failed", ended_ms=now - 29 * DAY_MS),
        await house.job(workspace_id="", state="failed", ended_ms=now - DAY_MS // 2),
    ]
    for state in ("succeeded", "failed", "cancelled"):
        await house.job(state=state, ended_ms=now - 31 * DAY_MS)
    await house.job(workspace_id="", state="succeeded", ended_ms=now - 2 * DAY_MS)
    (kind,) = house.jobs.kinds()
    assert await kind.run(kept[0], Step(house)) == {"swept": 4}
    assert {job.id for job in await house.all(Job)} == {job.id for job in kept}


def test_pauses_grow_to_an_hour_and_no_two_need_be_alike() -> None:
    assert [pause_ms(n, 1.0) for n in (1, 2, 3, 4)] == [1000, 2000, 4000, 8000]
    assert pause_ms(3, 0.0) == 2000
    assert pause_ms(60, 1.0) == 3_600_000


def test_an_ended_job_has_no_holder_and_tells_its_last_error_only_if_it_failed() -> None:
    job = taken(Job(id="j", workspace_id="w", kind="n", created_ms=0), "me", 1, 2)
    job = replace(job, error="once", error_code="once")
    for ended in (succeeded(job, {}, 9), failed(job, "x", "y", 9), cancelled(job, 9)):
        assert (ended.holder, ended.ended_ms, ended.version) == (None, 9, job.version + 1)
    assert succeeded(job, {}, 9).error is None
    assert failed(job, "x", "y", 9).error == "y"


def test_a_schedule_falls_due_at_its_place_in_each_period() -> None:
    three = Schedule(name="s", kind="n", every_seconds=86_400, at_seconds=3 * 3600)
    midnight = 20_000 * DAY_MS
    assert three.slot_ms(midnight + 2 * 3_600_000) == midnight - 21 * 3_600_000
    assert three.slot_ms(midnight + 3 * 3_600_000) == midnight + 3 * 3_600_000
