"""A lane's fine peaks: those that were stored with its segments, and those of what has not come to storage yet."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from callvault.audio.peaks import CELL, Peaks, fine, only
from callvault.audio.timeline import Bounds, Table, joined
from callvault.ports.blobs import Blobs
from callvault.services.delivery.lanes import LaneReader
from callvault.services.delivery.takes import CodedTakes
from callvault.services.timelines import LaneTimeline, Source

PEAK_BYTES: Final = 4
AT_ONCE: Final = 1 << 20
"""Samples that are held together."""


def fine_peaks(
    lane: LaneTimeline, blobs: Blobs, takes: CodedTakes, cells: tuple[int, int] | None = None
) -> Iterator[tuple[int, Peaks]]:
    """Row by row of peaks, each with its first cell, in no order; of a stretch of cells, only what lies under it is
    read. Blocks. What no take of a segment is heard of any more, because later ones lie over it, counts for nothing."""
    reader = LaneReader(lane, blobs, takes)
    first, last = cells or (0, -(-lane.layout.end // CELL))
    for source, heard in _by_source(lane, lane.layout.under(first * CELL, last * CELL)):
        if source.stored is None:
            yield from _of_samples(reader, heard)
        else:
            low, high = int(heard[0, 0]) // CELL, -(-int(heard[:, 1].max()) // CELL)
            place = source.peaks_offset + PEAK_BYTES * (low - source.first_sample // CELL)
            stored = np.frombuffer(blobs.read(source.stored, place, PEAK_BYTES * (high - low)), "<i2")
            yield low, only(stored.reshape(-1, 2), low, heard)


def _by_source(lane: LaneTimeline, pieces: Table) -> Iterator[tuple[Source, Bounds]]:
    """Where each is heard, in order."""
    pieces = pieces[np.argsort(pieces["source"], kind="stable")]
    for of_one in np.split(pieces, np.flatnonzero(np.diff(pieces["source"])) + 1):
        if len(of_one):
            yield lane.sources[int(of_one["source"][0])], _bounds(of_one)


def _bounds(pieces: Table) -> Bounds:
    return np.stack((pieces["start"], pieces["start"] + pieces["samples"]), axis=1)


def _of_samples(reader: LaneReader, heard: Bounds) -> Iterator[tuple[int, Peaks]]:
    """Pieces that are near to each other are read together, with the silence between them."""
    for start, end in joined(heard, CELL).tolist():
        for at in range(start, end, AT_ONCE):
            yield at // CELL, fine(reader.samples(at, min(at + AT_ONCE, end)), at)
