"""A visit: one request on its way through, with what everybody on the way may need to know."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import HTTPConnection
from starlette.types import Scope

from callvault.domain.access import Caller
from callvault.services.house import Services
from callvault.web.options import Options
from callvault.web.parts import Part
from callvault.web.responses import Headers

VISIT: Final = "callvault.visit"
HOST: Final = re.compile(r"[0-9A-Za-z._\-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")


@dataclass(slots=True)
class Visit:
    services: Services
    options: Options
    part: Part
    caller: Caller
    scope: Scope
    asked: dict[bytes, bytes]
    """The request's headers; of one that came twice, the last."""
    route: str = ""
    """The pattern that matched: what logs and metrics name instead of the path."""
    head: bool = False
    """Whether HEAD was asked: no byte of the body will leave. (Routes see GET.)"""
    headers: Headers = field(default_factory=list)
    """For the answer, whatever it will be."""

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, with less ado than a request's `query_params`; of one that came twice, the last."""
        return dict(parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True))

    def told(self, header: str) -> str | None:
        """What a header of the request says, which is named in lower case; of one that came twice, the last."""
        value = self.asked.get(header.encode())
        return None if value is None else value.decode("latin-1")

    @property
    def request_id(self) -> str:
        return self.caller.request_id or ""

    @property
    def base_url(self) -> str:
        """Where the client reaches us, without a slash at the end: for absolute locations."""
        if self.options.public_url:
            return self.options.public_url
        return _address(self.scope["scheme"], self.asked.get(b"host", b"")) or self._listening()

    def _listening(self) -> str:
        name, port = self.scope.get("server") or ("localhost", None)
        name = f"[{name}]" if ":" in name else name
        return _address(self.scope["scheme"], (f"{name}:{port}" if port else name).encode())


@lru_cache(256)
def _address(scheme: str, host: bytes) -> str:
    """Of what the client calls us, if that can be a name."""
    name = host.decode("latin-1")
    return f"{'https' if scheme in ('https', 'wss') else 'http'}://{name}" if HOST.fullmatch(name) else ""


def visit_of(connection: HTTPConnection) -> Visit:
    visit: Visit = connection.scope[VISIT]
    return visit
