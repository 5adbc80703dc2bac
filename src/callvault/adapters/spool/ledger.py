"""The journal as a whole: its files in order, which of their records are wanted, and which files are not any more."""

import threading
from collections.abc import Sequence
from pathlib import Path

from callvault.adapters.spool.index import Entry, Held
from callvault.adapters.spool.journal import JournalFile, JournalHead, Reader
from callvault.adapters.spool.sealing import JournalKeys
from callvault.domain.errors import BlobCorrupt
from callvault.ports.spool import Holding
from callvault.wire.spoolfile import FILE_HEAD, FileHead, Kind, RecordHead, Torn


class Ledger:
    """Safe for threads: one writes, many read. Files leave the disk oldest first, for a drop that is written in a
    newer file speaks of records in older ones."""

    def __init__(self, folder: Path, spool: bytes, keys: JournalKeys) -> None:
        self._folder = folder
        self._spool = spool
        self._keys = keys
        self._lock = threading.Lock()
        self._files: dict[int, JournalFile] = {}
        self._held: dict[str, Held] = {}
        self.next_serial = 1
        self.head: JournalHead | None = None
        self._find()

    def _find(self) -> None:
        paths = sorted(self._folder.glob("*.spool"))
        for path in paths:
            file = JournalFile(path)
            with file.opened() as reader:
                self._learn(file, reader, newest=path == paths[-1])
        self.reap()

    def _learn(self, file: JournalFile, reader: Reader, *, newest: bool) -> None:
        try:
            first = reader.head().serial
        except Torn as error:
            if not newest:
                raise BlobCorrupt(key=f"spool/{file.path.name}", why="it does not begin as a journal does") from error
            file.unlink()
            return
        self._files[file.number] = file
        end = FILE_HEAD
        self.next_serial = max(self.next_serial, first)
        for offset, head, name in reader.scan(checked=newest):
            end = offset + head.length
            if head.kind is Kind.KEY:
                self._keys.learn(reader.record(offset, head.length))
                file.keys.add(head.key)
            else:
                self._replay(file, offset, head, name)
        if not newest and end < file.size:
            raise BlobCorrupt(key=f"spool/{file.path.name}", why=f"there is no record at byte {end}")
        file.cut(end)

    def _replay(self, file: JournalFile, offset: int, head: RecordHead, name: str) -> None:
        if head.kind is Kind.DROP:
            self.drop(name, head.serial)
        else:
            self.add(name, self._keys.workspace(head.key), Entry(head.serial, file.number, offset, head.length))

    def begin_file(self) -> JournalHead:
        """A new head; the one before is closed."""
        number = max(self._files, default=0) + 1
        head = JournalHead(self._folder / f"{number:010x}.spool", FileHead(self._spool, self.next_serial))
        if self.head:
            self.head.close()
        with self._lock:
            self._files[number] = self.head = head
        return head

    def add(self, recording_id: str, workspace_id: str, entry: Entry) -> None:
        with self._lock:
            held = self._held.get(recording_id)
            if held is None:
                held = self._held[recording_id] = Held(workspace_id)
            self._place(held, entry)
            self.next_serial = max(self.next_serial, entry.serial + 1)

    def move(self, recording_id: str, entry: Entry) -> None:
        """It stands in a new place, if it is wanted still."""
        with self._lock:
            held = self._held.get(recording_id)
            if held is not None and entry.serial in held:
                self._place(held, entry)

    def drop(self, recording_id: str, through: int) -> None:
        with self._lock:
            held = self._held.get(recording_id)
            for entry in held.drop(through) if held else []:
                self._count(entry, -1)
            if held is not None and not held:
                del self._held[recording_id]

    def _place(self, held: Held, entry: Entry) -> None:
        replaced = held.add(entry)
        self._count(entry, 1)
        if replaced:
            self._count(replaced, -1)

    def _count(self, entry: Entry, by: int) -> None:
        file = self._files[entry.file]
        file.live += by
        file.live_bytes += by * entry.length

    def reap(self) -> None:
        """The oldest files in which nothing is wanted leave the disk; the newest stays, for it knows the serials."""
        while oldest := self._unwanted():
            oldest.unlink()

    def _unwanted(self) -> JournalFile | None:
        with self._lock:
            oldest = self.oldest() if len(self._files) > 1 else None
            if oldest is None or oldest.live:
                return None
            del self._files[oldest.number]
            self._keys.forget(oldest.keys - {key for file in self._files.values() for key in file.keys})
            return oldest

    def oldest(self) -> JournalFile:
        return next(iter(self._files.values()))

    def mostly_dead(self) -> bool:
        """Whether records in the oldest file keep the disk full of what nobody wants."""
        with self._lock:
            files = list(self._files.values())
        return sum(file.live_bytes for file in files) * 2 < sum(file.size for file in files) and len(files) > 2

    def in_file(self, number: int) -> list[tuple[str, Entry]]:
        """What is wanted in the file."""
        with self._lock:
            return [(name, entry) for name, held in self._held.items() for entry in held if entry.file == number]

    def entries(self, recording_id: str, at_most: int | None) -> list[tuple[JournalFile, Entry]]:
        with self._lock:
            found: list[tuple[JournalFile, Entry]] = []
            size = 0
            for entry in self._held.get(recording_id, ()):
                size += entry.length
                if found and at_most is not None and size > at_most:
                    break
                found.append((self._files[entry.file], entry))
        return found

    def holdings(self) -> Sequence[Holding]:
        with self._lock:
            return [Holding(recording, held.workspace_id, held.size) for recording, held in self._held.items()]
