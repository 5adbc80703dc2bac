"""Which bytes came under which take numbers in one lane: packed, so that a million of them are 56 MB and no more."""

from bisect import bisect_left

import numpy as np

from callvault.wire.runs import TAKE, TakeMark

_FRESH_MOST = 4_096
_PART_MOST = 65_536
"""So many are brought into order together and no more, for the event loop waits for it."""

Rows = np.ndarray[tuple[int], np.dtype[np.void]]


class KnownTakes:
    def __init__(self) -> None:
        self._parts: list[Rows] = []
        """Each in order of numbers, the older before the newer."""
        self._packed = 0
        self._fresh: dict[int, TakeMark] = {}

    def __len__(self) -> int:
        return self._packed + len(self._fresh)

    def get(self, take: int) -> TakeMark | None:
        if take in self._fresh:
            return self._fresh[take]
        found = (mark for part in self._parts if (mark := _found(part, take)))
        return next(found, None)

    def add(self, mark: TakeMark) -> None:
        self._fresh[mark.take] = mark
        if len(self._fresh) == _FRESH_MOST:
            self._pack(np.array([(m.take, m.start, m.samples, m.digest) for m in self._fresh.values()], TAKE))
            self._fresh.clear()

    def learn(self, *packed: bytes) -> None:
        """The `takes` columns of segments."""
        rows = np.frombuffer(b"".join(packed), TAKE)
        for at in range(0, len(rows), _PART_MOST):
            self._pack(rows[at : at + _PART_MOST])

    def _pack(self, rows: Rows) -> None:
        """Parts that are no larger than what comes behind them become one with it, so that there are few."""
        self._packed += len(rows)
        while self._parts and len(self._parts[-1]) <= min(len(rows), _PART_MOST - len(rows)):
            rows = np.frombuffer(self._parts.pop().tobytes() + rows.tobytes(), TAKE)
        self._parts.append(rows[np.argsort(rows["take"], kind="stable")])


def _found(part: Rows, take: int) -> TakeMark | None:
    numbers = part["take"]
    if not numbers[0] <= take <= numbers[-1]:
        return None
    # Numpy's search copies the column first, which is not contiguous.
    row = part[bisect_left(numbers, take)]
    if row["take"] != take:
        return None
    return TakeMark(take, int(row["start"]), int(row["samples"]), bytes(row["digest"]))
