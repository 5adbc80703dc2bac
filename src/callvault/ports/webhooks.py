"""Webhooks on the wire: how a message is signed, and how it is sent to an address that somebody else chose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a message that was sent."""

    milliseconds: int
    status: int | None = None
    """None when nothing was answered."""
    error: str | None = None
    """Why not, in words that hold nothing of the message."""
    body: bytes = b""
    """The beginning of what was answered."""
    retry_after_seconds: int = 0


class Sender(Protocol):
    """Sends to public addresses alone, unless it was told otherwise.

    The name is resolved here, every address that it has is checked, and the connection goes to a checked one.
    Redirects are answers like others. Everything is bounded: the time, and what is read of the answer.
    """

    def check(self, url: str) -> None:
        """`Malformed` when the URL as such can never be sent to."""
        ...

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Never raises for what is wrong with the other side or the way to it."""
        ...


@dataclass(frozen=True, slots=True)
class Secret:
    text: str = field(repr=False)
    public: str | None = None
    """What is told instead of it, where signatures are checked with another key than they are made with."""


class Signer(Protocol):
    """One scheme of signatures. Two secrets are valid while one is exchanged for the other: where a message has room
    for one signature only, it is by the older, until that one's time is over."""

    def new_secret(self, randomness: bytes) -> Secret:
        """From 32 bytes that nobody can guess."""
        ...

    def given(self, text: str) -> Secret:
        """A secret that the endpoint's owner chose; `Malformed` when it is none for this scheme."""
        ...

    def headers(self, secrets: Sequence[Secret], message_id: str, now_ms: int, body: bytes) -> dict[str, str]:
        """Those that prove the body; the newest secret comes first."""
        ...
