"""Lanes put together: sums that saturate and never wrap, left and right, and masks laid over."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

_BLOCK = 1 << 17
"""Samples summed at a time: few enough for the processor's cache, enough that the calls cost little beside the sums."""
_LOWEST, _HIGHEST = -32_768, 32_767
_BEEP_HZ = 1000
_BEEP_HEIGHT = 6000


def mono(lanes: Sequence[Samples], out: Samples) -> None:
    """The sum of lanes of one length, written to `out`, which need not lie in one piece."""
    if len(lanes) < 2:
        out[:] = lanes[0] if lanes else 0
        return
    add = _two if len(lanes) == 2 else _many
    for at in range(0, len(out), _BLOCK):
        add([lane[at : at + _BLOCK] for lane in lanes], out[at : at + _BLOCK])


def _two(lanes: Sequence[Samples], out: Samples) -> None:
    """Without widening: where a sum has another sign than both of its parts, it has wrapped."""
    one, other = lanes
    np.add(one, other, out=out)
    if int(one.max()) + int(other.max()) <= _HIGHEST and int(one.min()) + int(other.min()) >= _LOWEST:
        return
    wrapped = (one ^ out) & (other ^ out)
    if wrapped.min() < 0:
        at = wrapped < 0
        out[at] = np.where(one[at] < 0, _LOWEST, _HIGHEST)


def _many(lanes: Sequence[Samples], out: Samples) -> None:
    total = np.add(lanes[0], lanes[1], dtype=np.int32)
    for lane in lanes[2:]:
        total += lane
    out[:] = np.clip(total, _LOWEST, _HIGHEST)


def interleaved(lanes: Sequence[Samples], sides: Sequence[frozenset[int]], frames: int) -> Samples:
    """Frames of as many channels as there are sides, each the sum of the lanes that it names by their place."""
    out = np.empty((frames, len(sides)), np.int16)
    for channel, side in enumerate(sides):
        mono([lanes[n] for n in sorted(side)], out[:, channel])
    return out


def silence(samples: Samples, first: int, stretches: Iterable[tuple[int, int]]) -> None:
    """Nothing is heard in the stretches; `first` is the number of the first frame in `samples`."""
    for start, end in stretches:
        samples[max(start - first, 0) : max(end - first, 0)] = 0


def beep(samples: Samples, first: int, stretches: Iterable[tuple[int, int]], rate: int) -> None:
    """A tone is heard in the stretches instead; its phase hangs on the frame's number alone."""
    for start, end in stretches:
        frames = np.arange(max(start, first), min(end, first + len(samples)))
        turns = frames * _BEEP_HZ % rate / rate
        samples.T[..., frames - first] = np.rint(_BEEP_HEIGHT * np.sin(2 * np.pi * turns)).astype(np.int16)
