"""What every .do answer is wrapped in."""

from datetime import UTC, datetime
from typing import Any, Final

from pydantic import BaseModel

from callvault.domain.errors import Fault
from callvault.web.errors import Invalid
from callvault.web.responses import Answer, model_answer
from callvault.wire import isotime

INVALID: Final = "the request is not of the right form: see `details`"


class Meta(BaseModel):
    requestId: str  # noqa: N815
    timestamp: str
    duration: float
    """In milliseconds."""


class Success(BaseModel):
    success: bool = True
    data: Any
    meta: Meta


class Problem(BaseModel):
    code: str
    message: str
    details: Any = None


class Failure(BaseModel):
    success: bool = False
    error: Problem
    meta: Meta


def meta(request_id: str, now_ms: int, seconds: float) -> Meta:
    return Meta(requestId=request_id, timestamp=isotime.serialize(now_ms), duration=round(seconds * 1000, 3))


def render(fault: Fault, status: int, request_id: str) -> Answer:
    now_ms = round(datetime.now(UTC).timestamp() * 1000)
    error = Problem(code=fault.code, message=str(fault))
    if isinstance(fault, Invalid):
        error = Problem(code=fault.code, message=INVALID, details=fault.errors)
    failure = Failure(error=error, meta=meta(request_id, now_ms, 0))
    return model_answer(failure, status)
