"""Blobs: immutable objects under names, in a folder or in an object store."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO, Protocol, runtime_checkable

from callvault.domain.stored import StoredObject

Chunk = bytes | memoryview
"""Bytes that nobody changes any more: a view where they lie in a larger piece, of which no copy is made."""


class Blobs(Protocol):
    """Where objects are kept. The methods block: callers on the event loop run them in threads.

    Names are `/`-separated ASCII made by the program, never from input, and begin with the workspace's id. An
    object is never changed: it is put once, read, deleted. A wrapper (`SealedBlobs`, `RetryingBlobs`) is a `Blobs`
    itself. An object that is not there raises `BlobMissing`, one that does not open `BlobCorrupt`; a storage that
    does not answer raises `BlobsUnavailable`: the three never look alike.
    """

    def put(self, key: str, chunks: Iterable[Chunk], *, workspace_id: str = "", digest: bool = True) -> StoredObject:
        """Writes a new object from chunks of any sizes, in bounded memory, and returns what it takes to read it.

        It is durable and whole under its name when this returns; before that, nothing is under the name.
        `BlobExists` when the name is taken (as far as the storage can tell: uniqueness is the database's business).
        Without `digest` the result's `sha256` is empty: for a wrapper that has taken it of the bytes above.
        """
        ...

    def read(self, obj: StoredObject, start: int = 0, length: int | None = None) -> Chunk:
        """Bytes `start` to `start + length` of what was put in (to the end without a length; never beyond it)."""
        ...

    def stream(self, obj: StoredObject, start: int = 0, length: int | None = None) -> Iterator[Chunk]:
        """The same in chunks, in bounded memory."""
        ...

    def delete(self, key: str) -> None:
        """No object is under the name any more; it is no error when none was."""
        ...

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """The names that begin with the prefix, with the sizes that the storage holds, in order of names."""
        ...

    def check(self) -> None:
        """Returns when an object can be put, read and deleted; else raises what is wrong."""
        ...


@runtime_checkable
class Presigning(Protocol):
    """What some storages can do besides: hand out an unsealed object by a URL of their own."""

    def presign(
        self, obj: StoredObject, *, seconds: int, media_type: str, disposition: str, now_ms: int, method: str = "GET"
    ) -> str:
        """A URL for the configured public endpoint that answers the method (GET or HEAD; S3 signs it), Range
        included, with these headers, until it expires."""
        ...


@runtime_checkable
class Sparing(Protocol):
    """What some storages can do besides: tell beforehand that they have no room."""

    def check_room(self, coming: int) -> None:
        """`DiskFull` when so many bytes more would be refused."""
        ...


@runtime_checkable
class Filing(Protocol):
    """What some storages can do besides: give an object as a file, for the system to send by itself."""

    def file(self, obj: StoredObject) -> BinaryIO | None:
        """Open, unbuffered, and of the object's size; it stays what it is when the object is deleted. None for an
        object that lies in no file as it was put. The caller closes it; it blocks."""
        ...
