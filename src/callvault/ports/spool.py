"""The spool: acknowledged sound on this machine's disk, until storage has it."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from callvault.wire.spoolfile import Piece

__all__ = ["EVERYTHING", "Holding", "Piece", "Spool", "Spooled"]

EVERYTHING = (1 << 63) - 1
"""No serial is higher."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """What one `append` wrote."""

    serial: int
    """Rises with every append of this spool, over restarts too, and is never used twice."""
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Holding:
    """What this spool holds of one recording."""

    recording_id: str
    workspace_id: str
    size: int
    """Bytes on disk."""


class Spool(Protocol):
    """The journal of one node, for all its recordings, so that one fsync serves every caller that waits.

    It is sealed like everything else, under keys wrapped by the workspace's key: `KeyUnavailable` when the keyring
    does not know that one. A journal cut off by a crash is read up to its last whole record. All but `append` block.
    """

    @property
    def id(self) -> str:
        """Names this spool for ever, over restarts: the name under which the node holds sound. Empty for a process
        that has no sound to come back for."""
        ...

    def append(self, recording_id: str, workspace_id: str, pieces: Sequence[Piece]) -> Future[None]:
        """May be called from any thread and returns at once. When the future is done the pieces are on disk (fsync,
        shared with other appends). It fails with `DiskFull` when the disk is full; then none of them is there."""
        ...

    def read(self, recording_id: str, at_most: int | None = None) -> Sequence[Spooled]:
        """What was acknowledged and not yet dropped, in order of serials: all, or as much as fits into `at_most`
        bytes and one record at least."""
        ...

    def drop(self, recording_id: str, through: int) -> None:
        """What the recording has up to this serial is in storage, verified: it may leave the disk, and is not read
        again, after a crash neither, when this returns."""
        ...

    def holdings(self) -> Sequence[Holding]:
        """What this spool holds, by recording: for the mover, and for the finding of what was cut off."""
        ...

    def check(self) -> None:
        """Returns when the spool takes in sound, as far as it knows: after a write that failed it tries another."""
        ...

    def close(self) -> None:
        """Waits for what was appended, then lets go of the disk. An append after that fails with `ShuttingDown`."""
        ...
