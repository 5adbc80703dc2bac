"""A storage whose objects take room on a disk of ours: what would leave too little of it free is refused."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

from callvault.domain.stored import StoredObject
from callvault.ports.blobs import Blobs, Chunk, Filing
from callvault.ports.room import Room

CHECKED: Final = 1 << 20
"""Of what is put, room is asked for again after so many bytes."""


class SparingBlobs:
    def __init__(self, inner: Blobs, room: Room, held: int = 0) -> None:
        """So much of an object is `held` in memory until the storage has it, and takes no room on the disk."""
        self._inner, self._room, self._held = inner, room, held

    def put(self, key: str, chunks: Iterable[Chunk], *, workspace_id: str = "", digest: bool = True) -> StoredObject:
        self.check_room(0)  # before a chunk is made: who is sent them as they come would be cut off
        return self._inner.put(key, self._spared(chunks), workspace_id=workspace_id, digest=digest)

    def read(self, obj: StoredObject, start: int = 0, length: int | None = None) -> Chunk:
        return self._inner.read(obj, start, length)

    def stream(self, obj: StoredObject, start: int = 0, length: int | None = None) -> Iterator[Chunk]:
        return self._inner.stream(obj, start, length)

    def file(self, obj: StoredObject) -> BinaryIO | None:
        return self._inner.file(obj) if isinstance(self._inner, Filing) else None

    def delete(self, key: str) -> None:
        self._inner.delete(key)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        return self._inner.list(prefix)

    def check(self) -> None:
        self._inner.check()

    def check_room(self, coming: int) -> None:
        if not self._held:
            self._room.check(coming)

    def _spared(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        unasked = -self._held
        for chunk in chunks:
            unasked += len(chunk)
            if unasked >= CHECKED:
                self._room.check(len(chunk))
                unasked = 0
            yield chunk
