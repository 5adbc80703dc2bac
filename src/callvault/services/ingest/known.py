"""Which bytes came under which take numbers in one lane: packed, so that a million of them are 56 MB and no more."""

from bisect import bisect_left

import numpy as np

from callvault.wire.runs import TAKE, TakeMark

_FRESH_MOST = 4096


class KnownTakes:
    def __init__(self) -> None:
        self._rows = np.empty(0, TAKE)
        """In order of numbers."""
        self._fresh: dict[int, TakeMark] = {}

    def __len__(self) -> int:
        return len(self._rows) + len(self._fresh)

    def get(self, take: int) -> TakeMark | None:
        if take in self._fresh:
            return self._fresh[take]
        # Numpy's search copies the column first, which is not contiguous.
        at = bisect_left(self._rows["take"], take)
        if at == len(self._rows) or self._rows["take"][at] != take:
            return None
        row = self._rows[at]
        return TakeMark(take, int(row["start"]), int(row["samples"]), bytes(row["digest"]))

    def add(self, mark: TakeMark) -> None:
        self._fresh[mark.take] = mark
        if len(self._fresh) > max(_FRESH_MOST, len(self._rows) // 4):
            rows = np.array([(m.take, m.start, m.samples, m.digest) for m in self._fresh.values()], TAKE)
            self._fresh.clear()
            self._merge(rows)

    def learn(self, *packed: bytes) -> None:
        """The `takes` columns of segments."""
        if packed:
            self._merge(np.concatenate([np.frombuffer(takes, TAKE) for takes in packed]))

    def _merge(self, rows: "np.ndarray[tuple[int], np.dtype[np.void]]") -> None:
        rows = np.concatenate((self._rows, rows))
        self._rows = rows[np.argsort(rows["take"], kind="stable")]
