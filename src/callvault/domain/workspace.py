"""A workspace is a tenant; a member is a person or a system in it; a key lets one act as a member."""

from dataclasses import dataclass

SCOPES = (
    "recordings:read",
    "recordings:write",
    "recordings:process",
    "recordings:delete",
    "recordings:original",
    "recordings:share",
    "recordings:hold",
    "chats:read",
    "webhooks:manage",
    "keys:manage",
    "audit:read",
    "workspace:manage",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    id: str
    name: str
    created_ms: int
    recording_enabled: bool = True
    public_recordings: bool = False
    """Whether a call's public id opens its recording without a key (AgentPhone's capability URL)."""
    hipaa: bool = False
    """A HIPAA workspace never opens recordings without a key."""
    delivery: str = "vault"
    """How sound leaves: through a `vault` link (ours) or a `bucket` link (the object store's own)."""
    link_seconds_max: int = 86_400
    idle_complete_seconds: int = 300
    retention_days: int | None = None
    customer_public_key: str | None = None
    """PEM of an RSA key: every data key is then wrapped to it as well."""
    deleted_ms: int | None = None
    version: int = 1

    @property
    def opens_recordings(self) -> bool:
        """Whether a call's public id is enough to hear it."""
        return self.public_recordings and not self.hipaa and self.deleted_ms is None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceKey:
    """One version of a workspace's encryption key, wrapped by the master key; the newest active one seals."""

    id: str
    workspace_id: str
    created_ms: int
    wrapped: str
    master_key_id: str
    retired_ms: int | None = None
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    workspace_id: str
    id: str
    created_ms: int
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    id: str
    workspace_id: str
    member_id: str
    prefix: str
    secret_sha256: str
    scopes: tuple[str, ...]
    created_ms: int
    kind: str = "private"
    label: str = ""
    expires_ms: int | None = None
    revoked_ms: int | None = None
    last_used_ms: int | None = None
    version: int = 1
