"""Where on its own clock a call stands at a time of day."""

from callvault.domain.recording import Recording


def position_us(recording: Recording, now_ms: int) -> int:
    """From the call's start, where that is known, else from when its recording was begun."""
    started_ms = recording.created_ms if recording.started_ms is None else recording.started_ms
    return max(now_ms - started_ms, 0) * 1000
