"""Redacted by default, over HTTP: once a redacted version exists, whoever may not hear originals gets it everywhere."""

from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest

from callvault.domain.access import SYSTEM
from callvault.domain.recording import Clip, Derivation, EditList, Mask
from callvault.domain.unit import Unit
from callvault.domain.workspace import SCOPES
from callvault.wire import waveform
from tests.webhouse import WebHouse, webhouse

LOUD = b"\x10" * 8000
READER = [scope for scope in SCOPES if scope != "recordings:original"]


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse() as house:
        yield house


@pytest.fixture
async def where(house: WebHouse) -> str:
    """A recording of one second, of which the second half of a second was redacted; and a client who is a reader."""
    house.client.headers.update(await house.bearer())
    made = (await house.client.post("/api/v1/recordings", json={})).json()
    where = f"/api/v1/recordings/{made['id']}"
    pcmu = {"content-type": "audio/PCMU"}
    await house.client.put(f"{where}/lanes/customer/takes/1?start=0", content=LOUD, headers=pcmu)
    turns = [
        {"role": "customer", "content": "my number is", "start": 0, "end": 0.4},
        {"role": "customer", "content": "4111 1111", "start": 0.6, "end": 0.9},
    ]
    await house.client.put(f"{where}/transcript", json={"turns": turns})
    await house.client.post(f"{where}/complete")
    await redact(house, made["id"])
    house.client.headers.update(await house.bearer(*READER))
    return where


async def redact(house: WebHouse, recording_id: str, end_us: int = 1_000_000) -> None:
    """The last half of a second."""
    original = await house.services.recordings.retrieve(SYSTEM, recording_id)
    whole = Clip(recording_id=original.id, start_us=0, end_us=end_us)
    redacted = replace(
        original,
        id=house.services.ids.uuid(),
        operation="redactPII",
        redacted=True,
        redaction_type="silence",
        derived_from=(original.id,),
        edits=EditList(clips=(whole,), masks=(Mask(start_us=end_us - 500_000, end_us=end_us),)),
        version=1,
    )
    unit = Unit()
    unit.add(redacted)
    unit.add(Derivation(parent_id=original.id, child_id=redacted.id, workspace_id=original.workspace_id))
    await house.services.store.commit(unit)


def is_redacted(wav: bytes) -> bool:
    samples = np.frombuffer(wav[44:], np.int16)
    return bool(samples[:4000].any()) and not samples[4000:].any()


async def test_the_sound_is_the_redacted_one(house: WebHouse, where: str) -> None:
    assert is_redacted((await house.client.get(f"{where}/audio.wav")).content)
    originals = await house.bearer()
    assert not is_redacted((await house.client.get(f"{where}/audio.wav", headers=originals)).content)


async def test_links_lead_to_the_redacted_one(house: WebHouse, where: str) -> None:
    link = (await house.client.post(f"{where}/secure-url")).json()["url"]
    told = (await house.client.get(where)).json()["secureUrl"]
    for url in (link, told):
        assert is_redacted((await house.client.get(url)).content)


async def test_the_waveform_shows_nothing_of_what_is_masked(house: WebHouse, where: str) -> None:
    drawn = waveform.parse_dat((await house.client.get(f"{where}/waveform.dat?samplesPerPixel=1000")).content)
    assert drawn.peaks[:4].any() and not drawn.peaks[4:].any()


async def test_the_words_are_masked_too(house: WebHouse, where: str) -> None:
    for told in (
        (await house.client.get(f"{where}/transcript")).json(),
        (await house.client.get(where)).json()["transcript"],
    ):
        assert [turn["content"] for turn in told["turns"]] == ["my number is", "[redacted]"]
        assert "4111" not in told["text"]


async def test_what_was_found_out_about_the_call_is_not_told(house: WebHouse, where: str) -> None:
    call_id, originals = (await house.client.get(where)).json()["call"]["id"], await house.bearer()
    call = f"/api/v1/calls/{call_id}"
    found = {"summary": "the card is 4111 1111", "structuredData": {"card": "4111 1111"}}
    await house.client.patch(call, json={"analysis": found}, headers=originals)
    paths = [where, "/api/v1/recordings", call, "/api/v1/calls", "/call", f"/call/{call_id}", f"/v1/call/{call_id}"]
    for path in paths:
        for asking, told in ((await house.bearer(*READER), False), (originals, True)):
            key = {"api-token": asking["authorization"].removeprefix("Bearer ")}
            answer = await house.client.get(path, headers={**asking, **key})
            assert answer.status_code == 200 and ("4111" in answer.text) is told, path
    assert "4111" not in (await house.client.patch(call, json={"name": "x"})).text


async def test_the_files_of_the_original_are_not_had(house: WebHouse, where: str) -> None:
    logs = await house.client.put(f"{where}/artifacts/call-logs", content=b'{"body":"4111 1111"}')
    assert logs.status_code == 201
    assert (await house.client.get(f"{where}/artifacts/call-logs")).status_code == 404
    assert (await house.client.get(f"{where}/artifacts")).json()["data"] == []
    originals = await house.bearer()
    assert (await house.client.get(f"{where}/artifacts/call-logs", headers=originals)).status_code == 200


async def test_a_newer_unredacted_recording_of_the_call_is_no_way_around(house: WebHouse, where: str) -> None:
    call_id = (await house.client.get(where)).json()["call"]["id"]
    house.clock.advance(1)
    made = await house.client.post("/api/v1/recordings", json={"call": {"id": call_id}})
    newer = f"/api/v1/recordings/{made.json()['id']}"
    pcmu = {"content-type": "audio/PCMU"}
    await house.client.put(f"{newer}/lanes/customer/takes/1?start=0", content=LOUD, headers=pcmu)
    await house.client.put(f"{newer}/artifacts/call-logs", content=b'{"body":"4111 1111"}')
    told = (await house.client.post(f"{newer}/complete")).json()
    assert told["secureUrl"] is None and "4111" not in str(told)
    for path in ("audio.wav", "waveform.json", "artifacts/call-logs"):
        assert (await house.client.get(f"{newer}/{path}")).status_code == 403
    assert "4111" not in (await house.client.get(f"{newer}/transcript")).text
    told = (await house.client.get(f"/call/{call_id}")).json()["artifact"]
    link = (await house.client.get(f"/call/{call_id}/mono-recording")).headers["location"]
    for url in (link, told["presignedMonoUrl"]):
        assert is_redacted((await house.client.get(url)).content)
    assert "logUrl" not in told and "4111" not in str(told)
    originals = await house.bearer()
    assert not is_redacted((await house.client.get(f"{newer}/audio.wav", headers=originals)).content)


async def test_a_recording_redacted_in_part_is_told_without_a_word(house: WebHouse, where: str) -> None:
    [whole, redacted] = sorted(
        (await house.client.get("/api/v1/recordings")).json()["data"], key=lambda r: r["redacted"]
    )
    version = await house.services.recordings.retrieve(SYSTEM, redacted["id"])
    unit = Unit()
    unit.change(replace(version, operation="trim", version=version.version + 1))
    await house.services.store.commit(unit)
    for recording in (whole, redacted):
        told = (await house.client.get(f"/api/v1/recordings/{recording['id']}")).json()
        assert (told["id"], told["hasTranscript"], told["transcript"]) == (recording["id"], False, None)
    assert (await house.client.get(f"{where}/transcript")).status_code == 403


async def test_words_of_a_piece_that_is_not_heard_are_not_read(house: WebHouse) -> None:
    """Of two pieces of a call the second alone, from 1 s to 2 s of the call, was redacted."""
    house.client.headers.update(await house.bearer())
    first = (await house.client.post("/api/v1/recordings", json={})).json()
    house.clock.advance(1)
    call = {"call": {"id": first["call"]["id"]}}
    second = (await house.client.post("/api/v1/recordings", json=call)).json()
    for made, start in ((first, 0), (second, 1_000)):
        where, pcmu = f"/api/v1/recordings/{made['id']}", {"content-type": "audio/PCMU"}
        await house.client.put(f"{where}/lanes/customer/takes/1?start={start}", content=LOUD, headers=pcmu)
        await house.client.post(f"{where}/complete")
    said = {"in the first": (0.1, 0.4), "in the second": (1.1, 1.4), "masked": (1.6, 1.9), "behind both": (3, 3.2)}
    turns = [{"role": "customer", "content": c, "start": start, "end": end} for c, (start, end) in said.items()]
    await house.client.put(f"{where}/transcript", json={"turns": turns})
    await redact(house, second["id"], 2_000_000)
    told = (await house.client.get(f"{where}/transcript", headers=await house.bearer(*READER))).json()["turns"]
    assert [turn["content"] for turn in told] == ["[redacted]", "in the second", "[redacted]", "[redacted]"]
