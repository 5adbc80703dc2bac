"""The spool: acknowledged sound on this machine's disk, until storage has it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Piece:
    """Sound as it was received, at its place in a lane."""

    lane: str
    take: int
    codec: str
    """`pcmu`, `pcma`, `l16`, `s16le` or `file`: how `payload` is decoded."""
    rate: int
    start: int
    """The first sample's place in the lane."""
    samples: int
    payload: bytes
    digest: bytes = b""
    """SHA-256 of the take's body; empty for the frames of a live stream."""
    arrived_us: int | None = None
    """When a live frame came in on this machine's monotonic clock since the stream's start, for the drift's fit."""


class Spool(Protocol):
    """An append-only journal a recording. The methods block, except that `append` may be called from any thread.

    It is sealed like everything else. A journal cut off by a crash is read up to its last whole record.
    """

    def append(self, recording_id: str, pieces: Sequence[Piece]) -> None:
        """The pieces are on disk (fsync, shared with other callers' appends) when this returns.
        `DiskFull` when they are not because the disk is full; then none of them is."""
        ...

    def read(self, recording_id: str) -> Sequence[Piece]:
        """All pieces that were acknowledged and not yet dropped, in the order of arrival."""
        ...

    def drop(self, recording_id: str, count: int) -> None:
        """The first `count` pieces are in storage, verified: they may leave the disk."""
        ...

    def recordings(self) -> Sequence[str]:
        """The recordings of which this machine holds sound, for the finding of what was cut off."""
        ...
