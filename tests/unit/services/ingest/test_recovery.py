"""After a crash: everything that was acknowledged plays, and the recording is marked."""

import asyncio

import numpy as np
import pytest
from tests.unit.services.ingest.intakehouse import CALLER, PCMU, IntakeHouse, speech

from callvault.adapters.spool.memory import MemorySpool
from callvault.audio.pcm import DECODERS
from callvault.domain.errors import Malformed, StoreDamaged
from callvault.domain.lane import OpenSpool
from callvault.domain.unit import Unit
from callvault.services.ingest.rounds import MOVE_SECONDS, QUIET_SECONDS

ulaw = DECODERS["pcmu"]


@pytest.fixture
def house() -> IntakeHouse:
    return IntakeHouse()


async def crash(house: IntakeHouse) -> int:
    house.begin()
    return await house.intake.recovery.recover()


async def rounds(house: IntakeHouse, seconds: float) -> None:
    house.clock.advance(seconds)
    await house.intake.rounds.round()


async def test_a_recording_cut_off_plays_up_to_the_cut(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    assert await crash(house) == 1
    await rounds(house, 0)
    await rounds(house, MOVE_SECONDS + 1)
    assert list(house.spool.holdings()) == []
    await rounds(house, 400)
    await house.intake.completion.complete_idle()
    done = await house.found(recording)
    assert (done.status, done.ended_by, done.duration_us) == ("completed", "interrupted", 1_000_000)
    assert np.array_equal(await house.heard(recording), ulaw(speech(8000)))
    assert await house.all(OpenSpool) == []


async def test_it_goes_on_when_more_comes(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    await crash(house)
    await house.put(recording, 2, speech(8000, 2), ms=1000)
    await rounds(house, 0)
    await rounds(house, MOVE_SECONDS + 1)
    assert np.array_equal(await house.heard(recording), ulaw(speech(8000) + speech(8000, 2)))


async def test_to_recover_again_and_again_changes_nothing(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    for _ in range(3):
        assert await crash(house) == 1
        await house.intake.recovery.recover()
        await rounds(house, 0)
        await rounds(house, MOVE_SECONDS + 1)
    assert [mark.take for mark in await house.marks(recording)] == [1]
    await rounds(house, QUIET_SECONDS + 1)
    assert [row.detail["cut"] for row in await house.all(OpenSpool)] == ["1"]


async def test_a_recording_that_had_ended_completes(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    house.blobs.away = True
    await house.intake.completion.end(CALLER, await house.intake.open.get(recording), "completed")
    house.blobs.away = False
    await crash(house)
    await rounds(house, 0)
    await rounds(house, 2)
    assert (await house.found(recording)).status == "completed"


async def test_a_spool_whose_row_was_never_written_is_found_too(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    (row,) = await house.all(OpenSpool)
    unit = Unit()
    unit.remove(row)
    await house.store.commit(unit)
    assert await crash(house) == 1
    await rounds(house, 0)
    await rounds(house, MOVE_SECONDS + 1)
    assert [mark.take for mark in await house.marks(recording)] == [1]


async def test_a_deleted_recordings_sound_is_let_go(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    await house.recordings.delete(CALLER, recording)
    await crash(house)
    await rounds(house, 0)
    await rounds(house, MOVE_SECONDS + 1)
    await rounds(house, QUIET_SECONDS + 1)
    assert (list(house.spool.holdings()), await house.all(OpenSpool)) == ([], [])


async def test_a_node_that_is_gone_for_good_can_be_given_up(house: IntakeHouse) -> None:
    recording = await house.recording()
    await house.put(recording, 1, speech(8000), ms=0)
    gone, house.spool = house.spool, MemorySpool()
    house.begin()
    await house.put(recording, 2, speech(8000, 2), ms=1000)
    assert (await house.intake.completion.complete(CALLER, recording)).status == "processing"
    with pytest.raises(Malformed):
        await house.intake.abandon(house.spool.id)
    assert await house.intake.abandon(gone.id) == [recording]
    assert (await house.found(recording)).status == "completed"
    assert await house.intake.abandon(gone.id) == []


async def test_nothing_behind_the_doors_ends_with_a_damaged_database(house: IntakeHouse) -> None:
    class DamagedStore:
        damaged = False

        def __getattr__(self, name: str):
            if self.damaged:
                raise StoreDamaged(why="is damaged")
            return getattr(house.store, name)

    store = DamagedStore()
    house.begin(store)
    recording, other = await house.recording(), await house.recording()
    await house.intake.live.begin(CALLER, recording, PCMU)
    await house.put(other, 1, speech(800), ms=0)
    store.damaged = True
    house.clock.advance(60)
    running = asyncio.create_task(house.intake.run())
    await asyncio.sleep(0.1)
    assert not running.done()
    house.intake.stop()
    await asyncio.wait_for(running, 30)
    store.damaged = False
    assert await crash(house) == 2
    assert np.array_equal(await house.heard(other), ulaw(speech(800)))


async def test_what_was_cut_off_is_marked_in_one_write_however_many_it_is(house: IntakeHouse) -> None:
    for n in range(5):
        await house.put(await house.recording(), n, speech(160), ms=0)
    house.begin(store := CountedStore(house.store))
    assert await house.intake.recovery.recover() == 5
    assert store.commits == 1
    assert ["cut" in row.detail for row in await house.all(OpenSpool)] == [True] * 5


class CountedStore:
    def __init__(self, store) -> None:
        self._store, self.commits = store, 0

    def __getattr__(self, name: str):
        return getattr(self._store, name)

    async def commit(self, unit: Unit) -> None:
        self.commits += 1
        await self._store.commit(unit)
