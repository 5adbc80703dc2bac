import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.unit.services.delivery.house import House, content
from tests.unit.services.delivery.recorder import Take, noise

from callvault.adapters.blobs.memory import MemoryBlobs
from callvault.adapters.codecs.pyav import PyAvCodecs
from callvault.domain.errors import BlobsUnavailable, Malformed, Missing, RecordingInProgress, StaleWrite
from callvault.domain.recording import Recording
from callvault.domain.stored import Rendition, StoredObject
from callvault.domain.unit import Unit
from callvault.services.delivery.content import StoredContent
from callvault.services.delivery.growing import Growing
from callvault.services.delivery.renditions import Renditions


@pytest.fixture
async def house() -> House:
    return House()


async def expected(house: House, recording: Recording, view: str = "mono", format: str = "mp3") -> bytes:
    sound = await house.sound(recording, view)
    return f"{format} 8000 {sound.shape[1]}\n".encode() + sound.tobytes()


async def test_a_rendition_is_made_once_and_kept(house: House) -> None:
    recording = await house.spoken()
    first = await house.renditions.made(recording, "stereo", "mp3")
    again = await house.renditions.made(recording, "stereo", "mp3")
    assert (house.codecs.encodings, first.stored) == (1, again.stored)
    assert await content(again.stream()) == await expected(house, recording, "stereo")
    assert (again.media_type, again.length) == ("audio/mpeg", first.stored.size)
    assert again.etag.startswith('"') and again.etag != (await house.renditions.made(recording, "mono", "mp3")).etag
    (kept,) = await house.all(Rendition, view="stereo")
    assert (kept.rate, kept.sound_version, kept.size) == (8000, 1, first.length)
    assert (await house.store.get(StoredObject, kept.object_key)).recording_id == recording.id


async def test_whoever_asks_while_it_is_made_gets_the_same_one_as_it_grows(house: House) -> None:
    recording = await house.spoken(50_000)
    house.codecs.go_on.clear()
    opened = [await house.renditions.open(recording) for _ in range(3)]
    assert all(isinstance(each, Growing) for each in opened) and len({id(each) for each in opened}) == 1
    listening = opened[0].stream()
    assert await anext(listening) == b"mp3 8000 1\n"
    house.codecs.go_on.set()
    rest = asyncio.gather(*(content(each.stream()) for each in opened[1:]))
    whole = await expected(house, recording)
    assert b"mp3 8000 1\n" + await content(listening) == whole
    assert await rest == [whole, whole]
    assert house.codecs.encodings == 1
    assert isinstance(await house.renditions.open(recording), StoredContent)


async def test_who_falls_behind_waits_and_goes_on_from_storage(house: House) -> None:
    recording = await house.spoken(50_000)
    made = await house.renditions.made(recording)
    growing = Growing("audio/mpeg", held_bytes=100)
    slow = growing.stream()
    whole = made.read(0, made.length)
    growing.append(whole[:10])
    assert await anext(slow) == whole[:10]
    for at in range(10, len(whole), 60):
        growing.append(whole[at : at + 60])
    late = asyncio.create_task(content(growing.stream()))
    behind = asyncio.create_task(content(slow))
    await asyncio.sleep(0.01)
    assert not late.done()
    making = asyncio.create_task(house.renditions.made(recording))
    making.add_done_callback(growing.settle)
    assert (await late, await behind) == (whole, whole[10:])


async def test_who_wants_it_whole_waits_for_a_while_and_has_it_as_it_grows_then(house: House) -> None:
    recording = await house.spoken(50_000)
    house.codecs.go_on.clear()
    growing = await house.renditions.open(recording)
    assert isinstance(growing, Growing)
    assert await growing.within(0) is growing
    house.codecs.go_on.set()
    assert await content(growing.stream()) == await expected(house, recording)
    assert isinstance(await growing.within(0), StoredContent)


async def test_a_making_that_fails_tells_all_who_wait_and_leaves_nothing(house: House) -> None:
    recording = await house.spoken()

    def away(*_: Any, **__: Any) -> Iterator[bytes]:
        raise BlobsUnavailable(why="it is away")

    house.blobs.put = away  # type: ignore[method-assign]
    opened = await house.renditions.open(recording)
    for waiting in (content(opened.stream()), house.renditions.made(recording)):
        with pytest.raises(BlobsUnavailable):
            await waiting
    assert await house.all(Rendition) == []
    del house.blobs.put
    assert (await house.renditions.made(recording)).length > 0


async def test_what_was_made_of_an_older_sound_is_never_served(house: House) -> None:
    recording = await house.spoken()
    old = await house.renditions.made(recording)
    newer = replace(recording, sound_version=2, version=recording.version + 2)
    unit = Unit()
    unit.put(newer)
    await house.store.commit(unit)
    assert (await house.renditions.made(newer)).stored != old.stored
    assert house.codecs.encodings == 2


async def test_sound_that_changes_while_it_is_rendered_is_not_kept(house: House) -> None:
    recording = await house.spoken()
    house.codecs.go_on.clear()
    opened = await house.renditions.open(recording)
    unit = Unit()
    unit.change(replace(recording, sound_version=2, version=2))
    await house.store.commit(unit)
    house.codecs.go_on.set()
    with pytest.raises(StaleWrite):
        await content(opened.stream())
    assert await house.all(Rendition) == []
    assert not [key for key, _ in house.recorder.blobs.list() if "renditions" in key]


async def test_two_processes_at_once_keep_one(house: House) -> None:
    recording = await house.spoken()
    other = Renditions(house.store, house.views, house.codecs, clock=house.clock, ids=house.ids)
    made = await asyncio.gather(house.renditions.made(recording), other.made(recording))
    assert made[0].stored == made[1].stored
    assert len([key for key, _ in house.recorder.blobs.list() if "renditions" in key]) == 1


async def test_a_recording_in_progress_is_encoded_for_who_asks_and_not_kept(house: House) -> None:
    recording = await house.spoken(in_progress=True, status="processing")
    with pytest.raises(RecordingInProgress):
        await house.renditions.open(recording)
    passing = await house.renditions.live(recording, "mono", "ogg")
    view = await house.view(recording, live=True)
    assert await content(passing.stream()) == b"ogg 8000 1\n" + view.pcm(0, view.frames).tobytes()
    assert (passing.media_type, await house.all(Rendition)) == ("audio/ogg", [])


async def test_what_cannot_be_is_refused_before_anything_is_made(house: House) -> None:
    recording = await house.spoken()
    with pytest.raises(Malformed):
        await house.renditions.open(recording, "mono", "aiff")
    with pytest.raises(Missing):
        await house.renditions.open(recording, "assistant")
    assert house.codecs.encodings == 0


async def test_who_asks_for_every_rate_there_is_has_few_renditions_made(house: House) -> None:
    recording = await house.spoken(80)
    asked = [4_000, 8_001, 11_024, 11_025, 12_345, 44_101, 192_000, 8_000, 0]
    made = [await house.renditions.made(recording, "mono", "flac", rate) for rate in asked]
    rates = [int((await content(each.stream())).split()[1]) for each in made]
    assert rates == [8_000, 11_025, 11_025, 11_025, 16_000, 48_000, 48_000, 8_000, 8_000]
    assert sorted(kept.rate for kept in await house.all(Rendition)) == [8_000, 11_025, 16_000, 48_000]


async def test_what_loses_nothing_is_made_at_the_rate_of_the_sound_and_of_its_own_file_whatever_they_are(
    house: House,
) -> None:
    recording = await house.recorder.recording(operation="convert", sample_rate=12_345)
    await house.recorder.lane(recording, "customer", [[Take(0, noise(80))]], rate=9_600)
    for rate, kept in ((0, 9_600), (9_600, 9_600), (9_601, 11_025), (12_001, 12_345), (12_345, 12_345)):
        made = await content((await house.renditions.made(recording, "mono", "flac", rate)).stream())
        assert made.startswith(f"flac {kept} 1\n".encode())


async def test_a_format_that_knows_few_rates_is_made_at_one_of_those(house: House) -> None:
    recording, codecs = await house.spoken(80), PyAvCodecs()
    renditions = Renditions(house.store, house.views, codecs, clock=house.clock, ids=house.ids)
    made = [await renditions.made(recording, "mono", "ogg", rate) for rate in (10_000, 11_025, 12_000)]
    assert len({each.stored.key for each in made}) == 1
    assert [kept.rate for kept in await house.all(Rendition)] == [12_000]


async def test_a_bucket_that_delivers_itself_is_given_the_rendition_unsealed(house: House) -> None:
    await house.workspace(delivery="bucket")
    clear = MemoryBlobs()
    tools = {"clock": house.clock, "ids": house.ids}
    renditions = Renditions(house.store, house.views, house.codecs, clear=clear, **tools)
    recording = await house.spoken()
    made = await renditions.made(recording, "mono", "wav")
    view = await house.view(recording)
    assert clear.objects[made.stored.key] == view.read(0, view.length)


class Told:
    def __init__(self) -> None:
        self.fractions: list[float] = []

    async def report(self, fraction: float) -> None:
        self.fractions.append(fraction)


async def test_a_job_makes_it_ahead_of_the_first_listener(house: House) -> None:
    recording = await house.spoken(300_000)
    job, told = house.renditions.job(recording, "mono", "mp3"), Told()
    (kind,) = house.renditions.kinds()
    assert (kind.name, job.recording_id) == (job.kind, recording.id)
    result = await kind.run(job, told)  # type: ignore[arg-type]
    opened = await house.renditions.open(recording)
    assert isinstance(opened, StoredContent) and result == {"size": opened.length}
    assert told.fractions[-1] == 1.0
    assert await kind.run(job, told) == result  # type: ignore[arg-type]
    assert house.codecs.encodings == 1


async def test_at_the_end_nobody_waits_for_an_encoder(house: House) -> None:
    recording = await house.spoken(600_000)
    house.codecs.go_on.clear()
    opened = await house.renditions.open(recording)
    closing = asyncio.create_task(house.renditions.close())
    await asyncio.sleep(0.01)
    house.codecs.go_on.set()
    await closing
    assert opened.made.exception() is not None
    assert await house.all(Rendition) == []


async def test_blocks_for_an_encoder_are_the_sound_in_order(house: House) -> None:
    recording = await house.spoken(300_000)
    view = await house.view(recording, rate=16000)
    assert np.array_equal(np.concatenate([*view.blocks(frames=70_001)]), view.pcm(0, view.frames))
