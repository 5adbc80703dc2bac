"""Takes that can only be decoded from their beginning: heard in any order, in bounded memory."""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from callvault.audio.pcm import Samples
from callvault.ports.blobs import Chunk
from callvault.ports.codecs import Codecs, SoundLimits

BLOCK: Final = 1 << 16
"""Samples that are kept or forgotten together."""
BLOCKS_KEPT: Final = 16
TAKES_OPEN: Final = 6


@dataclass(frozen=True, slots=True)
class CodedTake:
    """What is to be decoded; the payload is fetched when it is needed."""

    name: tuple[object, ...]
    """The same for the same payload, always."""
    codec: str
    rate: int
    payload: Callable[[], Chunk]


class CodedTakes:
    """The last takes that somebody listened to, each with its decoder where it stood."""

    def __init__(self, codecs: Codecs) -> None:
        self._codecs = codecs
        self._open: OrderedDict[tuple[object, ...], _Opened] = OrderedDict()
        self._lock = threading.Lock()

    def samples(self, take: CodedTake, start: int, count: int) -> Samples:
        """Samples of a take; silence behind its end."""
        with self._lock:
            opened = self._open.pop(take.name, None) or _Opened(lambda: self._decoded(take))
            self._open[take.name] = opened
            if len(self._open) > TAKES_OPEN:
                self._open.popitem(last=False)
        return opened.samples(start, count)

    def _decoded(self, take: CodedTake) -> Iterator[Samples]:
        payload = take.payload()
        if take.codec == "file":
            return iter(self._codecs.decode(io.BytesIO(payload), SoundLimits()))
        return self._codecs.decode_frames(take.codec, [bytes(payload)], take.rate)


class _Opened:
    """One take: who goes on where somebody was finds the decoder waiting, who goes far back begins anew."""

    def __init__(self, decoded: Callable[[], Iterator[Samples]]) -> None:
        self._decoded = decoded
        self._blocks = iter(())  # type: Iterator[Samples]
        self._next = 0
        self._kept: OrderedDict[int, Samples] = OrderedDict()
        self._lock = threading.Lock()

    def samples(self, start: int, count: int) -> Samples:
        out = np.zeros(count, np.int16)
        with self._lock:
            for number in range(start // BLOCK, -(-(start + count) // BLOCK)):
                at = number * BLOCK - start
                part = self._block(number)[max(-at, 0) : max(count - at, 0)]
                out[max(at, 0) : max(at, 0) + len(part)] = part
        return out

    def _block(self, number: int) -> Samples:
        if number in self._kept:
            return self._kept[number]
        if number < self._next or not self._next:
            self._blocks, self._next = _blocks(self._decoded()), 0
        block = np.empty(0, np.int16)
        while self._next <= number:
            block = next(self._blocks, np.empty(0, np.int16))
            self._kept[self._next] = block
            self._next += 1
            if len(self._kept) > BLOCKS_KEPT:
                self._kept.popitem(last=False)
        return block


def _blocks(pieces: Iterator[Samples]) -> Iterator[Samples]:
    """The same sound in blocks of `BLOCK` samples; the last may be shorter."""
    held: list[Samples] = []
    for piece in pieces:
        held.append(piece.reshape(-1))
        while sum(map(len, held)) >= BLOCK:
            sound = np.concatenate(held)
            yield sound[:BLOCK].copy()
            held = [sound[BLOCK:]]
    yield np.concatenate([np.empty(0, np.int16), *held])
