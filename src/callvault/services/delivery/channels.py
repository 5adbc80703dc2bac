"""Which lanes are heard on which channel of a view."""

from dataclasses import dataclass
from typing import Final

from callvault.domain.errors import Malformed, Missing
from callvault.services.timelines import LaneTimeline, Sound, Timeline

VIEWS: Final = ("mono", "stereo", "customer", "assistant")
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
    lanes = tuple(lane for lane in timeline.lanes if _has(view, lane))
    if view != "stereo":
        return Channels(lanes, (frozenset(range(len(lanes))),))
    roles = [lane.lane.role for lane in lanes]
    left = frozenset(n for n, role in enumerate(roles) if role != "assistant")
    right = frozenset(n for n, role in enumerate(roles) if role != "customer")
    return Channels(lanes, (left, right))


def lanes_heard(view: str, sound: Sound) -> list[LaneTimeline]:
    """All lanes that a view is made of; `Malformed` for no view at all, `Missing` for one of a lane that is nowhere."""
    if view not in VIEWS and not view.startswith(LANE):
        raise Malformed(what="view", why=f"it is {', '.join(VIEWS)} or {LANE}NAME")
    timelines = {s.timeline.recording_id: s.timeline for s in sound.stretches}
    lanes = [lane for timeline in timelines.values() for lane in channels_of(view, timeline).lanes]
    if not lanes and view not in ("mono", "stereo"):
        raise Missing(what="lane")
    return lanes


def _has(view: str, lane: LaneTimeline) -> bool:
    if view in ("mono", "stereo"):
        return True
    return lane.lane.name == view.removeprefix(LANE) if view.startswith(LANE) else lane.lane.role == view
