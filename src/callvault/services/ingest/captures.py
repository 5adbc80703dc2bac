"""Packet captures: kept as they came, and their RTP rebuilt into lanes on one clock."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from callvault.domain.access import Caller
from callvault.domain.call import Call
from callvault.domain.errors import ArtifactUnkept, Malformed, Refused
from callvault.domain.lane import Lane
from callvault.domain.stored import Artifact
from callvault.ports.codecs import Codecs
from callvault.ports.spool import Piece
from callvault.ports.store import Store
from callvault.services.ingest.admission import Admission
from callvault.services.ingest.capturemap import CaptureMap, Surveyor
from callvault.services.ingest.cutting import Paused
from callvault.services.ingest.drifting import LaneDrift
from callvault.services.ingest.filing import FILED_TAKE, Filed, Filing, Source, chunks_of, fresh_lanes
from callvault.services.ingest.openrecordings import OpenRecording, OpenRecordings
from callvault.services.ingest.rtplane import SPEECHLESS, Figures, RtpLane, rebuildable
from callvault.wire import pcap, rtp
from callvault.wire.rtp import RtpCodec

PCAP = "pcap"
CAPTURE = "application/vnd.tcpdump.pcap"
LANES = "lanes"
"""Of a kept capture, what was made of it: a fact that one that was only kept does not have."""
SEGMENT_SECONDS = 30
LATEST_START_MS = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Captured:
    lanes: Mapping[str, Figures] = field(default_factory=dict)
    """What was rebuilt."""
    created: bool = True
    """False when the very same capture was there already, whether or not it was rebuilt now."""


class Captures:
    def __init__(
        self, store: Store, filing: Filing, open_recordings: OpenRecordings, codecs: Codecs, *, admission: Admission
    ) -> None:
        self._store, self._filing, self._open, self._codecs = store, filing, open_recordings, codecs
        self._admission = admission

    async def put(
        self,
        caller: Caller,
        recording_id: str,
        source: BinaryIO,
        *,
        rebuild: bool = False,
        media_type: str = CAPTURE,
        sides: Mapping[str, str] | None = None,
        types: Mapping[int, RtpCodec] | None = None,
    ) -> Captured:
        """All of it or nothing. `sides` names lanes for addresses (`10.0.0.5`, `10.0.0.5:4000`), `types` tells what
        dynamic payload types stand for; without them see `capturemap`. The same capture again is no change, but that
        one that was only kept can be rebuilt later; `AlreadyThere` for another, or when a lane that it would make is
        there. Of a recording that was paused, and of a call that keeps no captures, the lanes alone are kept, and a
        capture that shall not be rebuilt is refused."""
        async with self._admission.receiving(caller, recording_id) as known, known.filing:
            given = Source(PCAP, source, media_type)
            kept = await self._filing.kept(known, given)
            if kept and (LANES in kept.metadata or not rebuild):
                return Captured(created=False)
            call = await self._store.get(Call, known.recording.call_id)
            is_wanted = call is None or call.keeps(PCAP)
            if not (rebuild or is_wanted):
                raise ArtifactUnkept(kind=PCAP)
            surveyor = Surveyor(
                sides or {}, types or {}, caller_is_customer=call is None or call.direction != "outbound"
            )
            return await self._file(caller, known, given, kept, surveyor if rebuild else None, is_wanted=is_wanted)

    async def _file(
        self,
        caller: Caller,
        known: OpenRecording,
        source: Source,
        kept: Artifact | None,
        surveyor: Surveyor | None,
        *,
        is_wanted: bool,
    ) -> Captured:
        rebuilding = None
        if surveyor:
            drawn = await asyncio.to_thread(surveyor.survey, pcap.datagrams(chunks_of(source.bytes)))
            lanes = await fresh_lanes(self._open, known, list(_rates(drawn).items()))
            rebuilding = _Rebuilding(drawn, lanes, self._codecs, known)
            source = replace(source, facts={LANES: [lane.name for lane in lanes]})
        elif known.pauses:
            raise Refused(why="the recording was paused, and what was said then is in the capture: it is not stored")
        else:
            await asyncio.to_thread(_checked, source.bytes)

        def fill(filed: Filed) -> None:
            if rebuilding:
                filed.started_ms = rebuilding.started_ms
                for lane, pieces in rebuilding.pieces(source.bytes):
                    self._filing.put(known, lane, pieces, filed)
                filed.lanes.extend(rebuilding.fitted())
            if kept:
                filed.rebuilt = replace(kept, metadata={**kept.metadata, **source.facts})
            elif is_wanted:
                self._filing.keep(known, source, filed)

        await self._filing.make_known(caller, known, fill)
        lanes_made = rebuilding.lanes if rebuilding else {}
        return Captured({name: lane.figures for name, lane in lanes_made.items()}, created=kept is None)


class _Rebuilding:
    """The second reading of a capture."""

    def __init__(self, drawn: CaptureMap, lanes: list[Lane], codecs: Codecs, known: OpenRecording) -> None:
        self._drawn = drawn
        self._rows = {lane.name: lane for lane in lanes}
        self._drift = {lane.name: LaneDrift() for lane in lanes}
        self.lanes = {lane.name: RtpLane(lane.name, lane.rate, codecs, FILED_TAKE) for lane in lanes}
        self.started_ms = drawn.began_ns // 1_000_000 or None
        self._paused = Paused(known.pauses)
        started_ms = known.recording.started_ms
        after_ms = drawn.began_ns // 1_000_000 - started_ms if started_ms is not None else -1
        self._offset_us = 1000 * after_ms if 0 <= after_ms <= LATEST_START_MS else 0

    def pieces(self, source: BinaryIO) -> Iterator[tuple[Lane, list[Piece]]]:
        """A segment's at a time."""
        held: dict[str, list[Piece]] = {name: [] for name in self.lanes}
        for piece in self._rebuilt(source):
            of = held[piece.lane]
            of.append(piece)
            if piece.start - of[0].start >= SEGMENT_SECONDS * piece.rate:
                yield self._told(piece.lane, of)
                held[piece.lane] = []
        for name, rest in held.items():
            if rest:
                yield self._told(name, rest)

    def fitted(self) -> list[Lane]:
        """The lanes with what was found out about their clocks."""
        fitted = {name: drift.fitted(self._rows[name]) for name, drift in self._drift.items()}
        return [replace(fitted[name] or lane, version=1) for name, lane in self._rows.items()]

    def _told(self, name: str, pieces: list[Piece]) -> tuple[Lane, list[Piece]]:
        self._drift[name].heard(pieces)
        return self._rows[name], pieces

    def _rebuilt(self, source: BinaryIO) -> Iterator[Piece]:
        drawn = self._drawn
        for datagram in pcap.datagrams(chunks_of(source)):
            direction = (datagram.source, datagram.destination)
            name = drawn.lanes.get(direction)
            if name is None or not rtp.looks_like_rtp(datagram.payload):
                continue
            try:
                packet = rtp.parse(datagram.payload)
            except Malformed:
                continue
            if packet.ssrc in drawn.heard[direction].ssrcs:
                at_us = self._offset_us + (datagram.time_ns - drawn.began_ns) // 1000
                paused = self._paused.at(at_us)
                yield from self.lanes[name].feed(max(at_us, 0), packet, self._codec(packet), paused=paused)
        for lane in self.lanes.values():
            yield from lane.rest()

    def _codec(self, packet: rtp.RtpPacket) -> RtpCodec | None:
        codec = self._drawn.types.get(packet.payload_type)
        if codec is None or not (codec.name in SPEECHLESS or rebuildable([codec])):
            return None
        return codec


def _rates(drawn: CaptureMap) -> dict[str, int]:
    """A lane has the highest rate of what goes onto it."""
    rates: dict[str, int] = {}
    for direction, name in drawn.lanes.items():
        known = rebuildable(drawn.codecs(direction))
        if known:
            rates[name] = max([rates.get(name, 0), *(codec.rate for codec in known)])
    if not rates:
        raise Malformed(what="the capture", why="none of its sound is in a codec that can be rebuilt")
    return rates


def _checked(source: BinaryIO) -> None:
    """`Malformed` when it is no capture at all."""
    next(pcap.datagrams(chunks_of(source)), None)
