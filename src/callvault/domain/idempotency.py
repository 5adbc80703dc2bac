"""A request that carried an Idempotency-Key, with the answer it got, so that it can be answered again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotentRequest:
    workspace_id: str
    key: str
    fingerprint: str
    """SHA-256 of the request: the same key with another one is refused."""
    reserved_id: str
    """The id of what the request makes: if its first run was cut off, the second finds what that one made."""
    claimed_ms: int
    status: int = 0
    """Of the answer; 0 while the request runs."""
    answer: str = ""
    version: int = 1
