"""A transcript as somebody may read it: what they do not hear of the call, they do not read either."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from callvault.domain.call import Turn
from callvault.domain.lane import Span
from callvault.domain.recording import Mask
from callvault.domain.stretches import Laid

REDACTED = "[redacted]"
PAUSED = "[paused]"
EVER = float("inf")


@dataclass(frozen=True, slots=True)
class Hidden:
    """A stretch of the call's clock."""

    start_us: float
    end_us: float
    spared: frozenset[str] = frozenset()
    """Whose words are heard in it all the same, by the lanes' names and roles; who is not known is not spared."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A stretch that is heard, one behind the other; `of_call` when it is of this call and not of another one."""

    start_us: int
    end_us: int
    of_call: bool = True


def hidden_in(
    stretches: Sequence[Heard], masks: Iterable[Mask], length_us: int, lanes: Mapping[str, str]
) -> list[Hidden]:
    """What of a call's clock is not heard in stretches of it with masks over them; `lanes` are the names of the lanes
    with their roles."""
    spared = {lane: _spared(lane, lanes) for lane in {None, *lanes}}
    masked, at = Laid((mask.start_us, mask.end_us, spared.get(mask.lane, frozenset())) for mask in masks), 0
    found, heard_to = [], 0
    for stretch in stretches:
        if stretch.of_call:
            found.append(Hidden(heard_to, stretch.start_us))
            heard_to = stretch.end_us
            ahead = stretch.start_us - at
            over = masked.over(at, at + stretch.end_us - stretch.start_us)
            found.extend(Hidden(start + ahead, end + ahead, whom) for start, end, whom in over)
        at += stretch.end_us - stretch.start_us
    if heard_to < length_us:
        found.append(Hidden(heard_to, EVER))
    return [stretch for stretch in found if stretch.start_us < stretch.end_us]


def _spared(masked: str | None, lanes: Mapping[str, str]) -> frozenset[str]:
    """Turns name their speaker by a lane or by a role, so that a mask on a lane hides those of its role as well."""
    if masked is None or masked not in lanes:
        return frozenset()
    return frozenset({*lanes, *lanes.values()} - {masked, lanes[masked]})


def paused_in(spans: Iterable[Span]) -> list[Hidden]:
    return [
        Hidden(span.start_us, EVER if span.end_us is None else span.end_us) for span in spans if span.kind == "pause"
    ]


def without(turns: Sequence[Turn], hidden: Iterable[Hidden], instead: str) -> list[Turn]:
    """Turns over a hidden stretch say nothing: which of their words it covers, their times do not tell.

    A turn without an end lasts until the next one of its role, or for ever.
    """
    covers, ends = _covers(hidden), _ends_ms(turns)
    return [replace(turn, content=instead) if _touches(turn, ends[turn.seq], covers) else turn for turn in turns]


def _touches(turn: Turn, end_ms: float, covers: Mapping[frozenset[str], "_Cover"]) -> bool:
    start, end = turn.start_ms * 1000, end_ms * 1000
    return any(turn.role not in spared and cover.touches(start, end) for spared, cover in covers.items())


def _ends_ms(turns: Iterable[Turn]) -> dict[int, float]:
    """By the turns' numbers. One pass, for a call may have many thousands."""
    ends: dict[int, float] = {}
    following: dict[str, float] = {}
    for turn in sorted(turns, key=lambda turn: turn.seq, reverse=True):
        later = following.get(turn.role, EVER)
        ends[turn.seq] = later if turn.end_ms is None else turn.end_ms
        following[turn.role] = min(later, turn.start_ms)
    return ends


class _Cover:
    """Stretches that hide the same speakers' words."""

    def __init__(self, stretches: Iterable[Hidden]) -> None:
        ordered = sorted(stretches, key=lambda stretch: stretch.start_us)
        self._starts = [stretch.start_us for stretch in ordered]
        self._reached = list(accumulate((stretch.end_us for stretch in ordered), max))
        """How far what began until then reaches."""

    def touches(self, start_us: float, end_us: float) -> bool:
        begun = bisect_right(self._starts, end_us)
        return begun > 0 and start_us < self._reached[begun - 1]


def _covers(hidden: Iterable[Hidden]) -> dict[frozenset[str], _Cover]:
    """By whom they spare."""
    groups: dict[frozenset[str], list[Hidden]] = {}
    for stretch in hidden:
        groups.setdefault(stretch.spared, []).append(stretch)
    return {spared: _Cover(stretches) for spared, stretches in groups.items()}
