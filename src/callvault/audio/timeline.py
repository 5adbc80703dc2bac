"""Where a lane's sound lies: takes in any order and number become one sorted row of pieces that do not overlap."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callvault.wire.runs import BYTES_PER_SAMPLE, CODECS, RUN, STREAMED, STREAMED_SAMPLES_PER_BYTE

Table = NDArray[np.void]
Bounds = NDArray[np.int64]
"""Stretches as rows of (start, end), sorted and apart."""

PIECE = np.dtype(
    [
        ("start", "<i8"),
        ("samples", "<i8"),
        ("skip", "<i8"),
        ("offset", "<i8"),
        ("length", "<i8"),
        ("source", "<i4"),
        ("codec", "<u1"),
    ]
)
"""Sound heard from `start` on: `samples` of it, found behind the first `skip` samples of the sound that `length`
bytes of a source hold from `offset` on. Where any sample can be reached alone, `skip` is 0 and the bytes are exact."""

_WIDTH = np.array([BYTES_PER_SAMPLE.get(codec, 0) for codec in CODECS], np.int64)
_STREAMED = CODECS.index(STREAMED)


@dataclass(frozen=True, slots=True)
class Layout:
    """A lane's sound, resolved: who looks for a stretch of it pays for that stretch alone."""

    pieces: Table
    ends: Bounds
    """Of the pieces, one each."""
    overlaps: Bounds
    """Where several takes lay over each other; the one with the highest number is heard."""

    @property
    def begin(self) -> int:
        return int(self.pieces["start"][0]) if len(self.pieces) else 0

    @property
    def end(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    @property
    def is_coded(self) -> bool:
        """Whether any of it can only be decoded from the beginning of its take."""
        return not _WIDTH[self.pieces["codec"]].all()

    @property
    def nbytes(self) -> int:
        return self.pieces.nbytes + self.ends.nbytes + self.overlaps.nbytes

    def under(self, start: int, end: int) -> Table:
        """The pieces of a stretch, cut to it."""
        first = int(self.ends.searchsorted(start, side="right"))
        # Of the pieces' starts numpy's search would copy all first, for they are not contiguous.
        last = bisect_left(self.pieces["start"], end, first)
        return _cut(self.pieces[first : max(first, last)], start, end)

    def source_end(self, start: int, end: int) -> int | None:
        """The last place within a stretch at which the sound of one source ends and that of another begins."""
        first, last = self.ends.searchsorted((start, end), side="right")
        sources = self.pieces["source"][first : last + 1]
        changes = np.flatnonzero(sources[1:] != sources[:-1])
        return int(self.ends[first + changes[-1]]) if len(changes) else None

    def sound(self) -> Bounds:
        """Where there is sound at all: what lies between is loss, and is heard as silence of its length."""
        return joined(np.stack((self.pieces["start"], self.ends), axis=1))


def layout(sources: Iterable[Table]) -> Layout:
    """The lane that is made of the runs of its sources, which are numbered in the order given.

    Where takes overlap, the higher number is heard; of runs of one take, the one that comes later here.
    """
    runs, source = _gathered(list(sources))
    ends = runs["start"] + runs["samples"]
    order = np.argsort(runs["start"], kind="stable")
    if np.all(ends[order][:-1] <= runs["start"][order][1:]):
        pieces, overlaps = _whole(runs, source, order), _nothing()
    else:
        pieces, overlaps = _painted(runs, source, ends)
    pieces = _fused(pieces)
    return Layout(pieces, pieces["start"] + pieces["samples"], overlaps)


def joined(bounds: Bounds, apart: int = 0) -> Bounds:
    """Sorted stretches with those made one that lie no more than `apart` from each other."""
    if not len(bounds):
        return bounds
    reach = np.maximum.accumulate(bounds[:, 1])
    heads = np.flatnonzero(np.r_[True, bounds[1:, 0] - reach[:-1] > apart])
    return np.stack((bounds[heads, 0], reach[np.r_[heads[1:] - 1, len(bounds) - 1]]), axis=1)


def between(bounds: Bounds, start: int, end: int) -> Bounds:
    """What of `start` to `end` the sorted stretches leave free."""
    edges: Bounds = np.r_[start, np.clip(bounds, start, end).ravel(), end].reshape(-1, 2)
    return edges[edges[:, 0] < edges[:, 1]]


def distinct(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """In order, each once: as `np.unique`, which puts them into a hash table and takes a hundred times as long."""
    ordered: NDArray[np.int64] = np.sort(values)
    first: NDArray[np.bool_] = np.r_[True, ordered[1:] != ordered[:-1]][: len(ordered)]
    return ordered[first]


def _gathered(sources: Sequence[Table]) -> tuple[Table, NDArray[np.int32]]:
    # As bytes: numpy joins tables field by field.
    runs = np.frombuffer(b"".join(source.tobytes() for source in sources), RUN)
    source = np.repeat(np.arange(len(sources), dtype=np.int32), [len(s) for s in sources])
    there = runs["samples"] > 0
    return runs[there], source[there]


def _nothing() -> Bounds:
    return np.empty((0, 2), np.int64)


def _whole(runs: Table, source: NDArray[np.int32], order: NDArray[np.intp]) -> Table:
    starts = runs["start"][order]
    return _pieces(runs, source, order, starts, starts + runs["samples"][order])


def _painted(runs: Table, source: NDArray[np.int32], ends: Bounds) -> tuple[Table, Bounds]:
    """Between any two neighbouring borders one run is on top; neighbours with the same one are one piece."""
    borders = distinct(np.concatenate((runs["start"], ends)))
    first, last = np.searchsorted(borders, runs["start"]), np.searchsorted(borders, ends)
    by_take = np.argsort(runs["take"], kind="stable")
    height = np.empty(len(runs), np.int32)
    height[by_take] = np.arange(len(runs), dtype=np.int32)
    top = _highest(first, last, height, len(borders) - 1)
    heads = np.flatnonzero(np.r_[True, top[1:] != top[:-1]])
    tails = np.r_[heads[1:], len(top)]
    heard = top[heads] >= 0
    heads, tails = heads[heard], tails[heard]
    pieces = _pieces(runs, source, by_take[top[heads]], borders[heads], borders[tails])
    return pieces, _crowded(borders, runs["take"], first, last)


def _highest(first: Bounds, last: Bounds, height: NDArray[np.int32], slots: int) -> NDArray[np.int32]:
    """For each slot the greatest height of the intervals `first` to `last` over it, -1 where there is none.

    Each interval is two blocks of a power of two; blocks are handed down a size at a time, so that a million
    intervals that all lie over each other cost twenty passes over the slots.
    """
    size = np.frexp((last - first).astype(np.float64))[1] - 1
    top = np.full(slots, -1, np.int32)
    for power in range(int(size.max()), -1, -1):
        at, block = size == power, 1 << power
        np.maximum.at(top, first[at], height[at])
        np.maximum.at(top, last[at] - block, height[at])
        if power:
            handed_down = top.copy()
            np.maximum(handed_down[block // 2 :], top[: slots - block // 2], out=handed_down[block // 2 :])
            top = handed_down
    return top


def _crowded(borders: Bounds, takes: Bounds, first: Bounds, last: Bounds) -> Bounds:
    """Where more than one take lies; what one take says twice, as a doubled frame does, is no overlap."""
    apart = np.unique(takes, return_inverse=True)[1] * len(borders)
    own = np.stack((first + apart, last + apart), axis=1)
    own = joined(own[np.argsort(own[:, 0])]) % len(borders)
    begun, ended = (np.bincount(edge, minlength=len(borders)) for edge in own.T)
    at = np.flatnonzero(np.cumsum(begun - ended) > 1)
    return joined(np.stack((borders[at], borders[at + 1]), axis=1))


def _pieces(runs: Table, source: NDArray[np.int32], of: NDArray[np.intp], starts: Bounds, ends: Bounds) -> Table:
    pieces = np.empty(len(of), PIECE)
    pieces["start"], pieces["samples"], pieces["skip"] = starts, ends - starts, starts - runs["start"][of]
    pieces["offset"], pieces["length"] = runs["offset"][of], runs["length"][of]
    pieces["source"], pieces["codec"] = source[of], runs["codec"][of]
    return _exact(pieces)


def _exact(pieces: Table) -> Table:
    """Turns samples to skip into bytes wherever that can be done."""
    width = _WIDTH[pieces["codec"]]
    at = width > 0
    pieces["offset"] += pieces["skip"] * width
    pieces["skip"][at] = 0
    pieces["length"][at] = (pieces["samples"] * width)[at]
    return pieces


def _fused(pieces: Table) -> Table:
    """Pieces that go on where the one before ends, on the lane and in the source, are one."""
    if len(pieces) < 2:
        return pieces
    here, there = pieces[:-1], pieces[1:]
    goes_on = (here["start"] + here["samples"] == there["start"]) & (here["offset"] + here["length"] == there["offset"])
    goes_on &= (here["source"] == there["source"]) & (here["codec"] == there["codec"])
    goes_on &= (_WIDTH[here["codec"]] > 0) | _streams(here, there)
    heads = np.flatnonzero(np.r_[True, ~goes_on])
    fused = pieces[heads]
    for name in ("samples", "length"):
        fused[name] = np.add.reduceat(pieces[name], heads)
    return fused


def _streams(here: Table, there: Table) -> NDArray[np.bool_]:
    """Whether the one is heard to its end and the other from its beginning, in a coding whose takes are one stream."""
    to_the_end = here["skip"] + here["samples"] == STREAMED_SAMPLES_PER_BYTE * here["length"]
    streams: NDArray[np.bool_] = (here["codec"] == _STREAMED) & to_the_end & (there["skip"] == 0)
    return streams


def _cut(pieces: Table, start: int, end: int) -> Table:
    if not len(pieces):
        return pieces
    pieces = pieces.copy()
    head, tail = max(start - int(pieces["start"][0]), 0), max(int(pieces["start"][-1] + pieces["samples"][-1]) - end, 0)
    pieces["samples"][-1] -= tail
    for name in ("start", "skip"):
        pieces[name][0] += head
    pieces["samples"][0] -= head
    return _exact(pieces)


def rows(pieces: Table) -> Iterator[tuple[int, int, int, int, int, int, str]]:
    """The pieces as (start, samples, skip, offset, length, source, codec)."""
    for start, samples, skip, offset, length, source, codec in pieces.tolist():
        yield start, samples, skip, offset, length, source, CODECS[codec]
