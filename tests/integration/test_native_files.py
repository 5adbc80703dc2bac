"""Convert and compress over HTTP: a job makes the file, and what is told of it is true."""

from collections.abc import AsyncIterator
from io import BytesIO

import numpy as np
import pytest

from callvault.adapters.codecs.pyav import PyAvCodecs
from callvault.domain.errors import ShuttingDown
from callvault.domain.ids import Json
from callvault.domain.job import Job
from callvault.domain.query import Query
from callvault.domain.stored import StoredObject
from callvault.domain.unit import Unit
from callvault.ports.codecs import SoundLimits
from tests.actionhouse import RATE, ActionHouse, span
from tests.webhouse import webhouse

LIMITS = SoundLimits(seconds=60)


@pytest.fixture
async def house() -> AsyncIterator[ActionHouse]:
    async with webhouse() as web:
        web.client.headers.update(await web.bearer())
        yield ActionHouse(web)


def decoded(file: bytes) -> np.ndarray:
    return np.concatenate(list(PyAvCodecs().decode(BytesIO(file), LIMITS)))


async def done(house: ActionHouse, version: dict, state: str = "succeeded") -> dict:
    job = await house.job_ended(version)
    assert job.state == state
    await house.web.services.verbs.files.fail_unmade()
    return await house.ok("GET", f"/recordings/{version['id']}")


def path_of(told: dict) -> str:
    return told["url"].removeprefix("http://vault.test/api/v1")


async def test_a_converted_version_is_processing_until_its_file_is_there(house: ActionHouse) -> None:
    original = await house.recording()
    made = await house.do("convert", original, format="flac")
    assert (made["status"], made["format"], made["operation"]) == ("processing", "flac", "convert")
    assert (made["fileSize"], made["secureUrl"]) == (0, None)
    await house.ok("GET", path_of(made), status=(409,))
    async with house.working():
        told = await done(house, made)
    assert (told["status"], told["codec"], told["quality"]) == ("completed", "flac", "lossless")
    assert (told["sampleRate"], told["channels"]) == (RATE, 2)
    assert await house.events(made) == ["created", "processing", "completed"]
    job = await house.ok("GET", f"/jobs/{made['id']}")
    assert (job["kind"], job["progress"], job["result"]) == ("make_file", 1, {"size": told["fileSize"]})
    file = await house.ok("GET", path_of(told))
    assert len(file) == told["fileSize"]
    assert np.array_equal(decoded(file), await house.wav(original))
    assert await house.ok("GET", told["secureUrl"]) == file


async def test_a_wav_of_another_form_is_there_at_once(house: ActionHouse) -> None:
    original = await house.recording()
    told = await house.do("convert", original, format="wav", rate=16_000, channels=1)
    assert (told["status"], told["sampleRate"], told["channels"], told["codec"]) == (
        "completed",
        16_000,
        1,
        "pcm_s16le",
    )
    file = await house.ok("GET", path_of(told))
    assert len(file) == told["fileSize"] == 44 + 2 * 64_000
    assert file == await house.ok("GET", f"/recordings/{original['id']}/audio.wav?view=mono&rate=16000")
    assert await house.events(told) == ["created", "completed"]


@pytest.mark.parametrize(("format", "codec"), [("mp3", "mp3"), ("ogg", "opus"), ("m4a", "aac")])
async def test_a_compressed_version_tells_the_truth_about_its_file(house: ActionHouse, format: str, codec: str) -> None:
    original, sizes = await house.recording(8), []
    async with house.working():
        for quality in ("low", "medium", "high"):
            told = await done(house, await house.do("compress", original, quality=quality, format=format))
            file = await house.ok("GET", path_of(told))
            found = PyAvCodecs().probe(BytesIO(file))
            assert (told["codec"], told["channels"], told["quality"]) == (found.codec, found.channels, quality)
            assert found.codec == codec and found.rate in (told["sampleRate"], 48_000)
            assert told["fileSize"] == len(file) and told["bitrate"] == pytest.approx(len(file) * 8 / 8000, abs=0.001)
            assert told["compressionRatio"] == pytest.approx(8 * RATE * 4 / len(file), abs=0.001)
            assert await house.events(told) == ["created", "processing", "completed", "compressed"]
            sizes.append(len(file))
    assert sizes[0] < 0.8 * sizes[1] < 0.8 * 0.9 * sizes[2] and sizes[2] < len(file) * 1.01


async def test_a_bitrate_is_kept_to_and_tells_its_quality(house: ActionHouse) -> None:
    original = await house.recording(8)
    async with house.working():
        for bitrate, quality in ((16, "low"), (20, "medium"), (40, "high")):
            made = await house.do("compress", original, bitrate=bitrate, format="ogg", channels=1)
            told = await done(house, made)
            assert told["bitrate"] == pytest.approx(bitrate, rel=0.2)
            assert (told["quality"], told["channels"]) == (quality, 1)


async def test_what_cannot_be_made_is_refused(house: ActionHouse) -> None:
    original = await house.recording(1)
    for verb, asked in (
        ("convert", {"format": "aiff"}),
        ("convert", {"format": "mp3", "channels": 3}),
        ("compress", {"quality": "tiny"}),
        ("compress", {"bitrate": 1}),
        ("compress", {"format": "flac"}),
    ):
        assert await house.refused(verb, original, **asked) == (422, "invalid_request")
    assert await house.refused("convert", original, format="wav", rate=1) == (400, "malformed")


async def test_a_copy_made_before_a_redaction_is_not_heard_any_more(house: ActionHouse) -> None:
    original, reader = await house.recording(), await house.reader()
    async with house.working():
        copy = await done(house, await house.do("convert", original, format="flac"))
        link = (
            await house.ok("POST", f"/recordings/{copy['id']}/secure-url", json={"format": "flac"}, headers=reader)
        )["url"]
        unredacted = await house.ok("GET", link)
        await house.do("redact", original, spans=[span(1, 2)])
        for url in (path_of(copy), link):
            file = await house.ok("GET", url, headers=reader)
            assert file != unredacted and not decoded(file)[8000:16_000].any() and decoded(file)[:8000].any()
        again = await done(house, await house.do("compress", original, reader))
    assert again["redacted"] and not decoded(await house.ok("GET", path_of(again), headers=reader))[9000:15_000].any()


async def test_a_version_whose_job_is_cancelled_fails(house: ActionHouse) -> None:
    original = await house.recording(1)
    made = await house.do("compress", original)
    await house.ok("POST", f"/jobs/{made['id']}/cancel")
    told = await done(house, made, "cancelled")
    assert (told["status"], told["failure"]) == ("failed", "cancelled")
    assert await house.events(made) == ["created", "processing", "failed"]
    await house.web.services.verbs.files.fail_unmade()
    assert await house.events(made) == ["created", "processing", "failed"]


async def test_a_version_whose_file_cannot_be_made_fails_and_says_why(house: ActionHouse) -> None:
    original = await house.recording(1)
    made = await house.do("compress", original)
    blobs = house.web.adapters.blobs
    for stored, _ in list(blobs.list()):
        blobs.delete(stored)
    async with house.working():
        told = await done(house, made, "failed")
    assert (told["status"], told["failure"]) == ("failed", "blob_missing")


class CutOff:
    """The progress of a run that is lost just before its end."""

    async def report(self, fraction: float) -> None:
        pass

    async def commit(self, unit: Unit) -> None:
        raise AssertionError

    async def finish(self, unit: Unit, result: dict[str, Json] | None = None) -> None:
        raise ShuttingDown


async def test_a_job_that_was_cut_off_before_its_end_makes_one_file_and_tells_once(house: ActionHouse) -> None:
    made = await house.do("compress", await house.recording(1))
    store, [kind] = house.web.services.store, house.web.services.verbs.kinds()
    job = await store.get(Job, made["id"])
    for _ in range(2):
        with pytest.raises(ShuttingDown):
            await kind.run(job, CutOff())
    assert await house.events(made) == ["created", "processing"]
    async with house.working():
        told = await done(house, made)
    assert await house.events(made) == ["created", "processing", "completed", "compressed"]
    stored = await store.find(Query(StoredObject).where("recording_id", "=", made["id"]).by("key"))
    assert [one.size for one in stored] == [told["fileSize"]]


async def test_a_deleted_version_s_job_ends_without_a_file(house: ActionHouse) -> None:
    original = await house.recording(1)
    made = await house.do("compress", original)
    await house.ok("DELETE", f"/recordings/{original['id']}")
    async with house.working():
        assert (await house.job_ended(made)).state == "failed"
    await house.web.services.verbs.files.fail_unmade()
    assert await house.events(made) == ["created", "processing", "deleted"]
