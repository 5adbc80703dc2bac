"""Stretches of a clock: made one where they meet, what they leave free, and which of them lie over another one."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice
from typing import Generic, TypeVar

T = TypeVar("T")
Stretch = tuple[int, int]
"""From a time to before another."""


def united(stretches: Iterable[Stretch]) -> list[Stretch]:
    """In order, those that meet as one."""
    found: list[Stretch] = []
    for start, end in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif start < end:
            found.append((start, end))
    return found


def between(stretches: Sequence[Stretch], start: int, end: int) -> Iterator[Stretch]:
    """What of `start` to `end` united ones leave free."""
    at = start
    for first, last in islice(stretches, max(bisect_right(stretches, (start, 0)) - 1, 0), None):
        if first >= end:
            break
        if at < first:
            yield at, first
        at = max(at, last)
    if at < end:
        yield at, end


def touch(stretches: Sequence[Stretch], start: int, end: int) -> bool:
    """Whether one of united ones lies over some of it."""
    begun = bisect_left(stretches, (end, 0))
    return begun > 0 and stretches[begun - 1][1] > start


class Laid(Generic[T]):
    """Things with their stretches: who asks what lies over another one goes through few of the others."""

    def __init__(self, things: Iterable[tuple[int, int, T]]) -> None:
        self._things = sorted(things, key=lambda thing: thing[0])
        self._starts = [start for start, _, _ in self._things]
        self._reached = list(accumulate((end for _, end, _ in self._things), max))
        """How far what began until then reaches."""

    def over(self, start: int, end: int) -> Iterator[tuple[int, int, T]]:
        """Each with the stretch of it that is meant."""
        first, past = bisect_right(self._reached, start), bisect_left(self._starts, end)
        for begin, stop, thing in islice(self._things, first, past):
            if max(begin, start) < min(stop, end):
                yield max(begin, start), min(stop, end), thing
