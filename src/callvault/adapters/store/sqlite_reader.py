"""Reads of SQLite: at once where they are short, beside the event loop where they are not.

To begin and to end a look at the database costs as much as a short read. So the short reads of one turn of the event
loop look at one moment of it, unless somebody in this process has committed meanwhile.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from callvault.adapters.store.rows import Row
from callvault.domain.errors import Fault, Malformed

STRIDE = 5_000
STRIDES = 10
"""A read on the caller's own thread may take so many steps of SQLite's machine, some milliseconds."""


class SqliteReader:
    def __init__(self, connect: Callable[[], sqlite3.Connection], fault_of: Callable[[sqlite3.Error], Fault]) -> None:
        self._connect, self._fault_of = connect, fault_of
        self._quick = connect()
        self._quick.set_progress_handler(self._tick, STRIDE)
        self._cursor = self._quick.cursor()
        self._lock = threading.Lock()
        self._strides_left = 0
        self._newer = True
        self._slow = threading.local()
        self._slow_connections: list[sqlite3.Connection] = []
        self._threads = ThreadPoolExecutor(2, "callvault-reads")

    def at_once(self, text: str, values: Row) -> list[Any] | None:
        """The rows, or None when it would take longer than the event loop can wait."""
        with self._lock:
            self._strides_left = STRIDES
            try:
                if self._newer or not self._quick.in_transaction:
                    self._look_anew()
                return self._cursor.execute(text, values).fetchall()
            except (OverflowError, sqlite3.Error) as error:
                if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
                    return None
                raise self._told(error) from error

    async def in_time(self, text: str, values: Row) -> list[Any]:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._rows_in_time, text, values)
        except sqlite3.Error as error:
            raise self._told(error) from error

    def committed(self) -> None:
        """What is read from now on is no older than this."""
        self._newer = True

    def close(self) -> None:
        self._threads.shutdown()
        for connection in (self._quick, *self._slow_connections):
            connection.close()

    def _look_anew(self) -> None:
        if self._quick.in_transaction:
            self._cursor.execute("COMMIT")
        else:
            asyncio.get_running_loop().call_soon(self._look_away)
        self._newer = False
        self._cursor.execute("BEGIN")

    def _look_away(self) -> None:
        with self._lock, suppress(sqlite3.ProgrammingError):  # it may be closed by then
            if self._quick.in_transaction:
                self._strides_left = STRIDES  # the steps of a statement that is prepared once are counted on
                self._cursor.execute("COMMIT")

    def _told(self, error: OverflowError | sqlite3.Error) -> Fault:
        if isinstance(error, OverflowError):
            return Malformed(what="number", why="it has more than 64 bits")
        return self._fault_of(error)

    def _tick(self) -> bool:
        self._strides_left -= 1
        return self._strides_left < 0

    def _rows_in_time(self, text: str, values: Row) -> list[Any]:
        if not hasattr(self._slow, "connection"):
            self._slow.connection = self._connect()
            self._slow_connections.append(self._slow.connection)
        found: list[Any] = self._slow.connection.execute(text, values).fetchall()
        return found
