"""A recording is a version of a call's sound: an edit list over timelines, with its facts and its fate."""

from dataclasses import dataclass, field

from callvault.domain.ids import Json

STATUSES = ("processing", "completed", "failed", "deleted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A stretch of an original recording's timeline, end not included."""

    recording_id: str
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """A stretch in which a lane (or every lane) is not heard."""

    start_us: int
    end_us: int
    method: str = "silence"
    lane: str | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditList:
    """What is heard of which timelines, in order; none at all is the whole of the recording's own timeline."""

    clips: tuple[Clip, ...] = ()
    masks: tuple[Mask, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """As much of a recording as tells who hears it, and how: all that most who ask for a link have to know."""

    id: str
    workspace_id: str
    call_id: str
    created_ms: int
    status: str = "processing"
    in_progress: bool = True
    """Sound may still come in."""
    readers: tuple[str, ...] | None = None
    """As of its call."""
    derived_from: tuple[str, ...] = ()
    operation: str | None = None
    """The verb that made it from what it derives from; none for an original."""
    edits: EditList = EditList()
    format: str = "wav"
    redacted: bool = False
    link_epoch: int = 0
    """Links carry it; raising it revokes every link of this recording at once."""
    expires_ms: int | None = None
    """From then on nobody gets its sound any more, nor that of what was made of it."""
    deleted_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording(Version):
    chat_id: int = 0
    """Its call's; of a recording that is added together with its call, that which the call gets when they commit."""
    updated_ms: int
    ended_by: str | None = None
    """`completed` by request, `idle` when no word came for the workspace's time, `interrupted` after a crash."""
    failure: str | None = None
    sound_version: int = 0
    """Counts every change of what is heard; with the id it names the sound, so ETags are made of it."""
    duration_us: int = 0
    sample_rate: int = 0
    channels: int = 0
    codec: str = ""
    file_size: int = 0
    started_ms: int | None = None
    ended_ms: int | None = None
    last_heard_ms: int
    """When sound, or any word of it, last came in."""
    paused: str | None = None
    """`skip` or `silence` while what is said is not stored."""
    redaction_type: str | None = None
    noise_reduction: bool = False
    volume_normalization: bool = False
    silence_removal: bool = False
    quality: str = "lossless"
    download_count: int = 0
    last_accessed_ms: int | None = None
    expiry_told: bool = False
    """Whether `recording.expired` was told of the time at which it expires."""
    retention_days: int | None = None
    auto_delete_ms: int | None = None
    tags: tuple[str, ...] = ()
    metadata: dict[str, Json] = field(default_factory=dict)
    held: bool = False
    """A legal hold keeps it, and with it every deletion waits."""
    version: int = 1


def has_expired(recording: Recording, now_ms: int) -> bool:
    """By its own time; a version of it expires with it as well, see `versions.end_of`."""
    return recording.expires_ms is not None and now_ms >= recording.expires_ms


COPYING = ("convert", "compress")
"""The verbs that make a version for the sake of its file."""


def own_file(recording: Recording) -> tuple[str, int]:
    """The view, and its rate, that a recording's facts tell of and its URL leads to; 0 is the best rate there is."""
    view = "stereo" if recording.channels == 2 else "mono"
    return view, recording.sample_rate if recording.operation in COPYING else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """`derived_from` the other way round: which version was made of which."""

    parent_id: str
    child_id: str
    workspace_id: str
