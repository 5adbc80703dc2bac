"""Edit lists on whole frames: which stretch of which timeline is heard where in a recording."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from callvault.audio.clock import frame_at, frames_until


class Long(Protocol):
    """Something with a length on the call's clock."""

    @property
    def length_us(self) -> int: ...

    def frames(self, rate: int) -> int: ...


T = TypeVar("T", bound=Long)


@dataclass(frozen=True, slots=True)
class Stretch(Generic[T]):
    """A stretch of a timeline's clock."""

    timeline: T
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """Frames `start` to `end` of a timeline, heard from frame `at` of the recording on."""

    timeline: T
    start: int
    end: int
    at: int
    ahead_us: int = 0
    """By how much the recording's clock is ahead of the timeline's in this part."""

    @property
    def stop(self) -> int:
        return self.at + self.end - self.start

    def touched(self, start_us: int, end_us: int, rate: int) -> tuple[int, int]:
        """The frames of the timeline that a time of the recording's clock touches, so that a mask covers all of what it
        shall, in whatever versions of the sound, and however many cuts are before it."""
        return frame_at(start_us - self.ahead_us, rate), frames_until(end_us - self.ahead_us, rate)


def kept(length_us: int, cuts: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is left of a timeline when stretches are cut out, which come in order and may overlap."""
    left, at = [], 0
    for start, end in cuts:
        if start > at:
            left.append((at, min(start, length_us)))
        at = max(at, end)
    left.append((at, length_us))
    return [(start, end) for start, end in left if start < end]


def parts(stretches: Iterable[Stretch[T]], rate: int) -> list[Part[T]]:
    """The stretches one behind the other in frames of a rate.

    Stretches that meet share no frame and leave none out; one that reaches its timeline's end reaches its last frame.
    """
    found: list[Part[T]] = []
    lengths: dict[int, tuple[int, int]] = {}
    at = at_us = 0
    for stretch in stretches:
        timeline = stretch.timeline
        if id(timeline) not in lengths:
            lengths[id(timeline)] = timeline.frames(rate), timeline.length_us
        whole, length_us = lengths[id(timeline)]
        to_end = stretch.end_us >= length_us
        start, end = frame_at(stretch.start_us, rate), whole if to_end else min(frame_at(stretch.end_us, rate), whole)
        if start < end:
            found.append(Part(timeline, start, end, at, at_us - stretch.start_us))
            at += end - start
        at_us += stretch.end_us - stretch.start_us
    return found


def under(found: Iterable[Part[T]], first: int, last: int) -> Iterator[Part[T]]:
    """The parts that a stretch of the recording is made of, cut to it."""
    for part in found:
        start, stop = max(part.at, first), min(part.stop, last)
        if start < stop:
            cut = (part.start + start - part.at, part.start + stop - part.at, start)
            yield Part(part.timeline, *cut, part.ahead_us)
