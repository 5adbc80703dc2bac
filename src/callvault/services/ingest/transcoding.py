"""A live codec that cannot be cut anywhere becomes one that can, frame by frame, with its state carried over."""

from collections import deque
from collections.abc import Iterator

from callvault.ports.codecs import Codecs

AS_CODEC = "s16le"


class Transcoder:
    def __init__(self, codecs: Codecs, codec: str, rate: int) -> None:
        self._waiting: deque[bytes] = deque()
        self._blocks = codecs.decode_frames(codec, self._frames(), rate)

    def __call__(self, frame: bytes) -> bytes:
        self._waiting.append(frame)
        return next(self._blocks).astype("<i2").tobytes()

    def _frames(self) -> Iterator[bytes]:
        while self._waiting:
            yield self._waiting.popleft()
