"""A lane told as stretches that each are of one kind."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from callvault.audio.timeline import Bounds

Span = tuple[str, int, int]
"""Kind, start and end."""


def laid(layers: Sequence[tuple[str, Bounds]]) -> list[Span]:
    """What is seen of layers of sorted stretches when each is laid over those before it; neighbours of one kind are
    one span."""
    borders = np.unique(np.concatenate([bounds.ravel() for _, bounds in layers]))
    top = np.full(max(len(borders) - 1, 0), -1)
    for number, (_, bounds) in enumerate(layers):
        change = np.bincount(np.searchsorted(borders, bounds[:, 0]), minlength=len(borders))
        change = change - np.bincount(np.searchsorted(borders, bounds[:, 1]), minlength=len(borders))
        top[np.cumsum(change)[:-1] > 0] = number
    kinds = [layers[number][0] if number >= 0 else "" for number in top.tolist()]
    heads = [n for n, kind in enumerate(kinds) if n == 0 or kind != kinds[n - 1]]
    stretches = pairwise([*heads, len(kinds)])
    return [(kinds[head], int(borders[head]), int(borders[end])) for head, end in stretches if kinds[head]]
