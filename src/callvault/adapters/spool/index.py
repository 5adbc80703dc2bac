"""What a spool holds, kept in memory: for every recording the places of its records, a few bytes each."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple


class Entry(NamedTuple):
    serial: int
    file: int
    offset: int
    length: int


class Held:
    """One recording's records in order of serials."""

    def __init__(self, workspace_id: str) -> None:
        self.workspace_id = workspace_id
        self.size = 0
        self._serials = array("Q")
        self._files = array("L")
        self._offsets = array("Q")
        self._lengths = array("L")

    def __len__(self) -> int:
        return len(self._serials)

    def __iter__(self) -> Iterator[Entry]:
        return map(Entry._make, zip(self._serials, self._files, self._offsets, self._lengths, strict=True))

    def __contains__(self, serial: int) -> bool:
        at = bisect_left(self._serials, serial)
        return at < len(self._serials) and self._serials[at] == serial

    def add(self, entry: Entry) -> Entry | None:
        """Returns the entry that this one replaces: the same record where it stood before it was carried over."""
        serial, file, offset, length = entry
        at = bisect_left(self._serials, serial)
        if at < len(self._serials) and self._serials[at] == serial:
            replaced = Entry(serial, self._files[at], self._offsets[at], self._lengths[at])
            self._files[at], self._offsets[at] = file, offset
            return replaced
        self._serials.insert(at, serial)
        self._files.insert(at, file)
        self._offsets.insert(at, offset)
        self._lengths.insert(at, length)
        self.size += length
        return None

    def drop(self, through: int) -> list[Entry]:
        """Forgets the records up to the serial and returns them."""
        count = bisect_right(self._serials, through)
        gone = [entry for entry, _ in zip(self, range(count), strict=False)]
        for column in self._columns:
            del column[:count]
        self.size -= sum(entry.length for entry in gone)
        return gone

    @property
    def _columns(self) -> "tuple[array[int], ...]":
        return (self._serials, self._files, self._offsets, self._lengths)
