"""G.711: µ-law and A-law bytes to 16-bit samples and back, as ITU-T G.191's reference does it."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
Codes = NDArray[np.uint8]

SILENCE = {"pcmu": b"\xff", "pcma": b"\xd5"}
"""The code of zero."""
AT_ONCE = 1 << 16
"""Numpy makes an index of 8 bytes of each code: of so many they stay in the processor's cache."""


def decode_ulaw(data: bytes | memoryview) -> Samples:
    return _decoded(_ulaw_values(), data)


def decode_alaw(data: bytes | memoryview) -> Samples:
    return _decoded(_alaw_values(), data)


def encode_ulaw(samples: Samples) -> bytes:
    return _ulaw_codes().take(samples.view(np.uint16)).tobytes()


def encode_alaw(samples: Samples) -> bytes:
    return _alaw_codes().take(samples.view(np.uint16)).tobytes()


def _decoded(values: Samples, data: bytes | memoryview) -> Samples:
    codes = np.frombuffer(data, np.uint8)
    samples = np.empty(len(codes), np.int16)
    for at in range(0, len(codes), AT_ONCE):
        values.take(codes[at : at + AT_ONCE], out=samples[at : at + AT_ONCE], mode="wrap")
    return samples


@cache
def _ulaw_values() -> Samples:
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    magnitude = (((mantissa << 3) + 132) << exponent) - 132
    return np.where(code & 128, -magnitude, magnitude).astype(np.int16)


@cache
def _alaw_values() -> Samples:
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent, mantissa = (code >> 4 & 7).astype(np.int32), (code & 15).astype(np.int32)
    magnitude = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 264) << np.maximum(exponent - 1, 0))
    return np.where(code & 128, magnitude, -magnitude).astype(np.int16)


def _every_sample() -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """All 65536 samples in the order of their bits: magnitudes in ones' complement, and which are negative."""
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    negative = samples < 0
    return np.where(negative, ~samples, samples), negative


@cache
def _ulaw_codes() -> Codes:
    magnitude, negative = _every_sample()
    biased = np.minimum((magnitude >> 2) + 33, 0x1FFF)
    exponent = np.floor(np.log2(biased)).astype(np.int32) - 5
    code = exponent << 4 | biased >> (exponent + 1) & 15
    return np.asarray(np.where(negative, ~code & 0x7F, ~code), np.uint8)


@cache
def _alaw_codes() -> Codes:
    magnitude, negative = _every_sample()
    short = magnitude >> 4
    exponent = np.maximum(np.floor(np.log2(np.maximum(short, 1))).astype(np.int32) - 3, 0)
    code = exponent << 4 | short >> np.maximum(exponent - 1, 0) & 15
    return np.asarray(np.where(negative, code ^ 0x55, code ^ 0xD5), np.uint8)
