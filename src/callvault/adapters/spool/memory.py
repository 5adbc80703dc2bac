"""The spool in memory: for tests, and for vaults that may forget."""

import threading
import uuid
from collections.abc import Sequence
from concurrent.futures import Future

from callvault.domain.errors import ShuttingDown
from callvault.ports.spool import Holding, Piece, Spooled


class MemorySpool:
    def __init__(self, name: str | None = None) -> None:
        self.id = uuid.uuid4().hex if name is None else name
        self._held: dict[str, list[Spooled]] = {}
        self._workspaces: dict[str, str] = {}
        self._serial = 0
        self._closed = False
        self._lock = threading.Lock()

    def append(self, recording_id: str, workspace_id: str, pieces: Sequence[Piece]) -> "Future[None]":
        if self._closed:
            raise ShuttingDown
        done: Future[None] = Future()
        with self._lock:
            self._serial += 1
            self._workspaces[recording_id] = workspace_id
            self._held.setdefault(recording_id, []).append(Spooled(self._serial, tuple(pieces)))
        done.set_result(None)
        return done

    def read(self, recording_id: str, at_most: int | None = None) -> Sequence[Spooled]:
        found: list[Spooled] = []
        size = 0
        for spooled in list(self._held.get(recording_id, ())):
            size += _size(spooled)
            if found and at_most is not None and size > at_most:
                break
            found.append(spooled)
        return found

    def drop(self, recording_id: str, through: int) -> None:
        with self._lock:
            kept = [spooled for spooled in self._held.pop(recording_id, []) if spooled.serial > through]
            if kept:
                self._held[recording_id] = kept

    def holdings(self) -> Sequence[Holding]:
        with self._lock:
            return [Holding(r, self._workspaces[r], sum(map(_size, held))) for r, held in self._held.items()]

    def check(self) -> None:
        """Memory is always well."""

    def close(self) -> None:
        self._closed = True


def _size(spooled: Spooled) -> int:
    return sum(len(piece.payload) for piece in spooled.pieces)
