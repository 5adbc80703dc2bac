"""How the rounds share the disk with those who wait for it."""

from typing import Any

import pytest
from tests.fakes import FakeClock

from callvault.adapters.spool.memory import MemorySpool
from callvault.ports.spool import Piece
from callvault.services.ingest.rounds import EVERY_SECONDS, Rounds


class Nothing:
    """No recording is open and none has ended."""

    holding: frozenset[str] = frozenset()

    def peek(self, recording_id: str) -> None:
        return None


class SlowMover:
    def __init__(self, clock: FakeClock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds

    async def move(self, recording_id: str) -> bool:
        self._clock.advance(self._seconds)
        return True


class Resting(Rounds):
    """Stops after a few rounds, and tells how long it would have rested."""

    def __init__(self, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self.rests: list[float] = []

    async def stopping(self, seconds: float) -> bool:
        self.rests.append(seconds)
        return len(self.rests) == 3


async def rests(moving_seconds: float, behind_bytes: int) -> list[float]:
    clock, spool, nothing = FakeClock(0), MemorySpool(), Nothing()
    spool.append("r1", "w1", [Piece("a", 1, "pcmu", 8000, 0, 8 << 20, bytes(8 << 20))])
    rounds = Resting(spool, nothing, SlowMover(clock, moving_seconds), nothing, clock, behind_bytes=behind_bytes)
    await rounds.until_stopped()
    return rounds.rests


async def test_a_burst_moves_a_step_a_second() -> None:
    assert await rests(0.25, behind_bytes=16 << 20) == [EVERY_SECONDS] * 3


@pytest.mark.parametrize(("moving", "rest"), [(0.25, 0.25), (5.0, EVERY_SECONDS)])
async def test_beyond_a_burst_moving_rests_as_long_as_it_worked_and_never_for_longer_than_within_one(
    moving: float, rest: float
) -> None:
    assert await rests(moving, behind_bytes=1 << 20) == pytest.approx([rest] * 3)
