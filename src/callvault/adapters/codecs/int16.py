"""Samples in whatever form a decoder leaves them, as frames of 16-bit samples: rounded and clipped, never wrapped."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callvault.ports.codecs import Samples

Raw = NDArray[Any]


def joined(arrays: Sequence[Raw], planar: bool, channels: int) -> Samples:
    """One block of shape (n, channels) from what PyAV gives for frames in a row."""
    if planar:
        return np.ascontiguousarray(converted(np.concatenate(arrays, axis=1)).T)
    return converted(np.concatenate([array.reshape(-1) for array in arrays])).reshape(-1, channels)


def converted(raw: Raw) -> Samples:
    if raw.dtype == np.uint8:
        return np.asarray((raw.astype(np.int16) - 128) << 8)
    if raw.dtype == np.int32:
        return np.asarray(np.minimum(((raw >> 15) + 1) >> 1, 32767), np.int16)
    if raw.dtype.kind == "f":
        return from_floats(raw)
    return raw.astype(np.int16, copy=False)


def from_floats(values: NDArray[Any]) -> Samples:
    """From -1 to 1; what lies beyond is clipped, what is no number is silence."""
    clipped = np.clip(np.nan_to_num(values, nan=0.0), -1.0, 32767 / 32768)
    return np.asarray(np.rint(clipped * 32768), np.int16)
