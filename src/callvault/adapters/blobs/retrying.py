"""A storage asked again when it did not answer: only for faults that pass, a few times, with growing random pauses."""

import hashlib
import random
import time
from collections.abc import Callable, Iterable, Iterator
from tempfile import SpooledTemporaryFile
from typing import IO, TypeVar

from callvault.adapters.blobs.measure import Measured
from callvault.domain.errors import BlobCorrupt, BlobExists, PassingFault
from callvault.domain.stored import StoredObject
from callvault.ports.blobs import Blobs, Chunk
from callvault.ports.room import NewScratch

T = TypeVar("T")
ATTEMPTS = 4
FIRST_PAUSE = 0.25
IN_MEMORY = 8 * 2**20
"""What is put is kept, so that it can be put again: so much in memory, more in a temporary file."""
BLOCK = 262_144


class RetryingBlobs:
    """Goes inside `SealedBlobs`, so that what it keeps in temporary files is sealed."""

    def __init__(
        self, inner: Blobs, *, scratch: NewScratch = SpooledTemporaryFile, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._inner, self._scratch, self._pause = inner, scratch, pause

    def put(self, key: str, chunks: Iterable[Chunk], *, workspace_id: str = "", digest: bool = True) -> StoredObject:
        with self._scratch(IN_MEMORY) as file:
            kept = Kept(chunks, file)
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    return self._inner.put(key, kept, workspace_id=workspace_id, digest=digest)
                except PassingFault:
                    if kept.failed or attempt == ATTEMPTS:
                        raise
                except BlobExists:
                    # The answer to an earlier attempt may have been lost behind its success.
                    if attempt == 1 or not self._holds(key, kept):
                        raise
                    return kept.stored(key, digest)
                self._wait(attempt)
        raise AssertionError

    def read(self, obj: StoredObject, start: int = 0, length: int | None = None) -> Chunk:
        return self._again(lambda: self._inner.read(obj, start, length))

    def stream(self, obj: StoredObject, start: int = 0, length: int | None = None) -> Iterator[Chunk]:
        """Goes on behind what was delivered."""
        delivered = 0

        def rest() -> Iterator[Chunk]:
            return self._inner.stream(obj, start + delivered, None if length is None else length - delivered)

        for chunk in self._resumed(rest):
            delivered += len(chunk)
            yield chunk

    def delete(self, key: str) -> None:
        self._again(lambda: self._inner.delete(key))

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Begins anew when it broke off, and leaves out what was delivered."""
        last = ""
        for name, size in self._resumed(lambda: self._inner.list(prefix)):
            if name > last:
                last = name
                yield name, size

    def check(self) -> None:
        """Asked once: who checks wants to know how it is now."""
        self._inner.check()

    def _again(self, do: Callable[[], T]) -> T:
        for attempt in range(1, ATTEMPTS):
            try:
                return do()
            except PassingFault:
                self._wait(attempt)
        return do()

    def _resumed(self, rest: Callable[[], Iterator[T]]) -> Iterator[T]:
        failures = 0
        while True:
            try:
                for item in rest():
                    failures = 0
                    yield item
                return
            except PassingFault:
                failures += 1
                if failures == ATTEMPTS:
                    raise
                self._wait(failures)

    def _wait(self, failures: int) -> None:
        self._pause(FIRST_PAUSE * 3 ** (failures - 1) * random.uniform(0.5, 1.5))

    def _holds(self, key: str, kept: "Kept") -> bool:
        obj, found = kept.stored(key, digest=True), hashlib.sha256()
        try:
            for chunk in self.stream(obj):
                found.update(chunk)
        except BlobCorrupt:
            return False
        return found.hexdigest() == obj.sha256


class Kept:
    """Chunks that can be gone through again, from the beginning, although their source gives them once."""

    def __init__(self, chunks: Iterable[Chunk], file: IO[bytes]) -> None:
        self._fresh = Measured(chunks, digest=False)
        self._file = file
        self._is_writing = False

    @property
    def failed(self) -> bool:
        """Whether a chunk can be had no more: its source failed, or the file has no room for it."""
        return self._fresh.failed or self._is_writing

    def __iter__(self) -> Iterator[Chunk]:
        self._file.seek(0)
        while block := self._file.read(BLOCK):
            yield block
        for chunk in self._fresh:
            self._is_writing = True
            self._file.write(chunk)
            self._is_writing = False
            yield chunk

    def stored(self, key: str, digest: bool) -> StoredObject:
        everything = Measured(self, digest)
        for _ in everything:
            pass
        return everything.stored(key)
