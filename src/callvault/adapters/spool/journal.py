"""One file of the journal: records are appended to it, synced, found again; a torn tail is cut off."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from callvault.domain.errors import BlobCorrupt, BlobsUnavailable, DiskFull, PassingFault
from callvault.wire.spoolfile import (
    FILE_HEAD,
    NAME_MAX,
    RECORD_HEAD,
    FileHead,
    Record,
    RecordHead,
    Torn,
    parse_file_head,
    parse_head,
    parse_record,
    serialize_file_head,
)

PARTS_AT_ONCE = os.sysconf("SC_IOV_MAX")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def fault(error: OSError, path: Path) -> PassingFault:
    if error.errno in _FULL:
        return DiskFull(path=path.parent)
    return BlobsUnavailable(why=f"the spool cannot be used ({os.strerror(error.errno or 0)})")


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    """What the disk or the system does not do now is no end of whoever asked; a file that is gone is another matter."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise fault(error, path) from error


class JournalFile:
    """A file that is read; `size` is what is durable in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = int(path.stem, 16)
        self.size = path.stat().st_size
        self.live = 0
        """How many records in it are still wanted."""
        self.live_bytes = 0
        self.keys: set[int] = set()
        """Whose records are in it."""

    @contextmanager
    def opened(self) -> Iterator["Reader"]:
        """`FileNotFoundError` when everything wanted in it was carried elsewhere in the meantime."""
        with _faults(self.path):
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                yield Reader(self, fd)
            finally:
                os.close(fd)

    def cut(self, size: int) -> None:
        """What lies behind was never acknowledged."""
        if size < self.size:
            os.truncate(self.path, size)
            self.size = size

    def unlink(self) -> None:
        with _faults(self.path):
            self.path.unlink(missing_ok=True)


class Reader:
    def __init__(self, file: JournalFile, fd: int) -> None:
        self._file = file
        self._fd = fd

    def head(self) -> FileHead:
        return parse_file_head(os.pread(self._fd, FILE_HEAD, 0))

    def bytes(self, offset: int, length: int) -> bytes:
        return os.pread(self._fd, length, offset)

    def record(self, offset: int, length: int) -> Record:
        try:
            return parse_record(self.bytes(offset, length))
        except Torn as error:
            raise BlobCorrupt(key=f"spool/{self._file.path.name}", why="a record is not what was written") from error

    def scan(self, *, checked: bool) -> Iterator[tuple[int, RecordHead, str]]:
        """Offset, head and name of every whole record; `checked` reads the bodies too."""
        offset = FILE_HEAD
        while offset < self._file.size:
            try:
                data = self.bytes(offset, RECORD_HEAD + NAME_MAX)
                head = parse_head(data)
                if checked:
                    parse_record(self.bytes(offset, head.length))
            except Torn:
                return
            yield offset, head, data[RECORD_HEAD : RECORD_HEAD + head.name_length].decode()
            offset += head.length


class JournalHead(JournalFile):
    """The newest file, to which is written. A write returns when it is durable, so that a group is one system call:
    after each the writer has to wait for the interpreter again."""

    def __init__(self, path: Path, head: FileHead) -> None:
        try:
            self._fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_WRONLY | os.O_DSYNC, 0o600)
        except OSError as error:
            raise fault(error, path) from error
        super().__init__(path)
        self._dirty = False
        """Whether something that was not acknowledged may lie behind `size`."""
        has_begun = False
        try:
            self.append([serialize_file_head(head)])
            sync_folder(path.parent)
            has_begun = True
        finally:
            if not has_begun:
                self.unlink()
                self.close()

    def append(self, parts: Sequence[bytes]) -> int:
        """The parts are durable one behind the other from the offset returned, or the file is as it was before."""
        at = self.size
        try:
            if self._dirty:
                os.ftruncate(self._fd, at)
            self._dirty = True
            self._write(parts, at)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._fd, at)
            raise fault(error, self.path) from error
        self._dirty = False
        self.size += sum(map(len, parts))
        return at

    def _write(self, parts: Sequence[bytes], at: int) -> None:
        written = os.pwritev(self._fd, parts, at) if len(parts) <= PARTS_AT_ONCE else 0
        if written == sum(map(len, parts)):
            return
        rest = memoryview(b"".join(parts))
        while written < len(rest):
            written += os.pwrite(self._fd, rest[written:], at + written)

    def close(self) -> None:
        os.close(self._fd)


def sync_folder(folder: Path) -> None:
    with _faults(folder):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
