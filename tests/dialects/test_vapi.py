"""Vapi's dialect: golden transcripts, each headed by the line it comes from; its messages; deletions; many calls."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callvault.domain.call import Call, Turn
from callvault.domain.errors import BlobsUnavailable
from callvault.domain.job import Job
from callvault.domain.query import Query
from callvault.domain.unit import Unit
from callvault.domain.webhook import BODY_LIMIT, Delivery
from callvault.web.dialects.vapi.messages import fitting
from callvault.web.dialects.vapi.routes import TURNS_AT_ONCE
from callvault.web.options import Options
from callvault.wire import isotime
from tests.audits import audited
from tests.dialects import goldens
from tests.dialects.soundcalls import SPOKEN, TURNS, same_logs
from tests.dialects.soundhouse import KINDS, begun, ended, ok, redacted, with_artifacts, working
from tests.integration.test_native_artifacts import two_speak
from tests.receiver import Receiver, receiving
from tests.webhouse import WebHouse, webhouse
from tests.workhouse import until

GOLDEN = sorted((Path(__file__).parent / "golden" / "vapi").glob("*.txt"))
NO_CALL = "00000000-0000-4000-8000-000000000000"
ENDPOINTS = (
    "mono-recording",
    "stereo-recording",
    "customer-recording",
    "assistant-recording",
    "video-recording",
    "pcap",
    "call-logs",
)


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse(Options(public_url="http://vault.test")) as house:
        house.client.headers.update(await house.bearer())
        yield house


async def server(house: WebHouse, receiver: Receiver, **more: Any) -> Any:
    asked = {"url": receiver.url(), "dialect": "vapi", "secret": "a-shared-secret", **more}
    return await ok(house.client.post("/api/v1/webhook-endpoints", json=asked))


async def told(receiver: Receiver, *kinds: str) -> list[Any]:
    """The messages of these kinds, in this order of kinds, when all are there."""

    async def all_there() -> Any:
        found = {message["type"]: message for message in (one.json["message"] for one in receiver.received)}
        return [found[kind] for kind in kinds] if found.keys() >= set(kinds) else None

    return await until(all_there)  # type: ignore[no-any-return]


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
async def test_the_wire_is_as_the_golden_file_says(house: WebHouse, file: Path) -> None:
    recorded, live = await ended(house, await with_artifacts(house, await begun(house))), await begun(house, seed=3)
    silent = await ended(house, await begun(house, sound=False, turns=False))
    known = {
        "recorded": recorded.id,
        "live": live.id,
        "silent": silent.id,
        "recording": recorded.recording_id,
        "workspace": (await house.workspace()).id,
        "key": house.client.headers.pop("authorization").removeprefix("Bearer "),
        "reader": await house.key("recordings:read"),
        "public": await house.key(kind="public"),
        "chats": await house.key("chats:read"),
        "stranger": await house.key(workspace="other"),
    }
    exchanges = goldens.read(file)
    assert exchanges
    for asked in exchanges:
        answer = await goldens.answered(house.client, asked, known)
        assert goldens.told(answer, asked, known, {}) == goldens.wanted(asked)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_an_artifact_is_a_redirect_to_a_fresh_link_that_ends_soon(house: WebHouse, endpoint: str) -> None:
    made = await ended(house, await with_artifacts(house, await begun(house)))
    first, second = [await house.client.get(f"/call/{made.id}/{endpoint}") for _ in range(2)]
    assert (first.status_code, first.content, first.headers["cache-control"]) == (302, b"", "no-store")
    location = first.headers["location"]
    assert location.startswith("http://vault.test/link/") and location != second.headers["location"]
    head = await house.client.head(f"/call/{made.id}/{endpoint}")
    assert (head.status_code, head.headers["location"].startswith("http://vault.test/link/")) == (302, True)
    followed = await house.client.get(location)
    assert same_logs(followed.content) if endpoint == "call-logs" else followed.content == made.files[endpoint]
    house.clock.advance(300)
    assert (await house.client.get(location)).status_code == 403


async def test_the_end_of_a_call_is_reported_with_all_that_there_is(house: WebHouse) -> None:
    async with receiving() as receiver, working(house):
        await server(house, receiver)
        made = await ended(house, await with_artifacts(house, await begun(house)))
        upload, report = await told(receiver, "call.artifact.upload", "end-of-call-report")
        assert {one.headers["x-vapi-secret"] for one in receiver.received} == {"a-shared-secret"}
        assert all(len(one.body) < BODY_LIMIT for one in receiver.received)
    assert {(one["type"], one["success"]) for one in upload["artifacts"]} == {
        ("recording-mono", True),
        ("recording-stereo", True),
        ("recording-assistant", True),
        ("recording-customer", True),
        ("log", True),
        ("pcap", True),
    }
    assert upload["call"]["id"] == report["call"]["id"] == made.id
    assert report["startedAt"] == "2025-03-04T05:06:07.000Z" and report["endedAt"] and "artifact" not in report["call"]
    artifact = report["artifact"]
    assert artifact["transcript"] == SPOKEN and report["analysis"] == {}
    assert artifact["recordingUrl"] == f"http://vault.test/call/{made.id}/mono-recording"
    assert (await house.client.get(artifact["presignedMonoUrl"])).content == made.files["mono-recording"]


async def test_a_report_that_is_sent_again_has_fresh_links(house: WebHouse) -> None:
    async with receiving() as receiver, working(house):
        endpoint = await server(house, receiver)
        await ended(house, await begun(house))
        await told(receiver, "end-of-call-report")
        sent = await house.services.store.find(Query(Delivery).where("event_type", "=", "call.ended").by("id"))
        assert [delivery.endpoint_id for delivery in sent] == [endpoint["id"]]

        async def delivered() -> bool:
            told = await house.services.store.get(Delivery, sent[0].id)
            return told is not None and told.state == "delivered"

        await until(delivered)
        await ok(house.client.post(f"/api/v1/deliveries/{sent[0].id}/replay"))

        async def twice() -> Any:
            reports = [one.json["message"] for one in receiver.received]
            found = [one["artifact"]["presignedMonoUrl"] for one in reports if one["type"] == "end-of-call-report"]
            return found if len(found) == 2 else None

        first, second = await until(twice)
        assert first != second


async def test_a_call_that_ends_before_its_sound_is_reported_when_that_is_there(house: WebHouse) -> None:
    made = await begun(house)
    async with receiving() as receiver, working(house):
        await server(house, receiver)
        await ok(house.client.post(f"/api/v1/calls/{made.id}/end", json={"reason": "customer-ended-call"}))

        async def tried() -> bool:
            jobs = await house.services.store.find(Query(Job).where("kind", "=", "webhooks.send").by("id"))
            return any(job.error_code == "sound_still_coming" for job in jobs)

        await until(tried)
        assert receiver.received == []
        await ended(house, made)
        house.clock.advance(60)
        [report] = await told(receiver, "end-of-call-report")
        assert report["endedReason"] == "customer-ended-call" and report["artifact"]["presignedMonoUrl"]


async def test_a_server_is_told_no_more_than_its_owner_may_read(house: WebHouse) -> None:
    owner = await house.bearer("webhooks:manage", member_id="narrow")
    async with receiving() as receiver, working(house):
        asked = {"url": receiver.url(), "dialect": "vapi", "secret": "a-shared-secret"}
        await ok(house.client.post("/api/v1/webhook-endpoints", json=asked, headers=owner))
        await ended(house, await begun(house))
        [report] = await told(receiver, "end-of-call-report")
    assert report["artifact"] == report["analysis"] == {} and report["call"].keys() == {"id", "orgId", "type", "status"}


async def test_many_calls_are_deleted_later_and_each_is_told(house: WebHouse) -> None:
    kept = await ended(house, await begun(house, seed=5))
    doomed = [await ended(house, await begun(house, seed=7 + n)) for n in range(2)]
    hold = {"reason": "a claim"}
    await ok(house.client.post(f"/api/v1/recordings/{kept.recording_id}/holds", json=hold))
    async with receiving() as receiver:
        await server(house, receiver)
        ids = [doomed[0].id, doomed[1].id.upper(), kept.id, NO_CALL]
        answer = await house.client.request("DELETE", f"/call/{NO_CALL}", json={"ids": ids})
        assert (answer.status_code, answer.json()["id"]) == (200, doomed[0].id)
        assert (await house.client.get(f"/call/{doomed[0].id}")).status_code == 200
        async with working(house):

            async def all_told() -> Any:
                found = [one.json["message"] for one in receiver.received]
                return found if len(found) == 4 else None

            messages = await until(all_told)
    by_call = {message["call"]["id"]: (message["type"], message.get("reason")) for message in messages}
    assert by_call == {
        doomed[0].id: ("call.deleted", None),
        doomed[1].id: ("call.deleted", None),
        kept.id: ("call.delete.failed", "on_hold"),
        NO_CALL: ("call.delete.failed", "not_found"),
    }
    assert (await house.client.get(f"/call/{doomed[1].id}")).status_code == 404
    assert (await house.client.get(f"/call/{kept.id}/mono-recording")).status_code == 302


async def test_of_calls_that_are_others_a_failed_deletion_tells_nothing(house: WebHouse) -> None:
    own = await ok(house.client.post("/call", json={}))
    other = await house.client.post("/call", json={}, headers=await house.bearer(workspace="other"))
    private = {"kind": "manager", "participants": [{"id": "bob", "role": "customer"}]}
    bobs = await ok(house.client.post("/api/v1/calls", json=private, headers=await house.bearer(member_id="bob")))
    ids = [own["id"], other.json()["id"], bobs["id"]]
    async with receiving() as receiver, working(house):
        await server(house, receiver, eventTypes=["call.deleteFailed"])
        await ok(house.client.request("DELETE", f"/call/{NO_CALL}", json={"ids": ids}))
        await until(lambda: asyncio.sleep(0, len(receiver.received) == 2))
    messages = [one.json["message"] for one in receiver.received]
    told = {message["call"]["id"]: (message["reason"], message["call"].keys()) for message in messages}
    assert told == {ids[1]: ("not_found", {"id"}), ids[2]: ("forbidden", {"id"})}


async def test_ids_of_which_no_call_is_known_are_not_found(house: WebHouse) -> None:
    answer = await house.client.request("DELETE", f"/call/{NO_CALL}", json={"ids": [NO_CALL]})
    assert (answer.status_code, answer.json()["message"]) == (404, "Call not found.")


async def test_while_the_storage_does_not_answer_no_call_is_deleted(house: WebHouse) -> None:
    made = await ended(house, await begun(house))
    house.services.erasures._blobs = Away()  # type: ignore[assignment]
    answer = await house.client.request("DELETE", f"/call/{made.id}", json={})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["message"] == "Failed to erase call recordings; the call was not deleted. Retry the request."
    assert (await house.client.get(f"/call/{made.id}/mono-recording")).status_code == 302


class Away:
    def check(self) -> None:
        raise BlobsUnavailable(why="it is far away")


async def test_a_redacted_call_is_told_redacted(house: WebHouse) -> None:
    made = await ended(house, await begun(house))
    reader = await house.bearer("recordings:read")
    told = (await ok(house.client.get(f"/call/{made.id}", headers=reader)))["artifact"]
    assert told["transcript"] == SPOKEN
    await redacted(house, made)
    told = (await ok(house.client.get(f"/call/{made.id}", headers=reader)))["artifact"]
    assert told["transcript"] == "AI: Good morning, this is Ada.\nUser: [redacted]\n"
    for url in (told["presignedCustomerUrl"], told["recording"]["mono"]["customerUrl"]):
        got = await house.client.get(url, headers=reader, follow_redirects=True)
        sound = np.frombuffer(got.content[44:], "<i2")
        assert not sound[5600:9600].any() and np.array_equal(sound[:5600], made.customer[:5600])
    original = await house.client.get(f"/call/{made.id}/customer-recording", follow_redirects=True)
    assert original.content == made.files["customer-recording"]


async def test_no_metadata_is_told_in_the_place_of_a_fact(house: WebHouse) -> None:
    forged = {"id": "x", "orgId": "x", "createdAt": "x", "status": "x", "type": "x", "artifact": "x", "cost": 0.25}
    made = await ok(house.client.post("/api/v1/calls", json={"direction": "web", "metadata": {"vapi": forged}}))
    told = await ok(house.client.get(f"/call/{made['id']}"))
    assert (told["id"], told["type"], told["cost"]) == (made["id"], "webCall", 0.25)
    assert "x" not in told.values()


@pytest.mark.parametrize("kept", [{"type": ["x"]}, {"type": {}}, {"artifactPlan": {"transcriptPlan": []}}, ["x"], 1])
async def test_no_metadata_spoils_the_list(house: WebHouse, kept: Any) -> None:
    await ok(house.client.post("/api/v1/calls", json={"metadata": {"vapi": kept}}))
    [call] = await ok(house.client.get("/call"))
    assert (call["type"], call["artifactPlan"]["transcriptPlan"]["enabled"]) == ("inboundPhoneCall", True)


async def test_a_hundred_calls_cost_a_handful_of_looks(house: WebHouse) -> None:
    one = await ended(house, await with_artifacts(house, await begun(house)))
    few = await looks(house, "/call?limit=1")
    for n in range(20):
        await ended(house, await begun(house, seed=n))
    assert await looks(house, "/call?limit=100") <= few + 1
    calls = await ok(house.client.get("/call"))
    assert len(calls) == 21 and all(call["artifact"]["presignedStereoUrl"] for call in calls)
    assert "pcapUrl" in next(call["artifact"] for call in calls if call["id"] == one.id)


async def test_calls_in_which_more_was_said_than_can_be_held_are_all_listed(house: WebHouse) -> None:
    for n in range(6):
        call = await ok(house.client.post("/api/v1/calls", json={"name": f"call {n}"}))
        workspace_id = (await house.services.store.get(Call, call["id"])).workspace_id  # type: ignore[union-attr]
        facts = {"call_id": call["id"], "workspace_id": workspace_id, "role": "customer", "created_ms": 0}
        unit = Unit()
        unit.add(*(Turn(seq=m, id="", content=str(m + n), start_ms=m, **facts) for m in range(TURNS_AT_ONCE // 6 + 1)))
        await house.services.store.commit(unit)
    listed = await ok(house.client.get("/call"))
    assert [call["name"] for call in listed] == [f"call {n}" for n in reversed(range(6))]
    assert [call["messages"][-1]["message"] for call in listed] == [
        f"{TURNS_AT_ONCE // 6 + n}" for n in (5, 4, 3, 2, 1, 0)
    ]
    assert listed[5] == await ok(house.client.get(f"/call/{listed[5]['id']}"))


async def test_what_is_minted_together_is_audited_together(house: WebHouse) -> None:
    made = await ended(house, await begun(house))
    await ok(house.client.get(f"/call/{made.id}"))
    await house.services.audit.flush()
    entries = [e for e in await audited(house.services.store) if e.thing == f"recording:{made.recording_id}"]
    [minted] = [entry.detail for entry in entries if "links" in entry.detail]
    assert sorted(minted["links"]) == ["assistant.wav", "customer.wav", "mono.wav", "stereo.wav"]  # type: ignore[arg-type]


def test_a_report_that_would_be_too_long_leaves_out_what_can_be_had_elsewhere() -> None:
    lines = [{"role": "user", "message": "all that was said " * 10} for _ in range(400)]
    text = "User: all that was said\n" * 4_000
    artifact = {"messages": lines, "messagesOpenAIFormatted": lines, "transcript": text, "recordingUrl": "http://x/y"}
    message = {"type": "end-of-call-report", "artifact": artifact, "call": {"id": "c", "customer": {"number": "+1"}}}
    body = fitting(message)  # type: ignore[arg-type]
    cut = json.loads(body)["message"]
    assert len(body) < BODY_LIMIT and cut["call"] == message["call"]
    assert cut["artifact"].keys() == {"transcript", "recordingUrl"}
    assert (
        text.startswith(cut["artifact"]["transcript"].removesuffix("…")) and len(cut["artifact"]["transcript"]) > 5_000
    )
    huge = {**message, "analysis": {"summary": "x" * 30_000}}
    assert json.loads(fitting(huge))["message"]["call"] == {"id": "c"}  # type: ignore[arg-type]
    long_urls = {**message, "artifact": {"recordingUrl": "http://x/" + "y" * 20_000}}
    assert json.loads(fitting(long_urls))["message"]["artifact"] == {}  # type: ignore[arg-type]


async def looks(house: WebHouse, path: str) -> int:
    """How often the database is asked for this."""
    store: Any = house.services.store
    asked = {name: getattr(store, name) for name in ("find", "get", "count")}
    counted = 0

    def counting(ask: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def counted_too(*given: Any) -> Any:
            nonlocal counted
            counted += 1
            return await ask(*given)

        return counted_too

    for name, ask in asked.items():
        setattr(store, name, counting(ask))
    try:
        await ok(house.client.get(path))
    finally:
        for name, ask in asked.items():
            setattr(store, name, ask)
    assert counted
    return counted


OFF = {"recordingEnabled": False}
IN_MP3 = {"recordingFormat": "mp3"}


@pytest.mark.parametrize(
    ("asked", "plan"),
    [
        ({"assistant": {"name": "Ada", "artifactPlan": OFF}}, OFF),
        ({"assistantOverrides": {"artifactPlan": OFF}}, OFF),
        ({"assistant": {"artifactPlan": OFF}, "assistantOverrides": {"artifactPlan": {"recordingEnabled": True}}}, {}),
        ({"assistant": {"artifactPlan": {**OFF, **IN_MP3}}, "artifactPlan": {"recordingEnabled": True}}, IN_MP3),
        ({"assistant": {"artifactPlan": {"transcriptPlan": {"assistantName": "Bot"}}}}, {}),
    ],
)
async def test_a_plan_is_heeded_wherever_vapi_s_clients_tell_it(house: WebHouse, asked: Any, plan: Any) -> None:
    told = await ok(house.client.post("/call", json={**asked, "phoneCallProvider": "twilio"}))
    assert told["phoneCallProvider"] == "twilio"
    whole = {"recordingEnabled": True, "recordingFormat": "wav;l16"} | plan
    assert {name: told["artifactPlan"][name] for name in whole} == whole
    names = told["artifactPlan"]["transcriptPlan"]
    assert (names["enabled"], names["userName"]) == (True, "User")
    begun = await house.client.post("/api/v1/recordings", json={"call": {"id": told["id"]}})
    assert begun.status_code == (201 if whole["recordingEnabled"] else 403)
    if begun.status_code == 201:
        assert begun.json()["format"] == ("mp3" if plan == IN_MP3 else "wav")


async def test_a_transcript_that_was_not_wanted_is_not_told(house: WebHouse) -> None:
    plan = {"transcriptPlan": {"enabled": False}}
    call = await ok(house.client.post("/call", json={"assistantOverrides": {"artifactPlan": plan}}))
    made = await ok(house.client.post("/api/v1/recordings", json={"call": {"id": call["id"]}}))
    await ok(house.client.put(f"/api/v1/recordings/{made['id']}/transcript", json={"turns": TURNS}))
    told = (await ok(house.client.get(f"/call/{call['id']}")))["artifact"]
    assert told["messages"] and "transcript" not in told


async def test_presigned_urls_are_told_to_end_with_what_they_open(house: WebHouse) -> None:
    made = await ended(house, await begun(house))
    expires = house.services.clock.now_ms() / 1000 + 60
    await ok(house.client.patch(f"/api/v1/recordings/{made.recording_id}", json={"expiresAt": expires}))
    told = (await ok(house.client.get(f"/call/{made.id}")))["artifact"]
    assert isotime.parse(told["presignedUrlsExpiresAt"]) == round(expires * 1000)


async def test_of_ids_nothing_is_told_to_who_may_not_delete_them(house: WebHouse) -> None:
    mine, other = await house.bearer(member_id="me"), await house.bearer(member_id="other")
    private = await begun(house, headers=mine, sound=False, turns=False, kind="direct", participants=[{"id": "me"}])
    open_to_all = await begun(house, sound=False, turns=False)
    answer = await house.client.request("DELETE", f"/call/{NO_CALL}", json={"ids": [private.id]}, headers=other)
    assert answer.status_code == 403
    both = {"ids": [private.id, open_to_all.id]}
    answer = await house.client.request("DELETE", f"/call/{NO_CALL}", json=both, headers=other)
    assert (answer.status_code, answer.json()["id"]) == (200, open_to_all.id)


async def announced(house: WebHouse, plan: Any) -> tuple[str, str]:
    """A call that a Vapi client has registered, and the path of its recording."""
    call = await ok(house.client.post("/call", json={"assistant": {"artifactPlan": plan}}))
    made = await ok(house.client.post("/api/v1/recordings", json={"call": {"id": call["id"]}}))
    return call["id"], f"/api/v1/recordings/{made['id']}"


async def kept(house: WebHouse, where: str, kind: str, query: str = "") -> tuple[int, str]:
    media_type, data = KINDS[kind]
    place = f"{where}/artifacts/{kind}{query}"
    answer = await house.client.put(place, content=data, headers={"content-type": media_type})
    return answer.status_code, answer.json().get("code", "")


@pytest.mark.parametrize(
    ("plan", "wanted"),
    [
        ({}, {"video", "call-logs", "pcap"}),
        ({"videoRecordingEnabled": None, "pcapEnabled": None}, {"video", "call-logs", "pcap"}),
        ({"videoRecordingEnabled": False}, {"call-logs", "pcap"}),
        ({"videoRecordingEnabled": True, "loggingEnabled": False}, {"video", "pcap"}),
        ({"videoRecordingEnabled": True, "pcapEnabled": False}, {"video", "call-logs"}),
    ],
)
async def test_what_a_plan_has_turned_off_is_not_kept(house: WebHouse, plan: Any, wanted: set[str]) -> None:
    call_id, where = await announced(house, plan)
    for kind, endpoint in (("video", "video-recording"), ("call-logs", "call-logs"), ("pcap", "pcap")):
        told = await kept(house, where, kind)
        assert told == ((201, "") if kind in wanted else (403, "recording_disabled"))
        assert (await house.client.get(f"/call/{call_id}/{endpoint}")).status_code == (302 if kind in wanted else 404)
    listed = await ok(house.client.get(f"{where}/artifacts"))
    assert {one["kind"] for one in listed["data"]} == wanted


async def test_what_a_plan_has_turned_off_stays_so_whatever_else_is_told_of_the_call(house: WebHouse) -> None:
    call_id, where = await announced(house, {"videoRecordingEnabled": False})
    await ok(house.client.patch(f"/api/v1/calls/{call_id}", json={"metadata": {"ticket": 7}}))
    assert await kept(house, where, "video") == (403, "recording_disabled")
    told = {"metadata": {"artifactsDisabled": []}}
    await ok(house.client.patch(f"/api/v1/calls/{call_id}", json=told))
    assert await kept(house, where, "video") == (201, "")


async def test_of_a_call_that_keeps_no_captures_a_capture_is_rebuilt_and_not_kept(house: WebHouse) -> None:
    call_id, where = await announced(house, {"pcapEnabled": False})
    told = await ok(house.client.put(f"{where}/artifacts/pcap?rebuild=true", content=two_speak()))
    assert set(told["lanes"]) == {"customer", "assistant"}
    await ok(house.client.post(f"{where}/complete"))
    assert (await house.client.get(f"/call/{call_id}/mono-recording")).status_code == 302
    assert (await house.client.get(f"/call/{call_id}/pcap")).status_code == 404


async def test_where_a_video_begins_is_told_where_it_is_known(house: WebHouse) -> None:
    call_id, where = await announced(house, {"videoRecordingEnabled": True})
    assert await kept(house, where, "video") == (201, "")
    told = (await ok(house.client.get(f"/call/{call_id}")))["artifact"]["recording"]
    assert told["videoUrl"] and "videoRecordingStartDelaySeconds" not in told
    for query, start in (("?start=0", 0), ("?start=1250.4", 1.25)):
        assert await kept(house, where, "video", query) == (200, "")
        for path in (f"/call/{call_id}", f"/call?id={call_id}"):
            answer = await ok(house.client.get(path))
            [told] = answer if isinstance(answer, list) else [answer]
            assert told["artifact"]["recording"]["videoRecordingStartDelaySeconds"] == start
    [listed] = (await ok(house.client.get(f"{where}/artifacts")))["data"]
    assert listed["metadata"] == {"start": 1.25}
    for wrong in ("x", "-1", "nan", "86400001", "1" * 41):
        assert await kept(house, where, "video", f"?start={wrong}") == (400, "malformed")


async def test_what_a_plan_leaves_open_is_as_vapi_has_it(house: WebHouse) -> None:
    plan = {"transcriptPlan": {"enabled": None, "assistantName": None, "userName": "Caller"}}
    call_id, where = await announced(house, plan)
    await ok(house.client.put(f"{where}/transcript", json={"turns": TURNS}))
    told = await ok(house.client.get(f"/call/{call_id}"))
    whole = {"enabled": True, "assistantName": "AI", "userName": "Caller"}
    assert told["artifactPlan"]["transcriptPlan"] == whole
    assert told["artifact"]["transcript"] == SPOKEN.replace("User:", "Caller:")
