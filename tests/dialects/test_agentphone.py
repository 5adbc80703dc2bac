"""AgentPhone's dialect: golden transcripts of the wire, and what no client of theirs asks."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from callvault.adapters.webhooks.sender import HttpxSender
from callvault.domain.access import OPERATOR
from callvault.domain.call import Call, Turn
from callvault.domain.event import Event
from callvault.domain.query import Query
from callvault.domain.recording import Clip, Derivation, EditList, Mask, Recording
from callvault.domain.unit import Unit
from callvault.domain.webhook import BODY_LIMIT, WebhookEndpoint
from callvault.web.dialects.agentphone.webhooks.messages import call_ended
from tests.audits import audited
from tests.dialects import goldens
from tests.dialects.agentphone_calls import FACTS, SECONDS, TURNS, Recorded, noises, wav_of
from tests.dialects.asgistream import AsgiStream
from tests.integration.asgisocket import AsgiSocket
from tests.integration.test_native_streams import STOP, frame, heard, media, started
from tests.receiver import Reply, receiving
from tests.webhouse import WebHouse, webhouse

GOLDEN = sorted((Path(__file__).parent / "golden" / "agentphone").glob("*.txt"))
STARTED_AT = "2025-10-09T08:53:00Z"
"""20 seconds before the tests' clock begins."""


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse() as house:
        house.client.headers.update(await house.bearer())
        yield house


async def ok(answering: Any) -> Any:
    answer: httpx.Response = await answering
    assert answer.is_success, answer.text
    return answer.json()


async def begun(house: WebHouse, turns: list[dict] | None = None, **facts: Any) -> Recorded:
    client, call = house.client, {**FACTS, "startedAt": STARTED_AT, **facts}
    told, lanes = await ok(client.post("/api/v1/recordings", json={"call": call})), noises()
    for name, sound in lanes.items():
        place = f"/api/v1/recordings/{told['id']}/lanes/{name}/takes/0?start=0"
        headers = {"content-type": "audio/L16;rate=8000;channels=1"}
        await ok(client.put(place, content=sound.astype(">i2").tobytes(), headers=headers))
    if turns is not None:
        await ok(client.put(f"/api/v1/recordings/{told['id']}/transcript", json={"turns": turns}))
    return Recorded(told["id"], told["call"], lanes)


async def ended(house: WebHouse, turns: list[dict] | None = None, **facts: Any) -> Recorded:
    recorded = await begun(house, turns, **facts)
    await ok(house.client.post(f"/api/v1/recordings/{recorded.id}/complete"))
    await ok(house.client.post(f"/api/v1/calls/{recorded.call['id']}/end"))
    return recorded


async def opened(house: WebHouse) -> None:
    assert await ok(house.client.post("/credits/recording/enable")) == {"recordingEnabled": True}


async def redacted(house: WebHouse, recorded: Recorded, mask: Mask) -> None:
    original = await house.services.store.get(Recording, recorded.id)
    assert original is not None
    whole = Clip(recording_id=original.id, start_us=0, end_us=SECONDS * 1_000_000)
    version = replace(
        original,
        id="redacted",
        version=1,
        operation="redactPII",
        redacted=True,
        derived_from=(original.id,),
        edits=EditList(clips=(whole,), masks=(mask,)),
    )
    unit = Unit()
    unit.add(version)
    unit.add(Derivation(parent_id=original.id, child_id="redacted", workspace_id=original.workspace_id))
    await house.services.store.commit(unit)


def keyless(house: WebHouse, path: str, method: str = "GET", **headers: str) -> Any:
    transport = httpx.ASGITransport(house.app)
    return httpx.AsyncClient(transport=transport, base_url="http://vault.test").request(method, path, headers=headers)


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
async def test_the_wire_is_as_the_golden_file_says(house: WebHouse, file: Path) -> None:
    recorded, live = await ended(house, TURNS), await begun(house, direction="outbound")
    silent = (await ok(house.client.post("/v1/calls", json={"agentId": "a", "toNumber": "+1"})))["id"]
    await opened(house)
    await house.workspace("clinic", hipaa=True)
    known = {
        "recorded": recorded.public_id,
        "live": live.public_id,
        "silent": silent,
        "key": house.client.headers.pop("authorization").removeprefix("Bearer "),
        "reader": await house.key("recordings:read"),
        "stranger": await house.key(workspace="other"),
        "hipaa": await house.key(workspace="clinic"),
    }
    exchanges = goldens.read(file)
    assert exchanges
    for asked in exchanges:
        answer = await goldens.answered(house.client, asked, known)
        assert goldens.told(answer, asked, known, {recorded.wav: "the sound of the call"}) == goldens.wanted(asked)


async def test_a_recording_is_had_in_ranges_and_its_head_alone(house: WebHouse) -> None:
    recorded = await ended(house)
    await opened(house)
    path = f"/v1/calls/{recorded.public_id}/recording"
    head = await keyless(house, path, "HEAD")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(recorded.wav)))
    part = await keyless(house, path, range="bytes=1000-1999")
    assert (part.status_code, part.content) == (206, recorded.wav[1000:2000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(recorded.wav)}"
    again = await keyless(house, path, **{"if-none-match": head.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    beyond = await keyless(house, path, range="bytes=99999999-")
    assert beyond.status_code == 416
    other = await keyless(house, path, **{"if-match": '"other"'})
    assert other.status_code == 412
    told = await house.documented("agentphone", "/v1/calls/{call_id}/recording")
    assert {"200", "206", "304", "412", "416"} <= told.keys()
    await house.services.delivery.downloads.flush()
    assert (await ok(house.client.get(f"/api/v1/recordings/{recorded.id}")))["downloadCount"] == 0


@pytest.mark.parametrize("name", ["call_%00", "%ED%A0%80", "call_%0A", "call_" + "x" * 5000, "%F0%9F%93%9E"])
async def test_what_can_be_no_id_is_no_call_s(house: WebHouse, name: str) -> None:
    assert (await keyless(house, f"/v1/calls/{name}/recording")).status_code == 404
    for path in (f"/v1/calls/{name}", f"/v1/calls/{name}/transcript", f"/v1/calls/{name}/transcript/stream"):
        assert (await house.client.get(path)).status_code == 404
    assert (await house.client.post(f"/v1/calls/{name}/end")).status_code == 404


async def test_who_heard_it_without_a_key_is_in_the_audit_as_public(house: WebHouse) -> None:
    recorded = await ended(house)
    await opened(house)
    path = f"/v1/calls/{recorded.public_id}/recording"
    await keyless(house, path, "HEAD")
    await keyless(house, path, range="bytes=0-99", authorization="Bearer sk_live_of_nobody")
    await house.services.audit.flush()
    entries = [e for e in await audited(house.services.store) if e.action == "recordings.listen"]
    assert [(entry.actor, entry.member, entry.thing) for entry in entries] == [
        ("public", None, f"recording:{recorded.id}")
    ]
    assert entries[0].detail["range"] == "bytes=0-99"
    assert entries[0].address is not None


async def test_everybody_without_a_key_hears_the_redacted_version(house: WebHouse) -> None:
    recorded = await ended(house, TURNS)
    await opened(house)
    await redacted(house, recorded, Mask(start_us=1_300_000, end_us=1_800_000))
    muted = {name: sound.copy() for name, sound in recorded.lanes.items()}
    for sound in muted.values():
        sound[10_400:14_400] = 0
    answer = await keyless(house, f"/v1/calls/{recorded.public_id}/recording")
    assert answer.content == wav_of(*muted.values())
    reader = await house.bearer("recordings:read")
    told = await ok(house.client.get(f"/v1/calls/{recorded.public_id}", headers=reader))
    assert told["lastTranscriptSnippet"] == "[redacted]"
    assert told["transcripts"][-1]["response"] == "[redacted]"


async def test_a_private_call_is_for_its_participants_and_no_id_opens_it(house: WebHouse) -> None:
    mine = await house.bearer(member_id="me")
    house.client.headers.update(mine)
    recorded = await ended(house, kind="direct", participants=[{"id": "me"}, {"id": "you"}])
    await opened(house)
    told = await ok(house.client.get(f"/v1/calls/{recorded.public_id}"))
    assert (told["recordingAvailable"], told["recordingUrl"]) == (True, None)
    assert (await keyless(house, f"/v1/calls/{recorded.public_id}/recording")).status_code == 404
    other = await house.bearer(member_id="somebody")
    assert (await house.client.get(f"/v1/calls/{recorded.public_id}", headers=other)).status_code == 403
    assert (await ok(house.client.get("/v1/calls", headers=other)))["total"] == 0


async def test_the_sound_of_a_call_ends_with_it(house: WebHouse) -> None:
    live = await begun(house)
    await opened(house)
    told = await ok(house.client.post(f"/v1/calls/{live.public_id}/end"))
    assert told["recordingAvailable"] and (await keyless(house, told["recordingUrl"])).status_code == 200
    assert (await ok(house.client.get(f"/api/v1/recordings/{live.id}")))["endedBy"] == "completed"
    again = await ok(house.client.post(f"/v1/calls/{live.public_id}/end"))
    assert again["endedAt"] == told["endedAt"]


async def test_who_may_only_write_ends_a_call_and_is_told_no_word_of_it(house: WebHouse) -> None:
    live = await begun(house, TURNS)
    house.client.headers.update(await house.bearer("recordings:write"))
    told = await ok(house.client.post(f"/v1/calls/{live.public_id}/end"))
    assert (told["status"], told["transcripts"], told["lastTranscriptSnippet"]) == ("completed", [], None)


async def test_what_has_expired_is_not_available(house: WebHouse) -> None:
    recorded = await ended(house)
    await opened(house)
    over = {"expiresAt": house.services.clock.now_ms() / 1000}
    await ok(house.client.patch(f"/api/v1/recordings/{recorded.id}", json=over))
    told = await ok(house.client.get(f"/v1/calls/{recorded.public_id}"))
    assert (told["recordingAvailable"], told["recordingUrl"]) == (False, None)


async def test_a_workspace_that_becomes_hipaa_opens_nothing_any_more(house: WebHouse) -> None:
    recorded = await ended(house)
    await opened(house)
    acme = await house.workspace()
    await house.services.workspaces.set(OPERATOR, acme.id, {"hipaa": True})
    assert (await keyless(house, f"/v1/calls/{recorded.public_id}/recording")).status_code == 404
    told = await ok(house.client.get(f"/v1/calls/{recorded.public_id}"))
    assert (told["recordingAvailable"], told["recordingUrl"]) == (True, None)


async def test_recording_that_is_turned_off_is_off_at_every_door(house: WebHouse) -> None:
    await ok(house.client.post("/credits/recording/disable"))
    refused = await house.client.post("/api/v1/recordings", json={})
    assert (refused.status_code, refused.json()["code"]) == (403, "recording_disabled")
    reader = await house.bearer("recordings:read", "recordings:write")
    assert (await house.client.post("/credits/recording/enable", headers=reader)).status_code == 403


async def test_who_waits_in_vain_is_told_how_the_call_stands(house: WebHouse) -> None:
    live = await begun(house)
    waiting = asyncio.create_task(house.client.get(f"/v1/calls/{live.public_id}?wait=true&timeout=10"))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    house.clock.advance(10)
    assert (await asyncio.wait_for(waiting, 30)).json()["status"] == "in-progress"


async def test_who_waits_is_not_kept_by_a_server_that_stops(house: WebHouse) -> None:
    live = await begun(house)
    waiting = asyncio.create_task(house.client.get(f"/v1/calls/{live.public_id}?wait=true&timeout=300"))
    await asyncio.sleep(0.05)
    house.app.options.stopping.set()
    assert (await asyncio.wait_for(waiting, 30)).json()["status"] == "in-progress"


async def test_a_silent_stream_has_a_heartbeat_every_fifteen_seconds(house: WebHouse) -> None:
    live = await begun(house, TURNS[:1])
    headers = {"authorization": house.client.headers["authorization"]}
    stream = AsgiStream(house.app, f"/v1/calls/{live.public_id}/transcript/stream", headers)
    assert (await stream.next() or "").startswith("event: connected\ndata: {")
    assert (await stream.next() or "").startswith("event: turn\ndata: {")
    for _ in range(2):
        house.clock.advance(15)
        assert await stream.next() == ": heartbeat\n\n"
    house.app.options.stopping.set()
    assert await stream.next() is None
    await stream.leave()


async def test_a_web_token_streams_the_sound_of_its_call_whatever_else_is_said(house: WebHouse) -> None:
    other = await begun(house)
    told = await ok(house.client.post("/v1/calls/web", json={"agentId": "agt_ada", "metadata": {"page": "support"}}))
    running = asyncio.create_task(house.services.intake.live.run())
    socket = AsgiSocket(house.app, f"/streams?token={told['accessToken']}")
    socket.say(started(recordingId=other.id, callId=other.call["id"], direction="inbound"))
    for n in range(3):
        socket.say(media(n))
    socket.say(STOP)
    await socket.ended()
    call = await ok(house.client.get(f"/v1/calls/{told['callId']}"))
    assert (call["direction"], call["agentId"], call["recordingAvailable"]) == ("web", "agt_ada", True)
    known = (await ok(house.client.get(f"/api/v1/calls/{told['callId']}")))["id"]
    [recording] = await house.services.store.find(Query(Recording).where("call_id", "=", known).by("id"))
    assert len(await heard(house, recording, "customer")) == 3 * len(frame(0))
    house.services.intake.live.stop()
    await running


async def test_a_web_token_is_good_for_half_a_minute_and_for_nothing_else(house: WebHouse) -> None:
    told = await ok(house.client.post("/v1/calls/web", json={"agentId": "agt_ada"}))
    as_key = {"authorization": f"Bearer {told['accessToken']}"}
    assert (await house.client.get("/v1/calls", headers=as_key)).status_code == 401
    house.clock.advance(30)
    socket = AsgiSocket(house.app, "/streams")
    socket.say(started(token=told["accessToken"]))
    assert await socket.ended() == {"type": "websocket.close", "code": 1008, "reason": "unauthorized"}
    public = await house.bearer(kind="public")
    assert (await house.client.post("/v1/calls/web", json={"agentId": "a"}, headers=public)).status_code == 403


async def test_the_path_that_two_apis_have_is_the_other_s_when_its_header_is_there(house: WebHouse) -> None:
    await begun(house)
    key = house.client.headers.pop("authorization").removeprefix("Bearer ")
    theirs = await ok(house.client.get("/v1/calls", headers={"API-Token": key}))
    ours = await ok(house.client.get("/v1/calls", headers={"Authorization": f"Bearer {key}"}))
    assert set(theirs) == {"success", "data", "meta"} and set(ours) == {"data", "hasMore", "total"}


async def test_a_call_at_the_end_of_all_years_spoils_no_list(house: WebHouse) -> None:
    recorded = await ended(house, TURNS, startedAt="9999-12-31T23:59:59Z")
    told = await ok(house.client.get("/v1/calls"))
    assert [(call["id"], call["endedAt"]) for call in told["data"]] == [
        (recorded.public_id, "9999-12-31T23:59:59.000Z")
    ]
    assert len((await ok(house.client.get(f"/v1/calls/{recorded.public_id}/transcript")))["transcript"]) == len(TURNS)
    for path in ("/call", f"/api/v1/calls/{recorded.call['id']}"):
        await ok(house.client.get(path))


async def test_what_was_told_with_a_call_is_kept_as_it_came(house: WebHouse) -> None:
    asked = {"agentId": "a", "toNumber": "+1", "systemPrompt": "Be brief", "modelTier": "max", "unheardOf": 1}
    made = await ok(house.client.post("/v1/calls", json={**asked, "disableRecording": True}))
    call = await ok(house.client.get(f"/api/v1/calls/{made['id']}"))
    kept = {"systemPrompt": "Be brief", "modelTier": "max"}
    assert call["metadata"] == {"agentphone": kept, "recordingDisabled": True}
    changed = await ok(house.client.patch(f"/api/v1/calls/{call['id']}", json={"metadata": {"ticket": 7}}))
    assert changed["metadata"] == {"recordingDisabled": True, "ticket": 7}
    refused = await house.client.post("/v1/calls", json={**asked, "modelTier": "huge"})
    assert refused.json()["detail"][0]["loc"] == ["body", "modelTier"]


async def message(house: WebHouse, recorded: Recorded, *scopes: str) -> Any:
    """To an endpoint of somebody with these scopes, or else with all."""
    member = f"owner {scopes}"
    await house.key(*scopes, member_id=member)
    render = house.services.webhooks.forms.of("agentphone").render
    call = await house.services.store.get(Call, recorded.call["id"])
    assert call is not None
    event = Event(
        id="e", workspace_id=call.workspace_id, type="call.ended", created_ms=house.clock.now_ms(), call_id=call.id
    )
    endpoint = WebhookEndpoint(
        id="h", workspace_id=call.workspace_id, member_id=member, url="", created_ms=0, updated_ms=0
    )
    rendering = await render(event, endpoint)
    assert rendering is None or len(rendering.body) < BODY_LIMIT
    return None if rendering is None else json.loads(rendering.body)


async def test_a_message_tells_the_end_of_a_call_with_all_that_was_said(house: WebHouse) -> None:
    recorded = await ended(house, TURNS)
    assert await message(house, recorded) == {
        "event": "agent.call_ended",
        "channel": "voice",
        "timestamp": "2025-10-09T08:53:20.000Z",
        "agentId": "agt_ada",
        "data": {
            "callId": recorded.public_id,
            "status": "completed",
            "endedAt": "2025-10-09T08:53:02.000Z",
            "durationSeconds": 2,
            "numberId": "num_1",
            "from": "+15550100",
            "to": "+15550199",
            "direction": "inbound",
            "startedAt": "2025-10-09T08:53:00.000Z",
            "disconnectionReason": None,
            "transcript": [
                {"role": "agent", "content": TURNS[0]["content"], "createdAt": "2025-10-09T08:53:00.100Z"},
                {"role": "user", "content": TURNS[1]["content"], "createdAt": "2025-10-09T08:53:00.700Z"},
                {"role": "agent", "content": TURNS[2]["content"], "createdAt": "2025-10-09T08:53:01.300Z"},
            ],
        },
        "recentHistory": [],
        "conversationState": None,
    }


async def test_an_owner_who_may_read_no_call_is_told_no_word_and_no_number(house: WebHouse) -> None:
    data = (await message(house, await ended(house, TURNS), "webhooks:manage"))["data"]
    assert (data["from"], data["to"], data["transcript"]) == ("", "", [])
    assert (data["status"], data["durationSeconds"]) == ("completed", 2)


async def test_the_webhook_is_of_who_has_last_said_where_it_is(house: WebHouse) -> None:
    bob, eve = [await house.bearer("webhooks:manage", member_id=name) for name in ("bob", "eve")]
    hook = await ok(house.client.post("/v1/webhooks", json={"url": "http://bobs.example/"}, headers=bob))
    moved = await ok(house.client.post("/v1/webhooks", json={"url": "http://eves.example/"}, headers=eve))
    endpoint = await house.services.store.get(WebhookEndpoint, hook["id"])
    assert endpoint is not None
    assert (moved["id"], endpoint.url, endpoint.member_id) == (hook["id"], "http://eves.example/", "eve")


async def test_a_message_says_nothing_that_was_redacted(house: WebHouse) -> None:
    recorded = await ended(house, TURNS)
    await redacted(house, recorded, Mask(start_us=1_300_000, end_us=1_800_000))
    said = [turn["content"] for turn in (await message(house, recorded))["data"]["transcript"]]
    assert said == [TURNS[0]["content"], TURNS[1]["content"], "[redacted]"]


@pytest.mark.parametrize("turn", ["long " * 3_000, "äöü" * 400])
async def test_a_message_that_would_be_too_long_is_cut_and_says_so(house: WebHouse, turn: str) -> None:
    turns = [{"role": "customer", "content": turn, "start": n} for n in range(50)]
    data = (await message(house, await ended(house, turns)))["data"]
    assert data["transcriptTruncated"] and 0 < len(data["transcript"]) < 50


def test_of_a_call_whose_facts_alone_are_too_long_the_message_is_too() -> None:
    """And is not sent: nothing is left of the transcript that could be cut."""
    long = "\x01" * 1_000
    call = Call(
        id="c",
        workspace_id="w",
        public_id="call_1",
        created_ms=0,
        updated_ms=0,
        assistant_id=long,
        phone_number_id=long,
        from_number=long,
        to_number=long,
        ended_reason=long,
    )
    turn = Turn(call_id="c", workspace_id="w", seq=0, id="t", role="customer", content="hi", start_ms=0, created_ms=0)
    event = Event(id="e", workspace_id="w", type="call.ended", created_ms=0, call_id="c")
    body = call_ended(event, call, [turn])
    assert len(body) >= BODY_LIMIT and json.loads(body)["data"]["transcript"] == []


async def test_of_a_deleted_call_nothing_is_told(house: WebHouse) -> None:
    recorded = await ended(house, TURNS)
    await ok(house.client.delete(f"/api/v1/calls/{recorded.call['id']}"))
    assert await message(house, recorded) is None


async def test_the_document_has_every_endpoint_with_its_form(house: WebHouse) -> None:
    document = await ok(house.client.get("/openapi/agentphone.json"))
    paths = document["paths"]
    summary = document["components"]["schemas"]["CallSummary"]
    assert {"id", "fromNumber", "toNumber", "status", "startedAt", "recordingAvailable"} <= set(summary["required"])
    assert paths["/v1/calls/{call_id}/recording"]["get"]["security"] == []
    assert set(paths["/v1/calls"]) == {"get", "post"} and set(paths["/v1/webhooks"]) == {"get", "post", "delete"}
    references = set(_references(document))
    missing = [
        found
        for found in references
        if found.removeprefix("#/components/schemas/") not in document["components"]["schemas"]
    ]
    assert references and missing == []


def _references(value: Any) -> Any:
    if isinstance(value, dict):
        yield from (
            found for name, inner in value.items() for found in ([inner] if name == "$ref" else _references(inner))
        )
    elif isinstance(value, list):
        yield from (found for inner in value for found in _references(inner))


async def test_a_call_of_which_a_part_was_redacted_is_told_without_what_was_said(house: WebHouse) -> None:
    recorded = await ended(house, TURNS)
    await redacted(house, recorded, Mask(start_us=0, end_us=1))
    version = await house.services.store.get(Recording, "redacted")
    assert version is not None
    unit = Unit()
    unit.change(replace(version, operation="trim", version=version.version + 1))
    await house.services.store.commit(unit)
    reader = await house.bearer("recordings:read")
    told = await ok(house.client.get(f"/v1/calls/{recorded.public_id}", headers=reader))
    assert (told["transcripts"], told["lastTranscriptSnippet"]) == ([], None)
    refused = await house.client.get(f"/v1/calls/{recorded.public_id}/transcript", headers=reader)
    assert refused.status_code == 403
    assert (await message(house, recorded))["data"]["transcript"] == []


async def test_a_trial_goes_nowhere_where_no_message_would_go(house: WebHouse) -> None:
    async with receiving() as receiver:
        endpoint = {"url": receiver.url(), "dialect": "agentphone", "verify": True}
        made = await ok(house.client.post("/api/v1/webhook-endpoints", json=endpoint))
        [challenge] = receiver.received
        assert challenge.json["type"] == "webhook_endpoint.verification" and not made["enabled"]
        nothing = {"success": False, "httpStatus": None, "errorMessage": "the endpoint is disabled"}
        assert await ok(house.client.post("/v1/webhooks/test")) == nothing
        assert receiver.received == [challenge]
        receiver.reply = lambda received: Reply(body=received.json["data"]["challenge"].encode())
        await ok(house.client.post(f"/api/v1/webhook-endpoints/{made['id']}/verify"))
        receiver.reply = lambda received: Reply()
        told = {"success": True, "httpStatus": 200, "errorMessage": None}
        assert await ok(house.client.post("/v1/webhooks/test")) == told
        assert receiver.received[-1].json["test"] is True


async def test_a_trial_goes_to_no_private_address() -> None:
    async with receiving() as receiver, webhouse() as house:
        house.client.headers.update(await house.bearer())
        await ok(house.client.post("/v1/webhooks", json={"url": receiver.url()}))
        house.services.webhooks.endpoints._sender = HttpxSender()
        told = {"success": False, "httpStatus": None, "errorMessage": "the address is not allowed"}
        assert await ok(house.client.post("/v1/webhooks/test")) == told
        assert receiver.received == []
