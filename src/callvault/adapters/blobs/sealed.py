"""Objects sealed on their way into any storage and opened on their way out, each under a data key of its own."""

import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO

from callvault.adapters.blobs.measure import Measured, span
from callvault.domain.errors import BlobCorrupt, KeyUnavailable
from callvault.domain.stored import StoredObject
from callvault.ports.blobs import Blobs, Chunk, Filing
from callvault.ports.keyring import Keyring
from callvault.wire.sealed import KEY_BYTES, NotAsSealed, seal, sealed_size, stretch, unseal

Fetch = Callable[[StoredObject, int, int | None], Iterable[Chunk]]


class SealedBlobs:
    """Every put is sealed; an object whose row says that it was put unsealed is read as it is."""

    def __init__(self, inner: Blobs, keyring: Keyring) -> None:
        self._inner = inner
        self._keyring = keyring

    def put(self, key: str, chunks: Iterable[Chunk], *, workspace_id: str = "", digest: bool = True) -> StoredObject:
        if not self._keyring.knows(workspace_id):
            raise KeyUnavailable(key=f"of workspace {workspace_id!r}", why="it was not loaded, or was destroyed")
        measured, data_key = Measured(chunks, digest), secrets.token_bytes(KEY_BYTES)
        self._inner.put(key, seal(data_key, key, measured), digest=False)
        # Wrapped only now, so that an hour's upload is not wrapped by a key that was retired in the meantime.
        sealing, customer_sealing = self._keyring.wrap(workspace_id, data_key, key)
        return replace(
            measured.stored(key), workspace_id=workspace_id, sealing=sealing, customer_sealing=customer_sealing
        )

    def read(self, obj: StoredObject, start: int = 0, length: int | None = None) -> Chunk:
        """In one piece, as it was opened, wherever it can be."""
        pieces = list(self._opened(obj, start, length, lambda *where: [self._inner.read(*where)]))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def stream(self, obj: StoredObject, start: int = 0, length: int | None = None) -> Iterator[Chunk]:
        return self._opened(obj, start, length, self._inner.stream)

    def file(self, obj: StoredObject) -> BinaryIO | None:
        return self._inner.file(obj) if obj.sealing is None and isinstance(self._inner, Filing) else None

    def delete(self, key: str) -> None:
        self._inner.delete(key)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        return self._inner.list(prefix)

    def check(self) -> None:
        self._inner.check()

    def _opened(self, obj: StoredObject, start: int, length: int | None, fetch: Fetch) -> Iterator[Chunk]:
        if obj.sealing is None:
            yield from fetch(obj, start, length)
            return
        wanted = span(obj.size, start, length)
        if not wanted and obj.size:
            return
        data_key = self._keyring.unwrap(obj.workspace_id, obj.sealing, obj.key)
        start = min(start, obj.size)
        part = stretch(obj.size, start, start + wanted)
        # To the object's end without a length, so that bytes added behind it are noticed.
        whole = replace(obj, size=sealed_size(obj.size), sealing=None)
        chunks = fetch(whole, part.offset, None if part.to_end else part.length)
        try:
            yield from _cut(unseal(data_key, obj.key, obj.size, part, chunks), part.skip, wanted)
        except NotAsSealed as broken:
            raise BlobCorrupt(key=obj.key, why=str(broken)) from None


def _cut(frames: Iterator[Chunk], skip: int, wanted: int) -> Iterator[Chunk]:
    for frame in frames:
        piece = frame[skip : skip + wanted] if skip or len(frame) > wanted else frame
        skip, wanted = 0, wanted - len(piece)
        yield piece
