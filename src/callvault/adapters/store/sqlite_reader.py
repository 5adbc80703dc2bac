"""Reads of SQLite: at once where they are short, beside the event loop where they are not."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from callvault.adapters.store.rows import Row

STRIDE = 5_000
STRIDES = 10
"""A read on the caller's own thread may take so many steps of SQLite's machine, some milliseconds."""


class SqliteReader:
    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._quick = connect()
        self._quick.set_progress_handler(self._tick, STRIDE)
        self._lock = threading.Lock()
        self._strides_left = 0
        self._slow = threading.local()
        self._slow_connections: list[sqlite3.Connection] = []
        self._threads = ThreadPoolExecutor(2, "callvault-reads")

    def at_once(self, text: str, values: Row) -> list[Any] | None:
        """The rows, or None when it would take longer than the event loop can wait."""
        with self._lock:
            self._strides_left = STRIDES
            try:
                return self._quick.execute(text, values).fetchall()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                    raise
                return None

    async def in_time(self, text: str, values: Row) -> list[Any]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._rows_in_time, text, values)

    def close(self) -> None:
        self._threads.shutdown()
        for connection in (self._quick, *self._slow_connections):
            connection.close()

    def _tick(self) -> bool:
        self._strides_left -= 1
        return self._strides_left < 0

    def _rows_in_time(self, text: str, values: Row) -> list[Any]:
        if not hasattr(self._slow, "connection"):
            self._slow.connection = self._connect()
            self._slow_connections.append(self._slow.connection)
        found: list[Any] = self._slow.connection.execute(text, values).fetchall()
        return found
