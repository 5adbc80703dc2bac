"""Artifacts that are no sound: what is known is there."""

import io

import pytest
from tests.callhouse import CallHouse, caller
from tests.unsure import UnsureStore

from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.domain.errors import AlreadyThere, StoreUnavailable
from callvault.domain.stored import Artifact
from callvault.services.keeping import Keeping

ME = caller()
VIDEO = b"\0\0\0\x20ftypisom" + bytes(1000)


class Keeper:
    def __init__(self) -> None:
        self.house, self.blobs = CallHouse(), MemoryBlobs()
        self.store = UnsureStore(self.house.store, Artifact)
        self.keeping = Keeping(
            self.store,
            self.blobs,
            clock=self.house.clock,
            ids=self.house.ids,
            access=self.house.access,
            witness=self.house.witness,
            recordings=self.house.recordings,
            unlock=self.unlock,
        )

    async def unlock(self, workspace_id: str, objects: object) -> None:
        """Nothing is sealed."""

    async def put(self, recording_id: str, data: bytes = VIDEO) -> bool:
        return (await self.keeping.put(ME, recording_id, "video", io.BytesIO(data), "video/mp4")).created

    async def is_there(self) -> bool:
        [artifact] = await self.house.all(Artifact)
        return set(self.blobs.objects) == {artifact.object_key}


@pytest.fixture
async def keeper() -> Keeper:
    keeper = Keeper()
    await keeper.house.workspace()
    return keeper


async def recording(keeper: Keeper) -> str:
    return (await keeper.house.recordings.create(ME, {})).recording.id


async def test_the_same_again_and_another_leave_one_object(keeper: Keeper) -> None:
    where = await recording(keeper)
    assert [await keeper.put(where), await keeper.put(where)] == [True, False]
    with pytest.raises(AlreadyThere):
        await keeper.put(where, VIDEO + b"?")
    assert await keeper.is_there()


async def test_one_of_which_nobody_knows_whether_it_is_known_stays_when_it_is(keeper: Keeper) -> None:
    where = await recording(keeper)
    keeper.store.armed = True
    with pytest.raises(StoreUnavailable):
        await keeper.put(where)
    assert await keeper.put(where) is False
    assert await keeper.is_there()
