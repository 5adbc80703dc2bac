"""Time, identifiers and the node's name: what makes a run differ from another, so that tests can hold it still."""

from typing import Protocol


class Clock(Protocol):
    """The time of day and the time that only goes forward."""

    def now_ms(self) -> int:
        """Unix time in milliseconds. It may jump; nothing may rely on its order but people."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, for timeouts and intervals."""
        ...


class Ids(Protocol):
    """Identifiers and randomness fit for secrets."""

    def uuid(self) -> str:
        """A fresh uuid7: rising with time, unique without asking anybody."""
        ...

    def secret(self, nbytes: int) -> bytes:
        """Bytes that nobody can guess."""
        ...

    def nonce(self) -> bytes:
        """Eight random bytes, which nobody else is given and which tell nothing of how many were."""
        ...
