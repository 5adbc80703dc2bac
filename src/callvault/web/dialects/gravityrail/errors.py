"""Our errors in Gravity Rail's form, which is FastAPI's own."""

from callvault.domain.errors import Fault, RecordingInProgress
from callvault.web.errors import Invalid
from callvault.web.responses import Answer, json_answer


def render(fault: Fault, status: int, request_id: str) -> Answer:
    if isinstance(fault, RecordingInProgress):
        return json_answer({"detail": "The call has no completed recording"}, 404)
    return json_answer({"detail": fault.errors if isinstance(fault, Invalid) else str(fault)}, status)
