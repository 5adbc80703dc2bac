"""The native API's recordings and calls, over HTTP."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from callvault.domain.idempotency import IdempotentRequest
from callvault.domain.query import Query
from tests.webhouse import WebHouse, webhouse

# fmt: off
SEED = [
    "id", "call", "assistant", "phoneNumber", "status", "url", "secureUrl", "format", "codec", "sampleRate",
    "bitrate", "channels", "duration", "fileSize", "startTime", "endTime", "storage", "storagePath", "bucket",
    "region", "encrypted", "encryptionKey", "redacted", "redactionType", "transcript", "hasTranscript",
    "participants", "speakerDiarization", "noiseReduction", "volumeNormalization", "silenceRemoval",
    "compressionRatio", "quality", "downloadCount", "lastAccessed", "expiresAt", "retentionPeriod", "autoDeleteAt",
    "tags", "metadata", "created", "updated",
]
# fmt: on
FACTS = {
    "call": {
        "direction": "outbound",
        "from": "+15550100",
        "to": "+15550101",
        "assistant": {"id": "a1", "name": "Ada"},
        "phoneNumber": {"id": "p1", "number": "+15550100"},
        "startedAt": "2026-01-02T03:04:05Z",
        "participants": [{"id": "x", "name": "Xenia", "role": "customer", "number": "+15550101"}],
        "externalIds": {"twilio": "CA1"},
        "metadata": {"crm": 7},
    },
    "tags": ["vip", "vip", "new"],
    "metadata": {"note": "hello"},
    "retentionPeriod": 30,
}


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse() as house:
        house.client.headers.update(await house.bearer())
        yield house


async def created(house: WebHouse, **facts: object) -> dict:
    answer = await house.client.post("/api/v1/recordings", json=facts)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_recording_begins_with_its_call_in_the_seed_s_words(house: WebHouse) -> None:
    answer = await house.client.post("/api/v1/recordings", json=FACTS)
    assert answer.status_code == 201
    told = answer.json()
    assert [name for name in SEED if name not in told] == []
    assert (told["status"], told["tags"], told["retentionPeriod"]) == ("processing", ["vip", "new"], 30)
    assert told["startTime"] == told["call"]["startedAt"] == 1767323045
    assert told["autoDeleteAt"] == told["created"] + 30 * 86_400
    assert (told["assistant"], told["phoneNumber"]) == (
        {"id": "a1", "name": "Ada"},
        {"id": "p1", "number": "+15550100"},
    )
    call = told["call"]
    assert (call["direction"], call["from"], call["to"], call["chatId"]) == ("outbound", "+15550100", "+15550101", 1)
    assert call["publicId"].startswith("call_") and call["externalIds"] == {"twilio": "CA1"}
    assert told["url"] == f"http://vault.test/api/v1/recordings/{told['id']}/audio.wav"
    assert (await house.client.get(f"/api/v1/recordings/{told['id']}")).json() == told


async def test_who_calls_may_have_a_sip_address(house: WebHouse) -> None:
    address = f"sip:{'gencred' + 42 * 'x'}@sip.example.com"
    person = {"id": "x", "number": address}
    call = (await created(house, call={"from": address, "to": "+15550101", "participants": [person]}))["call"]
    assert (call["from"], call["participants"][0]["number"]) == (address, address)
    found = (await house.client.get("/api/v1/calls", params={"number": address})).json()["data"]
    assert [one["id"] for one in found] == [call["id"]]


async def test_a_second_recording_of_a_call_names_the_call(house: WebHouse) -> None:
    first = await created(house, **FACTS)
    second = await created(house, call={"id": first["call"]["id"]})
    assert second["call"] == first["call"] and second["id"] != first["id"]
    chosen = "11111111-2222-4333-8444-555555555555"
    assert (await created(house, call={"id": chosen}))["call"]["id"] == chosen


async def test_the_same_request_with_the_same_key_is_done_once(house: WebHouse) -> None:
    headers = {"Idempotency-Key": "k1"}
    answers = await asyncio.gather(
        *(house.client.post("/api/v1/recordings", json=FACTS, headers=headers) for _ in range(4))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sorted(answer.headers.get("idempotent-replayed", "") for answer in answers) == ["", "true", "true", "true"]
    assert len((await house.client.get("/api/v1/recordings")).json()["data"]) == 1


@pytest.mark.parametrize("chosen", [None, "01a1fd98-e7c9-72b9-90db-ff2558183780"])
async def test_what_was_answered_is_kept_under_the_id_of_what_was_made(house: WebHouse, chosen: str | None) -> None:
    asked = {"direction": "inbound"} | ({"id": chosen} if chosen else {})
    made = (await house.client.post("/api/v1/calls", json=asked, headers={"Idempotency-Key": "k1"})).json()
    [kept] = await house.services.store.find(Query(IdempotentRequest).by("workspace_id", "key"))
    assert kept.reserved_id == made["id"] == (chosen or made["id"])


async def test_another_request_with_the_same_key_is_refused(house: WebHouse) -> None:
    headers = {"Idempotency-Key": "k1"}
    await house.client.post("/api/v1/recordings", json=FACTS, headers=headers)
    answer = await house.client.post("/api/v1/recordings", json={}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_lists_are_paged_by_cursor_and_narrowed(house: WebHouse) -> None:
    made = []
    for n in range(5):
        house.clock.advance(1)
        made.append((await created(house, tags=[f"t{n % 2}"]))["id"])
    first = (await house.client.get("/api/v1/recordings?limit=2")).json()
    assert [r["id"] for r in first["data"]] == [made[4], made[3]]
    second = (await house.client.get(f"/api/v1/recordings?limit=3&cursor={first['nextCursor']}")).json()
    assert [r["id"] for r in second["data"]] == [made[2], made[1], made[0]] and second["nextCursor"] is None
    tagged = (await house.client.get("/api/v1/recordings?tag=t1")).json()
    assert [r["id"] for r in tagged["data"]] == [made[3], made[1]]
    assert (await house.client.get("/api/v1/recordings?status=completed")).json()["data"] == []
    both = (await house.client.get("/api/v1/recordings?status=completed&status=processing")).json()
    assert len(both["data"]) == 5


@pytest.mark.parametrize(
    "cursor", ["x", "W10", "WzEsMl0", "bnVsbA", "WzFlMzAwLCJ4Il0", "Wzk5OTk5OTk5OTk5OTk5OTk5OTk5LCJ4Il0"]
)
async def test_a_cursor_that_was_not_handed_out_is_a_mistake(house: WebHouse, cursor: str) -> None:
    answer = await house.client.get(f"/api/v1/recordings?cursor={cursor}")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


async def test_facts_are_changed_one_by_one(house: WebHouse) -> None:
    told = await created(house, **FACTS)
    house.clock.advance(5)
    answer = await house.client.patch(f"/api/v1/recordings/{told['id']}", json={"metadata": {"a": 1}})
    changed = answer.json()
    assert (changed["metadata"], changed["tags"]) == ({"a": 1}, ["vip", "new"])
    assert changed["updated"] == told["updated"] + 5
    emptied = await house.client.patch(f"/api/v1/recordings/{told['id']}", json={"retentionPeriod": None, "tags": []})
    assert (emptied.json()["autoDeleteAt"], emptied.json()["tags"]) == (None, [])


async def test_a_deleted_recording_is_gone_and_deleting_it_again_is_no_error(house: WebHouse) -> None:
    told = await created(house, **FACTS)
    where = f"/api/v1/recordings/{told['id']}"
    for _ in range(2):
        answer = await house.client.delete(where)
        assert (answer.status_code, answer.json()["status"]) == (200, "deleted")
    gone = await house.client.get(where)
    assert (gone.status_code, gone.json()["code"]) == (404, "not_found")
    assert (await house.client.get("/api/v1/recordings")).json()["data"] == []


async def test_a_call_is_found_by_each_of_its_ids(house: WebHouse) -> None:
    call = (await created(house, **FACTS))["call"]
    for way in (call["id"], call["publicId"], call["chatId"], "by/twilio/CA1"):
        answer = await house.client.get(f"/api/v1/calls/{way}")
        assert (answer.status_code, answer.json()) == (200, call)


async def test_a_call_is_announced_changed_ended_and_deleted(house: WebHouse) -> None:
    answer = await house.client.post("/api/v1/calls", json={"from": "+1", "status": "ringing"})
    call = answer.json()
    assert (answer.status_code, call["status"]) == (201, "ringing")
    where = f"/api/v1/calls/{call['id']}"
    changed = (await house.client.patch(where, json={"assistant": {"id": "a2"}})).json()
    assert (changed["assistant"], changed["from"]) == ({"id": "a2", "name": None}, "+1")
    ended = (await house.client.post(f"{where}/end", json={"reason": "done"})).json()
    assert (ended["status"], ended["endedReason"]) == ("ended", "done")
    assert (await house.client.delete(where)).json()["from"] is None
    assert (await house.client.get(where)).status_code == 404


async def test_who_may_only_write_is_told_no_word_of_what_was_said_and_found_out(house: WebHouse) -> None:
    recording = await created(house)
    where, call = f"/api/v1/recordings/{recording['id']}", recording["call"]["id"]
    turns = {"turns": [{"role": "customer", "content": "4111 1111", "start": 0, "end": 1}]}
    await house.client.put(f"{where}/transcript", json=turns)
    await house.client.patch(f"/api/v1/calls/{call}", json={"analysis": {"summary": "4111 1111"}})
    writer = await house.bearer("recordings:write", "recordings:delete")
    named = {"call": {"id": call}}
    command = {"operation": "update", "parameters": {"id": recording["id"]}}
    for method, path, body in (
        ("PATCH", where, {}),
        ("PATCH", f"/api/v1/calls/{call}", {}),
        ("POST", "/api/v1/recordings", named),
        ("POST", "/CallRecording", command),
        ("PATCH", f"/call/{call}", {}),
        ("POST", f"/api/v1/calls/{call}/end", {}),
        ("DELETE", where, {}),
    ):
        answer = await house.client.request(method, path, json=body, headers=writer)
        assert answer.is_success and "4111" not in answer.text, (method, path, answer.text)
    assert "4111" in (await house.client.get(f"/api/v1/calls/{call}")).text


@pytest.mark.parametrize(
    "facts",
    [
        {"call": {"direction": "sideways"}},
        {"call": {"startedAt": "yesterday"}},
        {"call": {"startedAt": -1}},
        {"call": {"participants": [{"name": "no id"}]}},
        {"tags": [""]},
        {"retentionPeriod": 0},
        {"unknown": 1},
    ],
)
async def test_a_request_of_the_wrong_form_is_told_what_is_wrong(house: WebHouse, facts: dict) -> None:
    answer = await house.client.post("/api/v1/recordings", json=facts)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid_request")
    assert problem["errors"][0]["loc"][0] == "body" and problem["status"] == 422


async def test_each_refusal_has_its_code(house: WebHouse) -> None:
    told = await created(house, **FACTS)
    where = f"/api/v1/recordings/{told['id']}"
    nobody = await house.client.get(where, headers={"authorization": ""})
    assert (nobody.status_code, nobody.json()["code"]) == (401, "unauthorized")
    weak = await house.client.delete(where, headers=await house.bearer("recordings:read"))
    assert (weak.status_code, weak.json()["code"]) == (403, "forbidden")
    stranger = await house.client.get(where, headers=await house.bearer(workspace="other"))
    assert (stranger.status_code, stranger.json()["code"]) == (404, "not_found")
    await house.workspace("silent", recording_enabled=False)
    off = await house.client.post("/api/v1/recordings", json={}, headers=await house.bearer(workspace="silent"))
    assert (off.status_code, off.json()["code"]) == (403, "recording_disabled")


async def test_a_long_transcript_is_told_the_same_wherever_it_is_asked_for(house: WebHouse) -> None:
    recording = await created(house, call={"participants": [{"id": "x", "role": "customer"}, {"id": "y", "role": "z"}]})
    where, roles = f"/api/v1/recordings/{recording['id']}", ("customer", "assistant")
    turns = [
        {"role": roles[n % 2], "content": f'"{n}", ünd', "start": n, "end": n + 0.5, "confidence": None}
        for n in range(1200)
    ]
    put = (await house.client.put(f"{where}/transcript", json={"turns": turns})).json()
    assert [{name: turn[name] for name in turns[0]} for turn in put["turns"]] == turns
    assert put["text"].startswith('customer: "0", ünd\nassistant: "1", ünd\n')
    assert (await house.client.get(f"{where}/transcript")).json() == put
    told = (await house.client.get(where)).json()
    assert (told["transcript"], [one["speakingTime"] for one in told["participants"]]) == (put, [300, 0])
    for answer in (
        await house.client.patch(where, json={}),
        await house.client.post(
            "/CallRecording", json={"operation": "retrieve", "parameters": {"id": recording["id"]}}
        ),
    ):
        again = answer.json()
        again = again.get("data", again)
        assert {**again, "updated": 0, "secureUrl": None} == {**told, "updated": 0, "secureUrl": None}
