"""A visit: one request on its way through, with what everybody on the way may need to know."""

import re
from dataclasses import dataclass, field
from typing import Final, cast

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
    def request_id(self) -> str:
        return self.caller.request_id or ""

    @property
    def base_url(self) -> str:
        """Where the client reaches us, without a slash at the end: for absolute locations."""
        return self.options.public_url or self._host_asked_for()

    def _host_asked_for(self) -> str:
        host, scope = self.asked.get(b"host", b"").decode("latin-1"), self.scope
        if not HOST.fullmatch(host):
            server = scope.get("server") or ("localhost", None)
            host = f"{server[0]}:{server[1]}" if server[1] else server[0]
        scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
        return f"{scheme}://{host}"


def visit_of(connection: HTTPConnection) -> Visit:
    return cast(Visit, connection.scope[VISIT])
