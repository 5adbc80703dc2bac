"""A transcript as somebody may read it: what they do not hear of the call, they do not read either."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from callvault.domain.call import Turn
from callvault.domain.lane import Span
from callvault.domain.recording import Mask

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
    masked, at = [(mask, _spared(mask.lane, lanes)) for mask in masks], 0
    found, heard_to = [], 0
    for stretch in stretches:
        if stretch.of_call:
            found.append(Hidden(heard_to, stretch.start_us))
            heard_to = stretch.end_us
            found.extend(_masked(stretch, at, masked))
        at += stretch.end_us - stretch.start_us
    if heard_to < length_us:
        found.append(Hidden(heard_to, EVER))
    return [stretch for stretch in found if stretch.start_us < stretch.end_us]


def _masked(stretch: Heard, at: int, masks: Iterable[tuple[Mask, frozenset[str]]]) -> Iterator[Hidden]:
    offset = stretch.start_us - at
    for mask, spared in masks:
        start, end = max(mask.start_us + offset, stretch.start_us), min(mask.end_us + offset, stretch.end_us)
        if start < end:
            yield Hidden(start, end, spared)


def _spared(masked: str | None, lanes: Mapping[str, str]) -> frozenset[str]:
    """Turns name their speaker by a lane or by a role, so that a mask on a lane hides those of its role as well."""
    if masked is None or masked not in lanes:
        return frozenset()
    return frozenset({*lanes, *lanes.values()} - {masked, lanes[masked]})


def paused_in(spans: Iterable[Span]) -> list[Hidden]:
    return [
        Hidden(span.start_us, EVER if span.end_us is None else span.end_us) for span in spans if span.kind == "pause"
    ]


def without(turns: Sequence[Turn], hidden: Sequence[Hidden], instead: str) -> list[Turn]:
    """Turns over a hidden stretch say nothing: which of their words it covers, their times do not tell.

    A turn without an end lasts until the next one of its role, or for ever.
    """
    return [replace(turn, content=instead) if _touches(turn, turns, hidden) else turn for turn in turns]


def _touches(turn: Turn, turns: Sequence[Turn], hidden: Sequence[Hidden]) -> bool:
    start, end = turn.start_ms * 1000, _end_ms(turn, turns) * 1000
    return any(h.start_us <= end and start < h.end_us and turn.role not in h.spared for h in hidden)


def _end_ms(turn: Turn, turns: Sequence[Turn]) -> float:
    if turn.end_ms is not None:
        return turn.end_ms
    later = [other.start_ms for other in turns if other.role == turn.role and other.seq > turn.seq]
    return min(later, default=EVER)
