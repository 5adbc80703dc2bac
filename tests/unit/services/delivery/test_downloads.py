import pytest
from tests.callhouse import caller
from tests.unit.services.delivery.house import House
from tests.workhouse import until

from callvault.adapters.store.memory import MemoryStore
from callvault.domain.errors import StoreUnavailable
from callvault.domain.event import Event
from callvault.domain.recording import Recording
from callvault.domain.unit import Unit
from callvault.services.delivery import downloads


async def test_downloads_are_counted_by_themselves_soon_after() -> None:
    house = House()
    recordings = [await house.spoken(), await house.spoken()]

    async def counted(*wanted: int) -> bool:
        found = [await house.store.get(Recording, recording.id) for recording in recordings]
        return [recording.download_count for recording in found] == [*wanted]

    for n in range(5):
        house.downloads.began(caller(), recordings[n % 2], "mono.wav")
    await until(lambda: counted(3, 2))
    assert len(await house.all(Event, type="recording.downloaded")) == 5
    house.downloads.began(caller(), recordings[0], "mono.wav")
    await until(lambda: counted(4, 2))


async def test_every_request_for_bytes_is_audited_and_counted_where_the_first_of_them_leaves() -> None:
    house = House()
    recording = await house.spoken()
    ranges = (None, "bytes=0-", "bytes=5-9", "bytes=-5")
    for n, asked in enumerate(ranges):
        house.downloads.asked(caller(), recording, "mono.wav", byte_range=asked)
        if n < 2:
            house.downloads.began(caller(), recording, "mono.wav")
    entries = await house.audited()
    assert [entry.detail["range"] for entry in entries] == [*ranges]
    assert {(entry.address, entry.request_id) for entry in entries} == {("198.51.100.7", "r")}
    await house.downloads.flush()
    counted = await house.store.get(Recording, recording.id)
    assert (counted.download_count, counted.last_accessed_ms) == (2, house.clock.now_ms())
    assert [event.recording_id for event in await house.all(Event, type="recording.downloaded")] == [recording.id] * 2


class StoreAtTimes(MemoryStore):
    away = False

    async def commit(self, unit: Unit) -> None:
        if self.away:
            raise StoreUnavailable(why="it is away")
        await super().commit(unit)


async def test_downloads_wait_for_a_database_that_is_away() -> None:
    house, store = House(), StoreAtTimes()
    house.recorder.store = store
    recording = await house.spoken()
    counting = downloads.Downloads(store, house.clock, house.ids, house.audit)
    counting.began(caller(), recording, "mono.wav")
    store.away = True
    with pytest.raises(StoreUnavailable):
        await counting.flush()
    store.away = False
    await counting.flush()
    assert (await store.get(Recording, recording.id)).download_count == 1


async def test_a_private_calls_downloads_are_told_to_its_readers_alone() -> None:
    house = House()
    recording = await house.spoken(readers=("boss",))
    house.downloads.began(caller(member="boss"), recording, "stereo.mp3")
    await house.downloads.flush()
    (event,) = await house.all(Event)
    assert (event.readers, event.data["what"]) == (("boss",), "stereo.mp3")
