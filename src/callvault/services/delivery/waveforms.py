"""Waveforms: the picture of any view, made of fine peaks alone and never by reading sound again."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from callvault.audio.edits import Part
from callvault.audio.peaks import CELL, Envelope, Peaks, summed, without
from callvault.audio.timeline import Bounds
from callvault.domain.errors import Malformed, TooLarge
from callvault.domain.recording import Recording
from callvault.services.delivery.channels import channels_of
from callvault.services.delivery.expiry import Expiry
from callvault.services.delivery.finepeaks import fine_peaks
from callvault.services.delivery.views import View, Views
from callvault.services.timelines import LaneTimeline, Timeline
from callvault.wire.waveform import Peaks as Picture
from callvault.wire.waveform import Waveform

ZOOMS: Final = range(1, 1 << 24)
POINTS_MAX: Final = 1 << 21
_Masked = tuple[str | None, int, int]
"""A mask's lane, and from which frame of the timeline to before which it lies."""


@dataclass(frozen=True, slots=True)
class Drawn(Waveform):
    etag: str = ""


class Waveforms:
    def __init__(self, views: Views, expiry: Expiry) -> None:
        self._views, self._expiry = views, expiry

    async def of(
        self, recording: Recording, view: str = "mono", samples_per_pixel: int = 256, *, live: bool = False
    ) -> Drawn:
        """The recording's picture, for as long as its sound is to be had; samples are those of the view at its best
        rate."""
        if samples_per_pixel not in ZOOMS:
            raise Malformed(what="samplesPerPixel", why=f"it is {ZOOMS.start} to {ZOOMS.stop - 1}")
        await self._expiry.left_ms(recording)
        seen = await self._views.open(recording, view, live=live)
        if seen.frames > POINTS_MAX * samples_per_pixel:
            raise TooLarge(what="a waveform at this samplesPerPixel", limit=f"{POINTS_MAX} points")
        peaks = await asyncio.to_thread(_drawn, seen, samples_per_pixel)
        return Drawn(seen.rate, samples_per_pixel, peaks, etag=f'{seen.etag[:-1]}-{samples_per_pixel}"')


def _drawn(view: View, zoom: int) -> Picture:
    picture = np.zeros((-(-view.frames // zoom), view.channels, 2), np.int16)
    drawn_to = 0
    for part in view.parts:
        first, last = part.at // zoom, -(-part.stop // zoom)
        points = _part(view, zoom, part)
        if first < drawn_to:
            before = picture[first]
            points[0] = np.stack((np.minimum(before, points[0])[:, 0], np.maximum(before, points[0])[:, 1]), axis=1)
        picture[first:last] = points
        drawn_to = last
    return picture


def _part(view: View, zoom: int, part: Part[Timeline]) -> Picture:
    """The points that a part has a share in."""
    borders = np.arange(part.at // zoom, -(-part.stop // zoom) + 1) * zoom
    frames = np.clip(borders, part.at, part.stop) - part.at + part.start
    channels, masks = channels_of(view.name, part.timeline), _masks(view, part)
    drawn = [_lane(view, part, lane, frames, masks) for lane in channels.lanes]
    sides = [summed([drawn[n] for n in side], len(frames) - 1) for side in channels.sides]
    return np.stack(sides, axis=1)


def _lane(
    view: View, part: Part[Timeline], lane: LaneTimeline, frames: NDArray[np.int64], masks: Sequence[_Masked]
) -> Peaks:
    """A lane between the given frames of its timeline, flat where a mask lies over it."""
    edges = lane.clock.positions(frames, view.rate) / CELL
    # What is at the ends of the part is seen, however little of a cell it is.
    edges[0], edges[-1] = np.floor(edges[0]), np.ceil(edges[-1])
    masked = _masked(view, part, lane, masks)
    envelope = Envelope(len(frames) - 1)
    for cell, peaks in fine_peaks(lane, view.blobs, view.takes, (max(int(edges[0]) - 1, 0), int(edges[-1]) + 1)):
        if edges[0] < cell + len(peaks) and cell < edges[-1]:
            envelope.lay_scaled(0, edges, cell, without(peaks, cell, masked))
    return envelope.peaks()


def _masks(view: View, part: Part[Timeline]) -> list[_Masked]:
    """Those that lie over some of the part."""
    touched = ((mask.lane, *part.touched(mask.start_us, mask.end_us, view.rate)) for mask in view.sound.masks)
    return [masked for masked in touched if max(masked[1], part.start) < min(masked[2], part.end)]


def _masked(view: View, part: Part[Timeline], lane: LaneTimeline, masks: Sequence[_Masked]) -> Bounds:
    """The stretches of the lane's samples that lie under a mask."""
    of_it = [(start, end) for name, start, end in masks if name in (None, lane.lane.name)]
    frames = np.clip(np.array(of_it, np.int64).reshape(-1, 2), part.start, part.end)
    samples = lane.clock.positions(frames.ravel(), view.rate).reshape(-1, 2)
    return np.stack((np.floor(samples[:, 0]), np.ceil(samples[:, 1])), axis=1).astype(np.int64)
