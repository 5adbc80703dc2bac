"""Our errors in Gravity Rail's form, which is FastAPI's own."""

from typing import Final

from callvault.domain.errors import Fault, Missing, NotAuthenticated, RecordingExpired, RecordingInProgress
from callvault.web.errors import Invalid
from callvault.web.responses import Answer, json_answer

NOUNS: Final = {"call": "Chat", "workspace": "Workspace"}
"""What is theirs to be missing, in their words."""


class NoAudio(Missing):
    """No audio is stored for this chat"""

    code = "no_audio"


def render(fault: Fault, status: int, request_id: str) -> Answer:
    if isinstance(fault, RecordingInProgress | RecordingExpired) or fault.facts.get("what") in ("recording", "lane"):
        fault, status = NoAudio(), 404
    return json_answer({"detail": fault.errors if isinstance(fault, Invalid) else _detail(fault)}, status)


def _detail(fault: Fault) -> str:
    if isinstance(fault, NotAuthenticated):
        return "Not authenticated"
    if type(fault) is Missing:
        return f"{NOUNS.get(str(fault.facts.get('what')), 'Resource')} not found"
    return str(fault)
