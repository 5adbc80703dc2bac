"""A sound file's blocks: decoded as far as it goes, gaps filled, limits held by what really comes out."""

from collections.abc import Generator, Iterator
from typing import BinaryIO, Final, Self

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from callvault.adapters.codecs.examined import Examined, examined
from callvault.adapters.codecs.int16 import Raw, joined
from callvault.domain.errors import Malformed, TooLarge
from callvault.ports.codecs import Samples, SoundFormat, SoundLimits
from callvault.wire.mediatypes import RATE_MIN

_CONTAINERS: Final = "wav,w64,aiff,au,caf,ogg,mp3,matroska,webm,flac,aac,amr"
"""Lists of files, of URLs and the like are no sound: a file is never a reason to open another."""
_MP4: Final = "mov,mp4,m4a,3gp,3g2,mj2"
"""Opened as one is only what was examined as one."""

_NAMES: Final = {"matroska,webm": "webm", _MP4: "mp4"}
_DECLARING: Final = frozenset({"wav", "w64", "aiff", "au", "caf", "flac", *_NAMES})
"""Containers whose length FFmpeg reads and does not guess, so that an early end is known to be one."""

_BLOCK: Final = 1 << 16
_GAP_SECONDS: Final = 0.05
"""Timestamps are coarse (a millisecond in WebM); what is missing beyond this was really lost."""

_END_SECONDS: Final = 0.25
"""How much of the end a lossy codec may owe."""

_PLANES_MAX: Final = 7
"""PyAV looks for the end of a frame's planes behind the eighth, where there is none, and crashes."""


def open_sound(seen: Examined) -> InputContainer:
    options = {"format_whitelist": _MP4 if seen.is_mp4 else _CONTAINERS, "protocol_whitelist": "none"}
    try:
        return av.open(seen.file, mode="r", options=options)
    except (av.FFmpegError, ValueError) as error:
        raise _malformed("it is no sound file") from error


def sound_of(container: InputContainer) -> AudioStream:
    if not container.streams.audio:
        raise _malformed("there is no sound in it")
    if any(not stream.disposition & Disposition.attached_pic for stream in container.streams.video):
        raise _malformed("it is a video: its place is the artifact `video`, and its sound comes as a file of its own")
    return container.streams.audio[0]


def format_of(container: InputContainer, stream: AudioStream, frame: AudioFrame) -> SoundFormat:
    check_rate(frame.sample_rate, SoundLimits().rate)
    name = container.format.name
    codec = stream.codec_context.codec.canonical_name
    return SoundFormat(_NAMES.get(name, name), codec, frame.sample_rate, frame.layout.nb_channels)


def check_rate(rate: int, most: int) -> None:
    if not RATE_MIN <= rate <= most:
        raise _malformed(f"a rate of {rate} Hz is absurd")


class Frames:
    """What decodes of a stream, frame by frame; what does not is counted."""

    def __init__(self, container: InputContainer) -> None:
        self.container = container
        self.stream = sound_of(container)
        self.undecoded = 0

    def __iter__(self) -> Iterator[AudioFrame]:
        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError:
                self.undecoded += 1
                return
            try:
                yield from packet.decode()
            except av.FFmpegError:
                self.undecoded += 1


class PyAvDecoding:
    """The port's `Decoding`. The first audio stream is the file's sound."""

    def __init__(self, source: BinaryIO, limits: SoundLimits) -> None:
        self.damage: str | None = None
        self._limits = limits
        self._blocks = self._run(source)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Samples:
        return next(self._blocks)

    def close(self) -> None:
        self._blocks.close()

    def _run(self, source: BinaryIO) -> Generator[Samples, None, None]:
        seen = examined(source)
        with open_sound(seen) as container:
            frames = Frames(container)
            place = _Placing(frames, seen, self._limits)
            for frame in frames:
                if not place.fits(frame):
                    self.damage = f"its form changes after {place.seconds:.2f} s"
                    break
                yield from place.silence_before(frame)
                yield from place.take(frame)
            yield from place.rest()
            self.damage = self.damage or place.damage()


class _Placing:
    """Puts frames where their timestamps say, in blocks of some size, and counts what came out."""

    def __init__(self, frames: Frames, seen: Examined, limits: SoundLimits) -> None:
        self._frames = frames
        self._seen = seen
        self._limits = limits
        self._form: tuple[int, int, str] | None = None
        self._held: list[Raw] = []
        self._held_samples = 0
        self.rate = 0
        self.out = 0

    @property
    def seconds(self) -> float:
        return self.out / self.rate if self.rate else 0.0

    def fits(self, frame: AudioFrame) -> bool:
        form = (frame.sample_rate, frame.layout.nb_channels, frame.format.name)
        if self._form is None:
            self._begin(form, frame)
        return form == self._form

    def silence_before(self, frame: AudioFrame) -> Iterator[Samples]:
        gap = self._place(frame) - self.out
        if gap <= self.rate * _GAP_SECONDS:
            return
        self._count(gap)
        yield from self._flush()
        for at in range(0, gap, _BLOCK):
            yield np.zeros((min(_BLOCK, gap - at), self._channels), np.int16)

    def take(self, frame: AudioFrame) -> Iterator[Samples]:
        self._count(frame.samples)
        parts = self._packer.resample(frame) if self._packer else [frame]
        self._held += [part.to_ndarray() for part in parts]
        self._held_samples += frame.samples
        if self._held_samples >= _BLOCK:
            yield from self._flush()

    def rest(self) -> Iterator[Samples]:
        if not self.out:
            raise no_sound()
        yield from self._flush()

    def damage(self) -> str | None:
        declared = self._seen.seconds or self._declared_seconds() - _END_SECONDS
        if declared > self.seconds:
            return f"it ends after {self.seconds:.2f} s and declares more"
        if self._seen.unfinished:
            return f"it is cut off after {self.seconds:.2f} s"
        if self._frames.undecoded:
            return f"{self._frames.undecoded} of its packets do not decode"
        return None

    def _begin(self, form: tuple[int, int, str], frame: AudioFrame) -> None:
        self._form = form
        self.rate, self._channels, name = form
        self._packer = _packer(frame)
        self._planar = name.endswith("p") and not self._packer
        check_rate(self.rate, self._limits.rate)
        if self._channels > self._limits.channels:
            raise TooLarge(what="the number of channels", limit=f"{self._limits.channels} channels")
        seconds, size = self._limits.seconds, self._limits.bytes_of(self._seen.size)
        self._most, self._limit = min(
            (seconds * self.rate, f"{seconds} seconds"),
            (size // (2 * self._channels), f"{size} bytes of samples"),
        )
        self._check(round(self._declared_seconds() * self.rate))

    def _place(self, frame: AudioFrame) -> int:
        """The frame's first sample, counted from where the file's own clock begins."""
        if frame.pts is None or frame.time_base is None:
            return self.out
        stream, container = self._frames.stream, self._frames.container
        begin = container.start_time / av.time_base if container.start_time is not None else 0.0
        if len(container.streams) == 1 and stream.start_time is not None and stream.time_base is not None:
            begin = float(stream.start_time * stream.time_base)
        return round((float(frame.pts * frame.time_base) - begin) * self.rate)

    def _declared_seconds(self) -> float:
        stream, container = self._frames.stream, self._frames.container
        if container.format.name not in _DECLARING and not self._seen.counted:
            return 0.0
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
        return container.duration / av.time_base if container.duration and len(container.streams) == 1 else 0.0

    def _count(self, samples: int) -> None:
        self.out += samples
        self._check(self.out)

    def _check(self, samples: int) -> None:
        if samples > self._most:
            raise TooLarge(what="the sound", limit=self._limit)

    def _flush(self) -> Iterator[Samples]:
        if self._held:
            yield joined(self._held, self._planar, self._channels)
        self._held, self._held_samples = [], 0


def _packer(frame: AudioFrame) -> AudioResampler | None:
    """For frames that PyAV cannot hand over as they are."""
    wide = frame.format.name.startswith("s64")
    if not wide and (frame.format.is_packed or frame.layout.nb_channels <= _PLANES_MAX):
        return None
    return AudioResampler("s32" if wide else frame.format.packed, frame.layout, frame.sample_rate)


def no_sound() -> Malformed:
    return _malformed("no sound can be decoded from it")


def _malformed(why: str) -> Malformed:
    return Malformed(what="the sound file", why=why)
