"""A lane's fine peaks: those that were stored with its segments, and those of what has not come to storage yet."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from callvault.audio.peaks import CELL, Peaks, fine, only
from callvault.audio.timeline import Bounds, Table, joined
from callvault.ports.blobs import Blobs
from callvault.services.delivery.lanes import LaneReader
from callvault.services.delivery.takes import CodedTakes
from callvault.services.timelines import LaneTimeline

AT_ONCE: Final = 1 << 20
"""Samples that are held together."""


def fine_peaks(lane: LaneTimeline, blobs: Blobs, takes: CodedTakes) -> Iterator[tuple[int, Peaks]]:
    """Row by row of peaks, each with its first cell, in no order. Blocks. What no take of a segment is heard of any
    more, because later ones lie over it, counts for nothing."""
    reader = LaneReader(lane, blobs, takes)
    for number, source in enumerate(lane.sources):
        heard = _bounds(lane.layout.pieces[lane.layout.pieces["source"] == number])
        if source.stored is None:
            yield from _of_samples(reader, heard)
        else:
            cell = source.first_sample // CELL
            stored = np.frombuffer(blobs.read(source.stored, source.peaks_offset), "<i2")
            yield cell, only(stored.reshape(-1, 2), cell, heard)


def _bounds(pieces: Table) -> Bounds:
    return np.stack((pieces["start"], pieces["start"] + pieces["samples"]), axis=1)


def _of_samples(reader: LaneReader, heard: Bounds) -> Iterator[tuple[int, Peaks]]:
    """Pieces that are near to each other are read together, with the silence between them."""
    for start, end in joined(heard, CELL).tolist():
        for at in range(start, end, AT_ONCE):
            yield at // CELL, fine(reader.samples(at, min(at + AT_ONCE, end)), at)
