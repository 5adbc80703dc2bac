"""ISO 8601 times, to the millisecond and in UTC, as every API here writes them."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from callvault.domain.errors import Malformed

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a time without a zone is put into text in half the time
_LAST_SECOND = 253_402_300_799
"""Of the year 9999: four digits tell no later one."""


def serialize(unix_ms: int) -> str:
    """What is beyond the year 9999, as the end of a call that begins in its last second, is told as in that second."""
    return f"{_second(unix_ms // 1000)}.{unix_ms % 1000:03}Z"


@lru_cache(1024)
def _second(unix_s: int) -> str:
    """What is told at the same time is mostly of the same times."""
    return (_EPOCH + timedelta(seconds=min(unix_s, _LAST_SECOND))).isoformat()


def maybe(unix_ms: int | None) -> str | None:
    return None if unix_ms is None else serialize(unix_ms)


def parse(text: str) -> int:
    """Unix milliseconds; a time without a zone is taken as UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise Malformed(what="time", why="not an ISO 8601 time") from None
