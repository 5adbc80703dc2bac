"""How long a recording is to be had, over HTTP: it expires, and it is deleted, by a worker that nobody asks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from callvault.adapters.jobs.leased import LeasedJobs
from callvault.bootstrap.work import worker
from callvault.domain.job import Job
from callvault.domain.query import Query
from callvault.services.recordings import DAY_MS
from callvault.services.retention import SWEEP
from tests.webhouse import WebHouse, webhouse
from tests.workhouse import PATIENCE_SECONDS, until

PCMU = {"content-type": "audio/PCMU"}
CALL = {"assistant": {"id": "7c9e6679-7425-40de-944b-e07fc1f90ae7", "name": "Ada"}}


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse() as house:
        house.client.headers.update(await house.bearer())
        yield house


@asynccontextmanager
async def working(house: WebHouse) -> AsyncIterator[None]:
    """With all that workers do."""
    engine = LeasedJobs(house.services.store, house.clock, house.adapters.ids, poll_seconds=0.005)
    works = worker(house.services, house.adapters, engine, "")
    running = asyncio.create_task(works.run())
    try:
        yield
    finally:
        await works.stop(2)
        await asyncio.wait_for(running, PATIENCE_SECONDS)


async def spoken(house: WebHouse, **facts: Any) -> dict[str, Any]:
    made = (await house.client.post("/api/v1/recordings", json={"call": CALL, **facts})).json()
    where = f"/api/v1/recordings/{made['id']}"
    await house.client.put(f"{where}/lanes/customer/takes/1?start=0", content=b"\x10" * 8000, headers=PCMU)
    assert (await house.client.post(f"{where}/complete")).json()["status"] == "completed"
    return dict(made)


async def told(house: WebHouse, kind: str) -> list[str]:
    """Of which recordings."""
    answer = await house.client.get(f"/api/v1/events?type=recording.{kind}")
    return [event["recordingId"] for event in answer.json()["data"]]


def objects(house: WebHouse, made: dict[str, Any]) -> list[str]:
    """In storage."""
    return [key for key, _ in house.adapters.blobs.list() if made["id"] in key]


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


GONE = (410, "recording_expired")


async def test_an_expired_recording_is_known_and_heard_by_nobody(house: WebHouse) -> None:
    until_s = house.clock.now_ms() / 1000 + 60
    made = await spoken(house, expiresAt=until_s)
    where = f"/api/v1/recordings/{made['id']}"
    link = (await house.client.get(where)).json()["secureUrl"]
    assert (await house.client.get(link)).status_code == 200
    async with working(house):
        house.clock.advance(60)
        await until(lambda: told(house, "expired"))
    for door in ("audio.wav", "audio.mp3?live=1", "waveform.json"):
        assert code(await house.client.get(f"{where}/{door}")) == GONE
    assert code(await house.client.post(f"{where}/secure-url")) == GONE
    assert (await house.client.get(link)).status_code == 403
    known = (await house.client.get(where)).json()
    assert (known["status"], known["expiresAt"], known["secureUrl"]) == ("completed", until_s, None)
    assert (await house.client.get(f"{where}/timeline")).json()["duration"] == 1
    assert await told(house, "expired") == [made["id"]]


async def test_an_expiry_can_be_set_put_off_and_lifted(house: WebHouse) -> None:
    made = await spoken(house)
    where = f"/api/v1/recordings/{made['id']}"
    link = (await house.client.post(f"{where}/secure-url")).json()["url"]
    over = (await house.client.patch(where, json={"expiresAt": "2025-01-02T03:04:05Z"})).json()
    assert (over["expiresAt"], over["secureUrl"]) == (1735787045, None)
    assert code(await house.client.get(f"{where}/audio.wav")) == GONE
    assert code(await house.client.get(link)) == GONE
    for later in (house.clock.now_ms() / 1000 + 1, None):
        assert (await house.client.patch(where, json={"expiresAt": later})).json()["expiresAt"] == later
        assert (await house.client.get(link)).status_code == 200
    for wrong in (-1, "tomorrow", True, 1e15):
        assert (await house.client.patch(where, json={"expiresAt": wrong})).status_code == 422


async def test_a_recording_that_was_kept_for_its_time_is_deleted_and_its_sound_destroyed(house: WebHouse) -> None:
    made = await spoken(house, retentionPeriod=1)
    where = f"/api/v1/recordings/{made['id']}"
    kept = await spoken(house, retentionPeriod=2)
    assert objects(house, made)
    async with working(house):
        house.clock.ms = round(made["created"] * 1000) + DAY_MS
        await until(lambda: asyncio.sleep(0, not objects(house, made)))
    assert (await house.client.get(where)).status_code == 404
    assert (await house.client.get(f"/api/v1/recordings/{kept['id']}/audio.wav")).status_code == 200
    assert (await told(house, "autoDeleted"), await told(house, "deleted")) == ([made["id"]], [])
    audit = (await house.client.get(f"/api/v1/audit?thing=recording:{made['id']}&limit=200")).json()["data"]
    assert [(e["actor"], e["detail"]) for e in audit if e["action"] == "recordings.delete"] == [
        ("system", {"cause": "autoDeleted"})
    ]


async def test_a_hold_is_stronger_than_the_time_that_was_set(house: WebHouse) -> None:
    made, other = await spoken(house, retentionPeriod=1), await spoken(house, retentionPeriod=1)
    where = f"/api/v1/recordings/{made['id']}"
    hold = (await house.client.post(f"{where}/holds", json={"reason": "case 12"})).json()
    async with working(house):
        house.clock.advance(2 * DAY_MS / 1000)
        await until(lambda: told(house, "autoDeleted"))
        await until(lambda: swept(house))
        assert await told(house, "autoDeleted") == [other["id"]]
        assert (await house.client.get(f"{where}/audio.wav")).status_code == 200
        assert (await house.client.delete(f"{where}/holds/{hold['id']}")).status_code == 200
        house.clock.advance(60)
        await until(lambda: gone(house, where))
    assert await told(house, "autoDeleted") == [other["id"], made["id"]]


async def swept(house: WebHouse) -> bool:
    """Whether every sweep that began has ended."""
    sweeps = Query(Job).where("kind", "=", SWEEP).where("state", "in", ("queued", "running"))
    return await house.services.store.count(sweeps) == 0


async def gone(house: WebHouse, where: str) -> bool:
    return (await house.client.get(where)).status_code == 404


async def test_the_generic_form_sets_an_expiry_and_hands_nothing_out_after_it(house: WebHouse) -> None:
    async def do(operation: str, parameters: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        command = {"operation": operation, "parameters": parameters}
        answer = await house.client.post("/CallRecording", json=command)
        return answer.status_code, answer.json()

    made = await spoken(house)
    _, recording = await do("retrieve", {"id": made["id"]})
    over = house.clock.now_ms() / 1000
    status, changed = await do("update", {**recording["data"], "expiresAt": over})
    assert (status, changed["data"]["expiresAt"], changed["data"]["secureUrl"]) == (200, over, None)
    for operation in ("download", "generateSecureUrl"):
        status, refused = await do(operation, {"id": made["id"]})
        assert (status, refused["error"]["code"]) == GONE
    status, again = await do("update", changed["data"])
    assert (status, again["data"]["expiresAt"]) == (200, over)


async def test_each_dialect_says_that_there_is_no_recording_any_more(house: WebHouse) -> None:
    made = await spoken(house, expiresAt=house.clock.now_ms() / 1000)
    workspace, call, key = await house.workspace(), made["call"], await house.key()
    await house.client.post("/credits/recording/enable")
    chat = f"/api/v2/w/{workspace.id}/recordings/chat/{call['chatId']}"
    doors = {
        f"/v1/call/{call['id']}/recording": "recording_not_available",
        f"/call/{call['id']}/mono-recording": "Artifact not found.",
        f"/v1/calls/{call['publicId']}/recording": "Recording not found",
        f"{chat}/audio.wav": "No audio is stored for this chat",
        f"{chat}/download-url": "No audio is stored for this chat",
    }
    for door, words in doors.items():
        answer = await house.client.get(door, headers={"api-token": key} if door.startswith("/v1/call/") else {})
        assert (answer.status_code, words in answer.text) == (404, True), door
    assert "recordingUrl" not in (await house.client.get(f"/call/{call['id']}")).json().get("artifact", {})
