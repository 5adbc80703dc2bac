"""Reads of SQLite: the short ones of one turn of the event loop together, the long ones beside it.

What is asked in one turn is answered in the next one, read after read, at one look at the database: to begin and to end
a look costs as much as a short read, and reads in a row take half as long as reads with something else in between.
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
ROWS = 3_000
"""A read on the event loop's thread may take so many steps of SQLite's machine, some milliseconds, and have fewer rows
than that: a row may be large."""
OF_THE_READ = (ArithmeticError, MemoryError, TypeError, ValueError, sqlite3.Error)
"""What may be wrong with a read, and is told to who asked for it and to no other."""

Rows = list[Any]
Asked = tuple[asyncio.Future[Rows | None], str, Row]


class SqliteReader:
    def __init__(self, connect: Callable[[], sqlite3.Connection], fault_of: Callable[[sqlite3.Error], Fault]) -> None:
        self._connect, self._fault_of = connect, fault_of
        self._quick = connect()
        self._quick.set_progress_handler(self._tick, STRIDE)
        self._cursor = self._quick.cursor()
        self._lock = threading.Lock()
        self._strides_left = 0
        self._asked: dict[asyncio.AbstractEventLoop, list[Asked]] = {}
        self._closed = False
        self._slow = threading.local()
        self._slow_connections: list[sqlite3.Connection] = []
        self._threads = ThreadPoolExecutor(2, "callvault-reads")

    def soon(self, text: str, values: Row) -> asyncio.Future[Rows | None]:
        """The rows, of no older a moment than this, or None when it would take longer than the event loop can wait."""
        loop = asyncio.get_running_loop()
        asked = self._asked.get(loop)
        if asked is None:
            asked = self._asked[loop] = []
            loop.call_soon(self._answer, loop)
        future: asyncio.Future[Rows | None] = loop.create_future()
        asked.append((future, text, values))
        return future

    async def in_time(self, text: str, values: Row) -> Rows:
        try:
            if self._closed:
                raise sqlite3.ProgrammingError("it was closed before a long read began")
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._rows_in_time, text, values)
        except sqlite3.Error as error:
            raise self._told(error) from error

    def close(self) -> None:
        self._closed = True
        self._threads.shutdown()
        with self._lock:
            for connection in (self._quick, *self._slow_connections):
                connection.close()

    def _answer(self, loop: asyncio.AbstractEventLoop) -> None:
        asked = self._asked.pop(loop)
        with self._lock:
            for future, text, values in asked:
                if future.done():
                    continue  # whoever asked has gone
                try:
                    future.set_result(self._read(text, values))
                except OF_THE_READ as error:
                    future.set_exception(self._told(error))
            self._look_away()

    def _read(self, text: str, values: Row) -> Rows | None:
        self._strides_left = STRIDES
        try:
            if not self._quick.in_transaction:
                self._cursor.execute("BEGIN")
            rows = self._cursor.execute(text, values).fetchmany(ROWS)
            return rows if len(rows) < ROWS else None
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
                return None
            raise

    def _look_away(self) -> None:
        with suppress(sqlite3.Error):  # it may be closed by then; a disk that fails is told by the next read
            if self._quick.in_transaction:
                self._strides_left = STRIDES  # the steps of a statement that is prepared once are counted on
                self._cursor.execute("COMMIT")

    def _told(self, error: Exception) -> Exception:
        if isinstance(error, OverflowError):
            return Malformed(what="number", why="it has more than 64 bits")
        if not isinstance(error, sqlite3.Error):
            return error
        fault = self._fault_of(error)
        fault.__cause__ = error
        return fault

    def _tick(self) -> bool:
        self._strides_left -= 1
        return self._strides_left < 0

    def _rows_in_time(self, text: str, values: Row) -> Rows:
        if not hasattr(self._slow, "connection"):
            self._slow.connection = self._connect()
            self._slow_connections.append(self._slow.connection)
        found: Rows = self._slow.connection.execute(text, values).fetchall()
        return found
