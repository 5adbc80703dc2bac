"""Objects in an object store, by obstore: S3 and all that speak it, Google Cloud Storage, Azure."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, groupby

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from callvault.adapters.blobs.measure import Measured, checked, exactly, span
from callvault.adapters.blobs.objectstore_faults import fault, is_beyond_the_end
from callvault.adapters.blobs.probe import probe
from callvault.domain.errors import BlobExists, BlobMissing
from callvault.domain.stored import StoredObject
from callvault.ports.blobs import Chunk

PART = 8 * 2**20
"""Smaller objects go in one request; of larger ones this much is in memory for each part on its way."""
PARTS_AT_ONCE = 3
FIRST_READ, LARGEST_READ = 256 * 1024, PART


class ObjectStoreBlobs:
    """A stream is read in ranges, each a request of its own: a slow listener holds no connection open, and a broken
    one costs a range and not the object."""

    def __init__(self, store: S3Store | GCSStore | AzureStore) -> None:
        self._store = store

    def put(self, key: str, chunks: Iterable[Chunk], *, workspace_id: str = "", digest: bool = True) -> StoredObject:
        measured = Measured(chunks, digest)
        with self._translated(checked(key), measured):
            rest = iter(measured)
            head = _gathered(rest)
            if len(head) < PART:
                obstore.put(self._store, key, head, mode="create", use_multipart=False)
            else:
                self._refuse_taken(key)
                parts = chain([head], rest)
                obstore.put(self._store, key, parts, use_multipart=True, chunk_size=PART, max_concurrency=PARTS_AT_ONCE)
        return measured.stored(key)

    def read(self, obj: StoredObject, start: int = 0, length: int | None = None) -> bytes:
        return b"".join(self._exactly(obj, start, length, largest=obj.size + 1))

    def stream(self, obj: StoredObject, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        return self._exactly(obj, start, length, largest=LARGEST_READ)

    def delete(self, key: str) -> None:
        with suppress(BlobMissing), self._translated(checked(key)):
            obstore.delete(self._store, key)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Some stores (SeaweedFS) list folder by folder, others by whole names: so a recording's names are sorted."""
        for _, of_one in groupby(self._listed(prefix), key=lambda found: found[0].split("/")[:2]):
            yield from sorted(of_one)

    def check(self) -> None:
        probe(self)

    def _refuse_taken(self, key: str) -> None:
        """No store that obstore knows can complete a multipart upload on the condition that the name is free."""
        try:
            obstore.head(self._store, key)
        except FileNotFoundError:
            return
        raise BlobExists(key=key)

    def _exactly(self, obj: StoredObject, start: int, length: int | None, largest: int) -> Iterator[bytes]:
        expected = span(obj.size, start, length)
        if not expected:
            return exactly(0, obj.key, self._nothing(checked(obj.key))) if obj.size == 0 else iter(())
        # One byte more than there should be, so that bytes added behind the object's end are noticed.
        stop = start + expected + (length is None)
        return exactly(expected, obj.key, self._pieces(checked(obj.key), start, stop, largest))

    def _pieces(self, key: str, start: int, stop: int, largest: int) -> Iterator[bytes]:
        wanted = min(FIRST_READ, largest) if largest < stop - start else stop - start
        while start < stop:
            end = min(start + wanted, stop)
            piece = self._range(key, start, end)
            yield piece
            if len(piece) < end - start:
                return
            start, wanted = end, min(wanted * 2, largest)

    def _nothing(self, key: str) -> Iterator[bytes]:
        """Of an empty object no range can be asked."""
        with self._translated(key):
            if obstore.head(self._store, key)["size"]:
                yield b"something"

    def _range(self, key: str, start: int, end: int) -> bytes:
        with self._translated(key):
            try:
                return obstore.get_range(self._store, key, start=start, end=end).to_bytes()
            except BaseError as error:
                if is_beyond_the_end(error):
                    return b""
                raise

    def _listed(self, prefix: str) -> Iterator[tuple[str, int]]:
        folder = prefix.rpartition("/")[0]
        with self._translated(""):
            for batch in obstore.list(self._store, folder or None, chunk_size=1000):
                for found in batch:
                    if found["path"].startswith(prefix):
                        yield found["path"], found["size"]

    @contextmanager
    def _translated(self, key: str, source: Measured | None = None) -> Iterator[None]:
        try:
            yield
        except (BaseError, FileNotFoundError, AlreadyExistsError) as error:
            if source and source.failed:
                raise
            raise fault(error, key) from None


def _gathered(chunks: Iterator[Chunk]) -> bytes:
    """The first chunks, until they make a part."""
    held = bytearray()
    while len(held) < PART and (chunk := next(chunks, None)) is not None:
        held += chunk
    return bytes(held)
