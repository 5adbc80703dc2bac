"""The spool in a folder: one writer thread takes what all callers appended, writes and syncs it at once, tells them."""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from callvault.adapters.spool.index import Entry
from callvault.adapters.spool.journal import JournalHead, fault, sync_folder
from callvault.adapters.spool.ledger import Ledger
from callvault.adapters.spool.sealing import DataKey, JournalKeys
from callvault.domain.errors import (
    BlobMissing,
    BlobsUnavailable,
    KeyUnavailable,
    Misconfigured,
    PassingFault,
    ShuttingDown,
)
from callvault.ports.keyring import Keyring
from callvault.ports.room import Room
from callvault.ports.spool import Holding, Piece, Spooled
from callvault.wire.spoolfile import Kind, Record, Torn, parse_head, parse_pieces, serialize_pieces, serialize_record

log = logging.getLogger(__name__)
FILE_BYTES = 128 << 20
SLOW_SECONDS = 0.001
"""A sync that takes longer is worth waiting for company."""
COMPANY_SECONDS_MOST = 0.005
UNFORESEEN = (OSError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)
"""What no writing should raise; whoever waits is told all the same, and the writer goes on."""
CARRIED_AT_ONCE = 256
READ_ATTEMPTS = 5
CHECK_SECONDS = 5.0
SMALL_BYTES = 128 << 10
"""Up to here whoever appends seals at once; more is left to the writer, for appending returns at once."""


@dataclass(slots=True)
class _Wish:
    """A record on its way to the disk."""

    record: Record
    key: DataKey | None = None
    """Under which it is sealed; a drop is not."""
    _data: bytes = b""

    def sealed(self) -> bytes:
        """As it is written."""
        if not self._data:
            self._data = serialize_record(self.key.seal(self.record) if self.key else self.record)
        return self._data


@dataclass(slots=True)
class _Group:
    """What one fsync serves."""

    wishes: list[_Wish] = field(default_factory=list)
    done: "Future[None]" = field(default_factory=Future)


class DiskSpool:
    """A folder belongs to one process at a time."""

    def __init__(self, folder: Path, keyring: Keyring | None, room: Room, file_bytes: int = FILE_BYTES) -> None:
        """`room` is on the disk of the folder."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock_fd = _locked(folder)
        self.id = _identity(folder)
        self._keys = JournalKeys(self.id, keyring)
        self._ledger = Ledger(folder, bytes.fromhex(self.id), self._keys)
        self._room, self._file_bytes = room, file_bytes
        self._owed: dict[str, int] = {}
        """Drops that are not on the disk yet."""
        self._next_serial = self._ledger.next_serial
        self._group = _Group()
        self._enough = 1
        """For so many wishes the writer waits."""
        self._waiting = threading.Condition(threading.Lock())
        self._closing = False
        self._failed = False
        """Whether the last write did."""
        self._writer = threading.Thread(target=self._write_on, name="spool", daemon=True)
        self._writer.start()

    def append(self, recording_id: str, workspace_id: str, pieces: Sequence[Piece]) -> "Future[None]":
        body = serialize_pieces(pieces)
        with self._waiting:
            try:
                if not self._closing:
                    self._room.check()
                key = self._keys.newest(workspace_id)
            except (PassingFault, KeyUnavailable) as error:
                return _failed(error)
            # Given together with the place in the group: serials reach the file in their order.
            serial, self._next_serial = self._next_serial, self._next_serial + 1
            wish = _Wish(Record(Kind.PIECES, serial, key.record.key, recording_id, body), key)
            if len(body) <= SMALL_BYTES:
                wish.sealed()
            return self._wish(wish)

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
        self._ledger.reap()
        with self._waiting:
            dropped = self._wish(_Wish(Record(Kind.DROP, through, 0, recording_id, b"")))
        dropped.result()
        if self._owed.get(recording_id) == through:
            del self._owed[recording_id]

    def holdings(self) -> Sequence[Holding]:
        held = self._ledger.holdings()
        owed = self._owed.keys() - {one.recording_id for one in held}
        return [*held, *(Holding(recording_id, "", 0) for recording_id in owed)]

    def check(self) -> None:
        if self._failed:
            with self._waiting:
                tried = self._wish(_Wish(Record(Kind.DROP, 0, 0, "", b"")))
            try:
                tried.result(CHECK_SECONDS)
            except TimeoutError:
                raise BlobsUnavailable(why="the spool's disk does not answer") from None

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
        if self._closing:
            raise ShuttingDown
        self._group.wishes.append(wish)
        if len(self._group.wishes) >= self._enough:
            self._waiting.notify()
        return self._group.done

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
        while (group := self._gathered()).wishes:
            began, error = time.monotonic(), self._written(group.wishes)
            waits = company_seconds(len(group.wishes), time.monotonic() - began)
            enough = len(self._group.wishes) + len(group.wishes)
            self._failed = error is not None
            if error:
                group.done.set_exception(error)
            else:
                group.done.set_result(None)
            if waits:
                self._wait_for_company(enough, waits)

    def _written(self, wishes: Sequence[_Wish]) -> PassingFault | None:
        """What went wrong, if anything did."""
        try:
            self._commit(self._head(), wishes)
        except PassingFault as error:
            return error
        except UNFORESEEN as error:
            log.critical("the spool's writer met %s", type(error).__name__, exc_info=error)
            return BlobsUnavailable(why=f"the spool cannot be written ({type(error).__name__})")
        return None

    def _wait_for_company(self, enough: int, seconds: float) -> None:
        """Until as many came as were told, besides those who waited already."""
        with self._waiting:
            self._enough = enough
            self._waiting.wait_for(lambda: len(self._group.wishes) >= enough or self._closing, seconds)
            self._enough = 1

    def _gathered(self) -> _Group:
        """All that is wished for now; nothing when the spool is closed."""
        with self._waiting:
            self._waiting.wait_for(lambda: self._group.wishes or self._closing)
            group, self._group = self._group, _Group()
            return group

    def _head(self) -> JournalHead:
        head = self._ledger.head
        if head is None or head.size >= self._file_bytes:
            head = self._ledger.begin_file()
            self._carry_over(head)
        return head

    def _commit(self, head: JournalHead, wishes: Sequence[_Wish]) -> None:
        fresh = {wish.key.record.key: wish.key for wish in wishes if wish.key and wish.key.record.key not in head.keys}
        keys = [serialize_record(key.record) for key in fresh.values()]
        at = head.append([*keys, *(wish.sealed() for wish in wishes)]) + sum(map(len, keys))
        head.keys |= fresh.keys()
        for key in fresh.values():
            self._keys.wrote(key)
        for wish in wishes:
            length = len(wish.sealed())
            if wish.key:
                entry = Entry(wish.record.serial, head.number, at, length)
                self._ledger.add(wish.record.name, wish.key.record.name, entry)
            at += length

    def _carry_over(self, head: JournalHead) -> None:
        """When most of the journal is unwanted: what is wanted of the oldest file moves on, so that files can go.
        When that fails nothing is lost, and it is tried again with the next file."""
        if not self._ledger.mostly_dead():
            return
        oldest = self._ledger.oldest()
        wanted = self._ledger.in_file(oldest.number)
        # With the last that was wanted of it the file goes, and its keys do, at any moment.
        with suppress(OSError, PassingFault, Torn, KeyError), oldest.opened() as reader:
            for first in range(0, len(wanted), CARRIED_AT_ONCE):
                group = wanted[first : first + CARRIED_AT_ONCE]
                self._carry(head, [(name, entry, reader.bytes(entry.offset, entry.length)) for name, entry in group])
        self._ledger.reap()

    def _carry(self, head: JournalHead, group: Sequence[tuple[str, Entry, bytes]]) -> None:
        keys = {parse_head(data).key for _, _, data in group} - head.keys
        needed = [serialize_record(self._keys.record(key)) for key in keys]
        at = head.append([*needed, *(data for _, _, data in group)]) + sum(map(len, needed))
        head.keys |= keys
        for name, entry, data in group:
            self._ledger.move(name, entry._replace(file=head.number, offset=at))
            at += len(data)


def company_seconds(told: int, took: float) -> float:
    """How long the writer waits at most when it has told so many after a sync of so many seconds. Who was told sends
    his next take in a moment; on a slow disk he would come a little too late for the next sync, and half of all share
    each."""
    return min(took / 2, COMPANY_SECONDS_MOST) if told > 1 and took > SLOW_SECONDS else 0.0


def _failed(error: Exception) -> "Future[None]":
    failed: Future[None] = Future()
    failed.set_exception(error)
    return failed


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
