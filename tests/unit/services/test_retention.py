"""Retention: what has expired is told once, what was to be kept no longer is deleted, and a hold beats that."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.audits import audited
from tests.callhouse import CallHouse, caller

from callvault.domain.call import Turn
from callvault.domain.errors import Missing
from callvault.domain.event import Event
from callvault.domain.job import Job
from callvault.domain.recording import Derivation, Recording
from callvault.domain.unit import Unit
from callvault.services.holds import Holds
from callvault.services.recordings import DAY_MS, RecordingFacts
from callvault.services.retention import AT_ONCE, SWEEP, Retention

ME = caller()


class Step:
    """A `Progress` that commits at once."""

    def __init__(self, house: "House") -> None:
        self._house = house

    async def commit(self, unit: Unit) -> None:
        await self._house.store.commit(unit)


class House(CallHouse):
    def __init__(self) -> None:
        super().__init__()
        self.retention = Retention(self.store, clock=self.clock, witness=self.witness, removal=self.removal)
        tools = {"clock": self.clock, "ids": self.ids, "witness": self.witness}
        self.holds = Holds(self.store, recordings=self.recordings, **tools)

    async def sweep(self) -> tuple[Any, Any]:
        """How many expired and how many were deleted."""
        job = Job(id=self.ids.uuid(), workspace_id="", kind=SWEEP, created_ms=self.clock.now_ms())
        result = await self.retention.sweep(job, Step(self))  # type: ignore[arg-type]
        return result["expired"], result["deleted"]

    async def recording(self, **facts: Any) -> Recording:
        return (await self.recordings.create(ME, {}, RecordingFacts(**facts))).recording

    async def version(self, of: Recording, **facts: Any) -> Recording:
        made = replace(of, id=self.ids.uuid(), derived_from=(of.id,), operation="trim", version=1, **facts)
        unit = Unit()
        unit.add(made, Derivation(parent_id=of.id, child_id=made.id, workspace_id="w"))
        await self.store.commit(unit)
        return made

    async def told(self, kind: str) -> list[str | None]:
        """Of which recordings, in order."""
        return [event.recording_id for event in await self.all(Event, type=f"recording.{kind}")]

    async def now(self, recording: Recording) -> Recording:
        found = await self.store.get(Recording, recording.id)
        assert found
        return found


@pytest.fixture
async def house() -> House:
    house = House()
    await house.workspace()
    return house


async def test_an_expiry_is_told_when_its_time_has_come_and_never_again(house: House) -> None:
    recording = await house.recording(expires_ms=house.clock.now_ms() + 5000)
    house.clock.advance(4.999)
    assert await house.sweep() == (0, 0)
    house.clock.advance(0.001)
    assert await house.sweep() == (1, 0)
    house.clock.advance(60)
    assert await house.sweep() == (0, 0)
    assert await house.told("expired") == [recording.id]
    entry = (await audited(house.store))[-1]
    assert (entry.actor, entry.thing, entry.detail) == ("system", f"recording:{recording.id}", {"cause": "expired"})


async def test_a_recording_whose_time_was_put_off_expires_again_at_its_new_one(house: House) -> None:
    recording = await house.recording(expires_ms=house.clock.now_ms())
    await house.sweep()
    await house.recordings.update(ME, recording.id, {"expires_ms": house.clock.now_ms() + 1000})
    assert await house.sweep() == (0, 0)
    house.clock.advance(1)
    assert await house.sweep() == (1, 0)
    await house.recordings.update(ME, recording.id, {"expires_ms": None})
    assert await house.sweep() == (0, 0)
    assert await house.told("expired") == [recording.id, recording.id]


async def test_a_recording_that_was_told_of_stays_told_whatever_else_is_changed(house: House) -> None:
    recording = await house.recording(expires_ms=house.clock.now_ms())
    await house.sweep()
    await house.recordings.update(ME, recording.id, {"tags": ("a",), "expires_ms": recording.expires_ms})
    await house.recordings.update(ME, recording.id, {"expires_ms": house.clock.now_ms() - 1000})
    assert await house.sweep() == (0, 0)
    assert len(await house.told("expired")) == 1


async def test_a_recording_is_deleted_when_it_was_kept_for_as_long_as_it_was_to_be(house: House) -> None:
    recording = await house.recording(retention_days=1)
    house.clock.ms = recording.created_ms + DAY_MS - 1
    assert await house.sweep() == (0, 0)
    house.clock.advance(0.001)
    assert await house.sweep() == (0, 1)
    assert await house.sweep() == (0, 0)
    after = await house.now(recording)
    assert (after.status, after.deleted_ms) == ("deleted", house.clock.now_ms())
    with pytest.raises(Missing):
        await house.recordings.retrieve(ME, recording.id)
    assert (await house.told("autoDeleted"), await house.told("deleted")) == ([recording.id], [])
    [job] = await house.all(Job)
    assert (job.kind, job.workspace_id, job.arguments["recordings"]) == ("purge", "w", [recording.id])
    entry = (await audited(house.store))[-1]
    assert (entry.actor, entry.action, entry.detail) == ("system", "recordings.delete", {"cause": "autoDeleted"})


async def test_all_that_was_made_of_a_recording_goes_with_it_and_the_call_s_words_stay(house: House) -> None:
    original = await house.recording(retention_days=1)
    await house.recording(retention_days=2)
    longer = await house.version(original, auto_delete_ms=None)
    turn = {"call_id": original.call_id, "workspace_id": "w", "seq": 0, "id": "t", "role": "customer"}
    unit = Unit()
    unit.add(Turn(content="yes", start_ms=0, created_ms=0, **turn))
    await house.store.commit(unit)
    house.clock.advance(86_400)
    assert await house.sweep() == (0, 1)
    assert sorted(map(str, await house.told("autoDeleted"))) == sorted([original.id, longer.id])
    assert len(await house.all(Recording, deleted_ms=None)) == 1
    [job] = await house.all(Job)
    assert len(job.arguments["recordings"]) == 2 and job.arguments["call"] is None
    assert len(await house.all(Turn)) == 1


async def test_a_version_with_a_shorter_time_goes_alone(house: House) -> None:
    original = await house.recording(retention_days=2)
    shorter = await house.version(original, auto_delete_ms=house.clock.now_ms() + DAY_MS)
    house.clock.advance(86_400)
    assert await house.sweep() == (0, 1)
    assert await house.told("autoDeleted") == [shorter.id]


async def test_a_hold_puts_a_deletion_off_until_it_is_released(house: House) -> None:
    recording = await house.recording(retention_days=1)
    hold = await house.holds.place(ME, recording.id)
    house.clock.advance(86_400)
    assert await house.sweep() == (0, 0)
    house.clock.advance(86_400)
    assert await house.sweep() == (0, 0)
    await house.holds.release(ME, recording.id, hold.id)
    assert await house.sweep() == (0, 1)
    assert await house.told("autoDeleted") == [recording.id]


async def test_a_hold_on_a_version_keeps_what_it_was_made_of_and_nothing_else(house: House) -> None:
    original = await house.recording(retention_days=1)
    other = await house.recording(retention_days=1)
    version = await house.version(original, auto_delete_ms=None)
    hold = await house.holds.place(ME, version.id)
    house.clock.advance(86_400)
    assert await house.sweep() == (0, 1)
    assert await house.told("autoDeleted") == [other.id]
    await house.holds.release(ME, version.id, hold.id)
    assert await house.sweep() == (0, 1)
    assert len(await house.told("autoDeleted")) == 3


async def test_a_hold_does_not_put_an_expiry_off(house: House) -> None:
    recording = await house.recording(expires_ms=house.clock.now_ms())
    await house.holds.place(ME, recording.id)
    assert await house.sweep() == (1, 0)


async def test_a_recording_in_progress_expires_and_is_deleted_as_any_other(house: House) -> None:
    recording = await house.recording(expires_ms=house.clock.now_ms() + 1000, retention_days=1)
    assert recording.in_progress
    house.clock.advance(1)
    assert await house.sweep() == (1, 0)
    assert (await house.now(recording)).in_progress
    house.clock.advance(86_400)
    assert await house.sweep() == (0, 1)
    after = await house.now(recording)
    assert (after.in_progress, after.status) == (False, "deleted")


async def test_of_what_was_deleted_before_nothing_is_told(house: House) -> None:
    recording = await house.recording(expires_ms=house.clock.now_ms() + 1000, retention_days=1)
    await house.recordings.delete(ME, recording.id)
    house.clock.advance(86_400)
    assert await house.sweep() == (0, 0)
    assert (await house.told("expired"), await house.told("autoDeleted")) == ([], [])


async def test_more_than_a_page_is_done_in_one_sweep_past_those_that_are_held(house: House) -> None:
    kept = []
    for n in range(2 * AT_ONCE + 1):
        recording = await house.recording(expires_ms=house.clock.now_ms(), retention_days=1)
        if n % 3 == 0:
            version = await house.version(recording, auto_delete_ms=None, expires_ms=None)
            await house.holds.place(ME, version.id)
            kept.append(recording.id)
    house.clock.advance(86_400)
    assert await house.sweep() == (2 * AT_ONCE + 1, 2 * AT_ONCE + 1 - len(kept))
    assert await house.sweep() == (0, 0)


async def test_two_that_sweep_at_the_same_time_tell_everything_once(house: House) -> None:
    for _ in range(20):
        await house.recording(expires_ms=house.clock.now_ms(), retention_days=1)
    house.clock.advance(86_400)
    commit = house.store.commit

    async def slowly(unit: Unit) -> None:
        """So that both have read what both are about to change."""
        await asyncio.sleep(0)
        await commit(unit)

    house.store.commit = slowly  # type: ignore[method-assign]
    both = await asyncio.gather(house.sweep(), house.sweep())
    assert [sum(done) for done in zip(*both, strict=True)] == [20, 20]
    for kind in ("expired", "autoDeleted"):
        told = await house.told(kind)
        assert len(told) == len(set(told)) == 20
    assert len(await house.all(Job)) == 20


@pytest.mark.parametrize("facts", [{"expires_ms": 0}, {"retention_days": 1}], ids=["expiry", "deletion"])
@pytest.mark.parametrize("by", ["a longer time", "a hold"])
async def test_what_was_changed_at_the_last_moment_is_decided_anew(house: House, facts: Any, by: str) -> None:
    recording = await house.recording(**facts)
    house.clock.advance(86_400)
    commit = house.store.commit

    async def overtaken(unit: Unit) -> None:
        """Somebody else is quicker."""
        house.store.commit = commit  # type: ignore[method-assign]
        if by == "a hold":
            await house.holds.place(ME, recording.id)
        else:
            await house.recordings.update(ME, recording.id, dict.fromkeys(facts))  # type: ignore[arg-type]
        await commit(unit)

    house.store.commit = overtaken  # type: ignore[method-assign]
    held_expires = by == "a hold" and "expires_ms" in facts
    assert await house.sweep() == (int(held_expires), 0)
    assert (len(await house.told("expired")), await house.told("autoDeleted")) == (int(held_expires), [])
    assert (await house.now(recording)).deleted_ms is None
