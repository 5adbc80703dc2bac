"""A lane's fine peaks: those that were stored with its segments, and those of what has not come to storage yet."""

from collections.abc import Iterator

import numpy as np

from callvault.audio.peaks import CELL, Peaks, fine, only
from callvault.audio.timeline import Table, rows
from callvault.ports.blobs import Blobs
from callvault.services.delivery.lanes import LaneReader
from callvault.services.delivery.takes import CodedTakes
from callvault.services.timelines import LaneTimeline


def fine_peaks(lane: LaneTimeline, blobs: Blobs, takes: CodedTakes) -> Iterator[tuple[int, Peaks]]:
    """Row by row of peaks, each with its first cell, in no order. Blocks. What no take of a segment is heard of any
    more, because later ones lie over it, counts for nothing."""
    reader = LaneReader(lane, blobs, takes)
    for number, source in enumerate(lane.sources):
        heard = lane.layout.pieces[lane.layout.pieces["source"] == number]
        if source.stored is None:
            yield from _of_samples(reader, heard)
        else:
            cell = source.first_sample // CELL
            bounds = np.stack((heard["start"], heard["start"] + heard["samples"]), axis=1)
            stored = np.frombuffer(blobs.read(source.stored, source.peaks_offset), "<i2")
            yield cell, only(stored.reshape(-1, 2), cell, bounds)


def _of_samples(reader: LaneReader, pieces: Table) -> Iterator[tuple[int, Peaks]]:
    for start, samples, *_ in rows(pieces):
        yield start // CELL, fine(reader.samples(start, start + samples), start)
