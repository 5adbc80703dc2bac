"""Transcripts: what was said, turn by turn; written by whoever hears it, read and followed by whoever may."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Container, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar
from weakref import WeakValueDictionary

from callvault.domain.access import Action, Caller
from callvault.domain.call import Call, Turn
from callvault.domain.errors import AlreadyThere, Refused, StaleWrite, TooLarge
from callvault.domain.lane import Span
from callvault.domain.query import Query
from callvault.domain.recording import Recording
from callvault.domain.transcript import EVER, PAUSED, REDACTED, Heard, Hidden, hidden_in, paused_in, without
from callvault.domain.unit import Unit
from callvault.domain.versions import Redaction
from callvault.ports.store import Store
from callvault.ports.system import Clock, Ids
from callvault.services.calls import OVER, Calls
from callvault.services.findings import TRANSCRIBED, tell
from callvault.services.lineage import versions_of
from callvault.services.recordings import Recordings
from callvault.services.stale import again_when_stale
from callvault.services.timelines import Sound, Timelines
from callvault.services.witness import Witness

T = TypeVar("T")
TURNS_MAX = 20_000
TURN_MAX = 20_000
QUICK_TURNS = 500
"""Up to so many are made more quickly than a thread is asked to."""
LOOK_SECONDS = 1.0
"""How soon a follower sees what another process wrote; what this one wrote, it sees at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A turn to be written; `start_ms` is from the start of the call."""

    role: str
    content: str
    start_ms: int
    end_ms: int | None = None
    confidence: float | None = None


class Transcripts:
    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        ids: Ids,
        witness: Witness,
        calls: Calls,
        recordings: Recordings,
        timelines: Timelines,
    ) -> None:
        self._store, self._clock, self._ids, self._witness = store, clock, ids, witness
        self._calls, self._recordings, self._timelines = calls, recordings, timelines
        self._news: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()

    @again_when_stale
    async def append(self, caller: Caller, call_id: str, said: Sequence[Said]) -> list[Turn]:
        """Behind what is there, in the order given. Of a recording that is over the first of them tell
        `recording.transcribed`; those behind them tell no event: a live call has a turn every few seconds."""
        call = await self._calls.by_id(caller, call_id, Action.CHANGE_CALL)
        last = await self._newest(call)
        turns = await self._turns(call, said, last[0].seq + 1 if last else 0)
        unit = Unit()
        unit.add(*turns)
        if turns and not last:
            tell(unit, self._witness, caller, await self._originals(call.id), TRANSCRIBED)
        try:
            await self._store.commit(unit)
        except AlreadyThere:
            raise StaleWrite(what="transcript") from None
        self._wake(call.id)
        return turns

    @again_when_stale
    async def replace(self, caller: Caller, call_id: str, said: Sequence[Said]) -> list[Turn]:
        """The whole transcript anew; `recording.transcribed` is told each time of a recording that is over. The very
        same again changes nothing."""
        call = await self._calls.by_id(caller, call_id, Action.CHANGE_CALL)
        turns, before = await self._turns(call, said, 0), await self._stored(call, -1)
        if len(turns) == len(before) and await beside(turns, lambda: _words(turns) == _words(before)):
            return list(before)
        unit = Unit()
        unit.put(*turns)
        unit.remove(*before[len(turns) :])
        if turns:
            tell(unit, self._witness, caller, await self._originals(call.id), TRANSCRIBED)
        await self._store.commit(unit)
        self._wake(call.id)
        return turns

    async def of_call(self, caller: Caller, call_id: str, action: Action = Action.READ_CALL) -> list[Turn]:
        return await self.of(caller, await self._calls.by_id(caller, call_id, action))

    async def of(self, caller: Caller | None, call: Call, after: int = -1) -> list[Turn]:
        """Of a call that was looked up already, as this caller may read it; None is somebody without any scope."""
        return await self._readable(caller, call, list(await self._stored(call, after)))

    async def of_each(self, caller: Caller, calls: Sequence[Call]) -> dict[str, list[Turn]]:
        """The same of many at once, by the ids of the calls of which there is something that the caller may read."""
        calls = self._calls.readable(caller, calls)
        ids, said = tuple(call.id for call in calls), defaultdict[str, list[Turn]](list)
        for turn in await self._store.find(Query(Turn).where("call_id", "in", ids).by("call_id", "seq")) if ids else ():
            said[turn.call_id].append(turn)
        return await self._each_readable(caller, calls, said)

    async def count(self, calls: Sequence[Call]) -> int:
        """How many turns there are of all of them, whoever may read them."""
        return await self._store.count(Query(Turn).where("call_id", "in", tuple(call.id for call in calls)))

    async def last(self, caller: Caller, calls: Sequence[Call]) -> dict[str, Turn]:
        """What was said last in each of the calls, by their ids, as this caller may read it."""
        calls = self._calls.readable(caller, calls)
        spoken = await self.exist_for([call.id for call in calls])
        said = {call.id: list(await self._newest(call)) for call in calls if call.id in spoken}
        readable = await self._each_readable(caller, calls, said)
        return {call_id: turns[-1] for call_id, turns in readable.items() if turns}

    async def summed_up(self, caller: Caller, calls: Sequence[Call]) -> list[Call]:
        """The calls, without what was found out about those that the caller may not read, or of which he hears a
        redacted version at most: a summary may say what is hidden in the sound."""
        analyzed = self._calls.readable(caller, [call for call in calls if call.analysis])
        redacted = await self._recordings.redactions(caller, analyzed)
        told = {call.id for call in analyzed} - redacted.keys()
        return [call if call.id in told or not call.analysis else replace(call, analysis={}) for call in calls]

    async def _each_readable(
        self, caller: Caller, calls: Sequence[Call], said: Mapping[str, list[Turn]]
    ) -> dict[str, list[Turn]]:
        redacted = await self._recordings.redactions(caller, [call for call in calls if call.id in said])
        readable = dict(said)
        for call_id, redaction in redacted.items():
            if redaction.versions:
                hide = partial(without, said[call_id], await self._hidden(call_id, redaction), REDACTED)
                readable[call_id] = await beside(said[call_id], hide)
            else:
                del readable[call_id]
        return readable

    async def _readable(self, caller: Caller | None, call: Call, turns: list[Turn]) -> list[Turn]:
        redacted = await self._recordings.redactions(caller, [call] if turns else [])
        if call.id not in redacted:
            return turns
        if not redacted[call.id].versions:
            raise Refused(why="some of this call was redacted: its words need the scope recordings:original")
        hidden = await self._hidden(call.id, redacted[call.id])
        return await beside(turns, lambda: without(turns, hidden, REDACTED))

    async def exist_for(self, call_ids: Sequence[str]) -> set[str]:
        """Which of the calls have a transcript."""
        if not call_ids:
            return set()
        first = Query(Turn).where("call_id", "in", tuple(call_ids)).where("seq", "=", 0).by("call_id")
        return {turn.call_id for turn in await self._store.find(first)}

    async def follow(self, caller: Caller, call_id: str, after: int = -1) -> AsyncIterator[Turn | None]:
        """What was said and what is being said; ends with the call. None, every second or so, while nothing is."""
        while True:
            call = await self._calls.by_id(caller, call_id)
            news = self._news.setdefault(call.id, asyncio.Event())
            turns = await self.of(caller, call, after)
            for turn in turns:
                yield turn
                after = turn.seq
            if call.status in OVER and not turns:
                return
            if not turns:
                yield None
                await _happened(news)

    async def _turns(self, call: Call, said: Sequence[Said], first: int) -> list[Turn]:
        if first + len(said) > TURNS_MAX or any(len(one.content) > TURN_MAX for one in said):
            raise TooLarge(what="the transcript", limit=f"{TURNS_MAX} turns of {TURN_MAX} characters")
        spans = [span for original in await self._originals(call.id) for span in await self._spans(original)]

        def made() -> list[Turn]:
            return without(
                [self._turn(call, one, seq) for seq, one in enumerate(said, first)], paused_in(spans), PAUSED
            )

        return await beside(said, made)

    def _turn(self, call: Call, said: Said, seq: int) -> Turn:
        return Turn(
            call_id=call.id,
            workspace_id=call.workspace_id,
            seq=seq,
            id=self._ids.uuid(),
            role=said.role,
            content=said.content,
            start_ms=said.start_ms,
            end_ms=said.end_ms,
            confidence=said.confidence,
            created_ms=self._clock.now_ms(),
        )

    async def _stored(self, call: Call, after: int) -> Sequence[Turn]:
        return await self._store.find(Query(Turn).where("call_id", "=", call.id).where("seq", ">", after).by("seq"))

    async def _newest(self, call: Call) -> Sequence[Turn]:
        return await self._store.find(Query(Turn).where("call_id", "=", call.id).by("-seq").page(1))

    async def _originals(self, call_id: str) -> list[Recording]:
        return [
            recording for recording in await versions_of(self._store, Recording, call_id) if recording.operation is None
        ]

    async def _spans(self, recording: Recording) -> Sequence[Span]:
        return await self._store.find(Query(Span).where("recording_id", "=", recording.id).by("start_us", "id"))

    async def _hidden(self, call_id: str, redaction: Redaction[Recording]) -> list[Hidden]:
        """What any of the redacted versions hides; and where they do not sound, if there is sound that is not heard."""
        own = {original.id for original in await self._originals(call_id)}
        sounds = [await self._timelines.sound(version) for version in redaction.versions]
        hidden = [stretch for sound in sounds for stretch in _hidden_by(sound, own)]
        return hidden if redaction.is_whole else [*hidden, *_outside(sounds)]

    def _wake(self, call_id: str) -> None:
        if news := self._news.pop(call_id, None):
            news.set()


def _hidden_by(sound: Sound, own: Container[str]) -> list[Hidden]:
    stretches = [Heard(s.start_us, s.end_us, s.timeline.recording_id in own) for s in sound.stretches]
    length = max((t.length_us for t in sound.timelines if t.recording_id in own), default=0)
    lanes = {lane.lane.name: lane.lane.role for lane in sound.lanes}
    return hidden_in(stretches, sound.masks, length, lanes)


def _outside(sounds: Sequence[Sound]) -> list[Hidden]:
    """Where none of them sounds."""
    begins = min((lane.begin_us for sound in sounds for lane in sound.lanes), default=0)
    ends = max(stretch.end_us for sound in sounds for stretch in sound.stretches)
    return [Hidden(0, begins), Hidden(ends, EVER)]


async def beside(turns: Sized, work: Callable[[], T]) -> T:
    """What is done with turns, beside the event loop where they are many."""
    return work() if len(turns) <= QUICK_TURNS else await asyncio.to_thread(work)


def _words(turns: Sequence[Turn]) -> list[Turn]:
    """Without what is new each time that they are written."""
    return [replace(turn, id="", created_ms=0) for turn in turns]


async def _happened(news: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            await news.wait()
    except TimeoutError:
        return
