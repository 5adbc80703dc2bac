"""Our errors in Vapi's form, which is NestJS's."""

from http import HTTPStatus

from callvault.domain.errors import BlobsUnavailable, Fault, RecordingExpired, RecordingInProgress
from callvault.web.errors import Invalid
from callvault.web.responses import Answer, json_answer


class NotErased(BlobsUnavailable):
    """Failed to erase call recordings; the call was not deleted. Retry the request."""


def render(fault: Fault, status: int, request_id: str) -> Answer:
    if isinstance(fault, RecordingInProgress | RecordingExpired):
        return _body("Artifact not found.", 404)
    if isinstance(fault, Invalid):
        return _body([_line(error) for error in fault.errors], 400)
    return _body(_message(fault, status), status)


def _message(fault: Fault, status: int) -> str:
    if status == 401:
        return "Unauthorized — missing or invalid API token."
    if status == 404:
        return f"{str(fault.facts.get('what', 'resource')).capitalize()} not found."
    if isinstance(fault, BlobsUnavailable) and not isinstance(fault, NotErased):
        return "The storage does not answer. Retry the request."
    return str(fault)


def _body(message: str | list[str], status: int) -> Answer:
    return json_answer({"message": message, "error": HTTPStatus(status).phrase, "statusCode": status}, status)


def _line(error: dict[str, object]) -> str:
    where = error.get("loc")
    path = ".".join(str(part) for part in where[1:]) if isinstance(where, list | tuple) else ""
    return f"{path} {error.get('msg')}".strip()
