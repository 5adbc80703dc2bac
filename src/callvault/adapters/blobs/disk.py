"""Objects as files in a folder: on disk before they have a name, and never under a name in part."""

import errno
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from callvault.adapters.blobs.measure import Measured, checked, exactly, span
from callvault.adapters.blobs.probe import probe
from callvault.domain.errors import BlobCorrupt, BlobExists, BlobMissing, BlobsUnavailable, DiskFull, Misconfigured
from callvault.domain.stored import StoredObject
from callvault.ports.blobs import Chunk

CHUNK = 262_144
WRITTEN = 1 << 20
"""At once, and more where a chunk is larger: Linux keeps what came in large writes in large pages, and then reads it in
half the time."""
INCOMING = ".incoming"
"""Where files are written before they are linked to their names; that it is there shows that the disk is mounted."""
NOT_OURS = {f"{INCOMING}/", "lost+found/"}
LEFT_OVER_SECONDS = 24 * 3600
MISCONFIGURED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ELOOP}
NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EMLINK}


class DiskBlobs:
    """Several processes may share the folder. A name is given by link(2), so that of racing puts one wins."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / INCOMING
        with self._translated(""):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._incoming.mkdir(exist_ok=True)
            self._sweep()

    def put(self, key: str, chunks: Iterable[Chunk], *, workspace_id: str = "", digest: bool = True) -> StoredObject:
        path, written = self._path(key), self._incoming / secrets.token_hex(16)
        measured = Measured(chunks, digest)
        with self._translated(key, measured):
            try:
                _write(written, measured)
                self._name(written, path)
            finally:
                written.unlink(missing_ok=True)
        return measured.stored(key)

    def read(self, obj: StoredObject, start: int = 0, length: int | None = None) -> bytes:
        """In one piece, for joining several costs as much as reading them."""
        return b"".join(self._stretch(obj, start, length, obj.size + 1))

    def stream(self, obj: StoredObject, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        return self._stretch(obj, start, length, CHUNK)

    def _stretch(self, obj: StoredObject, start: int, length: int | None, chunk: int) -> Iterator[bytes]:
        expected = span(obj.size, start, length)
        pieces = self._pieces(obj.key, start, None if length is None else start + expected, chunk)
        return exactly(expected, obj.key, pieces)

    def file(self, obj: StoredObject) -> BinaryIO:
        with self._translated(obj.key):
            file = os.fdopen(self._open(obj.key), "rb", buffering=0)
            if (size := os.fstat(file.fileno()).st_size) != obj.size:
                file.close()
                raise BlobCorrupt(key=obj.key, why=f"it is {size} bytes long and was {obj.size}")
            return file

    def delete(self, key: str) -> None:
        path = self._path(key)
        with self._translated(key):
            path.unlink(missing_ok=True)
            if path.parent.exists():
                _sync_folder(path.parent)

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        with self._translated(""):
            yield from self._walk("", prefix)

    def check(self) -> None:
        probe(self)

    def _path(self, key: str) -> Path:
        return self._folder / checked(key)

    def _name(self, written: Path, path: Path) -> None:
        try:
            os.link(written, path)
        except FileNotFoundError:
            self._make_folders(path.parent)
            os.link(written, path)
        _sync_folder(path.parent)

    def _make_folders(self, folder: Path) -> None:
        """Each folder is on disk in its parent before anything is named in it."""
        if folder != self._folder and not folder.exists():
            self._make_folders(folder.parent)
            folder.mkdir(exist_ok=True)
            _sync_folder(folder.parent)

    def _pieces(self, key: str, start: int, stop: int | None, chunk: int) -> Iterator[bytes]:
        with self._translated(key):
            file = self._open(key)
            try:
                while stop is None or start < stop:
                    piece = os.pread(file, chunk if stop is None else min(chunk, stop - start), start)
                    if not piece:
                        return
                    start += len(piece)
                    yield piece
            finally:
                os.close(file)

    def _open(self, key: str) -> int:
        return os.open(f"{self._folder}/{checked(key)}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def _walk(self, folder: str, prefix: str) -> Iterator[tuple[str, int]]:
        """In the order of whole names, in which `a-b` comes before `a/b`: so a folder sorts by its name and a slash."""
        with os.scandir(self._folder / folder) as entries:
            found = sorted((f"{folder}{e.name}{'/' if e.is_dir(follow_symlinks=False) else ''}") for e in entries)
        for name in found:
            if name in NOT_OURS:
                continue
            if name.endswith("/"):
                if name.startswith(prefix) or prefix.startswith(name):
                    yield from self._walk(name, prefix)
            elif name.startswith(prefix):
                yield from self._sized(name)

    def _sized(self, name: str) -> Iterator[tuple[str, int]]:
        try:
            yield name, (self._folder / name).stat().st_size
        except FileNotFoundError:
            return

    def _sweep(self) -> None:
        """Away with what a crash left behind, if it is too old to be somebody's work."""
        for path in self._incoming.iterdir():
            with suppress(FileNotFoundError):  # another process is done with it, or sweeps too
                if time.time() - path.stat().st_mtime > LEFT_OVER_SECONDS:
                    path.unlink()

    @contextmanager
    def _translated(self, key: str, source: Measured | None = None) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if source and source.failed:
                raise
            raise self._fault(error, key) from error

    def _fault(self, error: OSError, key: str) -> Exception:
        if isinstance(error, FileExistsError) and key:
            return BlobExists(key=key)
        if isinstance(error, FileNotFoundError) and self._incoming.is_dir():
            return BlobMissing(key=key)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return DiskFull(path=self._folder)
        if error.errno in NO_HARD_LINKS and error.filename2:
            return Misconfigured(problems=f"the storage folder {self._folder} is on a file system without hard links")
        if error.errno in MISCONFIGURED:
            return Misconfigured(problems=f"the storage folder {self._folder} cannot be used: {error.strerror}")
        return BlobsUnavailable(why=f"{self._folder}: {error.strerror}")


def _write(path: Path, chunks: Iterable[Chunk]) -> None:
    with path.open("xb", buffering=WRITTEN) as file:
        file.writelines(chunks)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
