"""Purges: what deleted recordings and calls held is destroyed, whatever gets in between."""

from dataclasses import replace

import pytest
from tests.callhouse import CallHouse, caller

from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.domain.call import Turn
from callvault.domain.errors import BlobsUnavailable, OnHold, Refused, StaleWrite
from callvault.domain.idempotency import IdempotentRequest
from callvault.domain.job import Job
from callvault.domain.lane import Lane, OpenSpool
from callvault.domain.recording import Recording
from callvault.domain.stored import Artifact, StoredObject
from callvault.domain.unit import Unit
from callvault.services.purges import Purges
from callvault.services.recordings import CallRecording

ME = caller()


class Steps:
    """The progress of a job that nobody takes away."""

    def __init__(self, house: CallHouse) -> None:
        self.commit = house.store.commit
        self.told: list[float] = []

    async def report(self, fraction: float) -> None:
        self.told.append(fraction)


class FlakyBlobs(MemoryBlobs):
    """A storage that goes away after so many deletions."""

    def __init__(self, deletions: int) -> None:
        super().__init__()
        self.deletions = deletions

    def delete(self, key: str) -> None:
        if not self.deletions:
            raise BlobsUnavailable(why="gone")
        self.deletions -= 1
        super().delete(key)


@pytest.fixture
async def house() -> CallHouse:
    house = CallHouse()
    await house.workspace()
    return house


async def filled(house: CallHouse, blobs: MemoryBlobs, objects: int = 3) -> CallRecording:
    made = await house.recordings.create(ME, {})
    unit = Unit()
    for n in range(objects):
        stored = blobs.put(f"w/{made.recording.id}/{n}", [b"sound"])
        unit.add(replace(stored, workspace_id="w", recording_id=made.recording.id))
    unit.add(Lane(recording_id=made.recording.id, name="customer", workspace_id="w", rate=8000))
    unit.add(
        Artifact(
            recording_id=made.recording.id,
            kind="pcap",
            workspace_id="w",
            object_key=f"w/{made.recording.id}/0",
            media_type="application/vnd.tcpdump.pcap",
            size=5,
            created_ms=0,
        )
    )
    for seq in range(450):
        unit.add(
            Turn(
                call_id=made.call.id,
                workspace_id="w",
                seq=seq,
                id=f"{made.call.id}{seq}",
                role="customer",
                content="x",
                start_ms=seq,
                created_ms=0,
            )
        )
    await house.store.commit(unit)
    return made


async def test_a_deleted_call_s_sound_rows_and_words_are_destroyed_and_nobody_else_s(house: CallHouse) -> None:
    blobs = MemoryBlobs()
    made, other = await filled(house, blobs), await filled(house, blobs)
    await house.calls.delete(ME, made.call.id)
    [job] = await house.all(Job)
    steps = Steps(house)
    assert await Purges(house.store, blobs).run(job, steps) == {"objects": 3}
    assert [key for key, _ in blobs.list()] == [f"w/{other.recording.id}/{n}" for n in range(3)]
    assert {row.recording_id for kind in (StoredObject, Lane, Artifact) for row in await house.all(kind)} == {
        other.recording.id
    }
    assert {turn.call_id for turn in await house.all(Turn)} == {other.call.id}
    assert steps.told == [0.5]


async def test_what_is_kept_to_be_answered_again_goes_with_what_it_tells_of(house: CallHouse) -> None:
    blobs = MemoryBlobs()
    made, other = await filled(house, blobs), await filled(house, blobs)
    unit = Unit()
    for name in (made.recording.id, made.call.id, other.recording.id, other.call.id):
        unit.add(
            IdempotentRequest(
                workspace_id="w", key=name, fingerprint="", reserved_id=name, claimed_ms=0, status=201, answer="+1415"
            )
        )
    await house.store.commit(unit)
    await house.calls.delete(ME, made.call.id)
    [job] = await house.all(Job)
    await Purges(house.store, blobs).run(job, Steps(house))
    assert {kept.key for kept in await house.all(IdempotentRequest)} == {other.recording.id, other.call.id}


async def test_a_purge_that_was_cut_off_is_finished_by_its_next_run(house: CallHouse) -> None:
    blobs = FlakyBlobs(2)
    made = await filled(house, blobs)
    await house.recordings.delete(ME, made.recording.id)
    [job] = await house.all(Job)
    purges = Purges(house.store, blobs)
    with pytest.raises(BlobsUnavailable):
        await purges.run(job, Steps(house))
    assert len(blobs.objects) == 1 and len(await house.all(StoredObject)) == 3
    blobs.deletions = 9
    await purges.run(job, Steps(house))
    assert blobs.objects == {} and await house.all(StoredObject) == []
    assert await purges.run(job, Steps(house)) == {"objects": 0}


async def test_what_is_not_deleted_or_is_held_is_never_purged(house: CallHouse) -> None:
    blobs = MemoryBlobs()
    made = await filled(house, blobs)
    purges = Purges(house.store, blobs)
    with pytest.raises(Refused):
        await purges.purge_recording(made.recording.id)
    with pytest.raises(Refused):
        await purges.purge_call(made.call.id)
    unit = Unit()
    unit.change(replace(made.recording, held=True, deleted_ms=1, version=2))
    await house.store.commit(unit)
    with pytest.raises(OnHold):
        await purges.purge_recording(made.recording.id)
    assert len(blobs.objects) == 3 and await house.all(Turn)


async def test_a_purge_is_not_over_while_a_node_still_holds_sound(house: CallHouse) -> None:
    blobs = MemoryBlobs()
    made = await filled(house, blobs)
    await house.recordings.delete(ME, made.recording.id)
    open_spool = OpenSpool(recording_id=made.recording.id, node="n", workspace_id="w", opened_ms=0)
    unit = Unit()
    unit.put(open_spool)
    await house.store.commit(unit)
    [job] = await house.all(Job)
    with pytest.raises(StaleWrite):
        await Purges(house.store, blobs).run(job, Steps(house))
    late = replace(blobs.put("w/late", [b"late"]), workspace_id="w", recording_id=made.recording.id)
    unit = Unit()
    unit.add(late)
    unit.remove(open_spool)
    await house.store.commit(unit)
    await Purges(house.store, blobs).run(job, Steps(house))
    assert blobs.objects == {}
    assert (await house.store.get(Recording, made.recording.id)).status == "deleted"
