"""Lanes, the segments that hold their takes in storage, and the spans that the takes cannot tell."""

from dataclasses import dataclass, field

ROLES = ("customer", "assistant", "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A point at which a lane's own clock is known to have stood at a time of the call's clock."""

    sample: int
    clock_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    recording_id: str
    name: str
    workspace_id: str
    role: str = "other"
    rate: int
    """Samples a second of the sender's clock; positions in this lane are counted in them."""
    participant_id: str | None = None
    position: int = 0
    """Order of appearance."""
    anchors: tuple[Anchor, ...] = ()
    """The fitted drift; none means that the sender's clock is the call's clock."""
    drift_ppm: float = 0.0
    drift_confidence: float = 1.0
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """As much of a segment as it takes to hear it."""

    recording_id: str
    lane: str
    seq: int
    workspace_id: str
    object_key: str
    first_sample: int
    end_sample: int
    runs: bytes
    """The takes' places, packed by `wire.runs`: so that a lane of a million takes is no million rows."""
    peaks_offset: int
    """Where in the object, behind the sound, the fine waveform begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment(Passage):
    """Seconds or minutes of a lane's takes in one stored object."""

    takes: bytes
    """The takes' numbers and digests, packed by `wire.runs`: most of what is known of a segment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of the call's clock that somebody decided about: a pause, a mask; lane None means all."""

    id: str
    recording_id: str
    workspace_id: str
    kind: str
    start_us: int
    end_us: int | None = None
    lane: str | None = None
    mode: str = ""
    reason: str = ""
    actor: str = ""
    created_ms: int
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSpool:
    """A node that still holds acknowledged sound of a recording; it is not whole before all have gone."""

    recording_id: str
    node: str
    workspace_id: str
    opened_ms: int
    detail: dict[str, str] = field(default_factory=dict)
