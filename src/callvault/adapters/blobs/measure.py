"""What every storage must watch: names that stay inside it, sizes, digests, and ranges."""

import hashlib
import re
from collections.abc import Iterable, Iterator

from callvault.domain.errors import BlobCorrupt
from callvault.domain.stored import StoredObject
from callvault.ports.blobs import Chunk

NAME = re.compile(r"(?!.{901})[A-Za-z0-9_][A-Za-z0-9._=+-]{0,199}(/[A-Za-z0-9_][A-Za-z0-9._=+-]{0,199})*")


def checked(key: str) -> str:
    """The name; a part that begins with a dot would hide or climb, so none may."""
    if not NAME.fullmatch(key):
        raise ValueError(f"{key[:100]!r} is no name of an object")
    return key


def span(size: int, start: int, length: int | None) -> int:
    """How many bytes of an object of `size` the range holds."""
    if start < 0 or (length is not None and length < 0):
        raise ValueError("a range cannot begin or be less than nothing")
    left = max(0, size - start)
    return left if length is None else min(left, length)


class Measured:
    """Chunks that pass through, counted and digested."""

    def __init__(self, chunks: Iterable[Chunk], digest: bool = True) -> None:
        self._chunks = iter(chunks)
        self._sha256 = hashlib.sha256() if digest else None
        self.size = 0
        self.failed = False
        """Whether the chunks themselves broke off, so that this is not taken for the storage's fault."""

    def __iter__(self) -> Iterator[Chunk]:
        while (chunk := self._next()) is not None:
            self.size += len(chunk)
            if self._sha256:
                self._sha256.update(chunk)
            yield chunk

    def _next(self) -> Chunk | None:
        self.failed = True
        chunk = next(self._chunks, None)
        self.failed = False
        return chunk

    def stored(self, key: str) -> StoredObject:
        return StoredObject(key=key, size=self.size, sha256=self._sha256.hexdigest() if self._sha256 else "")


def exactly(expected: int, key: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks, as long as they are together what is expected; more or less raises `BlobCorrupt`."""
    left = expected
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            break
        yield chunk
    if left:
        raise BlobCorrupt(key=key, why=f"it is {abs(left)} bytes {'longer' if left < 0 else 'shorter'} than it was")
