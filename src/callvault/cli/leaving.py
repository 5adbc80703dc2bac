"""Leaving: a process that was told to stop has gone in time, though a disk, a storage or a database does not answer."""

import logging
import os
import sys
from threading import Timer
from types import TracebackType
from typing import Final

log = logging.getLogger(__name__)
LEAVE_SECONDS: Final = 9.0
"""After the signal; ten were promised."""
EMPTY_SECONDS: Final = 0.5
NOT_ALL_WRITTEN: Final = 4


class Leaving:
    """Python waits at its end for every thread, and one may wait for a storage for minutes."""

    def __init__(self) -> None:
        self._timers: list[Timer] = []

    def begin(self) -> None:
        """The signal came."""
        if not self._timers:
            self._within(LEAVE_SECONDS, NOT_ALL_WRITTEN)

    def empty(self) -> None:
        """All that was acknowledged is written down, and nobody waits for what threads still do."""
        self._within(EMPTY_SECONDS, 0)

    def __enter__(self) -> "Leaving":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for timer in self._timers:
            timer.cancel()

    def _within(self, seconds: float, status: int) -> None:
        timer = Timer(seconds, _leave, (status,))
        timer.daemon = True
        timer.start()
        self._timers.append(timer)


def _leave(status: int) -> None:
    log.warning("left without waiting for what does not answer: the next start goes on with it")
    sys.stdout.flush()
    os._exit(status)
