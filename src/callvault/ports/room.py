"""Room: how much of this machine's disks may be filled, so that the database and the spool can always go on."""

from collections.abc import Callable
from typing import IO, Protocol

NewScratch = Callable[[int], IO[bytes]]
"""Makes an empty file without a name, gone when it is closed: in memory up to so many bytes, beyond that on a disk."""


class Room(Protocol):
    """On the disk of one folder. Whatever comes in, and whatever grows as others ask, leaves some of it free, and is
    refused where it cannot; the database, and what leaves the spool, may have that too."""

    def check(self, coming: int = 0) -> None:
        """`DiskFull` when too little would be free after so many bytes more; `BlobsUnavailable` when nobody can tell.
        It waits for no disk, but a folder that lies on a network may not answer at once."""
        ...

    def scratch(self, in_memory: int) -> IO[bytes]:
        """A `NewScratch`: once it is on the disk, writing to it raises as `check` does."""
        ...
