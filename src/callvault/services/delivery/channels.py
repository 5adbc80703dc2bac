"""Which lanes are heard on which channel of a view."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from callvault.domain.errors import Malformed, Missing
from callvault.domain.lane import Lane
from callvault.services.timelines import LaneTimeline, Timeline

VIEWS: Final = ("mono", "stereo", "customer", "assistant")
OF_ALL_LANES: Final = ("mono", "stereo")
LANE: Final = "lane:"


@dataclass(frozen=True, slots=True)
class Channels:
    lanes: tuple[LaneTimeline, ...]
    sides: tuple[frozenset[int], ...]
    """For each channel the lanes that are summed on it, by their place in `lanes`."""


def count_of(view: str) -> int:
    return 2 if view == "stereo" else 1


def channels_of(view: str, timeline: Timeline) -> Channels:
    """Mono has all lanes; stereo the customer on the left, the assistant on the right and all others on both."""
    lanes = tuple(lane for lane in timeline.lanes if is_in(view, lane.lane))
    if view != "stereo":
        return Channels(lanes, (frozenset(range(len(lanes))),))
    roles = [lane.lane.role for lane in lanes]
    left = frozenset(n for n, role in enumerate(roles) if role != "assistant")
    right = frozenset(n for n, role in enumerate(roles) if role != "customer")
    return Channels(lanes, (left, right))


def is_in(view: str, lane: Lane) -> bool:
    if view in OF_ALL_LANES:
        return True
    return lane.name == view.removeprefix(LANE) if view.startswith(LANE) else lane.role == view


def check_name(view: str) -> None:
    if view not in VIEWS and not view.startswith(LANE):
        raise Malformed(what="view", why=f"it is {', '.join(VIEWS)} or {LANE}NAME")


def check_lanes(view: str, lanes: Iterable[Lane]) -> None:
    """`Missing` for a view of a lane that is nowhere; a view of all lanes may be of none."""
    if view not in OF_ALL_LANES and not any(is_in(view, lane) for lane in lanes):
        raise Missing(what="lane")
