"""Resumable uploads: parts that are durable before they count."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from tests.callhouse import CallHouse, caller
from tests.unsure import UnsureStore

from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.domain.access import Caller, Principal
from callvault.domain.errors import (
    BlobsUnavailable,
    DigestMismatch,
    Malformed,
    Missing,
    RecordingDisabled,
    RecordingEnded,
    StoreUnavailable,
    TooLarge,
    UploadMisplaced,
)
from callvault.domain.job import Job, failed
from callvault.domain.stored import StoredObject
from callvault.domain.unit import Unit
from callvault.domain.upload import Upload
from callvault.services.uploads import KEPT_MS, MOST_BYTES, PART_BYTES, Checksum, Uploads

ME = caller()


class Desk:
    def __init__(self) -> None:
        self.house, self.blobs, self.unlocked = CallHouse(), MemoryBlobs(), []
        self.store = UnsureStore(self.house.store, Upload)
        self.uploads = Uploads(
            self.store,
            self.blobs,
            clock=self.house.clock,
            ids=self.house.ids,
            access=self.house.access,
            recordings=self.house.recordings,
            unlock=self.unlock,
        )

    async def unlock(self, workspace_id: str, objects: object) -> None:
        self.unlocked.append(workspace_id)

    async def begun(self, length: int) -> Upload:
        made = await self.house.recordings.create(ME, {})
        return await self.uploads.begin(ME, made.recording.id, length, channels=("customer", "assistant"))

    async def content(self, upload: Upload) -> bytes:
        return (await self.uploads.parts.open(upload)).read()


@pytest.fixture
async def desk() -> Desk:
    desk = Desk()
    await desk.house.workspace()
    return desk


async def sent(data: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def cut_off(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    raise ConnectionResetError


def noise(length: int) -> bytes:
    return hashlib.shake_128(b"noise").digest(length)


async def test_a_file_comes_in_by_any_pieces_and_is_taken_in_once_it_is_whole(desk: Desk) -> None:
    data = noise(PART_BYTES + 100_000)
    upload = await desk.begun(len(data))
    halfway = await desk.uploads.append(ME, upload.id, 0, sent(data[:70_000]))
    assert (halfway.offset, halfway.completed_ms) == (70_000, None) and await desk.house.all(Job) == []
    whole = await desk.uploads.append(ME, upload.id, 70_000, sent(data[70_000:]))
    assert whole.offset == len(data) and whole.completed_ms is not None
    assert await desk.content(whole) == data
    [job] = await desk.house.all(Job)
    assert (job.kind, job.recording_id, job.arguments) == ("assemble", upload.recording_id, {"upload": upload.id})
    assert set(desk.unlocked) == {"w"}


async def test_who_is_cut_off_goes_on_behind_what_came(desk: Desk) -> None:
    data = noise(200_000)
    upload = await desk.begun(len(data))
    with pytest.raises(ConnectionResetError):
        await desk.uploads.append(ME, upload.id, 0, cut_off([data[:50_000], data[50_000:120_000]]))
    stands = await desk.uploads.get(ME, upload.id)
    assert stands.offset == 120_000
    await desk.uploads.append(ME, upload.id, 120_000, sent(data[120_000:]))
    assert await desk.content(upload) == data


async def test_another_offset_than_where_it_stands_is_refused(desk: Desk) -> None:
    upload = await desk.begun(100)
    await desk.uploads.append(ME, upload.id, 0, sent(b"x" * 60))
    for offset in (0, 59, 61):
        with pytest.raises(UploadMisplaced):
            await desk.uploads.append(ME, upload.id, offset, sent(b"x"))


async def test_of_two_who_send_the_same_part_at_once_one_counts(desk: Desk) -> None:
    upload = await desk.begun(100)
    results = await asyncio.gather(
        *(desk.uploads.append(ME, upload.id, 0, sent(bytes([n]) * 60)) for n in range(3)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Upload", "UploadMisplaced", "UploadMisplaced"]
    assert {str(result) for result in results if isinstance(result, UploadMisplaced)} == {
        "the upload stands at byte 60: go on from there"
    }
    assert len(desk.blobs.objects) == len(await desk.house.all(StoredObject)) == 1
    assert len(set(await desk.content(upload))) == 1


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
async def test_bytes_with_a_wrong_checksum_do_not_count(desk: Desk, algorithm: str) -> None:
    data = noise(PART_BYTES + 5)
    upload = await desk.begun(len(data))
    right = Checksum(algorithm, hashlib.new(algorithm, data).digest())
    with pytest.raises(DigestMismatch):
        await desk.uploads.append(ME, upload.id, 0, sent(data[:-1] + b"?"), right)
    assert (await desk.uploads.get(ME, upload.id)).offset == 0 and desk.blobs.objects == {}
    with pytest.raises(ConnectionResetError):
        await desk.uploads.append(ME, upload.id, 0, cut_off([data[: PART_BYTES + 1]]), right)
    assert (await desk.uploads.get(ME, upload.id)).offset == 0 and desk.blobs.objects == {}
    await desk.uploads.append(ME, upload.id, 0, sent(data), right)
    assert await desk.content(upload) == data


async def test_more_than_was_announced_is_refused_and_what_fits_is_kept(desk: Desk) -> None:
    upload = await desk.begun(100)
    with pytest.raises(TooLarge):
        await desk.uploads.append(ME, upload.id, 0, sent(b"x" * 101, size=60))
    assert (await desk.uploads.get(ME, upload.id)).offset == 60


async def test_a_storage_that_is_away_loses_nothing_that_counted(desk: Desk) -> None:
    upload = await desk.begun(100)
    await desk.uploads.append(ME, upload.id, 0, sent(b"x" * 60))
    put, desk.blobs.put = desk.blobs.put, _unavailable
    with pytest.raises(BlobsUnavailable):
        await desk.uploads.append(ME, upload.id, 60, sent(b"y" * 40))
    desk.blobs.put = put
    assert (await desk.uploads.get(ME, upload.id)).offset == 60
    await desk.uploads.append(ME, upload.id, 60, sent(b"y" * 40))
    assert await desk.content(upload) == b"x" * 60 + b"y" * 40


@pytest.mark.parametrize("algorithm", ["", "sha1"])
async def test_a_part_of_which_nobody_knows_whether_it_counts_stays_when_it_does(desk: Desk, algorithm: str) -> None:
    upload = await desk.begun(100)
    checksum = Checksum(algorithm, hashlib.new(algorithm, b"x" * 60).digest()) if algorithm else None
    desk.store.armed = True
    with pytest.raises((StoreUnavailable, UploadMisplaced)):
        await desk.uploads.append(ME, upload.id, 0, sent(b"x" * 60), checksum)
    assert (await desk.uploads.get(ME, upload.id)).offset == 60
    await desk.uploads.append(ME, upload.id, 60, sent(b"y" * 40))
    assert await desk.content(upload) == b"x" * 60 + b"y" * 40


def _unavailable(*_: object, **__: object) -> None:
    raise BlobsUnavailable(why="gone")


async def test_a_terminated_upload_leaves_nothing(desk: Desk) -> None:
    upload = await desk.begun(100)
    await desk.uploads.append(ME, upload.id, 0, sent(b"x" * 60))
    await desk.uploads.terminate(ME, upload.id)
    assert desk.blobs.objects == {} and await desk.house.all(StoredObject) == []
    with pytest.raises(Missing):
        await desk.uploads.get(ME, upload.id)


async def test_a_whole_upload_is_not_terminated(desk: Desk) -> None:
    upload = await desk.begun(3)
    await desk.uploads.append(ME, upload.id, 0, sent(b"abc"))
    with pytest.raises(RecordingEnded):
        await desk.uploads.terminate(ME, upload.id)


async def test_an_upload_left_behind_expires_and_is_swept(desk: Desk) -> None:
    left = await desk.begun(100)
    await desk.uploads.append(ME, left.id, 0, sent(b"x" * 60))
    desk.house.clock.advance(KEPT_MS / 1000)
    with pytest.raises(Missing):
        await desk.uploads.get(ME, left.id)
    assert await desk.uploads.sweep() is False
    assert await desk.house.all(Upload) == [] and desk.blobs.objects == {}


async def test_an_upload_whose_parts_cannot_be_destroyed_keeps_no_other_from_being_swept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        left = await desk.begun(100)
        await desk.uploads.append(ME, left.id, 0, sent(b"x" * 60))
    desk.house.clock.advance(KEPT_MS / 1000)
    delete = desk.blobs.delete

    def fails_once(key: str) -> None:
        monkeypatch.setattr(desk.blobs, "delete", delete)
        _unavailable()

    monkeypatch.setattr(desk.blobs, "delete", fails_once)
    await desk.uploads.sweep()
    assert await desk.house.all(Upload) == [] and len(desk.blobs.objects) == 1


async def test_a_whole_upload_is_kept_as_long_as_its_job_waits(desk: Desk) -> None:
    """Workers may have been down for longer than an upload lives."""
    whole = await desk.begun(3)
    await desk.uploads.append(ME, whole.id, 0, sent(b"abc"))
    desk.house.clock.advance(KEPT_MS / 1000)
    await desk.uploads.sweep()
    assert await desk.content(whole) == b"abc"
    [job] = await desk.house.all(Job)
    unit = Unit()
    unit.change(failed(job, "malformed", "it is no sound", desk.house.clock.now_ms()))
    await desk.house.store.commit(unit)
    await desk.uploads.sweep()
    assert await desk.house.all(Upload) == [] and desk.blobs.objects == {}


async def halting(first: bytes, rest: bytes, go: asyncio.Event) -> AsyncIterator[bytes]:
    yield first
    await go.wait()
    yield rest


async def test_who_goes_on_just_when_his_upload_is_swept_keeps_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    upload, go, find = await desk.begun(100), asyncio.Event(), desk.house.store.find
    going_on = asyncio.create_task(desk.uploads.append(ME, upload.id, 0, halting(b"x" * 10, b"y" * 50, go)))
    await asyncio.sleep(0.01)
    desk.house.clock.advance(KEPT_MS / 1000)

    async def find_and_then(query: Any, *given: Any) -> Any:
        found = await find(query, *given)
        go.set()
        await going_on
        return found

    monkeypatch.setattr(desk.house.store, "find", find_and_then)
    await desk.uploads.sweep()
    assert (await going_on).offset == (await desk.uploads.get(ME, upload.id)).offset == 60
    assert await desk.content(upload) == b"x" * 10 + b"y" * 50


async def test_who_goes_on_when_his_upload_was_swept_is_told_that_it_is_gone(desk: Desk) -> None:
    upload, go = await desk.begun(100), asyncio.Event()
    going_on = asyncio.create_task(desk.uploads.append(ME, upload.id, 0, halting(b"x" * 10, b"y" * 50, go)))
    await asyncio.sleep(0.01)
    desk.house.clock.advance(KEPT_MS / 1000)
    await desk.uploads.sweep()
    go.set()
    with pytest.raises(Missing):
        await going_on
    assert desk.blobs.objects == {} and await desk.house.all(StoredObject) == []


async def test_a_recording_is_not_idle_while_its_file_comes_in(desk: Desk) -> None:
    upload = await desk.begun(100)
    before = (await desk.house.recordings.retrieve(ME, upload.recording_id)).last_heard_ms
    desk.house.clock.advance(60)
    await desk.uploads.append(ME, upload.id, 0, sent(b"x" * 60))
    assert (await desk.house.recordings.retrieve(ME, upload.recording_id)).last_heard_ms == before + 60_000


async def test_an_upload_is_for_the_key_that_began_it(desk: Desk) -> None:
    upload = await desk.begun(100)
    another = Caller(Principal("k2", "w", "m", ME.principal.scopes))
    for stranger in (another, caller(workspace="other")):
        with pytest.raises(Missing):
            await desk.uploads.get(stranger, upload.id)


async def test_a_recording_that_has_ended_and_a_workspace_without_recording_take_no_upload(desk: Desk) -> None:
    upload = await desk.begun(100)
    await desk.house.workspace(recording_enabled=False)
    with pytest.raises(RecordingDisabled):
        await desk.uploads.append(ME, upload.id, 0, sent(b"x"))
    with pytest.raises(RecordingDisabled):
        await desk.uploads.begin(ME, upload.recording_id, 5)
    await desk.house.workspace()
    with pytest.raises(Missing):
        await desk.uploads.begin(ME, "nothing", 5)
    with pytest.raises(Malformed, match="without a byte"):
        await desk.uploads.begin(ME, upload.recording_id, 0)
    with pytest.raises(Malformed, match="without a byte"):
        await desk.uploads.begin(ME, upload.recording_id, -1)
    with pytest.raises(TooLarge):
        await desk.uploads.begin(ME, upload.recording_id, MOST_BYTES + 1)


def test_a_checksum_of_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(Malformed):
        Checksum("crc32", b"")
