"""CallRecording in the seed's words, and what requests about recordings say."""

from typing import Annotated, Literal

from pydantic import Field

from callvault.services.recordings import RETENTION_DAYS_MAX, TAG_MAX, TAGS_MAX, RecordingFacts
from callvault.web.native.callschemas import Assistant, CallIn, CallOut, PhoneNumber
from callvault.web.native.spelling import Asked, Metadata, Moment, Told

Tag = Annotated[str, Field(min_length=1, max_length=TAG_MAX)]
Tags = Annotated[list[Tag], Field(max_length=TAGS_MAX)]
RetentionDays = Annotated[int, Field(ge=1, le=RETENTION_DAYS_MAX, description="In days.")]
STATUSES = Literal["processing", "completed", "failed", "deleted"]


class RecordingChanges(Asked):
    """What of a recording can be told later; what is not there stays as it is."""

    tags: Tags = Field(default_factory=list)
    metadata: Metadata = Field(default_factory=dict)
    expires_at: Moment | None = None
    retention_period: RetentionDays | None = None

    def facts(self) -> RecordingFacts:
        """Only what was told."""
        facts = RecordingFacts()
        if "tags" in self.model_fields_set:
            facts["tags"] = tuple(dict.fromkeys(self.tags))
        if "metadata" in self.model_fields_set:
            facts["metadata"] = self.metadata
        if "expires_at" in self.model_fields_set:
            facts["expires_ms"] = self.expires_at
        if "retention_period" in self.model_fields_set:
            facts["retention_days"] = self.retention_period
        return facts


class RecordingRequest(RecordingChanges):
    call: CallIn = Field(default_factory=CallIn)


class TurnOut(Told):
    id: str
    role: str
    content: str
    start: float
    """Seconds from the start of the call."""
    end: float | None
    confidence: float | None


class CallTranscript(Told):
    call_id: str
    text: str
    turns: list[TurnOut]


class Speaker(Told):
    id: str
    name: str
    role: str
    number: str | None
    lane: str | None
    """The lane with this participant's sound."""
    speaking_time: float | None
    """In seconds, as the transcript has it; null without one."""


class CallRecording(Told):
    """An audio recording of a voice call with metadata, storage location, and processing status."""

    id: str
    call: CallOut
    assistant: Assistant | None
    phone_number: PhoneNumber | None
    status: STATUSES
    url: str
    """Stays; needs a key."""
    secure_url: str | None
    """Signed and short-lived, minted for this answer; null in lists, and while there is nothing to hear, or no more."""
    format: str
    codec: str
    sample_rate: int
    bitrate: float
    """In kbps."""
    channels: int
    duration: float
    """In seconds."""
    file_size: int
    start_time: float | None
    end_time: float | None
    storage: str
    storage_path: str
    bucket: str | None
    region: str | None
    encrypted: bool
    encryption_key: str | None
    redacted: bool
    redaction_type: str | None
    transcript: CallTranscript | None
    """Null in lists."""
    has_transcript: bool
    participants: list[Speaker]
    speaker_diarization: bool
    noise_reduction: bool
    volume_normalization: bool
    silence_removal: bool
    compression_ratio: float
    quality: str
    download_count: int
    last_accessed: float | None
    expires_at: float | None
    """From then on nobody gets the sound any more."""
    retention_period: int | None
    auto_delete_at: float | None
    tags: list[str]
    metadata: Metadata
    created: float
    updated: float

    in_progress: bool
    """Sound may still come in."""
    paused: str | None
    ended_by: str | None
    failure: str | None
    derived_from: list[str]
    operation: str | None
    held: bool
