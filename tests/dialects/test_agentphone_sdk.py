"""AgentPhone's own Python client, both of its kinds, against the vault as it runs."""

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from agentphone import (
    AgentPhone,
    AgentPhoneError,
    AsyncAgentPhone,
    AuthenticationError,
    Call,
    NotFoundError,
    RateLimitError,
    WebhookVerificationError,
    construct_event,
)

from tests.dialects.agentphone_calls import SECONDS, TURNS, Recorded, begun, ended
from tests.integration.served import ServedVault
from tests.receiver import receiving

pytestmark = pytest.mark.xdist_group("agentphone")
SAID = [("agent", TURNS[0]["content"]), ("user", TURNS[1]["content"]), ("agent", TURNS[2]["content"])]


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedVault]:
    with ServedVault(tmp_path_factory.mktemp("agentphone") / "vault", private_webhooks="1") as vault:
        yield vault


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedVault]:
    with ServedVault(tmp_path_factory.mktemp("agentphone") / "strict", requests_per_minute="12") as vault:
        yield vault


@pytest.fixture(scope="module")
def native(vault: ServedVault) -> Iterator[httpx.Client]:
    with vault.client() as client:
        yield client


@pytest.fixture(scope="module")
def recorded(native: httpx.Client) -> Recorded:
    return ended(native, begun(native, TURNS))


@pytest.fixture
def phone(vault: ServedVault) -> Iterator[AgentPhone]:
    with AgentPhone(api_key=vault.key, base_url=vault.url) as client:
        client._session.headers["X-Sub-Account-Id"] = "sub_1"
        yield client


@pytest.fixture
def opened(native: httpx.Client) -> None:
    assert native.post("/credits/recording/enable").json() == {"recordingEnabled": True}


def of(calls: Any, recorded: Recorded) -> Call | None:
    return next((call for call in calls.data if call.id == recorded.public_id), None)


def test_a_call_is_got_with_all_that_was_said(phone: AgentPhone, recorded: Recorded, opened: None) -> None:
    call = phone.calls.get(recorded.public_id)
    assert (call.id, call.status, call.direction) == (recorded.public_id, "completed", "inbound")
    assert (call.from_number, call.to_number, call.phone_number) == ("+15550100", "+15550199", "+15550199")
    assert (call.agent_id, call.agent_name, call.phone_number_id) == ("agt_ada", "Ada", "num_1")
    assert call.started_at == "2026-03-04T05:06:07.000Z" and call.ended_at is not None
    assert call.duration_seconds is not None and call.duration_seconds > 0
    assert call.last_transcript_snippet == TURNS[2]["content"]
    assert call.recording_available
    assert call.recording_url == f"{phone.base_url}/v1/calls/{call.id}/recording"
    greeting, asked = call.transcripts
    assert (greeting.transcript, greeting.response) == ("", TURNS[0]["content"])
    assert (asked.transcript, asked.response) == (TURNS[1]["content"], TURNS[2]["content"])
    assert asked.id.startswith("tr_")
    assert asked.created_at == "2026-03-04T05:06:07.700Z"


def test_calls_are_listed_in_pages_and_narrowed(phone: AgentPhone, native: httpx.Client, recorded: Recorded) -> None:
    web = begun(native, direction="web", assistant={"id": "agt_web"}, phoneNumber={"id": "num_2"}, **{"from": "+4411"})
    first = phone.calls.list(limit=1)
    rest = phone.calls.list(limit=100, offset=1)
    assert (len(first.data), first.has_more, rest.has_more) == (1, True, False)
    assert first.total == rest.total == 1 + len(rest.data)
    assert first.data[0].id not in {call.id for call in rest.data}
    for found, other in (
        ({"status": "completed"}, {"status": "in-progress"}),
        ({"direction": "inbound"}, {"direction": "web"}),
        ({"type": "pstn"}, {"type": "web"}),
        ({"search": "550100"}, {"search": "4411"}),
    ):
        assert of(phone.calls.list(limit=100, **found), recorded), found
        assert not of(phone.calls.list(limit=100, **other), recorded), other
        assert of(phone.calls.list(limit=100, **other), web), other
    for nothing in ({"status": "lost"}, {"type": "fax"}, {"direction": "sideways"}):
        assert phone.calls.list(**nothing).data == []
    assert phone.calls.list(type="pstn", direction="web").total == 0


def test_a_number_s_and_an_agent_s_calls_are_its_own(phone: AgentPhone, recorded: Recorded) -> None:
    for calls in (phone.numbers.list_calls("num_1", limit=100), phone.agents.list_calls("agt_ada", limit=100)):
        assert of(calls, recorded) and all(call.agent_id == "agt_ada" for call in calls.data)
    for calls in (phone.numbers.list_calls("num_0"), phone.agents.list_calls("agt_0")):
        assert (calls.data, calls.has_more, calls.total) == ([], False, 0)


def test_a_recording_is_the_sound_of_the_call_to_the_byte(phone: AgentPhone, recorded: Recorded, opened: None) -> None:
    got = phone.calls.get_recording(recorded.public_id)
    assert (got.content_type, len(got.content)) == ("audio/wav", 44 + 2 * 8000 * SECONDS)
    assert got.content == recorded.wav


def test_nobody_needs_a_key_for_a_recording(vault: ServedVault, recorded: Recorded, opened: None) -> None:
    with AgentPhone(api_key="sk_live_of_nobody", base_url=vault.url) as stranger:
        assert stranger.calls.get_recording(recorded.public_id).content == recorded.wav
        with pytest.raises(AuthenticationError) as refused:
            stranger.calls.get(recorded.public_id)
    assert refused.value.message == "Invalid API key"


def test_a_transcript_is_in_order(phone: AgentPhone, recorded: Recorded) -> None:
    told = phone.calls.get_transcript(recorded.public_id)
    assert told["callId"] == recorded.public_id
    assert [(turn["role"], turn["content"]) for turn in told["transcript"]] == SAID


def test_the_stream_of_a_finished_call_is_replayed_and_ends(phone: AgentPhone, recorded: Recorded) -> None:
    connected, *turns, last = phone.calls.stream_transcript(recorded.public_id)
    assert connected["event"] == "connected" and connected["data"]["callId"] == recorded.public_id
    assert [turn["event"] for turn in turns] == ["turn"] * 3
    assert [(turn["data"]["role"], turn["data"]["content"]) for turn in turns] == SAID
    assert last["event"] == "ended" and last["data"]["durationSeconds"] > 0


def test_a_live_call_is_followed_until_it_is_ended(phone: AgentPhone, native: httpx.Client) -> None:
    live = begun(native, TURNS[:1])
    heard: list[dict] = []
    following = threading.Thread(target=lambda: heard.extend(phone.calls.stream_transcript(live.public_id)))
    following.start()
    newline = {**TURNS[1], "content": "one\ntwo\r\n\u2028three"}
    assert native.post(f"/api/v1/recordings/{live.id}/transcript/turns", json={"turns": [newline]}).status_code == 201
    told = phone.calls.end(live.public_id)
    following.join(20)
    assert (told["id"], told["status"]) == (live.public_id, "completed")
    assert [event["event"] for event in heard] == ["connected", "turn", "turn", "ended"]
    assert heard[0]["data"]["status"] == "in-progress" and heard[-1]["data"]["status"] == "completed"
    assert heard[2]["data"]["content"] == newline["content"]
    assert phone.calls.end(live.public_id)["endedAt"] == told["endedAt"]


def test_who_waits_is_answered_when_the_call_is_over(vault: ServedVault, native: httpx.Client) -> None:
    live, answered = begun(native), []

    def wait() -> None:
        path = f"/v1/calls/{live.public_id}?wait=true&timeout=30"
        answered.append(httpx.get(vault.url + path, headers=vault.headers, timeout=40))

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.7)
    assert not answered
    native.post(f"/api/v1/calls/{live.call['id']}/end")
    waiting.join(20)
    assert answered[0].json()["status"] == "completed"


def test_a_call_is_registered_and_nobody_dialled(phone: AgentPhone) -> None:
    call = phone.calls.make("agt_ada", "+15550142", from_number_id="num_1", variables={"name": "Bo"}, voice="v")
    assert (call.status, call.direction, call.to_number) == ("in-progress", "outbound", "+15550142")
    assert (call.agent_id, call.phone_number_id) == ("agt_ada", "num_1")
    assert phone.calls.get(call.id).started_at == call.started_at
    assert phone.calls.make_conversation("agt_ada", "+15550142", "Say hello").id != call.id


def test_a_call_that_shall_not_be_recorded_is_not(phone: AgentPhone, native: httpx.Client) -> None:
    call = phone.calls.make("agt_ada", "+15550143", disable_recording=True)
    known = native.get(f"/api/v1/calls/{call.id}").json()
    refused = native.post("/api/v1/recordings", json={"call": {"id": known["id"]}})
    assert (refused.status_code, refused.json()["code"]) == (403, "recording_disabled")
    assert not phone.calls.get(call.id).recording_available
    with pytest.raises(NotFoundError):
        phone.calls.get_recording(call.id)


def test_a_web_call_gets_a_token_for_half_a_minute(phone: AgentPhone) -> None:
    told = phone.calls.create_web_call("agt_ada", metadata={"page": "support"}, variables={"name": "Bo"})
    assert told["accessToken"].startswith("cvpass_") and told["expiresInSeconds"] == 30
    call = phone.calls.get(told["callId"])
    assert (call.direction, call.agent_id) == ("web", "agt_ada")
    with pytest.raises(AuthenticationError), AgentPhone(told["accessToken"], phone.base_url) as browser:
        browser.calls.list()


def test_turned_off_recordings_are_kept_and_not_shown(
    phone: AgentPhone, native: httpx.Client, recorded: Recorded, opened: None
) -> None:
    assert native.post("/credits/recording/disable").json() == {"recordingEnabled": False}
    try:
        call = phone.calls.get(recorded.public_id)
        assert (call.recording_available, call.recording_url) == (True, None)
        with pytest.raises(NotFoundError) as gone:
            phone.calls.get_recording(recorded.public_id)
        assert gone.value.message == "Recording not found"
    finally:
        native.post("/credits/recording/enable")
    assert phone.calls.get_recording(recorded.public_id).content == recorded.wav


def test_what_is_not_there_is_the_client_s_own_not_found(phone: AgentPhone, native: httpx.Client, opened: None) -> None:
    unfinished = begun(native)
    assert not phone.calls.get(unfinished.public_id).recording_available
    for ask, message in (
        (lambda: phone.calls.get("call_nobody"), "Call not found"),
        (lambda: phone.calls.get_transcript("call_nobody"), "Call not found"),
        (lambda: phone.calls.end("call_nobody"), "Call not found"),
        (lambda: list(phone.calls.stream_transcript("call_nobody")), "Call not found"),
        (lambda: phone.calls.get_recording("call_nobody"), "Recording not found"),
        (lambda: phone.calls.get_recording(unfinished.public_id), "Recording not found"),
    ):
        with pytest.raises(NotFoundError) as missing:
            ask()
        assert (missing.value.status, missing.value.message) == (404, message)


def test_what_is_malformed_is_told_in_fastapi_s_form(phone: AgentPhone) -> None:
    with pytest.raises(AgentPhoneError) as refused:
        phone.calls.list(limit=101)
    assert refused.value.status == 422
    (flaw,) = refused.value.message
    assert (flaw["loc"], flaw["type"]) == (["query", "limit"], "less_than_equal")


def test_too_many_requests_are_the_client_s_own_rate_limit(strict: ServedVault) -> None:
    with strict.client() as client:
        other = client.post("/api/v1/keys", json={"scopes": ["recordings:read"]}).json()["key"]
    with AgentPhone(other, strict.url) as phone, pytest.raises(RateLimitError) as limited:
        for _ in range(13):
            phone.calls.list()
    assert limited.value.status == 429


async def test_a_webhook_is_told_of_the_end_of_a_call(phone: AgentPhone, native: httpx.Client) -> None:
    assert await asyncio.to_thread(phone.webhooks.get) is None
    assert (await asyncio.to_thread(phone.webhooks.list_deliveries)) == []
    async with receiving() as receiver:
        hook = await asyncio.to_thread(phone.webhooks.set, receiver.url(), context_limit=5, timeout=20)
        assert (hook.status, hook.context_limit, hook.timeout) == ("active", 5, 20)
        assert await asyncio.to_thread(phone.webhooks.get) == hook
        live = await asyncio.to_thread(begun, native, TURNS)
        await asyncio.to_thread(phone.calls.end, live.public_id)
        async with asyncio.timeout(20):
            while not receiver.received:
                await asyncio.sleep(0.05)
        (received,) = receiver.received
        headers = received.headers
        signature, at = headers["x-webhook-signature"], headers["x-webhook-timestamp"]
        event = construct_event(received.body, signature, hook.secret, at)
        with pytest.raises(WebhookVerificationError):
            construct_event(received.body + b" ", signature, hook.secret, at)
        assert (event.event, event.channel, event.agent_id) == ("agent.call_ended", "voice", "agt_ada")
        assert (event.data.call_id, event.data.status) == (live.public_id, "completed")
        assert [(turn["role"], turn["content"]) for turn in event.data.transcript] == SAID
        delivered = await asyncio.to_thread(settled_delivery, phone)
        assert delivered.id == headers["x-webhook-id"]
        assert (delivered.event_type, delivered.http_status, delivered.attempt_count) == ("agent.call_ended", 200, 1)
        stats, ever = phone.webhooks.get_delivery_stats(), phone.webhooks.get_all_time_stats()
        assert (stats.total, stats.success, stats.failed, stats.success_rate) == (1, 1, 0, 100.0)
        assert stats.by_event_type == {"agent.call_ended": {"success": 1, "failed": 0, "pending": 0}}
        assert len(stats.by_hour) == 1
        assert ever == {"total": 1, "success": 1, "failed": 0, "successRate": 100.0}
        tried = await asyncio.to_thread(phone.webhooks.test, message="hi", channel="sms")
        assert tried == {"success": True, "httpStatus": 200, "errorMessage": None}
        trial = receiver.received[-1]
        told = construct_event(
            trial.body, trial.headers["x-webhook-signature"], hook.secret, trial.headers["x-webhook-timestamp"]
        )
        assert (told.event, told.test, told.data.message) == ("agent.message", True, "hi")
        again = await asyncio.to_thread(phone.webhooks.set, receiver.url("/other"))
        assert again.id == hook.id and again.secret != hook.secret and again.url.endswith("/other")
        assert again.context_limit == 10
    assert phone.webhooks.delete() == {"success": True}
    with pytest.raises(NotFoundError):
        phone.webhooks.delete()


def settled_delivery(phone: AgentPhone) -> Any:
    for _ in range(1200):
        (delivery,) = phone.webhooks.list_deliveries(hours=1)
        if delivery.status == "delivered":
            return delivery
        time.sleep(0.05)
    raise AssertionError(delivery)


async def test_the_client_that_awaits_gets_the_same(
    vault: ServedVault, native: httpx.Client, recorded: Recorded, opened: None
) -> None:
    async with AsyncAgentPhone(api_key=vault.key, base_url=vault.url) as phone:
        assert of(await phone.calls.list(limit=100), recorded)
        assert of(await phone.numbers.list_calls("num_1", limit=100), recorded)
        assert of(await phone.agents.list_calls("agt_ada", limit=100), recorded)
        assert (await phone.calls.get(recorded.public_id)).recording_available
        assert (await phone.calls.get_recording(recorded.public_id)).content == recorded.wav
        assert len((await phone.calls.get_transcript(recorded.public_id))["transcript"]) == 3
        events = [event["event"] async for event in phone.calls.stream_transcript(recorded.public_id)]
        assert events == ["connected", "turn", "turn", "turn", "ended"]
        made = await phone.calls.make("agt_ada", "+15550144")
        assert (await phone.calls.end(made.id))["status"] == "completed"
        assert (await phone.calls.create_web_call("agt_ada"))["callId"].startswith("call_")
        assert await phone.webhooks.get() is None
        hook = await phone.webhooks.set("https://example.com/hook", timeout=5)
        assert await phone.webhooks.get() == hook and hook.timeout == 5
        assert await phone.webhooks.list_deliveries() == []
        assert (await phone.webhooks.get_delivery_stats(hours=168)).total == 0
        assert (await phone.webhooks.get_all_time_stats())["total"] == 0
        assert await phone.webhooks.delete() == {"success": True}
        with pytest.raises(NotFoundError):
            await phone.calls.get("call_nobody")
        with pytest.raises(NotFoundError):
            await phone.calls.get_recording("call_nobody")
    async with AsyncAgentPhone(api_key="nobody", base_url=vault.url) as stranger:
        with pytest.raises(AuthenticationError):
            await stranger.calls.list()


def test_a_stream_ends_cleanly_when_the_server_stops(strict: ServedVault) -> None:
    with strict.client() as client:
        live = begun(client, TURNS[:1])
    with AgentPhone(strict.key, strict.url) as phone:
        events = phone.calls.stream_transcript(live.public_id)
        assert [next(events)["event"], next(events)["event"]] == ["connected", "turn"]
        stopping = threading.Thread(target=strict.stop)
        stopping.start()
        assert list(events) == []
        stopping.join(20)
