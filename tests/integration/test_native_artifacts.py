"""Artifacts over HTTP: video, call logs and packet captures, in and out."""

import gzip
import hashlib
import json
from base64 import b64encode
from collections.abc import AsyncIterator

import pytest

from tests.unit.services.ingest.rtpscene import ASSISTANT, CUSTOMER, Sender, scene
from tests.webhouse import WebHouse, webhouse

MP4 = b"\x00\x00\x00\x18ftypmp42" + bytes(5000)
LINES = [{"level": 30, "time": 1_760_000_000_000_000_000, "body": "dialled"}, {"severityText": "INFO", "body": "é"}]


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse() as house:
        house.client.headers.update(await house.bearer())
        yield house


@pytest.fixture
async def where(house: WebHouse) -> str:
    return f"/api/v1/recordings/{(await house.client.post('/api/v1/recordings', json={})).json()['id']}"


def plain(lines: list[dict]) -> bytes:
    return "\n".join(json.dumps(line) for line in lines).encode()


async def test_a_video_is_kept_as_it_came_and_had_in_ranges(house: WebHouse, where: str) -> None:
    video = {"content-type": "video/mp4"}
    put = await house.client.put(f"{where}/artifacts/video", content=MP4, headers=video)
    assert (put.status_code, put.json()) == (201, {"kind": "video", "created": True, "lanes": {}})
    assert (await house.client.put(f"{where}/artifacts/video", content=MP4, headers=video)).status_code == 200
    other = await house.client.put(f"{where}/artifacts/video", content=MP4 + b"x", headers=video)
    assert (other.status_code, other.json()["code"]) == (409, "already_exists")
    part = await house.client.get(f"{where}/artifacts/video", headers={"range": "bytes=4-7"})
    assert (part.status_code, part.content, part.headers["content-type"]) == (206, b"ftyp", "video/mp4")
    [listed] = (await house.client.get(f"{where}/artifacts")).json()["data"]
    assert (listed["kind"], listed["size"], listed["mediaType"]) == ("video", len(MP4), "video/mp4")


@pytest.mark.parametrize(
    ("body", "media_type", "ending"),
    [(MP4, "video/mp4", "mp4"), (MP4, "video/quicktime", "mov"), (b"\x1a\x45\xdf\xa3", "video/webm", "webm")],
)
async def test_a_video_is_saved_under_the_ending_of_its_type_by_its_route_and_by_a_link(
    house: WebHouse, where: str, body: bytes, media_type: str, ending: str
) -> None:
    await house.client.put(f"{where}/artifacts/video", content=body, headers={"content-type": media_type})
    link = (await house.client.post(f"{where}/secure-url", json={"artifact": "video"})).json()["url"]
    named = f'; filename="video-{where.rpartition("/")[2]}.{ending}"'
    for url in (f"{where}/artifacts/video", link):
        assert (await house.client.get(url)).headers["content-disposition"].endswith(named)


async def test_the_document_names_the_types_under_which_artifacts_are_handed_out(house: WebHouse, where: str) -> None:
    ours = [
        await house.documented("native", path) for path in ("/api/v1/recordings/{id}/artifacts/{kind}", "/link/{token}")
    ]
    for body, media_type in ((MP4, "video/mp4"), (MP4, "video/quicktime"), (b"\x1a\x45\xdf\xa3", "video/webm")):
        other = f"/api/v1/recordings/{(await house.client.post('/api/v1/recordings', json={})).json()['id']}"
        await house.client.put(f"{other}/artifacts/video", content=body, headers={"content-type": media_type})
        assert (await house.client.get(f"{other}/artifacts/video")).headers["content-type"] == media_type
        assert all(media_type in told["200"]["content"] for told in ours)
    await house.client.put(f"{where}/artifacts/call-logs", content=plain(LINES))
    await house.client.put(f"{where}/artifacts/pcap", content=scene(Sender(CUSTOMER, ASSISTANT, ssrc=1)))
    for kind in ("call-logs", "pcap"):
        media_type = (await house.client.get(f"{where}/artifacts/{kind}")).headers["content-type"]
        assert all(media_type in told["200"]["content"] for told in ours)
    assert all("*/*" in told["200"]["content"] and {"206", "304", "412", "416"} <= told.keys() for told in ours)


@pytest.mark.parametrize(
    ("body", "media_type"), [(b"<Error/>", "video/mp4"), (MP4, "video/webm"), (MP4, "text/html"), (b"", "video/mp4")]
)
async def test_what_is_no_video_is_refused(house: WebHouse, where: str, body: bytes, media_type: str) -> None:
    answer = await house.client.put(f"{where}/artifacts/video", content=body, headers={"content-type": media_type})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


@pytest.mark.parametrize("given", [plain(LINES), gzip.compress(plain(LINES))], ids=["plain", "gzipped"])
async def test_call_logs_are_kept_gzipped_whichever_way_they_come(house: WebHouse, where: str, given: bytes) -> None:
    put = await house.client.put(f"{where}/artifacts/call-logs", content=given)
    assert put.status_code == 201
    answer = await house.client.get(f"{where}/artifacts/call-logs")
    assert answer.headers["content-type"] == "application/gzip" and "content-encoding" not in answer.headers
    assert answer.headers["content-disposition"].endswith('.jsonl.gz"')
    assert [json.loads(line) for line in gzip.decompress(answer.content).splitlines()] == LINES


async def test_logs_that_are_none_are_refused(house: WebHouse, where: str) -> None:
    for bad in (b"not json", gzip.compress(plain(LINES))[:-9], b"\x1f\x8bgarbage"):
        answer = await house.client.put(f"{where}/artifacts/call-logs", content=bad)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


async def test_a_log_bomb_is_stopped(house: WebHouse, where: str) -> None:
    bomb = gzip.compress((b'{"a":"' + b"x" * 100_000 + b'"}\n') * 700)
    assert len(bomb) < 100_000
    answer = await house.client.put(f"{where}/artifacts/call-logs", content=bomb)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert (await house.client.get(f"{where}/artifacts")).json()["data"] == []


async def test_what_was_logged_and_filmed_during_a_pause_is_not_stored(house: WebHouse) -> None:
    began = house.clock.now_ms() / 1000
    made = (await house.client.post("/api/v1/recordings", json={"call": {"startedAt": began}})).json()
    where = f"/api/v1/recordings/{made['id']}"
    await house.client.post(f"{where}/pause", json={"at": 10})
    await house.client.post(f"{where}/resume", json={"at": 20})
    times = [5, 10, 15, 20, 25]
    lines = [{"time": int((began + t) * 1e9), "body": str(t)} for t in times] + [{"body": "who knows when"}]
    assert (await house.client.put(f"{where}/artifacts/call-logs", content=plain(lines))).status_code == 201
    stored = gzip.decompress((await house.client.get(f"{where}/artifacts/call-logs")).content)
    assert [json.loads(line)["body"] for line in stored.splitlines()] == ["5", "20", "25"]
    filmed = await house.client.put(f"{where}/artifacts/video", content=MP4, headers={"content-type": "video/mp4"})
    assert (filmed.status_code, filmed.json()["code"]) == (403, "forbidden")


async def test_logs_come_also_when_the_recording_has_ended(house: WebHouse, where: str) -> None:
    await house.client.post(f"{where}/complete")
    assert (await house.client.put(f"{where}/artifacts/call-logs", content=plain(LINES))).status_code == 201


async def test_a_digest_that_is_wrong_keeps_nothing(house: WebHouse, where: str) -> None:
    digest = b64encode(hashlib.sha256(b"other").digest()).decode()
    headers = {"content-type": "video/mp4", "content-digest": f"sha-256=:{digest}:"}
    answer = await house.client.put(f"{where}/artifacts/video", content=MP4, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "digest_mismatch")
    assert (await house.client.get(f"{where}/artifacts/video")).status_code == 404


async def test_garbage_is_no_capture(house: WebHouse, where: str) -> None:
    answer = await house.client.put(f"{where}/artifacts/pcap?rebuild=true", content=b"garbage" * 100)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    for query in ("side=x", "type=x=opus/48000", "type=111=?"):
        answer = await house.client.put(f"{where}/artifacts/pcap?{query}", content=b"x")
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


async def test_another_workspace_brings_nothing(house: WebHouse, where: str) -> None:
    headers = {**await house.bearer(workspace="other"), "content-type": "video/mp4"}
    assert (await house.client.put(f"{where}/artifacts/video", content=MP4, headers=headers)).status_code == 404
    assert (await house.client.put(f"{where}/artifacts/soul", content=MP4)).status_code == 404


def two_speak() -> bytes:
    """For two seconds."""
    one, two = Sender(CUSTOMER, ASSISTANT, ssrc=1), Sender(ASSISTANT, CUSTOMER, ssrc=2)
    for n in range(100):
        one.say(bytes([n % 100 + 10]) * 160)
        two.say(bytes([n % 90 + 20]) * 160)
    return scene(one, two)


async def test_a_capture_is_kept_and_its_calls_are_rebuilt(house: WebHouse, where: str) -> None:
    file = two_speak()
    sides = "side=10.0.0.5:4000%3Dcaller&side=192.0.2.9%3Dbot"
    put = await house.client.put(f"{where}/artifacts/pcap?rebuild=true&{sides}", content=file)
    assert put.status_code == 201 and set(put.json()["lanes"]) == {"caller", "bot"}
    assert put.json()["lanes"]["caller"]["packets"] == 100
    assert (await house.client.put(f"{where}/artifacts/pcap?rebuild=true", content=file)).status_code == 200
    assert (await house.client.get(f"{where}/artifacts/pcap")).content == file
    assert (await house.client.post(f"{where}/complete")).json()["duration"] == 2
    assert (await house.client.get(f"{where}/audio.wav?view=lane:bot")).status_code == 200


async def test_a_capture_that_was_only_kept_is_rebuilt_later(house: WebHouse, where: str) -> None:
    file = two_speak()
    kept = await house.client.put(f"{where}/artifacts/pcap", content=file)
    assert (kept.status_code, kept.json()["lanes"]) == (201, {})
    rebuilt = await house.client.put(f"{where}/artifacts/pcap?rebuild=true", content=file)
    assert (rebuilt.status_code, rebuilt.json()["created"]) == (200, False)
    assert {name: lane["packets"] for name, lane in rebuilt.json()["lanes"].items()} == {
        "customer": 100,
        "assistant": 100,
    }
    again = await house.client.put(f"{where}/artifacts/pcap?rebuild=true", content=file)
    assert (again.status_code, again.json()["lanes"]) == (200, {})
    [listed] = (await house.client.get(f"{where}/artifacts")).json()["data"]
    assert set(listed["metadata"]["lanes"]) == {"customer", "assistant"}
    assert (await house.client.post(f"{where}/complete")).json()["duration"] == 2
