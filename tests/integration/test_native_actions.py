"""Trim, merge and redact over HTTP; sound is judged sample by sample."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from callvault.wire import waveform
from tests.actionhouse import RATE, ActionHouse, covered, is_beep, noise, span
from tests.webhouse import webhouse


@pytest.fixture
async def house() -> AsyncIterator[ActionHouse]:
    async with webhouse() as web:
        web.client.headers.update(await web.bearer())
        yield ActionHouse(web)


# -- trim ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["stereo", "mono", "customer", "lane:assistant"])
async def test_a_trimmed_wav_is_the_same_samples_of_its_source(house: ActionHouse, view: str) -> None:
    original = await house.recording()
    trimmed = await house.do("trim", original, start=0.5, end=2.25)
    whole, part = await house.wav(original, view), await house.wav(trimmed, view)
    assert part.tobytes() == whole[4000:18_000].tobytes()
    again = await house.do("trim", trimmed, start=1)
    assert (await house.wav(again, view)).tobytes() == whole[12_000:18_000].tobytes()


async def test_a_trimmed_version_tells_what_it_is(house: ActionHouse) -> None:
    original = await house.recording(call={"startedAt": 1_700_000_000})
    told = await house.do("trim", original, start=0.5, end=99)
    assert (told["status"], told["operation"], told["derivedFrom"]) == ("completed", "trim", [original["id"]])
    assert (told["duration"], told["channels"], told["sampleRate"], told["format"]) == (3.5, 2, RATE, "wav")
    assert told["fileSize"] == 44 + 4 * 28_000 and (told["redacted"], told["inProgress"]) == (False, False)
    assert (told["startTime"], told["endTime"]) == (1_700_000_000.5, 1_700_000_004)
    assert told["call"]["id"] == original["call"]["id"]
    assert await house.events(told) == ["created", "completed"]
    [entry] = (await house.ok("GET", f"/audit?thing=recording:{told['id']}"))["data"]
    assert (entry["action"], entry["outcome"], entry["detail"]["of"]) == (
        "recordings.process",
        "done",
        [original["id"]],
    )
    whole = await house.ok("GET", f"/recordings/{told['id']}")
    assert whole["secureUrl"] and [one["lane"] for one in whole["participants"]] == ["customer", "assistant"]


@pytest.mark.parametrize(("start", "end"), [(2, 2), (3, 1), (4, None), (5, 6)])
async def test_a_range_without_sound_is_refused(house: ActionHouse, start: float, end: float | None) -> None:
    original = await house.recording()
    assert await house.refused("trim", original, start=start, end=end) == (400, "malformed")


async def test_a_recording_is_worked_on_when_it_has_ended(house: ActionHouse) -> None:
    made = await house.ok("POST", "/recordings", json={})
    for verb, asked in (("trim", {}), ("redact", {"spans": [span(0, 1)]}), ("compress", {})):
        assert await house.refused(verb, made, **asked) == (409, "recording_in_progress")


async def test_a_cut_made_of_a_pause_that_was_skipped_is_where_it_is_heard(house: ActionHouse) -> None:
    made = await house.ok("POST", "/recordings", json={})
    where, sound = f"/recordings/{made['id']}", noise(4, 3)
    await house.ok("POST", f"{where}/pause", json={"mode": "skip", "at": 1.00007})
    await house.ok("POST", f"{where}/resume", json={"at": 2.00003})
    form = {"content-type": f"audio/L16;rate={RATE}"}
    await house.ok(
        "PUT", f"{where}/lanes/customer/takes/0?start=0", content=sound.astype(">i2").tobytes(), headers=form
    )
    original = await house.ok("POST", f"{where}/complete")
    whole = await house.wav(original, "mono")
    part = await house.wav(await house.do("trim", original, start=0.5, end=2), "mono")
    at = next(n for n in range(3990, 4010) if np.array_equal(whole[n : n + 100], part[:100]))
    assert part.tobytes() == whole[at : at + len(part)].tobytes() and abs(len(part) - 12_000) <= 1


async def test_a_version_is_kept_as_long_as_what_it_is_made_of_and_no_shorter(house: ActionHouse) -> None:
    original = await house.recording()
    await house.ok("PATCH", f"/recordings/{original['id']}", json={"retentionPeriod": 1, "tags": ["vip"]})
    trimmed = await house.do("trim", original, end=1)
    assert (trimmed["retentionPeriod"], trimmed["autoDeleteAt"], trimmed["tags"]) == (None, None, ["vip"])
    soon = house.web.clock.now_ms() / 1000 + 60
    await house.ok("PATCH", f"/recordings/{original['id']}", json={"expiresAt": soon})
    later = await house.do("trim", original, end=1)
    house.web.clock.advance(100)
    for version in (original, trimmed, later):
        answer = await house.web.client.get(f"/api/v1/recordings/{version['id']}/audio.wav")
        assert answer.json()["code"] == "recording_expired"
        assert (await house.refused("trim", version, end=1))[1] == "recording_expired"


# -- merge ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["stereo", "mono", "customer"])
async def test_a_merge_is_one_behind_the_other(house: ActionHouse, view: str) -> None:
    one, two, three = [await house.recording(seconds, seed) for seed, seconds in enumerate((1.5, 0.7, 2), 1)]
    trimmed = await house.do("trim", two, start=0.1, end=0.3)
    merged = await house.do("merge", three, recordings=[one["id"], trimmed["id"], three["id"]])
    parts = [await house.wav(part, view) for part in (three, one, trimmed, three)]
    assert (await house.wav(merged, view)).tobytes() == np.concatenate(parts).tobytes()
    assert merged["derivedFrom"] == [three["id"], one["id"], trimmed["id"]] and merged["operation"] == "merge"
    assert merged["call"]["id"] == three["call"]["id"] and merged["duration"] == 5.7
    assert await house.events(merged) == ["created", "completed"]


async def test_what_a_merge_is_made_of_takes_it_along_when_it_is_deleted(house: ActionHouse) -> None:
    one, two = await house.recording(1, 1), await house.recording(1, 2)
    merged = await house.do("merge", one, recordings=[two["id"]])
    await house.ok("DELETE", f"/recordings/{two['id']}")
    await house.ok("GET", f"/recordings/{merged['id']}/audio.wav", status=(404,))
    await house.ok("GET", f"/recordings/{one['id']}/audio.wav")


async def test_a_merge_is_for_those_alone_whom_all_its_calls_are_for(house: ActionHouse) -> None:
    web, participants = house.web, [{"id": "ann"}, {"id": "bob"}]
    ann, bob = [await web.bearer(member_id=name) for name in ("ann", "bob")]
    web.client.headers.update(ann)
    private = await house.recording(1, 1, call={"kind": "direct", "participants": participants})
    public = await house.recording(1, 2)
    merged = await house.do("merge", public, recordings=[private["id"]])
    path, eve = f"/recordings/{merged['id']}", await web.bearer(member_id="eve")
    for key, status in ((ann, 200), (bob, 200), (eve, 403)):
        await house.ok("GET", path, status=(status,), headers=key)
    await house.ok("PATCH", f"/calls/{private['call']['id']}", json={"participants": [{"id": "ann"}]})
    await house.ok("PATCH", f"/calls/{public['call']['id']}", json={"name": "x", "participants": [{"id": "eve"}]})
    for key, status in ((ann, 200), (bob, 403), (eve, 403)):
        await house.ok("GET", path, status=(status,), headers=key)
    assert await house.refused("merge", public, eve, recordings=[private["id"]]) == (403, "forbidden")


async def test_another_workspace_s_recording_is_not_merged(house: ActionHouse) -> None:
    one = await house.recording(1, 1)
    theirs = await house.web.bearer(workspace="theirs")
    made = await house.ok("POST", "/recordings", json={}, headers=theirs)
    assert await house.refused("merge", one, recordings=[made["id"]]) == (404, "not_found")
    assert await house.refused("trim", one, theirs, start=0) == (404, "not_found")


# -- redact --------------------------------------------------------------------------------------


async def test_a_span_is_silent_and_nothing_else_is_changed(house: ActionHouse) -> None:
    original = await house.recording()
    redacted = await house.do("redact", original, spans=[span(1, 1.5, kind="card"), span(3.2, 9)])
    whole = await house.wav(original)
    expected = covered(covered(whole, 1, 1.5), 3.2, 4)
    assert np.array_equal(await house.wav(redacted), expected)
    assert (redacted["redacted"], redacted["redactionType"], redacted["operation"]) == (True, "silence", "redactPII")
    assert redacted["duration"] == original["duration"] and redacted["derivedFrom"] == [original["id"]]
    assert await house.events(redacted) == ["created", "completed", "redacted"]
    [entry] = (await house.ok("GET", f"/audit?thing=recording:{redacted['id']}"))["data"]
    assert entry["detail"]["kinds"] == ["card"] and entry["detail"]["spans"] == 2


async def test_a_lane_alone_is_covered_by_a_tone(house: ActionHouse) -> None:
    original = await house.recording()
    redacted = await house.do("redact", original, spans=[span(1, 1.5, lane="customer")], method="beep")
    before, heard = await house.wav(original), await house.wav(redacted)
    assert np.array_equal(heard[:, 1], before[:, 1])
    assert is_beep(heard[8000:12_000, 0]) and np.abs(heard[8000:12_000, 0]).max() == 6000
    for outside in (slice(0, 8000), slice(12_000, None)):
        assert np.array_equal(heard[outside], before[outside])
    assert is_beep((await house.wav(redacted, "customer"))[8000:12_000])
    assert np.array_equal(await house.wav(redacted, "lane:assistant"), before[:, 1])
    mono = (heard[:, 0].astype(int) + heard[:, 1]).clip(-32768, 32767)
    assert np.array_equal(await house.wav(redacted, "mono"), mono)


async def test_deletion_shortens_by_exactly_the_spans(house: ActionHouse) -> None:
    original = await house.recording()
    spans = [span(1, 1.5), span(3.75, 4), span(1.25, 2)]
    redacted = await house.do("redact", original, spans=spans, method="deletion")
    whole = await house.wav(original)
    assert np.array_equal(await house.wav(redacted), np.concatenate((whole[:8000], whole[16_000:30_000])))
    assert (redacted["duration"], redacted["redactionType"]) == (2.75, "deletion")


async def test_what_cannot_be_redacted_says_why(house: ActionHouse) -> None:
    original = await house.recording()
    whole = {"spans": [span(0, 9)], "method": "deletion"}
    on_a_lane = {"spans": [span(0, 1, lane="customer")], "method": "deletion"}
    for asked in ({"spans": [span(1, 1)]}, {"spans": [span(4, 5)]}, whole, on_a_lane):
        assert await house.refused("redact", original, **asked) == (400, "malformed")
    assert await house.refused("redact", original, spans=[span(0, 1, lane="nobody")]) == (404, "not_found")
    assert await house.refused("redact", original, spans=[span(0, 1)], method="blur") == (422, "invalid_request")
    told = await house.ok("POST", f"/recordings/{original['id']}/redact", status=(501,), json={})
    assert told["code"] == "not_implemented" and "extra 'speech'" in told["detail"] and "spans" in told["detail"]


async def test_a_lane_s_span_over_sound_without_that_lane_is_refused(house: ActionHouse) -> None:
    two, mixed = await house.recording(1, 1), await house.recording(1, mixed=noise(1, 7))
    merged = await house.do("merge", two, recordings=[mixed["id"]])
    assert await house.refused("redact", merged, spans=[span(0.5, 1.5, lane="customer")]) == (404, "not_found")
    await house.do("redact", merged, spans=[span(0.5, 1, lane="customer")])


async def test_a_timeline_tells_what_of_the_calls_clock_is_heard_in_any_version(house: ActionHouse) -> None:
    original, reader = await house.recording(), await house.reader()

    async def heard(version: dict, headers: dict | None = None) -> list[tuple[str, float, float]]:
        told = await house.ok("GET", f"/recordings/{version['id']}/timeline", headers=headers)
        assert told["recordingId"] == original["id"]
        return [(one["recordingId"], one["start"], one["end"]) for one in told["heard"]]

    name = original["id"]
    excerpt = await house.do("trim", original, start=1, end=3)
    other = await house.recording(seed=2)
    merged = await house.do("merge", excerpt, recordings=[other["id"]])
    assert await heard(original) == [(name, 0, 4)]
    assert await heard(excerpt) == [(name, 1, 3)]
    assert await heard(merged) == [(name, 1, 3), (other["id"], 0, 4)]
    cut = await house.do("redact", original, spans=[span(1.5, 2)], method="deletion")
    assert await heard(cut) == [(name, 0, 1.5), (name, 2, 4)]
    assert await heard(original, reader) == await heard(cut)
    assert await heard(excerpt, reader) == []


async def test_a_timeline_tells_what_is_covered_in_any_version(house: ActionHouse) -> None:
    original, reader = await house.recording(), await house.reader()
    covered = await house.do("redact", original, spans=[span(1, 2, lane="customer"), span(3, 3.5)], method="beep")
    part = await house.do("trim", covered, start=1.5)
    for version, headers, first in ((covered, None, 1), (part, None, 0), (original, reader, 1), (original, None, None)):
        told = (await house.ok("GET", f"/recordings/{version['id']}/timeline", headers=headers))["masks"]
        places = [(one["start"], one["end"], one["lane"], one["method"]) for one in told]
        late = 1.5 if version == part else 0
        if first is None:
            assert places == []
        else:
            assert places == [(first, 2 - late, "customer", "beep"), (3 - late, 3.5 - late, None, "beep")]


# -- who hears it --------------------------------------------------------------------------------


async def test_a_redaction_holds_in_every_form_and_in_links_that_were_made_before(house: ActionHouse) -> None:
    original, reader = await house.recording(), await house.reader()
    where = f"/recordings/{original['id']}"
    turns = [{"role": "customer", "content": "4111", "start": 1.1, "end": 1.4}]
    await house.ok("PUT", f"{where}/transcript", json={"turns": turns})
    links = [
        await house.ok("POST", f"{where}/secure-url", json={"view": v}, headers=reader) for v in ("stereo", "mono")
    ]
    redacted = await house.do("redact", original, spans=[span(1, 1.5)])
    for view, link in zip(("stereo", "mono"), links, strict=True):
        expected = covered(await house.wav(original, view), 1, 1.5)
        assert np.array_equal(await house.wav(original, view, reader), expected)
        followed = await house.ok("GET", link["url"], headers={"authorization": ""})
        assert np.array_equal(np.frombuffer(followed[44:], "<i2"), expected.ravel())
    drawn = await house.ok("GET", f"{where}/waveform.dat?samplesPerPixel=1000", headers=reader)
    peaks = waveform.parse_dat(drawn).peaks.reshape(32, -1)
    assert not peaks[8:12].any() and peaks[:8].any(axis=1).all() and peaks[12:].any(axis=1).all()
    told = await house.ok("GET", f"{where}/transcript", headers=reader)
    assert [turn["content"] for turn in told["turns"]] == ["[redacted]"]
    flac = await house.ok("GET", f"{where}/audio.flac", headers=reader)
    assert flac == await house.ok("GET", f"/recordings/{redacted['id']}/audio.flac", headers=reader)
    assert flac != await house.ok("GET", f"{where}/audio.flac")


async def test_whoever_hears_no_originals_works_on_what_he_hears(house: ActionHouse) -> None:
    original, reader = await house.recording(), await house.reader()
    redacted = await house.do("redact", original, spans=[span(1, 1.5)])
    trimmed = await house.do("trim", original, reader, start=0.5, end=2)
    assert (trimmed["redacted"], trimmed["derivedFrom"]) == (True, [redacted["id"]])
    expected = covered(await house.wav(original), 1, 1.5)[4000:16_000]
    assert np.array_equal(await house.wav(trimmed, headers=reader), expected)
    unredacted = await house.do("trim", original, start=0.5, end=2)
    await house.ok("GET", f"/recordings/{unredacted['id']}/audio.wav", status=(403,), headers=reader)


@pytest.mark.parametrize("method", ["silence", "beep", "deletion"])
async def test_a_second_redaction_takes_nothing_of_the_first_back(house: ActionHouse, method: str) -> None:
    original, reader = await house.recording(), await house.reader()
    link = await house.ok("POST", f"/recordings/{original['id']}/secure-url", json={"view": "stereo"}, headers=reader)
    first = await house.do("redact", original, spans=[span(1, 1.5, lane="customer")])
    between = await house.ok("POST", f"/recordings/{first['id']}/secure-url", json={"view": "stereo"}, headers=reader)
    second = await house.do("redact", original, spans=[span(3, 3.5)], method=method)
    whole = (await house.wav(original)).copy()
    whole[8000:12_000, 0] = 0
    heard = await house.wav(second, headers=reader)
    assert np.array_equal(heard[:24_000], whole[:24_000])
    if method == "deletion":
        assert np.array_equal(heard[24_000:], whole[28_000:])
    else:
        assert np.array_equal(heard[28_000:], whole[28_000:])
        assert is_beep(heard[24_000:28_000, 1]) if method == "beep" else not heard[24_000:28_000].any()
    for url in (link["url"], between["url"]):
        followed = await house.ok("GET", url, headers={"authorization": ""})
        assert np.array_equal(np.frombuffer(followed[44:], "<i2").reshape(-1, 2), heard)
    for asked in (original, first):
        assert np.array_equal(await house.wav(asked, headers=reader), heard)


async def test_redactions_at_the_same_time_are_both_heard_to(house: ActionHouse) -> None:
    original, reader = await house.recording(), await house.reader()
    spans = [span(n / 2, n / 2 + 0.25) for n in range(6)]
    await asyncio.gather(*(house.do("redact", original, spans=[one]) for one in spans))
    expected = await house.wav(original)
    for one in spans:
        expected = covered(expected, one["start"], one["end"])
    assert np.array_equal(await house.wav(original, headers=reader), expected)


async def test_an_excerpt_that_was_redacted_lets_nothing_through_that_was_redacted_elsewhere(
    house: ActionHouse,
) -> None:
    original, reader = await house.recording(), await house.reader()
    excerpt = await house.do("trim", original, start=1, end=4)
    await house.do("redact", original, spans=[span(1.5, 2)])
    redacted = await house.do("redact", excerpt, spans=[span(2, 2.5)])
    expected = covered(covered(await house.wav(excerpt), 0.5, 1), 2, 2.5)
    assert np.array_equal(await house.wav(redacted, headers=reader), expected)
    # What the excerpt hides is heard in the version of the whole, which is not heard before it hides that too.
    await house.ok("GET", f"/recordings/{original['id']}/audio.wav", status=(403,), headers=reader)
    await house.do("redact", original, spans=[span(0, 0.1)])
    heard = await house.wav(original, headers=reader)
    assert not heard[24_000:28_000].any() and not heard[12_000:16_000].any() and heard[16_000:24_000].any()


async def test_a_merge_of_what_is_redacted_and_what_need_not_be_is_heard_until_it_must_be(house: ActionHouse) -> None:
    one, two, reader = await house.recording(1, 1), await house.recording(1, 2), await house.reader()
    redacted = await house.do("redact", one, spans=[span(0, 0.5)])
    merged = await house.do("merge", one, reader, recordings=[two["id"]])
    assert merged["derivedFrom"] == [redacted["id"], two["id"]]
    expected = np.concatenate((covered(await house.wav(one), 0, 0.5), await house.wav(two)))
    assert np.array_equal(await house.wav(merged, headers=reader), expected)
    await house.do("redact", two, spans=[span(0.5, 1)])
    await house.ok("GET", f"/recordings/{merged['id']}/audio.wav", status=(403,), headers=reader)


async def test_a_version_made_of_sound_that_is_deleted_at_that_moment_is_gone_too(house: ActionHouse) -> None:
    for _ in range(3):
        original = await house.recording(1)
        path = f"/api/v1/recordings/{original['id']}"
        trimming = [house.web.client.post(f"{path}/trim", json={"start": 0.5}) for _ in range(3)]
        *answers, _ = await asyncio.gather(*trimming, house.web.client.delete(path))
        assert {answer.status_code for answer in answers} <= {201, 404}
        living = await house.ok("GET", f"/recordings?callId={original['call']['id']}")
        assert living["data"] == []


async def test_a_redaction_is_taken_back_by_none_but_those_who_may_hear_what_it_hides(house: ActionHouse) -> None:
    original, reader = await house.recording(), await house.reader()
    redacted = await house.do("redact", original, spans=[span(1, 1.5)])
    excerpt = await house.do("trim", redacted, reader, end=2)
    await house.ok("PATCH", f"/recordings/{redacted['id']}", status=(403,), json={"retentionPeriod": 1}, headers=reader)
    kept_on = {"tags": ["x"], "retentionPeriod": None}
    await house.ok("PATCH", f"/recordings/{redacted['id']}", json=kept_on, headers=reader)
    await house.ok("DELETE", f"/recordings/{redacted['id']}", status=(403,), headers=reader)
    await house.ok("DELETE", f"/recordings/{excerpt['id']}", headers=reader)
    assert not (await house.wav(original, headers=reader))[8000:12_000].any()
    await house.ok("DELETE", f"/recordings/{redacted['id']}")
    assert (await house.wav(original, headers=reader)).tobytes() == (await house.wav(original)).tobytes()


# -- doing it once, and who may ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "asked"),
    [("trim", {"end": 1}), ("redact", {"spans": [span(0, 1)]}), ("convert", {"format": "mp3"}), ("compress", {})],
)
async def test_the_same_request_with_a_key_is_done_once_and_keeps_no_link(
    house: ActionHouse, verb: str, asked: dict
) -> None:
    original = await house.recording()
    again = {"idempotency-key": "k1"}
    first, second = [await house.do(verb, original, again, **asked) for _ in range(2)]
    assert first == second and first["secureUrl"] is None and first["transcript"] is None
    assert len((await house.ok("GET", f"/recordings?callId={original['call']['id']}"))["data"]) == 2


async def test_every_verb_needs_the_scope_to_process(house: ActionHouse) -> None:
    original = await house.recording(1)
    others = await house.web.bearer("recordings:read", "recordings:write", "recordings:original")
    bodies = {
        "trim": {"end": 0.5},
        "merge": {"recordings": [original["id"]]},
        "convert": {"format": "ogg"},
        "compress": {},
        "redact": {"spans": [span(0, 1)]},
    }
    for verb, asked in bodies.items():
        assert await house.refused(verb, original, others, **asked) == (403, "forbidden")
        made = await house.do(verb, original, await house.web.bearer("recordings:process"), **asked)
        assert made["derivedFrom"] == [original["id"]]
