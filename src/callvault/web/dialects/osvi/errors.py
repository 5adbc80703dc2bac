"""Our errors in OSVI's envelope."""

from callvault.domain.errors import Fault, Missing, NotAuthenticated, RecordingExpired, RecordingInProgress
from callvault.web.errors import Invalid
from callvault.web.responses import Answer, json_answer


class RecordingNotAvailable(Missing):
    """the call has no recording"""

    code = "recording_not_available"


def render(fault: Fault, status: int, request_id: str) -> Answer:
    """A missing or malformed id is 404, never 422; what the seed shows of 401 has no `details`."""
    if isinstance(fault, NotAuthenticated):
        body = {"success": False, "error": "Invalid API token"}
        return json_answer(body, status, [(b"www-authenticate", b"API-Token")])
    if isinstance(fault, RecordingInProgress | RecordingExpired):
        fault, status = RecordingNotAvailable(), 404
    details = {"errors": fault.errors} if isinstance(fault, Invalid) else None
    return json_answer({"success": False, "error": _code(fault), "details": details}, status)


def _code(fault: Fault) -> str:
    return f"{fault.facts.get('what', 'resource')}_not_found" if type(fault) is Missing else fault.code
