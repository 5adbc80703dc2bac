"""Views: any recording as a WAV whose every byte is known before one is made, and made when it is asked for."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from typing import Final, TypedDict

import numpy as np

from callvault.audio.edits import Part, parts, under
from callvault.audio.mix import Samples, beep, interleaved, silence
from callvault.domain.errors import Malformed, Missing, RecordingInProgress
from callvault.domain.recording import Mask, Recording, Version
from callvault.ports.blobs import Blobs, Chunk
from callvault.services.delivery.channels import channels_of, check_lanes, check_name, count_of, is_in
from callvault.services.delivery.content import PIECE, Pieces, cuts, made_ahead
from callvault.services.delivery.lanes import LaneFrames, is_exact
from callvault.services.delivery.takes import CodedTakes
from callvault.services.timelines import QUICK_RUNS, LaneTimeline, Sound, Timeline, Timelines
from callvault.wire import wav
from callvault.wire.mediatypes import OF_FORMAT, RATE_MAX, RATE_MIN

RENDERING: Final = 2
"""Raised whenever the same sound comes out in other bytes than before."""
RATES: Final = range(RATE_MIN, RATE_MAX + 1)
RATE_OF_SILENCE: Final = 8_000
PCM: Final = "pcm_s16le"
FILE_PIECE: Final = 2 << 20
"""Of a file that is written as a whole."""


class View:
    """One view of a recording at one rate. Its length and every byte of its header are told by the index alone; any
    stretch of its sound is made from the takes under it, and is the same however it is cut out."""

    def __init__(self, sound: Sound, name: str, rate: int, blobs: Blobs, takes: CodedTakes) -> None:
        self.sound, self.name, self.rate = sound, name, rate
        self.channels = count_of(name)
        self.media_type = OF_FORMAT["wav"]
        self.blobs, self.takes = blobs, takes
        self.parts = parts(sound.stretches, rate)
        self._lanes: dict[tuple[str, str], LaneFrames] = {}
        self.frames = self.parts[-1].stop if self.parts else 0
        self.wav_header = wav.header(rate, self.channels, self.frames)
        self.length = wav.file_length(self.channels, self.frames)
        self.etag = f'"{_fingerprint(sound, name, rate)}"'

    def at(self, rate: int) -> "View":
        """The same at another rate."""
        return self if rate == self.rate else View(self.sound, self.name, rate, self.blobs, self.takes)

    def read(self, start: int, length: int) -> Chunk:
        """Bytes of the WAV file, as many of them as it has. Blocks; memory is that of what is asked for."""
        end, head = min(start + length, self.length), len(self.wav_header)
        if start >= end:
            return b""
        width = 2 * self.channels
        first, last = max(start - head, 0) // width, max(-(-(end - head) // width), 0)
        samples = self.pcm(first, min(last, self.frames)).astype("<i2", copy=False)
        skip = max(start - head, 0) - first * width
        sound = samples.reshape(-1).view(np.uint8).data[skip : skip + end - max(start, head)]
        return self.wav_header[start:end] + sound if start < head else sound.toreadonly()

    def pcm(self, first: int, last: int) -> Samples:
        """Frames as rows of their channels' samples."""
        found = list(under(self.parts, first, last))
        if len(found) == 1 and found[0].stop - found[0].at == last - first:
            return self._part(found[0])
        out = np.zeros((max(last - first, 0), self.channels), np.int16)
        for part in found:
            out[part.at - first : part.stop - first] = self._part(part)
        return out

    def blocks(self, frames: int = PIECE // 4) -> Iterator[Samples]:
        """All of the sound, for an encoder."""
        asked = ((at, min(at + frames, self.frames)) for at in range(0, self.frames, frames))
        return made_ahead(self.pcm, asked, self._in_any_order())

    def pieces(self, start: int = 0, end: int | None = None) -> Iterator[Chunk]:
        """The same as `read`, of any length, in constant memory."""
        end = self.length if end is None else min(end, self.length)
        return made_ahead(self.read, cuts(start, end, FILE_PIECE, self._to_segment_end), self._in_any_order())

    def stream(self, start: int = 0, end: int | None = None) -> Pieces:
        """The same for the event loop: while one piece is on its way out the next one is made."""
        return Pieces(self.read, start, self.length if end is None else min(end, self.length))

    def _in_any_order(self) -> bool:
        """Whether no stretch is made of what was made for one before it."""
        lanes = (lane for part in self.parts for lane in channels_of(self.name, part.timeline).lanes)
        return all(is_exact(lane, self.rate) and not lane.layout.is_coded for lane in lanes)

    def _to_segment_end(self, start: int, stop: int) -> int:
        """Sound of one segment is heard as it was read; that of two is copied together first."""
        head, width = len(self.wav_header), 2 * self.channels
        first, last = (max((start + stop) // 2 - head, 0) // width, max(stop - head, 0) // width)
        ends = [
            part.at + end - part.start
            for part in under(self.parts, first, last)
            for lane in channels_of(self.name, part.timeline).lanes
            if is_exact(lane, self.rate) and (end := lane.layout.source_end(part.start, part.end))
        ]
        return head + width * max(ends) if ends else stop

    def _part(self, part: Part[Timeline]) -> Samples:
        channels = channels_of(self.name, part.timeline)
        heard = [self._heard(lane, part) for lane in channels.lanes]
        out = interleaved(heard, channels.sides, part.end - part.start)
        for mask in self.sound.masks:
            if mask.lane is None:
                self._cover(out, part, mask)
        return out

    def _heard(self, lane: LaneTimeline, part: Part[Timeline]) -> Samples:
        key = (part.timeline.recording_id, lane.lane.name)
        frames = self._lanes.get(key)
        if frames is None:
            frames = self._lanes.setdefault(key, LaneFrames(lane, self.rate, self.blobs, self.takes))
        samples = frames.frames(part.start, part.end)
        masks = [mask for mask in self.sound.masks if mask.lane == lane.lane.name]
        samples = samples.copy() if masks else samples
        for mask in masks:
            self._cover(samples, part, mask)
        return samples

    def _cover(self, samples: Samples, part: Part[Timeline], mask: Mask) -> None:
        bounds = [part.touched(mask.start_us, mask.end_us, self.rate)]
        silence(samples, part.start, bounds)
        if mask.method == "beep":
            beep(samples, part.start, bounds, self.rate)


class SoundFacts(TypedDict):
    duration_us: int
    sample_rate: int
    channels: int
    codec: str
    file_size: int


class Views:
    def __init__(self, timelines: Timelines, blobs: Blobs, takes: CodedTakes) -> None:
        self.timelines, self.blobs, self.takes = timelines, blobs, takes

    async def open(self, recording: Recording, view: str = "mono", rate: int = 0, *, live: bool = False) -> View:
        """A view of the very version that is given, at a rate, or at the highest of the lanes in it.

        `RecordingInProgress` while sound may still come, unless what is there so far is asked for; `Missing` for a
        lane that is not there.
        """
        check_name(view)
        if rate and rate not in RATES:
            raise Malformed(what="rate", why=f"it is {RATES.start} to {RATES.stop - 1}")
        check_open(recording, live)
        sound = await self.timelines.sound(recording, live=live)
        lanes = [lane.lane for lane in sound.lanes]
        check_lanes(view, lanes)
        best = max((lane.rate for lane in lanes if is_in(view, lane)), default=RATE_OF_SILENCE)
        make = partial(View, sound, view, rate or best, self.blobs, self.takes)
        pieces = sum(len(lane.layout.pieces) for lane in sound.lanes) if live else 0
        return make() if pieces <= QUICK_RUNS else await asyncio.to_thread(make)

    async def whole(self, recording: Recording, *, live: bool = False) -> View | None:
        """The view in which all sides are heard apart: mono where there is one alone, None where there is no sound."""
        view = await self.open(recording, "stereo", live=live)
        sounding = {lane.lane.name for lane in view.sound.lanes if lane.layout.end}
        if not sounding:
            return None
        return view if len(sounding) > 1 else await self.open(recording, "mono", live=live)


def facts_of(view: View) -> SoundFacts:
    """What a recording tells of its sound."""
    return SoundFacts(
        duration_us=view.sound.length_us,
        sample_rate=view.rate,
        channels=view.channels,
        codec=PCM,
        file_size=view.length,
    )


def check_open(recording: Version, live: bool) -> None:
    """Whether the recording can be heard at all yet, or still."""
    if recording.deleted_ms is not None or (recording.status == "failed" and not live):
        raise Missing(what="recording")
    if (recording.in_progress or recording.status == "processing") and not live:
        raise RecordingInProgress


def _fingerprint(sound: Sound, name: str, rate: int) -> str:
    recording = sound.recording
    versions = sorted((timeline.recording_id, timeline.sound_version) for timeline in sound.timelines)
    facts = [RENDERING, recording.id, recording.sound_version, name, rate, asdict(recording.edits), versions]
    digest = hashlib.sha256(json.dumps(facts).encode())
    for lane in sound.lanes if sound.live else ():
        # While sound comes in, another take may come to lie over what is there.
        lies = lane.layout.pieces if recording.in_progress else lane.layout.sound()
        digest.update(f"{lane.lane.name} {lane.lane.anchors}".encode() + lies.tobytes())
    return digest.hexdigest()[:32]
