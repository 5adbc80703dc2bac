"""Codecs: sound files and coded frames to samples and back."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
"""Frames of 16-bit samples: shape (n,) for one channel, (n, channels) for several."""


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """What a sound file says of itself, after it was seen to decode."""

    container: str
    codec: str
    rate: int
    channels: int


@dataclass(frozen=True, slots=True)
class FileForm:
    """What a file is made in."""

    codec: str
    rate: int
    bits: int
    """A second, of all its channels; 0 where nothing is lost."""


@dataclass(frozen=True, slots=True)
class SoundLimits:
    """How much a file may unfold to, so that a small one cannot fill a disk or a day."""

    seconds: int = 24 * 3600
    rate: int = 192_000
    channels: int = 32
    unfolded: int = 4 << 30
    """Bytes of 16-bit samples that any file may have; a larger one may have `folded` times its own size."""
    folded: int = 256
    """What speech with long silences is folded to by Opus, and by far no other sound by any codec."""

    def bytes_of(self, size: int) -> int:
        """The bytes of samples that a file of the size may have."""
        return max(self.unfolded, self.folded * size)


class Decoding(Protocol):
    """The blocks of a file's sound, in order. What was lost inside is silence of the right length."""

    def __iter__(self) -> Iterator[Samples]: ...

    def __next__(self) -> Samples: ...

    def close(self) -> None:
        """Lets go of the file before its end."""
        ...

    @property
    def damage(self) -> str | None:
        """Known after the last block: what of the file did not decode, or None when all of it did."""
        ...


class Codecs(Protocol):
    """All blocking: callers on the event loop run them in threads. Sources are seekable, and read from their
    beginning. Input that lies, is cut off or is no sound raises `Malformed`, in bounded time and memory, whatever
    it claims to be."""

    def probe(self, source: BinaryIO) -> SoundFormat:
        """What the file is, told by its content; `Malformed` when no sound can be decoded from it."""
        ...

    def decode(self, source: BinaryIO, limits: SoundLimits) -> Decoding:
        """All its sound at its own rate, in blocks of shape (n, channels), in constant memory.

        Faults show with the first blocks, not here. A file that was cut off gives what came before the cut, and
        says so as `damage`. `TooLarge` at once where it declares more than the limits, else once more has come out.
        """
        ...

    def decode_frames(self, codec: str, frames: Iterable[bytes], rate: int) -> Iterator[Samples]:
        """Frames of one stream in order (`g722`, `opus`, `gsm`), decoded with state carried over.

        One block of shape (n,) comes out for each frame. An empty frame stands for a lost one: it, and one that
        does not decode, gives silence as long as the frame before it.
        """
        ...

    def form(self, format: str, rate: int, channels: int) -> FileForm:
        """In what a file of the format is made of such sound when nothing is asked for: at the nearest rate that it
        knows, with as many bits as speech needs."""
        ...

    def encode(
        self, blocks: Iterable[Samples], *, format: str, rate: int, channels: int, bits: int = 0
    ) -> Iterator[bytes]:
        """A file of the format (mp3, ogg, m4a, flac), in pieces, in constant memory; the same blocks give the same
        bytes. An ogg comes as it is made; the others once they are whole, for their beginning tells their length.
        A rate that the format does not know is resampled. `bits` are those of a second of all channels, as near as the
        format comes to them; without, they are as of `form`.
        """
        ...
