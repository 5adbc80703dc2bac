"""One track of a live stream: frames are put where their timestamps say, each once, in whatever order they came."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from callvault.ports.spool import Piece

SNAP_SECONDS = 0.010
"""A timestamp that is off by so little is taken to mean that the frame goes on where the one before ended."""
SNAP_COUNTED_SECONDS = 0.060
"""And by so little, when the sender's count says that no frame lies between."""
RESET_SECONDS = 10.0
"""A sender whose count goes on while its timestamps fall back so far has begun its clock anew."""
AHEAD_SECONDS = 60.0
"""And so has one whose timestamps leap so far, and come to lie so far ahead of when they arrive: what was silent for an
hour arrives an hour later. Who sends a burst is less far ahead."""
UNTIMED_GAP_SECONDS = 0.5
GAPS_KEPT = 256
LATEST_SECONDS = 48 * 3600


class Frame(NamedTuple):
    chunk: int
    """Counted by the sender, 0 when it does not."""
    timestamp_ms: int | None
    payload: bytes
    arrived_us: int
    """On the call's clock."""


@dataclass(slots=True)
class _Row:
    """Frames of which each goes on where the one before ends."""

    start: int
    end: int
    arrived_us: int
    payloads: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class Figures:
    """What became of a track's frames."""

    frames: int = 0
    doubled: int = 0
    late: int = 0
    """Came after their place was passed, and found it free."""
    misplaced: int = 0
    """Had timestamps that cannot be."""


@dataclass(slots=True)
class LiveTrack:
    lane: str
    codec: str
    rate: int
    width: int
    """Bytes of a sample."""
    take: int
    base: int
    """Where on the lane the stream's timestamp 0 lies."""
    frames: list[Frame] = field(default_factory=list)
    figures: Figures = field(default_factory=Figures)
    _next: int = -1
    _last_chunk: int = 0
    _gaps: list[tuple[int, int]] = field(default_factory=list)
    """What late frames may fill, in order and apart."""
    _unheard: bool = False
    """Whether what is missing was left out on purpose, so that no late frame may fill it."""

    def pieces(self, heard: Callable[[Frame], bool] | None = None) -> list[Piece]:
        """What came in since the last time, without the frames that may not be heard."""
        frames, self.frames = self.frames, []
        self.figures.frames += len(frames)
        if heard is None or not frames:
            return self._made_of(frames)
        kept = [frame for frame in frames if heard(frame)]
        self._unheard = self._unheard or len(kept) < len(frames)
        made = self._made_of(kept)
        self._unheard = not heard(frames[-1])
        return made

    def _made_of(self, frames: Sequence[Frame]) -> list[Piece]:
        if not frames:
            return []
        if None in [frame.timestamp_ms for frame in frames]:
            runs = groupby(frames, lambda frame: frame.timestamp_ms is None)
            made = [self._untimed([*run]) if untimed else self._placed([*run]) for untimed, run in runs]
            return [piece for pieces in made for piece in pieces]
        return self._in_a_row(frames) or self._placed(frames)

    def _in_a_row(self, frames: Sequence[Frame]) -> list[Piece] | None:
        """The usual case, quickly: every frame begins where the one before it ends."""
        start = at = self._next
        chunk, base, rate, width = self._last_chunk, self.base, self.rate, self.width
        for frame in frames:
            chunk += 1
            if frame[0] != chunk or base + frame[1] * rate // 1000 != at:  # type: ignore[operator]
                return None
            at += len(frame[2]) // width
        payload = b"".join([frame[2] for frame in frames])
        if len(payload) != (at - start) * width:
            return None
        self._next, self._last_chunk = at, chunk
        return [self._piece(start, payload, frames[0].arrived_us)]

    def _placed(self, frames: Sequence[Frame]) -> list[Piece]:
        rows: list[_Row] = []
        for frame in sorted(frames, key=self._order):
            payload = frame.payload[: len(frame.payload) - len(frame.payload) % self.width]
            samples = len(payload) // self.width
            start = self._place(frame, samples) if payload else None
            if start is None:
                continue
            if not rows or rows[-1].end != start:
                rows.append(_Row(start, start, frame.arrived_us))
            rows[-1].end += samples
            rows[-1].payloads.append(payload)
        return [self._piece(row.start, b"".join(row.payloads), row.arrived_us) for row in rows]

    def _place(self, frame: Frame, samples: int) -> int | None:
        """Where the frame goes; None when it is there already, or cannot be."""
        nominal = self._nominal(frame)
        if nominal > LATEST_SECONDS * self.rate:
            self.figures.misplaced += 1
            return None
        follows = frame.chunk > 0 and frame.chunk == self._last_chunk + 1
        if self._leaps(frame, nominal):
            nominal = self._anew(frame, nominal)
        if self._next < 0:
            self._begin(nominal)
        elif frame.chunk > self._last_chunk and self._next - nominal > RESET_SECONDS * self.rate:
            nominal = self._anew(frame, nominal)
        off = nominal - self._next
        snap = SNAP_COUNTED_SECONDS * self.rate if follows else min(SNAP_SECONDS * self.rate, samples / 2 - 1)
        if abs(off) <= snap:
            return self._forward(frame, self._next, samples)
        if off > 0:
            if not self._unheard:
                self._gaps.append((self._next, nominal))
                del self._gaps[: -GAPS_KEPT - 1]
            return self._forward(frame, nominal, samples)
        return self._into_gap(nominal, samples)

    def _begin(self, nominal: int) -> None:
        """The first frame that came need not be the first that was sent."""
        if not self._unheard and nominal > self.base:
            self._gaps = [(self.base, nominal)]
        self._next = nominal

    def _leaps(self, frame: Frame, nominal: int) -> bool:
        most = AHEAD_SECONDS * self.rate
        return nominal - max(self._next, self.base) > most and nominal - self._arrived(frame) > most

    def _anew(self, frame: Frame, nominal: int) -> int:
        """The sender's clock goes on from where the lane ends, or from now, when there was nothing for a while."""
        arrived = self._arrived(frame)
        # Before the first frame the stream's beginning is its end: what comes late has no place before that.
        end = self._next = max(self._next, self.base)
        place = arrived if arrived - end > UNTIMED_GAP_SECONDS * self.rate else end
        self.base += place - nominal
        return place

    def _forward(self, frame: Frame, start: int, samples: int) -> int:
        self._next = start + samples
        self._last_chunk = max(self._last_chunk, frame.chunk)
        return start

    def _into_gap(self, nominal: int, samples: int) -> int | None:
        snap = round(SNAP_SECONDS * self.rate)
        n = bisect_left(self._gaps, nominal + samples - snap, key=lambda gap: gap[1])
        if n == len(self._gaps) or self._gaps[n][0] - snap > nominal:
            self.figures.doubled += 1
            return None
        first, end = self._gaps[n]
        start = min(max(nominal, first), max(end - samples, first))
        left = [(first, start), (start + samples, end)]
        self._gaps[n : n + 1] = [gap for gap in left if gap[1] > gap[0]]
        self.figures.late += 1
        return start

    def _order(self, frame: Frame) -> tuple[int, int]:
        """As they were sent: a clock that begins anew does so in the middle of what came together."""
        return frame.chunk, self._nominal(frame)

    def _nominal(self, frame: Frame) -> int:
        return self.base + (frame.timestamp_ms or 0) * self.rate // 1000

    def _arrived(self, frame: Frame) -> int:
        return frame.arrived_us * self.rate // 1_000_000

    def _untimed(self, frames: Sequence[Frame]) -> list[Piece]:
        """A sender that stamps nothing: its sound goes on, unless none came for a while and what came then does not
        make up for it."""
        payload = b"".join(frame.payload for frame in frames)
        samples = len(payload) // self.width
        arrived = self._arrived(frames[0])
        if self._next < 0:
            self._next = self.base
        if arrived - self._next > max(UNTIMED_GAP_SECONDS * self.rate, 2 * samples):
            self._next = arrived
        start, self._next = self._next, self._next + samples
        return [self._piece(start, payload, frames[0].arrived_us)] if samples else []

    def _piece(self, start: int, payload: bytes, arrived_us: int) -> Piece:
        samples = len(payload) // self.width
        return Piece(self.lane, self.take, self.codec, self.rate, start, samples, payload, b"", arrived_us)
