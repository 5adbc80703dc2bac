"""Recordings: begun, retrieved, listed, changed, deleted; which version is heard; legal holds."""

from dataclasses import replace

import pytest
from tests.callhouse import CallHouse, caller

from callvault.domain.call import Participant
from callvault.domain.errors import (
    AlreadyThere,
    CallUnrecorded,
    Malformed,
    Missing,
    OnHold,
    RecordingDisabled,
    Refused,
    TooLarge,
)
from callvault.domain.event import Event
from callvault.domain.filters import RecordingFilter
from callvault.domain.job import Job
from callvault.domain.recording import Derivation, Recording
from callvault.domain.unit import Unit
from callvault.services.holds import Holds
from callvault.services.pages import Place
from callvault.services.recordings import DAY_MS, CallRecording

ME = caller()
ORIGINALS = caller("recordings:read", "recordings:original")


@pytest.fixture
async def house() -> CallHouse:
    house = CallHouse()
    await house.workspace()
    await house.workspace("other")
    return house


async def derived(house: CallHouse, made: CallRecording, operation: str, *parents: str, redacted: bool) -> Recording:
    house.clock.advance(1)
    version = replace(
        made.recording,
        id=house.ids.uuid(),
        created_ms=house.clock.now_ms(),
        status="completed",
        derived_from=parents or (made.recording.id,),
        operation=operation,
        redacted=redacted,
    )
    unit = Unit()
    unit.add(version)
    unit.add(*(Derivation(parent_id=p, child_id=version.id, workspace_id="w") for p in version.derived_from))
    await house.store.commit(unit)
    return version


async def test_a_recording_begins_with_its_call(house: CallHouse) -> None:
    made = await house.recordings.create(ME, {"started_ms": 7, "from_number": "+15550100"}, {"tags": ("vip",)})
    assert (made.recording.status, made.recording.in_progress, made.recording.tags) == ("processing", True, ("vip",))
    assert (made.recording.call_id, made.recording.started_ms, made.call.chat_id) == (made.call.id, 7, 1)
    types = [event.type for event in await house.all(Event)]
    assert types == ["call.created", "recording.created", "recording.processing"]


async def test_a_call_can_have_several_recordings(house: CallHouse) -> None:
    first = await house.recordings.create(ME, {})
    second = await house.recordings.create(ME, first.call.id)
    assert second.call == first.call
    assert [r.id for r in await house.recordings.versions(ME, first.call.id)] == [
        second.recording.id,
        first.recording.id,
    ]


async def test_a_request_that_is_repeated_after_a_crash_finds_what_it_made(house: CallHouse) -> None:
    reserved = house.ids.uuid()
    first = await house.recordings.create(ME, {}, recording_id=reserved)
    again = await house.recordings.create(ME, {}, recording_id=reserved)
    assert (again.recording.id, again.call.id) == (first.recording.id, first.call.id)
    assert len(await house.all(Recording)) == 1


async def test_a_call_s_chosen_id_that_is_taken_is_refused(house: CallHouse) -> None:
    made = await house.recordings.create(ME, {})
    with pytest.raises(AlreadyThere):
        await house.recordings.create(ME, {}, call_id=made.call.id)


async def test_a_workspace_that_turned_recording_off_takes_none(house: CallHouse) -> None:
    await house.workspace(recording_enabled=False)
    with pytest.raises(RecordingDisabled):
        await house.recordings.create(ME, {})
    assert await house.all(Recording) == []


async def test_a_workspace_s_retention_holds_unless_the_recording_has_its_own(house: CallHouse) -> None:
    await house.workspace(retention_days=30)
    own = (await house.recordings.create(ME, {}, {"retention_days": 7})).recording
    default = (await house.recordings.create(ME, {})).recording
    assert own.auto_delete_ms == own.created_ms + 7 * DAY_MS
    assert default.auto_delete_ms == default.created_ms + 30 * DAY_MS


async def test_a_private_call_s_recordings_are_for_its_participants_alone(house: CallHouse) -> None:
    made = await house.recordings.create(ME, {"kind": "manager", "participants": (Participant(id="m"),)})
    other = caller(member="somebody")
    with pytest.raises(Refused):
        await house.recordings.retrieve(other, made.recording.id)
    with pytest.raises(Refused):
        await house.recordings.of_call(other, made.call.id)
    assert (await house.recordings.find(other, RecordingFilter(), Place())).items == []
    assert await house.recordings.of_call(ME, made.call.id)


async def test_another_workspace_s_recording_does_not_exist(house: CallHouse) -> None:
    made = await house.recordings.create(ME, {})
    stranger = caller(workspace="other")
    for ask in (
        house.recordings.retrieve(stranger, made.recording.id),
        house.recordings.of_call(stranger, made.call.id),
        house.recordings.update(stranger, made.recording.id, {"tags": ()}),
        house.recordings.delete(stranger, made.recording.id),
        house.recordings.create(stranger, made.call.id),
    ):
        with pytest.raises(Missing):
            await ask


async def test_once_a_redacted_version_exists_it_is_what_is_heard(house: CallHouse) -> None:
    made = await house.recordings.create(ME, {})
    assert (await house.recordings.of_call(ME, made.call.id)).id == made.recording.id
    redacted = await derived(house, made, "redactPII", redacted=True)
    assert await house.recordings.of_call(ME, made.call.id) == redacted
    assert await house.recordings.heard(ME, made.recording.id) == redacted
    assert await house.recordings.heard_of(None, made.call) == redacted
    assert await house.recordings.heard_of_each(ME, [made.call]) == {made.call.id: redacted}
    assert (await house.recordings.of_call(ORIGINALS, made.call.id)).id == made.recording.id
    assert (await house.recordings.heard(ORIGINALS, made.recording.id)).id == made.recording.id


async def test_once_redacted_a_newer_original_of_the_call_is_not_heard_instead(house: CallHouse) -> None:
    first = await house.recordings.create(ME, {})
    redacted = await derived(house, first, "redactPII", redacted=True)
    house.clock.advance(1)
    second = await house.recordings.create(ME, first.call.id)
    with pytest.raises(Refused):
        await house.recordings.heard(ME, second.recording.id)
    assert await house.recordings.of_call(ME, first.call.id) == redacted
    assert await house.recordings.heard_of(None, first.call) == redacted
    assert await house.recordings.heard_of_each(ME, [first.call]) == {first.call.id: redacted}
    assert await house.recordings.heard(ORIGINALS, second.recording.id) == second.recording
    assert await house.recordings.of_call(ORIGINALS, first.call.id) == second.recording


async def test_sound_redacted_in_another_call_s_merge_is_not_heard_in_its_original(house: CallHouse) -> None:
    first, second = await house.recordings.create(ME, {}), await house.recordings.create(ME, {})
    merged = await derived(house, first, "merge", first.recording.id, second.recording.id, redacted=False)
    redacted = await derived(house, first, "redactPII", merged.id, redacted=True)
    assert await house.recordings.heard(ME, merged.id) == redacted
    with pytest.raises(Refused):
        await house.recordings.of_call(ME, second.call.id)
    found = await house.recordings.heard_of_each(ME, [first.call, second.call])
    assert found[second.call.id] is None


async def test_a_merge_does_not_lend_one_call_the_sound_of_another(house: CallHouse) -> None:
    first = await house.recordings.create(ME, {})
    house.clock.advance(1)
    second = await house.recordings.create(ME, {})
    await derived(house, first, "merge", first.recording.id, second.recording.id, redacted=False)
    assert await house.recordings.of_call(ME, first.call.id) == first.recording
    assert await house.recordings.of_call(ORIGINALS, second.call.id) == second.recording


async def test_a_changed_recording_is_told(house: CallHouse) -> None:
    made = await house.recordings.create(ME, {})
    changes = {"tags": ("a", "b"), "metadata": {"crm": 7}, "retention_days": 1}
    changed = await house.recordings.update(ME, made.recording.id, changes)
    assert (changed.tags, changed.metadata) == (("a", "b"), {"crm": 7})
    assert changed.auto_delete_ms == changed.created_ms + DAY_MS
    assert (await house.all(Event))[-1].type == "recording.updated"
    page = await house.recordings.find(ME, RecordingFilter(tag="b"), Place())
    assert page.items == [changed]
    assert (await house.recordings.find(ME, RecordingFilter(tag="c"), Place())).items == []


async def test_a_change_that_met_another_one_is_made_on_top_of_it(house: CallHouse) -> None:
    made = await house.recordings.create(ME, {})
    real, met = house.store.commit, []

    async def commit(unit: Unit) -> None:
        if not met:
            met.append(True)
            between = Unit()
            between.change(replace(made.recording, duration_us=5, version=2))
            await real(between)
        await real(unit)

    house.store.commit = commit
    changed = await house.recordings.update(ME, made.recording.id, {"tags": ("a",)})
    assert (changed.tags, changed.duration_us, changed.version) == (("a",), 5, 3)


async def test_deleting_an_original_deletes_all_that_was_made_of_it(house: CallHouse) -> None:
    made = await house.recordings.create(ME, {})
    trimmed = await derived(house, made, "trim", redacted=False)
    deleted = await house.recordings.delete(ME, made.recording.id)
    assert (deleted.status, deleted.link_epoch) == ("deleted", made.recording.link_epoch + 1)
    assert (await house.store.get(Recording, trimmed.id)).status == "deleted"
    [job] = await house.all(Job)
    assert sorted(job.arguments["recordings"]) == sorted([made.recording.id, trimmed.id])
    with pytest.raises(Missing):
        await house.recordings.retrieve(ME, made.recording.id)
    with pytest.raises(Missing):
        await house.recordings.of_call(ME, made.call.id)


async def test_deleting_a_version_leaves_its_original(house: CallHouse) -> None:
    made = await house.recordings.create(ME, {})
    trimmed = await derived(house, made, "trim", redacted=False)
    assert await house.recordings.delete(ME, trimmed.id) == await house.recordings.delete(ME, trimmed.id)
    assert await house.recordings.retrieve(ME, made.recording.id)
    assert len(await house.all(Job)) == 1


async def test_a_hold_beats_every_deletion_until_it_is_released(house: CallHouse) -> None:
    holds = Holds(house.store, clock=house.clock, ids=house.ids, witness=house.witness, recordings=house.recordings)
    made = await house.recordings.create(ME, {})
    trimmed = await derived(house, made, "trim", redacted=False)
    first, second = await holds.place(ME, trimmed.id, "case 12"), await holds.place(ME, trimmed.id)
    for doomed in (made.recording.id, trimmed.id):
        with pytest.raises(OnHold):
            await house.recordings.delete(ME, doomed)
    with pytest.raises(OnHold):
        await house.calls.delete(ME, made.call.id)
    await holds.release(ME, trimmed.id, first.id)
    with pytest.raises(OnHold):
        await house.recordings.delete(ME, made.recording.id)
    released = await holds.release(ME, trimmed.id, second.id)
    assert await holds.release(ME, trimmed.id, second.id) == released
    assert (await house.recordings.delete(ME, made.recording.id)).status == "deleted"


async def test_a_hold_needs_its_own_scope(house: CallHouse) -> None:
    holds = Holds(house.store, clock=house.clock, ids=house.ids, witness=house.witness, recordings=house.recordings)
    made = await house.recordings.create(ME, {})
    with pytest.raises(Refused):
        await holds.place(caller("recordings:delete"), made.recording.id)


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"tags": ("",)}, TooLarge),
        ({"tags": tuple(map(str, range(65)))}, TooLarge),
        ({"retention_days": 0}, Malformed),
        ({"retention_days": 40_000}, Malformed),
        ({"metadata": {"x": "y" * 70_000}}, TooLarge),
    ],
)
async def test_facts_beyond_measure_are_refused(house: CallHouse, facts: dict, error: type[Exception]) -> None:
    with pytest.raises(error):
        await house.recordings.create(ME, {}, facts)
    assert await house.all(Recording) == []


async def test_a_call_that_was_announced_as_unrecorded_gets_no_recording(house: CallHouse) -> None:
    call = await house.calls.create(ME, {"metadata": {"recordingDisabled": True}})
    for about in (call.id, {"metadata": {"recordingDisabled": True}}):
        with pytest.raises(CallUnrecorded):
            await house.recordings.create(ME, about)
    assert await house.all(Recording) == []
