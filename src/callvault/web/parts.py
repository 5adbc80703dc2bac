"""A part of the web: one dialect, our own API, the console or the house itself, each a folder that tells its routes.

A folder under `web/` takes part by having a `PART` in its `__init__`; `app.py` finds it and shows the way.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from fastapi import APIRouter
from starlette.requests import Request
from starlette.websockets import WebSocket

from callvault.domain.errors import Fault
from callvault.services.house import Services
from callvault.services.webhooks.dialects import MessageForm
from callvault.web.errors import problem
from callvault.web.responses import Answer

Handler = Callable[[Request], Awaitable[Answer]]
SocketHandler = Callable[[WebSocket], Awaitable[None]]
Renderer = Callable[[Fault, int, str], Answer]
"""From the error, its status and the request's id to the answer in the dialect's form."""


class Credential(Protocol):
    """Where the requests of a part carry their key."""

    @property
    def scheme(self) -> Mapping[str, str]:
        """As an OpenAPI security scheme."""
        ...

    def presented(self, asked: Mapping[bytes, bytes]) -> str | None:
        """The key in a request's headers, which have lower-case names."""
        ...


class Bearer:
    """`Authorization: Bearer <key>`."""

    scheme: ClassVar[Mapping[str, str]] = {"type": "http", "scheme": "bearer"}

    def presented(self, asked: Mapping[bytes, bytes]) -> str | None:
        told = asked.get(b"authorization", b"").decode("latin-1")
        return told[7:].strip() if told[:7].lower() == "bearer " else None


class HeaderKey:
    """The key alone in a header of its own."""

    def __init__(self, name: str) -> None:
        self._name = name.lower().encode()
        self.scheme = {"type": "apiKey", "in": "header", "name": name}

    def presented(self, asked: Mapping[bytes, bytes]) -> str | None:
        key = asked.get(self._name)
        return key.decode("latin-1") if key else None


@dataclass(frozen=True, slots=True)
class Claim:
    """The paths that are a part's: `prefix` itself and all below it; with a header's name, only where a request has
    it, for a path that two parts have."""

    prefix: str
    header: str | None = None


@dataclass(frozen=True, slots=True)
class Hot:
    """A route that is answered without FastAPI, for what is asked often or streamed."""

    method: str
    path: str
    """With `{name}` for a parameter, which may be a part of a segment: `audio.{format}`."""
    handler: Handler
    docs: Mapping[str, Any] = field(default_factory=dict)
    """Its OpenAPI operation: summary, parameters, responses; path parameters and security are added."""


@dataclass(frozen=True, slots=True)
class Socket:
    """A websocket's route."""

    path: str
    handler: SocketHandler


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    name: str
    title: str
    about: str = ""
    claims: tuple[Claim, ...]
    routers: tuple[APIRouter, ...] = ()
    """Each flat: none includes another."""
    hot: tuple[Hot, ...] = ()
    sockets: tuple[Socket, ...] = ()
    credential: Credential = field(default_factory=Bearer)
    render: Renderer = problem
    messages: Callable[[Services, str], MessageForm] | None = None
    """Makes the form of the part's webhook messages, from the services and the address where clients reach us."""
    documented: bool = True
