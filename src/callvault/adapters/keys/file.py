"""The master keys of a file that is read again when it changes, so that a rotation needs no restart."""

import threading
from contextlib import suppress
from pathlib import Path

from callvault.adapters.keys.master import MasterKeys, read_master_keys
from callvault.domain.errors import KeyUnavailable, Misconfigured


class FileMasterKeys:
    """Safe for threads. A file that cannot be read any more leaves what was read before in force."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp = _stamp(path)
        self._keys = read_master_keys(path)

    @property
    def id(self) -> str:
        return self._now().id

    def wrap(self, key: bytes, context: str) -> str:
        return self._now().wrap(key, context)

    def unwrap(self, wrapped: str, context: str) -> bytes:
        return self._now().unwrap(wrapped, context)

    def _now(self) -> MasterKeys:
        with self._lock:
            stamp = _stamp(self._path)
            if stamp not in (None, self._stamp):
                with suppress(KeyUnavailable, Misconfigured):
                    self._keys, self._stamp = read_master_keys(self._path), stamp
            return self._keys


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
