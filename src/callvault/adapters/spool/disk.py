"""The spool in a folder: one writer thread takes what all callers appended, writes it, syncs once, tells them all."""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from callvault.adapters.spool.index import Entry
from callvault.adapters.spool.journal import JournalHead, fault, sync_folder
from callvault.adapters.spool.ledger import Ledger
from callvault.adapters.spool.sealing import JournalKeys
from callvault.domain.errors import BlobMissing, KeyUnavailable, Misconfigured, PassingFault, ShuttingDown
from callvault.ports.keyring import Keyring
from callvault.ports.spool import Holding, Piece, Spooled
from callvault.wire.spoolfile import Kind, Record, Torn, parse_head, parse_pieces, serialize_pieces, serialize_record

FILE_BYTES = 128 << 20
CARRIED_AT_ONCE = 256
READ_ATTEMPTS = 5
KEY_SECONDS = 60.0
"""A data key is used no longer, so that soon after the workspace's key was exchanged nothing hangs on the old one."""


@dataclass(slots=True)
class _Wish:
    """What a caller waits for: a record that still lacks its serial, its key and its seal."""

    record: Record
    workspace_id: str = ""
    done: "Future[None]" = field(default_factory=Future)


class DiskSpool:
    """A folder belongs to one process at a time."""

    def __init__(
        self,
        folder: Path,
        keyring: Keyring | None,
        file_bytes: int = FILE_BYTES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock_fd = _locked(folder)
        self.id = _identity(folder)
        self._keys = JournalKeys(self.id, keyring)
        self._ledger = Ledger(folder, bytes.fromhex(self.id), self._keys)
        self._file_bytes = file_bytes
        self._now = monotonic
        self._file_keys: dict[str, tuple[int, float]] = {}
        """The workspaces' data keys in the newest file, and when they were made."""
        self._owed: dict[str, int] = {}
        """Drops that are not on the disk yet."""
        self._wishes: list[_Wish] = []
        self._waiting = threading.Condition()
        self._closing = False
        self._writer = threading.Thread(target=self._write_on, name="spool", daemon=True)
        self._writer.start()

    def append(self, recording_id: str, workspace_id: str, pieces: Sequence[Piece]) -> "Future[None]":
        return self._wish(_Wish(Record(Kind.PIECES, 0, 0, recording_id, serialize_pieces(pieces)), workspace_id))

    def read(self, recording_id: str, at_most: int | None = None) -> Sequence[Spooled]:
        for _ in range(READ_ATTEMPTS):
            # A file that was carried over meanwhile is gone, and its keys are: its records are in a new place then.
            with suppress(FileNotFoundError, KeyError):
                return self._read(recording_id, at_most)
        raise BlobMissing(key=f"spool of {recording_id}")

    def drop(self, recording_id: str, through: int) -> None:
        through = max(through, self._owed.get(recording_id, 0))
        # Until it is written, a restart would bring back what is dropped: so it is held, in name, until then.
        self._owed[recording_id] = through
        self._ledger.drop(recording_id, through)
        self._wish(_Wish(Record(Kind.DROP, through, 0, recording_id, b""))).result()
        if self._owed.get(recording_id) == through:
            del self._owed[recording_id]

    def holdings(self) -> Sequence[Holding]:
        held = self._ledger.holdings()
        owed = self._owed.keys() - {one.recording_id for one in held}
        return [*held, *(Holding(recording_id, "", 0) for recording_id in owed)]

    def close(self) -> None:
        with self._waiting:
            self._closing = True
            self._waiting.notify()
        self._writer.join()
        if self._ledger.head:
            self._ledger.head.close()
        with suppress(OSError):
            os.close(self._lock_fd)

    def _wish(self, wish: _Wish) -> "Future[None]":
        with self._waiting:
            if self._closing:
                raise ShuttingDown
            self._wishes.append(wish)
            self._waiting.notify()
        return wish.done

    def _read(self, recording_id: str, at_most: int | None) -> list[Spooled]:
        found: list[Spooled] = []
        places = self._ledger.entries(recording_id, at_most)
        for file in {place[0].number: place[0] for place in places}.values():
            with file.opened() as reader:
                for _, entry in (place for place in places if place[0] is file):
                    record = reader.record(entry.offset, entry.length)
                    found.append(Spooled(record.serial, parse_pieces(self._keys.open(record))))
        return sorted(found, key=lambda spooled: spooled.serial)

    def _write_on(self) -> None:
        while True:
            with self._waiting:
                self._waiting.wait_for(lambda: self._wishes or self._closing)
                wishes, self._wishes = self._wishes, []
            if not wishes:
                return
            self._write(wishes)

    def _write(self, wishes: Sequence[_Wish]) -> None:
        try:
            self._ledger.reap()
            head = self._ledger.head
            if head is None or head.size >= self._file_bytes:
                head = self._ledger.begin_file()
                self._file_keys.clear()
                self._carry_over(head)
            self._commit(head, wishes)
        except PassingFault as error:
            for wish in wishes:
                if not wish.done.done():
                    wish.done.set_exception(error)

    def _commit(self, head: JournalHead, wishes: Sequence[_Wish]) -> None:
        keys: dict[str, int] = {}
        written = [(wish, record) for wish in wishes if (record := self._sealed(wish, keys))]
        parts = [serialize_record(self._keys.record(key)) for key in keys.values()]
        places, size = [], sum(map(len, parts))
        for _, record in written:
            parts.append(serialize_record(record))
            places.append((size, len(parts[-1])))
            size += len(parts[-1])
        at = head.append(b"".join(parts))
        self._file_keys |= {workspace: (key, self._now()) for workspace, key in keys.items()}
        head.keys |= set(keys.values())
        for (wish, record), (offset, length) in zip(written, places, strict=True):
            if record.kind is Kind.PIECES:
                self._ledger.add(record.name, wish.workspace_id, Entry(record.serial, head.number, at + offset, length))
            wish.done.set_result(None)

    def _sealed(self, wish: _Wish, fresh: dict[str, int]) -> Record | None:
        """The record as it is written; None when it cannot be sealed, which its caller alone is told."""
        if wish.record.kind is Kind.DROP:
            return wish.record
        try:
            key = self._file_key(wish.workspace_id) or fresh.get(wish.workspace_id)
            if key is None:
                key = fresh[wish.workspace_id] = self._keys.fresh(wish.workspace_id).key
        except KeyUnavailable as error:
            wish.done.set_exception(error)
            return None
        serial, self._ledger.next_serial = self._ledger.next_serial, self._ledger.next_serial + 1
        return self._keys.seal(Record(Kind.PIECES, serial, key, wish.record.name, wish.record.body))

    def _file_key(self, workspace_id: str) -> int | None:
        key, made = self._file_keys.get(workspace_id, (None, 0.0))
        return key if self._now() - made < KEY_SECONDS else None

    def _carry_over(self, head: JournalHead) -> None:
        """When most of the journal is unwanted: what is wanted of the oldest file moves on, so that files can go.
        When that fails nothing is lost, and it is tried again with the next file."""
        if not self._ledger.mostly_dead():
            return
        oldest = self._ledger.oldest()
        wanted = self._ledger.in_file(oldest.number)
        with suppress(OSError, PassingFault, Torn), oldest.opened() as reader:
            for first in range(0, len(wanted), CARRIED_AT_ONCE):
                group = wanted[first : first + CARRIED_AT_ONCE]
                self._carry(head, [(name, entry, reader.bytes(entry.offset, entry.length)) for name, entry in group])
        self._ledger.reap()

    def _carry(self, head: JournalHead, group: Sequence[tuple[str, Entry, bytes]]) -> None:
        keys = {parse_head(data).key for _, _, data in group} - head.keys
        needed = b"".join(serialize_record(self._keys.record(key)) for key in keys)
        at = head.append(needed + b"".join(data for _, _, data in group)) + len(needed)
        head.keys |= keys
        for name, entry, data in group:
            self._ledger.add(name, "", entry._replace(file=head.number, offset=at))
            at += len(data)


def _locked(folder: Path) -> int:
    fd = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise Misconfigured(problems=f"another process has the spool {folder}: give each its own folder") from error
    return fd


def _identity(folder: Path) -> str:
    path = folder / "id"
    if not path.exists():
        fresh = path.with_suffix(".new")
        try:
            fresh.write_text(os.urandom(16).hex())
            with fresh.open() as file:
                os.fsync(file.fileno())
            fresh.rename(path)
            sync_folder(folder)
        except OSError as error:
            raise fault(error, path) from error
    return path.read_text().strip()
