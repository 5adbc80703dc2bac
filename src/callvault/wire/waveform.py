"""BBC audiowaveform data, version 2, as .dat and .json: what peaks.js and wavesurfer draw."""

import json
import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from callvault.domain.errors import Malformed

_HEADER: Final = struct.Struct("<iIiiIi")
_VERSION: Final = 2
_8_BIT: Final = 1
_AT_ONCE: Final = 1 << 14
CHANNELS_MAX: Final = 24

Peaks = NDArray[np.int16]
"""Shape (points, channels, 2): the lowest and the highest sample of each stretch, as 16-bit samples."""


@dataclass(frozen=True, slots=True)
class Waveform:
    rate: int
    samples_per_pixel: int
    peaks: Peaks
    bits: int = 16
    """In the file: 16, or 8 where half the bytes matter more than fine levels."""


def serialize_dat(waveform: Waveform) -> bytes:
    points, channels, _ = waveform.peaks.shape
    flags = _8_BIT if waveform.bits == 8 else 0
    head = _HEADER.pack(_VERSION, flags, waveform.rate, waveform.samples_per_pixel, points, channels)
    return head + _values(waveform).astype("i1" if waveform.bits == 8 else "<i2", copy=False).tobytes()


def parse_dat(data: bytes) -> Waveform:
    if len(data) < _HEADER.size:
        raise _malformed("its header is cut off")
    version, flags, rate, samples_per_pixel, points, channels = _HEADER.unpack_from(data)
    bits = 8 if flags & _8_BIT else 16
    if version != _VERSION or len(data) != _HEADER.size + points * channels * 2 * bits // 8:
        raise _malformed("it is not of version 2, or of another length than it says")
    values = np.frombuffer(data, "i1" if bits == 8 else "<i2", offset=_HEADER.size)
    return _waveform(values, rate, samples_per_pixel, bits, channels)


def serialize_json(waveform: Waveform) -> bytes:
    points, channels, _ = waveform.peaks.shape
    facts = {
        "version": _VERSION,
        "channels": channels,
        "sample_rate": waveform.rate,
        "samples_per_pixel": waveform.samples_per_pixel,
        "bits": waveform.bits,
        "length": points,
    }
    values = _values(waveform).reshape(-1)
    # Joined all at once they would let no other thread run until it is done.
    parts = (values[at : at + _AT_ONCE].tolist() for at in range(0, len(values), _AT_ONCE))
    numbers = ",".join(",".join(map(str, part)) for part in parts)
    return f'{json.dumps(facts, separators=(",", ":"))[:-1]},"data":[{numbers}]}}'.encode()


def parse_json(data: bytes) -> Waveform:
    try:
        facts = json.loads(data)
        version, rate, samples_per_pixel, bits = (
            int(facts[name]) for name in ("version", "sample_rate", "samples_per_pixel", "bits")
        )
        channels, points = int(facts["channels"]), int(facts["length"])
        values = np.array(facts["data"], np.int64)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise _malformed("it is no JSON of that form") from error
    least, most = (-128, 127) if bits == 8 else (-32768, 32767)
    if version != _VERSION or bits not in (8, 16) or values.shape != (points * channels * 2,):
        raise _malformed("it is not of version 2, or of another length than it says")
    if values.size and not least <= values.min() <= values.max() <= most:
        raise _malformed("a peak is beyond its bits")
    return _waveform(values, rate, samples_per_pixel, bits, channels)


def _values(waveform: Waveform) -> NDArray[Any]:
    """8 bits are what is left of 16 divided by 256, towards zero, as audiowaveform does it."""
    peaks = waveform.peaks
    return peaks + (peaks < 0) * np.int16(255) >> 8 if waveform.bits == 8 else peaks


def _waveform(values: NDArray[Any], rate: int, samples_per_pixel: int, bits: int, channels: int) -> Waveform:
    if rate < 1 or samples_per_pixel < 1 or not 1 <= channels <= CHANNELS_MAX:
        raise _malformed("its rate, zoom or channels are absurd")
    peaks = values.astype(np.int16).reshape(-1, channels, 2)
    return Waveform(rate, samples_per_pixel, peaks << 8 if bits == 8 else peaks, bits)


def _malformed(why: str) -> Malformed:
    return Malformed(what="the waveform", why=why)
