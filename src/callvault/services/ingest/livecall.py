"""One live stream: frames are taken in without a wait, and handed to the spool when it is their turn."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass

from callvault.domain.access import Caller
from callvault.domain.errors import Fault, Malformed, RecordingEnded, ShuttingDown, TooManyRequests
from callvault.domain.ids import LANE_NAME
from callvault.ports.codecs import Codecs
from callvault.ports.spool import Piece, Spool
from callvault.ports.system import Clock
from callvault.services.ingest.cutting import Paused, Pauses
from callvault.services.ingest.livetrack import Figures, Frame, LiveTrack
from callvault.services.ingest.openrecordings import LANES_MOST, OpenRecording
from callvault.services.ingest.transcoding import AS_CODEC, Transcoder
from callvault.wire.mediatypes import MediaType
from callvault.wire.runs import BYTES_PER_SAMPLE

BURST_SECONDS = 60
"""So much sound may come at once, as after a stall on the way; beyond it no more than twice as fast as it is said."""
FRAME_COST = 16
"""Bytes that a frame counts for besides its sound."""
UNSAVED_BYTES = 4 << 20
"""When so much waits for the disk, no more is taken in."""
AHEAD_HOURS = 12
"""So far before its time a frame may lie: no sender is, but one may stamp from an earlier start than the stream's."""
SECOND_US = 1_000_000
AHEAD_US = AHEAD_HOURS * 3600 * SECOND_US


@dataclass(frozen=True, slots=True)
class StreamPlace:
    """Whose stream it is, where it lies on its call's clock, and how its tracks are called."""

    caller: Caller
    began: float
    """On this machine's monotonic clock."""
    offset_us: int
    """Where on the call's clock its timestamp 0 lies."""
    take: int
    """The number under which all its sound is stored."""
    lanes: Mapping[str, str]


@dataclass(slots=True)
class _Unsaved:
    pieces: list[Piece]
    durable: "Future[None] | None" = None

    @property
    def size(self) -> int:
        return sum(len(piece.payload) for piece in self.pieces)


class LiveCall:
    def __init__(self, known: OpenRecording, form: MediaType, place: StreamPlace, clock: Clock, codecs: Codecs) -> None:
        self.known, self.place = known, place
        self.durable = 0
        """Bytes of sound that are durable."""
        self.ended: Fault | None = None
        """Why nothing more is taken in."""
        self.refused: Fault | None = None
        """Why sound could not be kept when that was last tried."""
        self.lost: Fault | None = None
        """Why sound that came in was given up."""
        self.tracks: dict[str, LiveTrack] = {}
        self._form, self._codecs, self._now = form, codecs, clock.monotonic
        self._decoded: dict[str, Transcoder] = {}
        self._unsaved: list[_Unsaved] = []
        self._pauses: Pauses = ()
        self._paused = Paused(())
        width = BYTES_PER_SAMPLE.get(form.codec, 1)
        self._pace = 2.0 * max(len(place.lanes), 2) * form.rate * width
        self._room = self._most_room = BURST_SECONDS * self._pace / 2
        self._room_told = place.began

    def push(self, track: str, chunk: int, timestamp_ms: int | None, payload: bytes) -> None:
        """Takes in a frame and does nothing else. `chunk` is 0 when the sender does not count its frames, the time None
        when it does not stamp them.

        `Malformed` when its time cannot be, `TooManyRequests` for a flood, `RecordingEnded` when the recording was
        ended, and whatever else keeps its sound from being stored: then the stream is over.
        """
        if self.ended is None and not self.known.recording.in_progress:
            self.ended = RecordingEnded()
        if self.ended is not None:
            raise self.ended
        now = self._now()
        passed_us = int((now - self.place.began) * SECOND_US)
        if timestamp_ms is not None and 1000 * timestamp_ms - passed_us > AHEAD_US:
            raise Malformed(what="the message", why=f"its timestamp is more than {AHEAD_HOURS} hours ahead")
        self._room -= len(payload) + FRAME_COST
        if self._room < 0:
            self._make_room(now)
        known = self.tracks.get(track) or self._new_track(track)
        if self._decoded:
            payload = self._decoded[track](payload)
        known.frames.append(Frame(chunk, timestamp_ms, payload, self.place.offset_us + passed_us))

    @property
    def elapsed_us(self) -> int:
        return self.place.offset_us + int((self._now() - self.place.began) * SECOND_US)

    @property
    def figures(self) -> dict[str, Figures]:
        return {name: track.figures for name, track in self.tracks.items()}

    @property
    def homeless(self) -> list[LiveTrack]:
        """Tracks with sound that have no lane to go to yet."""
        return [track for track in self.tracks.values() if track.frames and not self._has_home(track)]

    def save(self, spool: Spool) -> bool:
        """Hands to the spool what came in since the last time, and again what it could not take. Whether there was
        anything new, be it what may not be heard."""
        self._settle()
        sounding = [track for track in self.tracks.values() if track.frames and self._has_home(track)]
        pieces = self._gathered(sounding)
        if pieces:
            self._unsaved.append(_Unsaved(pieces))
        recording = self.known.recording
        for waiting in self._unsaved:
            if waiting.durable is None:
                waiting.durable = spool.append(recording.id, recording.workspace_id, waiting.pieces)
        return bool(sounding)

    def waiting(self) -> "list[Future[None]]":
        """What the disk was given and has not confirmed."""
        self._settle()
        return [unsaved.durable for unsaved in self._unsaved if unsaved.durable is not None]

    def all_saved(self) -> bool:
        """Nothing of it waits for the disk, nor for a lane to go to."""
        self._settle()
        return not (self._unsaved or self.homeless)

    def _gathered(self, sounding: Iterable[LiveTrack]) -> list[Piece]:
        heard = self._is_heard if self._known_pauses() else None
        return [piece for track in sounding for piece in track.pieces(heard)]

    def _known_pauses(self) -> Pauses:
        if self._pauses is not self.known.pauses:
            self._pauses = self.known.pauses
            self._paused = Paused(self._pauses)
        return self._pauses

    def _is_heard(self, frame: Frame) -> bool:
        return not self._paused.at(frame.arrived_us)

    def _has_home(self, track: LiveTrack) -> bool:
        lane = self.known.lanes.get(track.lane)
        return lane is not None and lane.lane.rate == track.rate

    def _settle(self) -> None:
        """Counts what has become durable; what could not is handed over again, until too much of it waits."""
        fault: BaseException | None = None
        kept = []
        for unsaved in self._unsaved:
            if unsaved.durable is None or not unsaved.durable.done():
                kept.append(unsaved)
            elif error := unsaved.durable.exception():
                fault, unsaved.durable = error, None
                kept.append(unsaved)
            else:
                self.durable += unsaved.size
        self._unsaved = kept
        if fault:
            self.refused = fault if isinstance(fault, Fault) else ShuttingDown()
            if sum(unsaved.size for unsaved in kept) > UNSAVED_BYTES:
                self.ended = self.refused

    def _make_room(self, now: float) -> None:
        self._room = min(self._room + (now - self._room_told) * self._pace, self._most_room)
        self._room_told = now
        if self._room < 0:
            self.ended = TooManyRequests()
            raise self.ended

    def _new_track(self, name: str) -> LiveTrack:
        lane = self.place.lanes.get(name, name)
        if not LANE_NAME.fullmatch(lane) or len(self.tracks) >= LANES_MOST:
            raise Malformed(what="the track", why="it has no name that a lane can have, or is one too many")
        codec, rate = self._form.codec, self._form.rate
        if codec not in BYTES_PER_SAMPLE:
            self._decoded[name] = Transcoder(self._codecs, codec, rate)
            codec = AS_CODEC
        base = self.place.offset_us * rate // SECOND_US
        track = LiveTrack(lane, codec, rate, BYTES_PER_SAMPLE[codec], self.place.take, base)
        self.tracks[name] = track
        return track
