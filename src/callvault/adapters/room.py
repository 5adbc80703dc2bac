"""Room on a disk, as the system tells it."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Final

from callvault.domain.errors import BlobsUnavailable, DiskFull, PassingFault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed import ReadableBuffer

SPARE_BYTES: Final = 256 << 20
"""What sound that comes in live leaves free: two files of the spool. Nothing leaves the spool before the database,
which may lie on the same disk, has written down where it went; and where storage is on it too, a file's sound must fit
in before the file can go."""
FILES_SPARE_BYTES: Final = 2 * SPARE_BYTES
"""What files leave free, and all that is kept for listeners: when they have taken what they may, sound that comes in
live has room yet."""
CHECKED: Final = 1 << 20
"""A scratch file asks for room again after so many bytes."""
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class DiskRoom:
    def __init__(self, folder: Path, spare_bytes: int = SPARE_BYTES) -> None:
        """The folder may come to be later."""
        self._folder, self._spare_bytes = str(folder), spare_bytes

    def check(self, coming: int = 0) -> None:
        try:
            disk = os.statvfs(self._folder)
        except OSError as error:
            raise self.fault(error) from error
        is_sized = disk.f_blocks > 0  # ramfs, and a tmpfs without a limit, have no size of their own
        if is_sized and disk.f_bavail * disk.f_frsize - coming < self._spare_bytes:
            raise DiskFull(path=self._folder)

    def scratch(self, in_memory: int) -> "ScratchFile":
        return ScratchFile(self, self._folder, in_memory)

    def fault(self, error: OSError) -> PassingFault:
        if error.errno in _FULL:
            return DiskFull(path=self._folder)
        return BlobsUnavailable(why=f"{self._folder}: {os.strerror(error.errno or 0)}")


class ScratchFile(SpooledTemporaryFile[bytes]):
    def __init__(self, room: DiskRoom, folder: str, in_memory: int) -> None:
        super().__init__(in_memory, dir=folder)
        self._room, self._in_memory = room, in_memory

    def write(self, data: "ReadableBuffer") -> int:
        size = memoryview(data).nbytes
        at = self.tell()
        end = at + size
        if end > self._in_memory and (at <= self._in_memory or at // CHECKED < end // CHECKED):
            self._room.check(size)
        try:
            written = super().write(data)
            self.flush()  # else whoever seeks or reads meets what is wrong with the disk
            return written
        except OSError as error:
            raise self._room.fault(error) from error

    def writelines(self, lines: "Iterable[ReadableBuffer]") -> None:
        for line in lines:
            self.write(line)

    def close(self) -> None:
        """What was refused cannot be written now either, and nobody wants it any more."""
        with suppress(OSError):
            super().close()

    def __exit__(self, *given: object) -> None:
        self.close()
