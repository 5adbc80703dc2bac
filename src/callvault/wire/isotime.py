"""ISO 8601 times, to the millisecond and in UTC, as every API here writes them."""

from datetime import UTC, datetime

from callvault.domain.errors import Malformed


def serialize(unix_ms: int) -> str:
    whole, ms = divmod(unix_ms, 1000)
    return f"{datetime.fromtimestamp(whole, UTC).isoformat()[:19]}.{ms:03}Z"


def maybe(unix_ms: int | None) -> str | None:
    return None if unix_ms is None else serialize(unix_ms)


def parse(text: str) -> int:
    """Unix milliseconds; a time without a zone is taken as UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise Malformed(what="time", why="not an ISO 8601 time") from None
