"""Our errors in AgentPhone's two forms: FastAPI's own for what is wrong with a request, both at once for the rest."""

from typing import Final

from callvault.domain.errors import Fault, NotAuthenticated, RecordingExpired, RecordingInProgress
from callvault.web.errors import Invalid
from callvault.web.responses import Answer, json_answer

CODES: Final = {
    400: ("BAD_REQUEST", "invalid_request_error"),
    401: ("UNAUTHORIZED", "authentication_error"),
    403: ("FORBIDDEN", "permission_error"),
    404: ("NOT_FOUND", "not_found_error"),
    405: ("METHOD_NOT_ALLOWED", "invalid_request_error"),
    409: ("CONFLICT", "conflict_error"),
    413: ("PAYLOAD_TOO_LARGE", "invalid_request_error"),
    429: ("RATE_LIMITED", "rate_limit_error"),
    503: ("SERVICE_UNAVAILABLE", "api_error"),
}
OTHER: Final = ("INTERNAL_ERROR", "api_error")


def render(fault: Fault, status: int, request_id: str) -> Answer:
    if isinstance(fault, Invalid):
        return json_answer({"detail": fault.errors}, status)
    if isinstance(fault, RecordingInProgress | RecordingExpired):
        return _both("Recording not found", 404)
    if status == 404:
        return _both(f"{str(fault.facts.get('what', 'resource')).capitalize()} not found", status)
    return _both("Invalid API key" if isinstance(fault, NotAuthenticated) else str(fault), status)


def _both(message: str, status: int) -> Answer:
    code, kind = CODES.get(status, OTHER)
    error = {"message": message, "code": code, "type": kind, "details": []}
    return json_answer({"detail": message, "error": error}, status)
