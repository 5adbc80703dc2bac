"""Transcripts: appended, replaced, read and followed."""

import asyncio
from dataclasses import replace

import pytest
from tests.callhouse import CallHouse, caller
from tests.workhouse import until

from callvault.domain.call import Turn
from callvault.domain.errors import Refused, StaleWrite, TooLarge
from callvault.domain.event import Event
from callvault.domain.lane import Span
from callvault.domain.recording import Clip, Derivation, EditList, Mask, Recording
from callvault.domain.unit import Unit
from callvault.services.findings import found_by_its_end
from callvault.services.recordings import CallRecording
from callvault.services.timelines import Timelines
from callvault.services.transcripts import TURN_MAX, Said, Transcripts

ME = caller()
ORIGINALS = caller("recordings:read", "recordings:original")


class NoSpool:
    def read(self, recording_id: str, at_most: int | None = None) -> list[object]:
        return []


class Desk:
    def __init__(self) -> None:
        self.house = house = CallHouse()
        self.transcripts = Transcripts(
            house.store,
            clock=house.clock,
            ids=house.ids,
            witness=house.witness,
            calls=house.calls,
            recordings=house.recordings,
            timelines=Timelines(house.store, NoSpool(), house.clock),
        )


@pytest.fixture
async def desk() -> Desk:
    desk = Desk()
    await desk.house.workspace()
    return desk


@pytest.fixture
async def made(desk: Desk) -> CallRecording:
    return await desk.house.recordings.create(ME, {})


def said(content: str, start_ms: int = 0, end_ms: int | None = None, role: str = "customer") -> Said:
    return Said(role=role, content=content, start_ms=start_ms, end_ms=end_ms)


def pause(recording_id: str, start_us: int, end_us: int, mode: str = "skip") -> Span:
    """With the mode `silence` it also gives a recording without any sound its length."""
    return Span(
        id=f"s {recording_id}",
        recording_id=recording_id,
        workspace_id="w",
        kind="pause",
        mode=mode,
        start_us=start_us,
        end_us=end_us,
        created_ms=0,
    )


async def redact(desk: Desk, made: CallRecording, mask: Mask, operation: str = "redactPII") -> None:
    whole = Clip(recording_id=made.recording.id, start_us=0, end_us=9_000_000)
    redacted = replace(
        made.recording,
        id=f"red {made.recording.id}",
        status="completed",
        operation=operation,
        redacted=True,
        derived_from=(made.recording.id,),
        in_progress=False,
        edits=EditList(clips=(whole,), masks=(mask,)),
    )
    unit = Unit()
    unit.add(redacted, Derivation(parent_id=made.recording.id, child_id=redacted.id, workspace_id="w"))
    unit.add(pause(made.recording.id, 0, 9_000_000, mode="silence"))
    await desk.house.store.commit(unit)


async def test_turns_are_appended_in_order(desk: Desk, made: CallRecording) -> None:
    await desk.transcripts.append(ME, made.call.id, [said("hello"), said("hi", 900, role="assistant")])
    await desk.transcripts.append(ME, made.call.id, [said("bye", 2_000)])
    turns = await desk.transcripts.of_call(ME, made.call.id)
    assert [(t.seq, t.role, t.content) for t in turns] == [
        (0, "customer", "hello"),
        (1, "assistant", "hi"),
        (2, "customer", "bye"),
    ]
    assert await desk.transcripts.exist_for([made.call.id, "another"]) == {made.call.id}


async def test_turns_appended_at_the_same_time_are_all_there(desk: Desk, made: CallRecording) -> None:
    await asyncio.gather(*(desk.transcripts.append(ME, made.call.id, [said(str(n))]) for n in range(10)))
    turns = await desk.transcripts.of_call(ME, made.call.id)
    assert sorted(t.content for t in turns) == sorted(map(str, range(10)))
    assert [t.seq for t in turns] == list(range(10))


async def over(desk: Desk, recording: Recording) -> None:
    stored, unit = await desk.house.store.get(Recording, recording.id), Unit()
    unit.change(replace(stored, status="completed", in_progress=False, version=stored.version + 1))
    await desk.house.store.commit(unit)


async def told(desk: Desk) -> list[str | None]:
    events = [event for event in await desk.house.all(Event) if event.type == "recording.transcribed"]
    assert {str(event.data) for event in events} <= {"{'status': 'completed', 'redacted': False}"}
    return [event.recording_id for event in events]


async def test_a_replaced_transcript_is_whole_and_told_of_a_recording_that_is_over(
    desk: Desk, made: CallRecording
) -> None:
    await over(desk, made.recording)
    await desk.transcripts.replace(ME, made.call.id, [said("a"), said("b"), said("c")])
    await desk.transcripts.replace(ME, made.call.id, [said("A")])
    assert [t.content for t in await desk.transcripts.of_call(ME, made.call.id)] == ["A"]
    assert await told(desk) == [made.recording.id] * 2


async def test_the_same_transcript_again_is_told_once(desk: Desk, made: CallRecording) -> None:
    await over(desk, made.recording)
    first = await desk.transcripts.replace(ME, made.call.id, [said("a", 0, 10), said("b", 20)])
    desk.house.clock.advance(1)
    assert await desk.transcripts.replace(ME, made.call.id, [said("a", 0, 10), said("b", 20)]) == first
    assert await told(desk) == [made.recording.id]


async def test_the_first_turns_that_come_behind_the_end_are_told_and_those_behind_them_are_not(
    desk: Desk, made: CallRecording
) -> None:
    await over(desk, made.recording)
    for turns in [], [said("a"), said("b")], [said("c")]:
        await desk.transcripts.append(ME, made.call.id, turns)
    assert await told(desk) == [made.recording.id]


async def test_a_transcript_that_comes_before_the_end_is_left_to_it(desk: Desk, made: CallRecording) -> None:
    await desk.transcripts.append(ME, made.call.id, [said("a")])
    await desk.transcripts.replace(ME, made.call.id, [said("A")])
    assert await told(desk) == []
    assert await found_by_its_end(desk.house.store, made.recording) == ["recording.transcribed"]


async def test_no_recording_ends_without_having_seen_the_first_turns(desk: Desk, made: CallRecording) -> None:
    newer = (await desk.house.recordings.create(ME, made.call.id)).recording
    await desk.transcripts.append(ME, made.call.id, [said("a")])
    ending = Unit()
    for read_before in made.recording, newer:
        ending.change(replace(read_before, status="completed", version=read_before.version + 1))
        with pytest.raises(StaleWrite):
            await desk.house.store.commit(ending)


async def test_words_said_in_a_pause_are_not_stored(desk: Desk, made: CallRecording) -> None:
    unit = Unit()
    unit.add(pause(made.recording.id, 5_000_000, 9_000_000))
    await desk.house.store.commit(unit)
    await desk.transcripts.append(ME, made.call.id, [said("before", 1_000, 2_000), said("4111 1111", 6_000, 7_000)])
    assert [t.content for t in await desk.house.all(Turn)] == ["before", "[paused]"]


async def test_who_hears_the_redacted_version_reads_it_too(desk: Desk, made: CallRecording) -> None:
    await desk.transcripts.append(ME, made.call.id, [said("my number is", 0, 2_000), said("4111 1111", 2_500, 4_000)])
    await redact(desk, made, Mask(start_us=2_500_000, end_us=4_000_000))
    assert [t.content for t in await desk.transcripts.of_call(ME, made.call.id)] == ["my number is", "[redacted]"]
    assert [t.content for t in await desk.transcripts.of_call(ORIGINALS, made.call.id)][1] == "4111 1111"


CARD = [said("my number is", 0, 2_000), said("4111 1111", 2_500, 4_000)]
CVC = [said("and the code", 5_000, 6_000), said("123", 6_500, 7_000)]


async def test_a_newer_original_that_was_not_redacted_unmasks_no_word(desk: Desk, made: CallRecording) -> None:
    await desk.transcripts.append(ME, made.call.id, [*CARD, said("in the newer sound alone", 11_000, 12_000)])
    await redact(desk, made, Mask(start_us=2_500_000, end_us=4_000_000))
    call = await desk.house.calls.update(ME, made.call.id, {"analysis": {"summary": "4111 1111"}})
    desk.house.clock.advance(1)
    await desk.house.recordings.create(ME, call.id)
    masked = ["my number is", "[redacted]", "[redacted]"]
    assert [t.content for t in await desk.transcripts.of_call(ME, call.id)] == masked
    assert [t.content for t in (await desk.transcripts.of_each(ME, [call]))[call.id]] == masked
    assert [t.content for t in await desk.transcripts.of(None, call)] == masked
    assert (await desk.transcripts.last(ME, [call]))[call.id].content == "[redacted]"
    assert (await desk.transcripts.summed_up(ME, [call]))[0].analysis == {}
    assert (await desk.transcripts.summed_up(ORIGINALS, [call]))[0].analysis == call.analysis
    assert [t.content for t in await desk.transcripts.of_call(ORIGINALS, call.id)][1] == "4111 1111"


async def test_what_any_original_s_redaction_masks_is_masked(desk: Desk, made: CallRecording) -> None:
    await desk.transcripts.append(ME, made.call.id, [*CARD, *CVC])
    desk.house.clock.advance(1)
    second = await desk.house.recordings.create(ME, made.call.id)
    await redact(desk, made, Mask(start_us=2_500_000, end_us=4_000_000))
    await redact(desk, second, Mask(start_us=6_500_000, end_us=7_000_000))
    told = [t.content for t in await desk.transcripts.of_call(ME, made.call.id)]
    assert told == ["my number is", "[redacted]", "and the code", "[redacted]"]


async def test_where_no_sound_may_be_heard_no_word_is_read(desk: Desk, made: CallRecording) -> None:
    await desk.transcripts.append(ME, made.call.id, CARD)
    await redact(desk, made, Mask(start_us=2_500_000, end_us=4_000_000), operation="trim")
    with pytest.raises(Refused):
        await desk.transcripts.of_call(ME, made.call.id)
    assert await desk.transcripts.of_each(ME, [made.call]) == {}


async def test_a_follower_gets_history_then_what_is_said_then_the_end(desk: Desk, made: CallRecording) -> None:
    await desk.transcripts.append(ME, made.call.id, [said("one")])
    heard: list[str] = []

    async def listen() -> None:
        async for turn in desk.transcripts.follow(ME, made.call.id):
            if turn:
                heard.append(turn.content)

    listening = asyncio.create_task(listen())
    await until(lambda: asyncio.sleep(0, heard == ["one"]))
    await desk.transcripts.append(ME, made.call.id, [said("two")])
    await until(lambda: asyncio.sleep(0, heard == ["one", "two"]))
    await desk.house.calls.end(ME, made.call.id)
    await asyncio.wait_for(listening, 30)
    assert heard == ["one", "two"]


async def test_a_transcript_of_a_finished_call_is_replayed_and_ends(desk: Desk, made: CallRecording) -> None:
    await desk.transcripts.append(ME, made.call.id, [said("one"), said("two")])
    await desk.house.calls.end(ME, made.call.id)
    turns = [turn async for turn in desk.transcripts.follow(ME, made.call.id, after=0)]
    assert [turn.content for turn in turns if turn] == ["two"]


async def test_a_transcript_beyond_measure_is_refused(desk: Desk, made: CallRecording) -> None:
    with pytest.raises(TooLarge):
        await desk.transcripts.append(ME, made.call.id, [said("x" * (TURN_MAX + 1))])
    with pytest.raises(Refused):
        await desk.transcripts.append(caller("recordings:read"), made.call.id, [said("x")])


async def test_what_was_said_last_in_each_call_is_read_as_the_reader_may_hear_it(desk: Desk) -> None:
    spoken, hidden, silent = [await desk.house.recordings.create(ME, {}) for _ in range(3)]
    for made in (spoken, hidden):
        await desk.transcripts.append(ME, made.call.id, [said("hello"), said("my card is 4111", 900, 1_900)])
    await redact(desk, hidden, Mask(start_us=800_000, end_us=2_000_000))
    last = await desk.transcripts.last(ME, [spoken.call, hidden.call, silent.call])
    told = {call_id: turn.content for call_id, turn in last.items()}
    assert told == {spoken.call.id: "my card is 4111", hidden.call.id: "[redacted]"}
    assert (await desk.transcripts.last(ORIGINALS, [hidden.call]))[hidden.call.id].content == "my card is 4111"
    assert await desk.transcripts.last(ME, []) == {}
