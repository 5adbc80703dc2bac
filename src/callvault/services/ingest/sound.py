"""Coded sound as samples, whatever it is coded in."""

import io
from collections.abc import Callable, Iterable
from contextlib import suppress

import numpy as np

from callvault.audio.pcm import DECODERS, Samples
from callvault.domain.errors import CallerFault
from callvault.ports.codecs import Codecs, SoundLimits

Decode = Callable[[str, bytes, int, int], Samples]
"""From codec, payload, count of samples and rate. Blocks, when the codec is not a plain one."""


def decoder(codecs: Codecs) -> Decode:
    """What does not decode is silence, for it was taken in and must not be in the way of the rest."""

    def decode(codec: str, payload: bytes, samples: int, rate: int) -> Samples:
        plain = DECODERS.get(codec)
        if plain:
            return plain(payload)
        sound = np.zeros(samples, np.int16)
        at = 0
        with suppress(CallerFault):
            for block in _blocks(codecs, codec, payload, rate):
                part = block.reshape(-1)[: samples - at]
                sound[at : at + len(part)] = part
                at += len(part)
        return sound

    return decode


def _blocks(codecs: Codecs, codec: str, payload: bytes, rate: int) -> Iterable[Samples]:
    if codec == "file":
        return codecs.decode(io.BytesIO(payload), SoundLimits())
    return codecs.decode_frames(codec, [payload], rate)
