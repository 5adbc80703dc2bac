"""Live streams over a websocket: Twilio's, Telnyx's and jambonz', and what goes wrong with them."""

import asyncio
import json
import random
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from callvault.adapters.store.memory import MemoryStore
from callvault.domain.access import Caller
from callvault.domain.query import Query
from callvault.domain.recording import Recording
from callvault.domain.unit import Unit
from callvault.web.options import Options
from callvault.wire.g711 import decode_ulaw
from tests.fakes import FakeClock
from tests.integration.asgisocket import AsgiSocket
from tests.webhouse import WebHouse, webhouse
from tests.workhouse import until

FRAME = 160


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse() as house:
        house.client.headers.update(await house.bearer())
        live = asyncio.create_task(house.services.intake.live.run())
        yield house
        house.services.intake.live.stop()
        await live


def frame(n: int, track: str = "inbound") -> bytes:
    return np.random.default_rng(n + (1000 if track == "outbound" else 0)).integers(0, 256, FRAME, np.uint8).tobytes()


def started(**parameters: str) -> dict[str, Any]:
    return {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": "MZ1",
        "start": {
            "accountSid": "AC1",
            "streamSid": "MZ1",
            "callSid": "CA1",
            "tracks": ["inbound", "outbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": parameters,
        },
    }


def media(n: int, track: str = "inbound") -> dict[str, Any]:
    return {
        "event": "media",
        "sequenceNumber": str(n + 2),
        "media": {
            "track": track,
            "chunk": str(n + 1),
            "timestamp": str(20 * n),
            "payload": b64encode(frame(n, track)).decode(),
        },
        "streamSid": "MZ1",
    }


STOP = {"event": "stop", "sequenceNumber": "99", "streamSid": "MZ1", "stop": {"accountSid": "AC1", "callSid": "CA1"}}


async def recordings(house: WebHouse) -> list[Recording]:
    return list(await house.services.store.find(Query(Recording).by("created_ms", "id")))


async def heard(house: WebHouse, recording: Recording, view: str) -> np.ndarray:
    opened = await house.services.delivery.views.open(recording, view, live=True)
    return (await asyncio.to_thread(opened.pcm, 0, opened.frames))[:, 0]


async def me(house: WebHouse) -> Any:
    return Caller(await house.services.access.authenticate(await house.key()))


async def test_a_twilio_stream_becomes_a_recording_of_two_lanes(house: WebHouse) -> None:
    socket = AsgiSocket(house.app, "/streams")
    socket.say({"event": "connected", "protocol": "Call", "version": "1.0.0"})
    facts = {"from": "+15550100", "direction": "outbound", "assistantId": "a1", "tags": "vip, new", "crm": "7"}
    socket.say(started(token=await house.key(), **facts))
    order = [0, 2, 1, 1, 4]
    for n in order:
        socket.say(media(n))
        socket.say(media(n, "outbound"))
    socket.say({"event": "dtmf", "streamSid": "MZ1", "dtmf": {"track": "inbound_track", "digit": "1"}})
    socket.say(STOP)
    assert (await socket.ended())["type"] == "websocket.close"
    [recording] = await recordings(house)
    assert (recording.status, recording.ended_by, recording.tags) == ("completed", "completed", ("vip", "new"))
    call = await house.services.calls.by_external_id((await me(house)), "twilio", "CA1")
    assert (call.from_number, call.direction, call.assistant_id) == ("+15550100", "outbound", "a1")
    assert call.metadata == {"crm": "7"}
    for track, view in (("inbound", "customer"), ("outbound", "assistant")):
        sound = await heard(house, recording, view)
        assert len(sound) == 5 * FRAME
        for n in range(5):
            expected = np.zeros(FRAME, np.int16) if n == 3 else decode_ulaw(frame(n, track))
            assert np.array_equal(sound[n * FRAME : (n + 1) * FRAME], expected)


async def test_a_lost_connection_goes_on_in_the_same_recording(house: WebHouse) -> None:
    key = await house.key()
    first = AsgiSocket(house.app, "/streams", {"authorization": f"Bearer {key}"})
    first.say(started())
    first.say(media(0))
    await first.read_all()
    first.leave()
    await asyncio.wait_for(first.running, 5)
    [recording] = await recordings(house)
    assert recording.in_progress
    house.clock.advance(0.02)
    second = AsgiSocket(house.app, f"/api/v1/streams?token={key}")
    second.say(started())
    second.say(media(0))
    second.say(STOP)
    await second.ended()
    [recording] = await recordings(house)
    assert recording.status == "completed" and recording.duration_us == 40_000


async def test_tracks_that_come_on_connections_of_their_own_make_one_recording(house: WebHouse) -> None:
    headers = {"authorization": f"Bearer {await house.key()}"}
    both = [AsgiSocket(house.app, "/streams", headers) for _ in range(2)]
    for socket, track in zip(both, ("inbound", "outbound"), strict=True):
        socket.say(started())
        socket.say(media(0, track))
    for socket in both:
        await socket.read_all()
    for socket in both:
        socket.say(STOP)
    for socket in both:
        await socket.ended()
    [recording] = await recordings(house)
    assert (recording.status, recording.channels) == ("completed", 2)


async def test_a_stream_goes_into_the_recording_that_it_names(house: WebHouse) -> None:
    told = (await house.client.post("/api/v1/recordings", json={})).json()
    socket = AsgiSocket(house.app, "/streams")
    socket.say(started(key=await house.key(), recordingId=told["id"], inboundLane="caller-1"))
    socket.say(media(0))
    socket.say(STOP)
    await socket.ended()
    described = (await house.client.get(f"/api/v1/recordings/{told['id']}")).json()
    assert (described["status"], described["participants"][0]["lane"]) == ("completed", "caller-1")


class SlowStore(MemoryStore):
    """Each commit takes a while."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock

    async def commit(self, unit: Unit) -> None:
        self.clock.advance(0.3)
        await super().commit(unit)


@pytest.mark.parametrize("late_ms", [0, 2000])
async def test_a_stream_begins_when_it_says_so_and_not_when_its_recording_is_made(late_ms: int) -> None:
    clock = FakeClock()
    async with webhouse(clock=clock, store=SlowStore(clock)) as house:
        headers = await house.bearer()
        socket, said_ms = AsgiSocket(house.app, "/streams", headers), clock.ms
        call = {"startedAt": (said_ms - late_ms) / 1000} if late_ms else {}
        socket.say(started(call=json.dumps(call)))
        socket.say(media(0))
        socket.say(STOP)
        await socket.ended()
        [recording] = await recordings(house)
        assert clock.ms > said_ms and recording.started_ms == said_ms - late_ms
        silence = np.zeros(8 * late_ms, np.int16)
        assert np.array_equal(
            await heard(house, recording, "customer"), np.concatenate([silence, decode_ulaw(frame(0))])
        )


async def test_a_telnyx_stream_is_taken(house: WebHouse) -> None:
    socket = AsgiSocket(house.app, "/streams", {"authorization": f"Bearer {await house.key()}"})
    start = {
        "call_control_id": "v3:abc",
        "user_id": "u",
        "from": "+15550100",
        "to": "+15550101",
        "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
    }
    socket.say({"event": "start", "sequence_number": "1", "start": start, "stream_id": "s"})
    payload = {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": b64encode(frame(0)).decode()}
    socket.say({"event": "media", "sequence_number": "2", "media": payload, "stream_id": "s"})
    socket.say({"event": "stop", "stream_id": "s"})
    await socket.ended()
    call = await house.services.calls.by_external_id(await me(house), "telnyx", "v3:abc")
    assert (call.from_number, call.to_number) == ("+15550100", "+15550101")


async def test_a_jambonz_stream_of_interleaved_samples_is_taken(house: WebHouse) -> None:
    credentials = b64encode(f"user:{await house.key()}".encode()).decode()
    headers = {"authorization": f"Basic {credentials}"}
    socket = AsgiSocket(house.app, "/streams", headers, ("audio.jambonz.org",))
    sound = np.random.default_rng(1).integers(-9000, 9000, (8000, 2), np.int16)
    socket.say(
        {"callSid": "c1", "sampleRate": 8000, "mixType": "stereo", "from": "1", "to": "2", "direction": "inbound"}
    )
    data = sound.tobytes()
    for at in range(0, len(data), 999):
        socket.say_bytes(data[at : at + 999])
    await socket.read_all()
    socket.leave(1000)
    await asyncio.wait_for(socket.running, 5)
    assert socket.heard[0]["subprotocol"] == "audio.jambonz.org"
    [recording] = await recordings(house)
    assert recording.status == "completed"
    assert np.array_equal(await heard(house, recording, "customer"), sound[:, 0])
    assert np.array_equal(await heard(house, recording, "assistant"), sound[:, 1])


@pytest.mark.parametrize("sip_id", ["a84b4c76e66710@pbx.example.com", "d8907723-0bc7-123b-09b5-12e962f3039b"])
async def test_what_jambonz_calls_call_id_is_sip_s_unless_it_is_one_of_ours(house: WebHouse, sip_id: str) -> None:
    async def streamed(call_sid: str, call_id: str) -> Recording:
        before = {recording.id for recording in await recordings(house)}
        socket = AsgiSocket(house.app, "/streams", {"authorization": f"Bearer {await house.key()}"})
        socket.say({"callSid": call_sid, "callId": call_id, "sampleRate": 8000, "mixType": "mono"})
        socket.say_bytes(bytes(320))
        await asyncio.wait_for(socket.read_all(), 5)
        socket.leave(1000)
        await asyncio.wait_for(socket.running, 5)
        [made] = [recording for recording in await recordings(house) if recording.id not in before]
        return made

    first, second = await streamed("c1", sip_id), await streamed("c1", sip_id)
    call = await house.services.calls.by_external_id(await me(house), "jambonz", "c1")
    assert (first.call_id, second.call_id) == (call.id, call.id)
    assert call.id != sip_id and call.metadata == {"callId": sip_id}
    assert (await streamed("c2", call.id)).call_id == call.id


async def test_nobody_streams_without_a_key(house: WebHouse) -> None:
    refused = AsgiSocket(house.app, "/streams", {"authorization": "Bearer cvk_no"})
    assert (await refused.ended())["type"] == "websocket.http.response.body"
    assert refused.heard[0]["status"] == 401
    for parameters in ({}, {"token": "cvk_wrong"}):
        socket = AsgiSocket(house.app, "/streams")
        socket.say(started(**parameters))
        assert await socket.ended() == {"type": "websocket.close", "code": 1008, "reason": "unauthorized"}
    weak = AsgiSocket(house.app, "/streams")
    weak.say(started(token=await house.key("recordings:read")))
    assert (await weak.ended())["reason"] == "forbidden"
    assert await recordings(house) == []


@pytest.mark.parametrize("first", ["garbage", "[]", '{"event":"media"}', '{"event":"start"}', "{" * 10_000])
async def test_garbage_is_no_stream(house: WebHouse, first: str) -> None:
    socket = AsgiSocket(house.app, "/streams", {"authorization": f"Bearer {await house.key()}"})
    socket.say(first)
    assert await socket.ended() == {"type": "websocket.close", "code": 1008, "reason": "malformed"}


async def test_what_came_before_garbage_is_kept(house: WebHouse) -> None:
    socket = AsgiSocket(house.app, "/streams", {"authorization": f"Bearer {await house.key()}"})
    socket.say(started())
    for n in range(3):
        socket.say(media(n))
    socket.say('{"event":"media","media":{"payload":"?"}}')
    assert (await socket.ended())["reason"] == "malformed"
    [recording] = await recordings(house)
    assert recording.in_progress and len(await heard(house, recording, "customer")) == 3 * FRAME


TELNYX_FORM = {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}
TELNYX_STARTED = {
    "event": "start",
    "start": {"call_control_id": "v3:abc", "media_format": TELNYX_FORM},
    "stream_id": "s",
}


@pytest.mark.parametrize("start", [started(), TELNYX_STARTED])
async def test_binary_is_jambonz_alone_and_what_came_before_it_is_kept(house: WebHouse, start: dict[str, Any]) -> None:
    socket = AsgiSocket(house.app, "/streams", {"authorization": f"Bearer {await house.key()}"})
    socket.say(start)
    for n in range(3):
        socket.say(media(n))
    socket.say_bytes(random.Random(1).randbytes(4000))
    socket.say(media(3))
    assert await socket.ended() == {"type": "websocket.close", "code": 1008, "reason": "malformed"}
    [recording] = await recordings(house)
    assert recording.in_progress
    expected = decode_ulaw(b"".join(frame(n) for n in range(3)))
    assert np.array_equal(await heard(house, recording, "customer"), expected)


async def test_a_frame_from_the_far_future_is_refused_and_what_came_before_it_is_kept(house: WebHouse) -> None:
    socket = AsgiSocket(house.app, "/streams", {"authorization": f"Bearer {await house.key()}"})
    socket.say(started())
    for n in range(3):
        socket.say(media(n))
    far = media(3)
    far["media"]["timestamp"] = str(40 * 3600 * 1000)
    socket.say(far)
    assert await socket.ended() == {"type": "websocket.close", "code": 1008, "reason": "malformed"}
    [recording] = await recordings(house)
    assert recording.in_progress and len(await heard(house, recording, "customer")) == 3 * FRAME


async def test_a_start_with_two_channels_in_one_track_begins_nothing(house: WebHouse) -> None:
    socket = AsgiSocket(house.app, "/streams", {"authorization": f"Bearer {await house.key()}"})
    start = started()
    start["start"]["mediaFormat"]["channels"] = 2
    socket.say(start)
    assert await socket.ended() == {"type": "websocket.close", "code": 1008, "reason": "malformed"}
    assert await recordings(house) == []


async def test_a_sender_that_falls_silent_is_given_up_and_what_it_sent_is_kept() -> None:
    async with webhouse(Options(stall_seconds=0.1)) as house:
        mute = AsgiSocket(house.app, "/streams", await house.bearer())
        assert (await mute.ended())["reason"] == "request_timeout"
        socket = AsgiSocket(house.app, "/streams", await house.bearer())
        socket.say(started())
        for n in range(3):
            socket.say(media(n))
        async with asyncio.timeout(20):
            while not any(said["type"] == "websocket.close" for said in socket.heard):
                await asyncio.sleep(0.01)
        assert socket.heard[-1] == {"type": "websocket.close", "code": 1008, "reason": "request_timeout"}
        socket.leave(1008)
        await socket.ended()
        [recording] = await recordings(house)
        assert recording.in_progress and len(await heard(house, recording, "customer")) == 3 * FRAME


async def test_a_flood_is_stopped(house: WebHouse) -> None:
    socket = AsgiSocket(house.app, "/streams", {"authorization": f"Bearer {await house.key()}"})
    socket.say(started())
    big = {**media(0), "media": {**media(0)["media"], "payload": b64encode(bytes(150_000)).decode()}}
    for _ in range(12):
        socket.say(big)
    assert await socket.ended() == {"type": "websocket.close", "code": 1013, "reason": "rate_limited"}


async def test_a_workspace_without_recording_takes_no_stream(house: WebHouse) -> None:
    await house.workspace("silent", recording_enabled=False)
    socket = AsgiSocket(house.app, "/streams", await house.bearer(workspace="silent"))
    socket.say(started())
    assert (await socket.ended())["reason"] == "recording_disabled"


async def test_a_workspace_that_turns_recording_off_ends_its_streams(house: WebHouse) -> None:
    socket = AsgiSocket(house.app, "/streams", await house.bearer())
    socket.say(started())
    socket.say(media(0))
    await socket.read_all()
    await house.client.patch("/api/v1/workspace", json={"recordingEnabled": False})

    async def over_however_much_is_said() -> bool:
        socket.say(media(1))
        return socket.running.done()

    await until(over_however_much_is_said)
    assert (await socket.ended())["reason"] == "recording_disabled"


async def test_a_recording_that_is_completed_ends_its_stream(house: WebHouse) -> None:
    socket = AsgiSocket(house.app, "/streams", {"authorization": f"Bearer {await house.key()}"})
    socket.say(started())
    socket.say(media(0))
    await socket.read_all()
    [recording] = await recordings(house)
    completed = await house.client.post(f"/api/v1/recordings/{recording.id}/complete")
    assert completed.json()["duration"] == 0.02
    house.clock.advance(2)

    async def over_however_much_is_said() -> bool:
        socket.say(media(1))
        return socket.running.done()

    await until(over_however_much_is_said)
    assert (await socket.ended())["reason"] == "recording_ended"


@pytest.mark.parametrize("rate", [7999, 96_000])
async def test_who_stops_before_his_sound_was_found_to_be_none_that_a_lane_can_have_is_told(
    house: WebHouse, rate: int
) -> None:
    socket = AsgiSocket(house.app, "/streams")
    start = started(token=await house.key())
    start["start"]["mediaFormat"]["sampleRate"] = rate
    for message in (start, media(0), STOP):
        socket.say(message)
    assert await socket.ended() == {"type": "websocket.close", "code": 1008, "reason": "malformed"}
