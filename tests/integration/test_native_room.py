"""A disk on which little is left: what comes in by the gigabyte is refused, and what must go on goes on."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from callvault.domain.query import Query
from callvault.domain.stored import StoredObject
from callvault.web.native.received import IN_MEMORY
from tests.fakes import FakeRoom
from tests.integration.test_native_intake import PART, PCMU, TUS, heard, noise, stereo
from tests.webhouse import WebHouse, webhouse

GIB = 1 << 30
DOORS = ["audio", "artifacts/pcap", "artifacts/video"]


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse() as house:
        house.client.headers.update(await house.bearer())
        yield house
        await house.services.delivery.renditions.close()


@pytest.fixture
async def where(house: WebHouse) -> str:
    return f"/api/v1/recordings/{(await house.client.post('/api/v1/recordings', json={})).json()['id']}"


@pytest.fixture
def room(house: WebHouse) -> FakeRoom:
    assert isinstance(house.adapters.room, FakeRoom)
    return house.adapters.room


class Body:
    """So many bytes, of which it knows how many were taken."""

    def __init__(self, length: int) -> None:
        self.length, self.taken = length, 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        while self.taken < self.length:
            self.taken += 65_536
            yield bytes(65_536)


async def nothing_kept(house: WebHouse) -> bool:
    objects = await house.services.store.find(Query(StoredObject).by("key"))
    return not objects and not list(house.adapters.blobs.list())


def is_refused(answer: httpx.Response) -> bool:
    told = answer.json()
    assert (told["title"], answer.headers["retry-after"]) == ("It will pass: try again later", "2")
    return (answer.status_code, told["code"]) == (507, "disk_full")


@pytest.mark.parametrize("door", DOORS)
async def test_a_body_whose_length_has_no_room_is_refused_before_it_is_read(
    house: WebHouse, where: str, room: FakeRoom, door: str
) -> None:
    room.free, body = GIB, Body(2 * GIB)
    headers = {"content-length": str(2 * GIB), "content-type": "video/mp4"}
    assert is_refused(await house.client.put(f"{where}/{door}", content=body, headers=headers))
    assert body.taken == 0 and await nothing_kept(house)


@pytest.mark.parametrize("door", DOORS)
async def test_a_body_of_unknown_length_is_refused_when_it_does_not_stay_in_memory(
    house: WebHouse, where: str, room: FakeRoom, door: str
) -> None:
    room.free, body = -1, Body(GIB)
    answer = await house.client.put(f"{where}/{door}", content=body, headers={"content-type": "video/mp4"})
    assert is_refused(answer)
    assert IN_MEMORY < body.taken < 2 * IN_MEMORY and await nothing_kept(house)


async def test_a_body_that_is_longer_than_any_may_be_is_refused_as_that(house: WebHouse, where: str) -> None:
    body = Body(GIB)
    headers = {"content-length": str(GIB)}
    answer = await house.client.put(f"{where}/artifacts/call-logs", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"], body.taken) == (413, "too_large", 0)


async def test_a_small_file_is_refused_where_it_would_be_kept_and_takes_leave_the_spool_all_the_same(
    house: WebHouse, where: str, room: FakeRoom
) -> None:
    room.free, wav = -1, stereo(8000)[0]
    assert is_refused(await house.client.put(f"{where}/audio", content=wav))
    assert is_refused(await house.client.put(f"{where}/artifacts/call-logs", content=b"{}"))
    assert await nothing_kept(house)
    put = await house.client.put(f"{where}/lanes/customer/takes/1?start=0", content=noise(8000), headers=PCMU)
    assert put.status_code == 201
    assert (await house.client.post(f"{where}/complete")).json()["status"] == "completed"
    assert len(await heard(house, where, "customer")) == 8000
    assert not await nothing_kept(house)


async def test_formats_that_are_kept_wait_for_room_and_a_wav_needs_none(
    house: WebHouse, where: str, room: FakeRoom
) -> None:
    assert (await house.client.put(f"{where}/audio", content=stereo(8000)[0])).status_code == 201
    await house.client.post(f"{where}/complete")
    room.free = -1
    assert is_refused(await house.client.get(f"{where}/audio.mp3"))
    assert (await house.client.get(f"{where}/audio.wav")).status_code == 200
    room.free = GIB
    assert (await house.client.get(f"{where}/audio.mp3")).status_code == 200


def pieces(data: bytes) -> Iterator[dict[str, object]]:
    yield {"content": data[:1000], "headers": {**PART, "upload-offset": "0"}}
    yield {"content": data[1000:], "headers": {**PART, "upload-offset": "1000"}}


async def test_an_upload_that_has_no_room_is_refused_and_goes_on_when_there_is_some(
    house: WebHouse, where: str, room: FakeRoom
) -> None:
    data, room.free = stereo(8000)[0], 1000
    begin = {**TUS, "upload-length": str(len(data))}
    address = f"/uploads?recordingId={where.rpartition('/')[2]}"
    assert is_refused(await house.client.post(address, headers=begin))
    room.free = GIB
    upload = (await house.client.post(address, headers=begin)).headers["location"]
    first, rest = pieces(data)
    assert (await house.client.patch(upload, **first)).status_code == 204  # type: ignore[arg-type]
    room.free = len(data) - 1001
    assert is_refused(await house.client.patch(upload, **rest))  # type: ignore[arg-type]
    assert (await house.client.head(upload, headers=TUS)).headers["upload-offset"] == "1000"
    room.free += 1
    assert (await house.client.patch(upload, **rest)).headers["upload-offset"] == str(len(data))  # type: ignore[arg-type]
