"""Coded frames of one stream to samples, one block a frame, whatever was lost between them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from callvault.adapters.codecs.int16 import joined
from callvault.domain.errors import Malformed
from callvault.ports.codecs import Samples


@dataclass(frozen=True, slots=True)
class FrameCodec:
    decoder: str
    rate: int
    usual: int
    """Samples of a frame of 20 ms: what a loss before the first frame is taken for."""


CODECS: Final = {
    "g722": FrameCodec("g722", 16000, 320),
    "opus": FrameCodec("libopus", 48000, 960),
    "gsm": FrameCodec("gsm", 8000, 160),
}


def decode(codec: str, frames: Iterable[bytes], rate: int) -> Iterator[Samples]:
    known = CODECS.get(codec)
    if known is None:
        raise Malformed(what="the sound", why=f"no codec is called {codec!r}")
    if rate != known.rate:
        raise Malformed(what="the sound", why=f"{codec} has {known.rate} samples a second, not {rate}")
    context = _context(known)
    length = known.usual
    for frame in frames:
        block = _decoded(context, frame)
        if block is None:
            block = np.zeros(length, np.int16)
        length = len(block)
        yield block


def _context(known: FrameCodec) -> AudioCodecContext:
    context = cast(AudioCodecContext, av.CodecContext.create(known.decoder, "r"))
    context.sample_rate = known.rate
    context.layout = "mono"
    return context


def _decoded(context: AudioCodecContext, frame: bytes) -> Samples | None:
    if not frame:
        return None
    try:
        decoded = context.decode(av.Packet(frame))
    except av.FFmpegError:
        return None
    if not decoded:
        return None
    return joined([part.to_ndarray() for part in decoded], decoded[0].format.is_planar, 1).reshape(-1)
