"""Calls: announced, looked up, changed, ended, deleted."""

from dataclasses import replace

import pytest
from tests.audits import audited
from tests.callhouse import CallHouse, caller

from callvault.domain.access import Action
from callvault.domain.call import Call, Participant
from callvault.domain.errors import AlreadyThere, Malformed, Missing, NotAuthenticated, OnHold, Refused, TooLarge
from callvault.domain.event import Event
from callvault.domain.filters import Between, CallFilter
from callvault.domain.job import Job
from callvault.domain.recording import Recording
from callvault.domain.unit import Unit
from callvault.services.findings import found_by_its_end
from callvault.services.pages import Place

ME = caller()
PRIVATE = {"kind": "direct", "participants": (Participant(id="m"), Participant(id="n"))}


@pytest.fixture
async def house() -> CallHouse:
    house = CallHouse()
    await house.workspace()
    await house.workspace("other")
    return house


async def test_a_call_gets_an_id_for_each_way_of_asking(house: CallHouse) -> None:
    first = await house.calls.create(ME, {"external_ids": {"twilio": "CA1"}})
    second = await house.calls.create(ME, {})
    assert (first.chat_id, second.chat_id) == (1, 2)
    assert first.public_id.startswith("call_") and len(first.public_id) >= 5 + 22
    for found in (
        await house.calls.by_id(ME, first.id.upper()),
        await house.calls.by_public_id(ME, first.public_id),
        await house.calls.by_chat_id(ME, 1),
        await house.calls.by_external_id(ME, "twilio", "CA1"),
    ):
        assert found == first


async def test_a_new_call_is_told_and_audited_with_it(house: CallHouse) -> None:
    call = await house.calls.create(ME, {"from_number": "+15550100"})
    [event] = await house.all(Event)
    assert (event.type, event.call_id, event.workspace_id) == ("call.created", call.id, "w")
    [entry] = await audited(house.store)
    assert (entry.action, entry.thing, entry.actor) == ("calls.create", f"call:{call.id}", "key:k")
    assert "+15550100" not in str(event) + str(entry)


async def test_the_participants_of_a_call_are_bounded_in_all_their_words(house: CallHouse) -> None:
    many = tuple(Participant(id=f"p{n}", name="n" * 300, role="other", number="1" * 15) for n in range(200))
    await house.calls.create(ME, {"participants": many})
    with pytest.raises(TooLarge):
        await house.calls.create(ME, {"participants": tuple(replace(one, name="n" * 310) for one in many)})


async def test_a_call_keeps_the_id_that_its_caller_chose(house: CallHouse) -> None:
    chosen = "0b0e7a4c-8d5c-4a5e-9a55-0a1b2c3d4e5f"
    assert (await house.calls.create(ME, {}, chosen.upper())).id == chosen
    with pytest.raises(AlreadyThere):
        await house.calls.create(ME, {}, chosen)
    with pytest.raises(Malformed):
        await house.calls.create(ME, {}, "call-1")


async def test_an_id_of_another_system_names_one_call_alone(house: CallHouse) -> None:
    await house.calls.create(ME, {"external_ids": {"twilio": "CA1"}})
    with pytest.raises(AlreadyThere):
        await house.calls.create(ME, {"external_ids": {"twilio": "CA1"}})
    assert await house.calls.create(ME, {"external_ids": {"telnyx": "CA1"}})
    assert await house.calls.create(caller(workspace="other"), {"external_ids": {"twilio": "CA1"}})


async def test_another_workspace_s_call_does_not_exist(house: CallHouse) -> None:
    call = await house.calls.create(ME, {"external_ids": {"twilio": "CA1"}})
    stranger = caller(workspace="other")
    for ask in (
        house.calls.by_id(stranger, call.id),
        house.calls.by_public_id(stranger, call.public_id),
        house.calls.by_chat_id(stranger, call.chat_id),
        house.calls.by_external_id(stranger, "twilio", "CA1"),
        house.calls.update(stranger, call.id, {"name": "mine"}),
        house.calls.delete(stranger, call.id),
    ):
        with pytest.raises(Missing):
            await ask


async def test_a_key_without_the_scope_is_refused_and_nobody_without_a_key_gets_in(house: CallHouse) -> None:
    call = await house.calls.create(ME, {})
    with pytest.raises(Refused):
        await house.calls.by_id(caller("recordings:write"), call.id)
    with pytest.raises(NotAuthenticated):
        await house.calls.by_id(caller().__class__(None), call.id)
    assert await house.calls.by_id(caller("chats:read"), call.id, Action.READ_CHAT)


async def test_a_private_call_is_for_its_participants_alone(house: CallHouse) -> None:
    private = await house.calls.create(ME, PRIVATE)
    public = await house.calls.create(ME, {})
    other = caller(member="somebody")
    with pytest.raises(Refused):
        await house.calls.by_chat_id(other, private.chat_id)
    assert await house.calls.by_chat_id(caller(member="n"), private.chat_id) == private
    assert [c.id for c in (await house.calls.find(other, CallFilter(), Place())).items] == [public.id]
    assert await house.calls.count(other, CallFilter()) == 1
    assert await house.calls.count(ME, CallFilter()) == 2


async def test_lists_are_narrowed_paged_and_counted(house: CallHouse) -> None:
    made = []
    for n in range(5):
        house.clock.advance(1)
        facts = {"direction": "inbound" if n % 2 else "outbound", "from_number": f"+1555010{n}", "assistant_id": "a"}
        made.append(await house.calls.create(ME, facts))
    first = await house.calls.find(ME, CallFilter(assistant_id="a"), Place(limit=2))
    assert [c.id for c in first.items] == [made[4].id, made[3].id]
    second = await house.calls.find(ME, CallFilter(assistant_id="a"), Place(limit=2, after=first.cursor))
    assert [c.id for c in second.items] == [made[2].id, made[1].id]
    last = await house.calls.find(ME, CallFilter(), Place(limit=2, offset=4))
    assert [c.id for c in last.items] == [made[0].id] and last.cursor is None
    assert await house.calls.count(ME, CallFilter(direction=("inbound",))) == 2
    assert await house.calls.count(ME, CallFilter(created=Between(gt=made[1].created_ms))) == 3
    assert await house.calls.count(ME, CallFilter(search="0103")) == 1
    assert await house.calls.count(ME, CallFilter(number="+15550104")) == 1
    assert await house.calls.count(ME, CallFilter(status=("ended", "failed"))) == 0


async def test_a_changed_call_is_told_and_its_new_external_ids_lead_to_it(house: CallHouse) -> None:
    call = await house.calls.create(ME, {"external_ids": {"twilio": "CA1"}})
    house.clock.advance(2)
    changed = await house.calls.update(ME, call.id, {"name": "sales", "external_ids": {"twilio": "CA2"}})
    assert (changed.name, changed.version, changed.updated_ms) == ("sales", 2, call.updated_ms + 2000)
    assert await house.calls.by_external_id(ME, "twilio", "CA2") == changed
    with pytest.raises(Missing):
        await house.calls.by_external_id(ME, "twilio", "CA1")
    assert [e.type for e in await house.all(Event)] == ["call.created", "call.updated"]


ANALYSIS = {"summary": "4111 1111"}


async def analyzed(house: CallHouse) -> list[Event]:
    return [event for event in await house.all(Event) if event.type == "recording.analyzed"]


async def test_an_analysis_is_told_once_of_the_newest_original_that_is_over(house: CallHouse) -> None:
    made = await house.recordings.create(ME, {})
    house.clock.advance(1)
    newer = (await house.recordings.create(ME, made.call.id)).recording
    unit = Unit()
    unit.change(replace(newer, status="completed", in_progress=False, version=newer.version + 1))
    await house.store.commit(unit)
    await house.calls.update(ME, made.call.id, {"name": "x", "analysis": {}})
    assert await analyzed(house) == []
    for _ in range(2):
        await house.calls.update(ME, made.call.id, {"analysis": ANALYSIS})
    [told] = await analyzed(house)
    assert (told.recording_id, told.call_id) == (newer.id, made.call.id)
    assert "4111" not in str(told.data)


async def test_an_analysis_of_a_call_that_is_going_on_is_left_to_the_end_of_its_recording(house: CallHouse) -> None:
    made = await house.recordings.create(ME, {"kind": "direct", "participants": (Participant(id="m"),)})
    both = Participant(id="m"), Participant(id="n")
    await house.calls.update(ME, made.call.id, {"analysis": ANALYSIS, "participants": both})
    stored = await house.store.get(Recording, made.recording.id)
    assert (stored.version, stored.readers) == (made.recording.version + 1, ("m", "n"))
    assert await analyzed(house) == []
    assert await found_by_its_end(house.store, stored) == ["recording.analyzed"]


async def test_a_change_cannot_take_another_call_s_external_id(house: CallHouse) -> None:
    await house.calls.create(ME, {"external_ids": {"twilio": "CA1"}})
    second = await house.calls.create(ME, {})
    with pytest.raises(AlreadyThere):
        await house.calls.update(ME, second.id, {"external_ids": {"twilio": "CA1"}})


async def test_who_may_read_a_call_s_recordings_follows_its_participants(house: CallHouse) -> None:
    made = await house.recordings.create(ME, {"kind": "direct", "participants": (Participant(id="m"),)})
    await house.calls.update(ME, made.call.id, {"participants": (Participant(id="m"), Participant(id="n"))})
    assert await house.recordings.retrieve(caller(member="n"), made.recording.id)


async def test_a_call_ends_once(house: CallHouse) -> None:
    call = await house.calls.create(ME, {})
    house.clock.advance(60)
    ended = await house.calls.end(ME, call.id, "customer-hung-up")
    house.clock.advance(60)
    assert await house.calls.end(ME, call.id, "again") == ended
    assert (ended.status, ended.ended_ms, ended.ended_reason) == ("ended", call.created_ms + 60_000, "customer-hung-up")
    assert [e.type for e in await house.all(Event)] == ["call.created", "call.ended"]


async def test_a_deleted_call_leaves_a_tombstone_that_tells_nothing(house: CallHouse) -> None:
    facts = {"from_number": "+15550100", "external_ids": {"twilio": "CA1"}, "metadata": {"crm": "7"}}
    made = await house.recordings.create(ME, facts, {"tags": ("vip",)})
    await house.calls.delete(ME, made.call.id)
    stone = await house.store.get(Call, made.call.id)
    assert stone is not None and stone.deleted_ms is not None and stone.public_id == made.call.public_id
    assert (stone.from_number, stone.external_ids, stone.metadata) == (None, {}, {})
    sound = await house.store.get(Recording, made.recording.id)
    assert sound is not None and (sound.status, sound.tags) == ("deleted", ())
    [job] = await house.all(Job)
    assert (job.kind, job.arguments) == ("purge", {"recordings": [made.recording.id], "call": made.call.id})
    for ask in (house.calls.by_id(ME, made.call.id), house.calls.by_external_id(ME, "twilio", "CA1")):
        with pytest.raises(Missing):
            await ask
    assert await house.calls.count(ME, CallFilter()) == 0


async def test_deleting_a_call_twice_is_deleting_it_once(house: CallHouse) -> None:
    made = await house.recordings.create(ME, {})
    first = await house.calls.delete(ME, made.call.id)
    assert await house.calls.delete(ME, made.call.id) == first
    assert len(await house.all(Job)) == 1
    assert [e.type for e in await house.all(Event)].count("call.deleted") == 1


async def test_a_hold_beats_the_deletion_of_a_call(house: CallHouse) -> None:
    made = await house.recordings.create(ME, {})
    unit = Unit()
    unit.put(replace(made.recording, held=True))
    await house.store.commit(unit)
    with pytest.raises(OnHold):
        await house.calls.delete(ME, made.call.id)
    assert await house.calls.by_id(ME, made.call.id)


async def test_a_public_id_opens_a_call_only_where_the_workspace_wants_it(house: CallHouse) -> None:
    call = await house.calls.create(ME, {})
    private = await house.calls.create(ME, PRIVATE)
    with pytest.raises(Missing):
        await house.calls.by_capability(call.public_id)
    await house.workspace(public_recordings=True)
    assert await house.calls.by_capability(call.public_id) == call
    assert await house.calls.capabilities_open(ME)
    assert not await house.calls.capabilities_open(caller(workspace="other"))
    with pytest.raises(Missing):
        await house.calls.by_capability(private.public_id)
    await house.workspace(public_recordings=True, hipaa=True)
    with pytest.raises(Missing):
        await house.calls.by_capability(call.public_id)


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"direction": "sideways"}, Malformed),
        ({"status": "lost"}, Malformed),
        ({"name": "x" * 1001}, TooLarge),
        ({"metadata": {"x": "y" * 70_000}}, TooLarge),
        ({"participants": (Participant(id="a"), Participant(id="a"))}, Malformed),
        ({"participants": tuple(Participant(id=str(n)) for n in range(201))}, TooLarge),
        ({"external_ids": {str(n): "x" for n in range(33)}}, TooLarge),
    ],
)
async def test_facts_beyond_measure_are_refused(house: CallHouse, facts: dict, error: type[Exception]) -> None:
    with pytest.raises(error):
        await house.calls.create(ME, facts)
    assert await house.all(Call) == []


async def test_a_call_that_was_ahead_is_under_way_when_its_recording_begins(house: CallHouse) -> None:
    call = await house.calls.create(ME, {"status": "queued"})
    await house.recordings.create(ME, call.id)
    assert (await house.calls.by_id(ME, call.id)).status == "in-progress"
    over = await house.calls.create(ME, {"status": "ended"})
    await house.recordings.create(ME, over.id)
    assert (await house.calls.by_id(ME, over.id)).status == "ended"
