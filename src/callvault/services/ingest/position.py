"""Where on its own clock a call stands."""

from callvault.domain.recording import Recording
from callvault.services.ingest.openrecordings import OpenRecording


def position_us(recording: Recording, now_ms: int) -> int:
    """At a time of day: from the call's start, where that is known, else from when its recording was begun."""
    started_ms = recording.created_ms if recording.started_ms is None else recording.started_ms
    return max(now_ms - started_ms, 0) * 1000


def stands_at_us(known: OpenRecording, now_ms: int) -> int:
    """Now: as a live stream says, whose clock does not jump, or by the time of day."""
    return max((stream.elapsed_us for stream in known.live), default=position_us(known.recording, now_ms))
