"""What somebody tries who means no good, and what comes of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.webhouse import WebHouse, webhouse


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse() as house:
        house.client.headers.update(await house.bearer())
        yield house


def nested(levels: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(levels - 1):
        value = [value]
    return {"a": value}


@pytest.mark.parametrize("levels", [33, 250, 900])
async def test_what_is_nested_so_deep_that_it_could_not_be_told_again_is_refused(house: WebHouse, levels: int) -> None:
    made = (await house.client.post("/api/v1/recordings", json={"metadata": nested(32)})).json()
    call, recording = f"/api/v1/calls/{made['call']['id']}", f"/api/v1/recordings/{made['id']}"
    for method, path, body in (
        ("POST", "/api/v1/recordings", {"metadata": nested(levels)}),
        ("POST", "/api/v1/calls", {"analysis": nested(levels)}),
        ("PATCH", call, {"metadata": nested(levels)}),
        ("PATCH", recording, {"metadata": nested(levels)}),
        ("POST", "/v1/calls/web", {"agentId": "a", "metadata": nested(levels)}),
    ):
        assert (await house.client.request(method, path, json=body)).status_code == 413, path
    for path in ("/api/v1/recordings", "/api/v1/calls", "/call", "/v1/calls"):
        assert (await house.client.get(path)).status_code == 200, path


SPEECH = b"\x10" * 800
READS = (
    "/api/v1/recordings/{recording}",
    "/api/v1/recordings/{recording}/audio.wav",
    "/api/v1/recordings/{recording}/waveform.json",
    "/api/v1/recordings/{recording}/transcript",
    "/api/v1/recordings/{recording}/timeline",
    "/api/v1/recordings/{recording}/artifacts",
    "/api/v1/recordings/{recording}/artifacts/call-logs",
    "/api/v1/recordings/{recording}/holds",
    "/api/v1/calls/{call}",
    "/api/v1/calls/{public}",
    "/api/v1/calls/by/crm/7",
    "/call/{call}",
    "/call/{call}/mono-recording",
    "/call/{call}/call-logs",
    "/v1/calls/{public}",
    "/v1/calls/{public}/transcript",
    "/v1/calls/{public}/recording",
    "/v1/call/{call}",
    "/v1/call/{call}/transcript",
    "/v1/call/{call}/recording",
    "/api/v2/w/{workspace}/chats",
    "/api/v2/w/{workspace}/chats/{chat}",
    "/api/v2/w/{workspace}/recordings/chat/{chat}/audio.wav",
    "/api/v2/w/{workspace}/recordings/chat/{chat}/download-url",
)
WRITES: tuple[tuple[str, str, Any], ...] = (
    ("PATCH", "/api/v1/recordings/{recording}", {}),
    ("DELETE", "/api/v1/recordings/{recording}", None),
    ("POST", "/api/v1/recordings/{recording}/pause", {}),
    ("POST", "/api/v1/recordings/{recording}/complete", None),
    ("POST", "/api/v1/recordings/{recording}/secure-url", {}),
    ("POST", "/api/v1/recordings/{recording}/links/revoke", None),
    ("PUT", "/api/v1/recordings/{recording}/transcript", {"turns": []}),
    ("POST", "/api/v1/recordings/{recording}/holds", {}),
    ("PUT", "/api/v1/recordings/{recording}/lanes/customer/takes/9?start=0", SPEECH),
    ("PUT", "/api/v1/recordings/{recording}/audio", SPEECH),
    ("PUT", "/api/v1/recordings/{recording}/artifacts/video", SPEECH),
    ("POST", "/uploads?recordingId={recording}", b""),
    ("PATCH", "/api/v1/calls/{call}", {}),
    ("POST", "/api/v1/calls/{call}/end", None),
    ("DELETE", "/api/v1/calls/{call}", None),
    ("PATCH", "/call/{call}", {"name": "mine"}),
    ("DELETE", "/call/{call}", None),
    ("POST", "/v1/calls/{public}/end", None),
    ("POST", "/CallRecording", {"operation": "retrieve", "parameters": {"id": "{recording}"}}),
)


async def spoken(house: WebHouse) -> dict[str, str]:
    facts = {"call": {"externalIds": {"crm": "7"}}}
    made = (await house.client.post("/api/v1/recordings", json=facts)).json()
    where, call = f"/api/v1/recordings/{made['id']}", made["call"]
    pcmu = {"content-type": "audio/PCMU"}
    await house.client.put(f"{where}/lanes/customer/takes/1?start=0", content=SPEECH, headers=pcmu)
    await house.client.put(f"{where}/artifacts/call-logs", content=b'{"body":"ringing"}')
    assert (await house.client.post(f"{where}/complete")).status_code == 200
    workspace = (await house.workspace()).id
    ids = {"recording": made["id"], "call": call["id"], "public": call["publicId"], "chat": str(call["chatId"])}
    return {**ids, "workspace": workspace}


async def test_nothing_tells_another_workspace_that_a_thing_exists(house: WebHouse) -> None:
    ids, key = await spoken(house), await house.key(workspace="strangers")
    headers = {"authorization": f"Bearer {key}", "tus-resumable": "1.0.0", "upload-length": "9"}
    asked = [("GET", path, None) for path in READS] + list(WRITES)
    for method, path, body in asked:
        token = {"api-token": key} if path.startswith("/v1/call/") else {}
        sent = json.dumps(body).replace("{recording}", ids["recording"]) if isinstance(body, dict) else body
        kind = {"content-type": "audio/PCMU" if isinstance(body, bytes) else "application/json"}
        answer = await house.client.request(
            method, path.format(**ids), headers={**headers, **token, **kind}, content=sent
        )
        assert answer.status_code == 404, (method, path, answer.status_code)


@pytest.mark.parametrize("kept", ["no-store", "private, no-cache"])
async def test_no_shared_cache_keeps_what_is_private(house: WebHouse, kept: str) -> None:
    ids = await spoken(house)
    where = f"/api/v1/recordings/{ids['recording']}"
    link = (await house.client.post(f"{where}/secure-url")).json()["url"]
    paths = {"no-store": [where, f"{where}/transcript"], "private, no-cache": [f"{where}/audio.wav", link]}
    for path in paths[kept]:
        assert (await house.client.get(path)).headers["cache-control"] == kept


async def test_a_link_cut_short_changed_or_put_together_from_two_opens_nothing(house: WebHouse) -> None:
    one, other = [
        (await house.client.post(f"/api/v1/recordings/{ids['recording']}/secure-url")).json()["url"]
        for ids in (await spoken(house), await another(house))
    ]
    (key_id, claims, _), (_, _, mac) = (url.rpartition("/")[2].split(".") for url in (one, other))
    tokens = [one[: -len(one) // 4], one[:-1], one + "A", f"{one}%00", f"{one}=", f"/link/{key_id}.{claims}.{mac}"]
    for token in tokens:
        assert (await house.client.get(token)).status_code in (403, 404), token
    assert (await house.client.get(one)).status_code == 200


async def another(house: WebHouse) -> dict[str, str]:
    made = (await house.client.post("/api/v1/recordings", json={})).json()
    where = f"/api/v1/recordings/{made['id']}"
    pcmu = {"content-type": "audio/PCMU"}
    await house.client.put(f"{where}/lanes/customer/takes/1?start=0", content=SPEECH, headers=pcmu)
    assert (await house.client.post(f"{where}/complete")).status_code == 200
    return {"recording": made["id"]}


async def test_of_many_at_once_one_writes(house: WebHouse) -> None:
    key = {"idempotency-key": "race"}
    made = await asyncio.gather(*(house.client.post("/api/v1/recordings", json={}, headers=key) for _ in range(8)))
    [recording] = {answer.json()["id"] for answer in made if answer.status_code == 201}
    pcmu = {"content-type": "audio/PCMU"}
    where = f"/api/v1/recordings/{recording}/lanes/customer/takes/5?start=0"
    puts = [house.client.put(where, content=bytes([n]) * 800, headers=pcmu) for n in range(6)]
    assert sorted(answer.status_code for answer in await asyncio.gather(*puts)) == [201, *[409] * 5]
    tus = {"tus-resumable": "1.0.0"}
    begun = await house.client.post(
        "/uploads", params={"recordingId": recording}, headers={**tus, "upload-length": "99"}
    )
    headers = {**tus, "upload-offset": "0", "content-type": "application/offset+octet-stream"}
    place = begun.headers["location"]
    patches = [house.client.patch(place, content=bytes([n]) * 50, headers=headers) for n in range(6)]
    assert sorted(answer.status_code for answer in await asyncio.gather(*patches)) == [204, *[409] * 5]
    assert (await house.client.head(place, headers=tus)).headers["upload-offset"] == "50"
