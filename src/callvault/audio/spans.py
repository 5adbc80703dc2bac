"""A lane told as stretches that each are of one kind."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from callvault.audio.timeline import Bounds, distinct

Span = tuple[str, int, int]
"""Kind, start and end."""


def laid(layers: Sequence[tuple[str, Bounds]]) -> list[Span]:
    """What is seen of layers, each of a kind of its own, when each is laid over those before it."""
    numbers, bounds = seen([bounds for _, bounds in layers])
    return [(layers[n][0], start, end) for n, (start, end) in zip(numbers.tolist(), bounds.tolist(), strict=True)]


def seen(layers: Sequence[Bounds]) -> tuple[NDArray[np.int64], Bounds]:
    """The same of layers of sorted stretches: the layers' numbers and where each is seen. Neighbours of one layer are
    one stretch."""
    borders = distinct(np.concatenate([bounds.ravel() for bounds in layers]))
    top = np.full(max(len(borders) - 1, 0), -1)
    for number, bounds in enumerate(layers):
        change = np.bincount(np.searchsorted(borders, bounds[:, 0]), minlength=len(borders))
        change = change - np.bincount(np.searchsorted(borders, bounds[:, 1]), minlength=len(borders))
        top[np.cumsum(change)[:-1] > 0] = number
    heads = np.flatnonzero(np.diff(top, prepend=-2))
    ends = np.r_[heads[1:], len(top)][: len(heads)]
    there = top[heads] >= 0
    return top[heads][there], np.stack((borders[heads], borders[ends]), axis=1)[there]
