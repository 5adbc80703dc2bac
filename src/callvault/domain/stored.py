"""Stored objects, and the files of a recording that are made of them."""

from dataclasses import dataclass, field

from callvault.domain.ids import Json

ARTIFACT_KINDS = ("video", "call-logs", "pcap", "source")
STARTS_AT = "start"
"""In an artifact's metadata: so many seconds after the call it begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One immutable object in storage, with what is needed to find, open and prove it."""

    key: str
    size: int
    """Of what was put in, before sealing."""
    sha256: str
    """Of what was put in, before sealing."""
    sealing: str | None = None
    """The data key wrapped by the workspace's key, `<workspace key id>.<base64>`; None for an unsealed object."""
    customer_sealing: str | None = None
    """The same data key wrapped to the customer's RSA key, `<that key's fingerprint>.<base64>`."""
    workspace_id: str = ""
    recording_id: str | None = None
    created_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """What belongs to a recording and is no sound of it: video, call logs, pcap, the source as it was received."""

    recording_id: str
    kind: str
    workspace_id: str
    object_key: str
    media_type: str
    size: int
    created_ms: int
    metadata: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """A view in a file format, made once and kept."""

    recording_id: str
    view: str
    format: str
    rate: int
    sound_version: int
    workspace_id: str
    object_key: str
    size: int
    created_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageFacts:
    """Where objects are kept, as it is told to people."""

    provider: str = "disk"
    """`s3`, `cloudflare-r2`, `gcs`, `azure`, `disk` or `memory`."""
    bucket: str | None = None
    region: str | None = None
    prefix: str = ""
    encrypted: bool = True
