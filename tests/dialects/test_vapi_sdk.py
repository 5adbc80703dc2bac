"""Vapi's own Python client against the vault as it runs: everything that it can ask of calls."""

import io
import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import av
import httpx
import numpy as np
import pytest
from vapi import (
    AsyncVapi,
    BadRequestError,
    CreateCustomerDto,
    NotFoundError,
    ServiceUnavailableError,
    UnauthorizedError,
    Vapi,
)
from vapi.core.api_error import ApiError
from websockets.sync.client import connect

from callvault.wire.g711 import decode_ulaw
from tests.commands import command
from tests.dialects.soundcalls import Sounded, begun, ended, ok, put_lane, same_logs, settled, wav, with_artifacts
from tests.integration.served import ServedVault

SUFFIX = "_download"
ENDPOINTS = (
    "mono_recording",
    "stereo_recording",
    "customer_recording",
    "assistant_recording",
    "video_recording",
    "pcap",
    "call_logs",
)
MEDIA_TYPES = {"pcap": "application/vnd.tcpdump.pcap", "call_logs": "application/gzip", "video_recording": "video/mp4"}
PRESIGNED = {
    "mono-recording": "presigned_mono_url",
    "stereo-recording": "presigned_stereo_url",
    "customer-recording": "presigned_customer_url",
    "assistant-recording": "presigned_assistant_url",
    "video-recording": "presigned_video_url",
    "pcap": "presigned_pcap_url",
}
pytestmark = pytest.mark.xdist_group("vapi-sdk")
NO_CALL = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedVault]:
    with ServedVault(tmp_path_factory.mktemp("vapi") / "vault") as vault:
        yield vault


@pytest.fixture(scope="module")
def native(vault: ServedVault) -> Iterator[httpx.Client]:
    with vault.client() as client:
        yield client


@pytest.fixture(scope="module")
def sounded(native: httpx.Client) -> Sounded:
    return ended(native, with_artifacts(native, begun(native)))


@pytest.fixture(scope="module")
def going_on(native: httpx.Client) -> Sounded:
    return begun(native, seed=11)


@pytest.fixture
def vapi(vault: ServedVault) -> Vapi:
    return Vapi(token=vault.key, base_url=vault.url)


def download(client: Vapi, endpoint: str) -> Callable[..., Any]:
    raw = client.calls.with_raw_response
    return getattr(raw, f"call_artifact_controller_{endpoint}{SUFFIX}")  # type: ignore[no-any-return]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_artifact_is_downloaded_whole_with_the_key_still_on_the_redirected_request(
    vapi: Vapi, sounded: Sounded, endpoint: str
) -> None:
    got = download(vapi, endpoint)(sounded.id)._response
    [redirect] = got.history
    assert redirect.status_code == 302 and redirect.headers["location"].startswith("http://")
    assert got.request.headers["authorization"] == redirect.request.headers["authorization"]
    name = endpoint.replace("_", "-")
    assert same_logs(got.content) if name == "call-logs" else got.content == sounded.files[name]
    assert got.headers["content-type"] == MEDIA_TYPES.get(endpoint, "audio/wav")
    assert "content-encoding" not in got.headers
    assert got.headers["content-disposition"].startswith("attachment")


async def test_the_client_s_asynchronous_kind_downloads_the_same(vault: ServedVault, sounded: Sounded) -> None:
    client = AsyncVapi(token=vault.key, base_url=vault.url)
    raw = client.calls.with_raw_response
    got = await raw.call_artifact_controller_stereo_recording_download(sounded.id)
    assert got._response.content == sounded.files["stereo-recording"]
    assert [call.id for call in await client.calls.list(id=sounded.id)] == [sounded.id]


def test_a_call_is_got_with_all_of_its_parts(vapi: Vapi, vault: ServedVault, sounded: Sounded) -> None:
    call = vapi.calls.get(sounded.id)
    assert (call.id, call.type, call.status) == (sounded.id, "inboundPhoneCall", "ended")
    assert (call.assistant_id, call.phone_number_id) == (
        sounded.call["assistant"]["id"],
        sounded.call["phoneNumber"]["id"],
    )
    assert call.started_at == datetime(2025, 3, 4, 5, 6, 7, tzinfo=UTC) and call.ended_at is not None
    assert call.customer is not None and call.customer.number == "+15550100" and call.customer.name == "Bob"
    assert call.artifact_plan is not None and call.artifact_plan.recording_format == "wav;l16"
    artifact = call.artifact
    assert artifact is not None
    assert artifact.transcript == "AI: Good morning, this is Ada.\nUser: I need an appointment.\n"
    assert [(m.role, m.message) for m in artifact.messages] == [  # type: ignore[union-attr]
        ("bot", "Good morning, this is Ada."),
        ("user", "I need an appointment."),
    ]
    assert [(m.role, m.content) for m in artifact.messages_open_ai_formatted or ()] == [
        ("assistant", "Good morning, this is Ada."),
        ("user", "I need an appointment."),
    ]
    own = f"{vault.url}/call/{sounded.id}"
    assert artifact.recording is not None and artifact.recording.mono is not None
    assert artifact.recording.stereo_url == artifact.stereo_recording_url == f"{own}/stereo-recording"
    assert artifact.recording.mono.combined_url == artifact.recording_url == f"{own}/mono-recording"
    assert artifact.recording.mono.customer_url == f"{own}/customer-recording"
    assert artifact.recording.mono.assistant_url == f"{own}/assistant-recording"
    assert (artifact.pcap_url, artifact.log_url) == (f"{own}/pcap", f"{own}/call-logs")


def test_presigned_urls_need_no_key_and_are_fresh_in_every_answer(vapi: Vapi, sounded: Sounded) -> None:
    first, second = vapi.calls.get(sounded.id).artifact, vapi.calls.list(id=sounded.id)[0].artifact
    assert first is not None and second is not None
    for endpoint, name in PRESIGNED.items():
        assert getattr(first, name) != getattr(second, name)
        assert httpx.get(getattr(first, name)).content == sounded.files[endpoint]
    assert same_logs(httpx.get(str(first.presigned_log_url)).content)
    assert first.presigned_urls_expires_at is not None
    left = datetime.fromisoformat(str(first.presigned_urls_expires_at)) - datetime.now(UTC)
    assert timedelta(minutes=55) < left <= timedelta(hours=1)
    assert first.recording_url == second.recording_url


def test_a_call_that_goes_on_has_no_artifacts_yet(vapi: Vapi, going_on: Sounded) -> None:
    call = vapi.calls.get(going_on.id)
    assert (call.status, call.ended_at) == ("in-progress", None)
    assert call.artifact is not None and call.artifact.recording is None and call.artifact.presigned_mono_url is None
    for endpoint in ENDPOINTS:
        with pytest.raises(NotFoundError) as raised:
            download(vapi, endpoint)(going_on.id)
        assert raised.value.body == {"message": "Artifact not found.", "error": "Not Found", "statusCode": 404}


def test_what_a_call_has_not_is_not_found(vapi: Vapi, native: httpx.Client) -> None:
    bare = ended(native, begun(native, seed=21, turns=False))
    silent = ended(native, begun(native, sound=False, turns=False))
    for call, endpoint in ((bare, "pcap"), (bare, "video_recording"), (bare, "call_logs"), (silent, "mono_recording")):
        with pytest.raises(NotFoundError) as raised:
            download(vapi, endpoint)(call.id)
        assert raised.value.body["message"] == "Artifact not found."
    artifact = vapi.calls.get(bare.id).artifact
    assert artifact is not None and artifact.recording_url and artifact.presigned_mono_url
    assert (artifact.pcap_url, artifact.log_url, artifact.video_recording_url, artifact.presigned_pcap_url) == (
        None,
    ) * 4
    assert vapi.calls.get(silent.id).artifact.recording_url is None  # type: ignore[union-attr]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_wrong_key_and_a_call_that_is_not_there_have_their_own_errors(
    vapi: Vapi, vault: ServedVault, endpoint: str
) -> None:
    with pytest.raises(UnauthorizedError) as refused:
        download(Vapi(token="cvk_00000000_000000000000000000000000", base_url=vault.url), endpoint)(NO_CALL)
    assert refused.value.body == {
        "message": "Unauthorized — missing or invalid API token.",
        "error": "Unauthorized",
        "statusCode": 401,
    }
    with pytest.raises(NotFoundError) as missing:
        download(vapi, endpoint)(NO_CALL)
    assert missing.value.body == {"message": "Artifact not found.", "error": "Not Found", "statusCode": 404}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_public_key_gets_no_artifact(vault: ServedVault, sounded: Sounded, endpoint: str) -> None:
    key = new_key(vault, "--public")
    with pytest.raises(ApiError) as refused:
        download(Vapi(token=key, base_url=vault.url), endpoint)(sounded.id)
    assert refused.value.status_code == 403
    assert (refused.value.body["error"], refused.value.body["statusCode"]) == ("Forbidden", 403)
    place = f"{vault.url}/call/{sounded.id}/{endpoint.replace('_', '-')}"
    head = httpx.head(place, headers={"authorization": f"Bearer {key}"})
    assert (head.status_code, "location" in head.headers) == (403, False)


def test_calls_are_listed_and_narrowed(vapi: Vapi, native: httpx.Client, sounded: Sounded) -> None:
    assert sounded.id in {call.id for call in vapi.calls.list()}
    assert [call.id for call in vapi.calls.list(id=sounded.id)] == [sounded.id]
    assert vapi.calls.list(limit=0) == []
    assert len(vapi.calls.list(limit=1)) == 1
    other = "11111111-1111-4111-8111-111111111111"
    assert vapi.calls.list(assistant_id=other) == [] == vapi.calls.list(phone_number_id=other)
    assert sounded.id in {call.id for call in vapi.calls.list(assistant_id=sounded.call["assistant"]["id"])}
    [call] = vapi.calls.list(id=sounded.id)
    at, tick = call.created_at, timedelta(milliseconds=1)
    bounds = {"ge": at, "le": at, "gt": at - tick, "lt": at + tick}
    for operator, bound in bounds.items():
        assert sounded.id in {found.id for found in vapi.calls.list(**{f"created_at_{operator}": bound})}  # type: ignore[arg-type]
    assert vapi.calls.list(id=sounded.id, created_at_gt=at) == [] == vapi.calls.list(id=sounded.id, created_at_lt=at)
    assert vapi.calls.list(id=sounded.id, updated_at_gt=call.updated_at) == []
    assert len(vapi.calls.list(id=sounded.id, updated_at_ge=call.updated_at)) == 1
    answer = native.get("/call", params={"limit": "1001"})
    assert (answer.status_code, answer.json()["error"]) == (400, "Bad Request")
    assert isinstance(native.get("/call", params={"limit": "1"}).json(), list)


def test_a_created_call_is_recorded_by_the_address_it_came_with(vapi: Vapi, vault: ServedVault) -> None:
    customer = CreateCustomerDto(number="+15550111", name="Eve", external_id="crm-7")
    created = vapi.calls.create(name="first", assistant_id=NO_CALL, phone_number_id=NO_CALL, customer=customer)
    assert (created.status, created.name, created.type) == ("queued", "first", "outboundPhoneCall")
    assert created.customer.number == "+15550111" and created.artifact.recording is None
    frames = {track: np.random.default_rng(n).integers(0, 256, 1600, np.uint8) for n, track in enumerate(TRACKS)}
    stream(created.monitor.listen_url, frames)
    with vault.client() as native:
        found = ok(native.get("/api/v1/recordings", params={"callId": created.id}))["data"]
        settled(native, found[0]["id"])
    call = vapi.calls.get(created.id)
    assert (call.id, call.status, call.customer.external_id) == (created.id, "ended", "crm-7")  # type: ignore[union-attr]
    expected = wav(decode_ulaw(frames["inbound"].tobytes()))
    assert download(vapi, "customer_recording")(created.id)._response.content == expected
    assert vapi.calls.update(created.id, name="renamed").name == "renamed"
    assert vapi.calls.get(created.id).name == "renamed"


def test_a_call_that_is_not_to_be_recorded_takes_in_no_sound(vapi: Vapi, native: httpx.Client) -> None:
    plan = {"artifactPlan": {"recordingEnabled": False}}
    told = ok(native.post("/call", json={"assistantId": NO_CALL, **plan}))
    assert told["artifactPlan"]["recordingEnabled"] is False and "monitor" not in told
    assert native.post("/api/v1/recordings", json={"call": {"id": told["id"]}}).status_code == 403


def test_mp3_is_given_where_the_call_s_plan_asks_for_it(vapi: Vapi, native: httpx.Client) -> None:
    told = ok(native.post("/call", json={"assistantId": NO_CALL, "artifactPlan": {"recordingFormat": "mp3"}}))
    recording = ok(native.post("/api/v1/recordings", json={"call": {"id": told["id"]}}))
    made = Sounded(recording["id"], {"id": told["id"]}, tone(440), tone(660))
    for lane in ("customer", "assistant"):
        put_lane(native, made.recording_id, lane, getattr(made, lane))
    ended(native, made)
    for endpoint, expected in (
        ("mono_recording", made.customer + made.assistant),
        ("customer_recording", made.customer),
    ):
        got = download(vapi, endpoint)(told["id"])._response
        assert got.headers["content-type"] == "audio/mpeg"
        assert ".mp3" in got.headers["content-disposition"]
        assert loudest(decoded(got.content)) == loudest(expected)
    presigned = vapi.calls.get(told["id"]).artifact.presigned_stereo_url  # type: ignore[union-attr]
    assert httpx.get(str(presigned)).headers["content-type"] == "audio/mpeg"


def test_deleting_a_call_s_data_leaves_none_and_can_be_done_again(vapi: Vapi, native: httpx.Client) -> None:
    doomed = ended(native, with_artifacts(native, begun(native, seed=31)))
    presigned = vapi.calls.get(doomed.id).artifact.presigned_mono_url  # type: ignore[union-attr]
    assert vapi.calls.delete(doomed.id).id == doomed.id
    assert vapi.calls.delete(doomed.id).id == doomed.id
    with pytest.raises(ApiError) as gone:
        vapi.calls.get(doomed.id)
    assert gone.value.status_code == 404
    with pytest.raises(NotFoundError):
        download(vapi, "mono_recording")(doomed.id)
    assert httpx.get(str(presigned)).status_code == 403


def test_malformed_requests_are_bad(vapi: Vapi, native: httpx.Client) -> None:
    answer = native.post("/call", json={"name": 7})
    assert (answer.status_code, answer.json()["error"], answer.json()["statusCode"]) == (400, "Bad Request", 400)
    with pytest.raises(BadRequestError) as raised:
        vapi.calls.create(customers=[CreateCustomerDto(number="+15550111")])
    assert raised.value.body["statusCode"] == 400


def test_when_the_storage_is_away_nothing_is_deleted(vapi: Vapi, vault: ServedVault, native: httpx.Client) -> None:
    kept = ended(native, begun(native, seed=41))
    storage, away = vault.data / "objects", vault.data / "away"
    storage.rename(away)
    storage.write_text("not a folder")
    try:
        with pytest.raises(ServiceUnavailableError) as raised:
            vapi.calls.delete(kept.id)
    finally:
        storage.unlink()
        away.rename(storage)
    sentence = "Failed to erase call recordings; the call was not deleted. Retry the request."
    assert raised.value.body == {"message": sentence, "error": "Service Unavailable", "statusCode": 503}
    assert download(vapi, "mono_recording")(kept.id)._response.content == kept.files["mono-recording"]


TRACKS = ("inbound", "outbound")


def stream(address: str, frames: dict[str, np.ndarray]) -> None:
    """What a sender of Twilio's media streams does who was given nothing but the address."""
    form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    facts = {"streamSid": "MZ9", "callSid": "CA9", "tracks": [*TRACKS], "mediaFormat": form, "customParameters": {}}
    with connect(address) as socket:
        socket.send(json.dumps({"event": "start", "streamSid": "MZ9", "start": facts}))
        for n in range(0, 1600, 160):
            for track, sound in frames.items():
                told = {"track": track, "chunk": str(n // 160 + 1), "timestamp": str(n // 8)}
                payload = b64encode(sound[n : n + 160].tobytes()).decode()
                socket.send(json.dumps({"event": "media", "streamSid": "MZ9", "media": {**told, "payload": payload}}))
        socket.send(json.dumps({"event": "stop", "streamSid": "MZ9", "stop": {"callSid": "CA9"}}))
        with pytest.raises(Exception, match="1000"):
            socket.recv(timeout=10)


def new_key(vault: ServedVault, *options: str) -> str:
    return str(
        command("keys", "create", "--workspace", "default", *options, "--json", DATA=str(vault.data)).json["key"]
    )


def tone(hertz: int) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * hertz * np.arange(12_000) / 8000)).astype(np.int16)


def decoded(mp3: bytes) -> np.ndarray:
    with av.open(io.BytesIO(mp3)) as file:
        return np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])


def loudest(samples: np.ndarray) -> list[int]:
    """The frequencies in it, to 20 Hz."""
    window = samples[:8000].astype(float) * np.hanning(min(len(samples), 8000))
    spectrum = np.abs(np.fft.rfft(window))
    peaks = np.flatnonzero(spectrum > spectrum.max() / 4)
    return sorted({round(int(peak) / 20) * 20 for peak in peaks})
