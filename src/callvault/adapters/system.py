"""The machine's own clock and randomness."""

import secrets
import time
from itertools import count

from callvault.domain.ids import uuid7


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


class SystemIds:
    def __init__(self) -> None:
        self._nonces = count(secrets.randbits(63))

    def uuid(self) -> str:
        return uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10))

    def secret(self, nbytes: int) -> bytes:
        return secrets.token_bytes(nbytes)

    def nonce(self) -> bytes:
        """Counted on from a number that no other process has begun with: to ask the system takes many times as long."""
        return next(self._nonces).to_bytes(8, "big")
