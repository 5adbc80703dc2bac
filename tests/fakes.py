"""A clock, identifiers and room on a disk that the tests hold in their hands."""

from pathlib import Path

from callvault.adapters.room import DiskRoom
from callvault.domain.errors import DiskFull
from callvault.domain.ids import uuid7


class FakeClock:
    def __init__(self, now_ms: int = 1_760_000_000_000) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000

    def advance(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


class FakeIds:
    def __init__(self) -> None:
        self.count = 0

    def uuid(self) -> str:
        self.count += 1
        return uuid7(1_760_000_000_000 + self.count, self.count.to_bytes(10, "big"))

    def secret(self, nbytes: int) -> bytes:
        self.count += 1
        return self.count.to_bytes(nbytes, "big")

    def nonce(self) -> bytes:
        return self.secret(8)


class FakeRoom(DiskRoom):
    """For so many bytes at a time, whatever the disk says; for fewer than 0 for nothing at all."""

    def __init__(self, folder: Path, free: int = 1 << 62) -> None:
        super().__init__(folder)
        self.free = free
        self.asked: list[int] = []

    def check(self, coming: int = 0) -> None:
        self.asked.append(coming)
        if coming > self.free:
            raise DiskFull(path="…")
