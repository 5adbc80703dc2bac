"""Every way in of the native API, over HTTP: takes, whole files, pauses, completion, resumable uploads."""

import asyncio
import hashlib
import io
import wave
from base64 import b64encode
from collections.abc import AsyncIterator

import numpy as np
import pytest

from callvault.domain.access import SYSTEM
from callvault.domain.job import Job, failed
from callvault.domain.query import Query
from callvault.domain.stored import StoredObject
from callvault.domain.unit import Unit
from tests.unit.services.ingest.rtpscene import ASSISTANT, CUSTOMER, Sender, scene
from tests.webhouse import WebHouse, webhouse

PCMU = {"content-type": "audio/PCMU;rate=8000"}
TUS = {"tus-resumable": "1.0.0"}
PART = {**TUS, "content-type": "application/offset+octet-stream"}


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse() as house:
        house.client.headers.update(await house.bearer())
        yield house


@pytest.fixture
async def where(house: WebHouse) -> str:
    """The address of a recording that takes in sound."""
    return f"/api/v1/recordings/{(await house.client.post('/api/v1/recordings', json={})).json()['id']}"


def noise(samples: int, seed: int = 1) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, samples, np.uint8).tobytes()


def stereo(frames: int, rate: int = 8000) -> tuple[bytes, np.ndarray]:
    sound = np.random.default_rng(7).integers(-9000, 9000, (frames, 2), np.int16)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((2, 2, rate, 0, "NONE", ""))
        out.writeframes(sound.tobytes())
    return file.getvalue(), sound


async def heard(house: WebHouse, where: str, view: str) -> np.ndarray:
    recording = await house.services.recordings.retrieve(SYSTEM, where.rsplit("/", 1)[1])
    opened = await house.services.delivery.views.open(recording, view, live=True)
    return await asyncio.to_thread(opened.pcm, 0, opened.frames)


async def slowly(house: WebHouse, data: bytes) -> AsyncIterator[bytes]:
    """A body that takes an hour, while what is idle is completed."""
    yield data[:100]
    house.clock.advance(3600)
    await house.services.intake.completion.complete_idle()
    yield data[100:]


async def test_a_recording_is_not_idle_while_a_file_or_a_capture_of_it_comes_in(house: WebHouse) -> None:
    sender = Sender(CUSTOMER, ASSISTANT)
    for n in range(50):
        sender.say(noise(160, n))
    for door, data in (("audio", stereo(8000)[0]), ("artifacts/pcap?rebuild=true", scene(sender))):
        made = (await house.client.post("/api/v1/recordings", json={})).json()["id"]
        body = slowly(house, data)
        headers = {"content-type": "audio/wav"}
        put = await house.client.put(f"/api/v1/recordings/{made}/{door}", content=body, headers=headers)
        assert (put.status_code, door) == (201, door)
        assert (await house.client.get(f"/api/v1/recordings/{made}")).json()["inProgress"]
        house.clock.advance(3600)
        await house.services.intake.completion.complete_idle()
        told = (await house.client.get(f"/api/v1/recordings/{made}")).json()
        assert (told["status"], told["endedBy"], told["duration"]) == ("completed", "idle", 1)


async def test_takes_come_in_any_order_and_are_taken_once(house: WebHouse, where: str) -> None:
    takes = f"{where}/lanes/customer/takes"
    second = await house.client.put(f"{takes}/2?start=20.125", content=noise(160, 2), headers=PCMU)
    assert (second.status_code, second.json()) == (
        201,
        {"lane": "customer", "take": 2, "startSample": 161, "samples": 160, "rate": 8000, "created": True},
    )
    first = await house.client.put(f"{takes}/1?startSample=0", content=noise(160), headers=PCMU)
    again = await house.client.put(f"{takes}/1?startSample=0", content=noise(160), headers=PCMU)
    assert (first.status_code, again.status_code, again.json()["created"]) == (201, 200, False)
    other = await house.client.put(f"{takes}/1?startSample=0", content=noise(160, 9), headers=PCMU)
    assert (other.status_code, other.json()["code"]) == (409, "take_conflict")
    assert len(await heard(house, where, "customer")) == 321


async def test_a_take_s_digest_is_checked(house: WebHouse, where: str) -> None:
    body = noise(160)
    digest = b64encode(hashlib.sha256(body).digest()).decode()
    put = f"{where}/lanes/customer/takes/1?start=0"
    wrong = await house.client.put(put, content=body[::-1], headers={**PCMU, "content-digest": f"sha-256=:{digest}:"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "digest_mismatch")
    right = await house.client.put(put, content=body, headers={**PCMU, "content-digest": f"sha-256=:{digest}:"})
    assert right.status_code == 201


async def test_what_is_packed_is_refused_whichever_of_its_headers_says_so(house: WebHouse, where: str) -> None:
    packed = [*PCMU.items(), ("content-encoding", "gzip"), ("content-encoding", "identity")]
    put = await house.client.put(f"{where}/lanes/customer/takes/1?start=0", content=b"x", headers=packed)
    assert (put.status_code, put.json()["code"]) == (400, "malformed")


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        ("lanes/customer/takes/1?start=0", PCMU | {"content-encoding": "gzip"}, "malformed"),
        ("audio", {"content-encoding": "br"}, "malformed"),
        ("lanes/customer/takes/x?start=0", PCMU, "malformed"),
        ("lanes/customer/takes/1?start=soon", PCMU, "malformed"),
        ("lanes/customer/takes/1?start=-1", PCMU, "malformed"),
        ("lanes/customer/takes/1?start=NaN", PCMU, "malformed"),
        ("lanes/customer/takes/1?start=1e15", PCMU, "malformed"),
        ("lanes/customer/takes/1", PCMU, "malformed"),
        ("lanes/customer/takes/1?start=0&startSample=0", PCMU, "malformed"),
        ("lanes/Not%20a%20slug/takes/1?start=0", PCMU, "malformed"),
        ("lanes/customer/takes/1?start=0", {"content-type": "text/html"}, "malformed"),
        ("lanes/customer/takes/1?start=0", {"content-type": "audio/L16;rate=1"}, "malformed"),
        ("lanes/customer/takes/1?start=0", {"content-type": "audio/wav"}, "malformed"),
    ],
)
async def test_what_is_no_take_is_told_so(house: WebHouse, where: str, path: str, headers: dict, code: str) -> None:
    answer = await house.client.put(f"{where}/{path}", content=noise(160), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_a_whole_file_becomes_lanes(house: WebHouse, where: str) -> None:
    file, sound = stereo(24_000)
    put = f"{where}/audio?channels=customer,assistant"
    answer = await house.client.put(put, content=file, headers={"content-type": "audio/wav"})
    told = answer.json()
    assert (answer.status_code, told["lanes"], told["rate"], told["samples"]) == (
        201,
        ["customer", "assistant"],
        8000,
        24_000,
    )
    assert (await house.client.put(put, content=file)).status_code == 200
    assert np.array_equal(await heard(house, where, "stereo"), sound)


@pytest.mark.parametrize("body", [b"<Error><Code>NoSuchKey</Code></Error>", b"", b"RIFF\x00\x00\x00\x00WAVE"])
async def test_what_is_no_sound_file_is_refused(house: WebHouse, where: str, body: bytes) -> None:
    answer = await house.client.put(f"{where}/audio", content=body, headers={"content-type": "audio/wav"})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


async def test_who_may_not_bring_sound_is_refused_before_it_is_read(house: WebHouse, where: str) -> None:
    read = []

    async def body() -> AsyncIterator[bytes]:
        read.append(True)
        yield b"x"

    headers = await house.bearer(workspace="other")
    answer = await house.client.put(f"{where}/audio", content=body(), headers=headers)
    assert (answer.status_code, read) == (404, [])


async def test_a_recording_is_paused_resumed_and_completed(house: WebHouse, where: str) -> None:
    await house.client.put(f"{where}/lanes/customer/takes/1?start=0", content=noise(8000), headers=PCMU)
    paused = await house.client.post(f"{where}/pause", json={"mode": "silence", "reason": "card number", "at": 0.25})
    assert (paused.status_code, paused.json()["paused"]) == (200, "silence")
    assert (await house.client.post(f"{where}/resume", json={"at": 0.5})).json()["paused"] is None
    completed = (await house.client.post(f"{where}/complete")).json()
    assert (completed["status"], completed["inProgress"], completed["endedBy"]) == ("completed", False, "completed")
    assert (completed["duration"], completed["channels"], completed["sampleRate"]) == (1, 1, 8000)
    assert completed["bitrate"] == pytest.approx(128, abs=1) and completed["participants"][0]["lane"] == "customer"
    again = (await house.client.post(f"{where}/complete")).json()
    assert again == {**completed, "secureUrl": again["secureUrl"]}
    late = await house.client.put(f"{where}/lanes/customer/takes/2?start=0", content=noise(8), headers=PCMU)
    assert (late.status_code, late.json()["code"]) == (409, "recording_ended")
    sound = (await heard(house, where, "customer"))[:, 0]
    assert not sound[2000:4000].any() and sound[:2000].any() and sound[4000:].any()


# -- tus ----------------------------------------------------------------------------------------


def metadata(**facts: str) -> str:
    return ",".join(f"{name} {b64encode(value.encode()).decode()}" for name, value in facts.items())


async def begun(house: WebHouse, where: str, length: int, **facts: str) -> str:
    told = metadata(recordingId=where.rsplit("/", 1)[1], **facts)
    headers = {**TUS, "upload-length": str(length), "upload-metadata": told}
    answer = await house.client.post("/uploads", headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.headers["tus-resumable"] == "1.0.0" and "upload-expires" in answer.headers
    assert answer.headers["location"].startswith("http://vault.test/uploads/")
    return answer.headers["location"]


class Steps:
    def __init__(self, house: WebHouse) -> None:
        self.commit = house.services.store.commit

    async def report(self, fraction: float) -> None:
        pass


async def assembled(house: WebHouse) -> dict:
    [job] = await house.services.store.find(Query(Job).where("kind", "=", "assemble"))
    result = await house.services.assembly.run(job, Steps(house))
    unit = Unit()
    unit.remove(job)
    await house.services.store.commit(unit)
    return result


async def test_a_file_comes_in_by_parts_and_is_taken_in(house: WebHouse, where: str) -> None:
    file, sound = stereo(16_000)
    facts = {"channels": "customer,assistant", "filetype": "audio/wav", "complete": "true", "filename": "é.wav"}
    location = await begun(house, where, len(file), **facts)
    part = await house.client.patch(location, content=file[:1000], headers={**PART, "upload-offset": "0"})
    assert (part.status_code, part.headers["upload-offset"]) == (204, "1000")
    stands = await house.client.head(location, headers=TUS)
    assert (stands.status_code, stands.headers["upload-offset"], stands.headers["upload-length"]) == (
        200,
        "1000",
        str(len(file)),
    )
    assert stands.headers["upload-metadata"].split(",")[0].startswith("recordingId ")
    assert stands.headers["cache-control"] == "no-store" and stands.content == b""
    rest = await house.client.patch(location, content=file[1000:], headers={**PART, "upload-offset": "1000"})
    assert rest.headers["upload-offset"] == str(len(file))
    assert (await assembled(house))["lanes"] == ["customer", "assistant"]
    assert np.array_equal(await heard(house, where, "stereo"), sound)
    assert (await house.client.get(where)).json()["status"] == "completed"


async def test_a_client_that_was_cut_off_before_the_last_answer_finds_that_all_of_its_file_came(
    house: WebHouse, where: str
) -> None:
    file, _ = stereo(800)
    location = await begun(house, where, len(file), channels="customer,assistant", complete="true")
    await house.client.patch(location, content=file, headers={**PART, "upload-offset": "0"})
    await assembled(house)
    stands = await house.client.head(location, headers=TUS)
    assert (stands.status_code, stands.headers["upload-offset"]) == (200, str(len(file)))
    stored = await house.services.store.find(Query(StoredObject).where("key", "contains", "/uploads/"))
    assert list(stored) == []
    assert (await house.client.post(f"{where}/complete")).json()["status"] == "completed"
    house.clock.advance(24 * 3600)
    assert (await house.client.head(location, headers=TUS)).status_code == 404


async def test_a_recording_whose_file_waits_is_completed_when_that_was_taken_in(house: WebHouse, where: str) -> None:
    file, _ = stereo(800)
    location = await begun(house, where, len(file), channels="customer,assistant")
    await house.client.patch(location, content=file, headers={**PART, "upload-offset": "0"})
    asked = await house.client.post(f"{where}/complete")
    assert (asked.status_code, asked.json()["status"], asked.json()["inProgress"]) == (200, "processing", True)
    await assembled(house)
    told = (await house.client.get(where)).json()
    assert (told["status"], told["duration"]) == ("completed", 0.1)


async def an_hour_passes(house: WebHouse) -> None:
    house.clock.advance(3600)
    await house.services.intake.completion.complete_idle()


async def test_a_recording_is_not_idle_while_an_upload_may_go_on_or_its_file_waits(house: WebHouse, where: str) -> None:
    file, _ = stereo(800)
    location = await begun(house, where, len(file), channels="customer,assistant")
    await house.client.patch(location, content=file[:100], headers={**PART, "upload-offset": "0"})
    await an_hour_passes(house)
    rest = await house.client.patch(location, content=file[100:], headers={**PART, "upload-offset": "100"})
    assert rest.status_code == 204
    await an_hour_passes(house)
    await assembled(house)
    await an_hour_passes(house)
    told = (await house.client.get(where)).json()
    assert (told["status"], told["endedBy"], told["duration"]) == ("completed", "idle", 0.1)


async def test_an_upload_that_nobody_goes_on_with_keeps_no_recording_open(house: WebHouse, where: str) -> None:
    await begun(house, where, 10)
    house.clock.advance(24 * 3600)
    await house.services.intake.completion.complete_idle()
    assert not (await house.client.get(where)).json()["inProgress"]


async def test_a_file_that_is_no_sound_keeps_no_recording_open(house: WebHouse, where: str) -> None:
    location = await begun(house, where, 10)
    await house.client.patch(location, content=b"0123456789", headers={**PART, "upload-offset": "0"})
    [job] = await house.services.store.find(Query(Job).where("kind", "=", "assemble"))
    unit = Unit()
    unit.change(failed(job, "malformed", "it is no sound file", house.clock.now_ms()))
    await house.services.store.commit(unit)
    told = (await house.client.post(f"{where}/complete")).json()
    assert (told["status"], told["inProgress"], told["failure"]) == ("failed", False, "no_sound")


async def test_of_a_recording_that_has_ended_no_upload_goes_on(house: WebHouse, where: str) -> None:
    location = await begun(house, where, 10)
    await house.client.post(f"{where}/complete")
    answer = await house.client.patch(location, content=b"01234", headers={**PART, "upload-offset": "0"})
    assert (answer.status_code, answer.json()["code"]) == (409, "recording_ended")


async def test_an_assembly_that_was_cut_off_behind_its_work_changes_nothing(house: WebHouse, where: str) -> None:
    file, _ = stereo(800)
    location = await begun(house, where, len(file), complete="true", channels="customer,assistant")
    await house.client.patch(location, content=file, headers={**PART, "upload-offset": "0"})
    [job] = await house.services.store.find(Query(Job).where("kind", "=", "assemble"))
    taken_in = house.services.uploads.taken_in
    cut_off = []

    async def cut(upload: object) -> None:
        cut_off.append(upload)

    house.services.uploads.taken_in = cut
    await house.services.assembly.run(job, Steps(house))
    house.services.uploads.taken_in = taken_in
    assert cut_off and await house.services.assembly.run(job, Steps(house)) == {}
    assert await house.services.assembly.run(job, Steps(house)) == {}
    assert (await house.client.get(where)).json()["status"] == "completed"


async def test_a_checksum_is_checked_and_wrong_bytes_do_not_count(house: WebHouse, where: str) -> None:
    location = await begun(house, where, 10)
    sums = b64encode(hashlib.sha1(b"01234").digest()).decode()
    headers = {**PART, "upload-offset": "0", "upload-checksum": f"sha1 {sums}"}
    wrong = await house.client.patch(location, content=b"01235", headers=headers)
    assert (wrong.status_code, wrong.json()["code"]) == (460, "digest_mismatch")
    assert (await house.client.head(location, headers=TUS)).headers["upload-offset"] == "0"
    assert (await house.client.patch(location, content=b"01234", headers=headers)).status_code == 204
    unknown = {**PART, "upload-offset": "5", "upload-checksum": "crc32 AAAA"}
    assert (await house.client.patch(location, content=b"56789", headers=unknown)).status_code == 400


async def test_an_upload_is_terminated(house: WebHouse, where: str) -> None:
    location = await begun(house, where, 10)
    await house.client.patch(location, content=b"01234", headers={**PART, "upload-offset": "0"})
    answer = await house.client.delete(location, headers=TUS)
    assert (answer.status_code, answer.headers["tus-resumable"]) == (204, "1.0.0")
    assert (await house.client.head(location, headers=TUS)).status_code == 404


async def test_an_expired_upload_is_gone(house: WebHouse, where: str) -> None:
    location = await begun(house, where, 10)
    house.clock.advance(24 * 3600)
    assert (await house.client.head(location, headers=TUS)).status_code == 404


async def test_a_server_tells_what_it_can_do(house: WebHouse) -> None:
    answer = await house.client.options("/uploads", headers={"authorization": ""})
    assert answer.status_code == 204 and answer.headers["tus-version"] == "1.0.0"
    assert set(answer.headers["tus-extension"].split(",")) == {"creation", "termination", "checksum", "expiration"}
    assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256,md5"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"upload-offset": "0"}, 415),
        ({**PART, "upload-offset": "1"}, 409),
        (PART, 400),
        ({**PART, "upload-offset": "-1"}, 400),
        ({**PART, "upload-offset": "0", "tus-resumable": "0.2.2"}, 412),
    ],
)
async def test_a_part_that_does_not_speak_tus_is_refused(
    house: WebHouse, where: str, headers: dict, status: int
) -> None:
    location = await begun(house, where, 10)
    answer = await house.client.patch(location, content=b"x", headers={**TUS, **headers})
    assert answer.status_code == status
    assert answer.headers["tus-resumable"] == "1.0.0"


@pytest.mark.parametrize(
    "headers",
    [
        {"upload-length": "10"},
        {"upload-metadata": metadata(recordingId="nobody")},
        {"upload-length": "10", "upload-metadata": "recordingId !!!"},
        {"upload-length": "-5", "upload-metadata": metadata(recordingId="nobody")},
        {"upload-length": "9" * 30, "upload-metadata": metadata(recordingId="nobody")},
    ],
)
async def test_an_upload_of_nothing_known_is_refused(house: WebHouse, headers: dict) -> None:
    answer = await house.client.post("/uploads", headers={**TUS, **headers})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


@pytest.mark.parametrize("concat", ["partial", "final;/uploads/a /uploads/b"])
async def test_a_piece_of_a_file_is_not_taken_for_all_of_it(house: WebHouse, where: str, concat: str) -> None:
    headers = {**TUS, "upload-length": "10", "upload-concat": concat}
    answer = await house.client.post("/uploads", params={"recordingId": where.rsplit("/", 1)[1]}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


async def test_a_part_s_type_may_be_written_in_any_case(house: WebHouse, where: str) -> None:
    headers = {**TUS, "upload-offset": "0", "content-type": "Application/Offset+Octet-Stream"}
    answer = await house.client.patch(await begun(house, where, 10), content=b"x", headers=headers)
    assert answer.status_code == 204


async def test_methods_may_come_in_disguise(house: WebHouse, where: str) -> None:
    location = await begun(house, where, 10)
    headers = {**PART, "upload-offset": "0", "x-http-method-override": "PATCH"}
    assert (await house.client.post(location, content=b"01234", headers=headers)).status_code == 204
    stands = await house.client.post(location, headers={**TUS, "x-http-method-override": "HEAD"})
    assert stands.headers["upload-offset"] == "5"
