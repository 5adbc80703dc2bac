"""Every way out of the native API, over HTTP: views, ranges, links, waveforms, timelines, files."""

import io
import json
import wave
from collections.abc import AsyncIterator

import numpy as np
import pytest

from callvault.domain.errors import BlobsUnavailable
from callvault.domain.event import Event
from callvault.domain.query import Query
from callvault.wire import waveform
from tests.audits import audited
from tests.webhouse import WebHouse, webhouse

FRAMES = 16_000


@pytest.fixture
async def house() -> AsyncIterator[WebHouse]:
    async with webhouse() as house:
        house.client.headers.update(await house.bearer())
        yield house
        await house.services.delivery.renditions.close()


def stereo(frames: int = FRAMES, seed: int = 7) -> tuple[bytes, np.ndarray]:
    sound = np.random.default_rng(seed).integers(-9000, 9000, (frames, 2), np.int16)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((2, 2, 8000, 0, "NONE", ""))
        out.writeframes(sound.tobytes())
    return file.getvalue(), sound


async def recorded(house: WebHouse, complete: bool = True) -> str:
    """The address of a recording with a customer and an assistant."""
    made = (await house.client.post("/api/v1/recordings", json={})).json()
    where = f"/api/v1/recordings/{made['id']}"
    put = await house.client.put(f"{where}/audio?channels=customer,assistant", content=stereo()[0])
    assert put.status_code == 201
    if complete:
        assert (await house.client.post(f"{where}/complete")).json()["status"] == "completed"
    return where


async def test_a_view_is_a_whole_wav_file(house: WebHouse) -> None:
    where, (_, sound) = await recorded(house), stereo()
    answer = await house.client.get(f"{where}/audio.wav")
    assert answer.status_code == 200 and answer.headers["content-type"] == "audio/wav"
    assert answer.headers["accept-ranges"] == "bytes"
    assert int(answer.headers["content-length"]) == len(answer.content)
    with wave.open(io.BytesIO(answer.content)) as wav:
        assert (wav.getnchannels(), wav.getframerate(), wav.getnframes()) == (2, 8000, FRAMES)
        assert np.array_equal(np.frombuffer(wav.readframes(FRAMES), np.int16).reshape(-1, 2), sound)
    assert len(answer.content) == (await house.client.get(where)).json()["fileSize"]
    mono = (await house.client.get(f"{where}/audio.wav?view=mono")).content
    assert np.array_equal(np.frombuffer(mono[44:], np.int16), sound.sum(axis=1).clip(-32768, 32767))


async def test_any_range_of_it_is_the_same_bytes(house: WebHouse) -> None:
    where = f"{await recorded(house)}/audio.wav"
    whole = await house.client.get(where)
    etag = whole.headers["etag"]
    for asked, start, end in (("0-0", 0, 1), ("40-99", 40, 100), ("-7", len(whole.content) - 7, len(whole.content))):
        part = await house.client.get(where, headers={"range": f"bytes={asked}", "if-range": etag})
        assert (part.status_code, part.content) == (206, whole.content[start:end])
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{len(whole.content)}"
    several = await house.client.get(where, headers={"range": "bytes=0-3,44-47"})
    assert several.status_code == 206 and whole.content[44:48] in several.content
    assert several.headers["content-type"].startswith("multipart/byteranges; boundary=")
    stale = await house.client.get(where, headers={"range": "bytes=0-3", "if-range": '"other"'})
    assert (stale.status_code, stale.content) == (200, whole.content)
    beyond = await house.client.get(where, headers={"range": f"bytes={len(whole.content)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(whole.content)}")


async def test_conditions_are_heeded(house: WebHouse) -> None:
    where = f"{await recorded(house)}/audio.wav"
    head = await house.client.head(where)
    assert (head.status_code, head.content) == (200, b"") and int(head.headers["content-length"]) == 44 + 4 * FRAMES
    etag = head.headers["etag"]
    assert (await house.client.get(where, headers={"if-none-match": etag})).status_code == 304
    assert (await house.client.get(where, headers={"if-match": '"other"'})).status_code == 412
    assert (await house.client.get(where, headers={"if-match": etag})).status_code == 200


async def test_a_name_is_given_to_who_downloads(house: WebHouse) -> None:
    where = await recorded(house)
    name = where.rsplit("/", 1)[1]
    shown = await house.client.get(f"{where}/audio.wav?view=lane:customer")
    assert shown.headers["content-disposition"] == f'inline; filename="recording-{name}-lane-customer.wav"'
    saved = await house.client.get(f"{where}/audio.wav?view=mono&download=1")
    assert saved.headers["content-disposition"] == f'attachment; filename="recording-{name}.wav"'


@pytest.mark.parametrize(
    ("format", "media_type", "magic"),
    [
        ("mp3", "audio/mpeg", b""),
        ("ogg", "audio/ogg", b"OggS"),
        ("m4a", "audio/mp4", b""),
        ("flac", "audio/flac", b"fLaC"),
    ],
)
async def test_a_compressed_format_is_made_once_and_then_had_in_ranges(
    house: WebHouse, format: str, media_type: str, magic: bytes
) -> None:
    where = f"{await recorded(house)}/audio.{format}"
    first = await house.client.get(where)
    assert (first.status_code, first.headers["content-type"]) == (200, media_type)
    assert first.content.startswith(magic) and len(first.content) > 1000
    part = await house.client.get(where, headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, first.content[100:200])


@pytest.mark.parametrize("door", ["key", "link"])
async def test_who_asks_for_a_piece_of_what_is_not_made_yet_waits_until_it_is(house: WebHouse, door: str) -> None:
    where = await recorded(house)
    path = f"{where}/audio.mp3" if door == "key" else (await minted(house, where, format="mp3"))["url"]
    part = await house.client.get(path, headers={"range": "bytes=100-199"})
    assert (part.status_code, len(part.content), part.headers["accept-ranges"]) == (206, 100, "bytes")
    whole = await house.client.get(path)
    assert whole.content[100:200] == part.content
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
    assert (part.headers["etag"], await downloads_of(house, where)) == (whole.headers["etag"], 1)


@pytest.mark.parametrize(
    ("method", "asked", "status"),
    [
        ("HEAD", {}, 200),
        ("GET", {"if-match": '"other"'}, 412),
        ("GET", {"if-none-match": "*"}, 304),
        ("GET", {"range": "bytes=0-1", "if-range": '"other"'}, 200),
        ("GET", {"range": "bytes=99999999-"}, 416),
    ],
)
async def test_what_is_not_made_yet_is_told_of_as_what_is(
    house: WebHouse, method: str, asked: dict[str, str], status: int
) -> None:
    path = f"{await recorded(house)}/audio.ogg"
    first = await house.client.request(method, path, headers=asked)
    again = await house.client.request(method, path, headers=asked)
    assert first.status_code == again.status_code == status
    assert [first.headers.get(name) for name in ("etag", "content-length", "content-range")] == [
        again.headers.get(name) for name in ("etag", "content-length", "content-range")
    ]
    assert first.headers["etag"]


@pytest.mark.parametrize("format", ["wav", "mp3"])
@pytest.mark.parametrize("asked", [{}, {"range": "bytes=100-199"}], ids=["whole", "range"])
async def test_what_cannot_be_had_now_is_refused_and_begins_no_answer_that_breaks_off(
    house: WebHouse, format: str, asked: dict[str, str]
) -> None:
    def away(*_: object, **__: object) -> None:
        raise BlobsUnavailable(why="it is away")

    recording = await recorded(house)
    where = f"{recording}/audio.{format}"
    house.adapters.blobs.read = away
    refused = await house.client.get(where, headers=asked)
    assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")
    assert await downloads_of(house, recording) == 0
    del house.adapters.blobs.read
    assert (await house.client.get(where)).status_code == 200
    assert await downloads_of(house, recording) == 1


async def test_a_recording_in_progress_is_heard_by_those_who_ask_for_what_is_there(house: WebHouse) -> None:
    where = await recorded(house, complete=False)
    refused = await house.client.get(f"{where}/audio.wav")
    assert (refused.status_code, refused.json()["code"]) == (409, "recording_in_progress")
    assert len((await house.client.get(f"{where}/audio.wav?live=1")).content) == 44 + 2 * FRAMES


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("audio.wma", 404),
        ("audio.wav?view=loud", 400),
        ("audio.wav?view=lane:nobody", 404),
        ("audio.wav?rate=1", 400),
        ("audio.wav?rate=fast", 400),
        ("waveform.png", 404),
        ("waveform.json?samplesPerPixel=0&bits=12", 400),
        ("waveform.json?samplesPerPixel=0", 400),
        ("waveform.dat?bits=0", 400),
        ("artifacts/soul", 404),
        ("artifacts/video", 404),
    ],
)
async def test_what_there_is_not_is_told(house: WebHouse, path: str, status: int) -> None:
    answer = await house.client.get(f"{await recorded(house)}/{path}")
    assert answer.status_code == status and answer.headers["content-type"] == "application/problem+json"


async def test_the_source_is_kept_as_it_was_received(house: WebHouse) -> None:
    where = await recorded(house)
    answer = await house.client.get(f"{where}/artifacts/source")
    assert answer.content == stereo()[0] and answer.headers["content-disposition"].startswith("attachment")
    assert "content-encoding" not in answer.headers


async def test_a_waveform_is_drawn_in_both_forms(house: WebHouse) -> None:
    where, (_, sound) = await recorded(house), stereo()
    answer = await house.client.get(f"{where}/waveform.dat?view=stereo&samplesPerPixel=512")
    drawn = waveform.parse_dat(answer.content)
    assert (drawn.rate, drawn.samples_per_pixel, drawn.peaks.shape) == (8000, 512, (32, 2, 2))
    assert np.array_equal(drawn.peaks[0, :, 1], sound[:512].max(axis=0))
    told = (await house.client.get(f"{where}/waveform.json?samplesPerPixel=512&bits=8")).json()
    assert (told["version"], told["bits"], told["length"], len(told["data"])) == (2, 8, 32, 64)
    again = await house.client.get(
        f"{where}/waveform.dat?view=stereo&samplesPerPixel=512", headers={"if-none-match": answer.headers["etag"]}
    )
    assert again.status_code == 304


@pytest.mark.parametrize("form", ["json", "dat"])
async def test_a_waveform_heeds_ranges_and_conditions_as_sound_does(house: WebHouse, form: str) -> None:
    where = f"{await recorded(house)}/waveform.{form}"
    whole = await house.client.get(where)
    etag = whole.headers["etag"]
    for told, status, body in (
        ({"if-none-match": f"W/{etag}"}, 304, b""),
        ({"if-none-match": f'"other", {etag}'}, 304, b""),
        ({"if-match": '"other"'}, 412, b""),
        ({"range": "bytes=24-99", "if-range": etag}, 206, whole.content[24:100]),
        ({"range": "bytes=24-99", "if-range": '"other"'}, 200, whole.content),
        ({"range": "bytes=-5"}, 206, whole.content[-5:]),
        ({"range": f"bytes={len(whole.content)}-"}, 416, b""),
    ):
        answer = await house.client.get(where, headers=told)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (status, body, etag)
    head = await house.client.head(where)
    assert (head.headers["content-length"], head.headers["accept-ranges"]) == (str(len(whole.content)), "bytes")


async def test_a_timeline_tells_lanes_spans_and_pauses(house: WebHouse) -> None:
    made = (await house.client.post("/api/v1/recordings", json={})).json()
    where = f"/api/v1/recordings/{made['id']}"
    pcmu = {"content-type": "audio/PCMU"}
    speech = np.random.default_rng(1).integers(0, 128, 8000, np.uint8).tobytes()
    await house.client.post(f"{where}/pause", json={"at": 10, "mode": "skip", "reason": "card"})
    await house.client.post(f"{where}/resume", json={"at": 12})
    for n, start in enumerate((0, 500, 3000)):
        await house.client.put(f"{where}/lanes/customer/takes/{n}?start={start}", content=speech, headers=pcmu)
    told = (await house.client.get(f"{where}/timeline")).json()
    [lane] = told["lanes"]
    assert (told["duration"], lane["name"], lane["rate"], lane["driftPpm"]) == (4, "customer", 8000, 0)
    assert lane["overlaps"] == [{"start": 0.5, "end": 1}] and lane["lost"] == 1.5
    assert {"kind": "loss", "start": 1.5, "end": 3} in lane["spans"]
    [pause] = told["pauses"]
    assert (pause["start"], pause["end"], pause["mode"], pause["reason"]) == (10, 12, "skip", "card")
    own = {"recordingId": made["id"], "callId": made["call"]["id"]}
    assert told["heard"] == [{**own, "start": 0, "end": 4, "begins": 0}]


async def test_what_a_pause_left_out_is_not_heard(house: WebHouse) -> None:
    made = (await house.client.post("/api/v1/recordings", json={})).json()
    where, body = f"/api/v1/recordings/{made['id']}", bytes(24_000)
    await house.client.post(f"{where}/pause", json={"at": 1, "mode": "skip"})
    await house.client.post(f"{where}/resume", json={"at": 2})
    pcmu = {"content-type": "audio/PCMU"}
    await house.client.put(f"{where}/lanes/customer/takes/0?start=0", content=body, headers=pcmu)
    heard = (await house.client.get(f"{where}/timeline")).json()["heard"]
    assert [(one["start"], one["end"]) for one in heard] == [(0, 1), (2, 3)]


# -- links --------------------------------------------------------------------------------------


async def minted(house: WebHouse, where: str, **asked: object) -> dict:
    answer = await house.client.post(f"{where}/secure-url", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_link_opens_what_it_is_for_without_a_key(house: WebHouse) -> None:
    where = await recorded(house)
    link = await minted(house, where, view="customer", disposition="attachment", filename="call é.wav", expiresIn=60)
    assert link["url"].startswith("http://vault.test/link/")
    assert link["expiresAt"] == house.clock.now_ms() // 1000 + 60
    direct = await house.client.get(f"{where}/audio.wav?view=customer")
    for headers in ({"authorization": ""}, {"authorization": "Bearer somebody-else-s"}):
        followed = await house.client.get(link["url"], headers=headers)
        assert (followed.status_code, followed.content) == (200, direct.content)
    assert "filename*=UTF-8''call%20%C3%A9.wav" in followed.headers["content-disposition"]
    part = await house.client.get(link["url"], headers={"range": "bytes=44-47"})
    assert (part.status_code, part.content) == (206, direct.content[44:48])
    head = await house.client.head(link["url"])
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", direct.headers["etag"])


async def test_a_name_that_no_file_can_have_is_refused_at_every_door(house: WebHouse) -> None:
    where = await recorded(house)
    refused = await house.client.post(f"{where}/secure-url", json={"filename": "\0"})
    assert (refused.status_code, refused.json()["code"]) == (400, "malformed")
    for operation in ("generateSecureUrl", "download"):
        parameters = {"id": where.rsplit("/", 1)[1], "filename": "\0"}
        refused = await house.client.post("/CallRecording", json={"operation": operation, "parameters": parameters})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "malformed")


async def test_a_link_expires_to_the_second_and_never_lives_longer_than_the_workspace_allows(house: WebHouse) -> None:
    where = await recorded(house)
    link = await minted(house, where, expiresIn=10**8)
    assert link["expiresAt"] == house.clock.now_ms() // 1000 + 86_400
    house.clock.advance(86_399)
    assert (await house.client.get(link["url"])).status_code == 200
    house.clock.advance(1)
    gone = await house.client.get(link["url"])
    assert (gone.status_code, gone.json()["code"]) == (403, "link_expired")


async def test_all_links_of_a_recording_are_revoked_at_once(house: WebHouse) -> None:
    where = await recorded(house)
    link = await minted(house, where)
    revoked = await house.client.post(f"{where}/links/revoke")
    assert revoked.status_code == 200
    assert (await house.client.get(link["url"])).json()["code"] == "link_invalid"
    assert (await house.client.get((await minted(house, where))["url"])).status_code == 200


async def test_a_link_that_was_tampered_with_is_not_valid(house: WebHouse) -> None:
    link = (await minted(house, await recorded(house)))["url"]
    for forged in (link[:-1] + ("A" if link[-1] != "A" else "B"), link.rsplit(".", 1)[0], link[:-10], f"{link}x"):
        answer = await house.client.get(forged)
        assert (answer.status_code, answer.json()["code"]) == (403, "link_invalid")


async def test_a_recording_tells_a_link_that_is_fresh_for_each_answer(house: WebHouse) -> None:
    where = await recorded(house)
    first = (await house.client.get(where)).json()["secureUrl"]
    second = (await house.client.get(where)).json()["secureUrl"]
    assert first != second
    assert len((await house.client.get(first)).content) == 44 + 4 * FRAMES


async def test_downloads_are_counted_told_and_audited(house: WebHouse) -> None:
    where = await recorded(house)
    link = (await minted(house, where))["url"]
    await house.client.get(link)
    await house.client.head(link)
    await house.client.get(link, headers={"range": "bytes=100-199"})
    await house.client.get(f"{where}/audio.wav?view=stereo")
    await house.services.delivery.downloads.flush()
    await house.services.audit.flush()
    assert (await house.client.get(where)).json()["downloadCount"] == 2
    told = [e for e in await house.services.store.find(Query(Event)) if e.type == "recording.downloaded"]
    assert len(told) == 2
    entries = [e for e in await audited(house.services.store) if e.action == "recordings.listen"]
    assert [(entry.actor.split(":")[0], entry.detail["range"]) for entry in entries] == [
        ("link", None),
        ("link", "bytes=100-199"),
        ("key", None),
    ]
    assert "link/" not in json.dumps([entry.detail for entry in entries])


@pytest.mark.parametrize(
    ("asked", "status", "downloads"),
    [
        ({}, 200, 1),
        ({"range": "bytes=0-"}, 206, 1),
        ({"range": "bytes=-WHOLE"}, 206, 1),
        ({"range": "Bytes=0-9"}, 206, 1),
        ({"range": "bytes=100-199,0-9"}, 206, 1),
        ({"range": "lines=5-9"}, 200, 1),
        ({"range": "bytes=5-9", "if-range": '"other"'}, 200, 1),
        ({"range": "bytes=5-9"}, 206, 0),
        ({"range": "bytes=-9"}, 206, 0),
        ({"range": "bytes=0-9", "if-none-match": "*"}, 304, 0),
        ({"if-match": '"other"'}, 412, 0),
        ({"range": "bytes=0-,5-", "if-match": '"other"'}, 412, 0),
        ({"range": "bytes=-0"}, 416, 0),
    ],
    ids=str,
)
@pytest.mark.parametrize("door", ["key", "link"])
async def test_a_download_is_what_was_sent_the_first_byte(
    house: WebHouse, door: str, asked: dict[str, str], status: int, downloads: int
) -> None:
    where = await recorded(house)
    path = f"{where}/audio.wav" if door == "key" else (await minted(house, where))["url"]
    whole = (await house.client.head(path)).headers["content-length"]
    headers = {name: value.replace("WHOLE", whole) for name, value in asked.items()}
    assert (await house.client.get(path, headers=headers)).status_code == status
    assert await downloads_of(house, where) == downloads
    await house.services.audit.flush()
    [entry] = [e for e in await audited(house.services.store) if e.action == "recordings.listen"]
    assert (entry.actor.split(":")[0], entry.detail["range"]) == (door, headers.get("range"))


async def test_what_is_sent_while_it_is_made_is_a_download(house: WebHouse) -> None:
    where = await recorded(house)
    assert "content-length" not in (await house.client.get(f"{where}/audio.mp3")).headers
    assert await downloads_of(house, where) == 1


async def downloads_of(house: WebHouse, where: str) -> int:
    """As they are counted, and as they are told."""
    await house.services.delivery.downloads.flush()
    told = [e for e in await house.services.store.find(Query(Event)) if e.type == "recording.downloaded"]
    counted = (await house.client.get(where)).json()["downloadCount"]
    assert len(told) == counted
    return int(counted)
