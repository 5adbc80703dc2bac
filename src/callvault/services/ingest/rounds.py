"""The rounds that a node makes: moves what has gathered, waits out storage that is away, settles what has ended."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from callvault.domain.errors import BlobsUnavailable, DiskFull, Fault, Missing, PassingFault, StoreUnavailable
from callvault.ports.spool import Holding, Spool
from callvault.ports.system import Clock
from callvault.services.ingest.completion import Completion
from callvault.services.ingest.mover import Mover
from callvault.services.ingest.openrecordings import OpenRecordings

log = logging.getLogger(__name__)
EVERY_SECONDS = 1.0
MOVE_SECONDS = 30.0
MOVE_BYTES = 6 << 20
AT_ONCE = 4
QUIET_SECONDS = 60.0
"""A recording that still takes in sound is let go when for so long there was none in the spool."""
LONGEST_WAIT = 60.0
BROKEN_WAIT = 60.0
BEHIND_BYTES = 1 << 30
"""So much a burst may leave in the spool. More is moved half of the time; the other half is left to those who wait for
their sound to be durable."""
Move = Callable[[str], Awaitable[bool | None]]
AWAY = (BlobsUnavailable, StoreUnavailable, DiskFull)


@dataclass(slots=True)
class _Backlog:
    since: float
    """When it was first seen that the spool has sound of it."""
    not_before: float = 0.0


class Rounds:
    def __init__(
        self,
        spool: Spool,
        open_recordings: OpenRecordings,
        mover: Mover,
        completion: Completion,
        clock: Clock,
        *,
        behind_bytes: int = BEHIND_BYTES,
    ) -> None:
        self._spool, self._open, self._mover, self._completion = spool, open_recordings, mover, completion
        self._clock, self._behind_bytes = clock, behind_bytes
        self._backlog: dict[str, _Backlog] = {}
        self._empty_since: dict[str, float] = {}
        self._failures = 0
        self._away_until = 0.0
        self._stopping = asyncio.Event()

    async def until_stopped(self) -> None:
        took = await self._timed_round()
        while not await self.stopping(min(took, EVERY_SECONDS) if self._is_behind() else EVERY_SECONDS):
            took = await self._timed_round()

    async def last(self) -> None:
        """Before the program ends: everything moves that storage takes."""
        await self._attempt([held.recording_id for held in self._spool.holdings()], self._mover.drain)
        await self._settle(at_once=True)

    def stop(self) -> None:
        self._stopping.set()

    async def stopping(self, seconds: float) -> bool:
        """Whether within so many seconds `stop` was called."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return self._stopping.is_set()

    async def round(self) -> None:
        """A step for each recording that is due, and no more, so that moving leaves the disk to those who wait for
        their sound to be durable."""
        await self._attempt(self._due(), self._mover.move)
        await self._settle()

    async def _timed_round(self) -> float:
        began = self._clock.monotonic()
        await self.round()
        return self._clock.monotonic() - began

    def _is_behind(self) -> bool:
        return not self._failures and sum(held.size for held in self._spool.holdings()) > self._behind_bytes

    def _due(self) -> list[str]:
        """While storage is away one recording a time tries whether it is back."""
        now, held = self._clock.monotonic(), self._spool.holdings()
        self._backlog = {one.recording_id: self._backlog.get(one.recording_id, _Backlog(now)) for one in held}
        if now < self._away_until:
            return []
        due = [one.recording_id for one in held if self._is_due(one, now)]
        return due[:1] if self._failures else due

    def _is_due(self, one: Holding, now: float) -> bool:
        backlog = self._backlog[one.recording_id]
        gathered = one.size >= MOVE_BYTES or now - backlog.since >= MOVE_SECONDS
        return now >= backlog.not_before and (gathered or self._has_ended(one.recording_id))

    def _has_ended(self, recording_id: str) -> bool:
        known = self._open.peek(recording_id)
        return known is not None and not known.recording.in_progress

    async def _attempt(self, due: list[str], move: Move) -> None:
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(recording_id: str) -> None:
            async with turns:
                await self._move(recording_id, move)

        await asyncio.gather(*(one(recording_id) for recording_id in due))

    async def _move(self, recording_id: str, move: Move) -> None:
        try:
            await move(recording_id)
        except AWAY as fault:
            self._wait(fault)
        except Fault as fault:
            self._backlog[recording_id] = _Backlog(self._clock.monotonic(), self._clock.monotonic() + BROKEN_WAIT)
            log.error("sound cannot move to storage: %s", fault, extra={"recording": recording_id})
        else:
            self._backlog.pop(recording_id, None)
            self._failures = 0

    def _wait(self, fault: PassingFault) -> None:
        """Nothing is lost meanwhile: sound stays in the spool, and more is taken in."""
        if not self._failures:
            log.warning("sound stays in the spool: %s", fault)
        self._failures += 1
        self._away_until = self._clock.monotonic() + min(2.0 ** min(self._failures, 8), LONGEST_WAIT)

    async def _settle(self, *, at_once: bool = False) -> None:
        held = {one.recording_id for one in self._spool.holdings()}
        now = self._clock.monotonic()
        quiet = self._open.holding - held
        self._empty_since = {name: self._empty_since.get(name, now) for name in quiet}
        for name, since in self._empty_since.items():
            try:
                if at_once or now - since >= QUIET_SECONDS or self._has_ended(name):
                    await self._let_go(name)
            except PassingFault as fault:
                log.warning("a recording is not let go yet: %s", fault, extra={"recording": name})
                return
            except Fault as fault:
                log.error("a recording cannot be let go: %s", fault, extra={"recording": name})

    async def _let_go(self, recording_id: str) -> None:
        try:
            known = await self._open.get(recording_id)
            if known.recording.in_progress:
                await self._open.release(known)
                return
        except Missing:
            await self._open.forget(recording_id)
            return
        await self._completion.finish(recording_id)
