"""Writes to SQLite: one thread commits all units that wait in one transaction, so that they share its fsync."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from queue import Empty, SimpleQueue

from callvault.adapters.store.units import Step, Steps
from callvault.domain.errors import AlreadyThere, Fault, Malformed, StoreUnavailable

TOGETHER = 512
OF_THE_UNIT = (Fault, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What is wrong with the unit itself, and hurts no other."""


@dataclass(slots=True)
class Waiting:
    steps: Callable[[], Steps]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]
    error: Exception | None = None


class SqliteWriter:
    def __init__(self, connect: Callable[[], sqlite3.Connection], fault_of: Callable[[sqlite3.Error], Fault]) -> None:
        self._connect, self._fault_of = connect, fault_of
        self._connection: sqlite3.Connection | None = None
        self.failed = False
        """Whether the last transaction did, for the sake of the database and not of a unit."""
        self._queue: SimpleQueue[Waiting | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="callvault-writer", daemon=True)
        self._thread.start()

    async def commit(self, steps: Callable[[], Steps]) -> None:
        if not self._thread.is_alive():
            raise StoreUnavailable(why="its writer has ended: restart callvault")
        loop = asyncio.get_running_loop()
        waiting = Waiting(steps, loop, loop.create_future())
        self._queue.put(waiting)
        await waiting.future

    def close(self) -> None:
        """Returns when all that was asked for before is committed."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        ended = False
        while not ended:
            taken = self._take()
            ended = None in taken
            group = [waiting for waiting in taken if waiting]
            if group:
                self._commit(group)
        self._disconnect()

    def _take(self) -> list[Waiting | None]:
        taken = [self._queue.get()]
        while len(taken) < TOGETHER and taken[-1]:
            try:
                taken.append(self._queue.get_nowait())
            except Empty:
                break
        return taken

    def _commit(self, group: list[Waiting]) -> None:
        try:
            self._commit_together(group)
            self.failed = False
        except sqlite3.Error as error:
            self.failed = True
            self._disconnect()
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL and len(group) > 1:
                for waiting in group:
                    self._commit([waiting])
                return
            for waiting in group:
                waiting.error = self._fault_of(error)
        _deliver(group)

    def _commit_together(self, group: list[Waiting]) -> None:
        self._connection = self._connection or self._connect()
        self._connection.execute("BEGIN IMMEDIATE")
        for waiting in group:
            self._connection.execute("SAVEPOINT unit")
            waiting.error = self._run(self._connection, waiting.steps())
            if waiting.error:
                self._connection.execute("ROLLBACK TO unit")
            self._connection.execute("RELEASE unit")
        self._connection.execute("COMMIT")

    def _run(self, connection: sqlite3.Connection, steps: Steps) -> Exception | None:
        """What is wrong with the unit, if anything; raises what is wrong with the database."""
        step = None
        try:
            step = next(steps)
            while True:
                step = steps.send(_answer(connection, step))
        except StopIteration:
            return None
        except OverflowError:
            return Malformed(what="number", why="it has more than 64 bits")
        except OF_THE_UNIT as error:
            return error
        except sqlite3.IntegrityError as error:
            return AlreadyThere(what=step.noun) if step and "UNIQUE" in str(error) else error
        except (sqlite3.ProgrammingError, sqlite3.InterfaceError) as error:
            return error

    def _disconnect(self) -> None:
        """Takes back what is not committed; the next group connects anew."""
        if self._connection:
            self._connection.close()
            self._connection = None


def _answer(connection: sqlite3.Connection, step: Step) -> object:
    if len(step.rows) > 1:
        connection.executemany(step.text, step.rows)
        return None
    cursor = connection.execute(step.text, step.rows[0])
    return cursor.fetchone() if step.answer == "row" else cursor.rowcount


def _deliver(group: list[Waiting]) -> None:
    for loop, waiting in groupby(group, lambda waiting: waiting.loop):
        settled = list(waiting)
        with suppress(RuntimeError):
            # The loop may be closed: then nobody waits any more.
            loop.call_soon_threadsafe(_settle, settled)


def _settle(group: list[Waiting]) -> None:
    for waiting in group:
        if waiting.future.done():
            continue
        if waiting.error:
            waiting.future.set_exception(waiting.error)
        else:
            waiting.future.set_result(None)
