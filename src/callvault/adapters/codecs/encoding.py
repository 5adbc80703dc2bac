"""Blocks of samples to a file in a format that players know, the same bytes for the same sound."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import av
import numpy as np
import soxr
from av.audio.frame import AudioFrame
from av.codec.context import Flags

from callvault.adapters.codecs.int16 import from_floats
from callvault.adapters.codecs.outlet import Outlet
from callvault.ports.codecs import Samples

_MPEG_RATES: Final = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_LAYOUTS: Final = {1: "mono", 2: "stereo"}


@dataclass(frozen=True, slots=True)
class Format:
    """How a format is made."""

    muxer: str
    codec: str
    rates: tuple[int, ...] = ()
    """Those it knows; any when empty."""
    bits: tuple[tuple[int, int], ...] = ()
    """Bits a second and channel for rates up to the first of each pair; none for what loses nothing."""
    name: str = ""
    """Of the codec, as decoders call it, where the encoder has another one."""
    streamed: bool = False
    """Nothing at its beginning waits for its end."""
    options: dict[str, str] = field(default_factory=dict)

    def rate_for(self, rate: int) -> int:
        """The nearest rate that loses nothing, else the highest."""
        if not self.rates:
            return rate
        return min((known for known in self.rates if known >= rate), default=self.rates[-1])

    def bits_for(self, rate: int, channels: int) -> int:
        return next((bits for top, bits in self.bits if rate <= top), 0) * channels


FORMATS: Final = {
    "mp3": Format(
        "mp3",
        "libmp3lame",
        _MPEG_RATES,
        ((12000, 32000), (24000, 48000), (48000, 64000)),
        name="mp3",
        options={"id3v2_version": "0"},
    ),
    "ogg": Format(
        "ogg",
        "libopus",
        (8000, 12000, 16000, 24000, 48000),
        ((8000, 24000), (16000, 32000), (48000, 48000)),
        name="opus",
        streamed=True,
    ),
    "m4a": Format(
        "ipod", "aac", _MPEG_RATES, ((8000, 32000), (24000, 56000), (48000, 80000)), options={"movflags": "+faststart"}
    ),
    "flac": Format("flac", "flac"),
}


def encode(
    blocks: Iterable[Samples], form: Format, rate: int, channels: int, outlet: Outlet, *, bits: int = 0
) -> Iterator[bytes]:
    made_rate = form.rate_for(rate)
    with outlet, ExitStack() as stack:
        container = stack.enter_context(_opened(form, outlet))
        stream = container.add_stream(form.codec, rate=made_rate, layout=_LAYOUTS[channels])
        stream.codec_context.flags |= Flags.bitexact
        if form.bits:
            stream.bit_rate = bits or form.bits_for(made_rate, channels)
        for frame in _frames(resampled(blocks, rate, made_rate, channels), made_rate, channels):
            container.mux(stream.encode(frame))
            yield from outlet.ready()
        container.mux(stream.encode(None))
        stack.close()
        yield from outlet.rest()


def resampled(blocks: Iterable[Samples], rate: int, wanted: int, channels: int) -> Iterator[Samples]:
    """Blocks of shape (n, channels) at the wanted rate; at least a sample, for a file without any is broken to many."""
    shaped = _shaped(blocks, channels)
    if rate == wanted:
        yield from shaped
        return
    stream = soxr.ResampleStream(rate, wanted, channels, dtype="float32", quality="HQ")
    for block in shaped:
        yield _resample(stream.resample_chunk, block, False)
    yield _resample(stream.resample_chunk, np.zeros((0, channels), np.int16), True)


def _shaped(blocks: Iterable[Samples], channels: int) -> Iterator[Samples]:
    came = 0
    for block in blocks:
        came += len(block)
        yield np.ascontiguousarray(block, np.int16).reshape(-1, channels)
    if not came:
        yield np.zeros((1, channels), np.int16)


def _resample(chunk: Callable[..., Any], block: Samples, last: bool) -> Samples:
    return from_floats(chunk(block.astype(np.float32) / 32768, last=last))


def _opened(form: Format, outlet: Outlet) -> Any:
    """Typed loosely: a muxer opens the outlet anew to move the index of an m4a to its front."""
    return av.open(
        outlet.writer(),
        mode="w",
        format=form.muxer,
        options={"fflags": "+bitexact", **form.options},
        io_open=lambda url, flags, options: outlet.writer(),
    )


def _frames(blocks: Iterable[Samples], rate: int, channels: int) -> Iterator[AudioFrame]:
    at = 0
    for block in blocks:
        if not len(block):
            continue
        frame = AudioFrame.from_ndarray(block.reshape(1, -1), format="s16", layout=_LAYOUTS[channels])
        frame.sample_rate, frame.pts = rate, at
        at += len(block)
        yield frame
