from dataclasses import replace

import pytest
from tests.callhouse import caller
from tests.unit.services.delivery.house import House, content

from callvault.domain.access import Action
from callvault.domain.errors import (
    LinkExpired,
    LinkInvalid,
    Malformed,
    Missing,
    NotAuthenticated,
    RecordingInProgress,
    Refused,
)
from callvault.domain.recording import Clip, Derivation, EditList, Mask, Recording
from callvault.domain.stored import Artifact, Rendition
from callvault.domain.unit import Unit
from callvault.domain.workspace import SCOPES
from callvault.services.delivery.content import StoredContent
from callvault.services.delivery.desk import Wanted
from callvault.services.delivery.growing import Growing
from callvault.services.delivery.links import Link
from callvault.services.delivery.views import View

ME = caller()
BASE = "https://vault.example"


@pytest.fixture
async def house() -> House:
    house = House()
    await house.workspace(link_seconds_max=7200)
    return house


def token(link: Link) -> str:
    base, _, token = link.url.rpartition("/link/")
    assert base == BASE
    return token


async def test_a_link_opens_what_it_was_made_for(house: House) -> None:
    recording = await house.spoken()
    link = await house.links.secure_url(
        ME, recording, Wanted(view="stereo", rate=16000), attachment=True, base_url=BASE
    )
    followed = await house.links.follow(token(link))
    view = await house.view(recording, "stereo", 16000)
    assert isinstance(followed.content, View) and followed.content.etag == view.etag
    assert (followed.recording.id, followed.attachment) == (recording.id, True)
    assert followed.filename == f"recording-{recording.id}-stereo.wav"


async def test_a_link_to_another_format_opens_its_rendition(house: House) -> None:
    recording = await house.spoken()
    link = await house.links.secure_url(ME, recording, Wanted(format="mp3"), filename="Anruf ü.mp3", base_url=BASE)
    followed = await house.links.follow(token(link))
    assert isinstance(followed.content, Growing) and followed.filename == "Anruf ü.mp3"
    assert (await content(followed.content.stream())).startswith(b"mp3 8000 1\n")
    assert isinstance((await house.links.follow(token(link))).content, StoredContent)


async def artifact(house: House, recording: Recording, kind: str, body: bytes) -> None:
    stored = house.recorder.blobs.put(f"w/{recording.id}/{kind}", [body])
    row = Artifact(
        recording_id=recording.id,
        kind=kind,
        workspace_id="w",
        object_key=stored.key,
        media_type="application/gzip",
        size=len(body),
        created_ms=1,
    )
    await house.recorder.add(row, replace(stored, workspace_id="w", recording_id=recording.id))


async def test_a_link_to_an_artifact_opens_it_as_it_was_put_in(house: House) -> None:
    recording = await house.spoken()
    body = bytes(range(256)) * 9000
    await artifact(house, recording, "call-logs", body)
    link = await house.links.secure_url(ME, recording, Wanted(artifact="call-logs"), base_url=BASE)
    followed = await house.links.follow(token(link))
    assert isinstance(followed.content, StoredContent)
    assert (followed.content.media_type, followed.content.length) == ("application/gzip", len(body))
    assert followed.filename == f"call-logs-{recording.id}.jsonl.gz"
    assert await content(followed.content.stream()) == body
    assert await content(followed.content.stream(1_000_000, 2_200_000)) == body[1_000_000:2_200_000]
    with pytest.raises(Missing):
        await house.links.secure_url(ME, recording, Wanted(artifact="pcap"), base_url=BASE)


async def test_no_link_is_made_for_a_name_that_it_cannot_carry(house: House) -> None:
    with pytest.raises(Malformed):
        await house.links.secure_url(ME, await house.spoken(), Wanted(), filename="call\0.wav", base_url=BASE)


async def test_a_link_lives_as_long_as_was_asked_and_no_longer_than_the_workspace_allows(house: House) -> None:
    recording, now = await house.spoken(), house.clock.now_ms()
    for asked, given in ((60, 60), (10**9, 7200), (-5, 1)):
        link = await house.links.secure_url(ME, recording, Wanted(), seconds=asked, base_url=BASE)
        assert link.expires_ms == now + given * 1000
    link = await house.links.secure_url(ME, recording, Wanted(), seconds=60, base_url=BASE)
    house.clock.advance(59.999)
    await house.links.follow(token(link))
    house.clock.advance(0.001)
    with pytest.raises(LinkExpired):
        await house.links.follow(token(link))


async def test_a_link_signed_with_a_former_secret_still_opens_and_one_of_a_strange_one_does_not(house: House) -> None:
    recording = await house.spoken()
    old = await house.linked(secrets={"k0": b"0" * 32}).secure_url(ME, recording, Wanted(), base_url=BASE)
    assert (await house.links.follow(token(old))).recording.id == recording.id
    strange = await house.linked(secrets={"k1": b"x" * 32}).secure_url(ME, recording, Wanted(), base_url=BASE)
    for bad in (token(strange), token(old)[:-1], "", "a.b.c"):
        with pytest.raises(LinkInvalid):
            await house.links.follow(bad)


async def test_all_links_of_a_recording_are_revoked_at_once(house: House) -> None:
    recording = await house.spoken()
    link = await house.links.secure_url(ME, recording, Wanted(), base_url=BASE)
    with pytest.raises(Refused):
        await house.links.revoke(caller("recordings:read"), recording.id)
    revoked = await house.links.revoke(ME, recording.id)
    with pytest.raises(LinkInvalid):
        await house.links.follow(token(link))
    fresh = await house.links.secure_url(ME, revoked, Wanted(), base_url=BASE)
    assert (await house.links.follow(token(fresh))).recording.id == recording.id
    assert [e.outcome for e in await house.audited() if e.action == "recordings.listen"] == ["refused"]


async def test_a_link_to_what_was_deleted_opens_nothing(house: House) -> None:
    recording = await house.spoken()
    link = await house.links.secure_url(ME, recording, Wanted(), base_url=BASE)
    unit = Unit()
    unit.change(replace(recording, deleted_ms=1, version=2))
    await house.store.commit(unit)
    with pytest.raises(LinkInvalid):
        await house.links.follow(token(link))


async def redacted(house: House, original: Recording, **facts: object) -> Recording:
    clip = Clip(recording_id=original.id, start_us=0, end_us=1_000_000)
    edits = EditList(clips=(clip,), masks=(Mask(start_us=0, end_us=500_000),))
    version = replace(original, id=f"redacted {original.id}", operation="redactPII", redacted=True, edits=edits)
    version = replace(version, derived_from=(original.id,), **facts)
    await house.recorder.add(
        version, Derivation(parent_id=original.id, child_id=version.id, workspace_id=original.workspace_id)
    )
    return version


async def test_a_link_from_before_a_redaction_opens_the_redacted_version(house: House) -> None:
    recording = await house.spoken()
    await artifact(house, recording, "call-logs", b"4111 1111")
    sound = await house.links.secure_url(ME, recording, Wanted(), base_url=BASE)
    mp3 = await house.links.secure_url(ME, recording, Wanted(format="mp3"), base_url=BASE)
    logs = await house.links.secure_url(ME, recording, Wanted(artifact="call-logs"), base_url=BASE)
    many = await house.links.secure_urls(ME, [(recording, [Wanted()])], base_url=BASE)
    version = await redacted(house, recording)
    for link in (sound, mp3, many[recording.id][Wanted()]):
        assert (await house.links.follow(token(link))).recording.id == version.id
    with pytest.raises(Missing):
        await house.links.follow(token(logs))


async def test_a_link_from_before_a_redaction_that_has_no_stand_in_opens_nothing(house: House) -> None:
    recording = await house.spoken()
    link = await house.links.secure_url(ME, recording, Wanted(), base_url=BASE)
    await redacted(house, recording, operation="trim")
    with pytest.raises(Refused):
        await house.links.follow(token(link))


async def test_a_link_of_somebody_who_hears_originals_opens_them_after_a_redaction_too(house: House) -> None:
    recording = await house.spoken()
    link = await house.links.secure_url(caller(*SCOPES), recording, Wanted(), base_url=BASE)
    await redacted(house, recording)
    assert (await house.links.follow(token(link))).recording.id == recording.id


async def test_nobody_gets_a_link_to_what_they_may_not_hear(house: House) -> None:
    recording = await house.spoken()
    for asking, error in (
        (caller("chats:read"), Refused),
        (caller(workspace="other"), Missing),
        (caller(kind="public"), Refused),
        (ME._replace(principal=None), NotAuthenticated),
    ):
        with pytest.raises(error):
            await house.links.secure_url(asking, recording, Wanted(), base_url=BASE)
    await house.links.secure_url(caller("chats:read"), recording, Wanted(), action=Action.LISTEN_CHAT, base_url=BASE)
    with pytest.raises(Refused):
        await house.links.secure_url(ME, replace(recording, readers=("boss",)), Wanted(), base_url=BASE)


async def test_a_link_is_made_only_to_what_is_there(house: House) -> None:
    recording = await house.spoken()
    trimmed = replace(recording, id="t", edits=EditList(clips=(Clip(recording_id=recording.id, start_us=0, end_us=9),)))
    await house.links.secure_url(ME, trimmed, Wanted(view="customer"), base_url=BASE)
    for facts, error in (
        ({"view": "assistant"}, Missing),
        ({"view": "lane:x"}, Missing),
        ({"view": "quadro"}, Malformed),
        ({"format": "aiff"}, Malformed),
        ({"rate": 1}, Malformed),
    ):
        with pytest.raises(error):
            await house.links.secure_url(ME, recording, Wanted(**facts), base_url=BASE)
        with pytest.raises(error):
            await house.links.secure_url(ME, trimmed, Wanted(**facts), base_url=BASE)


async def test_a_recording_in_progress_has_a_link_for_those_who_take_what_is_there(house: House) -> None:
    recording = await house.spoken(in_progress=True, status="processing")
    with pytest.raises(RecordingInProgress):
        await house.links.secure_url(ME, recording, Wanted(), base_url=BASE)
    link = await house.links.secure_url(ME, recording, Wanted(live=True), base_url=BASE)
    assert isinstance((await house.links.follow(token(link))).content, View)


async def test_links_to_what_there_is_of_many_are_made_together(house: House) -> None:
    recordings = [await house.spoken(), await house.spoken(readers=("boss",)), await house.spoken(status="failed")]
    await artifact(house, recordings[0], "pcap", b"x")
    wanted = [Wanted(), Wanted(view="assistant"), Wanted(artifact="pcap"), Wanted(artifact="video")]
    asked = [(recording, wanted) for recording in recordings]
    made = await house.links.secure_urls(ME, asked, seconds=10**6, base_url=BASE)
    assert {name: set(links) for name, links in made.items()} == {
        recordings[0].id: {wanted[0], wanted[2]},
        recordings[2].id: set(),
    }
    link = made[recordings[0].id][wanted[2]]
    assert link.expires_ms == house.clock.now_ms() + 7200 * 1000
    assert (await house.links.follow(token(link))).filename == f"pcap-{recordings[0].id}.pcap"


async def test_the_operators_address_beats_the_one_that_the_client_used(house: House) -> None:
    link = await house.linked(public_url="https://public.example").secure_url(
        ME, await house.spoken(), Wanted(), base_url=BASE
    )
    assert link.url.startswith("https://public.example/link/")


async def test_a_bucket_gives_out_what_lies_in_it_unsealed_and_the_vault_all_else(house: House) -> None:
    await house.workspace(delivery="bucket")
    links = house.linked(presigner=house.bucket)
    recording = await house.spoken()
    made = [
        await links.secure_url(ME, recording, Wanted(), seconds=60, filename='a_"ü/b.wav', base_url=BASE)
        for _ in range(2)
    ]
    assert made[0].url == made[1].url
    assert made[0].url.startswith("https://bucket/w/") and "GET 60 audio/wav inline; " in made[0].url
    assert made[0].url.endswith("a__%C3%BC_b.wav")
    assert (await house.linked().secure_url(ME, recording, Wanted(), base_url=BASE)).url.startswith(BASE)
    unusual = await links.secure_url(ME, recording, Wanted(rate=12_345), base_url=BASE)
    assert unusual.url.startswith(BASE) and len(await house.all(Rendition)) == 1
    await artifact(house, recording, "pcap", b"x")
    stored = (await house.artifacts.open(recording, "pcap")).stored
    unit = Unit()
    unit.change(replace(stored, sealing="k.x"))
    await house.store.commit(unit)
    assert (await links.secure_url(ME, recording, Wanted(artifact="pcap"), base_url=BASE)).url.startswith(BASE)


async def test_links_that_are_made_are_audited_and_who_follows_one_is_named_by_it(house: House) -> None:
    recording = await house.spoken()
    link = await house.links.secure_url(ME, recording, Wanted(), base_url=BASE)
    follower = (await house.links.follow(token(link), address="198.51.100.9", request_id="r7")).caller
    (minted,) = await house.audited()
    assert (minted.action, minted.actor, minted.detail["what"]) == ("recordings.mint_link", "key:k", "mono.wav")
    assert follower.actor == f"link:{minted.detail['link']}"
    assert (follower.address, follower.request_id) == ("198.51.100.9", "r7")
    assert token(link) not in str((minted, follower))
