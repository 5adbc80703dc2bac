"""The machine's own clock and randomness."""

import secrets
import time

from callvault.domain.ids import uuid7

DRAWN = 512


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


class SystemIds:
    def __init__(self) -> None:
        self._nonces: list[bytes] = []

    def uuid(self) -> str:
        return uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10))

    def secret(self, nbytes: int) -> bytes:
        return secrets.token_bytes(nbytes)

    def nonce(self) -> bytes:
        """Drawn many at once: to ask the system for each takes many times as long."""
        if not self._nonces:
            drawn = secrets.token_bytes(8 * DRAWN)
            self._nonces = [drawn[at : at + 8] for at in range(0, len(drawn), 8)]
        return self._nonces.pop()
