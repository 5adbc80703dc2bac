"""Edit lists on whole frames: which stretch of which timeline is heard where in a recording."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from callvault.audio.clock import frame_at


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

    @property
    def stop(self) -> int:
        return self.at + self.end - self.start


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
    at = 0
    for stretch in stretches:
        whole = stretch.timeline.frames(rate)
        to_end = stretch.end_us >= stretch.timeline.length_us
        start, end = frame_at(stretch.start_us, rate), whole if to_end else min(frame_at(stretch.end_us, rate), whole)
        if start < end:
            found.append(Part(stretch.timeline, start, end, at))
            at += end - start
    return found


def under(found: Iterable[Part[T]], first: int, last: int) -> Iterator[Part[T]]:
    """The parts that a stretch of the recording is made of, cut to it."""
    for part in found:
        start, stop = max(part.at, first), min(part.stop, last)
        if start < stop:
            yield Part(part.timeline, part.start + start - part.at, part.start + stop - part.at, start)
