"""Fires schedules: their jobs are made when they fall due, by whichever node is first."""

from collections.abc import Sequence
from dataclasses import replace

from callvault.domain.errors import AlreadyThere, StaleWrite
from callvault.domain.job import ENDED, Job
from callvault.domain.schedule import Firing, Schedule
from callvault.domain.unit import Unit
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids


class Schedules:
    def __init__(self, schedules: Sequence[Schedule], store: Store, clock: Clock, ids: Ids) -> None:
        self._schedules, self._store, self._clock, self._ids = schedules, store, clock, ids

    async def fire_due(self) -> bool:
        """Whether a job was made."""
        return any([await self._fire(schedule) for schedule in self._schedules])

    async def _fire(self, schedule: Schedule) -> bool:
        now = self._clock.now_ms()
        slot_ms = schedule.slot_ms(now)
        last = await self._store.get(Firing, schedule.name)
        if last and (last.slot_ms >= slot_ms or await self._goes_on(last)):
            return False
        job = Job(
            id=self._ids.uuid(),
            workspace_id="",
            kind=schedule.kind,
            created_ms=now,
            due_ms=now,
            arguments=dict(schedule.arguments),
            priority=schedule.priority,
        )
        unit = Unit(jobs=[job])
        if last:
            unit.change(replace(last, slot_ms=slot_ms, job_id=job.id, version=last.version + 1))
        else:
            unit.add(Firing(name=schedule.name, slot_ms=slot_ms, job_id=job.id))
        try:
            await self._store.commit(unit)
        except (StaleWrite, AlreadyThere):
            return False
        return True

    async def _goes_on(self, last: Firing) -> bool:
        job = await self._store.get(Job, last.job_id)
        return job is not None and job.state not in ENDED
