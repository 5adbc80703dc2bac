"""Takes: immutable pieces of a lane, put under their numbers in any order, acknowledged when they are durable."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from callvault.domain.access import Caller
from callvault.domain.errors import (
    DigestMismatch,
    Malformed,
    TakeConflict,
    TooLarge,
)
from callvault.domain.lane import Lane
from callvault.ports.codecs import Codecs
from callvault.ports.spool import Piece, Spool
from callvault.ports.system import Clock
from callvault.services.aside import aside
from callvault.services.ingest.admission import Admission
from callvault.services.ingest.cutting import PauseCutter
from callvault.services.ingest.form import TakeSound, sound_of
from callvault.services.ingest.landing import Landing
from callvault.services.ingest.openrecordings import OpenLane, OpenRecording, OpenRecordings
from callvault.services.ingest.sound import Decode
from callvault.wire.mediatypes import MediaType
from callvault.wire.runs import TakeMark

LATEST_HOURS = 48
TAKES_MOST = 1_000_000
NUMBER_MOST = 1 << 53
SMALL_BYTES = 128 << 10
"""Up to here hashing and checking are quicker than asking a thread to."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where a take begins on its lane: in samples, or in milliseconds of the lane's clock, to the nearest sample."""

    ms: Decimal | None = None
    sample: int | None = None

    def on(self, rate: int) -> int:
        if self.sample is not None and self.ms is None:
            sample = self.sample
        elif self.ms is not None and self.sample is None and self.ms.is_finite():
            exact = self.ms.scaleb(-3) * rate if 0 <= self.ms < 10**12 else Decimal(-1)
            sample = int(exact.to_integral_value(ROUND_HALF_EVEN))
        else:
            raise Malformed(what="start", why="it is given once, in milliseconds or in samples")
        if not 0 <= sample <= LATEST_HOURS * 3600 * rate:
            raise Malformed(what="start", why=f"it lies within the first {LATEST_HOURS} hours of the call")
        return sample


@dataclass(frozen=True, slots=True)
class Taken:
    lane: str
    take: int
    start: int
    samples: int
    rate: int
    created: bool
    """False when the very same take was there already."""


class Takes:
    def __init__(
        self,
        spool: Spool,
        open_recordings: OpenRecordings,
        codecs: Codecs,
        *,
        admission: Admission,
        decode: Decode,
        clock: Clock,
        takes_most: int = TAKES_MOST,
    ) -> None:
        self._spool, self._open, self._codecs = spool, open_recordings, codecs
        self._admission, self._decode, self._clock = admission, decode, clock
        self._takes_most, self._landing = takes_most, Landing()

    async def put(
        self,
        caller: Caller,
        recording_id: str,
        lane: str,
        take: int,
        body: bytes,
        *,
        start: Start,
        form: MediaType,
        promised: Mapping[str, bytes] | None = None,
    ) -> Taken:
        """Durable when it returns. The same again is no change; `TakeConflict` for something else under the number.

        `promised` are digests that the sender took, by algorithm: `sha-256`, `sha-512`.
        """
        known = await self._admission.admitted(caller, recording_id)
        known.users += 1
        try:
            if not 0 <= take < NUMBER_MOST:
                raise Malformed(what="the take's number", why=f"it is from 0 to {NUMBER_MOST - 1}")
            digest, sound = await self._examined(form, body, promised or {})
            at = start.on(sound.rate)
            await self._open.hold(known)
            held = await self._open.lane(known, lane, sound.rate, caller)
            mark = TakeMark(take, at, sound.samples, digest)
            pieces = await self._pieces(known, held.lane, mark, sound)
            created = await self._keep(known, held, mark, pieces)
        finally:
            known.users -= 1
        return Taken(lane, take, at, sound.samples, sound.rate, created)

    async def _examined(self, form: MediaType, body: bytes, promised: Mapping[str, bytes]) -> tuple[bytes, TakeSound]:
        if len(body) > SMALL_BYTES or form.codec == "file":
            return await aside(self._examine, form, body, promised)
        return self._examine(form, body, promised)

    def _examine(self, form: MediaType, body: bytes, promised: Mapping[str, bytes]) -> tuple[bytes, TakeSound]:
        digest = hashlib.sha256(body).digest()
        if promised.get("sha-256", digest) != digest:
            raise DigestMismatch
        if "sha-512" in promised and promised["sha-512"] != hashlib.sha512(body).digest():
            raise DigestMismatch
        return digest, sound_of(form, body, self._codecs)

    async def _keep(self, known: OpenRecording, held: OpenLane, mark: TakeMark, pieces: Sequence[Piece]) -> bool:
        while mark.take in held.pending:
            earlier, durable = held.pending[mark.take]
            _agree(earlier, mark, held.lane.name)
            await asyncio.gather(self._landing.wait(durable), return_exceptions=True)
        if there := held.known.get(mark.take):
            _agree(there, mark, held.lane.name)
            return False
        if len(held.known) + len(held.pending) >= self._takes_most:
            raise TooLarge(what="the lane", limit=f"{self._takes_most} takes")
        await self._append(known, held, mark, pieces)
        return True

    def _append(
        self, known: OpenRecording, held: OpenLane, mark: TakeMark, pieces: Sequence[Piece]
    ) -> "asyncio.Future[None]":
        """A caller who goes away leaves a take that is known, whether or not he was told."""
        durable = self._spool.append(known.id, known.recording.workspace_id, pieces)
        held.pending[mark.take] = (mark, durable)
        known.users += 1

        def settle() -> None:
            del held.pending[mark.take]
            known.users -= 1
            if durable.exception() is None:
                held.known.add(mark)
                known.heard_ms = self._clock.now_ms()

        return self._landing.wait(durable, settle)

    async def _pieces(self, known: OpenRecording, lane: Lane, mark: TakeMark, sound: TakeSound) -> list[Piece]:
        piece = Piece(
            lane.name, mark.take, sound.codec, sound.rate, mark.start, sound.samples, sound.payload, mark.digest
        )
        if not known.pauses:
            return [piece]
        return await aside(PauseCutter(known.pauses, lane, self._decode), piece)


def _agree(there: TakeMark, mark: TakeMark, lane: str) -> None:
    if (there.digest, there.start) != (mark.digest, mark.start):
        raise TakeConflict(n=mark.take, lane=lane)
