"""Pieces of one lane into segments: payloads in order of place, merged where they go on, then the fine waveform."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callvault.audio.peaks import fine
from callvault.audio.timeline import layout, rows
from callvault.ports.spool import Piece
from callvault.services.ingest.sound import Decode
from callvault.wire.runs import BYTES_PER_SAMPLE, CODECS, RUN, TakeMark, serialize_takes

SEGMENT_SAMPLES = 1 << 22
"""From its first to its last: almost nine minutes at 8000 a second."""
SEGMENT_BYTES = 8 << 20
SEGMENT_TAKES = 20_000
SILENCE_SECONDS = 60
"""A longer one lies between segments, for within one it has a waveform."""

Run = tuple[int, int, int, int, int, int]
"""As in `wire.runs.RUN`: start, samples, offset, length, take, codec."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What a `Segment` says, and the bytes of its object."""

    first_sample: int
    end_sample: int
    runs: bytes
    takes: bytes
    peaks_offset: int
    body: bytes


def grouped(pieces: Iterable[Piece]) -> list[list[Piece]]:
    """Pieces of one lane, as they came, in groups that each make a segment of bounded length and size.

    Of pieces of one take that lie over each other the later one is heard, so their order is kept.
    """
    groups: list[list[Piece]] = []
    size = end = 0
    for piece in sorted(pieces, key=lambda piece: piece.start):
        size += len(piece.payload)
        if not groups or size > SEGMENT_BYTES or not _fits(groups[-1], end, piece):
            groups.append([])
            size, end = len(piece.payload), piece.start
        groups[-1].append(piece)
        end = max(end, piece.start + piece.samples)
    return groups


def pack(pieces: Sequence[Piece], decode: Decode) -> Packed:
    """One segment of one group."""
    first, end = pieces[0].start, max(piece.start + piece.samples for piece in pieces)
    sound, runs = b"".join(piece.payload for piece in pieces), np.array(merged(pieces), RUN)
    waveform = fine(_rendered(runs, sound, (first, end), pieces[0].rate, decode), first)
    marks = [TakeMark(p.take, p.start, p.samples, p.digest) for p in pieces if p.digest]
    return Packed(
        first_sample=first,
        end_sample=end,
        runs=runs.tobytes(),
        takes=serialize_takes(marks),
        peaks_offset=len(sound),
        body=sound + waveform.astype("<i2").tobytes(),
    )


def merged(pieces: Iterable[Piece]) -> list[Run]:
    """The runs of pieces whose payloads lie one behind the other."""
    runs: list[Run] = []
    offset = 0
    before: Piece | None = None
    for piece in pieces:
        length = len(piece.payload)
        if before and _goes_on(before, piece):
            start, samples, at, bytes_, _, codec = runs.pop()
            runs.append((start, samples + piece.samples, at, bytes_ + length, piece.take, codec))
        elif piece.samples:
            runs.append((piece.start, piece.samples, offset, length, piece.take, CODECS.index(piece.codec)))
        before = piece if piece.samples else before
        offset += length
    return runs


def _fits(group: Sequence[Piece], end: int, piece: Piece) -> bool:
    return (
        len(group) < SEGMENT_TAKES
        and piece.start - end <= SILENCE_SECONDS * piece.rate
        and piece.start + piece.samples - group[0].start <= SEGMENT_SAMPLES
    )


def _goes_on(before: Piece, piece: Piece) -> bool:
    """Whether two neighbours may be one run: of one stream, or whole takes whose numbers follow each other, so that
    no third take can lie over the one and under the other."""
    streamed = piece.take == before.take and piece.take < 0
    numbered = piece.take == before.take + 1 and before.digest and piece.digest
    return (
        bool(streamed or numbered)
        and piece.samples > 0
        and before.start + before.samples == piece.start
        and before.codec == piece.codec
        and piece.codec in BYTES_PER_SAMPLE
    )


def _rendered(
    runs: NDArray[np.void], sound: bytes, bounds: tuple[int, int], rate: int, decode: Decode
) -> NDArray[np.int16]:
    """The lane between the bounds, as it is heard, with silence where nothing is."""
    first, end = bounds
    heard = np.zeros(end - first, np.int16)
    for start, samples, skip, offset, length, _, codec in rows(layout([runs]).pieces):
        part = decode(codec, sound[offset : offset + length], skip + samples, rate)
        heard[start - first : start - first + samples] = part[skip:]
    return heard
