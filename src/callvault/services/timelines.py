"""Timelines: a recording's lanes with all that is known of their sound, loaded once and kept for a while."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np

from callvault.audio.clock import LaneClock, frames_until
from callvault.audio.edits import Stretch, kept
from callvault.audio.timeline import Layout, layout
from callvault.domain.errors import BlobMissing, Missing
from callvault.domain.lane import ROLES, Lane, Passage, Span
from callvault.domain.query import Query
from callvault.domain.recording import Mask, Recording
from callvault.domain.stored import StoredObject
from callvault.ports.spool import Piece, Spool
from callvault.ports.store import Store
from callvault.ports.system import Clock
from callvault.wire.runs import CODECS, RUN, parse_runs

KEPT_SECONDS = 60.0
"""What replaces segments by others must leave the old objects for longer than this."""
KEPT_BYTES = 32 << 20
QUICK_RUNS = 2_000
"""Up to so many are laid out more quickly than a thread is asked to."""

Unlock = Callable[[str, Iterable[StoredObject]], Awaitable[None]]
"""When it returns, the workspace's objects, these ones in any case, can be opened: `Sealing.ensure`."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where sound is: a stored object, or bytes that this node has not moved to storage yet."""

    stored: StoredObject | None = None
    spooled: bytes = b""
    first_sample: int = 0
    peaks_offset: int = 0


@dataclass(frozen=True, slots=True)
class LaneTimeline:
    lane: Lane
    clock: LaneClock
    layout: Layout
    sources: tuple[Source, ...]

    @property
    def begin_us(self) -> int:
        return self.clock.us_at(self.layout.begin)

    @property
    def end_us(self) -> int:
        return self.clock.us_at(self.layout.end) if self.layout.end else 0


@dataclass(frozen=True, slots=True)
class Timeline:
    """All lanes of an original recording on the call's clock, with what was decided about stretches of it."""

    recording_id: str
    sound_version: int
    lanes: tuple[LaneTimeline, ...] = ()
    spans: tuple[Span, ...] = ()
    call_id: str = ""

    @property
    def begin_us(self) -> int:
        """Where its first sound lies."""
        return min((lane.begin_us for lane in self.lanes if lane.layout.end), default=0)

    @property
    def length_us(self) -> int:
        """To the end of the last sound, or of a pause that is heard as silence behind it."""
        return max([0, *(lane.end_us for lane in self.lanes), *(end for _, end in self.pauses("silence"))])

    def frames(self, rate: int) -> int:
        """Of a view: every lane's last sample is in it."""
        sounding = [lane.clock.frames(lane.layout.end, rate) for lane in self.lanes]
        return max([0, *sounding, *(frames_until(end, rate) for _, end in self.pauses("silence"))])

    def pauses(self, mode: str) -> list[tuple[int, int]]:
        spans = (s for s in self.spans if s.kind == "pause" and s.mode == mode and s.lane is None)
        return [(span.start_us, span.end_us) for span in spans if span.end_us is not None]

    def lane(self, name: str) -> LaneTimeline:
        for lane in self.lanes:
            if lane.lane.name == name:
                return lane
        raise Missing(what="lane")


@dataclass(frozen=True, slots=True)
class Sound:
    """What is heard of a recording: stretches of timelines, one behind another, and masks on the clock of the whole."""

    recording: Recording
    stretches: tuple[Stretch[Timeline], ...]
    masks: tuple[Mask, ...] = ()
    live: bool = False

    @property
    def length_us(self) -> int:
        return sum(s.end_us - s.start_us for s in self.stretches)

    @property
    def timelines(self) -> list[Timeline]:
        """Each once, of however many stretches it is heard."""
        return [*{stretch.timeline.recording_id: stretch.timeline for stretch in self.stretches}.values()]

    @property
    def lanes(self) -> list[LaneTimeline]:
        return [lane for timeline in self.timelines for lane in timeline.lanes]


async def nothing_is_sealed(workspace_id: str, objects: Iterable[StoredObject]) -> None:
    """For storage without seals."""


class Timelines:
    """Whoever has a timeline from here can read the sound that it tells of: its workspace's keys are at hand."""

    def __init__(
        self,
        store: Store,
        spool: Spool,
        clock: Clock,
        unlock: Unlock = nothing_is_sealed,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self._store, self._spool, self._clock, self._unlock = store, spool, clock, unlock
        self._kept_bytes = kept_bytes
        self._kept: OrderedDict[tuple[str, int], tuple[float, int, Timeline]] = OrderedDict()
        self._weight = 0
        """Of all that are kept."""

    async def sound(self, recording: Recording, *, live: bool = False) -> Sound:
        """What is heard of the recording: its edit list over its originals' timelines, or the whole of its own one
        but for pauses that were to be skipped."""
        edits = recording.edits
        if not edits.clips:
            own = await self.timeline(recording, live=live)
            clips = [Stretch(own, *bounds) for bounds in kept(own.length_us, own.pauses("skip"))]
            return Sound(recording, tuple(clips), edits.masks, live)
        originals = {name: await self._original(recording, name) for name in {c.recording_id for c in edits.clips}}
        lengths = {name: original.length_us for name, original in originals.items()}
        clips = [
            Stretch(originals[c.recording_id], max(c.start_us, 0), min(c.end_us, lengths[c.recording_id]))
            for c in edits.clips
        ]
        return Sound(recording, tuple(clips), edits.masks)

    async def timeline(self, recording: Recording, *, live: bool = False) -> Timeline:
        """The recording's own lanes; `live` with what this node has of it in its spool."""
        await self._unlock(recording.workspace_id, ())
        if recording.in_progress or recording.status == "processing" or live:
            return await self._load(recording, live)
        key = (recording.id, recording.sound_version)
        now = self._clock.monotonic()
        known = self._kept.get(key)
        if known is None or known[0] < now:
            timeline = await self._load(recording, live=False)
            known = (now + KEPT_SECONDS, _weight(timeline), timeline)
        self._keep(key, known)
        return known[2]

    def _keep(self, key: tuple[str, int], known: tuple[float, int, Timeline]) -> None:
        self._drop(key)
        self._kept[key] = known
        self._weight += known[1]
        while len(self._kept) > 1 and self._weight > self._kept_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: tuple[str, int]) -> None:
        if known := self._kept.pop(key, None):
            self._weight -= known[1]

    def forget(self, recording_id: str) -> None:
        """What was known of it is not so any more: its segments were replaced or destroyed."""
        for key in [key for key in self._kept if key[0] == recording_id]:
            self._drop(key)

    async def _original(self, recording: Recording, original_id: str) -> Timeline:
        original = await self._store.get(Recording, original_id)
        if original is None or original.workspace_id != recording.workspace_id:
            raise Missing(what="recording")
        return await self.timeline(original)

    async def _load(self, recording: Recording, live: bool) -> Timeline:
        # The spool is read first: what moves to storage in the meantime is then seen twice instead of not at all.
        pieces = await asyncio.to_thread(self._spooled, recording.id) if live else []
        of_it = ("recording_id", "=", recording.id)
        lanes, segments, spans, objects = await asyncio.gather(
            self._store.find(Query(Lane).where(*of_it).by("position", "name")),
            self._store.find(Query(Passage).where(*of_it).by("lane", "seq")),
            self._store.find(Query(Span).where(*of_it).by("start_us", "id")),
            self._store.find(Query(StoredObject).where(*of_it).by("key")),
        )
        await self._unlock(recording.workspace_id, objects)
        laid_out = partial(_laid_out, recording, lanes, segments, objects, pieces)
        quick = len(pieces) + sum(len(segment.runs) for segment in segments) // RUN.itemsize <= QUICK_RUNS
        made = laid_out() if quick else await asyncio.to_thread(laid_out)
        return Timeline(recording.id, recording.sound_version, made, tuple(spans), recording.call_id)

    def _spooled(self, recording_id: str) -> list[Piece]:
        return [piece for spooled in self._spool.read(recording_id) for piece in spooled.pieces]


def _laid_out(
    recording: Recording,
    lanes: Iterable[Lane],
    segments: Iterable[Passage],
    objects: Iterable[StoredObject],
    pieces: Sequence[Piece],
) -> tuple[LaneTimeline, ...]:
    by_key = {stored.key: stored for stored in objects}
    stored = {name: _stored(list(group), by_key) for name, group in groupby(segments, lambda s: s.lane)}
    spooled = {name: [p for p in pieces if p.lane == name] for name in {p.lane for p in pieces}}
    known = {lane.name: lane for lane in lanes}
    known.update((name, _unwritten(recording, held[0])) for name, held in spooled.items() if name not in known)
    return tuple(_lane(lane, *stored.get(name, ([], [])), spooled.get(name, [])) for name, lane in known.items())


def _weight(timeline: Timeline) -> int:
    return 4096 + sum(lane.layout.nbytes + 1024 * len(lane.sources) for lane in timeline.lanes)


def _unwritten(recording: Recording, piece: Piece) -> Lane:
    """A lane of which nothing has come to storage yet."""
    return Lane(
        recording_id=recording.id,
        name=piece.lane,
        workspace_id=recording.workspace_id,
        role=piece.lane if piece.lane in ROLES else "other",
        rate=piece.rate,
    )


def _stored(segments: Sequence[Passage], objects: dict[str, StoredObject]) -> tuple[list[Source], list[np.ndarray]]:
    for segment in segments:
        if segment.object_key not in objects:
            raise BlobMissing(key=segment.object_key)
    sources = [Source(objects[s.object_key], b"", s.first_sample, s.peaks_offset) for s in segments]
    return sources, [parse_runs(segment.runs) for segment in segments]


def _lane(lane: Lane, sources: list[Source], runs: list[np.ndarray], pieces: Sequence[Piece]) -> LaneTimeline:
    if pieces:
        sources, runs = [*sources, Source(spooled=b"".join(p.payload for p in pieces))], [*runs, _runs_of(pieces)]
    return LaneTimeline(lane, LaneClock(lane.rate, lane.anchors), layout(runs), tuple(sources))


def _runs_of(pieces: Sequence[Piece]) -> np.ndarray:
    """The runs of pieces whose payloads lie one behind the other."""
    runs = np.array([(p.start, p.samples, 0, len(p.payload), p.take, CODECS.index(p.codec)) for p in pieces], RUN)
    runs["offset"] = np.r_[0, np.cumsum(runs["length"])[:-1]]
    return runs
