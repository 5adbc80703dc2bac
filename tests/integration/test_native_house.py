"""The native API's transcripts, holds, jobs, keys, workspace and audit, over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.webhouse import WebHouse, webhouse


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse() as house:
        house.client.headers.update(await house.bearer())
        yield house


async def recording(house: WebHouse) -> dict:
    return (await house.client.post("/api/v1/recordings", json={})).json()


def turn(content: str, start: float = 0, **more: object) -> dict:
    return {"role": "customer", "content": content, "start": start, **more}


async def test_a_transcript_is_put_appended_and_read(house: WebHouse) -> None:
    made = await recording(house)
    where = f"/api/v1/recordings/{made['id']}/transcript"
    put = await house.client.put(where, json={"turns": [turn("hello", end=1.5, confidence=0.9)]})
    assert put.status_code == 200
    appended = await house.client.post(f"{where}/turns", json={"turns": [turn("bye", 2.25)]})
    assert (appended.status_code, [t["content"] for t in appended.json()]) == (201, ["bye"])
    told = (await house.client.get(where)).json()
    assert told["text"] == "customer: hello\ncustomer: bye\n"
    assert [(t["start"], t["end"], t["confidence"]) for t in told["turns"]] == [(0, 1.5, 0.9), (2.25, None, None)]
    described = (await house.client.get(f"/api/v1/recordings/{made['id']}")).json()
    assert described["hasTranscript"] is True and described["transcript"] == told
    [listed] = (await house.client.get("/api/v1/recordings")).json()["data"]
    assert (listed["hasTranscript"], listed["transcript"]) == (True, None)


async def test_a_transcript_is_followed_from_its_beginning_to_the_end_of_the_call(house: WebHouse) -> None:
    made = await recording(house)
    where = f"/api/v1/recordings/{made['id']}/transcript"
    await house.client.post(f"{where}/turns", json={"turns": [turn("one"), turn("two", 1)]})
    following = asyncio.create_task(house.client.get(f"{where}/stream"))
    await asyncio.sleep(0.02)
    await house.client.post(f"{where}/turns", json={"turns": [turn("three", 2)]})
    await house.client.post(f"/api/v1/calls/{made['call']['id']}/end")
    answer = await asyncio.wait_for(following, 30)
    assert answer.headers["content-type"] == "text/event-stream"
    events = [block.split("\n") for block in answer.text.strip().split("\n\n")]
    assert [block[1] for block in events[:3]] == ["event: turn"] * 3
    assert [json.loads(block[2].removeprefix("data: "))["content"] for block in events[:3]] == ["one", "two", "three"]
    assert events[3][0] == "event: ended"
    resumed = await house.client.get(f"{where}/stream", headers={"Last-Event-ID": "1"})
    assert resumed.text.count("event: turn") == 1 and '"three"' in resumed.text


async def test_a_hold_keeps_a_recording_until_it_is_released(house: WebHouse) -> None:
    made = await recording(house)
    where = f"/api/v1/recordings/{made['id']}"
    hold = (await house.client.post(f"{where}/holds", json={"reason": "case 12"})).json()
    refused = await house.client.delete(where)
    assert (refused.status_code, refused.json()["code"]) == (409, "on_hold")
    assert (await house.client.get(where)).json()["held"] is True
    released = (await house.client.delete(f"{where}/holds/{hold['id']}")).json()
    assert released["releasedBy"].startswith("key:")
    assert len((await house.client.get(f"{where}/holds")).json()["data"]) == 1
    assert (await house.client.delete(where)).status_code == 200


async def test_jobs_are_listed_read_and_cancelled(house: WebHouse) -> None:
    made = await recording(house)
    await house.client.delete(f"/api/v1/recordings/{made['id']}")
    [job] = (await house.client.get(f"/api/v1/jobs?recordingId={made['id']}")).json()["data"]
    assert (job["kind"], job["state"], job["progress"]) == ("purge", "queued", 0)
    assert (await house.client.get(f"/api/v1/jobs/{job['id']}")).json() == job
    assert (await house.client.post(f"/api/v1/jobs/{job['id']}/cancel")).json()["state"] == "cancelled"
    assert (await house.client.get("/api/v1/jobs?state=queued")).json()["data"] == []


async def test_a_key_is_told_once_works_and_ends(house: WebHouse) -> None:
    made = (await house.client.post("/api/v1/keys", json={"scopes": ["recordings:read"], "label": "reader"})).json()
    headers = {"authorization": f"Bearer {made['key']}"}
    assert (await house.client.get("/api/v1/recordings", headers=headers)).status_code == 200
    assert (await house.client.get("/api/v1/keys", headers=headers)).status_code == 403
    listed = (await house.client.get("/api/v1/keys?limit=1")).json()
    assert listed["data"][0]["id"] == made["id"] and "key" not in listed["data"][0]
    rest = (await house.client.get(f"/api/v1/keys?cursor={listed['nextCursor']}")).json()
    assert [key["id"] for key in rest["data"]] != [made["id"]] and len(rest["data"]) == 1
    assert (await house.client.delete(f"/api/v1/keys/{made['id']}")).json()["revokedAt"] is not None
    assert (await house.client.get("/api/v1/recordings", headers=headers)).status_code == 401


async def test_a_workspace_is_read_and_set(house: WebHouse) -> None:
    before = (await house.client.get("/api/v1/workspace")).json()
    assert (before["name"], before["recordingEnabled"]) == ("acme", True)
    answer = await house.client.patch("/api/v1/workspace", json={"recordingEnabled": False, "retentionDays": 90})
    assert answer.json() == {**before, "recordingEnabled": False, "retentionDays": 90}
    refused = await house.client.post("/api/v1/recordings", json={})
    assert refused.json()["code"] == "recording_disabled"


async def put_take(house: WebHouse, where: str, n: int) -> httpx.Response:
    headers = {"content-type": "audio/PCMU"}
    return await house.client.put(f"{where}/lanes/customer/takes/{n}?start=0", content=b"some bytes", headers=headers)


async def test_a_workspace_that_turned_recording_off_takes_in_nothing_at_any_door(house: WebHouse) -> None:
    made = await recording(house)
    where, read = f"/api/v1/recordings/{made['id']}", []
    tus = {"tus-resumable": "1.0.0", "upload-length": "9", "content-type": "application/offset+octet-stream"}
    begun = (await house.client.post(f"/uploads?recordingId={made['id']}", headers=tus)).headers["location"]
    assert (await put_take(house, where, 0)).status_code == 201
    await house.client.patch("/api/v1/workspace", json={"recordingEnabled": False})

    async def body() -> AsyncIterator[bytes]:
        read.append(1)
        yield b"some bytes"

    async def put(path: str, media_type: str) -> httpx.Response:
        return await house.client.put(f"{where}/{path}", content=body(), headers={"content-type": media_type})

    refused = [
        await house.client.post("/api/v1/recordings", json={}),
        await house.client.post(f"/uploads?recordingId={made['id']}", headers=tus),
        await house.client.patch(begun, headers={**tus, "upload-offset": "0"}, content=body()),
        await put("audio", "audio/wav"),
        await put("artifacts/video", "video/mp4"),
        await put("artifacts/call-logs", "application/jsonl"),
        await put("artifacts/pcap?rebuild=true", "application/vnd.tcpdump.pcap"),
    ]
    assert not read
    refused.append(await put("lanes/customer/takes/1?start=0", "audio/PCMU"))
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(403, "recording_disabled")}
    await house.client.patch("/api/v1/workspace", json={"recordingEnabled": True})
    assert (await put_take(house, where, 1)).status_code == 201


async def test_the_audit_tells_who_did_what(house: WebHouse) -> None:
    made = await recording(house)
    thing = f"recording:{made['id']}"
    await house.client.patch(f"/api/v1/recordings/{made['id']}", json={"tags": ["x"]})
    await house.services.audit.flush()
    entries = (await house.client.get(f"/api/v1/audit?thing={thing}")).json()["data"]
    assert [entry["action"] for entry in entries] == ["recordings.create", "recordings.change"]
    first = (await house.client.get("/api/v1/audit?limit=1")).json()
    second = (await house.client.get(f"/api/v1/audit?limit=1&cursor={first['nextCursor']}")).json()
    assert second["data"][0]["seq"] == first["data"][0]["seq"] + 1
    exported = await house.client.get("/api/v1/audit/export")
    lines = [json.loads(line) for line in exported.text.splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert (lines[0]["block"], lines[0]["digest"]) == (first["data"][0]["block"], first["data"][0]["digest"])


async def test_a_customers_key_is_looked_at_before_it_is_taken(house: WebHouse) -> None:
    answer = await house.client.patch("/api/v1/workspace", json={"customerPublicKey": "no PEM"})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert (await house.client.get("/api/v1/workspace")).json()["customerPublicKey"] is None
    created = await house.client.post("/api/v1/recordings", json={"call": {"direction": "inbound"}})
    assert created.status_code == 201
