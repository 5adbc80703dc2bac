"""Where encoders write: into pieces that leave at once, or into a scratch file that they come back to."""

import os
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Final, Protocol, Self

_PIECE: Final = 256 << 10


class Outlet(Protocol):
    """A context in which an encoder writes, and what can be sent of that."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def writer(self) -> object:
        """A file object; every call gives one with a position of its own on the same bytes."""
        ...

    def ready(self) -> Iterator[bytes]:
        """What may leave while the encoder is at work."""
        ...

    def rest(self) -> Iterator[bytes]:
        """What is left when it is done."""
        ...


class Pipe:
    """Lets every byte go as it comes; cannot go back."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *of_no_matter: object) -> None:
        self._pieces.clear()

    def writer(self) -> "Pipe":
        return self

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def ready(self) -> Iterator[bytes]:
        if self._pieces:
            yield b"".join(self._pieces)
            self._pieces.clear()

    rest = ready


class Scratch:
    """Keeps all until the end, in a file without a name."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *of_no_matter: object) -> None:
        self._file.close()

    def writer(self) -> "Cursor":
        return Cursor(self._file)

    def ready(self) -> Iterator[bytes]:
        yield from ()

    def rest(self) -> Iterator[bytes]:
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            yield piece


class Cursor:
    """A position of its own in a file that others read and write too."""

    name = "scratch"

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        self._file.seek(self._at)
        data = self._file.read(size)
        self._at += len(data)
        return data

    def write(self, data: bytes) -> int:
        self._file.seek(self._at)
        self._at += self._file.write(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
        self._at = offset + (self._file.seek(0, os.SEEK_END) if start is None else start)
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        """The file stays open for the others."""
