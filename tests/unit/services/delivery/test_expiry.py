"""Expiry: from its time on nobody gets a recording's sound, nor its picture, its files or what was made of it."""

import pytest
from tests.callhouse import caller
from tests.unit.services.delivery.house import House

from callvault.domain.errors import RecordingExpired
from callvault.domain.recording import Clip, EditList, Recording
from callvault.domain.stored import Artifact
from callvault.domain.workspace import SCOPES
from callvault.services.delivery.desk import Wanted
from callvault.services.delivery.surveys import Surveys
from callvault.services.delivery.waveforms import Waveforms

ME = caller(*SCOPES)
MONO = Wanted()
EVERYTHING = (MONO, Wanted(format="mp3"), Wanted(live=True), Wanted(format="mp3", live=True), Wanted(artifact="pcap"))


@pytest.fixture
async def house() -> House:
    house = House()
    await house.workspace(link_seconds_max=7200)
    return house


async def expiring(house: House, seconds: float = 60) -> Recording:
    recording = await house.spoken(expires_ms=house.clock.now_ms() + int(seconds * 1000))
    stored = house.recorder.blobs.put(f"w/{recording.id}/pcap", [b"pcap"])
    facts = {"recording_id": recording.id, "workspace_id": "w", "object_key": stored.key, "size": 4}
    await house.recorder.add(Artifact(kind="pcap", media_type="application/vnd.tcpdump.pcap", created_ms=1, **facts))
    return recording


async def trimmed(house: House, *of: Recording, **facts: object) -> Recording:
    clips = tuple(Clip(recording_id=r.id, start_us=0, end_us=500_000) for r in of)
    sources = tuple(r.id for r in of)
    return await house.recorder.recording(operation="trim", derived_from=sources, edits=EditList(clips=clips), **facts)


@pytest.mark.parametrize("wanted", EVERYTHING)
async def test_what_has_expired_is_handed_out_in_no_form(house: House, wanted: Wanted) -> None:
    recording = await expiring(house)
    house.clock.advance(59.999)
    await house.desk.check(recording, MONO)
    await house.desk.open(recording, MONO)
    house.clock.advance(0.001)
    for ask in (house.desk.open, house.desk.whole, house.desk.check):
        with pytest.raises(RecordingExpired):
            await ask(recording, wanted)
    assert await house.desk.there([(recording, [wanted])]) == []


async def test_the_picture_of_the_sound_goes_with_it_and_what_is_known_of_its_timeline_stays(house: House) -> None:
    recording = await expiring(house)
    waveforms = Waveforms(house.views, house.expiry)
    assert (await waveforms.of(recording)).peaks.any()
    house.clock.advance(60)
    with pytest.raises(RecordingExpired):
        await waveforms.of(recording)
    assert (await Surveys(house.views).of(recording)).length_us == 1_000_000


async def test_a_recording_in_progress_that_has_expired_is_not_heard_live(house: House) -> None:
    recording = await house.spoken(in_progress=True, status="processing", expires_ms=house.clock.now_ms())
    with pytest.raises(RecordingExpired):
        await house.desk.open(recording, Wanted(live=True))


async def test_no_version_outlives_anything_that_it_was_made_of(house: House) -> None:
    first, second = await expiring(house, 60), await expiring(house, 30)
    merged = await trimmed(house, first, second)
    again = await trimmed(house, merged, expires_ms=house.clock.now_ms() + 3_600_000)
    assert await house.expiry.left_ms(again) == 30_000
    house.clock.advance(30)
    for version in (merged, again):
        with pytest.raises(RecordingExpired):
            await house.desk.open(version, MONO)
    await house.desk.open(first, MONO)
    there = await house.desk.there([(version, [MONO]) for version in (first, second, merged, again)])
    assert [(recording.id, left_ms) for recording, _, left_ms in there] == [(first.id, 30_000)]


async def test_a_version_may_expire_before_what_it_was_made_of(house: House) -> None:
    original = await house.spoken()
    version = await trimmed(house, original, expires_ms=house.clock.now_ms())
    with pytest.raises(RecordingExpired):
        await house.desk.check(version, MONO)
    await house.desk.open(original, MONO)


async def test_a_link_opens_nothing_that_has_expired_since(house: House) -> None:
    recording = await house.spoken()
    link = await house.links.secure_url(ME, recording, Wanted(), seconds=3600)
    opens = link.url.rpartition("/link/")[2]
    await house.links.follow(opens)
    await house.recordings.update(ME, recording.id, {"expires_ms": house.clock.now_ms()})
    with pytest.raises(RecordingExpired):
        await house.links.follow(opens)
    await house.recordings.update(ME, recording.id, {"expires_ms": None})
    await house.links.follow(opens)


@pytest.mark.parametrize("delivery", ["vault", "bucket"])
async def test_a_link_lives_no_longer_than_what_it_opens(house: House, delivery: str) -> None:
    await house.workspace(link_seconds_max=7200, delivery=delivery)
    links = house.linked(presigner=house.bucket)
    recording = await expiring(house)
    version = await trimmed(house, recording)
    for opened in (recording, version):
        link = await links.secure_url(ME, opened, Wanted(), seconds=3600)
        assert (link.seconds, link.expires_ms) == (60, recording.expires_ms)
    assert delivery == "vault" or "?GET 60 " in link.url
    house.clock.advance(60)
    with pytest.raises(RecordingExpired):
        await links.secure_url(ME, recording, Wanted())


async def test_a_list_tells_no_link_to_what_has_expired(house: House) -> None:
    over, other = await expiring(house, 0), await house.spoken()
    minted = await house.links.secure_urls(ME, [(over, [MONO]), (other, [MONO])])
    assert list(minted) == [other.id]


async def test_an_original_costs_no_look_at_what_it_was_made_of(house: House) -> None:
    recording = await expiring(house)

    async def none(query: object) -> list[object]:
        raise AssertionError(query)

    house.store.find = none  # type: ignore[method-assign, assignment]
    assert await house.expiry.left_ms(recording) == 60_000
    assert await house.expiry.unexpired([recording]) == {recording.id: 60_000}
