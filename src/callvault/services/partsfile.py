"""A file whose bytes are stored objects one behind the other: read from anywhere, in bounded memory."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from callvault.domain.stored import StoredObject
from callvault.ports.blobs import Blobs

AHEAD = 1 << 20


class PartsFile(io.RawIOBase):
    def __init__(self, blobs: Blobs, parts: Sequence[StoredObject]) -> None:
        self._blobs, self._parts = blobs, parts
        self._ends = list(accumulate(part.size for part in parts))
        self._length = self._ends[-1] if parts else 0
        self._at = 0

    def buffered(self) -> io.BufferedReader:
        return io.BufferedReader(self, AHEAD)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """As much as one part has of it."""
        view = memoryview(buffer).cast("B")
        n = bisect_right(self._ends, self._at)
        if n == len(self._parts) or not view.nbytes:
            return 0
        start = self._at - (self._ends[n] - self._parts[n].size)
        data = self._blobs.read(self._parts[n], start, min(view.nbytes, self._ends[n] - self._at))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)
