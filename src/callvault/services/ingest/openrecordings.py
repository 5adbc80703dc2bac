"""Recordings that take in sound on this node, in memory, so that no take and no frame needs to ask the database."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Protocol

from callvault.domain.access import Action, Caller
from callvault.domain.call import Call
from callvault.domain.errors import AlreadyThere, Malformed, Missing, RecordingEnded, TooLarge
from callvault.domain.ids import LANE_NAME, Json
from callvault.domain.lane import ROLES, Lane, OpenSpool, Segment, Span
from callvault.domain.query import Query
from callvault.domain.recording import Recording
from callvault.domain.unit import Unit
from callvault.ports.spool import Spool
from callvault.ports.store import Store
from callvault.ports.system import Clock
from callvault.services.aside import aside
from callvault.services.ingest.drifting import LaneDrift
from callvault.services.ingest.known import KnownTakes
from callvault.services.recentworkspaces import RecentWorkspaces
from callvault.services.stale import again_when_stale
from callvault.services.timelines import Unlock
from callvault.services.witness import Witness
from callvault.wire.runs import TakeMark

FACTS_SECONDS = 1.0
"""How old what is known of a recording may be: so soon a pause that was asked for on another node is heeded here."""
HEARD_EVERY_MS = 30_000
"""So seldom it is written down that a stream without sound goes on."""
REMEMBER_MOST = 4_000
LANES_MOST = 64
RATES = range(8_000, 48_001)


class LiveStream(Protocol):
    @property
    def elapsed_us(self) -> int:
        """Where on the call's clock it stands."""
        ...


@dataclass(slots=True)
class OpenLane:
    lane: Lane
    known: KnownTakes = field(default_factory=KnownTakes)
    pending: "dict[int, tuple[TakeMark, Future[None]]]" = field(default_factory=dict)
    """Takes on their way to the disk."""
    next_seq: int = 0
    """Of this lane's next segment, as far as is known here."""
    drift: LaneDrift = field(default_factory=LaneDrift)


@dataclass(slots=True)
class OpenRecording:
    recording: Recording
    checked: float
    pauses: tuple[Span, ...] = ()
    lanes: dict[str, OpenLane] = field(default_factory=dict)
    held: bool = False
    """Whether it is written down that this node may have sound of it."""
    cut: bool = False
    """Whether this node went down while it took in sound of it."""
    users: int = 0
    """Callers and sessions that are about to append; while there are any, it is not let go."""
    heard_ms: int = 0
    """When the last word of it came in here."""
    live: "dict[LiveStream, Callable[[], Awaitable[None]]]" = field(default_factory=dict)
    """Streams, each with what brings to the spool what came in until now; while there are any and they may go on, it is
    not let go either."""
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    moving: asyncio.Lock = field(default_factory=asyncio.Lock)
    filing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Files and captures are taken in one after the other: so the same one twice at once is one."""

    @property
    def id(self) -> str:
        return self.recording.id


class OpenRecordings:
    def __init__(
        self,
        store: Store,
        spool: Spool,
        *,
        clock: Clock,
        witness: Witness,
        unlock: Unlock,
        workspaces: RecentWorkspaces,
        remember_most: int = REMEMBER_MOST,
    ) -> None:
        self._store, self._spool, self._clock, self._witness, self._unlock = store, spool, clock, witness, unlock
        self._workspaces, self._remember_most = workspaces, remember_most
        self._open: OrderedDict[str, OpenRecording] = OrderedDict()
        self.holding: set[str] = set()
        """The recordings of which it is written down that this node may have sound."""
        self._loading: dict[str, asyncio.Task[OpenRecording]] = {}

    async def get(self, recording_id: str, max_age: float = FACTS_SECONDS) -> OpenRecording:
        """With facts no older than that; `Missing` when there is no such recording or it was deleted."""
        known = self._open.get(recording_id)
        if known is None:
            return await self._loaded_once(recording_id)
        # First, so that it is not let go while the database is asked.
        self._open.move_to_end(recording_id)
        if self._clock.monotonic() - known.checked >= max_age:
            await self.refresh(known)
        return known

    async def enabled(self, known: OpenRecording) -> bool:
        """Whether its workspace has recording turned on; what was changed in this process is known at once."""
        workspace = await self._workspaces.get(known.recording.workspace_id)
        return workspace is not None and workspace.recording_enabled

    def peek(self, recording_id: str) -> OpenRecording | None:
        """What is known of it, however old."""
        return self._open.get(recording_id)

    async def forget(self, recording_id: str) -> None:
        """It was deleted, and the spool has nothing of it."""
        row = await self._store.get(OpenSpool, recording_id, self._spool.id)
        if row:
            unit = Unit()
            unit.remove(row)
            await self._store.commit(unit)
        self.holding.discard(recording_id)

    async def refresh(self, known: OpenRecording) -> None:
        """What others may have changed in the database."""
        checked = self._clock.monotonic()
        recording = await self._recording(known.id)
        await self._unlock(recording.workspace_id, ())
        pauses = known.pauses if recording.version == known.recording.version else await self._pauses(known.id)
        # Who asked later may have been answered sooner: what is newer stays.
        if recording.version >= known.recording.version:
            known.recording, known.pauses, known.checked = recording, pauses, checked

    async def hold(self, known: OpenRecording) -> None:
        """Before the first sound is taken: writes down that this node may have some.

        Written first and looked at then: so that whoever ends the recording elsewhere sees this node, or is seen.
        A process without a spool, such as a worker, has none to wait for, least of all when it was killed.
        """
        if known.held:
            return
        if self._spool.id:
            async with known.changing:
                await self._write_down(known)
        await self.refresh(known)
        if not known.recording.in_progress:
            raise RecordingEnded

    async def _write_down(self, known: OpenRecording) -> None:
        if not known.held:
            unit = Unit()
            unit.put(self.open_spool(known))
            await self._store.commit(unit)
            self.is_held(known)

    def is_held(self, known: OpenRecording) -> None:
        """It is written down that this node may have sound of it."""
        known.held = True
        self.holding.add(known.id)

    async def release(self, known: OpenRecording) -> bool:
        """Nothing of it is on this node any more, if that is so; False when something is or is on its way, or while it
        must be remembered that this node went down and nobody has gone on."""
        async with known.changing:
            await self._tell_heard(known)
            if known.users or ((known.live or known.cut) and known.recording.in_progress):
                return False
            if any(held.recording_id == known.id for held in self._spool.holdings()):
                return False
            unit = Unit()
            unit.remove(self.open_spool(known))
            # Whoever comes with sound from now on waits for the lock and writes it down again.
            known.held = False
            await self._store.commit(unit)
            self.holding.discard(known.id)
            return True

    @again_when_stale
    async def _tell_heard(self, known: OpenRecording) -> None:
        """Writes down when the last word of it came in, for other nodes and for this one after a crash. Sound says so
        when it moves, but of what comes in during a pause none does."""
        untold_ms = known.heard_ms - known.recording.last_heard_ms
        if not known.recording.in_progress or untold_ms <= (HEARD_EVERY_MS if known.live else 0):
            return
        recording = await self._store.get(Recording, known.id)
        if recording and recording.in_progress and recording.last_heard_ms < known.heard_ms:
            unit = Unit()
            unit.change(replace(recording, last_heard_ms=known.heard_ms, version=recording.version + 1))
            await self._store.commit(unit)
        await self.refresh(known)

    async def lane(self, known: OpenRecording, name: str, rate: int, caller: Caller) -> OpenLane:
        """The lane, which comes into being with its first sound. Its rate is that of its first sound for ever."""
        if name not in known.lanes:
            await self.make_lanes(known, {name: rate}, caller)
        lane = known.lanes[name]
        if lane.lane.rate != rate:
            why = f"lane {name} began with {lane.lane.rate} samples a second and this has {rate}"
            raise Malformed(what="the sound", why=why)
        return lane

    async def make_lanes(self, known: OpenRecording, wanted: Mapping[str, int], caller: Caller) -> None:
        """Those of these names that are not there yet, in one write."""
        async with known.changing:
            while missing := [name for name in wanted if name not in known.lanes]:
                fresh = [await self.new_lane(known, name, wanted[name]) for name in missing]
                fresh = [replace(lane, position=lane.position + n) for n, lane in enumerate(fresh)]
                unit = Unit()
                unit.add(*fresh)
                names: list[Json] = [*missing]
                self._witness.of_recording(unit, caller, Action.WRITE_SOUND, known.recording, lanes=names)
                try:
                    await self._store.commit(unit)
                except AlreadyThere:
                    await self.learn_lanes(known)
                else:
                    known.lanes |= {lane.name: OpenLane(lane) for lane in fresh}

    async def learn_lanes(self, known: OpenRecording) -> None:
        """Those that are not known yet."""
        lanes = await self._store.find(Query(Lane).where("recording_id", "=", known.id).by("position", "name"))
        fresh = {lane.name: OpenLane(lane) for lane in lanes if lane.name not in known.lanes}
        for name, lane in fresh.items():
            query = Query(Segment).where("recording_id", "=", known.id).where("lane", "=", name).by("seq")
            segments = await self._store.find(query)
            if segments:
                await aside(lane.known.learn, *(segment.takes for segment in segments))
            lane.next_seq = segments[-1].seq + 1 if segments else 0
        if fresh:
            await aside(self._learn_spooled, known.id, fresh)
        known.lanes |= {name: lane for name, lane in fresh.items() if name not in known.lanes}

    def _learn_spooled(self, recording_id: str, fresh: Mapping[str, OpenLane]) -> None:
        for spooled in self._spool.read(recording_id):
            for piece in spooled.pieces:
                if piece.digest and piece.lane in fresh:
                    mark = TakeMark(piece.take, piece.start, piece.samples, piece.digest)
                    fresh[piece.lane].known.add(mark)

    def open_spool(self, known: OpenRecording, moved: int = 0) -> OpenSpool:
        """`moved`: up to this serial of the spool all is in storage."""
        return OpenSpool(
            recording_id=known.id,
            node=self._spool.id,
            workspace_id=known.recording.workspace_id,
            opened_ms=self._clock.now_ms(),
            detail={"moved": str(moved)},
        )

    async def _loaded_once(self, recording_id: str) -> OpenRecording:
        task = self._loading.get(recording_id)
        if task is None:
            task = self._loading[recording_id] = asyncio.create_task(self._load(recording_id))
            task.add_done_callback(lambda _: self._loading.pop(recording_id))
        return await asyncio.shield(task)

    async def _load(self, recording_id: str) -> OpenRecording:
        checked = self._clock.monotonic()
        recording = await self._recording(recording_id)
        await self._unlock(recording.workspace_id, ())
        known = OpenRecording(recording, checked, await self._pauses(recording_id))
        known.heard_ms = recording.last_heard_ms
        row = await self._store.get(OpenSpool, recording_id, self._spool.id)
        if row:
            known.held, known.cut = True, "cut" in row.detail
            self.holding.add(recording_id)
        await self.learn_lanes(known)
        self._evict()
        self._open[recording_id] = known
        return known

    async def _recording(self, recording_id: str) -> Recording:
        recording = await self._store.get(Recording, recording_id)
        if recording is None or recording.deleted_ms is not None:
            self._open.pop(recording_id, None)
            raise Missing(what="recording")
        return recording

    async def _pauses(self, recording_id: str) -> tuple[Span, ...]:
        query = Query(Span).where("recording_id", "=", recording_id).by("start_us", "id")
        return tuple(span for span in await self._store.find(query) if span.kind == "pause")

    async def new_lane(self, known: OpenRecording, name: str, rate: int) -> Lane:
        """As it would be; not written anywhere."""
        if not LANE_NAME.fullmatch(name):
            raise Malformed(what="the lane's name", why="it is up to 63 of a-z, 0-9, - and _")
        if rate not in RATES:
            raise Malformed(what="the sound", why=f"lanes have {RATES[0]} to {RATES[-1]} samples a second, not {rate}")
        if len(known.lanes) >= LANES_MOST:
            raise TooLarge(what="the recording", limit=f"{LANES_MOST} lanes")
        return _lane(known, name, rate, await self._store.get(Call, known.recording.call_id))

    def _evict(self) -> None:
        for recording_id in list(self._open)[: max(len(self._open) - self._remember_most, 0)]:
            if not (self._open[recording_id].users or self._open[recording_id].live):
                del self._open[recording_id]


def _lane(known: OpenRecording, name: str, rate: int, call: Call | None) -> Lane:
    """Whom it belongs to: a participant of this id, of this name, or the first in this role."""
    people = call.participants if call else ()
    of_id = (p for p in people if name in (p.id.lower(), _slug(p.name)))
    of_role = (p for p in people if p.role == name)
    person = next(chain(of_id, of_role), None)
    role = name if name in ROLES else person.role if person else "other"
    return Lane(
        recording_id=known.id,
        name=name,
        workspace_id=known.recording.workspace_id,
        role=role if role in ROLES else "other",
        rate=rate,
        participant_id=person.id if person else None,
        position=len(known.lanes),
    )


def _slug(name: str) -> str:
    return "-".join(name.lower().split())
