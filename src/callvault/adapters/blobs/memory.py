"""Objects in this process's memory: for tests, and to try things out."""

import threading
from collections.abc import Iterable, Iterator

from callvault.adapters.blobs.measure import Measured, checked, exactly, span
from callvault.adapters.blobs.probe import probe
from callvault.domain.errors import BlobExists, BlobMissing
from callvault.domain.stored import StoredObject
from callvault.ports.blobs import Chunk

CHUNK = 262_144


class MemoryBlobs:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def put(self, key: str, chunks: Iterable[Chunk], *, workspace_id: str = "", digest: bool = True) -> StoredObject:
        checked(key)
        measured = Measured(chunks, digest)
        content = b"".join(measured)
        with self._lock:
            if key in self.objects:
                raise BlobExists(key=key)
            self.objects[key] = content
        return measured.stored(key)

    def read(self, obj: StoredObject, start: int = 0, length: int | None = None) -> bytes:
        return b"".join(self.stream(obj, start, length))

    def stream(self, obj: StoredObject, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        expected = span(obj.size, start, length)
        content = self.objects.get(checked(obj.key))
        if content is None:
            raise BlobMissing(key=obj.key)
        stop = len(content) if length is None else min(start + expected, len(content))
        pieces = (content[at : min(at + CHUNK, stop)] for at in range(start, stop, CHUNK))
        return exactly(expected, obj.key, pieces)

    def delete(self, key: str) -> None:
        self.objects.pop(checked(key), None)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        with self._lock:
            found = sorted((key, len(content)) for key, content in self.objects.items() if key.startswith(prefix))
        return iter(found)

    def check(self) -> None:
        probe(self)
