"""Gathers what AgentPhone's calls are told with: what of them can be heard, and what was said last."""

from collections.abc import Sequence

from callvault.domain.call import Call
from callvault.services.delivery.desk import WHOLE
from callvault.web.dialects.agentphone import schemas
from callvault.web.dialects.agentphone.schemas import CallDetail, CallSummary, Told
from callvault.web.visit import Visit


async def summaries(visit: Visit, calls: Sequence[Call]) -> list[CallSummary]:
    told = await _told(visit, calls)
    return [schemas.summary_of(call, told[call.id]) for call in calls]


async def detail(visit: Visit, call: Call) -> CallDetail:
    told, said = await _told(visit, [call]), await visit.services.transcripts.of_each(visit.caller, [call])
    return schemas.detail_of(call, told[call.id], said.get(call.id, []))


async def _told(visit: Visit, calls: Sequence[Call]) -> dict[str, Told]:
    """A recording is available when whoever hears no original hears it to the end."""
    services = visit.services
    heard = await services.recordings.heard_of_each(None, calls)
    there = await services.delivery.desk.there([(one, [WHOLE]) for one in heard.values() if one])
    complete = {recording.call_id for recording, found, _ in there if found}
    is_open = await services.calls.capabilities_open(visit.caller)
    said = await services.transcripts.last(visit.caller, calls)
    return {
        call.id: Told(
            recording_available=call.id in complete,
            recording_url=_url(visit, call) if is_open and call.id in complete and call.readers is None else None,
            last_said=said[call.id].content if call.id in said else None,
        )
        for call in calls
    }


def _url(visit: Visit, call: Call) -> str:
    return f"{visit.base_url}/v1/calls/{call.public_id}/recording"
