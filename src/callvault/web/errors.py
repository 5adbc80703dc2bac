"""Errors on the wire: the one place that knows the HTTP status of each, and the problem details of RFC 9457."""

from typing import Final

from callvault.domain import errors
from callvault.domain.errors import CallerFault, Fault, OperatorFault, PassingFault
from callvault.web.responses import Answer, Headers, json_answer


class MethodNotAllowed(CallerFault):
    """the method is not allowed here: use {allowed}"""

    code = "method_not_allowed"


class Invalid(CallerFault):
    """the request is not of the right form: see `errors`"""

    code = "invalid_request"

    def __init__(self, *, errors: list[dict[str, object]]) -> None:
        """Each error has `loc`, `msg` and `type`, and never what was sent."""
        super().__init__(errors=errors)
        self.errors = errors


class HttpProblem(CallerFault):
    """{why}"""

    code = "bad_request"

    def __init__(self, *, status: int, why: str) -> None:
        super().__init__(why=why)
        self.status = status


class Stalled(PassingFault):
    """the request's body did not arrive in time"""

    code = "request_timeout"


class Unexpected(OperatorFault):
    """something went wrong inside: the log says more about this requestId"""

    code = "internal"


STATUS: Final[dict[type[Fault], int]] = {
    CallerFault: 400,
    OperatorFault: 500,
    PassingFault: 503,
    Invalid: 422,
    MethodNotAllowed: 405,
    Stalled: 408,
    errors.AlreadyThere: 409,
    errors.DigestMismatch: 400,
    errors.DiskFull: 507,
    errors.IdempotencyConflict: 409,
    errors.LinkExpired: 403,
    errors.LinkInvalid: 403,
    errors.Missing: 404,
    errors.NotAuthenticated: 401,
    errors.NotImplementedYet: 501,
    errors.OnHold: 409,
    errors.RecordingDisabled: 403,
    errors.RecordingEnded: 409,
    errors.RecordingExpired: 410,
    errors.RecordingInProgress: 409,
    errors.Refused: 403,
    errors.StaleWrite: 409,
    errors.TakeConflict: 409,
    errors.TooLarge: 413,
    errors.TooManyRequests: 429,
    errors.UploadMisplaced: 409,
}
"""An error that is not here has the status of its family."""

RETRY_SECONDS: Final = b"2"


def status_of(fault: Fault) -> int:
    if isinstance(fault, HttpProblem):
        return fault.status
    return next(STATUS[kind] for kind in type(fault).__mro__ if kind in STATUS)


def headers_of(fault: Fault, status: int) -> Headers:
    """What must go with the error in every dialect, whatever its body."""
    if isinstance(told := fault.facts.get("headers"), list):
        return told
    match status:
        case 401:
            return [(b"www-authenticate", b"Bearer")]
        case 405:
            return [(b"allow", str(fault.facts.get("allowed", "")).encode())]
        case 503 | 507:
            return [(b"retry-after", RETRY_SECONDS)]
    return []


TITLES: Final[dict[type[Fault], str]] = {
    CallerFault: "The request cannot be done",
    OperatorFault: "The operator must mend something",
    PassingFault: "It will pass: try again later",
}


def problem(fault: Fault, status: int, request_id: str) -> Answer:
    """Problem details: `code` is stable and for programs, `detail` is for people, the title says who can mend it."""
    title = next(text for family, text in TITLES.items() if isinstance(fault, family))
    body: dict[str, object] = {
        "type": f"urn:callvault:problem:{fault.code}",
        "title": title,
        "status": status,
        "detail": str(fault),
        "code": fault.code,
        "requestId": request_id,
    }
    if isinstance(fault, Invalid):
        body["errors"] = fault.errors
    return json_answer(body, status, media_type=b"application/problem+json")
