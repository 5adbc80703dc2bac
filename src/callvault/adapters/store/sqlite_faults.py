"""What SQLite's errors mean to those who have to mend them."""

import sqlite3
from pathlib import Path

from callvault.domain.errors import DiskFull, Fault, StoreDamaged, StoreUnavailable

WHY = {
    sqlite3.SQLITE_BUSY: "{path} is held by another process for too long: see which one has it open",
    sqlite3.SQLITE_READONLY: "{path} may not be written: mend the permissions of the file and its folder",
    sqlite3.SQLITE_PERM: "{path} may not be opened: mend its permissions",
    sqlite3.SQLITE_CANTOPEN: "{path} cannot be opened: see that its folder exists and may be written",
    sqlite3.SQLITE_IOERR: "reading or writing {path} fails: check the disk",
}
DAMAGED = {
    sqlite3.SQLITE_CORRUPT: "{path} is damaged, or its disk cannot be read",  # SQLite calls both so
    sqlite3.SQLITE_NOTADB: "{path} is no SQLite database",
}
PRIMARY = 0xFF
"""The part of SQLite's error codes that tells the kind; the rest tells it more closely."""


def fault_of(error: sqlite3.Error, path: Path) -> Fault:
    code = getattr(error, "sqlite_errorcode", 0) & PRIMARY
    if not code and isinstance(error, sqlite3.OperationalError):  # which tells the bytes that it could not decode
        return StoreDamaged(why=f"{path} holds a text that is none")
    if code == sqlite3.SQLITE_FULL:
        return DiskFull(path=path.parent)
    if code in DAMAGED:
        return StoreDamaged(why=DAMAGED[code].format(path=path))
    return StoreUnavailable(why=WHY[code].format(path=path) if code in WHY else str(error))
