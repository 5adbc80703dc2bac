"""A resumable upload: a whole file on its way in, whose parts are stored objects under its own prefix."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    id: str
    workspace_id: str
    recording_id: str
    key_id: str
    """The key that began it: no other may go on with it."""
    length: int
    offset: int = 0
    """Bytes that are durable: the client goes on from here."""
    channels: tuple[str, ...] = ()
    media_type: str = "application/octet-stream"
    metadata: str = ""
    """The `Upload-Metadata` as it was sent, for the client to read back."""
    complete: bool = False
    """Whether the recording shall be completed when the file has been taken in."""
    created_ms: int
    expires_ms: int
    completed_ms: int | None = None
    taken_ms: int | None = None
    """When its file was in the recording: its parts go then."""
    version: int = 1

    @property
    def prefix(self) -> str:
        return f"{self.workspace_id}/uploads/{self.id}/"
