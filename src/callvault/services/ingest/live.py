"""The live calls of a node: gathered for a moment, then spooled all at once, so that they share one fsync."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from callvault.domain.access import Caller
from callvault.domain.errors import (
    BlobsUnavailable,
    Fault,
    Missing,
    PassingFault,
    RecordingDisabled,
    RecordingEnded,
    ShuttingDown,
)
from callvault.domain.recording import Recording
from callvault.domain.unit import Unit
from callvault.ports.codecs import Codecs
from callvault.ports.spool import Spool
from callvault.ports.store import Store
from callvault.ports.system import Clock
from callvault.services.ingest.admission import Admission
from callvault.services.ingest.completion import Completion
from callvault.services.ingest.livecall import LiveCall, StreamPlace
from callvault.services.ingest.openrecordings import OpenRecording, OpenRecordings
from callvault.services.ingest.position import position_us
from callvault.services.stale import again_when_stale
from callvault.wire.mediatypes import MediaType

log = logging.getLogger(__name__)
TICK_SECONDS = 0.2
CALLS_IN_A_ROW = 50
PATIENCE_SECONDS = 0.3
"""So long does sound that came in wait for a database that does not answer: what is asked of it goes on beside."""
LAST_SECONDS = 5.0
LAST_ATTEMPTS = 25
"""So long, and so often, the end of a stream waits for a disk or a database that does not take its last sound."""
LATEST_START_US = 24 * 3600 * 1_000_000
STREAM_TAKES = -(1 << 52)
"""Under rising negative numbers lie streams: they have none of their own, and takes that have one lie over them."""
SIDES = {"inbound": "customer", "outbound": "assistant"}


class LiveCalls:
    def __init__(
        self,
        store: Store,
        spool: Spool,
        open_recordings: OpenRecordings,
        codecs: Codecs,
        *,
        admission: Admission,
        completion: Completion,
        clock: Clock,
    ) -> None:
        self._store, self._spool, self._open, self._codecs = store, spool, open_recordings, codecs
        self._admission, self._completion, self._clock = admission, completion, clock
        self._calls: dict[LiveCall, None] = {}
        self._asked: dict[str, asyncio.Task[None]] = {}
        """What the database is asked for all calls."""
        self._stopping = asyncio.Event()

    def __len__(self) -> int:
        return len(self._calls)

    async def begin(
        self,
        caller: Caller,
        recording_id: str,
        form: MediaType,
        lanes: Mapping[str, str] = SIDES,
        *,
        began: float | None = None,
    ) -> LiveCall:
        """A stream whose tracks become these lanes; a track that is not named is a lane of its own name.

        It begins where the call stood when it `began`, on this machine's monotonic clock, else where it stands now. A
        call of which nobody said when it started starts with it.
        """
        if self._stopping.is_set():
            raise ShuttingDown
        known = await self._admission.admitted(caller, recording_id)
        known.users += 1
        try:
            now_ms, now = self._clock.now_ms(), self._clock.monotonic()
            began = now if began is None else began
            began_ms = now_ms - round(1000 * (now - began))
            await self._open.hold(known)
            await self._start(known, began_ms)
            offset_us = position_us(known.recording, began_ms)
            offset_us = offset_us if offset_us <= LATEST_START_US else 0
            place = StreamPlace(caller, began, offset_us, STREAM_TAKES + now_ms, lanes)
            call = LiveCall(known, form, place, self._clock, self._codecs)
            self._calls[call] = None
            known.live[call] = lambda: self.flush(call)
        finally:
            known.users -= 1
        return call

    async def end(self, caller: Caller, call: LiveCall, *, complete: bool = True) -> Recording:
        """The stream is over and its sound durable, or given up (`call.lost`). The recording is completed with the last
        of its streams, unless more may come: as after a connection that was lost, or sound that was."""
        call.ended = call.ended or RecordingEnded()
        if call in self._calls:
            try:
                await self.flush(call)
            finally:
                del self._calls[call], call.known.live[call]
        known = call.known
        if not known.recording.in_progress:
            return await self._completion.finish(known.id)
        if complete and not known.live and not call.lost:
            return await self._completion.end(caller, known, "completed")
        return known.recording

    async def flush(self, call: LiveCall) -> None:
        """All that came in is durable when this returns, or given up, for the disk has not taken it for too long."""
        checking = asyncio.create_task(self._check(call))
        checking.add_done_callback(lambda task: _tell_failure(task, call.known.id))
        await asyncio.wait([checking], timeout=PATIENCE_SECONDS)
        for _ in range(LAST_ATTEMPTS):
            await self._save(call)
            if await self._landed(call):
                return
            await asyncio.sleep(TICK_SECONDS)
        call.lost = call.refused or BlobsUnavailable(why="the disk that takes in sound does not answer")
        log.error("the last sound of a stream could not be kept: %s", call.lost, extra={"recording": call.known.id})

    async def run(self) -> None:
        """Until `stop`, and then until all that came in is durable."""
        while not self._stopping.is_set():
            began = self._clock.monotonic()
            await self.tick()
            rest = TICK_SECONDS - (self._clock.monotonic() - began)
            try:
                await asyncio.wait_for(self._stopping.wait(), max(rest, 0.01))
            except TimeoutError:
                continue
        await self._last(list(self._calls))

    async def _last(self, calls: Sequence[LiveCall]) -> None:
        """What came in reaches the disk first, for a database that hangs keeps the rest waiting."""
        for call in calls:
            call.ended = call.ended or ShuttingDown()
            self._spool_what_came(call)
        await asyncio.gather(*(self.flush(call) for call in calls))

    def stop(self) -> None:
        self._stopping.set()

    async def tick(self) -> None:
        await self._ask("whether calls may go on", self._check_all)
        for n, call in enumerate(list(self._calls)):
            if n % CALLS_IN_A_ROW == 0:
                await asyncio.sleep(0)
            self._spool_what_came(call)
        if any(call.homeless for call in self._calls):
            await self._ask("for lanes", self._house_all)

    async def _ask(self, what: str, ask: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Answered when this returns, or asked still: then not again before that is over."""
        asked = self._asked.pop(what, None)
        if asked is not None and asked.done():
            asked.result()
            asked = None
        asked = self._asked[what] = asked or asyncio.create_task(ask())
        await asyncio.wait([asked], timeout=PATIENCE_SECONDS)
        if asked.done():
            asked.result()

    async def _check_all(self) -> None:
        for n, call in enumerate(list(self._calls)):
            if n % CALLS_IN_A_ROW == 0:
                await asyncio.sleep(0)
            await self._check(call)

    async def _house_all(self) -> None:
        """Many calls may begin at once: then their first writes share the database's sync, and nobody else waits."""
        await asyncio.gather(*(self._save(call) for call in self._calls if call.homeless))

    async def _save(self, call: LiveCall) -> None:
        try:
            await self._open.make_lanes(call.known, {t.lane: t.rate for t in call.homeless}, call.place.caller)
            for track in call.homeless:
                await self._open.lane(call.known, track.lane, track.rate, call.place.caller)
        except PassingFault as fault:
            log.warning("a stream waits for the database: %s", fault)
            call.refused = fault
        except Fault as fault:
            call.ended = call.lost = fault
            for track in call.homeless:
                track.frames.clear()
        self._spool_what_came(call)

    async def _landed(self, call: LiveCall) -> bool:
        """Whether all that the disk was given is on it, after it had its time."""
        if waiting := call.waiting():
            await asyncio.wait([asyncio.wrap_future(durable) for durable in waiting], timeout=LAST_SECONDS)
        return call.all_saved()

    def _spool_what_came(self, call: LiveCall) -> None:
        try:
            if call.save(self._spool):
                call.known.heard_ms = self._clock.now_ms()
        except ShuttingDown as fault:
            call.ended = fault

    async def _check(self, call: LiveCall) -> None:
        """Whether it may go on; while the database does not tell, nobody can have ended it."""
        try:
            known = await self._open.get(call.known.id)
            enabled = await self._open.enabled(known)
        except Missing as fault:
            call.ended = fault
            return
        except Fault:
            return
        if not known.recording.in_progress:
            call.ended = call.ended or RecordingEnded()
        elif not enabled:
            call.ended = call.ended or RecordingDisabled()

    @again_when_stale
    async def _start(self, known: OpenRecording, began_ms: int) -> None:
        recording = await self._store.get(Recording, known.id)
        if recording is not None and recording.started_ms is None:
            unit, now_ms = Unit(), self._clock.now_ms()
            unit.change(replace(recording, started_ms=began_ms, updated_ms=now_ms, version=recording.version + 1))
            await self._store.commit(unit)
        if known.recording.started_ms is None:
            # Another stream of the call, on another node perhaps, may have been quicker.
            await self._open.refresh(known)


def _tell_failure(checking: "asyncio.Task[None]", recording_id: str) -> None:
    if not checking.cancelled() and (failure := checking.exception()):
        log.error("whether a call may go on cannot be told", exc_info=failure, extra={"recording": recording_id})
