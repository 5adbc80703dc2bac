"""A visit: one request on its way through, with what everybody on the way may need to know."""

from dataclasses import dataclass, field
from typing import Final, cast

from starlette.requests import HTTPConnection

from callvault.domain.access import Caller
from callvault.services.house import Services
from callvault.web.options import Options
from callvault.web.parts import Part
from callvault.web.responses import Headers

VISIT: Final = "callvault.visit"


@dataclass(slots=True)
class Visit:
    services: Services
    options: Options
    part: Part
    caller: Caller
    base_url: str
    """Where the client reaches us, without a slash at the end: for absolute locations."""
    route: str = ""
    """The pattern that matched: what logs and metrics name instead of the path."""
    head: bool = False
    """Whether HEAD was asked: no byte of the body will leave. (Routes see GET.)"""
    headers: Headers = field(default_factory=list)
    """For the answer, whatever it will be."""

    @property
    def request_id(self) -> str:
        return self.caller.request_id or ""


def visit_of(connection: HTTPConnection) -> Visit:
    return cast(Visit, connection.scope[VISIT])
