"""A call: facts about one conversation, under one id for each of the ways people ask for it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from callvault.domain.ids import Json

DIRECTIONS = ("inbound", "outbound", "web")
PRIVATE_KINDS = ("manager", "direct")
"""Calls of these kinds are for their participants alone, whatever the scope."""
UNRECORDED = "recordingDisabled"
"""In a call's metadata: true when no sound of it may be stored."""
UNKEPT = "artifactsDisabled"
"""In a call's metadata: the kinds of artifacts of which none may be stored."""
ANNOUNCED = (UNRECORDED, UNKEPT)
"""What other metadata never takes the place of: it stays until it is told otherwise itself."""

SOUND_FORMAT = "recordingFormat"
"""In a call's metadata: one of `SOUND_FORMATS`."""
SOUND_FORMATS = ("wav", "mp3", "ogg", "m4a", "flac")


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    id: str
    name: str = ""
    role: str = "other"
    number: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """As much of a call as tells whose it is."""

    id: str
    workspace_id: str
    chat_id: int = 0
    """Counted within the workspace by the store when the call is added; 0 until then."""
    readers: tuple[str, ...] | None = None
    """The members a private call is for (see `readers`); None for everybody in the workspace whom a scope lets."""
    deleted_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Chat):
    public_id: str
    """`call_` and at least 128 random bits: where the workspace allows it, knowing it is the permission."""
    created_ms: int
    updated_ms: int
    direction: str = "inbound"
    kind: str = "phone"
    status: str = "in-progress"
    """scheduled, queued, ringing, in-progress, forwarding, ended or failed."""
    from_number: str | None = None
    to_number: str | None = None
    assistant_id: str | None = None
    assistant_name: str | None = None
    phone_number_id: str | None = None
    phone_number: str | None = None
    name: str | None = None
    started_ms: int | None = None
    ended_ms: int | None = None
    ended_reason: str | None = None
    participants: tuple[Participant, ...] = ()
    external_ids: dict[str, str] = field(default_factory=dict)
    analysis: dict[str, Json] = field(default_factory=dict)
    """What was found out about it: summary, structuredData, successEvaluation, sentiment ..."""
    metadata: dict[str, Json] = field(default_factory=dict)
    version: int = 1

    @property
    def sound_format(self) -> str:
        """The file format in which its recordings are wanted."""
        told = self.metadata.get(SOUND_FORMAT)
        return told if isinstance(told, str) and told in SOUND_FORMATS else SOUND_FORMATS[0]

    @property
    def unrecorded(self) -> bool:
        """Whether it was announced as one of which no sound may be stored."""
        return self.metadata.get(UNRECORDED) is True

    def keeps(self, kind: str) -> bool:
        """Whether artifacts of the kind may be stored."""
        told = self.metadata.get(UNKEPT)
        return not (isinstance(told, list) and kind in told)


def common_readers(each: Iterable[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    """The members that sound of several calls is for: those whom each of the calls is for."""
    private = [set(one) for one in each if one is not None]
    return tuple(sorted(set.intersection(*private))) if private else None


def readers(kind: str, participants: tuple[Participant, ...]) -> tuple[str, ...] | None:
    return tuple(p.id for p in participants) if kind in PRIVATE_KINDS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalId:
    """The id that another system has for a call; one id of one system names one call."""

    workspace_id: str
    system: str
    value: str
    call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one participant said in one go."""

    call_id: str
    workspace_id: str
    seq: int
    id: str
    role: str
    """customer, assistant, system, or a lane's name."""
    content: str
    start_ms: int
    """From the start of the call."""
    end_ms: int | None = None
    confidence: float | None = None
    created_ms: int
